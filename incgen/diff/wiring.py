"""Find the layers that take other values than before, although nothing else changed there."""

from __future__ import annotations

from collections.abc import Sequence

from incgen.diff.aligning import Aligned, layers
from incgen.diff.changes import Place, Rewired
from incgen.graph.nodes import Graph, Node

#: The joins whose branches may stand in any order.
_SYMMETRIC = ("add", "mul")


def rewired(a: Graph, b: Graph, aligned: Sequence[Aligned]) -> tuple[Rewired, ...]:
    """Return the layers that take other layers, where both networks have all of these.

    A layer behind one that is new or gone takes something else by that alone, and is left out.
    """
    pairs = [(pair.a.node, pair.b.node) for pair in layers(aligned)]
    same = {id(ours): theirs for ours, theirs in pairs}
    matched = {id(theirs) for _, theirs in pairs}
    rows = dict[tuple[Place, str], Rewired]()
    for ours, theirs in pairs:
        before = [same.get(id(a.nodes[index])) for index in ours.inputs]
        after = [b.nodes[index] for index in theirs.inputs]
        known = [node for node in before if node is not None]
        if len(known) < len(before) or any(id(node) not in matched for node in after):
            continue
        taken, instead = ([id(node) for node in nodes] for nodes in (known, after))
        if ours.op in _SYMMETRIC:
            taken, instead = sorted(taken), sorted(instead)
        if taken != instead:
            place = Place(_definition(ours), _definition(theirs))
            keys = [tuple(_inside(node, theirs) for node in nodes) for nodes in (known, after)]
            row = Rewired(place, _inside(theirs, theirs), keys[0], keys[1])
            rows.setdefault((place, row.key), row)
    return tuple(rows.values())


def _definition(node: Node) -> str:
    return node.use.definition.name if node.use is not None else ""


def _inside(node: Node, other: Node) -> str:
    """Return the key of a layer within the definition of another."""
    return node.path if other.use is None else node.path.removeprefix(f"{other.use.path}.")
