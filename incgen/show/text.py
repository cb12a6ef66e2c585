"""The table of a network for people: on a terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from incgen.base.diagnostics import clipped, plain
from incgen.base.painting import Paint, unpainted
from incgen.base.tables import comma_separated, markdown, padded
from incgen.graph.nodes import Graph
from incgen.graph.shapes import Shape
from incgen.graph.words import short
from incgen.language.printing import spec_value
from incgen.show.columns import SHARE, Column
from incgen.show.sheet import Sheet
from incgen.show.tree import Row

_INDENT = "  "
#: They are not made narrower than this to fit into a terminal.
_NARROWEST = 12
_BLOCKS = " ▏▎▍▌▋▊▉█"


@dataclass(frozen=True, slots=True)
class _Layout:
    """The widths of the parts of a table, in columns."""

    gap: int = 3
    bar: int = 10  #: The longest bar; 0 for no shares
    #: The layer and its op are cut where they are longer: a table that wraps cannot be read
    layer: int = 36
    op: int = 34


_USUAL = _Layout()
#: From the widest to the narrowest.
_LAYOUTS = (_USUAL, _Layout(gap=2, bar=5), _Layout(bar=0), _Layout(gap=2, bar=0))


def table(sheet: Sheet, *, width: int | None = None, paint: Paint = unpainted) -> str:
    """Return the table of a network, with what it is above and what it costs below.

    It fits into a width if that is possible; `paint` writes a text in a style.
    """
    graph = sheet.known.graph
    name, *doc = _heading(graph)
    body = _body(sheet, width, paint)
    return "\n".join([paint(name, "heading"), *doc, "", *body, "", *summary(sheet)]) + "\n"


def _body(sheet: Sheet, width: int | None, paint: Paint) -> list[str]:
    """Return the widest form of a table that fits."""
    shares = any(c.name == SHARE for c in sheet.columns)
    for layout in _LAYOUTS:
        if not layout.bar and shares:
            shares, sheet = False, _without_share(sheet)
        lines = _lines(sheet, layout)
        over = _width(lines, layout) - (width or _width(lines, layout))
        if over <= 0:
            return _drawn(sheet, lines, layout, paint)
    names = ["layer", *(c.name for c in sheet.columns)]
    for column in ("op", "layer"):
        if over > 0 and column in names:
            now = max(len(line[names.index(column)]) for line in lines)
            cut = max(now - over, min(now, _NARROWEST))
            over -= now - cut
            layout = replace(layout, **{column: cut})
    return _drawn(sheet, _lines(sheet, layout), layout, paint)


def _without_share(sheet: Sheet) -> Sheet:
    return replace(sheet, columns=[column for column in sheet.columns if column.name != SHARE])


def _lines(sheet: Sheet, layout: _Layout) -> list[list[str]]:
    """Return the cells of all lines: the heading, the rows, the total."""
    lines = [["layer", *(_head(sheet, column, layout) for column in sheet.columns)]]
    for row in sheet.rows:
        label = _INDENT * row.level * sheet.nested + sheet.label(row)
        lines.append([label, *(_shown(sheet, column, row, layout.bar) for column in sheet.columns)])
    lines.append(["total", *(_counted(sheet.total(column)) for column in sheet.columns)])
    widest = {"layer": layout.layer, "op": layout.op}
    for number, name in enumerate(["layer", *(column.name for column in sheet.columns)]):
        if name in widest:
            for line in lines:
                line[number] = clipped(line[number], widest[name])
    return [[plain(cell) for cell in line] for line in lines]


def _head(sheet: Sheet, column: Column, layout: _Layout) -> str:
    """Return the heading of a column, a short one above short bars."""
    short_bars = column.name == SHARE and layout.bar < _USUAL.bar
    return "%" if short_bars else sheet.heading(column)


def _width(lines: Sequence[Sequence[str]], layout: _Layout) -> int:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return sum(widths) + layout.gap * (len(widths) - 1)


def _drawn(sheet: Sheet, lines: list[list[str]], layout: _Layout, paint: Paint) -> list[str]:
    columns = enumerate(sheet.columns, 1)
    right = {number for number, column in columns if column.number and column.name != SHARE}
    names = ["", *(column.name for column in sheet.columns)]
    gap = " " * layout.gap
    head, *rows, total = cells_of_lines = padded(lines, right)
    rule = paint("-" * max(len(gap.join(line).rstrip()) for line in cells_of_lines), "faint")
    shown = [paint(gap.join(head).rstrip(), "heading"), rule]
    for row, line in zip(sheet.rows, rows, strict=True):
        heat = _heat(sheet.share(row)[1])
        cells = [
            _painted(cell, heat, paint) if name == SHARE else cell
            for cell, name in zip(line, names, strict=True)
        ]
        shown.append(gap.join(cells).rstrip())
    return [*shown, rule, paint(gap.join(total).rstrip(), "total")]


def _painted(cell: str, style: str, paint: Paint) -> str:
    """Write a cell in a style, but not the blanks behind it."""
    text = cell.rstrip()
    return (paint(text, style) if text else "") + " " * (len(cell) - len(text))


def _heat(share: float) -> str:
    return "long" if share > 2 / 3 else "middle" if share > 1 / 3 else "short"


def _shown(sheet: Sheet, column: Column, row: Row, bar: int) -> str:
    """Return a cell as people read it: numbers in groups of three, nothing for 0."""
    if column.name == SHARE:
        return _bar(*sheet.share(row), bar)
    value = sheet.value(column, row)
    return _counted(value) if isinstance(value, int) else value or ""


def _counted(value: int | None) -> str:
    return f"{value:,}" if value else ""


def _bar(share: float, length: float, longest: int) -> str:
    """Return a share in percent, and a bar.

    >>> _bar(0.25, 0.55, 10)
    ' 25.0 █████▌'
    """
    if not share:
        return ""
    eighths = max(1, round(8 * longest * length))
    bar = "█" * (eighths // 8) + _BLOCKS[eighths % 8].strip()
    return f"{100 * share:5.1f} {bar}"


# ---------------------------------------------------------------- above and below


def _heading(graph: Graph) -> list[str]:
    network = graph.program.network
    arguments = ", ".join(f"{name} = {spec_value(v)}" for name, v in graph.arguments.items())
    heading = f"{network.name}({arguments})" if arguments else network.name
    heading += f"  from {graph.program.file}{', for inference' if graph.deployment else ''}"
    doc = network.doc or graph.program.doc
    return [*map(plain, (heading, *(doc.split("\n") if doc else ())))]


def summary(sheet: Sheet) -> list[str]:
    """Return the lines below a table."""
    graph, memory = sheet.known.graph, sheet.known.memory
    outputs = ", ".join(
        f"{name} ({graph.nodes[index].shape})" for name, index in graph.outputs.items()
    )
    numbers = sum(tensor.size for tensor in graph.tensors().values())
    trained, kept = graph.trained, numbers - graph.trained
    training = f"{short(memory.training, 'B')} kept in training, "
    return [
        f"outputs        {outputs}",
        f"parameters     {short(trained)}, and {short(kept)} running statistics; "
        f"{short(4 * numbers, 'B')} as float32",
        f"multiply-adds  {short(graph.multiply_adds)} for one {_size(graph.input)} input",
        f"activations    {'' if graph.deployment else training}"
        f"{short(memory.inference, 'B')} at once in inference, for one input",
    ]


def _size(shape: Shape) -> str:
    return f"{shape.height} x {shape.width}"


# ---------------------------------------------------------------- Markdown and CSV


def in_markdown(sheet: Sheet) -> str:
    """Return the table in Markdown, each row under its whole key, and the total below."""
    right = {number for number, column in enumerate(sheet.columns, 1) if column.number}
    rows = [
        [
            f"`{row.group.key}`",
            *(_shown(sheet, column, row, _USUAL.bar).strip() for column in sheet.columns),
        ]
        for row in sheet.rows
    ]
    total = ["**total**", *(_counted(sheet.total(column)) for column in sheet.columns)]
    head = ["layer", *map(sheet.heading, sheet.columns)]
    return markdown(head, [*rows, total], right)


def as_csv(sheet: Sheet) -> str:
    """Return the rows without others inside them as CSV, so that their sum is the network's."""
    head = ["layer", *(column.name for column in sheet.columns)]
    rows = [[row.group.key, *_exact(sheet, row)] for row in sheet.rows if row.leaf]
    return comma_separated(head, rows)


def _exact(sheet: Sheet, row: Row) -> list[object]:
    share = f"{sheet.share(row)[0]:.6f}"
    return [share if column.name == SHARE else sheet.value(column, row) for column in sheet.columns]
