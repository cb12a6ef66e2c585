"""Fold what follows a layer into it: a normalisation, or a constant factor.

In evaluation a normalisation is y = g * (x - mean) + beta for each channel, with g = gamma /
sqrt(variance + eps). Behind a layer x = W * v + b, where W is the kernel of a convolution or the
matrix of a dense layer,

    y = (g * W) * v + (g * (b - mean) + beta),

the same layer with another kernel and bias; without a gamma it is 1, without a beta or b these are
0. A factor f gives (f * W) * v + f * b.

Between the two may stand

- a `concat`, of which each branch takes its channels;
- an average pooling, which is linear and keeps constants; if it counts zeros of its border it does
  not keep them, and only a factor may stand behind it;
- a `pad`, for a factor only: f * 0 is 0, but a normalisation makes something else of the border.

Nothing else may take the value in between. An activation in between prevents it: g * relu(x) is
relu(g * x) only where g is positive, and the shift has no place in front of the activation at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from incgen.deploy.edits import Edit, Edits, Rewrite, consumers
from incgen.deploy.pooling import counts_border, is_average
from incgen.graph.changes import FoldedNorm, FoldedScale
from incgen.graph.nodes import Graph, Node
from incgen.language.expressions import Literal

#: The layers that multiply by a kernel for each output channel, and the part that does so last.
_LAYERS = {"conv": "", "depthwise_conv": "", "separable_conv": ".pointwise", "dense": ""}
#: A layer, and which channel of what is folded into it is its first.
_Part: TypeAlias = tuple[int, int]
_BIAS = Edit(args={"bias": Literal(True)}, mark="biased")


class _UnfitError(Exception):
    """Something in front of a normalisation or factor cannot take it."""


def norms(graph: Graph) -> Edits:
    """Find the normalisations that can be folded."""
    return _folded(graph, "bn")


def scales(graph: Graph) -> Edits:
    """Find the constant factors that can be folded."""
    return _folded(graph, "scale")


def _folded(graph: Graph, op: str) -> Edits:
    rewrites, left = list[Rewrite](), dict[str, str]()
    taken = consumers(graph)
    busy = set[int]()  # the layers that take one already: a second one is for the next round
    for index, node in enumerate(graph.nodes):
        if node.op != op:
            continue
        try:
            parts = list(_parts(graph, node.inputs[0], index, 0, op, taken))
        except _UnfitError as why:
            left[node.path] = str(why)
            continue
        if not busy & {layer for layer, _ in parts}:
            busy |= {layer for layer, _ in parts}
            rewrites.append(_rewrite(graph, index, parts))
    return Edits(rewrites, left)


def _parts(
    graph: Graph, index: int, by: int, first: int, op: str, taken: list[list[int]]
) -> Iterator[_Part]:
    """Yield the layers whose channels a value consists of."""
    node = graph.nodes[index]
    if taken[index] != [by]:
        raise _UnfitError(f"`{node.path}` in front is used elsewhere too")
    if node.op in _LAYERS:
        yield index, first
    elif node.op == "concat":
        for branch in node.inputs:
            yield from _parts(graph, branch, index, first, op, taken)
            first += graph.nodes[branch].shape.channels
    else:
        if reason := _obstacle(node, op):
            raise _UnfitError(reason)
        yield from _parts(graph, node.inputs[0], index, first, op, taken)


def _obstacle(node: Node, op: str) -> str:
    """Return why a normalisation or factor does not pass a layer; "" if it does."""
    if node.op in ("global_avg_pool", "adaptive_avg_pool"):
        return ""
    if node.op == "pad":
        return "" if op == "scale" else f"the border of `{node.path}` in front is 0 before it"
    if is_average(node):
        counted = op == "bn" and counts_border(node)
        return f"`{node.path}` in front counts its border" if counted else ""
    return f"`{node.op}` in front cannot take it"


def _rewrite(graph: Graph, index: int, parts: list[_Part]) -> Rewrite:
    """Return the step that folds one normalisation or factor into its layers."""
    node, edits = graph.nodes[index], {index: Edit(drop=True)}
    changes: list[FoldedNorm | FoldedScale] = []
    for at, first in parts:
        layer = graph.nodes[at]
        path = f"{layer.path}{_LAYERS[layer.op]}"
        if node.op == "scale":
            changes.append(FoldedScale(path, node.args.number("factor")))
            continue
        channels, eps = layer.shape.channels, node.args.number("eps")
        changes.append(FoldedNorm(path, node.path, eps, first, channels))
        if not layer.args["bias"]:
            edits[at] = _BIAS
    return Rewrite(edits, tuple(changes))
