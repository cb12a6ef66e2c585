"""The layout of a spec, as edits of the lines that it changes."""

from __future__ import annotations

from difflib import SequenceMatcher
from pathlib import Path

from lsprotocol import types as lsp

from incgen.base.diagnostics import SpecError
from incgen.lsp.positions import Places
from incgen.syntax.format import format_lines, format_text


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
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    return [
        lsp.TextEdit(_lines(places, low, high, len(before)), "".join(after[left:right]))
        for kind, low, high, left, right in matcher.get_opcodes()
        if kind != "equal"
    ]


def _lines(places: Places, first: int, last: int, count: int) -> lsp.Range:
    """Return the range of whole lines, from 0; the end of the text belongs to its last line."""
    end = lsp.Position(last, 0)
    if last == count:
        end = places.position(len(places.source.text))
    begin = lsp.Position(first, 0) if first < count else end
    return lsp.Range(begin, end)
