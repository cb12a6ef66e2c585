"""The results of the experiments as one JSON file, as tables, and as plots."""

from __future__ import annotations

import csv
import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from incgen.base.tables import markdown
from science.experiments import (
    CHANGES,
    FORMS,
    FRAMEWORKS,
    RATES,
    SEEDS,
    Curve,
    Run,
    curve_of,
    finished,
    frameworks,
)

#: The curves of all runs by name.
Curves: TypeAlias = Mapping[str, Curve]
#: The paper's figure 3: steps (in millions) to 72.2 %, Inception's best, and the highest accuracy.
PAPER = {
    "inception": (31.0, 72.2),
    "x1": (13.3, 72.7),
    "x5": (2.1, 73.0),
    "x30": (2.7, 74.8),
    "x5_sigmoid": (None, 69.8),
    "sigmoid": (None, 0.1),
}
#: Accuracies that every form is timed to, beside the best one of Inception.
_ON_THE_WAY = (0.8, 0.85)


def gather(runs: Iterable[Run], folder: Path, results: Path) -> dict[str, Any]:
    """Return the curves of runs by name, and the percentiles of figure 1.

    Runs that are not finished in the folder have what an earlier JSON file says, if anything.
    """
    known = json.loads(results.read_text("utf-8")) if results.exists() else {}
    found: dict[str, Any] = {}
    for run in runs:
        if finished(folder / run.name):
            found[run.name] = _result(run, folder / run.name)
        elif run.name in known:
            found[run.name] = known[run.name]
    return found


def _result(run: Run, place: Path) -> dict[str, Any]:
    found = {**asdict(curve_of(place)), "base": run.settings.get("base")}
    percentiles = place / "percentiles.csv"
    if percentiles.exists():
        with percentiles.open(newline="") as file:
            rows = [[float(value) for value in row] for row in list(csv.reader(file))[1:]]
        found["percentiles"] = rows[::5]
    return found


def collect(runs: Iterable[Run], folder: Path, results: Path) -> None:
    """Write what `gather` returns to the JSON file."""
    results.write_text(json.dumps(gather(runs, folder, results)) + "\n", "utf-8")


def read(results: Path) -> tuple[dict[str, Curve], dict[str, list[list[float]]], float]:
    """Read what `collect` wrote: curves, percentiles, and the rate of Inception."""
    found = json.loads(results.read_text("utf-8"))
    curves = curves_in(found)
    percentiles = {n: each["percentiles"] for n, each in found.items() if "percentiles" in each}
    return curves, percentiles, best_rate(curves)


def curves_in(found: Mapping[str, Any]) -> dict[str, Curve]:
    """Return the curves of what `gather` returned, by name."""
    return {
        name: Curve(tuple(each["steps"]), tuple(each["accuracies"])) for name, each in found.items()
    }


def best_rate(curves: Curves) -> float:
    """Return the rate with which Inception reaches its highest accuracy."""
    named = {rate: Run("forms", "inception", settings={"base": rate}).name for rate in RATES}
    tried = {rate: curves[name].best for rate, name in named.items() if name in curves}
    return max(tried, key=lambda rate: tried[rate], default=RATES[0])


def curves_of(curves: Curves, recipe: str, base: float) -> list[Curve]:
    """Return the curves of a recipe for all seeds that were run."""
    runs = [Run("forms", recipe, seed=seed, settings={"base": base}) for seed in SEEDS]
    return [curves[run.name] for run in runs if run.name in curves]


def table_of_forms(curves: Curves, base: float) -> str:
    """Return the table of figure 3: steps to accuracies, the last Inception's, and the best one.

    In parentheses: how many times fewer than those of Inception.
    """
    goals = [*_ON_THE_WAY, _goal(curves, base)]
    first = curves_of(curves, "inception", base)
    heads = [f"steps to {100 * goal:.1f} %" for goal in goals]
    rows = [["form", *heads, "best", "paper: steps to 72.2 %", "best"]]
    for recipe, name in FORMS.items():
        found = curves_of(curves, recipe, base)
        taken = [_fewer(_steps(found, goal), _steps(first, goal)) for goal in goals]
        millions, best = PAPER[recipe]
        theirs = f"{millions} million ({31.0 / millions:.1f})" if millions else "-"
        rows.append([name, *taken, _spread(found), theirs, f"{best} %"])
    return markdown(rows[0], rows[1:]).rstrip()


def table_of_changes(curves: Curves, base: float) -> str:
    """Return what each of the seven changes does, taken back from BN-x5, in as many steps."""
    goals = [*_ON_THE_WAY, _goal(curves, base)]
    taken_back = [curve for recipe in CHANGES for curve in curves_of(curves, recipe, base)]
    last = min((curve.steps[-1] for curve in taken_back), default=0)
    rows = [["BN-x5 with", *(f"steps to {100 * goal:.1f} %" for goal in goals), "best"]]
    for recipe, name in {"x5": "all seven changes", **CHANGES}.items():
        found = [curve.until(last) for curve in curves_of(curves, recipe, base)]
        rows.append([name, *(_range_of_steps(found, goal) for goal in goals), _spread(found)])
    return markdown(rows[0], rows[1:]).rstrip()


