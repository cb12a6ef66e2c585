"""A random spec while it is being drawn: its names, and what fits where."""

from __future__ import annotations

import random

from fuzzing import calls, tree
from fuzzing.choices import Choices, Place
from fuzzing.tracking import Misfit, Tracker

_LABELS = ("a", "stem", "body", "left", "right", "mix", "one", "cell", "part", "path")
_DOCS = (
    "A comment.",
    "Why this layer is there.\nIts second line, with `code` and a \\ backslash.",
    'Quotes: "double", \'single\', """three""", and a backslash at the end \\',
    "Größe: 3 × 3 → ½",
    "One long line " + "that goes on and on " * 8,
    "A title.\n\nA paragraph.\n    indented\n% {{ braces }} {% raw %}",
)


class Draft(Choices):
    """The names and definitions so far, and the shapes at each position."""

    def __init__(self, source: random.Random) -> None:
        """Start with nothing."""
        super().__init__(source)
        self.numbers: dict[str, int] = {}
        self.roles: dict[str, str] = {}  # of the constants
        self.tracker: Tracker
        self.units: list[tree.Unit] = []
        self.blocks: list[tree.Block] = []
        self.definitions: list[tree.Unit | tree.Block] = []

    def statements(self, place: Place, depth: int, number: int) -> list[tree.Statement | tree.Head]:
        """Return consecutive statements, and advance the place past them."""
        raise NotImplementedError

    def fresh(self, base: str) -> str:
        """Return a name that is not in use."""
        number = self.numbers.get(base, 0) + 1
        self.numbers[base] = number
        return f"{base}{number}"

    def doc(self, among: int) -> str:
        """Return a doc comment, or none."""
        return self.one(*_DOCS) if self.chance(among) else ""

    def _try(
        self, place: Place, element: tree.Element, label: str | None = "?"
    ) -> list[tree.Statement | tree.Head]:
        """Return a statement with an element, or with one that fits in its place."""
        if not self.fits(place, element):
            element = tree.Call("relu")
            self.fits(place, element)
        if label == "?":
            plain = isinstance(element, tree.Call) and element.name in calls.PLAIN_OPS
            label = self.label() if not self.chance(8 if not plain else 1) else None
        place.scenes = [scene.labelled(label) for scene in place.scenes]
        comment = self.one("why", "3x3 -> 1x1 {") if self.chance(16) else ""
        return [tree.Statement(element, label, doc=self.doc(12), comment=comment)]

    def label(self) -> str:
        """Return a label that is not in use."""
        return self.fresh(self.one(*_LABELS))

    def fits(self, place: Place, element: tree.Element) -> bool:
        """Return whether an element fits at a place in all uses; if so, move the place past it."""
        try:
            shapes = [self.tracker.after(element, scene) for scene in place.scenes]
        except Misfit:
            return False
        for shape, scene, start in zip(shapes, place.scenes, place.start, strict=True):
            if place.ranked and shape.is_map != scene.shape.is_map:
                return False
            if place.even and (shape.height, shape.width) != (start.height, start.width):
                return False
        place.scenes = [s.at(shape) for s, shape in zip(place.scenes, shapes, strict=True)]
        return True

    def _or_relu(self, place: Place, element: tree.Element) -> tree.Element:
        if self.fits(place, element):
            return element
        return tree.Call("relu")
