"""Tables of a network as HTML, with bars for where the cost is."""

from __future__ import annotations

from html import escape

from incgen.show.columns import SHARE, Column, Value
from incgen.show.sheet import Sheet
from incgen.show.tree import Row

#: Styles are inline, because a notebook has no file beside it.
_TABLE = "border-collapse: collapse; font-variant-numeric: tabular-nums"
_CELL = "padding: 1px 16px 1px 0; white-space: nowrap; text-align: "
#: How far a level of labels is indented, in pixels.
_INDENT = 16
#: The colour of bars, on light and on dark.
_BAR = "rgba(74, 134, 197, 0.4)"


def table(sheet: Sheet) -> str:
    """Return the table: a heading, a row for each part, and the total."""
    names = ["layer", *map(sheet.heading, sheet.columns)]
    rights = [False, *(column.number for column in sheet.columns)]
    head = "".join(map(_heading, names, rights))
    rows = [_row(sheet, row) for row in sheet.rows]
    total = [_text("total"), *(_number(sheet.total(column)) for column in sheet.columns)]
    body = "\n".join([*rows, f"<tr>{''.join(total)}</tr>"])
    head = f"<thead><tr>{head}</tr></thead>"
    return f'<table style="{_TABLE}">\n{head}\n<tbody>\n{body}\n</tbody>\n</table>'


def _heading(name: str, right: bool) -> str:
    return f'<th style="{_CELL}{"right" if right else "left"}">{escape(name)}</th>'


def _row(sheet: Sheet, row: Row) -> str:
    level = row.level if sheet.nested else 0
    cells = [_text(sheet.label(row), level)]
    for column in sheet.columns:
        cells.append(
            _share(*sheet.share(row)) if column.name == SHARE else _cell(sheet, column, row)
        )
    return f"<tr>{''.join(cells)}</tr>"


def _cell(sheet: Sheet, column: Column, row: Row) -> str:
    value = sheet.value(column, row)
    return _number(value) if column.number or isinstance(value, int) else _text(value)


def _text(value: Value, level: int = 0) -> str:
    margin = f"; padding-left: {level * _INDENT}px" if level else ""
    return f'<td style="{_CELL}left{margin}">{escape(str(value or ""))}</td>'


def _number(value: Value) -> str:
    text = f"{value:,}" if isinstance(value, int) and value else ""
    return f'<td style="{_CELL}right">{text}</td>'


def _share(share: float, length: float) -> str:
    """Return a cell with a share in percent, in front of a bar."""
    if not share:
        return _text(None)
    fill = f"linear-gradient(to right, {_BAR} {100 * length:.1f}%, transparent 0)"
    style = f"{_CELL}left; min-width: 120px; background: {fill}"
    return f'<td style="{style}">{100 * share:.1f}</td>'