def table_of_rates(curves: Curves) -> str:
    """Return the accuracies of Inception at the rates that were tried."""
    rows = [["rate", "best"]]
    for rate in RATES:
        curve = curves.get(Run("forms", "inception", settings={"base": rate}).name)
        rows += [[f"{rate:g}", f"{100 * curve.best:.1f} %"]] if curve else []
    return markdown(rows[0], rows[1:]).rstrip()


def _goal(curves: Curves, base: float) -> float:
    """Return an accuracy that Inception reaches with every seed: the lowest of its best ones."""
    return min((curve.best for curve in curves_of(curves, "inception", base)), default=1.0)


def _mean(values: Sequence[float]) -> float:
    return statistics.fmean(values) if values else 0.0


def _steps(curves: Sequence[Curve], goal: float) -> float | None:
    """Return the mean of the steps to an accuracy; None if some seed never reaches it."""
    steps = [curve.steps_to(goal) for curve in curves]
    known = [step for step in steps if step is not None]
    return _mean(known) if known and len(known) == len(steps) else None


def _fewer(steps: float | None, first: float | None) -> str:
    if steps is None:
        return "-"
    return f"{steps:,.0f} ({first / steps:.1f})" if first else f"{steps:,.0f}"


def _range_of_steps(curves: Sequence[Curve], goal: float) -> str:
    """Return the mean of the steps to an accuracy, with the fewest and the most of any seed."""
    mean = _steps(curves, goal)
    if mean is None:
        return "-"
    steps = [step for curve in curves if (step := curve.steps_to(goal)) is not None]
    return f"{mean:,.0f} ({min(steps):,} to {max(steps):,})"


def _spread(curves: Sequence[Curve]) -> str:
    """Return the mean of the best accuracies, with the lowest and the highest of any seed."""
    best = [100 * curve.best for curve in curves]
    if not best:
        return "-"
    return f"{_mean(best):.1f} % ({min(best):.1f} to {max(best):.1f})"


# ---------------------------------------------------------------- plots


def mean_of(curves: Sequence[Curve]) -> tuple[list[int], list[float]]:
    """Return the steps at which all of some curves were evaluated, and their mean accuracies."""
    found = [dict(zip(curve.steps, curve.accuracies, strict=True)) for curve in curves]
    steps = sorted(set.intersection(*map(set, found)))
    return steps, [_mean([each[step] for each in found]) for step in steps]


def plot(results: Path, folder: Path) -> None:
    """Draw the figures of what was run as SVG files."""
    curves, percentiles, base = read(results)
    folder.mkdir(parents=True, exist_ok=True)
    figures = {"figure1": (_figure_1(curves, percentiles), "sigmoids_")}
    figures["figure2"] = (_figure_2(curves, base), "forms_")
    figures["frameworks"] = (_frameworks(curves, base), frameworks(base)[0].name)
    for name, (figure, runs) in figures.items():
        if any(run.startswith(runs) for run in curves):
            with rc_context({"svg.hashsalt": name}):  # the same curves give the same file
                figure.savefig(folder / f"{name}.svg", metadata={"Date": None})


def _figure_1(curves: Curves, percentiles: Mapping[str, list[list[float]]]) -> Figure:
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    left, *others = figure.subplots(1, 3)
    titles = {"plain": "without normalisation", "normalised": "with normalisation"}
    for axes, (recipe, title) in zip(others, titles.items(), strict=True):
        name = Run("sigmoids", recipe).name
        _draw(left, title, [curves[name]] if name in curves else [])
        for column, label in ((1, "15 %"), (2, "50 %"), (3, "85 %")):
            rows = percentiles.get(name, [])
            axes.plot([row[0] for row in rows], [row[column] for row in rows], label=label)
        axes.set_title(f"input of a sigmoid, {title}")
        axes.set_xlabel("step")
        axes.margins(y=0.2)
        _legend(axes, loc="upper center", ncols=3)  # no curve is there
    left.set_ylabel("test accuracy")
    _legend(left)
    return figure


def _figure_2(curves: Curves, base: float) -> Figure:
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for recipe, title in FORMS.items():
        _draw(axes, title, curves_of(curves, recipe, base))
    axes.set_ylabel("test accuracy, mean of the seeds")
    axes.set_ylim(0.6)
    _legend(axes)
    return figure


def _frameworks(curves: Curves, base: float) -> Figure:
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for run in frameworks(base):
        found = [curves[run.name]] if run.name in curves else []
        _draw(axes, FRAMEWORKS[run.target], found)
    axes.set_ylabel("test accuracy of BN-x5")
    _legend(axes)
    return figure


def _draw(axes: Axes, title: str, curves: Sequence[Curve]) -> None:
    """Draw the mean of curves."""
    if not curves:
        return
    axes.plot(*mean_of(curves), label=title)
    axes.set_xlabel("step")
    axes.grid(alpha=0.3)


def _legend(axes: Axes, **options: Any) -> None:
    """Add a legend, unless nothing was run that it could name."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(**options)
