"""Plant faults in generated files, one at a time; `incgen verify` must catch each of them.

    python tests/planted.py                     # every fault
    python tests/planted.py lrn_not_divided     # some
    python tests/planted.py --target flax       # those of one target

A check that never fails may be blind. The faults are data: `tests/faults/*.toml`, one file per
rung, with the small specs that show them. Exits with 1 if one is not caught where the list says.
"""

from __future__ import annotations

import argparse
import sys
import time
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import incgen
from incgen.graph.nodes import Graph
from incgen.targets import TARGETS
from incgen.verify import RUNGS, Report, verify

FAULTS = Path(__file__).parent / "faults"


@dataclass(frozen=True)
class Change:
    """A replacement of lines in a generated file.

    Attributes:
        old: Whole consecutive lines, which occur in the file exactly once.
        new: Their replacement; empty to delete them.
        targets: The targets whose files are changed.
    """

    old: str
    new: str
    targets: tuple[str, ...]


@dataclass(frozen=True)
class Fault:
    """A change to generated files that makes them wrong.

    Attributes:
        name: The name of the fault.
        about: What it represents, in one line.
        target: The target that gets it, or `all`.
        changes: The changes, in order.
        spec: The name of the spec that shows it.
        text: The spec itself.
        rung: The rung that must catch it first.
        block: The block that the report must name; None if none can be named.
    """

    name: str
    about: str
    target: str
    changes: tuple[Change, ...]
    spec: str
    text: str
    rung: int
    block: str | None

    @property
    def targets(self) -> tuple[str, ...]:
        """Return the targets whose files have the fault."""
        return _targets(self.target)

    @property
    def compared(self) -> tuple[str, ...]:
        """Return the targets to verify: the fault's own, beside a sound one if there is any."""
        sound = "keras" if self.target == "torch" else "torch"
        return tuple(name for name in TARGETS if name in (sound, *self.targets))


class ListError(Exception):
    """The list of faults is out of date: one of them no longer fits the generated code."""


def read_faults(folder: Path = FAULTS) -> dict[str, Fault]:
    """Return the faults by name, in the order of the rungs."""
    found: dict[str, Fault] = {}
    for path in sorted(folder.glob("*.toml")):
        data = tomllib.loads(path.read_text("utf-8"))
        for row in data["fault"]:
            fault = _fault(row, data["specs"], data["rung"])
            if fault.name in found:
                raise ListError(f"{path.name}: two faults have the name {fault.name}")
            found[fault.name] = fault
    return found


def _fault(row: Mapping[str, Any], specs: Mapping[str, str], rung: int) -> Fault:
    """Return the fault in a table of a file.

    A change in a fault of all targets says which one it is for, unless it is for all.
    """
    fields = dict(row)
    changes = [
        Change(each["old"], each["new"], _targets(each.get("target", row["target"])))
        for each in fields.pop("change")
    ]
    return Fault(
        **{"block": None, **fields},
        changes=tuple(changes),
        text=specs[row["spec"]],
        rung=rung,
    )


def _targets(name: str) -> tuple[str, ...]:
    return tuple(TARGETS) if name == "all" else (name,)


# ---------------------------------------------------------------- planting


@cache
def graph_of(spec: str, text: str) -> Graph:
    """Return the graph of a spec of the list."""
    return incgen.compile_spec(f"{spec}.inc", text=text)


@cache
def sound_sources(spec: str, text: str) -> Mapping[str, str]:
    """Return the files without a fault, by target."""
    graph = graph_of(spec, text)
    return {name: target.emit(graph) for name, target in TARGETS.items()}


def faulty_sources(fault: Fault) -> dict[str, str]:
    """Return the files that are compared, with the fault in those of its targets.

    Raises:
        ListError: The fault cannot be planted, or changes nothing.
    """
    sound = sound_sources(fault.spec, fault.text)
    sources = {target: sound[target] for target in fault.compared}
    for change in fault.changes:
        for target in change.targets:
            sources[target] = _changed(sources[target], change, f"{fault.name} in {target}")
    for target in fault.targets:
        if sources[target] == sound[target]:
            raise ListError(f"{fault.name}: the {target} file of {fault.spec} is the same")
    return sources


