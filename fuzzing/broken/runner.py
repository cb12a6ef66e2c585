"""Try many broken inputs in separate processes with bounded time and memory.

A process that crashes or cannot be interrupted is replaced; its current input counts as a failure.
"""

from __future__ import annotations

import gc
import multiprocessing
import re
import signal
import tempfile
import time
from collections.abc import Callable
from ctypes import c_double, c_longlong
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from fuzzing.broken import cases
from fuzzing.broken.cases import Case
from fuzzing.broken.guard import limit_memory, peak_memory
from fuzzing.broken.report import Failed, Report
from fuzzing.broken.shrink import shrunk
from fuzzing.broken.trial import Subject, tried

#: Seconds between the reports of a process.
_TELL = 0.5
#: Extra seconds that a process has before it is killed from outside.
_GRACE = 10.0
#: Only the first failures of a kind are reduced.
_MOST_FAILURES = 1_000


def run(
    subject: Subject,
    count: int,
    processes: int = 1,
    progress: Callable[[Report], None] | None = None,
    *,
    keep: Path | None = None,
) -> Report:
    """Try inputs.

    Args:
        subject: What to fuzz.
        count: The number of inputs.
        processes: How many run at once; the inputs are the same for any number.
        progress: Called about twice a second with the report so far, with which an interrupt ends
            the run.
        keep: The folder for failing inputs, reduced.
    """
    report, start = Report(), time.monotonic()
    workers: list[_Worker] = []
    folder = tempfile.TemporaryDirectory(prefix="incgen-broken-")
    try:
        for i in range(processes):
            numbers = range(i, count, processes)
            workers.append(_Worker(subject, numbers, Path(folder.name)))
        while any(worker.running for worker in workers):
            wait([worker.results for worker in workers if worker.running], timeout=_TELL)
            for worker in workers:
                for part in worker.collected():
                    report.add(part)
            report.seconds = time.monotonic() - start
            if progress is not None:
                progress(report)
            if len(report.failures) > _MOST_FAILURES:
                break
    except KeyboardInterrupt as error:
        report.interrupted = error
    finally:
        for worker in workers:
            worker.end()
        folder.cleanup()  # what a killed process leaves behind
    report.failures.sort(key=lambda failure: failure.number)
    if keep is not None:
        _save(report, keep)
    return report


def _save(report: Report, folder: Path) -> None:
    """Save one case of each kind of failure."""
    known = set[str]()
    for failure in report.failures:
        if failure.kind not in known and failure.case is not None:
            known.add(failure.kind)
            words = re.sub(r"\W+", "_", failure.kind).strip("_").lower()
            failure.kept = cases.keep(failure.case, folder, f"{words}_{failure.number}")


# ---------------------------------------------------------------- processes


@dataclass
class _Shared:
    """State shared by a process and the one that watches it."""

    number: Any = field(default_factory=lambda: multiprocessing.RawValue(c_longlong, -1))
    began: Any = field(default_factory=lambda: multiprocessing.RawValue(c_double, 0.0))


class _Worker:
    """A process that tries some of the inputs, and its replacements if it dies."""

    def __init__(self, subject: Subject, numbers: range, folder: Path) -> None:
        self.subject, self.numbers, self.folder = subject, numbers, folder
        self.skipped: set[int] = set()
        self.running = bool(numbers)
        self.shared = _Shared()
        self.results: Connection
        self.process: BaseProcess | None = None
        if numbers:
            self.start()

    def start(self) -> None:
        """Start a process for the inputs that are left."""
        context = multiprocessing.get_context("spawn")
        self.results, theirs = context.Pipe(duplex=False)
        self.shared.began.value = time.monotonic() + 120  # it has to import its modules first
        self.process = context.Process(
            target=_work,
            args=(
                self.subject,
                self.numbers,
                frozenset(self.skipped),
                self.shared,
                self.folder,
                theirs,
            ),
            daemon=True,
        )
        self.process.start()
        theirs.close()

    def collected(self) -> list[Report]:
        """Return what the worker has sent so far; replace the worker if it has died."""
        reports: list[Report] = []
        try:
            while self.running and self.results.poll():
                number, part = self.results.recv()
                reports.append(part)
                if number is None:
                    self.running = False
                    self.end()
                else:
                    self.numbers = self.numbers[self.numbers.index(number) + 1 :]
        except EOFError:
            reports.append(self.replaced("crash"))
            return reports
        patience = self.subject.bounds.waiting + _GRACE
        if self.running and time.monotonic() - self.shared.began.value > patience:
            reports.append(self.replaced("hang that cannot be interrupted"))
        return reports

    def replaced(self, kind: str) -> Report:
        """Continue without the current input of the process, which is the failure."""
        self.end()
        number = self.shared.number.value
        code = self.process.exitcode if self.process else None
        if number in self.skipped or number not in self.numbers:
            self.running = False
            failed = Failed(number, "process", f"it does not start, exit code {code}")
            return Report(failures=[failed])
        self.skipped.add(number)
        self.start()
        failed = Failed(number, kind, f"exit code {code}", self.subject.make(number))
        return Report(inputs=1, failures=[failed])

    def end(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.results.close()


def _work(
    subject: Subject,
    numbers: range,
    skipped: frozenset[int],
    shared: _Shared,
    folder: Path,
    results: Connection,
) -> None:
    """Run as a worker process, which leaves interrupts to its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tempfile.tempdir = str(folder)
    gc.set_threshold(100_000, 50, 50)  # as the command does
    subject.prepare()
    limit_memory(subject.bounds)
    with tempfile.TemporaryDirectory() as own:
        bench = _Bench(subject, Path(own), shared)
        part, told = Report(), time.monotonic()
        for number in numbers:
            if number in skipped:
                continue
            shared.number.value = number
            bench.try_one(number, part)
            if time.monotonic() - told > _TELL:
                part.memory = peak_memory()
                results.send((number, part))
                part, told = Report(), time.monotonic()
        part.memory = peak_memory()
        results.send((None, part))


class _Bench:
    """Tries the inputs of a process."""

    def __init__(self, subject: Subject, folder: Path, shared: _Shared) -> None:
        self.subject, self.folder, self.shared = subject, folder, shared
        self.known: set[str] = set()

    def try_one(self, number: int, report: Report) -> None:
        """Try an input and count it."""
        self.shared.began.value = time.monotonic()
        case = self.subject.make(number)
        outcome = tried(self.subject, case, self.folder / "case", number)
        report.inputs += 1
        report.ends.update(outcome.ends)
        report.kinds[case.kind] += 1
        report.slowest = sorted([*report.slowest, (outcome.seconds, number)], reverse=True)[:5]
        if outcome.failure is None:
            return
        failed = Failed(number, outcome.failure, outcome.detail)
        if outcome.failure not in self.known:
            self.known.add(outcome.failure)
            failed.case = self.smallest(case, outcome.failure, number)
        report.failures.append(failed)

    def smallest(self, case: Case, failure: str, number: int) -> Case:
        """Return a small case that fails in the same way."""

        def fails(other: Case) -> bool:
            self.shared.began.value = time.monotonic()
            return tried(self.subject, other, self.folder / "case", number).failure == failure

        return shrunk(case, fails, 60 if failure == "hang" else 1_000)
