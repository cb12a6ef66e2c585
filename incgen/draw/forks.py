"""The branches of a join side by side, and the values that go past them as arcs."""

from __future__ import annotations

from collections.abc import Sequence

from incgen.draw.diagram import SIGNS, Fork, Row
from incgen.draw.pieces import SMALL, Part, Pen, Point, Want, widened
from incgen.draw.scene import Label, Mark
from incgen.draw.text import width

#: Between branches, for a lane beside them, and from the fork to where branches begin to part.
_BETWEEN, _LANE, _BUS = 16.0, 14.0, 12.0
_DOT = 22.0  #: The diameter of an add or mul
_TURN = 8.0  #: From where an edge turns to where it ends


def fork_part(pen: Pen, fork: Fork, laid: Sequence[tuple[Part, str]]) -> Part:
    """Lay out a join, given what its branches have become and what their edges said last."""
    return _ForkLayout(pen, fork, laid).laid()


class _ForkLayout:
    """One join and its branches."""

    def __init__(self, pen: Pen, fork: Fork, laid: Sequence[tuple[Part, str]]) -> None:
        self.pen, self.fork, self.axes = pen, fork, pen.axes
        self.bar = fork.join.text not in SIGNS
        passing = [not row.items and row.value == fork.source for row in fork.branches]
        drawn = [n for n, passes in enumerate(passing) if self.bar or not passes]
        drawn = drawn or [0]  # a value joined with itself
        self.skips = len(fork.branches) - len(drawn)
        self.rows = [fork.branches[n] for n in drawn]
        self.outs = [self.out(fork.branches[n], laid[n][1]) for n in drawn]
        halves = (
            max(self.room(row, laid[n][0]), self.axes.half(out))
            for n, row, out in zip(drawn, self.rows, self.outs, strict=True)
        )
        self.parts = [widened(laid[n][0], half) for n, half in zip(drawn, halves, strict=True)]
        self.wants: list[Want] = []

    def room(self, row: Row, part: Part) -> float:
        """Return how far the caption of a branch reaches from its axis."""
        half = self.axes.half(row.caption)
        return half if self.enters(row, part) else 2 * half + 5

    def out(self, row: Row, said: str) -> str:
        """Return what the edge into the join says."""
        text = self.pen.text(row.value)
        return text if text != said and row.items else ""

    def laid(self) -> Part:
        axes, columns = self.axes, self.columns()
        marks: list[Mark] = []
        top = _BUS + max(axes.gap(row.caption) for row in self.rows)
        bottom = top + max(part.length for part in self.parts)
        join = self.join(columns)
        at = bottom + max(axes.gap(text) for text in self.outs)
        at += 0 if self.bar or len(columns) == 1 else _BUS / 2
        marks += axes.shifted(join, at, 0)
        entered = self.skips > 0
        for row, part, column, out in zip(self.rows, self.parts, columns, self.outs, strict=True):
            entered |= self.enters(row, part)
            marks += axes.shifted(part, top, column)
            marks += self.way_in(row, part, column, top)
            marks += self.way_out(row, part, column, top, at, out)
        spans = list(zip(self.parts, columns, strict=True))
        before = max(join.before, *(part.before - column for part, column in spans))
        after = max(join.after, *(part.after + column for part, column in spans))
        for number in range(self.skips):
            after += _LANE
            start = 4.0 + 4 * number
            ways = [(0.0, 0.0), (start, 0.0), (start, after), (at + _DOT / 2, after)]
            marks.append(axes.edge([*ways, (at + _DOT / 2, _DOT / 2)], round=14))
        after += 4 if self.skips else 0
        length, wants = at + join.length, tuple(self.wants)
        return Part(before, after, length, tuple(marks), wants, entered, arrow=False)

    def columns(self) -> list[float]:
        """Return where the axes of the branches are, with the middle of the outer ones at 0."""
        columns, place = [0.0], 0.0
        for left, right in zip(self.parts, self.parts[1:], strict=False):
            place += left.after + _BETWEEN + right.before
            columns.append(place)
        return [column - place / 2 for column in columns]

    def join(self, columns: Sequence[float]) -> Part:
        """Return the box of the join: a bar under all branches, or a dot."""
        box = self.fork.join
        if not self.bar:
            return self.pen.placed(box, (_DOT, _DOT), "dot", (SIGNS[box.text],))
        text = f"{box.title}: {box.text}" if box.title else box.text
        wide, breadth = width(text, SMALL) + 20, columns[-1] - columns[0] + 40
        size = (max(wide, breadth), 19.0) if self.axes.down else (wide, max(19.0, breadth))
        return self.pen.placed(box, size, "bar", (text,))

    def enters(self, row: Row, part: Part) -> bool:
        """Return whether a branch takes the value in front of the fork."""
        return part.entered if row.items else row.value == self.fork.source

    def way_in(self, row: Row, part: Part, column: float, top: float) -> Sequence[Mark]:
        """Draw the edge from the fork to the first item of a branch."""
        self.wants += [want.shifted(top, column) for want in part.wants]
        if not row.items:
            return []
        if not part.entered:
            return self.beside(row.caption, column)
        ways = [*self.begin(column), (top, column)]
        return self.pen.edge(ways, row.caption, "caption", arrow=part.arrow)

    def beside(self, caption: str, column: float) -> Sequence[Mark]:
        """Return the caption of a branch whose edge comes from elsewhere, beside that edge."""
        if not caption:
            return []
        away = 5.0 if self.axes.down else -5.0
        x, y = self.axes.place(_BUS + self.axes.gap(caption) / 2, column + away)
        return [Label(x, y, caption, "caption", "start" if self.axes.down else "middle")]

    def begin(self, column: float) -> list[Point]:
        """Return the first places of an edge into a branch."""
        return [(0, 0), (_BUS, 0), (_BUS, column)] if column else [(0, 0)]

    def into(self, column: float, at: float) -> list[Point]:
        """Return the last places of an edge into the join: from above, or from beside a dot."""
        if self.bar or not column:
            return [(at, column)]
        half = _DOT / 2
        if abs(column) <= half + _TURN:  # too near for a way to its side
            return [(at - _TURN, column), (at - _TURN, 0), (at, 0)]
        return [(at + half, column), (at + half, half if column > 0 else -half)]

    def way_out(
        self, row: Row, part: Part, column: float, top: float, at: float, out: str
    ) -> Sequence[Mark]:
        """Draw the edge from the last item of a branch, or from the fork itself, into the join."""
        into = self.into(column, at)
        if row.items:
            end = top + part.length
            if len(into) == 1 or not out:
                return self.pen.edge([(end, column), *into], out)
            corner = (min(at, into[0][0]), column)  # the text stands before it
            straight = self.pen.edge([(end, column), corner], out, arrow=False)
            return [*straight, self.axes.edge([corner, *into])]
        if row.value != self.fork.source:
            self.wants.append(Want(row.value, ((0, column), *into)))
            return self.beside(row.caption, column)
        first = (_BUS + self.axes.gap(row.caption), column)
        marks = self.pen.edge([*self.begin(column), first], row.caption, "caption", arrow=False)
        return [*marks, self.axes.edge([first, *into])]
