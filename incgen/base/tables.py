"""Tables of any cells: as text, whose cells are padded to columns, in Markdown, and as CSV."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Collection, Iterable, Sequence


def padded(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> list[list[str]]:
    """Pad the cells of rows to the widths of their columns, of which some are aligned right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        [
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in rows
    ]


def aligned(
    rows: Sequence[Sequence[str]], right: Collection[int] = (), gap: str = "   "
) -> list[str]:
    """Return rows as lines, with a gap between their padded cells."""
    return [gap.join(row).rstrip() for row in padded(rows, right)]


def ruled(
    rows: Sequence[Sequence[str]], right: Collection[int] = (), gap: str = "   "
) -> list[str]:
    """Return rows as lines, with a rule below the first, which is the heading."""
    lines = aligned(rows, right, gap)
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]


def columns(rows: Sequence[Sequence[str]], width: int) -> str:
    """Align the cells of rows; the last one is filled into what is left of the width.

    Backticks are for prose; in a table, the columns show what is code.
    """
    rows = [[cell.replace("`", "") for cell in row] for row in rows]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)][:-1]
    margin = " " * sum(size + 2 for size in widths)
    lines = []
    for *cells, last in rows:
        begin = "".join(f"{cell:{size + 2}}" for cell, size in zip(cells, widths, strict=True))
        room = max(width - len(margin), 24)
        more = textwrap.wrap(last, room, break_long_words=False, break_on_hyphens=False) or [""]
        lines += [begin + more[0], *(margin + line for line in more[1:])]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def markdown(
    head: Sequence[str], rows: Iterable[Sequence[str]], right: Collection[int] = ()
) -> str:
    """Return a table in Markdown, with some columns aligned to the right."""
    rules = ["---:" if number in right else "---" for number in range(len(head))]
    lines = (head, rules, *([_escaped(cell) for cell in row] for row in rows))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def comma_separated(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table as CSV; None is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()
