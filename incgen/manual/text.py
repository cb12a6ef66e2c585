"""Text for a terminal: paragraphs filled into lines, and tables."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

#: What examples are indented by.
MARGIN = "    "


def filled(text: str, width: int) -> str:
    """Fill each paragraph of a text into lines of at most so many columns."""
    paragraphs = text.strip().split("\n\n")
    fill = textwrap.TextWrapper(width, break_long_words=False, break_on_hyphens=False).fill
    return "\n\n".join(map(fill, paragraphs))


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
