"""Errors of weights files, whose text is the whole report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from incgen.base.diagnostics import plain


class WeightsError(Exception):
    """A weights file or a layout cannot be used; the message says why and what to do."""

    def __init__(self, message: str) -> None:
        """Store a message that is safe to print: names in it come from the file."""
        super().__init__("\n".join(map(plain, message.split("\n"))))


@dataclass(frozen=True, slots=True)
class Fault:
    """One difference between a checkpoint and a network."""

    kind: str  #: `missing`, `unexpected`, `misshapen`, `ambiguous`, or what is wrong with values
    key: str  #: The tensor: ours, or theirs if it is unexpected
    detail: str = ""  #: The rest of the line; empty if the key says it all

    def __str__(self) -> str:
        """Write the fault as `key: detail`."""
        return f"{self.key}: {self.detail}" if self.detail else self.key


#: How many faults of each kind a report shows if the file may belong to another network.
MOST = 10


class MismatchError(WeightsError):
    """A weights file can be read but does not fit; `faults` lists all differences."""

    def __init__(
        self,
        title: str,
        faults: Sequence[Fault],
        *,
        help: Sequence[str] = (),
        most: int | None = None,
    ) -> None:
        """Make the report from a title, the faults by kind, up to a number of each, and help."""
        self.faults = tuple(faults)
        lines = [title]
        for kind in dict.fromkeys(fault.kind for fault in faults):
            group = [str(fault) for fault in faults if fault.kind == kind]
            lines.append(f"  {kind} ({len(group)}):")
            lines += [f"    {line}" for line in group[:most]]
            if most is not None and len(group) > most:
                lines.append(f"    ... and {len(group) - most} more")
        lines += [f"help: {line}" for line in help]
        super().__init__("\n".join(lines))
