"""From a diagram to places: rows are stacked, branches stand side by side, cards go around rows.

Everything is laid out from the inside out, so nothing can overlap: a part reserves its extents, and
parts are put beside each other or one behind the other. Edges run in the gaps between parts, and in
lanes beside rows where a value skips some.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from incgen.draw.diagram import Box, Card, Diagram, Fork, Item, Row, Side, counted
from incgen.draw.forks import fork_part
from incgen.draw.heat import OfBox, nothing
from incgen.draw.pieces import Axes, Part, Pen, Want, widened
from incgen.draw.rows import row_part
from incgen.draw.scene import Frame, Mark
from incgen.draw.text import cut, width

#: The size of texts in boxes, and from one line of it to the next.
TEXT, LINE = 11.0, 14.0
_PAD = 10.0  #: Beside the text of a box
_NARROWEST, _WIDEST = 62.0, 240.0  #: A box, and a text in one
_INSIDE = 14.0  #: Inside cards
COPIES = 6.0  #: How far the copies behind a repeated box reach
_BAND = 24.0  #: The height of the band of a card


class Layout:
    """Lays out the rows of one diagram."""

    def __init__(self, diagram: Diagram, axes: Axes, extra: OfBox = nothing) -> None:
        """Store the diagram; `extra` is a line that boxes say under their text."""
        self.pen, self.axes, self.extra = Pen(axes, diagram.edges), axes, extra
        self.diagram = diagram

    def whole(self) -> Part:
        """Return the whole diagram, with an arrow out of it, and one into it if it has no input."""
        row = self.diagram.row
        first = row.items[0] if row.items else None
        closed = isinstance(first, Box) and first.kind == "input"
        part, _ = self.ended(row, "" if closed else self.pen.text(row.source))
        lead = 0.0 if closed else self.axes.gap("")
        marks = list(self.axes.shifted(part, lead, 0))
        if lead and part.entered:
            marks.append(self.axes.edge([(0, 0), (lead, 0)], arrow=part.arrow))
        return Part(part.before, part.after, lead + part.length, tuple(marks))

    def ended(self, row: Row, said: str) -> tuple[Part, str]:
        """Return a row with an arrow out of it."""
        part, said = self.row(row, said)
        text = self.pen.text(row.value)
        text = "" if text == said else text
        start, free = part.leaves or (part.length, part.length)
        end = free + self.axes.gap(text)
        marks = (*part.marks, *self.pen.edge([(start, 0), (end, 0)], text))
        part = widened(part, self.axes.half(text))
        return replace(part, length=max(part.length, end), marks=marks), said

    def row(self, row: Row, said: str) -> tuple[Part, str]:
        """Return the items of a row one behind the other, and what its edges said last."""
        return row_part(self.pen, row, said, self.item, self.ended)

    def item(self, item: Item, said: str) -> Part:
        """Return one item; the edges in front of it said something last."""
        match item:
            case Box():
                return self.box(item)
            case Fork():
                laid = [self.row(branch, said) for branch in item.branches]
                return fork_part(self.pen, item, laid)
            case Card():
                return self.card(item, said)
            case Side():
                raise AssertionError("rows place heads themselves")
            case _:
                assert_never(item)

    def box(self, box: Box) -> Part:
        """Return a box as large as its texts."""
        lines = lines_of(box, self.extra(box))
        bold = bool(box.title or box.folds)
        wide = max(width(text, TEXT, bold=bold and at == 0) for at, text in enumerate(lines))
        size = max(wide + 2 * _PAD, _NARROWEST), LINE * len(lines) + _PAD
        part = self.pen.placed(box, size, "pill" if box.kind == "input" else "box", lines)
        if box.count:  # room for the copies behind it
            return replace(part, after=part.after + COPIES, length=part.length + COPIES)
        return part

    def card(self, card: Card, said: str) -> Part:
        """Return the row of a card with a frame around it."""
        inner, _ = self.row(card.row, said)
        lead = self.axes.gap("") if inner.entered else _INSIDE
        title = sum(width(text, TEXT, bold=True) + 12 for text in titles_of(card)) + 8
        before, after = inner.before + _INSIDE, inner.after + _INSIDE
        start, length = 0.0, lead + inner.length + _INSIDE
        if self.axes.down:
            more = max(title - before - after, 0) / 2
            before, after, start = before + more, after + more, _BAND
            length += _BAND
        else:
            before, length = before + _BAND, max(length, title)
        begin, end = start + lead, start + lead + inner.length
        x, y = self.axes.place(0, -before)
        wide, high = self.axes.place(length, before + after)
        marks: list[Mark] = [Frame(x, y, card, wide, high, _BAND)]
        marks += self.axes.shifted(inner, begin, 0)
        if inner.entered:
            marks.append(self.axes.edge([(start, 0), (begin, 0)], arrow=inner.arrow))
        marks.append(self.axes.edge([(end, 0), (length, 0)], arrow=False))
        moved = [want.shifted(begin, 0) for want in inner.wants]
        wants = tuple(Want(w.value, ((0, w.points[0][1]), *w.points)) for w in moved)
        return Part(before, after, length, tuple(marks), wants, inner.entered)


def lines_of(box: Box, extra: str) -> tuple[str, ...]:
    """Return the texts of a box, one above the other."""
    return tuple(cut(line, TEXT, _WIDEST) for line in (box.title, counted(box), extra) if line)


def titles_of(card: Card) -> tuple[str, ...]:
    """Return the label of a card and what it is, each unless it says nothing."""
    text = f"repeat {card.count}" if card.count and not card.text else counted(card)
    return tuple(cut(title, TEXT, _WIDEST) for title in (card.title, text) if title)
