"""Counts of what a run on broken inputs found; parts of a run add up."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from fuzzing.broken.cases import Case

#: How many of the slowest inputs are reported.
_SLOWEST = 5


@dataclass
class Failed:
    """A failure.

    Attributes:
        number: The number of the input.
        kind: What is wrong, in a few words.
        detail: The rest of the message.
        case: The reduced input; None if one of this kind is already known.
        kept: Where it was saved.
    """

    number: int
    kind: str
    detail: str
    case: Case | None = None
    kept: Path | None = None


@dataclass
class Report:
    """Counts of a run, or of a part of one.

    Attributes:
        inputs: How many were tried.
        ends: How often each end occurred; an input counts for each of its codes.
        kinds: How many were made in each way.
        slowest: Processor time in seconds, with the number of the input.
        memory: The peak memory of a process, in bytes.
        failures: All failures.
        seconds: Wall-clock time of the whole run.
        interrupted: What ended the run early.
    """

    inputs: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    slowest: list[tuple[float, int]] = field(default_factory=list)
    memory: int = 0
    failures: list[Failed] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: KeyboardInterrupt | None = None

    def add(self, other: Report) -> None:
        """Add the counts of another part."""
        self.inputs += other.inputs
        self.ends += other.ends
        self.kinds += other.kinds
        self.slowest = sorted(self.slowest + other.slowest, reverse=True)[:_SLOWEST]
        self.memory = max(self.memory, other.memory)
        self.failures += other.failures

    @property
    def failed(self) -> bool:
        """Return whether anything failed."""
        return bool(self.failures)

    def progress(self, count: int) -> str:
        """Return the progress as one line."""
        return f"{self.inputs:,} of {count:,} inputs, {len(self.failures):,} failures"

    def text(self) -> str:
        """Return the report for people, without a final newline."""
        rate = self.inputs / self.seconds if self.seconds else 0.0
        lines = [f"{self.inputs:,} inputs in {self.seconds:,.0f} s, {rate:,.0f} a second"]
        lines.append("made by: " + _listed(self.kinds))
        lines.append("ended in: " + _listed(self.ends))
        slow = ", ".join(f"{seconds:.2f} s (input {number})" for seconds, number in self.slowest)
        lines.append(f"slowest: {slow}")
        lines.append(f"peak memory: {self.memory / 2**20:,.0f} MiB")
        kinds = Counter(failure.kind for failure in self.failures)
        lines.append(f"failures: {len(self.failures)}")
        for kind, count in kinds.most_common():
            first = next(failure for failure in self.failures if failure.kind == kind)
            place = f", kept as {first.kept}" if first.kept else ""
            lines.append(f"  {count} x {kind}: input {first.number}{place}")
            lines += [f"      {line}" for line in first.detail.splitlines()]
        if self.interrupted is not None:
            lines.append("interrupted")
        return "\n".join(lines)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common())
