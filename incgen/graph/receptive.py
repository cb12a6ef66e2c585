"""The receptive field of every layer: which pixels of the input one of its outputs depends on.

Along each axis, output p of a layer depends on the input pixels from lo(p) to hi(p), counted as if
the input went on beyond its borders, as is usual (Araujo, Norris & Sim, "Computing Receptive Fields
of Convolutional Neural Networks", Distill, 2019). With every window, lo is the smallest and hi the
largest of some lines a p + b: of one line each, unless branches with different strides were joined.
So the lines are exact, and cost nothing that grows with the image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from incgen.graph.nodes import Graph, Node
from incgen.graph.shapes import Shape, Window, effective

#: Lines a p + b as (a, b).
_Lines: TypeAlias = tuple[tuple[int, int], ...]
#: The window of what has none, but a border.
_PIXEL = Window((1, 1), (1, 1))


@dataclass(frozen=True, slots=True)
class Field:
    """The receptive field of the outputs of one layer, in pixels of the input."""

    size: tuple[int, int]  #: Height and width; the largest, if outputs differ
    #: The distance between the fields of neighbouring outputs, in rows and columns; None for a
    #: vector, and where it is not the same everywhere
    stride: tuple[int, int] | None

    def __str__(self) -> str:
        """Write it as `7 x 7, stride 2`."""
        text = "{} x {}".format(*self.size)
        if self.stride is None:
            return text
        high, wide = self.stride
        return f"{text}, stride {high}" + (f" x {wide}" if wide != high else "")


@dataclass(frozen=True, slots=True)
class _Axis:
    """The fields of all outputs along one axis: a list if `lines` cannot say them."""

    count: int  #: The number of outputs
    low: _Lines  #: lo(p) is the smallest of these
    high: _Lines  #: hi(p) is the largest
    ranges: tuple[tuple[int, int], ...] = ()  #: lo and hi of every output, where there are no lines

    def at(self, place: int) -> tuple[int, int]:
        """Return lo and hi of an output; beyond a list, those of the outermost."""
        if self.ranges:
            return self.ranges[min(max(place, 0), len(self.ranges) - 1)]
        return (
            min(a * place + b for a, b in self.low),
            max(a * place + b for a, b in self.high),
        )

    def ends(self) -> tuple[tuple[int, int], ...]:
        """Return lo and hi of enough outputs to see the largest field: hi - lo is convex."""
        return self.ranges or (self.at(0), self.at(self.count - 1))

    @property
    def size(self) -> int:
        return max(high - low + 1 for low, high in self.ends())

    @property
    def stride(self) -> int | None:
        slopes = {a for a, _ in (*self.low, *self.high)}
        return slopes.pop() if len(slopes) == 1 and not self.ranges else None


def receptive_fields(graph: Graph) -> list[Field]:
    """Return the receptive field of every node of a graph, in its order."""
    first = graph.nodes[0].shape
    identity: _Lines = ((1, 0),)
    pairs: list[tuple[_Axis, _Axis]] = []
    for node in graph.nodes:
        if not node.inputs:
            assert first.height is not None and first.width is not None
            sizes = (first.height, first.width)
            high, wide = (_Axis(size, identity, identity) for size in sizes)
            pairs.append((high, wide))
            continue
        inputs = [pairs[index] for index in node.inputs]
        shapes = [graph.nodes[index].shape for index in node.inputs]
        pairs.append((_after(node, 0, inputs, shapes), _after(node, 1, inputs, shapes)))
    return [_field(node, axes) for node, axes in zip(graph.nodes, pairs, strict=True)]


def _field(node: Node, axes: tuple[_Axis, _Axis]) -> Field:
    high, wide = axes
    stride = None
    if node.shape.is_map and high.stride is not None and wide.stride is not None:
        stride = (high.stride, wide.stride)
    return Field((high.size, wide.size), stride)


def _after(
    node: Node, axis: int, inputs: Sequence[tuple[_Axis, _Axis]], shapes: Sequence[Shape]
) -> _Axis:
    """Return the fields of a layer along one axis.

    What has no window divides its input evenly among its outputs: each depends on its own pixel if
    they are as many, on those of a block if they are fewer, and all of a map on what is a vector.
    """
    before, count = inputs[0][axis], _count(node.shape, axis)
    if len(inputs) > 1 or node.op in ("concat", "add", "mul"):
        return _joined([axes[axis] for axes in inputs], shapes, axis, count)
    if "borders" in node.args:
        window = node.args.window if "window" in node.args else _PIXEL
        span = effective(window.kernel[axis], node.args.dilation)
        return _windows(before, count, window.stride[axis], node.args.borders[axis][0], span)
    if not node.shape.is_map:
        return _whole(before)
    size = _count(shapes[0], axis)
    if size == count:
        return before
    if size % count == 0:
        return _windows(before, count, size // count, 0, size // count)
    # Window p reaches from floor(p size / count) to ceil((p + 1) size / count), exclusive.
    pairs = ((p * size // count, -(-(p + 1) * size // count) - 1) for p in range(count))
    return _listed(before, count, pairs)


def _count(shape: Shape, axis: int) -> int:
    size = shape.width if axis else shape.height
    return size if size is not None else 1


def _windows(before: _Axis, count: int, stride: int, border: int, span: int) -> _Axis:
    """Return the fields of windows that begin at p stride - border and reach over `span` pixels."""
    if before.ranges:
        begins = (place * stride - border for place in range(count))
        return _listed(before, count, ((begin, begin + span - 1) for begin in begins))
    low = tuple((a * stride, b - a * border) for a, b in before.low)
    high = tuple((a * stride, b + a * (span - 1 - border)) for a, b in before.high)
    return _Axis(count, low, high)


def _listed(before: _Axis, count: int, windows: Iterable[tuple[int, int]]) -> _Axis:
    points = [(before.at(first)[0], before.at(last)[1]) for first, last in windows]
    assert len(points) == count
    return _Axis(count, (), (), tuple(points))


def _whole(before: _Axis) -> _Axis:
    """Return the field of a value that depends on all outputs."""
    ends = before.ends()
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    return _Axis(1, ((0, low),), ((0, high),))


def _joined(axes: Sequence[_Axis], shapes: Sequence[Shape], axis: int, count: int) -> _Axis:
    """Return the fields of a join: they reach over those of every branch."""
    if any(branch.ranges for branch in axes):
        points = [[branch.at(place) for branch in axes] for place in range(count)]
        both = ((min(lo for lo, _ in point), max(hi for _, hi in point)) for point in points)
        return _Axis(count, (), (), tuple(both))
    low = _outermost((line for branch in axes for line in branch.low), min)
    high = _outermost((line for branch in axes for line in branch.high), max)
    return _Axis(count, low, high)


def _outermost(lines: Iterable[tuple[int, int]], best: Callable[[int, int], int]) -> _Lines:
    """Return one line for each slope: of parallel lines only the outermost counts."""
    begins: dict[int, int] = {}
    for slope, begin in lines:
        begins[slope] = best(begins.get(slope, begin), begin)
    return tuple(begins.items())
