"""The passes that make a network for inference from its training form, in the order they run in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from incgen.deploy import fold, pooling
from incgen.deploy.edits import Edit, Edits, Rewrite
from incgen.graph.changes import Dropped
from incgen.graph.nodes import Graph
from incgen.graph.unused import needed


@dataclass(frozen=True, slots=True)
class Pass:
    """A rewriting of networks that changes no output in evaluation, apart from rounding."""

    name: str  #: What users write
    does: str  #: One sentence
    condition: str  #: Where it applies
    parts: str  #: What it concerns
    result: str  #: What is true of them behind it, in the docstring of a network
    find: Callable[[Graph], Edits]  #: Returns what it would do


def _heads(graph: Graph) -> Edits:
    """Find the heads, and the layers that only they need.

    Heads are outputs for training; nothing of the network's own output depends on them.
    """
    if len(graph.outputs) == 1:
        return Edits(())
    first, *_ = graph.outputs.values()
    kept = needed(graph.nodes, [first])
    lone = (node for index, node in enumerate(graph.nodes) if index not in kept)
    return Edits((), heads=False, changes=tuple(Dropped(n.path) for n in lone if n.tensors))


def _dropout(graph: Graph) -> Edits:
    """Find every dropout, which passes its input through outside of training."""
    indices = (index for index, node in enumerate(graph.nodes) if node.op == "dropout")
    return Edits([Rewrite({index: Edit(drop=True)}) for index in indices])


_TABLE = (
    Pass(
        "heads",
        "leaves out auxiliary heads, and what only they need",
        "the network has heads, and nothing else refers to what only they need",
        "auxiliary heads",
        ", without {}",
        _heads,
    ),
    Pass(
        "dropout",
        "leaves out dropout",
        "everywhere",
        "dropout",
        ", without {}",
        _dropout,
    ),
    Pass(
        "fold-scale",
        "folds a constant factor into the layer in front",
        "a convolution or dense layer is in front, also behind `pad`, `concat` or an average "
        "pooling, and nothing else takes its output",
        "constant factors",
        "; {} are folded into the layers before them",
        fold.scales,
    ),
    Pass(
        "project-first",
        "moves a 1x1 convolution in front of an average pooling",
        "the pooling has stride 1, and counts no border if the convolution has a bias; the "
        "convolution has fewer outputs than inputs; nothing else takes the pooling's output",
        "1x1 convolutions",
        "; {} come before the average poolings that they followed",
        pooling.projections,
    ),
    Pass(
        "fold-norm",
        "folds a batch normalisation into the layer in front",
        "a convolution or dense layer is in front, also behind `concat` or an average pooling that "
        "counts no border, and nothing else takes its output",
        "batch normalisations",
        "; {} are folded into the layers before them",
        fold.norms,
    ),
)

#: Every pass by name, in the order in which they run.
PASSES = {each.name: each for each in _TABLE}
