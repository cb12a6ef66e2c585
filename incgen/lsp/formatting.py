"""The layout of a spec, as edits of the lines that it changes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby, pairwise
from pathlib import Path

from lsprotocol import types as lsp

from incgen.base.diagnostics import SpecError
from incgen.lsp.positions import Places
from incgen.syntax.format import format_lines, format_text

#: What a layout neither adds nor leaves out: a line, from its first character that is not a blank.
_LINE = re.compile(r"[^\s;][^\n]*\n?")


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
    before, after = _pieces(text), _pieces(result)
    if len(before) != len(after):
        before, after = [(0, len(text))], [(0, len(result))]
    pairs = zip(before, after, strict=True)
    runs = groupby(pairs, lambda pair: text[slice(*pair[0])] != result[slice(*pair[1])])
    return [_edit(places, result, [*run]) for differs, run in runs if differs]


def _edit(
    places: Places, result: str, run: Sequence[tuple[tuple[int, int], tuple[int, int]]]
) -> lsp.TextEdit:
    """Return the edit of pieces that follow each other."""
    (first, start), (last, end) = run[0], run[-1]
    return lsp.TextEdit(places.range(first[0], last[1]), result[start[0] : end[1]])


def _pieces(text: str) -> list[tuple[int, int]]:
    """Return each line that says something with the blank lines in front of it, then the rest."""
    ends = [match.end() for match in _LINE.finditer(text)]
    return [*pairwise([0, *ends, len(text)])]
