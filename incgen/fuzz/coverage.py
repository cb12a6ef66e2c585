"""What random specs contained: how often each thing of the language was seen, and what never."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from incgen.fuzz import tree
from incgen.fuzz.extremes import all_extremes, extremes
from incgen.fuzz.features import (
    CONTEXTS,
    DEFINITIONS,
    JOINS,
    OPERATORS,
    STATEMENTS,
    WAYS,
    Key,
    features,
)
from incgen.graph import Graph
from incgen.initializers import RULES
from incgen.ops import OPS, PRESETS, Argument, Kind


@dataclass
class Coverage:
    """Counts of things by group."""

    counts: Counter[Key] = field(default_factory=Counter)

    def add(self, other: Coverage) -> None:
        """Add other counts."""
        self.counts += other.counts

    def count(self, spec: tree.Spec, graph: Graph) -> None:
        """Count what is in a spec and its network."""
        self.counts.update(features(spec))
        self.counts.update((f"{what}: unusual", fact) for what, fact in extremes(graph))

    def missing(self) -> list[Key]:
        """What the language has and was never seen."""
        return [key for key in everything() if not self.counts[key]]

    def table(self) -> str:
        """The counts as text."""
        lines = ["op".ljust(20) + "".join(context.rjust(9) for context in CONTEXTS)]
        for op in (*OPS, *JOINS):
            counts = (f"{self.counts[f'{op} in', context]:,}" for context in CONTEXTS)
            lines.append(op.ljust(20) + "".join(count.rjust(9) for count in counts))
        groups: dict[str, list[str]] = {}
        keys = {**dict.fromkeys(everything()), **dict.fromkeys(sorted(self.counts))}
        for group, name in keys:
            if not group.endswith(" in"):
                groups.setdefault(group, []).append(f"{name} {self.counts[group, name]:,}")
        width = max(map(len, groups))
        for group, counted in sorted(groups.items()):
            lines += ["", *_filled(group.ljust(width), counted)]
        never = self.missing()
        lines += ["", *_filled(f"{len(never):,} never seen:", [f"{g} {n}" for g, n in never])]
        return "\n".join(lines)


def _filled(title: str, items: list[str], width: int = 100) -> Iterator[str]:
    """Items in lines, behind a title."""
    line, indent = title, " " * len(title)
    for item in items:
        if len(line) + len(item) + 2 > width and line not in (title, indent):
            yield line.rstrip()
            line = indent
        line += f"  {item}"
    yield line.rstrip()


# ---------------------------------------------------------------- what there is


def everything() -> Iterator[Key]:
    """All that the generator should reach."""
    flat = [context for context in CONTEXTS if context != "unit"]
    for name in OPS:
        yield from ((f"{name} in", context) for context in (*flat, "unit"))
    for join in JOINS:
        yield from ((f"{join} in", context) for context in flat)
    for name, op in OPS.items():
        for argument in op.arguments:
            for kind in _kinds(argument):
                # the size that an adaptive pooling gives has no stride
                if name != "adaptive_avg_pool" or "/" not in kind:
                    yield f"{name} {argument.name}", kind
    yield from (("statements", name) for name in STATEMENTS)
    yield from (("definitions", name) for name in DEFINITIONS)
    yield from (("expressions", name) for name in OPERATORS)
    yield from (("numerics", name) for name in (*PRESETS, "none"))
    yield from ((f"{what}: unusual", fact) for what, fact in all_extremes())


def _kinds(argument: Argument) -> tuple[str, ...]:
    """The values of an argument that are told apart."""
    match argument.kind:
        case Kind.FLAG:
            return "true", "false", *WAYS
        case Kind.WORD:
            return *argument.words, "network's", "block's"
        case Kind.WINDOW:
            return "HxW", "HxW/S", "HxW/SxS", *WAYS
        case Kind.PADDING:
            words = ("half", "same", "valid") if argument.name == "pad" else ()
            return *words, "number", "HxW", "[t, b, l, r]", *WAYS
        case Kind.INITIALIZER:
            return tuple(RULES)
        case Kind.COUNT | Kind.FACTOR:
            return "number", *WAYS
