"""From a graph to a model of ONNX, still without the numbers of the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from onnx import ModelProto, TensorProto, ValueInfoProto, helper

from incgen.base.version import VERSION
from incgen.graph.calls import Calls
from incgen.graph.nodes import Graph
from incgen.graph.shapes import Shape
from incgen.graph.unused import needed
from incgen.onnx import ops, pixels
from incgen.onnx.layers import TYPES, Body, Layer, Weight, places_of
from incgen.onnx.options import Options
from incgen.onnx.refusing import refuse
from incgen.resolve.written import axes_in, written_in

#: The sizes of a value: numbers, names of free ones, or None for what follows from these.
Sizes: TypeAlias = tuple[int | str | None, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """A model whose weights are named, and not in it."""

    proto: ModelProto
    weights: tuple[Weight, ...]  #: In the order of the network
    values: Mapping[str, str]  #: The name of the value of each layer, by key


def model_of(graph: Graph, options: Options) -> Model:
    """Return the model of a graph.

    Raises:
        SpecError: ONNX cannot express it with these options; code `unsupported`.
    """
    if options.any_size:
        _check_any_size(graph)
    body = Body(options)
    outputs = graph.outputs if options.heads else dict(list(graph.outputs.items())[:1])
    values = _emitted(graph, body, outputs)
    first = TensorProto.UINT8 if options.preprocess else TYPES[options.dtype]
    shapes = {value: graph.nodes[number].shape for number, value in values.items() if number}
    inner = {value: shape for value, shape in shapes.items() if value not in outputs}
    proto = helper.make_model(
        helper.make_graph(
            body.nodes,
            graph.program.network.name,
            [helper.make_tensor_value_info(pixels.INPUT, first, _input(graph.input, options))],
            [_info(name, graph.nodes[n].shape, options) for name, n in outputs.items()],
            body.constants,
            value_info=[_info(value, shape, options) for value, shape in inner.items()],
        ),
        opset_imports=[helper.make_opsetid("", options.opset)],
        producer_name="incgen",
        producer_version=VERSION,
    )
    proto.ir_version = helper.find_min_ir_version_for(proto.opset_import)
    named = {graph.nodes[number].path: value for number, value in values.items()}
    return Model(proto, tuple(body.weights), named)


def _emitted(graph: Graph, body: Body, outputs: Mapping[str, int]) -> dict[int, str]:
    """Add the nodes of all layers that the outputs need; return their values by number."""
    kept = needed(graph.nodes, outputs.values())
    named = {number: name for name, number in outputs.items()}
    values: dict[int, str] = {}
    for number, node in enumerate(graph.nodes):
        if not node.inputs:
            values[number] = pixels.treated(graph, body) if body.options.preprocess else node.path
        elif number in kept:
            # an output may have the name of an inner layer
            inner = f"{node.path}/value" if node.path in outputs else node.path
            shapes = tuple(graph.nodes[n].shape for n in node.inputs)
            layer = Layer(node, named.get(number, inner), shapes, body)
            values[number] = ops.EMITTERS[node.op](layer, *(values[n] for n in node.inputs))
    for name, number in outputs.items():
        if values[number] != name:  # what passes a value through has no node of its own
            spans = places_of(graph.nodes[number])
            body.node("Identity", [values[number]], f"{name}/output", value=name, spans=spans)
            values[number] = name
    return values


def _input(shape: Shape, options: Options) -> Sizes:
    sizes = ("height", "width") if options.any_size else shape.sizes[1:]
    return (options.batch or "batch", shape.channels, *sizes)


def _info(name: str, shape: Shape, options: Options) -> ValueInfoProto:
    """Return the type and shape of a value."""
    sizes: Sizes = shape.sizes[1:]
    if options.any_size:
        sizes = (None,) * len(sizes)
    whole = (options.batch or "batch", shape.channels, *sizes)
    return helper.make_tensor_value_info(name, TYPES[options.dtype], whole)


def _check_any_size(graph: Graph) -> None:
    """Refuse a network in which a formula names the height or width."""
    program = graph.program
    for definition in (program.network, *program.definitions):
        for expression in written_in(definition.body):
            if named := {"height", "width"} & axes_in(expression):
                where = f"`{definition.name}` computes with the {sorted(named)[0]} of a map"
                span = expression.span or definition.span
                refuse(where, span, help="leave out --any-size")


def calls(graph: Graph) -> Calls:
    """Return the operators that each layer is written as, those of heads too.

    Raises:
        SpecError: ONNX cannot express something; code `unsupported`.
    """
    operators: dict[str, list[str]] = {}
    for node in model_of(graph, Options(heads=True)).proto.graph.node:
        operators.setdefault(node.name.partition("/")[0], []).append(node.op_type)
    return Calls({path: " + ".join(ops) for path, ops in operators.items()})
