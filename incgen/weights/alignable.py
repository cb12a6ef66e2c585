"""The two sides of an alignment: our layers, and the layers of a checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from incgen.graph.nodes import Graph, Node
from incgen.weights.checkpoint import Stored
from incgen.weights.conventions import Convention, Slot

Shape: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """A layer of ours, or a part of one that theirs stores as a layer."""

    path: str  #: The left side of its row
    node: int  #: Its place in the graph
    normalises: bool  #: Whether it is a normalisation
    #: The shape of each tensor, and where a layer of theirs has it
    tensors: tuple[tuple[Shape, Slot], ...]


def layers(
    names: Iterable[str], tensors: Mapping[str, Stored], convention: Convention
) -> dict[str, dict[str, Stored]]:
    """Return their layers with the tensors of each, ordered by their first tensors."""
    by_layer: dict[str, dict[str, Stored]] = {}
    for name in names:
        layer, _, leaf = name.rpartition(convention.separator)
        by_layer.setdefault(layer, {})[leaf] = tensors[name]
    return by_layer


def leaf(name: str, convention: Convention) -> str:
    """Return the name of a tensor within its layer; empty if no layer here has such a tensor."""
    layer, _, leaf = name.rpartition(convention.separator)
    slots = (slot for kind in convention.slots.values() for slot in kind.values())
    return leaf if layer and any(leaf in slot.names for slot in slots) else ""


def lacks_gamma(
    graph: Graph, layers: Mapping[str, Mapping[str, Stored]], convention: Convention
) -> bool:
    """Return whether ours has a gamma in normalisations where no layer of theirs does."""
    slots = convention.slots["bn"]
    wanted = any(n.op == "bn" and n.tensors[0].name == "weight" for n in graph.nodes if n.tensors)
    statistics = set(slots["running_mean"].names)
    apart = convention.name == "caffe"  # whose layer `Scale` has it
    norms = [layer for layer in layers.values() if apart or statistics & set(layer)]
    return wanted and bool(norms) and not any(set(slots["weight"].names) & set(n) for n in norms)


def items(
    graph: Graph,
    layers: Mapping[str, Mapping[str, Stored]],
    convention: Convention,
    missing_gamma: bool,
) -> Iterator[Item]:
    """Yield our layers as theirs can store them."""
    both = any({"depthwise_kernel", "pointwise_kernel"} <= set(layer) for layer in layers.values())
    both |= any({"depthwise_weights", "pointwise_weights"} <= set(n) for n in layers.values())
    whole = any({"mean", "scale"} <= set(layer) for layer in layers.values())
    for place, node in enumerate(graph.nodes):
        shapes = {tensor.name: tensor.shape for tensor in node.tensors}
        if not shapes:
            continue
        slots = convention.slots[node.op]
        if node.op == "separable_conv" and not both:
            yield from _halves(place, node, shapes, convention)
        elif node.op == "bn" and convention.name == "caffe" and not whole:
            for part in (("running_mean", "running_var"), ("weight", "bias")):
                mine = tuple((shapes[name], slots[name]) for name in part if name in shapes)
                if mine:
                    yield Item(node.path, place, True, mine)
        else:
            if node.op == "bn" and missing_gamma:
                shapes.pop("weight", None)
            mine = tuple((shape, slots[name]) for name, shape in shapes.items())
            yield Item(node.path, place, node.op == "bn", mine)


def _halves(
    place: int, node: Node, shapes: Mapping[str, Shape], convention: Convention
) -> Iterator[Item]:
    """Yield a separable convolution as two layers."""
    for half, op in (("depthwise", "depthwise_conv"), ("pointwise", "conv")):
        tensors = tuple(
            (shape, convention.slots[op][name.removeprefix(f"{half}.")])
            for name, shape in shapes.items()
            if name.startswith(f"{half}.")
        )
        yield Item(f"{node.path}.{half}", place, False, tensors)
