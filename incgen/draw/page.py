"""A whole drawing: title, totals and legend, the network, and panels of its blocks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from incgen.draw.arranging import arranged
from incgen.draw.colours import KINDS, THEMES
from incgen.draw.colours import heat as colour
from incgen.draw.diagram import Box, Diagram, boxes
from incgen.draw.folding import diagram
from incgen.draw.heat import Heat, OfBox, heat_of, nothing
from incgen.draw.layout import Layout
from incgen.draw.network import Network
from incgen.draw.panels import panels
from incgen.draw.pieces import Axes
from incgen.draw.scene import Label, Mark, Patch, Scene
from incgen.draw.text import cut, times, width, wrapped
from incgen.draw.view import View
from incgen.graph.nodes import Graph
from incgen.graph.words import short
from incgen.resolve.definitions import Definition, Instance, OpCall, Step, within

_MARGIN = 24.0
_NARROWEST = 420.0  #: A page is at least so wide, for its title
_SWATCH = 12.0


def scene(graph: Graph, view: View, notes: Sequence[tuple[str, str]] = ()) -> tuple[Scene, OfBox]:
    """Draw a network.

    Args:
        graph: The network.
        view: How it is drawn.
        notes: Lines below the legend: a colour, or "" for none, and a text.

    Returns:
        The drawing, and what gives the colour of a box in place of that of its kind.

    Raises:
        DrawError: The view opens what is not there.
    """
    network, theme, axes = Network(graph), THEMES[view.theme], Axes(view.down)
    main = diagram(network, view)
    shown = list(boxes(main.row))
    heat = heat_of(view.heat, shown, theme) if view.heat else None
    part = Layout(main, axes, heat.text if heat else nothing).whole()
    wide, high = axes.place(part.length, part.before + part.after)
    dx, dy = axes.place(0, part.before)
    blocks, inside = panels(network, main, axes, heat) if view.definitions else ([], [])
    spots = arranged((wide, high), blocks, view.down)
    whole = max([wide, _NARROWEST, *(spot.x + spot.width for spot in spots)])
    head, top = _head(graph, [main, *inside], heat, whole)
    more, top = _notes(notes, top, whole)
    head += more
    marks = [*head, *(mark.moved(_MARGIN + dx, top + dy) for mark in part.marks)]
    bottom = top + high
    for spot in spots:
        placed = spot.panel.marks(spot.width)
        marks += (mark.moved(_MARGIN + spot.x, top + spot.y) for mark in placed)
        bottom = max(bottom, top + spot.y + spot.panel.height)
    size = whole + 2 * _MARGIN, bottom + _MARGIN
    made = Scene(*size, tuple(marks), titled(graph), _described(graph))
    return made, heat.fill if heat else nothing


def _head(
    graph: Graph, drawn: Sequence[Diagram], heat: Heat | None, whole: float
) -> tuple[list[Mark], float]:
    """Return the title, the totals and the legend, and where they end."""
    y = _MARGIN + 18
    name = cut(graph.program.network.name, 20, whole, bold=True)
    marks: list[Mark] = [Label(_MARGIN, y, name, "name")]
    for line in (*wrapped(about(graph), 12, whole), totals(graph)):
        y += 17
        marks.append(Label(_MARGIN, y, cut(line, 12, whole), "prose"))
    y += 12
    shown = [box for drawing in drawn for box in boxes(drawing.row)]
    if heat is not None:
        marks += _scale(heat, y)
        y += 30
    else:
        legend, y = _legend(shown, y, whole)
        marks += legend
    for unit in _units(graph, shown):
        y += 15
        marks.append(Label(_MARGIN, y, cut(unit, 11, whole), "faint"))
    return marks, y + 26


def _notes(notes: Sequence[tuple[str, str]], y: float, whole: float) -> tuple[list[Mark], float]:
    """Return further lines of a legend, and where they end."""
    marks: list[Mark] = []
    for colour_, text in notes:
        x = 0.0
        if colour_:
            marks.append(Patch(_MARGIN, y - 12, _SWATCH, _SWATCH, "other", colour_))
            x = _SWATCH + 6
        marks.append(Label(_MARGIN + x, y - 2, cut(text, 11, whole - x), "faint"))
        y += 20
    return marks, y


def titled(graph: Graph) -> str:
    """Return the title of a drawing: its network and the file of that."""
    return f"{graph.program.network.name}, drawn from {graph.program.file}"


def about(graph: Graph) -> str:
    """Return the first paragraph of what is said of a network, or else of its file, in a line."""
    prose = graph.program.network.doc or graph.program.doc
    return " ".join(prose.partition("\n\n")[0].split())


def totals(graph: Graph) -> str:
    """Return the size of the input and the cost of a network in a line."""
    return (
        f"input {times(graph.input)} · {short(graph.trained)} parameters · "
        f"{short(graph.multiply_adds)} multiply-adds"
    )


def _described(graph: Graph) -> str:
    outputs = ", ".join(
        f"{name} ({times(graph.nodes[index].shape)})" for name, index in graph.outputs.items()
    )
    layers = len(graph.nodes) - 1
    return f"{totals(graph)}; {layers} layers; outputs {outputs}"


def _legend(shown: Iterable[Box], y: float, whole: float) -> tuple[list[Mark], float]:
    """Return a swatch and a name for each kind of box that is drawn."""
    present = {box.kind for box in shown} - {"input", "join"}
    marks: list[Mark] = []
    x = 0.0
    y += 4
    for kind in KINDS:
        if kind not in present:
            continue
        text = "block, folded" if kind == "block" else kind
        wide = _SWATCH + 6 + width(text, 11) + 18
        if x and x + wide > whole:
            x, y = 0.0, y + 20
        marks.append(Patch(_MARGIN + x, y, _SWATCH, _SWATCH, kind))
        marks.append(Label(_MARGIN + x + _SWATCH + 6, y + 10, text, "faint"))
        x += wide
    return marks, y + _SWATCH + 4


def _scale(heat: Heat, y: float) -> list[Mark]:
    """Return the scale of heat, from 0 to the largest number."""
    steps, wide = 40, 200.0
    fills = [colour(heat.theme, step / (steps - 1)) for step in range(steps)]
    marks: list[Mark] = [
        Patch(_MARGIN + at * wide / steps, y, wide / steps + 0.5, 10, "cell", fill)
        for at, fill in enumerate(fills)
    ]
    names = {"receptive-field": "receptive field, the longer side"}
    text = names.get(heat.number, heat.number)
    marks.append(Label(_MARGIN, y + 22, "0", "cell"))
    marks.append(Label(_MARGIN + wide, y + 22, heat.written(heat.most), "cell", "end"))
    marks.append(Label(_MARGIN + wide + 12, y + 9, text, "faint"))
    return marks


def _units(graph: Graph, shown: Iterable[Box]) -> list[str]:
    """Return what each unit that is drawn stands for: `conv_bn = conv → bn → relu`."""
    names = {box.text.split(" ")[0] for box in shown}
    units = [d for d in graph.program.definitions if d.kind == "unit" and d.name in names]
    return [f"{unit.name} = {' → '.join(_ops(unit))}" for unit in units]


def _ops(unit: Definition) -> list[str]:
    """Return the names of what a unit consists of."""
    step = unit.body.steps[0]
    assert isinstance(step, Step) and step.element is not None
    return [
        part.op.name if isinstance(part, OpCall) else part.definition.name
        for part in within(step.element)
        if isinstance(part, OpCall | Instance)
    ]
