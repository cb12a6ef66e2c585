"""List the classes of a framework that make up each layer, for a target that a user names."""

from __future__ import annotations

from collections.abc import Sequence

from incgen import api
from incgen.graph.calls import Calls
from incgen.graph.nodes import Graph
from incgen.targets import ONNX


def calls_of(graph: Graph, names: Sequence[str]) -> dict[str, Calls]:
    """Return what each of some frameworks calls the layers of a network, by their names.

    Raises:
        RequestError: There is no such target.
        SpecError: One cannot express the network.
    """
    if not names:
        return {}
    targets, known = api.find_with_onnx(names)
    calls = {target.name: target.calls(graph) for target in targets}
    if ONNX in known:
        from incgen.onnx import model

        calls[ONNX] = model.calls(graph)
    return {name: calls[name] for name in known}
