"""Align tables: lines that use the same definition, argument below argument.

Lines that follow each other are a table. Below a comment with headings, a table goes on to the next
blank line, whatever stands between its rows, and rows that use another definition belong to it if
their arguments are known to be those of its columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from incgen.syntax.format.branches import aligned
from incgen.syntax.format.definitions import Definitions
from incgen.syntax.format.headings import (
    Word,
    columns_at,
    columns_of_words,
    heading_words,
)
from incgen.syntax.format.lines import INDENT, Line
from incgen.syntax.format.rows import Row, rows_of


@dataclass(frozen=True)
class Table:
    """Rows with the columns of their arguments, and perhaps headings."""

    #: Each row with the column of each of its arguments
    rows: tuple[tuple[Row, tuple[int, ...]], ...]
    heading: Line | None = None  #: The comment with the headings
    words: tuple[tuple[Word, int], ...] = ()  #: The headings with the column of each

    @property
    def gap(self) -> int:
        """Return the blanks between columns; those with headings stand further apart."""
        return 2 if self.heading else 1


def align_tables(lines: list[Line], known: Definitions) -> list[list[int]]:
    """Align every table; return the numbers of the lines that depend on each other.

    Args:
        lines: The lines, with the blanks between their tokens.
        known: The blocks that the spec can use.
    """
    rows = rows_of(lines)
    tables = list[Table]()
    for index, line in enumerate(lines):
        if line.comment and not line.tokens and index + 1 in rows:
            table = _with_headings(lines, rows, index, known)
            if table is not None:
                tables.append(table)
                for row, _ in table.rows:
                    del rows[row.line.number - 1]
    tables += _without_headings(lines, rows)
    for table in tables:
        _align(table)
    return [_numbers(table) for table in tables]


def _numbers(table: Table) -> list[int]:
    heading = [table.heading.number] if table.heading else []
    return [*heading, *(row.line.number for row, _ in table.rows)]


def _without_headings(lines: list[Line], rows: Mapping[int, Row]) -> list[Table]:
    """Return the tables of rows that follow each other; comments do not part them."""
    tables, run = list[Table](), list[Row]()
    for index, line in enumerate([*lines, Line(0, [], "", 0)]):
        if line.comment and not line.tokens:
            continue
        row = rows.get(index)
        if run and (row is None or not _alike(row, run[0])):
            if len(run) > 1:
                tables.append(Table(tuple((member, _in_order(member)) for member in run)))
            run = []
        if row is not None:
            run.append(row)
    return tables


def _alike(row: Row, other: Row) -> bool:
    return row.name == other.name and row.line.inside is other.line.inside


def _in_order(row: Row) -> tuple[int, ...]:
    return tuple(range(len(row.cells)))


# ---------------------------------------------------------------- with headings


def _with_headings(
    lines: list[Line], rows: Mapping[int, Row], index: int, known: Definitions
) -> Table | None:
    """Return the table below a comment, if that holds its headings."""
    first = rows[index + 1]
    below = list[Row]()
    for number in range(index + 1, len(lines)):
        if lines[number].is_blank:
            break
        if number in rows and rows[number].line.inside is first.line.inside:
            below.append(rows[number])
    same = [row for row in below if row.name == first.name]
    columns = max(len(row.cells) for row in same)
    own = known.parameters(first.name) or ()
    words = heading_words(lines[index], first, columns, own)
    if words is None:
        return None
    named = columns_of_words(words, same, columns)
    placed = list[tuple[Row, tuple[int, ...]]]()
    for row in below:
        places = _in_order(row) if row.name == first.name else _others(row, same, known)
        if places is not None:
            placed.append((row, places))
    return Table(tuple(placed), lines[index], tuple(zip(words, named, strict=True)))


def _others(row: Row, same: Sequence[Row], known: Definitions) -> tuple[int, ...] | None:
    """Return the columns of a row that uses another definition, if it belongs to the table.

    It does if the parameters that it gives are among those of the table's own definition, in the
    same order. If nothing is known of one of them, it does if it was typed so.
    """
    own, names = known.parameters(same[0].name), known.parameters(row.name)
    if own is None or names is None:
        typed = [row.typed(cell) for cell in range(len(row.cells))]
        places = columns_at(typed, same) if row.is_spread else None
        return None if places is None else tuple(places)
    if len(names) < len(row.cells) or not set(names[: len(row.cells)]) <= set(own):
        return None
    columns = [own.index(name) for name in names[: len(row.cells)]]
    return tuple(columns) if columns == sorted(columns) else None


# ---------------------------------------------------------------- alignment


#: The most blanks in front of anything in a table without headings.
_MOST_BLANKS = 8


class _Column(NamedTuple):
    """The position of a column."""

    start: int  #: Where its arguments begin
    width: int  #: How many characters they have
    right: bool  #: Whether they are numbers only, which end below each other

    def place(self, text: str) -> int:
        """Return where something in the column begins."""
        return self.start + (max(self.width - len(text), 0) if self.right else 0)


def _align(table: Table) -> None:
    """Set the blanks of a table, unless a line would become too long or fall apart."""
    columns = list[_Column]()
    lines = [row.line for row, _ in table.rows]

    def place() -> bool:
        before = [list(line.gaps) for line in lines]
        columns.extend(_place(table))
        return table.heading is not None or not any(
            old < new > _MOST_BLANKS
            for line, gaps in zip(lines, before, strict=True)
            for old, new in zip(gaps, line.gaps, strict=True)
        )

    if aligned(lines, place) and table.heading is not None:
        text = "#"
        for word, column in table.words:
            begin = columns[column].place(word.text) - table.heading.level * INDENT
            text += f"{' ' * max(begin - len(text), 1)}{word.text}"
        table.heading.comment = text


def _place(table: Table) -> list[_Column]:
    """Move the tokens of every row, and return where the columns are."""
    name = max(row.line.place(2) for row, _ in table.rows)
    start = name + max(len(row.name) for row, _ in table.rows) + table.gap
    columns, right = list[_Column](), _of_numbers(table)
    for number, width in enumerate(_widths(table)):
        columns.append(_Column(start, width, number in right))
        start += width + table.gap
    for row, places in table.rows:
        row.line.move(2, name)
        end = name + len(row.name)
        for (first, _), text, column in zip(row.cells, row.texts, places, strict=True):
            begin = columns[column].place(text)
            row.line.gaps[first], end = begin - end, begin + len(text)
        if row.tail < len(row.line.tokens):
            row.line.gaps[row.tail] = start - end
    return columns


def _widths(table: Table) -> list[int]:
    """Return the width of each column.

    A heading stands above the columns from its own to the next one that has a heading.
    """
    widest = dict[int, int]()
    for row, places in table.rows:
        for text, column in zip(row.texts, places, strict=True):
            widest[column] = max(widest.get(column, 0), len(text))
    widths = [widest.get(column, 0) for column in range(max(widest) + 1)]
    ends = [*(column for _, column in table.words[1:]), len(widths)]
    for (word, column), end in zip(table.words, ends, strict=False):
        room = sum(widths[column:end]) + table.gap * (end - column - 1)
        widths[end - 1] += max(len(word.text) - room, 0)
    return widths


def _of_numbers(table: Table) -> set[int]:
    """Return the columns that only hold plain numbers."""
    cells = [
        (column, row.is_number(cell))
        for row, places in table.rows
        for cell, column in enumerate(places)
    ]
    return {column for column, _ in cells} - {column for column, number in cells if not number}
