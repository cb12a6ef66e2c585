"""Prose of docstrings and comments, filled into lines."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator


def comment_lines(comment: str, width: int, *, indent: int = 0) -> list[str]:
    """Return a comment on lines of its own: ``comment_lines("Stem.", 88, indent=8)``."""
    lines = wrap(comment, width - 2, indent)
    return [f"{' ' * indent}# {line[indent:]}".rstrip() for line in lines]


def wrap(text: str, width: int, indent: int) -> list[str]:
    """Fill a docstring's or comment's text: ``wrap("One. Two.", 88, 4)``.

    ``width`` counts the indent. Blank lines stay and separate paragraphs; a line that starts
    with a space stays by itself, and if it is too long its rest lines up with its start.
    """
    margin = " " * indent
    room = max(width - indent, 1)
    lines: list[str] = []
    for block in _blocks(text):
        own = block[: len(block) - len(block.lstrip())]
        own = own if len(own) < room else ""
        kept = bool(own) and len(block) <= room
        filled = [block] if kept else _fill(block.strip(), own, room)
        lines.extend(f"{margin}{line}".rstrip() for line in filled or [""])
    return lines


def _blocks(text: str) -> Iterator[str]:
    """Yield whole paragraphs, indented lines and blank lines of a text."""
    paragraph: list[str] = []
    lines = text.strip("\n").split("\n") if text.strip("\n") else []
    for line in (line.expandtabs().rstrip() for line in lines):
        if line and not line.startswith(" "):
            paragraph.append(line)
            continue
        if paragraph:
            yield " ".join(paragraph)
            paragraph = []
        yield line
    if paragraph:
        yield " ".join(paragraph)


def _fill(text: str, own: str, room: int) -> list[str]:
    return textwrap.wrap(
        text, room, initial_indent=own, subsequent_indent=own, break_on_hyphens=False
    )
