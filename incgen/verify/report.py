"""What a verification found."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

#: The rungs of the ladder, from the first.
RUNGS = (
    "structure",
    "evaluation",
    "training forward",
    "gradients",
    "running statistics",
    "trajectory",
    "round trip",
)
#: Whether a difference is within its bar; `undecided` is above it by no more than rounding does
#: to this network with these weights.
Verdict: TypeAlias = Literal["agrees", "diverges", "undecided"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two values that should be equal, or one that should be as it is stated.

    Attributes:
        rung: the number of the rung.
        dtype: the floating-point type, "" for what has none.
        what: what was compared: `output`, `gradient`, ...
        path: of the layer, unit or block, or the key of a tensor.
        between: the two sides: targets, or `spec`, or a target's own form.
        absolute: the largest difference.
        relative: the same, relative to the largest element.
        bar: what the relative difference may be.
        verdict: whether it is.
        message: what is not equal, where that is no number.
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
    """A line of a file that has to do with a divergence.

    Attributes:
        file: the spec or the generated file.
        line: from 1.
        text: the line itself, without its indentation.
    """

    file: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first place of a rung at which two models are not the same network.

    Attributes:
        rung: the number of the rung.
        dtype: the floating-point type.
        path: the layer, unit or block; "" for the network as a whole.
        message: what differs, and by how much.
        lines: of the spec and of each generated file.
    """

    rung: int
    dtype: str
    path: str
    message: str
    lines: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Omission:
    """What was not compared, and why.

    Attributes:
        rung: the number of the rung; None for all.
        dtype: the floating-point type; "" for all.
        reason: why.
    """

    rung: int | None
    dtype: str
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """All that a verification found.

    Attributes:
        network: its name.
        file: the spec.
        targets: the names of the targets that were compared, with their frameworks' versions.
        input: the shape of the input (N, C, H, W).
        other: height and width of the other input of rung 1, or why there is none.
        weights: where they come from.
        comparisons: in the order in which they were made.
        divergences: the first place of each rung that has one.
        omissions: what was not compared.
        asked: the rungs that were asked for.
        dtypes: the floating-point types that were asked for.
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

    @property
    def ill_conditioned(self) -> tuple[Comparison, ...]:
        """Comparisons above their bar, by no more than rounding does to this network."""
        return tuple(each for each in self.comparisons if each.verdict == "undecided")

    @property
    def passed(self) -> bool:
        """Whether all that was asked for was compared, and agrees."""
        return not (self.divergences or self.omissions or self.ill_conditioned)

    def of(self, rung: int, dtype: str) -> list[Comparison]:
        """The comparisons of a rung in a type."""
        return [c for c in self.comparisons if c.rung == rung and c.dtype in ("", dtype)]


def worst(comparisons: Iterable[Comparison]) -> Comparison | None:
    """The comparison that comes nearest to its bar, or is farthest above it."""
    return max(comparisons, key=_closeness, default=None)


def _closeness(comparison: Comparison) -> tuple[bool, float]:
    bar = comparison.bar
    share = comparison.relative / bar if bar else (math.inf if comparison.relative else 0.0)
    return comparison.verdict == "diverges", share
