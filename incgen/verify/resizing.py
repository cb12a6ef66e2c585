"""The same network at another input size, which no generated file can know in advance."""

from __future__ import annotations

from dataclasses import dataclass, replace

from incgen.base.diagnostics import Reporter
from incgen.graph.elaborate import elaborate
from incgen.graph.nodes import Graph, Node
from incgen.language import expressions as ex
from incgen.resolve.written import axes_in, written_in

#: The rows and columns to add: one odd, one even, so that borders fall differently.
MORE = 3, 2
#: From this size on, half of it is tried first, with as much added: it costs a quarter.
LARGE = 64


@dataclass(frozen=True, slots=True)
class Resized:
    """A network at another size, and that size; None if models take any size."""

    graph: Graph
    height: int | None
    width: int | None


def resized(graph: Graph) -> Resized | str:
    """Return the network at another size of its input, or why there is none.

    There is none if the size follows from the network's parameters, or if the network would differ:
    a dense layer takes more features, or a formula uses the height or width.
    """
    network = graph.program.network
    pixels = network.pixels
    assert pixels is not None and graph.input.height is not None and graph.input.width is not None
    if not all(isinstance(e, ex.Literal) for e in (pixels.height, pixels.width, pixels.channels)):
        return "the `input` line uses a parameter"
    rows, columns = graph.input.height, graph.input.width
    halves = [2, 1] if min(rows, columns) >= LARGE else [1]
    for height, width in ((rows // n + MORE[0], columns // n + MORE[1]) for n in halves):
        other = at_size(graph, height, width)
        if other is not None:
            return Resized(other, height, width) if _asks(other) else Resized(other, None, None)
    return f"it is another network for {height} x {width}"


def at_size(graph: Graph, height: int, width: int) -> Graph | None:
    """Return the network at a size; None if it is a different one there."""
    network = graph.program.network
    assert network.pixels is not None
    pixels = replace(network.pixels, height=ex.Literal(height), width=ex.Literal(width))
    program = replace(graph.program, network=replace(network, pixels=pixels))
    other = elaborate(program, graph.parameters, Reporter())
    return other if other is not None and _facts(other) == _facts(graph) else None


def _asks(graph: Graph) -> bool:
    """Return whether a model must know its size, even if several sizes give the same network.

    A dense layer that takes a map requires it, and so does a formula that names a height or width.
    """
    dense = any(
        node.op in ("dense", "flatten") and graph.nodes[node.inputs[0]].shape.is_map
        for node in graph.nodes
    )
    program = graph.program
    written = [e for d in (program.network, *program.definitions) for e in written_in(d.body)]
    return dense or any({"height", "width"} & axes_in(expression) for expression in written)


def _facts(graph: Graph) -> list[object]:
    def of(node: Node) -> object:
        # `borders` is the result of `pad=same` at a size
        stated = {name: value for name, value in node.args.items() if name != "borders"}
        return node.path, node.op, stated, node.inputs, node.tensors

    return [of(node) for node in graph.nodes]
