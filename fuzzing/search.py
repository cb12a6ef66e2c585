"""Search for specs whose generated models are not the same network.

Network n of a seed is the same whatever else is drawn, in however many processes.
"""

from __future__ import annotations

import gc
import re
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from fuzzing import tree
from fuzzing.coverage import everything
from fuzzing.examine import RUNGS, Examined, examine, examined_text
from fuzzing.faults import FailedNetwork, Fault
from fuzzing.lint import can_lint, lint
from fuzzing.processes import spread
from fuzzing.reduce import reduced
from fuzzing.specs import random_spec
from fuzzing.tally import Tally
from incgen.api import find_with_onnx
from incgen.base import files
from incgen.targets import ONNX, TARGETS
from incgen.verify.report import EVALUATED
from incgen.verify.verifying import check_runners

#: How many networks a process examines per task.
BATCH = 20
#: Seconds to spend on reducing a failing spec.
REDUCING = 240
#: How many networks with failures of one kind are reduced; more if numbers differ.
REPORTED, REPORTED_NUMERIC = 1, 4


@dataclass
class Report:
    """The results of a search.

    Attributes:
        seed: The seed of the networks.
        tally: What was seen.
        kinds: How many networks have failures of each kind.
        faults: One or some failures of each kind, reduced.
        saved: The files that were written.
        linted: Whether generated source was checked with ruff.
        interrupted: What ended the search early.
        elapsed: The duration in seconds.
    """

    seed: int
    tally: Tally = field(default_factory=Tally)
    kinds: Counter[str] = field(default_factory=Counter)
    faults: list[FailedNetwork] = field(default_factory=list)
    saved: list[Path] = field(default_factory=list)
    linted: bool = True
    interrupted: KeyboardInterrupt | None = None
    elapsed: float = 0.0

    @property
    def passed(self) -> bool:
        """Return whether networks were examined and none of them failed."""
        return self.tally.agreed > 0 and not self.kinds

    def text(self) -> str:
        """Return the printed report; `tally.coverage.table()` lists everything that was seen."""
        lines = []
        for failure in self.faults:
            lines += [
                f"network {failure.number} of seed {self.seed}: {failure.message}",
                failure.text,
            ]
        lines += self.tally.lines()
        if self.kinds:
            lines.append(f"{sum(self.kinds.values()):,} with faults:")
            lines += [f"  {count:,}  {kind}" for kind, count in self.kinds.most_common()]
        things, never = len(list(everything())), len(self.tally.coverage.missing())
        lines.append(f"{things - never} of {things} things of the language seen")
        seen, cells = self.tally.coverage.cells()
        lines.append(f"{seen:,} of {cells:,} values of arguments by place seen")
        if not self.linted:
            lines.append("generated source was not linted: ruff is not installed")
        if self.interrupted is not None:
            lines.append("interrupted")
        drawn, seconds = self.tally.seen, self.tally.seconds
        rate = f"{drawn / seconds:.2f} networks a second and process" if seconds else "no time"
        lines.append(f"{self.elapsed:.0f} seconds, {rate}")
        return "\n".join(lines)


def search(
    count: int,
    seed: int = 0,
    processes: int = 1,
    save: Path | None = None,
    rungs: Sequence[int] | None = None,
    progress: Callable[[str], None] | None = None,
    targets: Sequence[str] = tuple(TARGETS),
    deploy: bool = False,
) -> Report:
    """Examine random networks, and reduce those that fail.

    Args:
        count: How many.
        seed: The seed of the networks, their weights and inputs.
        processes: How many run at the same time.
        save: A folder for specs that fail.
        rungs: The rungs of the ladder; if omitted, those of random networks.
        progress: A callback that receives progress messages.
        targets: The targets, and `onnx`.
        deploy: Whether deployed forms are verified too.

    Raises:
        RequestError: There is no such target, or Keras is set to run on a backend other than
            TensorFlow.
    """
    _, names = find_with_onnx(targets)
    check_runners(names)
    rungs = rungs or _rungs(names)
    began = time.monotonic()
    report = Report(seed, linted=can_lint())
    batches = [range(first, min(first + BATCH, count)) for first in range(0, count, BATCH)]
    how: dict[str, Any] = {"rungs": tuple(rungs), "targets": tuple(names), "deploy": deploy}
    action = partial(examine_batch, seed=seed, **how)
    try:
        for batch, tally in spread(action, batches, processes):
            report.tally.add(_died(batch, seed) if tally is None else tally)
            report.kinds = Counter(failure.kind for failure in report.tally.found)
            if progress is not None:
                progress(_progress(report, count))
        chosen = _chosen(report.tally.found)
        small = partial(minimised, seed=seed, **how)
        report.faults = chosen
        if chosen:
            if progress is not None:
                progress(f"making {len(chosen)} specs small")
            done = {failure.number: result for failure, result in spread(small, chosen, processes)}
            report.faults = [done.get(failure.number) or failure for failure in chosen]
    except KeyboardInterrupt as error:
        report.interrupted = error
        report.faults = _chosen(report.tally.found)
    if save is not None:
        report.saved = [saved(failure, seed, save) for failure in report.faults]
    report.elapsed = time.monotonic() - began
    return report


