"""Recognise the comment with the headings of a table, and say which column each of them names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from incgen.syntax.format.lines import Line
from incgen.syntax.format.rows import Row

_WORD = re.compile(r"\S+")


class Word(NamedTuple):
    """A heading, and the column where it was typed."""

    text: str
    start: int


def heading_words(
    comment: Line, row: Row, columns: int, parameters: Sequence[str]
) -> list[Word] | None:
    """Return the headings that a comment directly above a row holds; None if it holds none.

    Headings stand apart from each other, or begin further right than prose would. If their blanks
    were lost, they still are headings if they abbreviate the names of the parameters below them, or
    if there are three or more that mostly contain digits, as `1x1` does. Parameters
    are known if the definition is.
    """
    text = comment.comment
    if text.startswith("##"):
        return None
    words = [Word(m[0], comment.column + m.start()) for m in _WORD.finditer(text) if m.start()]
    if len(text) < 2 or not text[1].isspace():
        return None
    if not 0 < len(words) <= columns:
        return None
    gaps = [b.start - a.start - len(a.text) for a, b in pairwise(words)]
    lead = words[0].start - comment.column - 1
    spread = "\t" in text or (lead > 1 and any(gap > 1 for gap in gaps))
    return words if spread or _right_of(words, row) or _told(words, parameters) else None


def _right_of(words: list[Word], row: Row) -> bool:
    """Return whether headings begin behind the name that the row below uses."""
    return words[0].start >= row.line.tokens[2].end


def _told(words: list[Word], parameters: Sequence[str]) -> bool:
    """Return whether words are headings by what they say."""
    short = sum(_abbreviates(w.text, name) for w, name in zip(words, parameters, strict=False))
    if len(words) > 1 and 4 * short >= 3 * len(words):
        return True
    digits = sum(any(char.isdigit() for char in word.text) for word in words)
    return len(words) > 2 and 2 * digits > len(words)


def _abbreviates(word: str, name: str) -> bool:
    """Return whether a word consists of letters of a name, in order, as `3x3r` of `n3x3_reduce`."""
    rest = iter(name)
    return all(char in rest for char in word)


def columns_of_words(words: list[Word], rows: Sequence[Row], columns: int) -> list[int]:
    """Return the column that each heading names: the one it was typed above, or one after another.

    The arguments of the rows below fill the columns in order.
    """
    if len(words) < columns:
        base = rows[0].line.tokens[2].start
        extents = [range(w.start - base, w.start - base + len(w.text)) for w in words]
        places = columns_at(extents, rows)
        if places is not None:
            return places
    return list(range(len(words)))


def columns_at(extents: Sequence[range], rows: Sequence[Row]) -> list[int] | None:
    """Return the column that each part of a line was typed in, if every part was aligned with one.

    A part is aligned if it begins or ends where the arguments of most rows do.

    Args:
        extents: Where the parts were typed, from the beginning of the use.
        rows: Rows whose arguments fill the columns in order.
    """
    starts, ends = dict[int, int](), dict[int, int]()
    for column in range(max(len(row.cells) for row in rows)):
        typed = [row.typed(column) for row in rows if column < len(row.cells)]
        for known, places in (
            (starts, [cell.start for cell in typed]),
            (ends, [cell.stop for cell in typed]),
        ):
            place = sorted(places)[len(places) // 2]  # where most are, if anywhere
            if 2 * places.count(place) > len(typed):
                known[place] = column
    columns = list[int]()
    for extent in extents:
        column = starts.get(extent.start, ends.get(extent.stop, -1))
        if column <= (columns[-1] if columns else -1):
            return None
        columns.append(column)
    return columns
