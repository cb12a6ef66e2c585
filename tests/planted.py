"""Plant faults in generated files, one at a time; `incgen verify` must catch each of them.

    python tests/planted.py                     # every fault
    python tests/planted.py lrn_not_divided     # some
    python tests/planted.py --target flax       # those of one target

A check that never fails may be blind. The faults are data: `tests/faults/*.toml`, one file per
rung, with the small specs that show them; those of training scripts, with the recipes that show
them, are in `5_recipes.toml`. Exits with 1 if one is not caught where the list says.
"""

from __future__ import annotations

import argparse
import sys
import time
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import incgen
from incgen.compiling import compile_recipe
from incgen.graph.nodes import Graph
from incgen.recipes.recipe import Recipe
from incgen.targets import TARGETS
from incgen.targets.shared.training import script
from incgen.verify import RUNGS, Report, verify
from incgen.verify.runners import RUNNERS

FAULTS = Path(__file__).parent / "faults"


@dataclass(frozen=True)
class Change:
    """A replacement of lines in a generated file.

    Attributes:
        old: Whole consecutive lines, which occur in the file exactly once. In a script they may be
            parts of lines, since a line may have numbers that depend on the first gradients.
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
        target: The target that gets it, or `all`, or `scripts` for all that have them.
        changes: The changes, in order.
        spec: The name of the spec that shows it.
        text: The spec itself.
        rung: The rung that must catch it first.
        block: The block that the report must name; None if none can be named.
        recipe: The lines of the recipe whose scripts get it; "" if a model's file does.
        what: What the report must say first.
        deployed: Whether it is in the file of the deployed form.
    """

    name: str
    about: str
    target: str
    changes: tuple[Change, ...]
    spec: str
    text: str
    rung: int
    block: str | None
    recipe: str = ""
    what: str = ""
    deployed: bool = False

    @property
    def targets(self) -> tuple[str, ...]:
        """Return the targets whose files have the fault; not all have every part of a script."""
        if self.recipe:
            changed = {target for change in self.changes for target in change.targets}
            return tuple(name for name in TARGETS if name in changed)
        return _targets(self.target)

    @property
    def compared(self) -> tuple[str, ...]:
        """Return the targets to verify: the fault's own, beside a sound one if there is any.

        A script is compared with its recipe, and a deployed form with the training form.
        """
        if self.recipe or self.deployed:
            return self.targets
        sound = "keras" if self.target == "torch" else "torch"
        return tuple(name for name in TARGETS if name in (sound, *self.targets))


class ListError(Exception):
    """The list of faults is out of date: one of them no longer fits the generated code."""


def read_faults(folder: Path = FAULTS) -> dict[str, Fault]:
    """Return the faults by name, in the order of the rungs."""
    faults: dict[str, Fault] = {}
    for path in sorted(folder.glob("*.toml")):
        data = tomllib.loads(path.read_text("utf-8"))
        for row in data["fault"]:
            fault = _fault(row, data)
            if fault.name in faults:
                raise ListError(f"{path.name}: two faults have the name {fault.name}")
            faults[fault.name] = fault
    return faults


def read_recipes(folder: Path = FAULTS) -> tuple[str, dict[str, str]]:
    """Return the network of the faults in scripts, and the lines of their recipes by name."""
    data = tomllib.loads((folder / "5_recipes.toml").read_text("utf-8"))
    (network,) = data["specs"].values()
    return network, data["recipes"]


def _fault(row: Mapping[str, Any], data: Mapping[str, Any]) -> Fault:
    """Return the fault in a table of a file.

    A change in a fault of several targets says which one it is for, unless it is for all.
    """
    fields = dict(row)
    changes = [
        Change(change["old"], change["new"], _targets(change.get("target", row["target"])))
        for change in fields.pop("change")
    ]
    recipe = data["recipes"][fields.pop("recipe")] if "recipe" in fields else ""
    return Fault(
        **{"block": None, **fields},
        changes=tuple(changes),
        text=data["specs"][row["spec"]],
        rung=data["rung"],
        recipe=recipe,
        deployed=data.get("deployed", False),
    )


def _targets(name: str) -> tuple[str, ...]:
    if name == "scripts":
        return tuple(target for target in TARGETS if RUNNERS[target].training)
    return tuple(TARGETS) if name == "all" else (name,)


# ---------------------------------------------------------------- planting


@cache
def graph_of(spec: str, text: str) -> Graph:
    """Return the graph of a spec of the list."""
    return incgen.compile_spec(f"{spec}.inc", text=text)


@cache
def sound_sources(spec: str, text: str, deployed: bool = False) -> Mapping[str, str]:
    """Return the files without a fault, by target."""
    graph = graph_of(spec, text)
    if deployed:
        graph = incgen.deployed(graph)
    return {name: target.emit(graph) for name, target in TARGETS.items()}


@cache
def recipe_of(spec: str, text: str, recipe: str) -> tuple[Graph, Recipe]:
    """Return the graph and the recipe of a spec of the list."""
    lines = f"{text}\nrecipe planted for {spec} {{\n{recipe}}}\n"
    return compile_recipe(f"{spec}.inc", "planted", text=lines)


