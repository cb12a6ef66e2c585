"""The choices that random specs are drawn from, and the position of the next statement."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from fuzzing.tracking import Scene
from incgen.graph.shapes import Shape

T = TypeVar("T")


@dataclass
class Place:
    """The position of the next statement.

    Attributes:
        scenes: One for each known use of the definition that can reach this place.
        roles: The purposes of the parameters and constants in scope.
        even: Whether height and width must not change, because others are joined with them.
        ranked: Whether a map must stay a map, and a vector a vector.
        top: Whether this is the body of the network itself.
        inside: Whether this is in a chain or `repeat`, where a module takes only one value.
        start: the shapes at the beginning of the body.
    """

    scenes: list[Scene]
    roles: dict[str, str]
    even: bool = False
    ranked: bool = False
    top: bool = False
    inside: bool = False
    start: list[Shape] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Record where the body begins."""
        self.begin(self.scenes)

    def begin(self, scenes: list[Scene]) -> None:
        """Make this the beginning of a body."""
        self.scenes = list(scenes)
        self.start = [scene.shape for scene in scenes]

    @property
    def maps(self) -> bool:
        """Return whether the current value is a map in all uses."""
        return all(scene.shape.is_map for scene in self.scenes)

    def within(self, **changes: Any) -> Place:
        """Return the place inside a body that begins here."""
        return replace(self, **{"top": False, **changes})

    def named(self, *roles: str) -> list[str]:
        """Return the parameters and constants for some purposes."""
        return [name for name, role in self.roles.items() if role in roles]


class Choices:
    """Random choices."""

    def __init__(self, source: random.Random) -> None:
        """Store the source of choices."""
        self.source = source

    def one(self, *options: T) -> T:
        """Return one of some options, all equally likely."""
        return self.source.choice(options)

    def chance(self, among: int) -> bool:
        """Return whether an event occurs that happens once in so many times."""
        return self.source.randrange(among) == 0

    def upto(self, most: int) -> int:
        """Return a number from 0 up to a limit, all equally likely."""
        return self.source.randrange(most + 1)
