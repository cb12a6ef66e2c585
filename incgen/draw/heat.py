"""Heat: boxes and cells coloured by a number instead of their kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from incgen.draw.colours import Theme, heat
from incgen.draw.diagram import Box, Facts
from incgen.graph.words import short

#: What is said of a box: its colour in place of that of its kind, or a line under its text; or "".
OfBox: TypeAlias = Callable[[Box], str]
#: The heading of the column of each number in tables.
COLUMNS = {
    "multiply-adds": "multiply-adds",
    "parameters": "parameters",
    "receptive-field": "receptive field",
}


@dataclass(frozen=True, slots=True)
class Heat:
    """A number that colours, and the largest that is drawn."""

    number: str  #: One of `view.HEATS`
    most: int
    theme: Theme

    def of(self, facts: Facts) -> int:
        """Return the number of a part; of a receptive field the longer side, in pixels."""
        match self.number:
            case "multiply-adds":
                return facts.multiply_adds
            case "parameters":
                return facts.parameters
            case _:
                return max(facts.field.size)

    def colour(self, facts: Facts) -> str:
        """Return the colour of a part."""
        return heat(self.theme, min(self.of(facts) / max(self.most, 1), 1))

    def fill(self, box: Box) -> str:
        """Return the colour of a box; that of a card if nothing is known of it."""
        return self.theme.card if box.facts is None else self.colour(box.facts)

    def text(self, box: Box) -> str:
        """Return the number that stands in a box; "" if it is 0."""
        number = self.of(box.facts) if box.facts is not None else 0
        return self.written(number) if number and box.kind not in ("join", "input") else ""

    def written(self, number: int) -> str:
        """Write a number, with its unit if it has one."""
        return f"{number:,} px" if self.number == "receptive-field" else short(number)


def nothing(box: Box) -> str:
    """Return the colour, and the text, of a box without heat: that of its kind, and none."""
    return ""


def heat_of(number: str, shown: Iterable[Box], theme: Theme) -> Heat:
    """Return the heat of a drawing, whose scale ends at its largest number."""
    scale = Heat(number, 1, theme)
    most = max((scale.of(box.facts) for box in shown if box.facts is not None), default=1)
    return Heat(number, most, theme)
