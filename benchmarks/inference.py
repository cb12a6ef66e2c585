"""Time generated networks in every engine, against what a user would take instead.

    make bench-peers, or python benchmarks/inference.py [OPTIONS]

All that is compared is measured side by side in one run: each library in a process of its own, each
model with its turn in every round. It takes as long as `--minutes` says, and needs a machine that
does nothing else. `--results` keeps what was found as JSON; `--page` writes the tables and plots of
docs/benchmarks.md from that file, and measures nothing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from engines import bars, machine, page, preparing, results, rounds
from engines.plan import BATCHES, CONVOLUTION, ENGINES, NETWORKS, Network, cells
from figures import option_parser, report

#: What `--smallest` measures.
SMALL = ("torch", "onnxruntime")


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = option_parser(__doc__)
    add = parser.add_argument
    add("--network", action="append", choices=NETWORKS, help="measure this one; repeatable")
    add("--engine", action="append", choices=ENGINES, help="measure in this one; repeatable")
    add("--batch", action="append", type=int, help="so many examples at a time; repeatable")
    add("--minutes", type=float, default=15, help="how long it may take in all (15)")
    add("--rounds", type=int, default=50, help="at most so many rounds, whatever the time (50)")
    add("--compile-each", action="store_true", help="compile for every batch, not only the largest")
    add("--no-steps", action="store_true", help="leave out training steps")
    add("--results", type=Path, metavar="FILE", help=f"write JSON here (all: {page.RESULTS.name})")
    add("--page", action="store_true", help="write docs/benchmarks.md from the results, and end")
    return parser.parse_args(given)


def main() -> None:
    """Measure what is asked for, print tables and figures, and keep the results."""
    options = arguments()
    if options.page:
        for written in page.write(results.read(options.results or page.RESULTS)):
            print(f"wrote {written}")
        return
    measured = measure(options)
    path = options.results or (page.RESULTS if is_all(options) else None)
    if path is not None:
        results.write(measured, path)
    if not options.json:
        print(page.text(measured), "\n")
    report(bars.figures(measured))


def is_all(options: argparse.Namespace) -> bool:
    """Tell whether everything is measured, so that the results may become those of the page."""
    chosen = options.network or options.engine or options.batch
    return not (chosen or options.no_steps or options.smallest)


def measure(options: argparse.Namespace) -> results.Results:
    """Return what a run finds."""
    begun = time.monotonic()
    result = results.Results(datetime.now(UTC).date().isoformat())
    result.machine = {**machine.described(), "load": round(machine.load(), 2)}
    result.versions = machine.versions()
    if result.machine["load"] > 0.5:
        say(f"the load is {result.machine['load']}: something else is running, so times say little")
    networks = [NETWORKS[name] for name in options.network or NETWORKS]
    if options.smallest:
        networks = networks[:1]
    left = sum(network.share for network in networks)
    for network in networks:
        spent = time.monotonic() - begun
        until = time.monotonic() + (60 * options.minutes - spent) * network.share / left
        left -= network.share
        with tempfile.TemporaryDirectory(prefix="incgen-benchmark-") as folder:
            one(network, Path(folder), options, result, until)
    result.seconds = round(time.monotonic() - begun)
    return result


def one(
    network: Network,
    folder: Path,
    options: argparse.Namespace,
    result: results.Results,
    until: float,
) -> None:
    """Measure a network, and add what is found."""
    names = options.engine or (SMALL if options.smallest else ENGINES)
    if not options.engine:
        for name in network.slow:
            why = f"it compiles for minutes: `--engine {name}` measures it"
            result.missing.append(results.Missing(f"{ENGINES[name].title}, {network.name}", why))
        names = [name for name in names if name not in network.slow]
    engines = [ENGINES[name] for name in names]
    batches = options.batch or ((1,) if options.smallest else BATCHES)
    steps = not (options.no_steps or options.smallest)
    wanted = cells(network, engines, batches, steps, options.compile_each)
    say(f"{network.name}: weights, exports, conversions")
    processes = {engine.process for engine in engines}
    prepared = preparing.prepare(network, folder, processes, options.smallest)
    result.building += prepared.building
    result.missing += prepared.missing
    wanted = [c for c in wanted if not (options.smallest and c.model == CONVOLUTION)]
    wanted = preparing.present(wanted, folder)
    result.networks[network.name] = preparing.sizes(network, folder)
    limits = (1, 1) if options.smallest else (min(2, options.rounds), options.rounds)
    rounds.measure(network, wanted, folder, result, until, limits, say)


def say(what: str) -> None:
    """Tell on stderr how far it is."""
    print(f"{time.strftime('%H:%M:%S')}  {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