def _changed(source: str, change: Change, where: str) -> str:
    """Return a file with a change.

    Raises:
        ListError: The lines to replace are not in the file, or occur several times.
    """
    lines, old = source.splitlines(), change.old.splitlines()
    places = [i for i in range(len(lines)) if lines[i : i + len(old)] == old]
    if len(places) != 1:
        raise ListError(f"{where}: these lines stand there {len(places)} times\n{change.old}")
    (place,) = places
    lines[place : place + len(old)] = change.new.splitlines()
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------- catching


def climbed(fault: Fault, sources: Mapping[str, str], highest: int = len(RUNGS) - 1) -> Report:
    """Verify the spec of a fault, up to a rung."""
    return verify(
        graph_of(fault.spec, fault.text),
        targets=tuple(sources),
        sources=sources,
        rungs=tuple(range(highest + 1)),
        dtypes=("float64",),
    )


def climbed_without(fault: Fault, highest: int) -> Report:
    """Verify without the fault: nothing must be found, or every fault would count as caught."""
    sound = sound_sources(fault.spec, fault.text)
    return climbed(fault, {target: sound[target] for target in fault.compared}, highest)


def catches(report: Report, fault: Fault) -> bool:
    """Return whether a report names the rung and the block in the list."""
    if not report.divergences:
        return False
    first = report.divergences[0]
    inside = fault.block is None or f"{first.path}.".startswith(f"{fault.block}.")
    return first.rung == fault.rung and inside


# ---------------------------------------------------------------- the command


def main() -> None:
    """Plant the faults named on the command line, or all of a target, or all."""
    faults = read_faults()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", metavar="NAME", nargs="*", help="faults of the list")
    parser.add_argument("--target", choices=[*TARGETS, "all"], help="only faults of this target")
    given = parser.parse_args()
    names = given.names or [
        name for name, each in faults.items() if given.target in (None, each.target)
    ]
    if unknown := [name for name in names if name not in faults]:
        parser.error(f"no such fault: {', '.join(unknown)}")
    chosen = [faults[name] for name in names]
    good = all([_control(fault) for fault in _highest(chosen)])
    caught = sum([_shown(fault) for fault in chosen])
    print(f"{caught} of {len(chosen)} caught")
    sys.exit(0 if good and caught == len(chosen) else 1)


def _highest(chosen: list[Fault]) -> list[Fault]:
    """Return for each spec and targets the fault that must be caught on the highest rung."""
    found: dict[tuple[str, tuple[str, ...]], Fault] = {}
    for fault in sorted(chosen, key=lambda each: each.rung):
        found[fault.text, fault.compared] = fault
    return list(found.values())


def _control(fault: Fault) -> bool:
    """Verify without the fault, and print a line if something is found."""
    report = climbed_without(fault, fault.rung)
    if not report.passed:
        print(f"{fault.spec} does not pass without a fault:\n{_findings(report)}", flush=True)
    return report.passed


def _shown(fault: Fault) -> bool:
    """Plant a fault, and print a line about what is found."""
    start = time.monotonic()
    report = climbed(fault, faulty_sources(fault))
    seconds = time.monotonic() - start
    caught, first = catches(report, fault), next(iter(report.divergences), None)
    where = "nowhere" if first is None else f"at {first.rung}"
    block = "" if first is None else first.path
    print(
        f"{fault.name:32} {fault.target:6} caught {where:8} of {fault.rung}"
        f"  {block:24} {seconds:5.1f} s",
        flush=True,
    )
    if not caught:
        wanted = f"rung {fault.rung}" + (f", {fault.block}" if fault.block else "")
        print(f"    NOT CAUGHT at {wanted}:\n{_findings(report)}", flush=True)
    return caught


def _findings(report: Report) -> str:
    """Return the findings of a report."""
    found = [f"rung {each.rung}, {each.path}: {each.message}" for each in report.divergences]
    found += [
        f"rung {each.rung}, {each.path}: undecided, {each.message}"
        for each in report.ill_conditioned[:3]
    ]
    return "\n".join(f"    {line}" for line in found or ["nothing is found"])


if __name__ == "__main__":
    main()
