"""The results of a verification."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

#: The rungs, in order.
RUNGS = (
    "structure",
    "evaluation",
    "training forward",
    "gradients",
    "running statistics",
    "trajectory",
    "round trip",
)
#: Those on which a model is only evaluated.
EVALUATED = (0, 1, 6)
#: Whether a difference is within its bar; `undecided` is above it by no more than rounding explains
#: in this network with these weights.
Verdict: TypeAlias = Literal["agrees", "diverges", "undecided"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two values that should be equal, or one that should be as stated.

    Attributes:
        rung: The number of the rung.
        dtype: The floating-point type, "" if there is none.
        what: The name of what was compared: `output`, `gradient`, ...
        path: The path of the layer, unit or block, or the key of a tensor.
        between: The two sides: targets, or `spec`, or a target's own form.
        absolute: The largest difference.
        relative: The largest difference, relative to the largest element.
        bar: The limit of the relative difference.
        verdict: Whether the difference is within the limit.
        message: What differs, if that is not a number.
    """

    rung: int
    dtype: str
    what: str
    path: str
    between: tuple[str, str]
    absolute: float
    relative: float
    bar: float
    verdict: Verdict
    message: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file that is related to a divergence.

    Attributes:
        file: The name of the spec or the generated file.
        line: The number of the line, from 1.
        text: The line itself, without its indentation.
    """

    file: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first place of a rung at which two models are not the same network.

    Attributes:
        rung: The number of the rung.
        dtype: The floating-point type.
        path: The path of the layer, unit or block; "" for the network as a whole.
        message: What differs, and by how much.
        lines: The lines of the spec and of each generated file that create it.
    """

    rung: int
    dtype: str
    path: str
    message: str
    lines: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Omission:
    """A comparison that was left out, and the reason.

    Attributes:
        rung: The number of the rung; None for all.
        dtype: The floating-point type; "" for all.
        reason: Why it was not compared.
    """

    rung: int | None
    dtype: str
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """The results of a verification.

    Attributes:
        network: The name of the network.
        file: The spec.
        targets: The names of the targets that were compared, with their frameworks' versions.
        input: The shape of the input (N, C, H, W).
        other: The height and width of the other input of rung 1, or why there is none.
        weights: Where the weights come from.
        comparisons: All comparisons, in the order in which they were made.
        divergences: The first divergence of each rung.
        omissions: What was not compared.
        asked: The requested rungs.
        dtypes: The requested floating-point types.
        absent: The targets that are left out because no target was named and their libraries are
            not installed.
        recipe: The name of the recipe that rung 5 climbs, or "".
    """

    network: str
    file: str
    targets: dict[str, str]
    input: tuple[int, int, int, int]
    other: tuple[int, int] | str
    weights: str
    comparisons: tuple[Comparison, ...]
    divergences: tuple[Divergence, ...]
    omissions: tuple[Omission, ...]
    asked: tuple[int, ...]
    dtypes: tuple[str, ...]
    absent: tuple[str, ...] = ()
    recipe: str = ""

    @property
    def ill_conditioned(self) -> tuple[Comparison, ...]:
        """Return the comparisons above their bar by no more than rounding explains."""
        return tuple(c for c in self.comparisons if c.verdict == "undecided")

    @property
    def passed(self) -> bool:
        """Return whether everything requested was compared and agrees."""
        return not (self.divergences or self.omissions or self.ill_conditioned)

    def of(self, rung: int, dtype: str) -> list[Comparison]:
        """Return the comparisons of a rung in a type."""
        return [c for c in self.comparisons if c.rung == rung and c.dtype in ("", dtype)]


def worst(comparisons: Iterable[Comparison]) -> Comparison | None:
    """Return the comparison that is closest to its bar, or farthest above it."""
    return max(comparisons, key=_closeness, default=None)


def _closeness(comparison: Comparison) -> tuple[bool, float]:
    bar = comparison.bar
    share = comparison.relative / bar if bar else (math.inf if comparison.relative else 0.0)
    return comparison.verdict == "diverges", share