def _progress(report: Report, count: int) -> str:
    tally, faults = report.tally, sum(report.kinds.values())
    return f"{tally.seen:,} of {count:,} networks, {tally.agreed:,} agree, {faults} with faults"


def _died(batch: range, seed: int) -> Tally:
    """Return what is known of networks whose process died."""
    text = "\n".join(f"# network {n}\n{random_spec(seed, n).text}" for n in batch)
    message = f"the process died at one of the networks {batch.start} to {batch.stop - 1}"
    return Tally(
        seen=len(batch), found=[FailedNetwork(batch.start, "crash", "crash", message, text)]
    )


def _chosen(failures: Sequence[FailedNetwork]) -> list[FailedNetwork]:
    """Return some failures of each kind."""
    seen: Counter[str] = Counter()
    chosen = []
    for failure in failures:
        seen[failure.kind] += 1
        if seen[failure.kind] <= (REPORTED_NUMERIC if failure.numeric else REPORTED):
            chosen.append(failure)
    return chosen


def saved(failure: FailedNetwork, seed: int, folder: Path) -> Path:
    """Write a failing spec; its first line says how it was found."""
    folder.mkdir(parents=True, exist_ok=True)
    title = re.sub(r"\W+", "_", failure.kind.partition(":")[0])
    path = folder / f"{title}_{seed}_{failure.number}.inc"
    first = failure.message.split("\n")[0][:200]
    head = f"# Network {failure.number} of seed {seed}: {first}\n"
    files.replace(path, (head + failure.text).encode("utf-8"))
    return path


# ---------------------------------------------------------------- in a process of its own


def examine_batch(
    batch: range,
    seed: int,
    rungs: Sequence[int],
    targets: Sequence[str] = tuple(TARGETS),
    deploy: bool = False,
) -> Tally:
    """Examine some networks of a seed."""
    began = time.process_time()
    tally = Tally()
    passed: dict[int, tuple[Examined, tree.Spec, str]] = {}
    with _quiet():
        for number in batch:
            spec = random_spec(seed, number)
            tally.seen += 1
            text = examined_text(spec)
            try:
                examined = examine(text, spec, rungs, targets=targets, deploy=deploy)
                passed[number] = examined, spec, text
            except Fault as fault:
                tally.found.append(_found(number, fault, text))
        sources = {
            n: result.sources for n, (result, _, _) in passed.items() if result.graph is not None
        }
        messages = lint(sources) if can_lint() else {}
        for number, (examined, spec, text) in passed.items():
            if number in messages:
                tally.found.append(_found(number, Fault("lint", messages[number]), text))
            else:
                _count(tally, examined, spec, text)
    tally.seconds = time.process_time() - began
    return tally


def _found(number: int, fault: Fault, text: str) -> FailedNetwork:
    return FailedNetwork(number, fault.where, fault.kind, str(fault), text, fault.numeric)


def _count(tally: Tally, examined: Examined, spec: tree.Spec, text: str) -> None:
    if examined.rejected:
        tally.invalid(tally.rejected, examined.rejected, text)
    elif examined.refused:
        tally.invalid(tally.refused, examined.refused, text)
    elif examined.graph is not None:
        if examined.counts:
            tally.undecided += 1
        else:
            tally.agreed += 1
        tally.untold += examined.counts
        tally.coverage.count(spec, examined.graph)


def _rungs(targets: Sequence[str]) -> Sequence[int]:
    """Return the rungs of random networks that targets have: gradients are compared between two."""
    trained = [name for name in targets if name != ONNX]
    if not trained:
        return EVALUATED
    return RUNGS if len(trained) > 1 else [rung for rung in RUNGS if rung != 3]


def minimised(
    failure: FailedNetwork,
    seed: int,
    rungs: Sequence[int],
    targets: Sequence[str] = tuple(TARGETS),
    deploy: bool = False,
) -> FailedNetwork:
    """Return a failure with the smallest spec that is found to fail in the same way."""
    if failure.where == "crash":
        return failure
    end, messages = time.monotonic() + REDUCING, [failure.message]
    lower = tuple(rung for rung in rungs if f"rung {rung}" <= failure.where) or tuple(rungs)
    models = failure.where not in ("check", "build", "format", "rules", "lint")

    def fails(other: tree.Spec) -> bool:
        if time.monotonic() >= end:
            return False
        fault = _fault_of(other, lower, models, targets, deploy)
        if fault is None or fault.kind != failure.kind:
            return False
        messages.append(str(fault))
        return True

    with _quiet():
        small = reduced(random_spec(seed, failure.number), fails)
    return replace(failure, message=messages[-1], text=examined_text(small))


def _fault_of(
    spec: tree.Spec, rungs: Sequence[int], models: bool, targets: Sequence[str], deploy: bool
) -> Fault | None:
    try:
        examined = examine(
            examined_text(spec), spec, rungs, models=models, targets=targets, deploy=deploy
        )
    except Fault as fault:
        return fault
    if models or not can_lint():
        return None
    message = lint({0: examined.sources}).get(0)
    return None if message is None else Fault("lint", message)


@contextmanager
def _quiet() -> Iterator[None]:
    """Ignore warnings of frameworks about what random networks do on purpose."""
    gc.collect()
    gc.freeze()  # frameworks consist of millions of objects, which need not be scanned again
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
