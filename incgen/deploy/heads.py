"""Leave out auxiliary heads, which are outputs for training.

Nothing of the network's own output depends on them, nor on a layer that only they need:

    y = f(x), h = g(x)    becomes    y = f(x).
"""

from __future__ import annotations

from incgen.deploy.edits import Edits, Pass
from incgen.graph.changes import Dropped
from incgen.graph.nodes import Graph
from incgen.graph.unused import needed


def _find(graph: Graph) -> Edits:
    """Find the heads, and the layers that only they need."""
    if len(graph.outputs) == 1:
        return Edits(())
    first, *_ = graph.outputs.values()
    kept = needed(graph.nodes, [first])
    lone = (node for index, node in enumerate(graph.nodes) if index not in kept)
    return Edits((), heads=False, changes=tuple(Dropped(n.path) for n in lone if n.tensors))


PASS = Pass(
    "heads",
    "leaves out auxiliary heads, and what only they need",
    "the network has heads, and nothing else refers to what only they need",
    "auxiliary heads",
    ", without {}",
    _find,
)
