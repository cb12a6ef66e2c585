"""Parts of a drawing that have a size but no place yet, and the two directions they can be laid in.

A place is (along, across): along the way of the data, and across it, from the axis on which a part
is entered and left. Whether that is down and right or right and down, only `Axes` knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from incgen.draw.diagram import Box
from incgen.draw.scene import Edge, Label, Mark, Placed
from incgen.draw.text import width

Point: TypeAlias = tuple[float, float]

#: The size of what edges say, and of captions of branches.
SMALL = 10.0
#: How long an edge is: without and with a text.
_SHORT, _LONG = 20.0, 32.0
_ARROW = 5.0  #: The length of an arrow
#: Around a text that stands on a horizontal edge.
_AROUND = 26.0


@dataclass(frozen=True, slots=True)
class Want:
    """A value that a part takes from elsewhere, and its way from the part's beginning."""

    value: int
    points: tuple[Point, ...]

    def shifted(self, along: float, across: float) -> Want:
        """Return it as part of what it lies in."""
        return Want(self.value, tuple((a + along, b + across) for a, b in self.points))


@dataclass(frozen=True, slots=True)
class Part:
    """A part that is entered at (0, 0) and left at (length, 0)."""

    before: float  #: How far it reaches to the left of its axis (above it, if the data goes right)
    after: float  #: How far it reaches to the other side
    length: float
    marks: tuple[Mark, ...] = ()
    wants: tuple[Want, ...] = ()
    entered: bool = True  #: Whether it takes the value in front of it
    arrow: bool = True  #: Whether the edge into it ends in an arrow
    #: Where its last item ends, and where an edge from there is free to end; None: at the length.
    #: Heads beside a row may reach further than its last item.
    leaves: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Axes:
    """A direction of the data."""

    down: bool

    def place(self, along: float, across: float) -> Point:
        """Return (x, y)."""
        return (across, along) if self.down else (along, across)

    def size(self, wide: float, high: float) -> Point:
        """Return the extents of a box along and across."""
        return (high, wide) if self.down else (wide, high)

    def shifted(self, part: Part, along: float, across: float) -> tuple[Mark, ...]:
        """Return the marks of a part at its place in what it lies in."""
        x, y = self.place(along, across)
        return tuple(mark.moved(x, y) for mark in part.marks)

    def gap(self, text: str) -> float:
        """Return how long an edge with this text must be at least."""
        if not text:
            return _SHORT
        return _LONG if self.down else width(text, SMALL) + _AROUND

    def half(self, text: str) -> float:
        """Return how far the text of an edge reaches to either side of the axis."""
        if not text:
            return 0
        return width(text, SMALL) / 2 + 3 if self.down else SMALL

    def edge(self, points: Sequence[Point], *, arrow: bool = True, round: float = 8) -> Edge:
        """Return an edge along places of (along, across)."""
        kept = [p for at, p in enumerate(points) if at == 0 or p != points[at - 1]]
        return Edge(tuple(self.place(*point) for point in kept), arrow, round)

    def said(
        self, text: str, start: float, end: float, across: float, style: str
    ) -> tuple[Label, tuple[Point, Point]]:
        """Return the text of an edge from `start` to `end`, and where it interrupts the edge.

        It stands in the middle of what the arrow leaves.
        """
        middle = (start + end - _ARROW) / 2
        half = SMALL * 0.6 if self.down else width(text, SMALL) / 2 + 3
        x, y = self.place(middle, across)
        label = Label(x, y + SMALL * 0.35, text, style, "middle")
        return label, (self.place(middle - half, across), self.place(middle + half, across))


@dataclass(frozen=True, slots=True)
class Pen:
    """Draws edges and boxes in one direction; knows what the edges of each value say."""

    axes: Axes
    edges: Mapping[int, str]

    def text(self, value: int) -> str:
        """Return what the edges of a value say."""
        return self.edges.get(value, "")

    def edge(
        self, points: Sequence[Point], text: str, style: str = "shape", *, arrow: bool = True
    ) -> list[Mark]:
        """Return an edge; its text interrupts its last line, as near to the end as it can be."""
        whole = self.axes.edge(points, arrow=arrow)
        if not text:
            return [whole]
        (start, _), (end, across) = points[-2], points[-1]
        label, gap = self.axes.said(text, max(start, end - self.axes.gap(text)), end, across, style)
        return [replace(whole, gap=gap), label]

    def placed(self, box: Box, size: Point, shape: str, lines: tuple[str, ...]) -> Part:
        """Return a box of (width, height) on the axis."""
        length, breadth = self.axes.size(*size)
        x, y = self.axes.place(0, -breadth / 2)
        mark = Placed(x, y, box, *size, shape, lines)
        return Part(breadth / 2, breadth / 2, length, (mark,))


def widened(part: Part, half: float) -> Part:
    """Return a part that keeps so much to each side of its axis to itself."""
    return replace(part, before=max(part.before, half), after=max(part.after, half))
