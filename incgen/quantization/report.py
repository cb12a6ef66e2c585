"""The report of a quantised network, as text and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from incgen.base.diagnostics import counted
from incgen.base.tables import ruled
from incgen.quantization.comparing import Classes, Comparison, Error, Row

#: How much less of the images may be classified rightly, or otherwise than in float, before the
#: report says what to do.
_MUCH, _OTHERWISE = 0.005, 0.02


@dataclass(frozen=True, slots=True)
class Report:
    """A quantised file, and how far it is from the float one."""

    path: Path
    changed: bool  #: Whether it differs from what was there before
    source: Path  #: The float file
    bytes: int
    source_bytes: int
    calibration: str  #: How ranges were found
    calibrated: int  #: From how many images
    kept: tuple[str, ...]  #: The labels that stay in float
    note: str  #: Why there is no top-1; "" if there is
    saturates: bool  #: Whether this processor may compute the file less exactly than others
    comparison: Comparison

    @property
    def blocks(self) -> list[Row]:
        """Return how far each block moves, the worst first."""
        return sorted(self.comparison.rows, key=lambda row: -row.own.relative)

    @property
    def top1(self) -> tuple[float, float] | None:
        """Return the part of the images that is classified rightly, in float and in int8."""
        said = self.comparison.classes
        if said is None or not said.labelled:
            return None
        return said.float_right / said.labelled, said.int8_right / said.labelled

    def text(self) -> str:
        """Return the report for people."""
        rows = [("block", "own error", "so far", "int8", "line"), *map(_row, self.blocks)]
        images = f"{counted(self.calibrated, 'image')} for the ranges ({self.calibration})"
        head = f"{images}, {self.comparison.images:,} others compared"
        return "\n".join([head, "", *ruled(rows, range(1, 4)), "", *self._summary()]) + "\n"

    def _summary(self) -> list[str]:
        comparison = self.comparison
        lines = [
            f"output `{name}` differs by {_percent(error)} ({_decibel(error)})"
            for name, error in comparison.outputs.items()
        ]
        classes = comparison.classes
        if classes is not None and classes.count:
            lines.append(f"the same class for {100 * classes.same / classes.count:.2f} % of them")
        if self.top1 is not None:
            before, after = self.top1
            change = 100 * (after - before)
            percents = f"float {100 * before:.2f} %, int8 {100 * after:.2f} %"
            lines.append(f"top-1: {percents} ({change:+.2f})")
        elif self.note:
            lines.append(f"no top-1: {self.note}")
        if self.saturates:
            lines.append(
                "note: this processor has no VNNI, and sums of products may saturate: "
                "compare with `--reduce-range`"
            )
        worst = next((row for row in self.blocks if row.block.int8 and row.own.squares), None)
        if worst is not None and self._is_much():
            lines.append(f"help: `--keep {worst.block.label}` leaves the worst block in float")
        return lines

    def _is_much(self) -> bool:
        """Return whether the loss is worth a remedy."""
        classes = self.comparison.classes
        if self.top1 is not None:
            return self.top1[0] - self.top1[1] > _MUCH
        if classes is not None and classes.count:
            return classes.same < (1 - _OTHERWISE) * classes.count
        return any(error.relative > 10 * _MUCH for error in self.comparison.outputs.values())

    def as_json(self) -> str:
        """Return everything for programs."""
        said: dict[str, Any] = {
            "file": self.path.as_posix(),
            "from": self.source.as_posix(),
            "bytes": self.bytes,
            "float_bytes": self.source_bytes,
            "calibration": {"method": self.calibration, "images": self.calibrated},
            "kept": list(self.kept),
            "compared": self.comparison.images,
            "blocks": [_json_row(row) for row in self.blocks],
            "note": self.note,
            "outputs": {
                name: _json_error(error) for name, error in self.comparison.outputs.items()
            },
            "classes": _json_classes(self.comparison.classes, self.top1),
        }
        return json.dumps(said, indent=2) + "\n"


def _row(row: Row) -> tuple[str, ...]:
    block = row.block
    part = f"{block.int8}/{block.layers}" if block.layers else ""
    return block.label, _percent(row.own), _percent(row.total), part, _place(block.places)


def _place(places: Sequence[str]) -> str:
    """Return places as one text; the name of a file is not repeated.

    >>> _place(("net.inc:3", "net.inc:10"))
    'net.inc:3, 10'
    """
    said, file = list[str](), ""
    for place in places:
        name, _, line = place.rpartition(":")
        said.append(line if name == file else place)
        file = name
    return ", ".join(said)


def _percent(error: Error) -> str:
    return f"{100 * error.relative:.2f} %" if math.isfinite(error.relative) else "all of it"


def _decibel(error: Error) -> str:
    ratio = _ratio(error)
    return "not at all" if ratio is None else f"{ratio:.1f} dB"


def _ratio(error: Error) -> float | None:
    """Return the ratio of signal to noise in decibels; None if there is no noise or no signal."""
    if not (error.squares and error.size):
        return None
    return 10 * math.log10(error.size / error.squares)


def _json_error(error: Error) -> dict[str, Any]:
    relative = error.relative
    return {"error": relative if math.isfinite(relative) else None, "decibel": _ratio(error)}


def _json_row(row: Row) -> dict[str, Any]:
    block = row.block
    return {
        "label": block.label,
        "places": list(block.places),
        "own": _json_error(row.own),
        "so_far": _json_error(row.total),
        "layers": block.layers,
        "int8_layers": block.int8,
    }


def _json_classes(classes: Classes | None, top1: tuple[float, float] | None) -> Any:
    if classes is None or not classes.count:
        return None
    said: dict[str, Any] = {"same": classes.same / classes.count}
    if top1 is not None:
        said["top1"] = {"float": top1[0], "int8": top1[1], "images": classes.labelled}
    return said
