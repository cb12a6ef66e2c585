"""A report as a readable table and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from incgen.base.diagnostics import clipped
from incgen.base.tables import aligned, ruled
from incgen.graph.frames import prefixes
from incgen.graph.nodes import Graph
from incgen.verify.places import Places
from incgen.verify.report import RUNGS, Comparison, Divergence, Omission, Report, worst

_GAP = "  "
_INDENT = "  "
#: The columns of the tree: the rungs whose comparisons belong to places.
_BY_PLACE = (1, 2, 3, 4, 5)
_NAMES = {2: "training", 4: "statistics"}
_WIDEST = 36


def text(report: Report, graph: Graph, *, depth: int = 1) -> str:
    """Return the verdicts, block by block and rung by rung.

    `depth` is the number of levels of labels to show; a divergence is shown down to its place.
    """
    parts = [_heading(report)]
    parts += [_tree(report, graph, dtype, depth) for dtype in report.dtypes]
    parts += [_forms(report, dtype) for dtype in report.dtypes]
    parts.append(_rungs(report))
    parts += [_divergence(divergence) for divergence in report.divergences]
    if report.ill_conditioned:
        parts.append(_undecided(report.ill_conditioned))
    if report.omissions:
        parts.append("\n".join(["not compared:", *map(_omission, report.omissions)]))
    parts.append(_verdict(report))
    return "\n\n".join(part for part in parts if part) + "\n"


def _heading(report: Report) -> str:
    shape = " x ".join(map(str, report.input))
    if 1 in report.asked:
        other = report.other
        shape += (
            f", no other size: {other}"
            if isinstance(other, str)
            else ", and {} x {}".format(*other)
        )
    rows = [*report.targets.items()]
    rows += [(target, f"not installed: pip install 'incgen[{target}]'") for target in report.absent]
    rows += [("input", shape), ("weights", report.weights)]
    if report.recipe:
        rows.append(("recipe", f"{report.recipe}, in miniature"))
    return "\n".join([f"{report.network}  from {report.file}", *aligned(rows, gap=_GAP)])


# ---------------------------------------------------------------- the tree


def _tree(report: Report, graph: Graph, dtype: str, depth: int) -> str:
    """Tabulate the largest relative difference of each block on each rung."""
    columns = [rung for rung in _BY_PLACE if rung in report.asked and report.of(rung, dtype)]
    if not columns:
        return ""
    places = Places(graph)
    compared: dict[tuple[str, int], list[Comparison]] = {}
    shown = {divergence.path for divergence in report.divergences if divergence.dtype == dtype}
    for comparison in report.comparisons:
        if comparison.dtype == dtype and comparison.rung in columns:
            path = places.around(comparison.path)
            for prefix in (*prefixes(path), path) if path else ():
                compared.setdefault((prefix, comparison.rung), []).append(comparison)
    names = [_NAMES.get(rung, RUNGS[rung]) for rung in columns]
    rows = [(f"{dtype}, relative", *names)]
    for path in _paths(graph, depth, shown):
        cells = [_cell(compared.get((path, rung), ())) for rung in columns]
        if any(cells):
            label = _INDENT * path.count(".") + path.rpartition(".")[2]
            rows.append((clipped(label, _WIDEST), *cells))
    return _table(rows) if len(rows) > 1 else ""


def _paths(graph: Graph, depth: int, shown: Iterable[str]) -> Iterator[str]:
    """Yield labels down to a depth, and down to shown places, in the order of the network."""
    opened = {prefix for path in shown for prefix in (*prefixes(path), path)}
    seen: set[str] = set()
    for node in graph.nodes:
        for level, path in enumerate((*prefixes(node.path), node.path)):
            around = path.rpartition(".")[0]
            if path not in seen and (level < depth or around in opened):
                seen.add(path)
                yield path


def _cell(comparisons: Sequence[Comparison]) -> str:
    if worst(comparisons) is None:
        return ""
    largest = max(c.relative for c in comparisons)
    verdicts = {c.verdict for c in comparisons}
    mark = " !" if "diverges" in verdicts else " ?" if "undecided" in verdicts else "  "
    return ("equal" if not largest else _number(largest)) + mark


def _forms(report: Report, dtype: str) -> str:
    """Tabulate the forms of the models."""
    last = len(RUNGS) - 1
    made = [c for c in report.comparisons if (c.rung, c.dtype) == (last, dtype)]
    if not made:
        return ""
    rows: list[tuple[str, ...]] = [(f"{dtype}, relative", "", RUNGS[last])]
    forms: dict[tuple[str, str], list[Comparison]] = {}
    for comparison in made:
        form = (
            comparison.what
            if comparison.between[1] == comparison.what
            else f"{comparison.what} in {comparison.between[1]}"
        )
        forms.setdefault((comparison.between[0], form), []).append(comparison)
    rows += [(target, form, _cell(compared)) for (target, form), compared in forms.items()]
    return _table(rows, (0, 1))


# ---------------------------------------------------------------- the rungs


def _rungs(report: Report) -> str:
    """Tabulate what was compared on each rung, and the largest differences."""
    rows: list[tuple[str, ...]] = [
        ("rung", "", "compared", "absolute", "relative", "bar", "at", "verdict")
    ]
    for dtype in report.dtypes:
        for rung in report.asked:
            made = report.of(rung, dtype)
            head = f"{rung} {RUNGS[rung]}", dtype, f"{len(made):,}"
            rows.append((*head, *_numbers(worst(made)), _rung_verdict(made)))
    return _table(rows, (0, 1, 6, 7))


def _numbers(measured: Comparison | None) -> tuple[str, str, str, str]:
    """Return the differences of a comparison, their bar and their place."""
    if measured is None:
        return "", "", "", ""
    if not measured.bar:
        equal = "equal" if measured.verdict == "agrees" else ""
        return "", equal, "equal", clipped(measured.path, _WIDEST)
    place = clipped(measured.path or measured.what, _WIDEST)
    return _number(measured.absolute), _number(measured.relative), f"{measured.bar:.0e}", place


def _rung_verdict(made: Sequence[Comparison]) -> str:
    verdicts = {c.verdict for c in made}
    for verdict in ("diverges", "undecided", "agrees"):
        if verdict in verdicts:
            return verdict
    return "not compared"


def _divergence(divergence: Divergence) -> str:
    where = f"`{divergence.path}`: " if divergence.path else ""
    title = f"rung {divergence.rung} ({RUNGS[divergence.rung]}), {divergence.dtype}: "
    places = [(f"{_INDENT}{place.file}:{place.line}", place.text) for place in divergence.lines]
    lines = aligned(places, gap=_GAP)
    return "\n".join([f"{title}{where}{divergence.message}", *lines])


def _undecided(comparisons: Sequence[Comparison]) -> str:
    case = worst(comparisons)
    assert case is not None
    count = len(comparisons)
    return (
        f"{count} comparison{'s' * (count != 1)} cannot be decided with these weights: rounding "
        f"alone exceeds the bar. The worst is `{case.path}` on rung {case.rung}: "
        f"{_number(case.relative)}, and {case.message}. Try other --weights or another --seed."
    )


def _omission(omission: Omission) -> str:
    parts = [] if omission.rung is None else [f"rung {omission.rung} ({RUNGS[omission.rung]})"]
    parts += [omission.dtype] if omission.dtype else []
    where = ", ".join(parts)
    return f"{_INDENT}{where}: {omission.reason}" if where else f"{_INDENT}{omission.reason}"


def _verdict(report: Report) -> str:
    count = f"{len(report.comparisons):,} comparisons"
    if report.passed and len(report.targets) == 1:
        return f"as the spec says: {count} of {next(iter(report.targets))} agree"
    if report.passed:
        return f"the same network: {count} agree"
    if report.divergences:
        return "not the same network"
    return f"not proved: {count} were made, but not all that were requested"


# ---------------------------------------------------------------- columns


def _table(rows: Sequence[Sequence[str]], texts: Sequence[int] = (0,)) -> str:
    right = {*range(len(rows[0]))} - {*texts}
    return "\n".join(ruled(rows, right, _GAP))


def _number(value: float) -> str:
    return f"{value:.1e}" if math.isfinite(value) else "-"


# ---------------------------------------------------------------- JSON


def as_json(report: Report) -> str:
    """Return all comparisons as one JSON object."""
    other = report.other
    whole = {
        "network": report.network,
        "file": report.file,
        "passed": report.passed,
        "targets": report.targets,
        "input": report.input,
        "other_size": None if isinstance(other, str) else other,
        "weights": report.weights,
        "recipe": report.recipe or None,
        "rungs": {str(rung): RUNGS[rung] for rung in report.asked},
        "dtypes": report.dtypes,
        "divergences": [asdict(divergence) for divergence in report.divergences],
        "not_compared": [asdict(omission) for omission in report.omissions],
        "comparisons": [_measured(asdict(comparison)) for comparison in report.comparisons],
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _measured(comparison: dict[str, Any]) -> dict[str, Any]:
    """Replace what cannot be measured by null, since JSON has no infinity."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in comparison.items()
    }
