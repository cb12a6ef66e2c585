"""Leave out what evaluation does without: auxiliary heads, and dropout.

Heads are outputs for training; nothing of the network's own output depends on them. Dropout passes
its input through outside of training.
"""

from __future__ import annotations

from incgen.deploy.edits import Edit, Edits, Rewrite
from incgen.graph.changes import Dropped
from incgen.graph.nodes import Graph
from incgen.graph.unused import needed


def heads(graph: Graph) -> Edits:
    """Find the heads, and the layers that only they need."""
    if len(graph.outputs) == 1:
        return Edits(())
    first, *_ = graph.outputs.values()
    kept = needed(graph.nodes, [first])
    lone = (node for index, node in enumerate(graph.nodes) if index not in kept)
    return Edits((), heads=False, changes=tuple(Dropped(n.path) for n in lone if n.tensors))


def dropout(graph: Graph) -> Edits:
    """Find every dropout."""
    indices = (index for index, node in enumerate(graph.nodes) if node.op == "dropout")
    return Edits([Rewrite({index: Edit(drop=True)}) for index in indices])
