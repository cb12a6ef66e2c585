"""The version of incgen, written once, here: pyproject.toml reads it."""

from __future__ import annotations

VERSION = "0.1.0.dev0"
