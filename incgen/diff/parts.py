"""The parts of a network: its layers, grouped by the units and blocks that they come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby

from incgen.graph.nodes import Graph, Node, Use
from incgen.language.ops import ACTIVATIONS, OPS


@dataclass(frozen=True, eq=False)
class Part:
    """A layer, or the use of a unit or block with the parts inside."""

    path: str  #: The key
    name: str  #: The end of the key, inside the part around this one
    nodes: tuple[Node, ...] = field(repr=False)  #: The layers
    use: Use | None  #: The use, unless it is a layer by itself
    parts: tuple[Part, ...] = field(repr=False)  #: The parts inside; a layer has none

    @property
    def node(self) -> Node:
        """Return the layer, of a part that is one."""
        return self.nodes[0]

    @property
    def says(self) -> str:
        """Return what a spec calls it: a unit, a block or an op."""
        return self.node.op if self.use is None else self.use.definition.name

    @property
    def labelled(self) -> bool:
        """Return whether its name comes from a label, and not from what it is."""
        first, _, number = self.name.rpartition("_")
        return self.says not in (self.name, first if number.isdigit() else self.name)

    @cached_property
    def features(self) -> Counter[str]:
        """Count the layers of each kind, with their windows."""
        return Counter(feature(node) for node in self.nodes)

    @cached_property
    def joins(self) -> Counter[str]:
        """Count the joins of each kind."""
        return Counter(node.op for node in self.nodes if node.op in ("concat", "add", "mul"))


#: Kinds of ops that can take each other's place, beside those with a family of their own.
_LIKE = dict.fromkeys(ACTIVATIONS, "activation") | {
    "leaky_relu": "activation",
    "gelu": "activation",
}


def family(op: str) -> str:
    """Return what ops have in common that can take each other's place."""
    row = OPS.get(op)
    return _LIKE.get(op) or (row.family if row is not None and row.family else op)


def feature(node: Node) -> str:
    """Describe a layer by what most tells it from others."""
    return f"{family(node.op)} {node.args.get('window', '')}".rstrip()


def parts_of(graph: Graph) -> tuple[Part, ...]:
    """Return the parts of a network, in the order in which they are computed."""
    return _split(graph.nodes, 0, "")


def _split(nodes: Sequence[Node], depth: int, prefix: str) -> tuple[Part, ...]:
    """Group consecutive layers by the use around them at a depth."""
    uses = [(node, [*node.uses()][::-1][depth : depth + 1]) for node in nodes]  # outermost first
    parts = list[Part]()
    for _, group in groupby(uses, key=lambda pair: id(pair[1][0]) if pair[1] else id(pair[0])):
        pairs = list(group)
        inside, use = tuple(node for node, _ in pairs), pairs[0][1]
        path = use[0].path if use else inside[0].path
        name = path.removeprefix(f"{prefix}.") if prefix else path
        parts.append(
            Part(path, name, inside, use[0], _split(inside, depth + 1, path))
            if use
            else Part(path, name, inside, None, ())
        )
    return tuple(parts)


def alike(one: Counter[str], other: Counter[str]) -> float:
    """Return how much of two collections of layers is the same, from 0 to 1: equal ones of all."""
    every = (one | other).total()
    return (one & other).total() / every if every else 1.0


def features_of(parts: Sequence[Part]) -> Counter[str]:
    """Count the layers of each kind in a run of parts."""
    return sum((part.features for part in parts), Counter[str]())
