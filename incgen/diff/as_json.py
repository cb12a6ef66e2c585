"""A comparison as JSON, for programs: the fields of `diff/changes.py` under their names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass

from incgen.diff.changes import Comparison
from incgen.graph.shapes import Shape


def as_json(comparison: Comparison) -> str:
    """Return everything that differs as one JSON object; shapes are lists, channels first."""
    whole = {
        "same": comparison.same,
        **{f.name: getattr(comparison, f.name) for f in fields(comparison)},
    }
    return json.dumps(_plain(whole), indent=2, ensure_ascii=False) + "\n"


def _plain(value: object) -> object:
    """Return a value as JSON has it."""
    if isinstance(value, Shape):
        return list(value.sizes)
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(part) for part in value]
    return value
