"""Name the ONNX operators of each layer of a network."""

from __future__ import annotations

from incgen.graph.calls import Calls
from incgen.graph.nodes import Graph
from incgen.onnx.model import model_of
from incgen.onnx.options import Options


def calls(graph: Graph) -> Calls:
    """Return the operators that each layer is written as, those of heads too.

    Raises:
        SpecError: ONNX cannot express something; code `unsupported`.
    """
    operators: dict[str, list[str]] = {}
    for node in model_of(graph, Options(heads=True)).proto.graph.node:
        operators.setdefault(node.name.partition("/")[0], []).append(node.op_type)
    return Calls({path: " + ".join(ops) for path, ops in operators.items()})
