"""Set the blank lines: never two, none at the ends of a body, one around what takes several."""

from __future__ import annotations

from incgen.syntax.format.lines import Line

_LONG = ("block", "network", "recipe")


def set_blanks(lines: list[Line]) -> list[Line]:
    """Return the lines with the blank lines that belong there."""
    kept = list[Line]()
    for line in lines:
        if line.is_blank:
            if kept and not kept[-1].is_blank and not _opens(kept[-1]):
                kept.append(line)
            continue
        if line.first == "}" and kept and kept[-1].is_blank:
            kept.pop()
        if _begins(line) or (kept and _ends(kept[-1]) and line.first not in ("->", "else")):
            _part(kept)
        kept.append(line)
    while kept and kept[-1].is_blank:
        kept.pop()
    return kept


def _opens(line: Line) -> bool:
    """Return whether a line opens a body."""
    return bool(line.tokens) and line.tokens[-1].text == "{"


def _begins(line: Line) -> bool:
    """Return whether a line begins a definition that takes several lines."""
    return line.level == 0 and line.first in _LONG and not line.whole


def _ends(line: Line) -> bool:
    """Return whether a line ends such a definition."""
    return line.level == 0 and line.first == "}" and len(line.tokens) == 1


def _part(kept: list[Line]) -> None:
    """Put a blank line in front of the next line and the comments right above it."""
    place = len(kept)
    while place and kept[place - 1].comment and not kept[place - 1].tokens:
        place -= 1
    if place and not kept[place - 1].is_blank:
        kept.insert(place, Line(0, [], "", 0))
