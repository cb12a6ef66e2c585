"""Leave out dropout, which passes its input through outside of training.

While training, what is kept is divided by the probability to be kept, so that in evaluation

    dropout(x) = x,

without a factor.
"""

from __future__ import annotations

from incgen.deploy.edits import Edit, Edits, Pass, Rewrite
from incgen.graph.nodes import Graph


def _find(graph: Graph) -> Edits:
    """Find every dropout."""
    indices = (index for index, node in enumerate(graph.nodes) if node.op == "dropout")
    return Edits([Rewrite({index: Edit(drop=True)}) for index in indices])


PASS = Pass("dropout", "leaves out dropout", "everywhere", "dropout", ", without {}", _find)