def faulty_script(fault: Fault, target: str, recipe: Recipe) -> str:
    """Return the script of a target for a recipe, which may be that of the list in miniature.

    Raises:
        ListError: The fault cannot be planted.
    """
    graph, _ = recipe_of(fault.spec, fault.text, fault.recipe)
    source = script(graph, recipe, target)
    for change in fault.changes:
        if target in change.targets:
            old, new = change.old.removesuffix("\n"), change.new.removesuffix("\n")
            if source.count(old) != 1:
                where, times = f"{fault.name} in {target}", source.count(old)
                raise ListError(f"{where}: this stands there {times} times\n{old}")
            source = source.replace(old, new)
    return source


def faulty_sources(fault: Fault) -> dict[str, str]:
    """Return the files that are compared, with the fault in those of its targets.

    Raises:
        ListError: The fault cannot be planted, or changes nothing.
    """
    if fault.recipe:
        _, recipe = recipe_of(fault.spec, fault.text, fault.recipe)
        return {target: faulty_script(fault, target, recipe) for target in fault.targets}
    sound = sound_sources(fault.spec, fault.text, fault.deployed)
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


def climbed(fault: Fault, highest: int = len(RUNGS) - 1) -> Report:
    """Verify the spec of a fault, up to a rung, or its recipe."""
    if fault.recipe:
        return _trained(fault, fault)
    return _verified(fault, faulty_sources(fault), highest)


def climbed_without(fault: Fault, highest: int, lowest: int = 0) -> Report:
    """Verify without the fault: nothing must be found, or every fault would count as caught."""
    if fault.recipe:
        return _trained(fault, replace(fault, changes=()))
    sound = sound_sources(fault.spec, fault.text, fault.deployed)
    return _verified(fault, {target: sound[target] for target in fault.compared}, highest, lowest)


def _verified(fault: Fault, sources: Mapping[str, str], highest: int, lowest: int = 0) -> Report:
    if fault.deployed:
        return verify(
            graph_of(fault.spec, fault.text),
            targets=tuple(sources),
            rungs=(fault.rung,),
            dtypes=("float64",),
            deploy=True,
            deployed=sources,
        )
    return verify(
        graph_of(fault.spec, fault.text),
        targets=tuple(sources),
        sources=sources,
        rungs=tuple(range(lowest, highest + 1)),
        dtypes=("float64",),
    )


def _trained(fault: Fault, planted: Fault) -> Report:
    """Verify the recipe of a fault with scripts that have another, or none."""
    graph, recipe = recipe_of(fault.spec, fault.text, fault.recipe)
    return verify(
        graph,
        targets=fault.compared,
        rungs=(fault.rung,),
        dtypes=("float64",),
        recipe=recipe,
        script=partial(faulty_script, planted),
    )


def catches(report: Report, fault: Fault) -> bool:
    """Return whether a report says what the list says."""
    if not report.divergences:
        return False
    first = report.divergences[0]
    inside = fault.block is None or f"{first.path}.".startswith(f"{fault.block}.")
    return first.rung == fault.rung and inside and first.message.startswith(fault.what)


# ---------------------------------------------------------------- the command


def main() -> None:
    """Plant the faults named on the command line, or all of a target, or all."""
    faults = read_faults()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", metavar="NAME", nargs="*", help="faults of the list")
    targets = [*TARGETS, "all", "scripts"]
    parser.add_argument("--target", choices=targets, help="only faults of this target")
    given = parser.parse_args()
    names = given.names or [
        name for name, fault in faults.items() if given.target in (None, fault.target)
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
    highest: dict[tuple[str, str, tuple[str, ...]], Fault] = {}
    for fault in sorted(chosen, key=lambda fault: fault.rung):
        highest[fault.text, fault.recipe, fault.compared] = fault
    return list(highest.values())


def _control(fault: Fault) -> bool:
    """Verify without the fault, and print a line if something is found."""
    report = climbed_without(fault, fault.rung)
    if not report.passed:
        print(f"{fault.spec} does not pass without a fault:\n{_findings(report)}", flush=True)
    return report.passed


def _shown(fault: Fault) -> bool:
    """Plant a fault, and print a line about what is found."""
    start = time.monotonic()
    report = climbed(fault)
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
        wanted = ", ".join(filter(None, (f"rung {fault.rung}", fault.block, fault.what)))
        print(f"    NOT CAUGHT at {wanted}:\n{_findings(report)}", flush=True)
    return caught


def _findings(report: Report) -> str:
    """Return the findings of a report."""
    findings = [f"rung {d.rung}, {d.path}: {d.message}" for d in report.divergences]
    findings += [
        f"rung {c.rung}, {c.path}: undecided, {c.message}" for c in report.ill_conditioned[:3]
    ]
    return "\n".join(f"    {line}" for line in findings or ["nothing is found"])


if __name__ == "__main__":
    main()
