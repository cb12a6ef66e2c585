"""Tables as text: cells that are padded to columns."""

from __future__ import annotations

from collections.abc import Collection, Sequence


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
