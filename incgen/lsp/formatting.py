"""The layout of a spec, as edits of the lines that it changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from lsprotocol import types as lsp

from incgen.base.diagnostics import SpecError
from incgen.lsp.positions import Places
from incgen.syntax.format import format_lines, format_text

#: What a line may hold that a layout leaves out.
_NOTHING = " \t\r\f\n;"


def formatted(
    places: Places, path: Path, lines: tuple[int, int] | None = None
) -> list[lsp.TextEdit] | None:
    """Return the edits that format a text, or some of its lines, counted from 1.

    A text that does not parse is left as it is.
    """
    text, name = places.source.text, places.source.name
    try:
        if lines is None:
            result = format_text(text, name, path)
        else:
            result = format_lines(text, *lines, name, path)
    except SpecError:
        return None
    before, after = text.splitlines(keepends=True), result.splitlines(keepends=True)
    return [
        lsp.TextEdit(_lines(places, low, high, len(before)), "".join(after[left:right]))
        for low, high, left, right in _changes(before, after)
    ]


def _changes(before: Sequence[str], after: Sequence[str]) -> Iterator[tuple[int, int, int, int]]:
    """Yield where two layouts differ: `before[a:b]` becomes `after[c:d]`.

    Layouts differ in blank lines, so that the others correspond in order.
    """
    own, new = (
        [number for number, line in enumerate(lines) if line.strip(_NOTHING)]
        for lines in (before, after)
    )
    if len(own) != len(new):
        yield 0, len(before), 0, len(after)
        return
    begin, end, last = (0, 0), (0, 0), (0, 0)
    for low, left in [*zip(own, new, strict=True), (len(before), len(after))]:
        for a, b, c, d in ((last[0], low, last[1], left), (low, low + 1, left, left + 1)):
            if before[a:b] != after[c:d]:
                begin, end = (begin if begin != end else (a, c)), (b, d)
            elif a < b and begin != end:
                yield begin[0], end[0], begin[1], end[1]
                begin = end
        last = low + 1, left + 1
    if begin != end:
        yield begin[0], end[0], begin[1], end[1]


def _lines(places: Places, first: int, last: int, count: int) -> lsp.Range:
    """Return the range of whole lines, from 0; the end of the text belongs to its last line."""
    end = lsp.Position(last, 0)
    if last == count:
        end = places.position(len(places.source.text))
    begin = lsp.Position(first, 0) if first < count else end
    return lsp.Range(begin, end)
