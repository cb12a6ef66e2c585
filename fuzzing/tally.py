"""Counts of what a search saw, which add up over processes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from fuzzing.coverage import Coverage
from fuzzing.faults import FailedNetwork


@dataclass
class Tally:
    """Counts of random networks.

    Attributes:
        seen: How many were drawn.
        agreed: How many passed every check.
        undecided: How many were inconclusive in something and passed everything else.
        rejected: How many were not valid specs, by the first error.
        refused: How many some target cannot express, by message.
        untold: How often something was inconclusive, by subject.
        found: The failures of the others.
        examples: The shortest spec for every error.
        coverage: The features of those that passed.
        seconds: The time that they took, over all processes.
    """

    seen: int = 0
    agreed: int = 0
    undecided: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    untold: Counter[str] = field(default_factory=Counter)
    found: list[FailedNetwork] = field(default_factory=list)
    examples: dict[str, str] = field(default_factory=dict)
    coverage: Coverage = field(default_factory=Coverage)
    seconds: float = 0.0

    def invalid(self, counter: Counter[str], kind: str, text: str) -> None:
        """Count an error and keep the shortest spec that has it."""
        counter[kind] += 1
        self._example(kind, text)

    def _example(self, kind: str, text: str) -> None:
        known = self.examples.get(kind)
        if known is None or (len(text), text) < (len(known), known):
            self.examples[kind] = text

    def add(self, other: Tally) -> None:
        """Add the counts of another process."""
        self.seen += other.seen
        self.agreed += other.agreed
        self.undecided += other.undecided
        self.rejected += other.rejected
        self.refused += other.refused
        self.untold += other.untold
        self.found = sorted([*self.found, *other.found], key=lambda failure: failure.number)
        for kind, text in other.examples.items():
            self._example(kind, text)
        self.coverage.add(other.coverage)
        self.seconds += other.seconds

    def lines(self) -> list[str]:
        """Return the counts as text."""
        lines = [f"{self.seen:,} random networks, {self.agreed:,} agree in every target"]
        if self.undecided:
            lines.append(f"{self.undecided:,} agree but for what could not be told")
        parts = (
            ("things could not be told", self.untold),
            ("no valid specs", self.rejected),
            ("refused by a target", self.refused),
        )
        for title, counter in parts:
            if counter:
                lines.append(f"{sum(counter.values()):,} {title}:")
                lines += [f"  {count:,}  {kind}" for kind, count in counter.most_common()]
        return lines
