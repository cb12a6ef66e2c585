"""Measure in rounds: each process waits while another one runs, and every cell has its turns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from engines import bars
from engines.plan import ENGINES, Cell, Network
from engines.results import Missing, Results
from engines.worker import AGREEMENT, agrees
from figures import ROOT

#: What a process needs of its environment, beside what it has.
ENVIRONMENTS = {"keras": {"KERAS_BACKEND": "tensorflow"}, "keras_torch": {"KERAS_BACKEND": "torch"}}
#: After a turn, threads of its process still spin for a while.
PAUSE = 0.02


class Process:
    """A worker in a process of its own."""

    def __init__(self, name: str, network: Network, folder: Path) -> None:
        self.log = folder / f"{name}.log"
        environment = {
            **os.environ,
            **ENVIRONMENTS.get(name, {}),
            "PYTHONPATH": str(ROOT / "benchmarks"),
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        with self.log.open("w") as log:
            self.running = subprocess.Popen(
                [sys.executable, "-m", "engines.worker", name, network.name, str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment,
            )

    def ask(self, cell: Cell, do: str, **more: Any) -> dict[str, Any]:
        """Send a request, and return the answer; if the process ended, that is the answer."""
        assert self.running.stdin is not None and self.running.stdout is not None
        try:
            request = json.dumps({"do": do, "cell": asdict(cell), **more})
            print(request, file=self.running.stdin, flush=True)
            answer: dict[str, Any] = json.loads(self.running.stdout.readline())
        except (OSError, ValueError):
            return {"error": f"its process ended with {self.running.wait()}"}
        return answer

    def end(self) -> None:
        """End the process, which does so when there are no more requests."""
        assert self.running.stdin is not None
        with suppress(OSError):
            self.running.stdin.close()
        self.running.wait()


def measure(
    network: Network,
    cells: Sequence[Cell],
    folder: Path,
    results: Results,
    until: float,
    limits: tuple[int, int],
    say: Callable[[str], None],
) -> int:
    """Measure the cells of a network, and add what is found to results.

    Args:
        network: The network.
        cells: What is measured.
        folder: What was prepared for it.
        results: Where the times go.
        until: When to stop, by the monotonic clock, unless too few rounds are done.
        limits: The least and the most rounds.
        say: Tells how far it is.

    Returns:
        How many rounds were run.
    """
    present, missing = installed(cells)
    results.missing += missing
    names = list(dict.fromkeys(ENGINES[cell.engine].process for cell in present))
    processes = {name: Process(name, network, folder) for name in names}
    try:
        ready = _made_ready(processes, present, results, say)
        return _rounds(processes, ready, results, until, limits, say)
    finally:
        for process in processes.values():
            process.end()


def installed(cells: Sequence[Cell]) -> tuple[list[Cell], list[Missing]]:
    """Return the cells whose package is installed, and a line for each engine without."""
    absent = {
        engine.name: engine
        for engine in ENGINES.values()
        if any(cell.engine == engine.name for cell in cells) and find_spec(engine.package) is None
    }
    lines = [
        Missing(engine.title, f"it is not installed: `pip install {engine.package}`")
        for engine in absent.values()
    ]
    return [cell for cell in cells if cell.engine not in absent], lines


def _made_ready(
    processes: dict[str, Process],
    cells: Sequence[Cell],
    results: Results,
    say: Callable[[str], None],
) -> list[Cell]:
    """Make all cells ready, in two processes at a time, and return those that are."""

    def prepare(name: str) -> list[tuple[Cell, dict[str, Any]]]:
        answers = []
        for cell in cells:
            if ENGINES[cell.engine].process == name:
                say(f"preparing {cell}")
                answers.append((cell, processes[name].ask(cell, "prepare")))
        return answers

    with ThreadPoolExecutor(2) as executor:
        by_cell = dict(pair for pairs in executor.map(prepare, processes) for pair in pairs)
    ready = []
    for cell in cells:
        fault = by_cell[cell].get("error")
        difference = by_cell[cell].get("difference", 0.0)
        if fault is None and not agrees(cell, difference):
            fault = f"its output differs by {difference:.1e}, more than {AGREEMENT:g}"
        if fault is None:
            ready.append(cell)
            if "difference" in by_cell[cell]:
                results.differences[str(cell)] = difference
        else:
            results.missing.append(Missing(str(cell), fault))
    return ready


def _rounds(
    processes: dict[str, Process],
    cells: Sequence[Cell],
    results: Results,
    until: float,
    limits: tuple[int, int],
    say: Callable[[str], None],
) -> int:
    """Give every cell a turn in each round, forward and backward in turn.

    Once there are enough rounds of all, others are only of the cells that decide something.
    """
    least, most = limits
    done, longest = 0, 0.0
    while done < least or (done < most and time.monotonic() + longest < until):
        say(f"round {done + 1}")
        begun = time.monotonic()
        for cell in cells if done % 2 == 0 else reversed(cells):
            process = processes[ENGINES[cell.engine].process]
            answer = process.ask(cell, "time", short=most == 1)
            if "error" in answer:
                results.missing.append(Missing(str(cell), answer["error"]))
            else:
                results.times.setdefault(cell, []).append(answer["seconds"])
            time.sleep(PAUSE)
        longest = max(longest, time.monotonic() - begun)
        done += 1
        if cells and done == least and (near := bars.undecided(results, cells[0].network)):
            cells, longest = [cell for cell in cells if cell in near], 0.0
    return done
