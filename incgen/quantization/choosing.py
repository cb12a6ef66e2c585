"""Choose the nodes to compute in int8: those that gain from it, except what is to stay in float.

Convolutions and dense layers are computed in int8, and what lies between them is too, so that
values stay in 8 bits: ReLU and its kin, max pooling, and joins. What is behind the last of these
layers stays in float, since logits are few and 8 bits cannot tell close ones apart. So do the
treatment of pixels, smooth activations, normalisations and softmax, whose values 8 bits do not hold
well; and average pooling, which in ONNX Runtime takes forty times as long in int8 as in float.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from fnmatch import fnmatchcase

import onnx

from incgen.base.diagnostics import clipped
from incgen.base.help import near
from incgen.quantization.errors import QuantizeError

#: The operators of layers with weights.
_WEIGHTED = ("Conv", "Gemm")
#: The operators that can be computed in int8.
OPERATORS = (
    *_WEIGHTED,
    *("Relu", "Clip", "LeakyRelu", "MaxPool", "GlobalAveragePool"),
    *("Concat", "Add", "Mul", "Flatten", "Unsqueeze", "Pad"),
)
#: Operators that stay in float behind the last layer.
_LAST = ("GlobalAveragePool", "GlobalMaxPool", "Flatten", "Identity", "Relu", "Clip")


def in_float(graph: onnx.GraphProto, keep: Sequence[str]) -> list[str]:
    """Return the names of the nodes that stay in float though their operator could be in int8.

    They are those of the labels to keep, in which `*` stands for anything, and others.

    Raises:
        QuantizeError: There is no such label, or nothing is left for int8.
    """
    constants = {constant.name for constant in graph.initializer}
    kept = {name for label in keep for name in _labelled(graph, label)}
    if not any(has_weights(node) and node.name not in kept for node in graph.node):
        what = "no convolution and no dense layer is left that could be in int8"
        raise QuantizeError(f"{what}: {'keep less' if keep else 'it would gain nothing'}")
    last = set(_behind_the_last(graph))
    return [
        node.name
        for node in graph.node
        if node.name in kept | last
        or (node.op_type in ("Add", "Mul") and not _joins(node, constants))
        or (node.op_type in _WEIGHTED and not has_weights(node))
    ]


def has_weights(node: onnx.NodeProto) -> bool:
    """Return whether a node is a convolution or dense layer; the sum of LRN is written as one."""
    return node.op_type in _WEIGHTED and not node.input[1].endswith("/band")


def labels_of(node: onnx.NodeProto) -> Iterator[str]:
    """Yield the keys of the layers that a node computes.

    A normalisation that is part of a convolution has given the value its key.
    """
    for name in dict.fromkeys((node.name, *node.output)):
        yield name.partition("/")[0]


def _labelled(graph: onnx.GraphProto, label: str) -> Collection[str]:
    """Return the names of the nodes of the layers under a label."""
    pattern, inside = label, f"{label}.*"
    names = {
        node.name
        for node in graph.node
        if any(fnmatchcase(key, p) for key in labels_of(node) for p in (pattern, inside))
    }
    if not names:
        keys = {key for node in graph.node for key in labels_of(node)}
        known = {".".join(key.split(".")[:n]) for key in keys for n in range(1, 9)}
        offer = near(label, known) or "`incgen show` prints the labels"
        raise QuantizeError(f"the network has no layer `{clipped(label)}`: {offer}")
    return names


def _behind_the_last(graph: onnx.GraphProto) -> Iterator[str]:
    """Yield the names of the nodes behind the last layers with weights of each output."""
    makers = {value: node for node in graph.node for value in node.output}
    for output in graph.output:
        node = makers.get(output.name)
        while node is not None and node.op_type in _LAST:
            yield node.name
            node = makers.get(node.input[0])


def _joins(node: onnx.NodeProto, constants: set[str]) -> bool:
    """Return whether a node joins branches: its inputs are other layers, spread over maps or not.

    Several nodes make a join of more than two branches.
    """
    key, _, own = node.name.partition("/")
    inside = [value.removeprefix(f"{key}/") for value in node.input if value.startswith(f"{key}/")]
    parts = [*([own] if own else []), *(part.removeprefix("vector") for part in inside)]
    return all(map(str.isdigit, parts)) and constants.isdisjoint(node.input)
