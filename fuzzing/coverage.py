"""Count the features of the language in random specs, and find those that never occur."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from fuzzing import tree
from fuzzing.extremes import all_extremes, extremes
from fuzzing.features import (
    CONTEXTS,
    DEFINITIONS,
    JOINS,
    OPERATORS,
    STATEMENTS,
    WAYS,
    Key,
    features,
)
from incgen.graph.nodes import Graph
from incgen.language.initializers import RULES
from incgen.language.ops import OPS
from incgen.language.presets import PRESETS
from incgen.language.signatures import Argument, Kind, Op


@dataclass
class Coverage:
    """Counts of features by group."""

    counts: Counter[Key] = field(default_factory=Counter)

    def add(self, other: Coverage) -> None:
        """Add other counts."""
        self.counts += other.counts

    def count(self, spec: tree.Spec, graph: Graph) -> None:
        """Count the features of a spec and its network."""
        self.counts.update(features(spec))
        self.counts.update((f"{what}: unusual", fact) for what, fact in extremes(graph))

    def missing(self) -> list[Key]:
        """Return the features of the language that never occurred."""
        return [key for key in everything() if not self.counts[key]]

    def cells(self) -> tuple[int, int]:
        """Return in how many of their possible places argument values occurred."""
        keys = [(f"{row} in", place) for row in _rows() for place in _places(row)]
        return sum(self.counts[key] > 0 for key in keys), len(keys)

    def table(self) -> str:
        """Return the counts as text: every op, and every value of its arguments, by place."""
        width = max(map(len, _rows())) + 2
        lines = ["".ljust(width) + "".join(context.rjust(9) for context in CONTEXTS)]
        for row in _rows():
            possible = _places(row)
            counts = (
                f"{self.counts[f'{row} in', place]:,}" if place in possible else "-"
                for place in CONTEXTS
            )
            lines.append(row.ljust(width) + "".join(count.rjust(9) for count in counts))
        groups: dict[str, list[str]] = {}
        keys = {**dict.fromkeys(everything()), **dict.fromkeys(sorted(self.counts))}
        for group, name in keys:
            if not group.endswith(" in") and group.partition(" ")[0] not in OPS:
                groups.setdefault(group, []).append(f"{name} {self.counts[group, name]:,}")
        width = max(map(len, groups))
        for group, counted in sorted(groups.items()):
            lines += ["", *_filled(group.ljust(width), counted)]
        never = self.missing()
        lines += ["", *_filled(f"{len(never):,} never seen:", [f"{g} {n}" for g, n in never])]
        return "\n".join(lines)


def _filled(title: str, items: list[str], width: int = 100) -> Iterator[str]:
    """Yield items as lines under a title."""
    line, indent = title, " " * len(title)
    for item in items:
        if len(line) + len(item) + 2 > width and line not in (title, indent):
            yield line.rstrip()
            line = indent
        line += f"  {item}"
    yield line.rstrip()


# ---------------------------------------------------------------- what there is


def everything() -> Iterator[Key]:
    """Yield everything that the generator should reach."""
    flat = [context for context in CONTEXTS if context != "unit"]
    for name in OPS:
        yield from ((f"{name} in", context) for context in (*flat, "unit"))
    for join in JOINS:
        yield from ((f"{join} in", context) for context in flat)
    for name, op in OPS.items():
        yield from ((f"{name} {argument}", kind) for argument, kind in _values(op))
    yield from (("statements", name) for name in STATEMENTS)
    yield from (("definitions", name) for name in DEFINITIONS)
    yield from (("expressions", name) for name in OPERATORS)
    yield from (("numerics", name) for name in (*PRESETS, "none"))
    yield from ((f"{what}: unusual", fact) for what, fact in all_extremes())


def _rows() -> list[str]:
    """Return every op with every value of its arguments, and joins."""
    rows: list[str] = []
    for name, op in OPS.items():
        rows += [name, *(f"{name} {argument}={kind}" for argument, kind in _values(op))]
    return [*rows, *JOINS]


def _values(op: Op) -> Iterator[tuple[str, str]]:
    """Yield every argument of an op with every value that is distinguished."""
    for argument in op.arguments:
        for kind in _kinds(argument):
            # the output size of an adaptive pooling has no stride
            if op.name != "adaptive_avg_pool" or "/" not in kind:
                yield argument.name, kind


def _places(row: str) -> tuple[str, ...]:
    """Return the contexts of a value: only those that have the parameter it comes from."""
    way = row.partition("=")[2]
    never = {"network's": ("block", "unit"), "block's": ("network", "aux", "unit")}.get(way, ())
    if row in JOINS:
        never = ("unit",)
    return tuple(context for context in CONTEXTS if context not in never)


def _kinds(argument: Argument) -> tuple[str, ...]:
    """Return the values of an argument that are distinguished."""
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
