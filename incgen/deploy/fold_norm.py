"""Fold a batch normalisation into the layer in front.

In evaluation a normalisation is y = g * (x - mean) + beta for each channel, with g = gamma /
sqrt(variance + eps). Behind a layer x = W * v + b, where W is the kernel of a convolution or the
matrix of a dense layer,

    y = (g * W) * v + (g * (b - mean) + beta),

the same layer with another kernel and bias; without a gamma it is 1, without a beta or b these are
0.

It passes what `fold.py` says. An average that counts zeros of its border does not keep constants,
and a `pad` makes something else of the border: g * (0 - mean) + beta is not 0.
"""

from __future__ import annotations

from incgen.deploy import fold
from incgen.deploy.edits import Edit, Edits, Pass
from incgen.deploy.project_first import counts_border
from incgen.graph.changes import FoldedNorm
from incgen.graph.nodes import Graph, Node
from incgen.graph.shapes import chosen
from incgen.language.expressions import Literal

_BIAS = Edit(args={"bias": Literal(True)}, mark="biased")


def _find(graph: Graph) -> Edits:
    """Find the normalisations that can be folded."""
    return fold.found(graph, "bn", _obstacle, _into)


def _obstacle(node: Node) -> str:
    """Return why a normalisation does not pass a layer; "" if it does."""
    if node.op == "pad":
        return f"the border of `{node.path}` in front is 0 before it"
    if chosen(node.op, node.args) == "avg_pool" and counts_border(node):
        return f"`{node.path}` in front counts its border"
    return fold.obstacle(node)


def _into(norm: Node, layer: Node, path: str, first: int) -> fold.Taken:
    """Return what a layer takes of a normalisation: its channels from the first on."""
    change = FoldedNorm(path, norm.path, norm.args.number("eps"), first, layer.shape.channels)
    return change, None if layer.args["bias"] else _BIAS


PASS = Pass(
    "fold-norm",
    "folds a batch normalisation into the layer in front",
    "a convolution or dense layer is in front, also behind `concat` or an average pooling that "
    "counts no border, and nothing else takes its output",
    "batch normalisations",
    "; {} are folded into the layers before them",
    _find,
)
