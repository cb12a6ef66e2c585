"""The results of a run as JSON, and what is computed of them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from engines.plan import INFERENCE, Cell
from figures import Comparison


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that was to be measured, and why it was not."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Building:
    """The time and memory of writing a network in some form.

    Attributes:
        network: The network.
        what: What was run.
        seconds: The time of each run.
        peak: The memory of the process at its peak in bytes, where it was measured.
    """

    network: str
    what: str
    seconds: tuple[float, ...]
    peak: int | None = None


@dataclass(slots=True)
class Results:
    """All that a run found.

    Attributes:
        made: The day of the run.
        seconds: How long it took in all.
        machine: The machine, by what is described.
        versions: The version of each library.
        networks: The multiply-adds of an example, and the bytes of the weights, of each network.
        times: The seconds of a pass or step, of each round, by cell.
        missing: What was not measured.
        building: How long building takes.
        differences: How far outputs are from the published model's, relative to the largest.
    """

    made: str
    seconds: float = 0.0
    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    networks: dict[str, dict[str, int]] = field(default_factory=dict)
    times: dict[Cell, list[float]] = field(default_factory=dict)
    missing: list[Missing] = field(default_factory=list)
    building: list[Building] = field(default_factory=list)
    differences: dict[str, float] = field(default_factory=dict)

    def median(self, cell: Cell) -> float | None:
        """Return the median seconds of a cell; None if it was not measured."""
        return statistics.median(self.times[cell]) if self.times.get(cell) else None

    def rate(self, cell: Cell) -> float | None:
        """Return the examples a second of a cell."""
        median = self.median(cell)
        return cell.batch / median if median else None

    def speedup(self, cell: Cell, other: Cell) -> Comparison | None:
        """Return how many times faster a cell is than another, by the rounds that both have."""
        ours, theirs = self.times.get(cell), self.times.get(other)
        if not ours or not theirs:
            return None
        rounds = min(len(ours), len(theirs))
        return Comparison(tuple(theirs[:rounds]), tuple(ours[:rounds]))

    def found(self, network: str, model: str, batch: int, work: str = INFERENCE) -> list[Cell]:
        """Return the measured cells of a model, in the order of engines."""
        wanted = (network, model, batch, work)
        return [
            cell
            for cell, times in self.times.items()
            if times and (cell.network, cell.model, cell.batch, cell.work) == wanted
        ]


def write(results: Results, path: Path) -> None:
    """Write results to a file, a cell on a line."""
    content = {name: getattr(results, name) for name in Results.__slots__}
    content["missing"] = [asdict(missing) for missing in results.missing]
    content["building"] = [asdict(building) for building in results.building]
    content["times"] = [
        {**asdict(cell), "seconds": [round(time, 6) for time in seconds]}
        for cell, seconds in results.times.items()
    ]
    lines = [f"{json.dumps(key)}: {_lines(value)}" for key, value in content.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


def _lines(value: Any) -> str:
    if not isinstance(value, list) or not value:
        return json.dumps(value)
    return "[\n" + ",\n".join(f"  {json.dumps(item)}" for item in value) + "\n]"


def read(path: Path) -> Results:
    """Read what `write` wrote."""
    content = json.loads(path.read_text("utf-8"))
    content["missing"] = [Missing(**row) for row in content["missing"]]
    content["building"] = [
        Building(**{**row, "seconds": tuple(row["seconds"])}) for row in content["building"]
    ]
    content["times"] = dict(_timed(content["times"]))
    return Results(**content)


def _timed(rows: Iterable[dict[str, Any]]) -> Iterable[tuple[Cell, list[float]]]:
    for row in rows:
        seconds = row.pop("seconds")
        yield Cell(**row), seconds
