"""Planted faults: each is put into a copy of the compiler, and the ladder has to catch it.

    python tests/planted.py                     # every fault
    python tests/planted.py lrn_not_divided     # some

A ladder that finds nothing may be blind. The faults are data: `tests/faults/*.toml`, a file for
each rung, with the small specs that show them. Exits with 1 if one is not caught where it is
said to be.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import incgen
from incgen.targets import TARGETS
from incgen.verify import RUNGS, Report, verify

ROOT = Path(__file__).parent.parent
FAULTS = Path(__file__).parent / "faults"
#: Where the folders of the checkout lie in the copy, which is laid out as in a wheel.
_PLACES = {
    "incgen": "incgen",
    "templates": "incgen/templates",
    "grammar": "incgen/grammar",
}
#: Runs one compiler after another in one process, which saves two thirds of the time. Each line
#: that comes in is a folder with a compiler, a spec's name and text, and a target.
_COMPILE = """\
import importlib, json, sys, traceback

for line in sys.stdin:
    folder, name, text, target = json.loads(line)
    for module in [m for m in sys.modules if m.partition(".")[0] == "incgen"]:
        del sys.modules[module]
    sys.path[0] = folder
    try:
        answer = [importlib.import_module("incgen").generate(name, target, text=text), ""]
    except Exception:
        answer = ["", traceback.format_exc()]
    print(json.dumps(answer), flush=True)
