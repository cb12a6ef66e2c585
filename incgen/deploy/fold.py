"""Find the layers that what follows them can be folded into, for the passes that fold.

Between the two may stand

- a `concat`, of which each branch takes its channels;
- an average pooling, which is linear; what it makes of constants, and what else may stand there, is
  for a pass to say.

Nothing else may take the value in between. An activation in between prevents it: g * relu(x) is
relu(g * x) only where g is positive, and a shift has no place in front of the activation at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from incgen.deploy.edits import Edit, Edits, Rewrite, consumers
from incgen.graph.changes import FoldedNorm, FoldedScale
from incgen.graph.nodes import Graph, Node
from incgen.graph.shapes import chosen

#: The layers that multiply by a kernel for each output channel, and the part that does so last.
_LAYERS = {"conv": "", "depthwise_conv": "", "separable_conv": ".pointwise", "dense": ""}
#: A layer, and which channel of what is folded into it is its first.
_Part: TypeAlias = tuple[int, int]
#: What becomes of a layer's weights, and of the layer.
Taken: TypeAlias = tuple[FoldedNorm | FoldedScale, Edit | None]
#: Returns why what is folded does not pass a layer; "" if it does.
Obstacle: TypeAlias = Callable[[Node], str]
#: Returns what a layer takes of what is folded: of the node, into the layer, whose kernel has this
#: path, from this channel on.
Into: TypeAlias = Callable[[Node, Node, str, int], Taken]


class _UnfitError(Exception):
    """Something in front of what is to be folded cannot take it."""


def obstacle(node: Node) -> str:
    """Return why nothing that is linear passes a layer; "" if it does."""
    if chosen(node.op, node.args) in ("avg_pool", "global_avg_pool", "adaptive_avg_pool"):
        return ""
    return f"`{node.op}` in front cannot take it"


def found(graph: Graph, op: str, reason_of: Obstacle, into: Into) -> Edits:
    """Find the layers of an op that can be folded."""
    rewrites, left = list[Rewrite](), dict[str, str]()
    taken = consumers(graph)
    busy = set[int]()  # the layers that take one already: a second one is for the next round
    for index, node in enumerate(graph.nodes):
        if node.op != op:
            continue
        try:
            parts = list(_parts(graph, node.inputs[0], index, 0, reason_of, taken))
        except _UnfitError as why:
            left[node.path] = str(why)
            continue
        if not busy & {layer for layer, _ in parts}:
            busy |= {layer for layer, _ in parts}
            rewrites.append(_rewrite(graph, index, parts, into))
    return Edits(rewrites, left)


def _parts(
    graph: Graph, index: int, by: int, first: int, reason_of: Obstacle, taken: list[list[int]]
) -> Iterator[_Part]:
    """Yield the layers whose channels a value consists of."""
    node = graph.nodes[index]
    if taken[index] != [by]:
        raise _UnfitError(f"`{node.path}` in front is used elsewhere too")
    if node.op in _LAYERS:
        yield index, first
    elif node.op == "concat":
        for branch in node.inputs:
            yield from _parts(graph, branch, index, first, reason_of, taken)
            first += graph.nodes[branch].shape.channels
    else:
        if reason := reason_of(node):
            raise _UnfitError(reason)
        yield from _parts(graph, node.inputs[0], index, first, reason_of, taken)


def _rewrite(graph: Graph, index: int, parts: list[_Part], into: Into) -> Rewrite:
    """Return the step that folds one layer into those in front."""
    edits = {index: Edit(drop=True)}
    changes: list[FoldedNorm | FoldedScale] = []
    for at, first in parts:
        layer = graph.nodes[at]
        change, edit = into(graph.nodes[index], layer, f"{layer.path}{_LAYERS[layer.op]}", first)
        changes.append(change)
        if edit is not None:
            edits[at] = edit
    return Rewrite(edits, tuple(changes))
