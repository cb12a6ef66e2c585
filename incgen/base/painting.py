"""Texts in styles, for whoever prints them on a terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

#: Writes a text in the style of a name: `heading`, `faint`, `total`, or for a bar how long it is,
#: `short`, `middle` or `long`.
Paint: TypeAlias = Callable[[str, str], str]


def unpainted(text: str, style: str) -> str:
    """Return a text as it is."""
    return text
