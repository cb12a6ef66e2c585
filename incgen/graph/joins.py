"""Joins: the shape of what is joined, or which branches do not fit and how each came about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from incgen.graph.nodes import Node
from incgen.graph.shapes import Borders, Shape, Window

#: A history tells so many layers.
_MAX_HISTORY = 4


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Two branches, by their index, and how their shapes differ."""

    first: int
    second: int
    how: str


def joined(kind: str, shapes: Sequence[Shape]) -> Shape | Mismatch:
    """The shape of a join.

    `concat` joins channels; in `add` and `mul` a vector joins a map of as many channels.

    Args:
        kind: `concat`, `add` or `mul`.
        shapes: of the branches, in order.
    """
    first = shapes[0]
    if kind == "concat":
        channels = 0
        for number, shape in enumerate(shapes):
            if (shape.height, shape.width) != (first.height, first.width):
                same_rank = shape.is_map == first.is_map
                how = "their height and width differ" if same_rank else _RANKS
                return Mismatch(0, number, how)
            channels += shape.channels
        return Shape(channels, first.height, first.width)
    base = next((number for number, shape in enumerate(shapes) if shape.is_map), 0)
    for number, shape in enumerate(shapes):
        broadcast = not shape.is_map and shape.channels == shapes[base].channels
        if shape != shapes[base] and not broadcast:
            low, high = sorted((base, number))
            return Mismatch(low, high, _difference(shapes[low], shapes[high]))
    return shapes[base]


_RANKS = "one is a map, the other a vector, and only `add` and `mul` spread one over the other"


def _difference(first: Shape, second: Shape) -> str:
    channels = first.channels != second.channels
    if first.is_map != second.is_map:
        return "their channels differ"
    sizes = (first.height, first.width) != (second.height, second.width)
    if channels and sizes:
        return "their shapes differ"
    return "their channels differ" if channels else "their height and width differ"


def mismatch_help(kind: str, first: Shape, second: Shape) -> str:
    """What to do about two branches that do not fit."""
    if first.is_map != second.is_map:
        if kind == "concat":
            return "pool or flatten both branches, or neither"
        return f"end the vector in `dense {(first if first.is_map else second).channels}`"
    if (first.height, first.width) != (second.height, second.width):
        return "give both branches the same strides and paddings"
    op = "a 1x1 `conv`" if first.is_map else "a `dense`"
    return f"give both branches the same number of channels, for instance with {op}"


def history(nodes: Sequence[Node], value: int) -> str:
    """How a value got its shape: the last few layers that changed it, shapes between them."""
    parts = [str(nodes[value].shape)]
    node = nodes[value]
    while node.inputs:
        before = nodes[node.inputs[0]]
        if node.shape != before.shape or node.op == "concat":
            if len(parts) > 2 * _MAX_HISTORY:
                parts.append("...")
                break
            parts += [_described(node), str(before.shape)]
        node = before
    else:
        parts[-1] = f"input {parts[-1]}"
    return " -> ".join(reversed(parts))


def _described(node: Node) -> str:
    """A layer in a few words: its op with the numbers that made its shape."""
    window: Window | None = node.args.get("window")
    if window is None:
        return f"`{node.op}`"
    around: Borders = node.args.get("borders", ((0, 0), (0, 0)))
    padding = f"padding {_sides(around)}" if max(around[0] + around[1]) else "no padding"
    dilation = node.args.get("dilation", 1)
    dilated = f", dilation {dilation}" if dilation > 1 else ""
    ceil = ", ceil" if node.args.get("ceil") else ""
    return f"`{node.op} {window}` ({padding}{dilated}{ceil})"


def _sides(around: Borders) -> str:
    sides = {*around[0], *around[1]}
    if len(sides) == 1:
        return str(sides.pop())
    return f"[{around[0][0]}, {around[0][1]}, {around[1][0]}, {around[1][1]}]"
