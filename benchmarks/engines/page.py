"""Results as text, and as the tables and plots of docs/benchmarks.md."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Iterable
from pathlib import Path

from engines import bars
from engines.plan import (
    CONVOLUTION,
    DEPLOYED,
    ENGINES,
    INFERENCE,
    INT8,
    NETWORKS,
    ONNX2TF,
    PNNX,
    PUBLISHED,
    STEP,
    TRAINING,
    Cell,
    plain_multiply_adds,
)
from engines.results import Results
from figures import ROOT
from incgen.base.tables import markdown, ruled

#: The results that the page shows.
RESULTS = ROOT / "benchmarks" / "results" / "inference.json"
PAGE = ROOT / "docs" / "benchmarks.md"
PLOTS = ROOT / "docs" / "benchmarks"
_MARKED = re.compile(r"(<!-- table: (benchmark [^\n]+?) -->\n)(.*?)(\n?<!-- end -->)", re.DOTALL)
#: A table: its head and its rows.
Table = tuple[tuple[str, ...], list[tuple[str, ...]]]


def text(results: Results) -> str:
    """Return all tables but that of the figures, for a terminal."""
    made = []
    for name, table in _TABLES.items():
        head, rows = table(results)
        if rows and name != "bars":  # those follow as figures
            made.append("\n".join([name, "", *ruled([head, *rows], gap="  ")]))
    return "\n\n".join([described(results), *made])


def tables(results: Results) -> dict[str, str]:
    """Return what stands in the page, by the name of its place."""
    texts = {"benchmark machine": described(results)}
    for name, table in _TABLES.items():
        head, rows = table(results)
        texts[f"benchmark {name}"] = markdown(head, rows).rstrip() if rows else "Nothing."
    return texts


def write(results: Results) -> list[Path]:
    """Write the tables of the page anew, and its plots; return what was written."""
    from engines.plots import plot

    fresh = tables(results)
    page = PAGE.read_text("utf-8")
    page = _MARKED.sub(lambda match: f"{match[1]}{fresh[match[2]]}\n<!-- end -->", page)
    PAGE.write_text(page, "utf-8")
    return [PAGE, *plot(results, PLOTS)]


def described(results: Results) -> str:
    """Return the machine, the libraries and the run as a paragraph."""
    machine = results.machine
    rounds = [len(times) for times in results.times.values()] or [0]
    libraries = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    return (
        f"Measured on {results.made} in {results.seconds / 60:.0f} minutes, "
        f"{min(rounds)} to {max(rounds)} rounds. "
        f"{machine['cores']} cores of {machine['processor']} ({machine['family']}; "
        f"{', '.join(machine['instructions'])}), {machine['memory'] / 2**30:.0f} GiB; "
        f"{machine['system']}; load {machine['load']:g} when it began. {libraries}."
    )


# ---------------------------------------------------------------- tables


def _bars(results: Results) -> Table:
    """Return the figures with a column for each network."""
    marks = {True: "✓ ", False: "✗ ", None: ""}
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for figure in bars.figures(results):
        network, _, what = figure.name.partition(": ")
        measured = marks[figure.reached] + figure.value.replace("  ", " ")
        rows.setdefault((what, figure.bar), {})[network] = measured
    networks = [*results.networks]
    cells = [
        (what, bar, *(of.get(name, "") for name in networks)) for (what, bar), of in rows.items()
    ]
    return ("what", "bar", *networks), cells


def _inference(network: str) -> Callable[[Results], Table]:
    """Return what makes the table of a network: images a second in each engine, by batch."""

    def made(results: Results) -> Table:
        batches = sorted(
            {c.batch for c in results.times if c.network == network and c.work == INFERENCE}
        )
        head = ("engine", "model", *(f"batch {batch}" for batch in batches), "by published")
        rows: list[tuple[str, ...]] = []
        for engine, model in _models(results, network, INFERENCE):
            cells = [Cell(network, engine, model, batch) for batch in batches]
            rates = [_rate(results, cell) for cell in cells]
            title = ENGINES[engine].title
            rows.append((title, _named(network, engine, model), *rates, _ratio(results, cells)))
        return head, rows

    return made


def _models(results: Results, network: str, work: str) -> list[tuple[str, str]]:
    """Return the engines and models that were measured, each once."""
    models = [
        (cell.engine, cell.model)
        for cell in results.times
        if (cell.network, cell.work) == (network, work) and cell.model != CONVOLUTION
    ]
    return sorted(dict.fromkeys(models), key=lambda model: list(ENGINES).index(model[0]))


def _named(network: str, engine: str, model: str) -> str:
    """Return what a model is called in a table."""
    if model == PUBLISHED:
        peer = NETWORKS[network].peers[ENGINES[engine].family]
        return f"{peer}, exported" if ENGINES[engine].exports else peer
    ours = {TRAINING: "ours, training form", DEPLOYED: "ours, deployed", INT8: "ours, int8"}
    others = {PNNX: "what pnnx writes", ONNX2TF: "what onnx2tf writes"}
    return (ours | others)[model]


def _rate(results: Results, cell: Cell) -> str:
    """Return the images a second of a cell, with the spread of the rounds."""
    times = results.times.get(cell)
    if not times:
        return ""
    slow, fast = cell.batch / max(times), cell.batch / min(times)
    return f"{cell.batch / statistics.median(times):.1f} [{slow:.1f} to {fast:.1f}]"


def _ratio(results: Results, cells: list[Cell]) -> str:
    """Return how many times faster than the published model of its engine, by batch."""
    ratios = []
    for cell in cells:
        other = Cell(cell.network, cell.engine, PUBLISHED, cell.batch, cell.work)
        compared = results.speedup(cell, other) if cell.model != PUBLISHED else None
        if compared is not None:
            ratios.append(f"{compared.ratio:.2f}")
    return ", ".join(ratios)


def _steps(results: Results) -> Table:
    rows: list[tuple[str, ...]] = []
    for network in results.networks:
        for engine, model in _models(results, network, STEP):
            cells = [
                c
                for c in results.times
                if (c.network, c.engine, c.model, c.work) == (network, engine, model, STEP)
            ]
            for cell in cells:
                name = _named(network, engine, model)
                row = (network, ENGINES[engine].title, name, _rate(results, cell))
                rows.append((*row, _ratio(results, [cell])))
    return ("network", "engine", "model", "images a second", "by published"), rows


def _building(results: Results) -> Table:
    rows: list[tuple[str, ...]] = []
    for built in results.building:
        memory = f"{built.peak / 1e6:.0f} MB" if built.peak is not None else ""
        rows.append(
            (built.network, built.what, f"{statistics.median(built.seconds):.2f} s", memory)
        )
    return ("network", "what", "time", "memory at the peak"), rows


def _speed(results: Results) -> Table:
    """Return the multiply-adds a second: of the plain convolution, and of each network."""
    rows: list[tuple[str, ...]] = []
    for network in results.networks:
        best = bars.peak(results, network)
        for model, adds in _costs(results, network):
            for cell in results.found(network, model, 32):
                rate = (results.rate(cell) or 0) * adds
                share = f"{rate / best[0]:.0%}" if best is not None else ""
                name = "a plain convolution" if model == CONVOLUTION else "ours, deployed"
                title = ENGINES[cell.engine].title
                rows.append((network, name, title, f"{rate / 1e9:.0f}", share))
    return ("run of", "model", "engine", "G multiply-adds a second", "share of the best"), rows


def _costs(results: Results, network: str) -> Iterable[tuple[str, int]]:
    yield CONVOLUTION, plain_multiply_adds()
    yield DEPLOYED, results.networks[network]["multiply_adds"]


def _missing(results: Results) -> Table:
    return ("not measured", "why"), [(missing.what, missing.why) for missing in results.missing]


_TABLES: dict[str, Callable[[Results], Table]] = {
    "bars": _bars,
    **{name: _inference(name) for name in NETWORKS},
    "steps": _steps,
    "speed": _speed,
    "building": _building,
    "missing": _missing,
}
