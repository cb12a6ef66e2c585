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
    """Where the next statement stands.

    Attributes:
        scenes: one for each use of the definition that is known, and can come here.
        roles: what the parameters and constants that can be named are for.
        even: whether rows and columns must stay, because others are joined with them.
        ranked: whether a map must stay a map, and a vector a vector.
        top: whether this is the body of the network itself.
        inside: whether this is in a chain or `repeat`, where a module takes one value only.
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
        """Keep where the body begins."""
        self.begin(self.scenes)

    def begin(self, scenes: list[Scene]) -> None:
        """Make this the beginning of a body."""
        self.scenes = list(scenes)
        self.start = [scene.shape for scene in scenes]

    @property
    def maps(self) -> bool:
        """Whether the current value is a map in all uses."""
        return all(scene.shape.is_map for scene in self.scenes)

    def within(self, **changes: Any) -> Place:
        """A body that begins here."""
        return replace(self, **{"top": False, **changes})

    def named(self, *roles: str) -> list[str]:
        """The parameters and constants for some purposes."""
        return [name for name, role in self.roles.items() if role in roles]


class Choices:
    """Random choices."""

    def __init__(self, source: random.Random) -> None:
        """Keep where choices come from."""
        self.source = source

    def one(self, *options: T) -> T:
        """One of some options, each as likely."""
        return self.source.choice(options)

    def chance(self, among: int) -> bool:
        """Whether something that happens once among so many times happens."""
        return self.source.randrange(among) == 0

    def upto(self, most: int) -> int:
        """0 up to a number, each as likely."""
        return self.source.randrange(most + 1)
