"""Tables of any cells in Markdown and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Sequence


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