"""


@dataclass(frozen=True)
class Fault:
    """One change of the compiler that makes what it generates wrong.

    Attributes:
        name: of the fault.
        about: what it stands for, in one line.
        target: the one target that gets it, or `both`.
        file: what is changed, from the root of the checkout.
        old: the text that is replaced.
        new: what it is replaced by.
        place: which of the places of `old` is meant, counted from 1; None if there is just one.
        spec: the name of the spec that shows it.
        text: that spec.
        rung: at which the ladder has to catch it first.
        block: the block that the ladder has to name; None if none can be named.
    """

    name: str
    about: str
    target: str
    file: str
    old: str
    new: str
    place: int | None
    spec: str
    text: str
    rung: int
    block: str | None

    @property
    def targets(self) -> tuple[str, ...]:
        """The targets whose files have the fault."""
        return tuple(TARGETS) if self.target == "both" else (self.target,)


class ListError(Exception):
    """The list of faults is wrong: one of them does not fit the compiler any more."""


def read_faults(folder: Path = FAULTS) -> dict[str, Fault]:
    """The faults by name, in the order of the rungs."""
    found: dict[str, Fault] = {}
    for path in sorted(folder.glob("*.toml")):
        data = tomllib.loads(path.read_text("utf-8"))
        for row in data["fault"]:
            fault = Fault(
                **{"place": None, "block": None, **row},
                text=data["specs"][row["spec"]],
                rung=data["rung"],
            )
            if fault.name in found:
                raise ListError(f"{path.name}: two faults have the name {fault.name}")
            found[fault.name] = fault
    return found


# ---------------------------------------------------------------- planting


class Workshop:
    """Makes generated files that have a fault, in a folder and a process of its own."""

    def __init__(self, folder: Path) -> None:
        """Copy what generates code.

        Args:
            folder: an empty one.
        """
        self.folder = folder
        self.sound = folder / "sound"
        for source, place in _PLACES.items():
            shutil.copytree(ROOT / source, self.sound / place, dirs_exist_ok=True)
        compileall.compile_dir(self.sound, quiet=1)
        self.process = subprocess.Popen(
            [sys.executable, "-c", _COMPILE],
            cwd=folder,
            env={**os.environ, "INCGEN_CACHE": str(folder / "cache")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Workshop:
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.communicate()

    def sources(self, fault: Fault) -> dict[str, str]:
        """The files of all targets, one of which has the fault.

        Raises:
            ListError: the fault cannot be planted, or changes nothing.
        """
        sound = {target: sound_source(fault.spec, fault.text, target) for target in TARGETS}
        return {**sound, **self.faulty(fault)}

    def faulty(self, fault: Fault) -> dict[str, str]:
        """The files that have the fault, by target.

        Raises:
            ListError: the fault cannot be planted, or changes nothing.
        """
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            copy = Path(name)
            shutil.copytree(self.sound, copy, copy_function=os.link, dirs_exist_ok=True)
            plant(fault, copy)
            sources = {target: self.compiled(fault, copy, target) for target in fault.targets}
        for target, source in sources.items():
            if source == sound_source(fault.spec, fault.text, target):
                raise ListError(f"{fault.name}: the {target} file of {fault.spec} is the same")
        return sources

    def compiled(self, fault: Fault, copy: Path, target: str) -> str:
        """What a copy of the compiler makes of the spec of a fault for a target.

        Raises:
            ListError: it stops.
        """
        assert self.process.stdin is not None and self.process.stdout is not None
        job = [str(copy), f"{fault.spec}.inc", fault.text, target]
        print(json.dumps(job), file=self.process.stdin, flush=True)
        source, error = json.loads(self.process.stdout.readline())
        if error:
            raise ListError(f"{fault.name}: the compiler stops\n{error}")
        return str(source)


def plant(fault: Fault, copy: Path) -> None:
    """Put a fault into a copy.

    Raises:
        ListError: the text to replace is not where the list says.
    """
    top, _, rest = fault.file.partition("/")
    path = copy / _PLACES[top] / rest
    parts = path.read_text("utf-8").split(fault.old)
    found = len(parts) - 1
    if found < 1 or (found > 1 if fault.place is None else found < fault.place):
        raise ListError(f"{fault.name}: {found} places in {fault.file} have\n{fault.old}")
    place = fault.place or 1
    before, after = fault.old.join(parts[:place]), fault.old.join(parts[place:])
    path.unlink()  # the copy shares its files with others
    path.write_text(before + fault.new + after, "utf-8")


@cache
def sound_source(spec: str, text: str, target: str) -> str:
    """The file without a fault."""
    return incgen.generate(f"{spec}.inc", target, text=text)


# ---------------------------------------------------------------- catching


def climbed(fault: Fault, sources: dict[str, str], highest: int = len(RUNGS) - 1) -> Report:
    """Climb the ladder with the spec of a fault, up to a rung."""
    return verify(
        incgen.compile_spec(f"{fault.spec}.inc", text=fault.text),
        targets=tuple(sources),
        sources=sources,
        rungs=tuple(range(highest + 1)),
        dtypes=("float64",),
    )


def climbed_without(fault: Fault, highest: int) -> Report:
    """The same without the fault: nothing must be found, else all would count as caught."""
    sources = {target: sound_source(fault.spec, fault.text, target) for target in TARGETS}
    return climbed(fault, sources, highest)


def catches(report: Report, fault: Fault) -> bool:
    """Whether a report names the rung, and the block, that the list says."""
    if not report.divergences:
        return False
    first = report.divergences[0]
    inside = fault.block is None or f"{first.path}.".startswith(f"{fault.block}.")
    return first.rung == fault.rung and inside


# ---------------------------------------------------------------- the command


def main() -> None:
    """Plant the faults that the command line names, or all of them."""
    faults = read_faults()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", metavar="NAME", nargs="*", help="faults of the list")
    names = parser.parse_args().names or list(faults)
    if unknown := [name for name in names if name not in faults]:
        parser.error(f"no such fault: {', '.join(unknown)}")
    chosen = [faults[name] for name in names]
    good = all([_control(fault) for fault in _highest(chosen)])
    with tempfile.TemporaryDirectory() as folder, Workshop(Path(folder)) as workshop:
        caught = sum([_shown(fault, workshop) for fault in chosen])
    print(f"{caught} of {len(chosen)} caught")
    sys.exit(0 if good and caught == len(chosen) else 1)


def _highest(chosen: list[Fault]) -> list[Fault]:
    """For each spec the fault that has to be caught last."""
    found: dict[tuple[str, str], Fault] = {}
    for fault in sorted(chosen, key=lambda each: each.rung):
        found[fault.spec, fault.text] = fault
    return list(found.values())


def _control(fault: Fault) -> bool:
    """Climb without the fault, and print a line if something is found."""
    report = climbed_without(fault, fault.rung)
    if not report.passed:
        print(f"{fault.spec} does not pass without a fault:\n{_findings(report)}", flush=True)
    return report.passed


def _shown(fault: Fault, workshop: Workshop) -> bool:
    """Plant a fault, and print a line about what is found."""
    start = time.monotonic()
    report = climbed(fault, workshop.sources(fault))
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
    """What a report says against the models."""
    found = [f"rung {each.rung}, {each.path}: {each.message}" for each in report.divergences]
    found += [
        f"rung {each.rung}, {each.path}: undecided, {each.message}"
        for each in report.ill_conditioned[:3]
    ]
    return "\n".join(f"    {line}" for line in found or ["nothing is found"])


if __name__ == "__main__":
    main()
