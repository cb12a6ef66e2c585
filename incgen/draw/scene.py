"""A drawing in which everything has a place, in pixels from the top left."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from incgen.draw.diagram import Box, Card


@dataclass(frozen=True, slots=True)
class _At:
    """Something at a place."""

    x: float
    y: float

    def moved(self, x: float, y: float) -> Self:
        """Return it at another place."""
        return replace(self, x=self.x + x, y=self.y + y)


@dataclass(frozen=True, slots=True)
class Placed(_At):
    """A box and its place."""

    box: Box
    width: float
    height: float
    #: `box`, `bar` (a concat as wide as its branches), `dot` (an add or mul) or `pill` (the input)
    shape: str
    lines: tuple[str, ...]  #: The texts in it, one above the other; the first is bold if titled


@dataclass(frozen=True, slots=True)
class Frame(_At):
    """The rectangle of an open card, with a band along its top."""

    card: Card
    width: float
    height: float
    band: float  #: The height of the band with its title


@dataclass(frozen=True, slots=True)
class Edge:
    """A line between two places, with rounded corners."""

    points: tuple[tuple[float, float], ...]
    arrow: bool = True  #: Whether it ends in an arrow
    round: float = 8  #: The radius of its corners
    #: Where its last line is interrupted by a text: from one place to another
    gap: tuple[tuple[float, float], ...] = ()

    def moved(self, x: float, y: float) -> Self:
        """Return it at another place."""
        points, gap = (
            tuple((a + x, b + y) for a, b in places) for places in (self.points, self.gap)
        )
        return replace(self, points=points, gap=gap)


@dataclass(frozen=True, slots=True)
class Label(_At):
    """A text whose baseline is at a place."""

    text: str
    style: str  #: A class of the style sheet: see `svg.py`
    anchor: str = "start"  #: `start`, `middle` or `end`: what of it is at x
    more: str = ""  #: Smaller and fainter text behind it


@dataclass(frozen=True, slots=True)
class Patch(_At):
    """A rectangle without a meaning of its own: a swatch of the legend, a line of a table."""

    width: float
    height: float
    style: str  #: A class of the style sheet
    fill: str = ""  #: A colour; "" for that of its class


Mark = Placed | Frame | Edge | Label | Patch


@dataclass(frozen=True, slots=True)
class Scene:
    """A whole drawing."""

    width: float
    height: float
    marks: tuple[Mark, ...]
    title: str
    description: str
