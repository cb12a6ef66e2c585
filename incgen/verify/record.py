"""Collect the comparisons of a ladder, and find where a divergence begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from incgen.verify import measure
from incgen.verify.models import Failure, Models
from incgen.verify.places import Places
from incgen.verify.report import Comparison, Divergence, Omission, Place, Verdict
from incgen.verify.structure import Finding
from incgen.weights.checkpoint import Array

#: How far rounding alone moves each number, by key; computed only if a bar is missed.
Reaction: TypeAlias = Callable[[], Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Subject:
    """The subject of a comparison: the rung, its name, and the two sides."""

    rung: int
    what: str
    sides: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Limit:
    """The largest allowed difference of two results."""

    bar: float | Mapping[str, float]  #: The limit of the relative difference, for all or by key
    floor: float = 0.0  #: The least that the largest element counts as
    reaction: Reaction | None = None  #: Called if a bar is missed
    rounded: bool = False  #: Whether the second side is the first in a smaller type
    coarse: bool = False  #: Whether to compare it however far rounding moves it
    lost: frozenset[str] = frozenset()  #: What is not compared, and excuses what depends on it

    def of(self, key: str) -> float:
        """Return the bar of a key."""
        return self.bar if isinstance(self.bar, float) else self.bar[key]


class Record:
    """The comparisons of the models in one floating-point type."""

    def __init__(self, models: Models) -> None:
        self.models = models
        self.places = Places(models.graph)
        self.comparisons: list[Comparison] = []  #: All that was compared
        self.divergences: list[Divergence] = []  #: The first divergence of each rung
        self.omissions: list[Omission] = []  #: What was not compared

    def omit(self, rung: int, reason: str) -> None:
        """Record that a rung was not compared."""
        self.omissions.append(Omission(rung, self.models.dtype, reason))

    # ------------------------------------------------------------ comparing

    def arrays(
        self, subject: Subject, pair: tuple[Mapping[str, Array], Mapping[str, Array]], limit: Limit
    ) -> None:
        """Compare the arrays of each key; what only one side has is not compared."""
        shared = pair[0].keys() & pair[1].keys()
        noise = set(limit.lost)
        for key in sorted(shared - noise, key=self._order):
            noisy = noise if subject.rung < 3 else ()
            of_noise = bool(noisy) and any(place in noisy for place in self._before(key, shared))
            moved = self._compare(subject, key, (pair[0][key], pair[1][key]), limit, of_noise)
            if moved >= measure.HOPELESS:
                noise.add(key)

    def _before(self, path: str, compared: Set[str]) -> Iterator[str]:
        """Yield the nearest compared places in front of one."""
        nodes, number = self.models.graph.nodes, self.places.node_of(path)
        left = list(nodes[number].inputs) if number is not None else []
        seen = set[int]()  # many ways lead back through the blocks of a residual network
        while left:
            if (number := left.pop()) in seen:
                continue
            seen.add(number)
            if nodes[number].path in compared:
                yield nodes[number].path
            else:
                left += nodes[number].inputs

    def keys(self, rung: int, what: str, name: str, stated: set[str], found: set[str]) -> None:
        """Check that a target has exactly what the spec states, which may be nothing."""
        for key in sorted(stated ^ found):
            has = f"has no {what} of {key}" if key in stated else f"has a {what} of {key}"
            self.fault(Subject(rung, what, ("spec", name)), key, f"{name} {has}")
        if stated == found:
            noun, _, rest = what.partition(" ")
            self.same(rung, f"{noun}s {rest}".rstrip(), name)

    def same(self, rung: int, what: str, name: str) -> None:
        """Record that a target has everything that the spec states."""
        self._keep(Subject(rung, what, ("spec", name)), "", (0.0, 0.0, 0.0), "agrees", "")

    def array(
        self, subject: Subject, path: str, pair: tuple[Array, Array], limit: Limit | None = None
    ) -> None:
        """Compare two arrays; they may differ by rounding alone if there is no limit."""
        self._compare(subject, path, pair, limit or Limit(usual_bar(self.models.dtype)))

    def fact(self, name: str, finding: Finding) -> None:
        """Record a fact about a model's structure."""
        verdict: Verdict = "diverges" if finding.message else "agrees"
        message = f"{name}: {finding.what} {finding.message}" if finding.message else ""
        numbers = finding.absolute, finding.relative, finding.bar
        subject = Subject(0, finding.what, ("spec", name))
        self._keep(subject, finding.path, numbers, verdict, message)

    def fault(self, subject: Subject, path: str, message: str) -> None:
        """Record a failure."""
        self._keep(subject, path, (np.inf, np.inf, 0.0), "diverges", message)

    def undecided(self, subject: Subject, path: str, message: str) -> None:
        """Record that something is undecided."""
        self._keep(subject, path, (0.0, 0.0, 0.0), "undecided", message)

    def failure(
        self, rung: int, failure: Failure, what: str = "run", place: Place | None = None
    ) -> None:
        """Record that a model failed, with the line where it did.

        The place is given if it is not in the source of the training form.
        """
        name = failure.target
        prefix = "" if what == "run" else f"{what}: "
        message = f"{name}: {prefix}{failure.reason}"
        self.fault(Subject(rung, what, (name, name)), "", message)
        if place is None and failure.line is not None:
            place = self._line(name, failure.line)
        lines = () if place is None else (place,)
        self.divergences.append(Divergence(rung, self.models.dtype, "", message, lines))

    def _compare(
        self,
        subject: Subject,
        path: str,
        pair: tuple[Array, Array],
        limit: Limit,
        of_noise: bool = False,
    ) -> float:
        """Compare two arrays; return how far rounding alone moves them, if that was computed."""
        absolute, relative = measure.difference(*pair, limit.floor)
        if not relative and measure.is_nothing(pair[0]):
            self.undecided(subject, path, "no number in it is finite")
            return 0.0
        moved, bar = 0.0, limit.of(path)
        verdict: Verdict = "agrees" if relative <= bar else "diverges"
        message = ""
        if verdict == "diverges" and limit.reaction is not None and np.isfinite(relative):
            moved = limit.reaction().get(path, 0.0)
            if limit.rounded and (limit.coarse or moved < measure.UNTOLD):
                bar = max(bar, measure.bar_by_rounding(moved))
                verdict = "agrees" if relative <= bar else "diverges"
            elif limit.rounded or measure.explained(relative, moved):
                verdict, message = "undecided", f"rounding alone moves it by {moved:.1e}"
            if verdict == "diverges" and of_noise:
                verdict, message = "undecided", "rounding alone makes what goes into it"
                moved = np.inf
        self._keep(subject, path, (absolute, relative, bar), verdict, message)
        return moved

    def _keep(
        self,
        subject: Subject,
        path: str,
        numbers: tuple[float, float, float],
        verdict: Verdict,
        message: str,
    ) -> None:
        rung, what, sides = subject.rung, subject.what, subject.sides
        self.comparisons.append(
            Comparison(rung, self.models.dtype, what, path, sides, *numbers, verdict, message)
        )

    # ------------------------------------------------------------ where it begins

    def wrong(self, rung: int) -> list[Comparison]:
        """Return the divergences on a rung."""
        return [c for c in self.comparisons if c.rung == rung and c.verdict == "diverges"]

    def doubts(self, rung: int) -> bool:
        """Return whether something on a rung is undecided."""
        return any(c.rung == rung and c.verdict == "undecided" for c in self.comparisons)

    def close(self, rung: int) -> None:
        """Name the place where a rung's divergence begins.

        Values and statistics are wrong from a place onward, gradients from a place backward.
        """
        if any(divergence.rung == rung for divergence in self.divergences):
            return  # already reported
        wrong = self.wrong(rung)
        if not wrong:
            return
        # the penalty covers all weights at once
        placed = [c for c in wrong if c.path] or wrong
        ordered = sorted(placed, key=lambda c: self._order(c.path))
        first = ordered[-1] if rung == 3 else ordered[0]
        message = first.message or _sentence(first) + _wrong_side(first, wrong)
        if rung == 3:
            message += self._wrong_slope()
        lines = tuple(self._lines(first.path))
        self.divergences.append(Divergence(rung, self.models.dtype, first.path, message, lines))

    def _order(self, key: str) -> tuple[int, int, str]:
        """Return a sort key: places and keys in the order in which a network computes them."""
        number = self.places.node_of(self.places.around(key))
        last = len(self.models.graph.nodes)
        return (last if number is None else number), -len(self.places.around(key)), key

    def _wrong_slope(self) -> str:
        """Describe which framework's gradient is not that of its own function."""
        models = self.models
        if models.dtype != "float64":
            return ""
        for name in models.names_on(3):
            models.load(name)
            if models.run_trained(name, lambda r: r.slope(models.x, models.seed)).wrong:
                return f"; in {name} it is not the slope of the loss itself"
        return ""

    def _lines(self, path: str) -> Iterator[Place]:
        """Yield the lines of the spec and the generated files that create a place."""
        span = self.places.span_of(path)
        yield Place(span.source.name, span.line, span.source.lines[span.line - 1].strip())
        for name, runner in self.models.runners.items():
            inner = path
            while inner and inner not in runner.lines:
                inner = inner.rpartition(".")[0]
            if inner:
                yield self._line(name, runner.lines[inner])

    def _line(self, name: str, number: int) -> Place:
        file = f"{self.models.graph.program.network.name}_{name}.py"
        return Place(file, number, self.models.sources[name].split("\n")[number - 1].strip())


def usual_bar(dtype: str) -> float:
    """Return how far two results of a type that differ by rounding alone may be apart."""
    return measure.EVALUATION if dtype == "float64" else measure.LEAST


def _wrong_side(first: Comparison, wrong: list[Comparison]) -> str:
    """Describe which of two targets differs from the spec, if only one does."""
    targets = {
        c.between[1]
        for c in wrong
        if c.between[0] == "spec" and (c.what, c.path) == (first.what, first.path)
    }
    only = targets.pop() if len(targets) == 1 else None
    told = "spec" not in first.between and only in first.between
    return f"; {only} is not what the spec says" if told else ""


def _sentence(comparison: Comparison) -> str:
    first, second = comparison.between
    if not np.isfinite(comparison.relative):
        return f"{comparison.what} of {first} and {second} differ in shape or are not finite"
    return (
        f"{comparison.what} of {first} and {second} differ by {comparison.relative:.1e} of the "
        f"largest element (bar {comparison.bar:.0e})"
    )
