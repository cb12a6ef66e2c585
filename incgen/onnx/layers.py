"""A graph of ONNX while it is made: nodes, constants and weights, named by the layers they are of.

A node has the key of its layer as its name, and so has its value, unless that is an output, which
has the output's. Where a layer takes several nodes, those before the last are called `KEY/part`, as
are its constants; labels have no slash. A weight has its key in weights files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from incgen.base.source import Span
from incgen.graph.nodes import Node
from incgen.graph.shapes import Arguments, Shape
from incgen.onnx.options import Options
from incgen.weights.checkpoint import Array

#: The types of ONNX by their names.
TYPES = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE}


@dataclass(frozen=True, slots=True)
class Weight:
    """A tensor of the weights file that a graph uses."""

    key: str
    shape: tuple[int, ...]


@dataclass(slots=True)
class Body:
    """The parts of a graph, in the order in which they were made."""

    options: Options
    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)
    weights: list[Weight] = field(default_factory=list)

    def node(
        self,
        op: str,
        inputs: Sequence[str],
        name: str,
        *,
        value: str = "",
        spans: Sequence[Span],
        **attributes: Any,
    ) -> str:
        """Add a node with one value, which has its name if no other is given; return that.

        Its places in the spec become the node's documentation.
        """
        places = ", ".join(f"{s.source.name.rpartition('/')[2]}:{s.line}" for s in spans)
        value = value or name
        self.nodes.append(
            helper.make_node(op, inputs, [value], name=name, doc_string=places, **attributes)
        )
        return value

    def constant(self, name: str, values: Sequence[float], shape: Sequence[int] = ()) -> str:
        """Add numbers of the type of the graph, and return their name."""
        return self._packed(name, np.asarray(values, self.options.dtype).reshape(shape))

    def integers(self, name: str, values: Sequence[int]) -> str:
        """Add a vector of whole numbers, and return its name."""
        return self._packed(name, np.asarray(values, np.int64))

    def _packed(self, name: str, values: Array) -> str:
        self.constants.append(numpy_helper.from_array(values, name))
        return name


@dataclass(frozen=True, slots=True)
class Layer:
    """One node of the network, while its nodes in ONNX are made."""

    node: Node
    value: str  #: The name of its value: its key, or that of an output of the network
    shapes: tuple[Shape, ...]  #: The shapes of its inputs, at the size of the spec
    body: Body

    @property
    def args(self) -> Arguments:
        """Return the arguments of its op."""
        return self.node.args

    @property
    def options(self) -> Options:
        """Return what the file is made for."""
        return self.body.options

    def __call__(self, op: str, *inputs: str, part: str = "", **attributes: Any) -> str:
        """Add a node, which gives the layer's value or a part of it; return the value's name."""
        name = f"{self.node.path}/{part}" if part else self.node.path
        value = name if part else self.value
        return self.body.node(
            op, inputs, name, value=value, spans=places_of(self.node), **attributes
        )

    def constant(self, part: str, values: Sequence[float], shape: Sequence[int] = ()) -> str:
        """Add numbers of the type of the graph, a scalar if there is no shape."""
        return self.body.constant(f"{self.node.path}/{part}", values, shape)

    def number(self, part: str, value: float) -> str:
        """Add a number of the type of the graph."""
        return self.constant(part, [value])

    def integers(self, part: str, values: Sequence[int]) -> str:
        """Add a vector of whole numbers."""
        return self.body.integers(f"{self.node.path}/{part}", values)

    def weight(self, name: str) -> str:
        """Use a tensor of the layer, and return its key."""
        tensor = next(t for t in self.node.tensors if t.name == name)
        key = f"{self.node.path}.{name}"
        self.body.weights.append(Weight(key, tensor.shape))
        return key

    def optional(self, name: str) -> tuple[str, ...]:
        """Use a tensor if the layer has it; return its key or nothing."""
        has = any(tensor.name == name for tensor in self.node.tensors)
        return (self.weight(name),) if has else ()

    def holds(self, value: float) -> bool:
        """Return whether an attribute, which is a float32, is good enough for a value.

        In float64 it must be the value itself.
        """
        return self.options.dtype == "float32" or float(np.float32(value)) == value


def places_of(node: Node) -> list[Span]:
    """Return where a layer is written, and where the units and blocks around it are used."""
    return [node.span, *(use.span for use in node.uses())]
