"""The blocks of a quantised graph: their layers, what they take, and what leaves them.

Conversions are looked through: a value is named as in the float graph, whichever conversions stand
between its layer and those that take it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import onnx
from onnx import helper
from onnx.utils import Extractor

from incgen.onnx.pixels import INPUT
from incgen.quantization.choosing import has_weights, labels_of
from incgen.quantization.source import CONVERSIONS

#: What the library adds to the name of an output of the network in front of its conversions.
_OUTPUT = "_QuantizeLinear_Input"
#: What is added to the name of a value to name the numbers that its takers see.
SEEN = "/seen"


@dataclass(slots=True)
class Block:
    """The layers under a label."""

    label: str
    places: tuple[str, ...]  #: Where the spec has it, and where what is around it is used
    nodes: list[onnx.NodeProto] = field(default_factory=list, repr=False)
    takes: list[str] = field(default_factory=list)  #: The values of others that it takes
    gives: list[str] = field(default_factory=list)  #: The values that leave it
    layers: int = 0  #: Its layers with weights
    int8: int = 0  #: Those of them that are computed in int8


class Quantized:
    """A quantised graph whose values can be seen by the names that they have in float."""

    def __init__(self, proto: onnx.ModelProto) -> None:
        """Add an output for what the takers of each value see."""
        self.proto = onnx.ModelProto()
        self.proto.CopyFrom(proto)
        graph = self.proto.graph
        self.makers = {value: node for node in graph.node for value in node.output}
        self.outputs = [output.name for output in graph.output]
        self.seen: dict[str, str] = {}  #: The value to look at, by the name in float
        quantizers = [node for node in graph.node if node.op_type == CONVERSIONS[0]]
        for node in quantizers:
            value = node.input[0]
            name = f"{value}{SEEN}"
            back = helper.make_node(CONVERSIONS[1], [node.output[0], *node.input[1:]], [name], name)
            back.domain = node.domain
            graph.node.append(back)
            self.makers[name] = back
            self.seen.setdefault(plain(value), name)
        for value in self.makers:
            if self.makers[value].op_type not in CONVERSIONS:
                self.seen.setdefault(plain(value), value)
        self.extractor = Extractor(self.proto)

    def origin(self, value: str) -> str | None:
        """Return the value that a taker gets, behind all conversions; None for a constant."""
        node = self.makers.get(value)
        while node is not None and node.op_type in CONVERSIONS:
            value = node.input[0]
            node = self.makers.get(value)
        known = node is not None or value == self.proto.graph.input[0].name
        return value if known else None

    def layers(self) -> Iterator[onnx.NodeProto]:
        """Yield the nodes that are not conversions."""
        return (node for node in self.proto.graph.node if node.op_type not in CONVERSIONS)

    def blocks(self, depth: int, places: Mapping[str, Sequence[str]]) -> list[Block]:
        """Return the blocks at so many levels of labels, in the order of the network.

        Args:
            depth: The most parts of a label.
            places: Where the spec has each node, from the inside out, by the node's name.
        """
        blocks: dict[str, Block] = {}
        block_of: dict[str, str] = {}
        for node in self.layers():
            label = label_of(node, depth)
            if not label:  # the treatment of pixels
                continue
            block = blocks.setdefault(
                label, Block(label, places_of(label, places.get(node.name, ())))
            )
            block.nodes.append(node)
            block_of |= dict.fromkeys(node.output, label)
            if has_weights(node):
                block.layers += 1
                block.int8 += node.input[1] in self.makers  # else they are constants in float
        given = {self.origin(value) for value in self.outputs}
        for block in blocks.values():
            for node in block.nodes:
                taken = {value: self.origin(value) for value in node.input}
                for value in filter(None, taken.values()):
                    if block_of.get(value) != block.label:
                        block.takes.append(value)
                        given.add(value)
        for block in blocks.values():
            block.takes = list(dict.fromkeys(block.takes))
            block.gives = [v for node in block.nodes for v in node.output if v in given]
        return [block for block in blocks.values() if block.gives]

    def part(self, block: Block) -> onnx.ModelProto:
        """Return the model of a block alone, which takes the values in front of it in float."""
        wanted = [self.seen[plain(value)] for value in block.gives]
        for value in (*block.takes, *wanted):
            self.extractor.value_infos.setdefault(value, _float(value))
        return self.extractor.extract_model(block.takes, wanted)

    def whole(self, values: list[str]) -> onnx.ModelProto:
        """Return the model with values as more outputs."""
        return with_outputs(self.proto, [self.seen[plain(value)] for value in values])


def with_outputs(proto: onnx.ModelProto, values: Sequence[str]) -> onnx.ModelProto:
    """Return a model with values as more outputs."""
    model = onnx.ModelProto()
    model.CopyFrom(proto)
    known = {output.name for output in model.graph.output}
    more = dict.fromkeys(value for value in values if value not in known)
    model.graph.output.extend(map(_float, more))
    return model


def plain(value: str) -> str:
    """Return the name that a value has in the float graph."""
    return value.removesuffix(_OUTPUT)


def label_of(node: onnx.NodeProto, depth: int) -> str:
    """Return the label of a node's layer, of at most so many parts."""
    key = next(labels_of(node))
    return "" if key == INPUT else ".".join(key.split(".")[:depth])


def places_of(label: str, places: Sequence[str]) -> tuple[str, ...]:
    """Return where the spec has a label, of the places of a node in it from the inside out.

    The numbers of a chain or repeat are not lines of their own.
    """
    named = sum(not part.isdecimal() for part in label.split("."))
    return tuple(places[-max(named, 1) :])


def _float(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
