"""Fold a constant factor into the layer in front.

Behind a layer x = W * v + b a factor f gives

    f * x = (f * W) * v + f * b,

the same layer with another kernel and bias. It passes what `fold.py` says, and a `pad`, whose zeros
stay zeros: f * 0 is 0.
"""

from __future__ import annotations

from incgen.deploy import fold
from incgen.deploy.edits import Edits, Pass
from incgen.graph.changes import FoldedScale
from incgen.graph.nodes import Graph, Node


def _find(graph: Graph) -> Edits:
    """Find the constant factors that can be folded."""
    return fold.found(graph, "scale", _obstacle, _into)


def _obstacle(node: Node) -> str:
    """Return why a factor does not pass a layer; "" if it does."""
    return "" if node.op == "pad" else fold.obstacle(node)


def _into(scale: Node, layer: Node, path: str, first: int) -> fold.Taken:
    """Return what a layer takes of a factor: all of its channels are multiplied."""
    return FoldedScale(path, scale.args.number("factor")), None


PASS = Pass(
    "fold-scale",
    "folds a constant factor into the layer in front",
    "a convolution or dense layer is in front, also behind `pad`, `concat` or an average pooling, "
    "and nothing else takes its output",
    "constant factors",
    "; {} are folded into the layers before them",
    _find,
)
