"""The items of a row one behind the other, with lanes beside them for values that skip some."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from incgen.draw.diagram import Item, Row, Side
from incgen.draw.pieces import Part, Pen, Point, Want
from incgen.draw.scene import Mark

#: Between lanes, from an item to where a value leaves its axis, and from there to the next item.
_LANE, _STUB, _TURN = 13.0, 4.0, 10.0
_BESIDE = 26.0  #: Between a row and the heads beside it

#: Lays out an item, given what the edges in front of it said last.
Lay = Callable[[Item, str], Part]
#: Lays out a row, likewise; returns what its edges said last, too.
LayRow = Callable[[Row, str], tuple[Part, str]]


def row_part(pen: Pen, row: Row, said: str, item: Lay, whole: LayRow) -> tuple[Part, str]:
    """Lay out a row that begins at its first item and ends with its last.

    Returns:
        The part, and what its edges said last.
    """
    return _RowLayout(pen, row, said, item, whole).laid()


class _RowLayout:
    """One row."""

    def __init__(self, pen: Pen, row: Row, said: str, item: Lay, whole: LayRow) -> None:
        self.pen, self.axes, self.row, self.said = pen, pen.axes, row, said
        self.item, self.whole = item, whole
        self.marks: list[Mark] = []
        self.wants: list[Want] = []  # from the beginning of the row
        # heads, where the item before each ends, and where the edge leaves the axis
        self.sides: list[tuple[Side, Part, float, float]] = []
        self.spans: list[tuple[float, float]] = []  # where each item ends, and how far it reaches
        self.side_end = 0.0  # where the last head ends
        self.before = self.after = self.at = 0.0
        self.current = row.source
        self.ends = dict[int, float]()  # where the items that give a value end
        self.entered = self.arrow = True

    def laid(self) -> tuple[Part, str]:
        first, pending = True, list[Side]()
        for item in self.row.items:
            if isinstance(item, Side):
                pending.append(item)
                continue
            before = self.said if first else self.pen.text(self.current) or self.said
            self.add(item, self.item(item, before), pending, first=first)
            first, pending = False, []
        end = self.at
        self.leave(pending)
        out = self.at
        if self.row.items and self.row.value != self.current:
            self.wants.append(Want(self.row.value, ((self.at + _LANE, 0), (self.at + 20, 0))))
            self.at += 20
        self.place_sides()
        wants = self.lanes()
        marks = tuple(self.marks)
        leaves = (end, out) if self.sides else None
        extents = self.before, self.after, self.at
        return Part(*extents, marks, wants, self.entered, self.arrow, leaves), self.said

    def add(self, item: Item, part: Part, pending: Sequence[Side], *, first: bool) -> None:
        """Put an item behind those before it."""
        takes = part.entered and item.source == self.current
        wants = list(part.wants)
        if part.entered and not takes:
            wants.append(Want(item.source, ((0, 0),)))
        begin = self.at
        if first:
            self.entered, self.arrow = takes, part.arrow
        else:
            text = self.pen.text(self.current)
            text = "" if text == self.said or not takes else text
            self.leave(pending)
            self.at += self.axes.gap(text) + _TURN * len(wants)
            if takes:
                ways: list[Point] = [(begin, 0), (self.at, 0)]
                self.marks += self.pen.edge(ways, text, arrow=part.arrow)
                self.said = text or self.said
        turn = self.at - _TURN
        for number, want in enumerate(wants):
            moved = want.shifted(self.at, 0).points
            level = turn - number * _TURN
            points = moved if first else ((level, moved[0][1]), *moved)
            self.wants.append(Want(want.value, points))
        self.marks += self.axes.shifted(part, self.at, 0)
        self.before, self.after = max(self.before, part.before), max(self.after, part.after)
        self.at += part.length
        self.current = item.value
        self.ends[item.value] = self.at
        self.spans.append((self.at, part.after))

    def leave(self, pending: Sequence[Side]) -> None:
        """Make room for the edges to heads, below those that are there already."""
        begin = self.at
        for side in pending:
            self.at = max(self.at, self.side_end) + 2 * _STUB
            said = self.pen.text(self.current) or self.said
            part, _ = self.whole(side.row, said)
            self.sides.append((side, part, begin, self.at))
            self.side_end = self.at + self.axes.gap(side.title) + part.length

    def place_sides(self) -> None:
        """Put the heads beside the row."""
        outer = self.after
        for side, part, begin, at in self.sides:
            inner = max((after for end, after in self.spans if end > at), default=0.0)
            across = inner + _BESIDE + max(part.before, self.axes.half(side.title))
            start = at + self.axes.gap(side.title)
            ways: list[Point] = [(begin, 0), (at, 0), (at, across), (start, across)]
            self.marks += self.pen.edge(ways, side.title, "caption")
            self.marks += self.axes.shifted(part, start, across)
            self.wants += [want.shifted(start, across) for want in part.wants]
            outer = max(outer, across + max(part.after, self.axes.half(side.title)))
        self.after = outer
        if self.sides:
            self.at = max(self.at, self.side_end)

    def lanes(self) -> tuple[Want, ...]:
        """Draw the ways of values from earlier items; return those of values from elsewhere."""
        rest: list[Want] = []
        lanes: dict[int, float] = {}
        edge = self.before
        for want in self.wants:
            first = want.points[0][0]
            begin = self.ends.get(want.value)
            if begin is None and first == 0:  # at the very beginning: no lane is needed
                rest.append(want)
                continue
            lane = lanes.setdefault(want.value, -edge - _LANE * (len(lanes) + 1))
            self.before = max(self.before, -lane)
            if begin is None:
                rest.append(Want(want.value, ((0, lane), (first, lane), *want.points)))
                continue
            stub = begin + _STUB
            ways: list[Point] = [(begin, 0), (stub, 0), (stub, lane), (first, lane)]
            self.marks.append(self.axes.edge([*ways, *want.points]))
        return tuple(rest)
