"""Shared by the benchmarks: a figure with its bar, the printed table, and fair timing.

A benchmark is a script with a function that returns figures. Run by itself, it prints them as a
table; with `--json` it prints them for `run.py`, which combines those of all benchmarks. With
`--smallest`, each measures as little as possible, once, to show that it works.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from incgen.base.tables import ruled

ROOT = Path(__file__).resolve().parent.parent
SPEC = ROOT / "specs" / "bn_inception.inc"
#: The command, installed beside this Python.
INCGEN = str(Path(sysconfig.get_path("scripts"), "incgen"))
REFERENCE = Path(__file__).resolve().parent / "reference"
#: Whether benchmarks should only show that they work.
SMALLEST = "--smallest" in sys.argv[1:]
#: The smallest network, measured instead of a large one.
SMALL_SPEC = ROOT / "tests" / "agreement" / "units.inc"


@dataclass(frozen=True)
class Figure:
    """One measured number.

    Attributes:
        name: What was measured.
        value: The number with its unit, as printed.
        bar: The limit, as printed; empty if there is none.
        reached: Whether the limit is met; None without a bar.
    """

    name: str
    value: str
    bar: str = ""
    reached: bool | None = None


def at_most(name: str, value: float, bar: float, note: str = "") -> Figure:
    """Return a figure that must not exceed a bar."""
    text = f"{value:.2f}" + (f"  {note}" if note else "")
    return Figure(name, text, f"at most {bar:g}", value <= bar)


def option_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser of the options of every benchmark, described by its first paragraph."""
    first = (description or "").split("\n\n", 1)[0]
    parser = argparse.ArgumentParser(description=first, allow_abbrev=False)
    parser.add_argument("--smallest", action="store_true", help="measure as little as possible")
    parser.add_argument("--json", action="store_true", help="print the figures for `run.py`")
    return parser


def run_script(description: str | None, measure: Callable[[], Sequence[Figure]]) -> None:
    """Measure and print the figures, as a benchmark that has no options of its own."""
    option_parser(description).parse_args()
    report(measure())


def report(figures: Sequence[Figure]) -> None:
    """Print figures as a table, or as JSON if `--json` is given on the command line."""
    if "--json" in sys.argv[1:]:
        print(json.dumps([asdict(figure) for figure in figures]))
    else:
        print_table(figures)


def from_script(script: str | Path) -> list[Figure]:
    """Run a benchmark in a separate process and return its figures.

    Its stderr is shown only if it fails: TensorFlow is verbose at start-up.
    """
    smallest = ("--smallest",) if SMALLEST else ()
    command = [sys.executable, str(script), *smallest, "--json"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        print(done.stderr, file=sys.stderr)
        raise SystemExit(f"{Path(script).name} failed")
    return [Figure(**figure) for figure in json.loads(done.stdout)]


def print_table(figures: Sequence[Figure]) -> None:
    """Print figures as a table, one per line."""
    verdicts = {True: "reached", False: "MISSED", None: ""}
    rows = [("figure", "measured", "bar", "")]
    rows += [(f.name, f.value, f.bar, verdicts[f.reached]) for f in figures]
    print("\n".join(ruled(rows, gap="  ")))


def run(*command: str) -> None:
    """Run a command with its output hidden; raise an error if it fails.

    An installed package has its bytecode, so a checkout may keep it too.
    """
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    quiet = subprocess.DEVNULL
    subprocess.run(command, check=True, env=environment, stdout=quiet, stderr=quiet)


def seconds(action: Callable[[], object]) -> float:
    """Return the wall-clock time of an action, in seconds.

    Garbage of earlier actions is collected first, so that this one does not pay for it.
    """
    gc.collect()
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


@dataclass(frozen=True)
class Comparison:
    """The times of two actions that were run in turn.

    Attributes:
        first: The seconds of each run of the first action.
        second: The seconds of each run of the second, right before or after its partner.
    """

    first: tuple[float, ...]
    second: tuple[float, ...]

    @property
    def medians(self) -> tuple[float, float]:
        """Return the median time of each action, in seconds."""
        return statistics.median(self.first), statistics.median(self.second)

    @property
    def ratio(self) -> float:
        """Return the median of first / second over the pairs."""
        return statistics.median(self._ratios())

    @property
    def interval(self) -> tuple[float, float]:
        """Return the 95 % confidence interval of the median ratio, whatever the distribution.

        By the ranks n / 2 -+ 0.98 sqrt(n) of the sorted ratios (binomial distribution).
        """
        ratios = sorted(self._ratios())
        count = len(ratios)
        reach = 0.98 * count**0.5
        low = max(0, int(count / 2 - reach))
        high = min(count - 1, int(count / 2 + reach))
        return ratios[low], ratios[high]

    def _ratios(self) -> list[float]:
        return [a / b for a, b in zip(self.first, self.second, strict=True)]


def compare(first: Callable[[], object], second: Callable[[], object], pairs: int) -> Comparison:
    """Time two actions in turn, A B B A A B ..., after an untimed run of each.

    The order alternates, so that neither always runs after the other, and a machine that slows down
    affects both.
    """
    first()
    second()
    times: tuple[list[float], list[float]] = ([], [])
    actions = (first, second)
    for pair in range(pairs):
        for which in (0, 1) if pair % 2 == 0 else (1, 0):
            times[which].append(seconds(actions[which]))
    return Comparison(tuple(times[0]), tuple(times[1]))
