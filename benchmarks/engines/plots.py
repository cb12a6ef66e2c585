"""Plots of results as SVG files."""

from __future__ import annotations

import statistics
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from engines.plan import (
    DEPLOYED,
    ENGINES,
    INFERENCE,
    INT8,
    ONNX2TF,
    PNNX,
    PUBLISHED,
    TRAINING,
    Cell,
)
from engines.results import Results

#: The models in the order of their bars, with what the legend calls them, and their colours.
_SHOWN = {
    PUBLISHED: ("published, or by hand", "#9aa0a6"),
    PNNX: ("by a converter", "#d9a441"),
    ONNX2TF: ("by a converter", "#d9a441"),
    TRAINING: ("ours, training form", "#7fb2e5"),
    DEPLOYED: ("ours, deployed", "#1f6fb5"),
    INT8: ("ours, int8", "#3a8f5c"),
}
_THICK = 0.8


def plot(results: Results, folder: Path) -> list[Path]:
    """Draw the images a second of each network, and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for network in results.networks:
        path = folder / f"{network}.svg"
        with rc_context({"svg.hashsalt": network}):  # the same results give the same file
            _figure(results, network).savefig(path, metadata={"Date": None})
        written.append(path)
    return written


def _figure(results: Results, network: str) -> Figure:
    cells = [c for c in results.times if (c.network, c.work) == (network, INFERENCE)]
    cells = [cell for cell in cells if cell.model in _SHOWN]
    engines = [name for name in ENGINES if any(cell.engine == name for cell in cells)]
    batches = sorted({cell.batch for cell in cells})
    width = max(8, 3.6 * len(batches) + 1.6)  # the legend needs some
    figure = Figure(figsize=(width, 0.62 * len(engines) + 1.3))
    figure.set_layout_engine("constrained")
    row = figure.subplots(1, max(1, len(batches)), sharey=True, squeeze=False)[0]
    for axes, batch in zip(row, batches, strict=False):
        _bars(axes, results, [cell for cell in cells if cell.batch == batch], engines)
        axes.set_title(f"batch {batch}")
        axes.set_xlabel("images a second")
    row[0].set_yticks(range(len(engines)), [ENGINES[name].title for name in engines])
    row[0].invert_yaxis()
    shown = {_SHOWN[cell.model] for cell in cells}
    keys = [Patch(color=c, label=t) for t, c in dict.fromkeys(_SHOWN.values()) if (t, c) in shown]
    figure.legend(handles=keys, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    figure.suptitle(network)
    return figure


def _bars(axes: Axes, results: Results, cells: list[Cell], engines: list[str]) -> None:
    """Draw the bars of a batch: the median, with a line from the slowest round to the fastest."""
    for place, engine in enumerate(engines):
        drawn = sorted(
            (cell for cell in cells if cell.engine == engine),
            key=lambda cell: list(_SHOWN).index(cell.model),
        )
        thick = _THICK / max(len(drawn), 3)
        for number, cell in enumerate(drawn):
            times = results.times[cell]
            middle = cell.batch / statistics.median(times)
            spread = [[middle - cell.batch / max(times)], [cell.batch / min(times) - middle]]
            height = place + (number - (len(drawn) - 1) / 2) * thick
            axes.barh(height, middle, thick * 0.92, color=_SHOWN[cell.model][1])
            axes.errorbar(middle, height, xerr=spread, color="#333333", linewidth=0.8)
            end = cell.batch / min(times)
            axes.text(end, height, f" {middle:.3g}", va="center", fontsize=6.5)
    axes.margins(x=0.14)
    axes.spines[["top", "right"]].set_visible(False)
