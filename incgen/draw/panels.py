"""The definition of a block drawn once, above the table of its uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from incgen.draw.colours import WHITE, ink_on
from incgen.draw.diagram import Diagram, boxes
from incgen.draw.folding import block_diagram
from incgen.draw.heat import COLUMNS, Heat
from incgen.draw.layout import Layout
from incgen.draw.network import Network
from incgen.draw.pieces import SMALL, Axes
from incgen.draw.scene import Label, Mark, Patch
from incgen.draw.symbolic import definition_diagram
from incgen.draw.text import cut, times, width, wrapped
from incgen.draw.uses import Use, uses
from incgen.graph.words import short
from incgen.language.printing import spec_value

_PAD = 16.0  #: Inside a panel
_ROW, _COLUMN = 16.0, 18.0  #: The height of a row of the table, and the space between columns
_PROSE = 15.0  #: From one line of prose to the next
_WIDEST = 240.0  #: A column
#: The most rows of a table.
_MOST = 40


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel without a place."""

    width: float
    height: float
    head: tuple[Mark, ...]  #: Its title and prose, from the left
    body: tuple[Mark, ...]  #: The drawing and the table, which stand in the middle

    def marks(self, width: float) -> tuple[Mark, ...]:
        """Return everything in a panel that is made so wide."""
        aside = (width - self.width) / 2
        border = Patch(0, 0, width, self.height, "panel")
        return (border, *self.head, *(mark.moved(aside, 0) for mark in self.body))


def panels(
    network: Network, diagram: Diagram, axes: Axes, heat: Heat | None
) -> tuple[list[Panel], list[Diagram]]:
    """Return a panel for each block that is folded in a diagram or in another panel.

    Returns:
        The panels, and the diagrams in them.
    """
    known = definitions(network, diagram)
    return [_panel(inside, rows, axes, heat) for inside, rows in known], [
        inside for inside, _ in known
    ]


def definitions(network: Network, diagram: Diagram) -> list[tuple[Diagram, Sequence[Use]]]:
    """Return each block that is folded in a diagram or in another block: its inside, its uses."""
    blocks = dict[str, tuple[Diagram, Sequence[Use]]]()
    waiting = [diagram]
    while waiting:
        for box in boxes(waiting.pop(0).row):
            if box.folds and box.folds not in blocks:
                rows = uses(network, box.folds)
                if rows:  # a side of a condition that is never taken has none
                    blocks[box.folds] = _diagram(network, rows), rows
                    waiting.append(blocks[box.folds][0])
    return [*blocks.values()]


def _diagram(network: Network, rows: Sequence[Use]) -> Diagram:
    """Return the inside of a block: with numbers if they are the same in every use."""
    every = [used for row in rows for used in row.all]
    nodes = network.graph.nodes
    forms = {(nodes[used.source].shape, tuple(used.given.items())) for used in every}
    if len(forms) == 1:
        return block_diagram(network, every[0])
    return definition_diagram(every[0].definition)


def _panel(diagram: Diagram, rows: Sequence[Use], axes: Axes, heat: Heat | None) -> Panel:
    definition = rows[0].first.definition
    part = Layout(diagram, axes).whole()
    drawing_width, drawing_height = axes.place(part.length, part.before + part.after)
    table_width, table = _table(columns(rows), rows, heat)
    names = ", ".join(formal.name for formal in definition.parameters)
    heading = width(definition.name, 13, bold=True)
    inner = max(drawing_width, table_width, heading + 20, 220)
    prose = wrapped(definition.doc.partition("\n\n")[0], 12, inner)
    parameters = f"({names})" if names else ""
    more = cut(parameters, 11, inner - heading - 6)
    head: list[Mark] = [Label(_PAD, _PAD + 12, definition.name, "heading", more=more)]
    y = _PAD + 18
    for line in prose:
        y += _PROSE
        head.append(Label(_PAD, y, cut(line, 12, inner), "prose"))
    y += 14
    dx, dy = axes.place(0, part.before)
    left = _PAD + (inner - drawing_width) / 2
    body = [mark.moved(left + dx, y + dy) for mark in part.marks]
    y += drawing_height + 14
    body += (mark.moved(_PAD + (inner - table_width) / 2, y) for mark in table)
    high = y + _ROW * (len(table_rows(rows)) + 1) + _PAD
    return Panel(inner + 2 * _PAD, high, tuple(head), tuple(body))


def table_rows(rows: Sequence[Use]) -> Sequence[Use]:
    """Return the uses that a table shows."""
    return rows[:_MOST]


def columns(rows: Sequence[Use]) -> list[tuple[str, list[str]]]:
    """Return the heading of each column, and its cells."""
    shown = table_rows(rows)
    counts = [f"{len(row.all)} × " if len(row.all) > 1 else "" for row in shown]
    labels = [
        cut(count + row.label, SMALL, _WIDEST) for count, row in zip(counts, shown, strict=True)
    ]
    if len(rows) > len(shown):
        labels[-1] += f" and {len(rows) - len(shown)} more"
    result = [("use", labels)]
    for formal in rows[0].first.definition.parameters:
        name = cut(formal.name, SMALL, _WIDEST / 2)
        result.append((name, [spec_value(row.first.given[formal.name]) for row in shown]))
    result.append(("output", [times(row.facts.shape) for row in shown]))
    facts = [row.facts for row in shown]
    result.append(("parameters", [short(f.parameters) for f in facts]))
    result.append(("multiply-adds", [short(f.multiply_adds) for f in facts]))
    fields = ["×".join(map(str, f.field.size)) for f in facts]
    result.append(("receptive field", fields))
    return result


def _table(
    columns: Sequence[tuple[str, list[str]]], rows: Sequence[Use], heat: Heat | None
) -> tuple[float, list[Mark]]:
    """Return the width of a table and its marks."""
    marks: list[Mark] = []
    x = 0.0
    for number, (name, cells) in enumerate(columns):
        wide = max(width(text, SMALL) for text in (name, *cells))
        left = number == 0
        place, anchor = (x, "start") if left else (x + wide, "end")
        marks.append(Label(place, _ROW - 6, name, "column", anchor))
        for at, text in enumerate(cells):
            y, style = _ROW * (at + 1), "cell"
            if heat is not None and name == COLUMNS[heat.number]:
                fill = heat.colour(rows[at].facts)
                style = "cell on-dark" if ink_on(fill) == WHITE else "cell on-light"
                marks.append(Patch(x - 4, y + 1, wide + 8, _ROW - 2, "cell", fill))
            marks.append(Label(place, y + 12, text, style, anchor))
        x += wide + _COLUMN
    total = x - _COLUMN
    marks.append(Patch(0, _ROW - 1, total, 0.8, "rule"))
    return total, marks
