"""The memory that activations take, in training and in inference, for one example in float32.

In training, a value is kept if the derivative of the layer that made it, or of one that takes it,
is computed from it. Each value is kept once, however many layers need it, and is counted where it
was made. In inference, layers are evaluated in the order of the graph. Each writes its output
beside its inputs, and a value is dropped behind the last layer that takes it.

A flattened map is the same memory, and in inference so is what went through a dropout.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from incgen.graph.nodes import Graph, Node
from incgen.graph.shapes import chosen
from incgen.graph.unused import needed
from incgen.language.ops import OPS

#: Bytes of a number, and of an element of the mask of a dropout.
NUMBER, MASK = 4, 1
#: What derivatives of layers and joins are computed from: "input" or "output".
DERIVATIVES = {op.name: op.derivative for op in OPS.values()} | {"mul": "input"}
#: Ops whose output is their input, in the same memory: always, and in inference.
SAME = frozenset({"flatten"})
SAME_IN_INFERENCE = SAME | {"dropout"}


@dataclass(frozen=True, slots=True)
class Memory:
    """The activations of a network in bytes, by the number of the node."""

    kept: tuple[int, ...]  #: What training keeps of each layer for the backward pass
    #: What is live while inference evaluates each layer; None for layers of heads
    live: tuple[int | None, ...]

    @property
    def training(self) -> int:
        """Return what is kept for the backward pass; for a batch of n, n times as much."""
        return sum(self.kept)

    @property
    def inference(self) -> int:
        """Return the most that is live at once; for a batch of n, n times as much."""
        return max(size for size in self.live if size is not None)


def memory(graph: Graph) -> Memory:
    """Return what the activations of a network take."""
    return Memory(tuple(_kept(graph)), tuple(_live(graph)))


# ---------------------------------------------------------------- training


def _kept(graph: Graph) -> list[int]:
    nodes = graph.nodes
    stored, varying = _stored(nodes, SAME), _varying(nodes)
    values: set[int] = set()
    inside = [0] * len(nodes)  # what layers keep that is not a value of the graph
    for index, node in enumerate(nodes):
        op = chosen(node.op, node.args)
        by = DERIVATIVES.get(op)
        if by == "output" and varying[index]:
            values.add(stored[index])
        if by == "input":
            values.update(stored[factor] for factor in _factors(node, varying))
        if op == "separable_conv":
            inside[index] = NUMBER * _between(graph, node)
        if op == "dropout" and varying[index] and node.args["rate"]:
            inside[index] = MASK * node.shape.size
    for value in values:
        inside[value] += NUMBER * nodes[value].shape.size
    return inside


def _factors(node: Node, varying: Sequence[bool]) -> Iterator[int]:
    """Yield the inputs from which a derivative is computed that somebody needs.

    That of a weight takes the input, and so does that of the input itself; that of a factor takes
    the other factors.
    """
    if node.op != "mul":
        if node.parameters or any(varying[i] for i in node.inputs):
            yield from node.inputs
        return
    for place, index in enumerate(node.inputs):
        if any(varying[other] for other in node.inputs[:place] + node.inputs[place + 1 :]):
            yield index


def _varying(nodes: Sequence[Node]) -> list[bool]:
    """Return for each value whether a parameter in front of it is trained."""
    varying: list[bool] = []
    for node in nodes:
        varying.append(bool(node.parameters) or any(varying[index] for index in node.inputs))
    return varying


def _between(graph: Graph, node: Node) -> int:
    """Return the numbers between the two convolutions of a separable one."""
    before = graph.nodes[node.inputs[0]].shape.channels
    area = node.shape.size // node.shape.channels
    return before * node.args.count("multiplier") * area


# ---------------------------------------------------------------- inference


def _live(graph: Graph) -> list[int | None]:
    nodes, output = graph.nodes, next(iter(graph.outputs.values()))
    evaluated = needed(nodes, (output,))
    stored = _stored(nodes, SAME_IN_INFERENCE)
    last: dict[int, int] = {}  # the last layer that takes a value
    for index in sorted(evaluated):
        for source in nodes[index].inputs:
            last[stored[source]] = index
    last[stored[output]] = len(nodes)
    sizes: list[int | None] = [None] * len(nodes)
    live: dict[int, int] = {}
    for index in sorted(evaluated):
        node, before = nodes[index], sum(live.values())
        live[stored[index]] = nodes[stored[index]].shape.size
        most = sum(live.values())
        if node.op == "separable_conv":  # two layers, the second of which takes the first's output
            between = _between(graph, node)
            taken = stored[node.inputs[0]]
            rest = most - (live[taken] if last[taken] == index else 0)
            most = max(before + between, rest + between)
        sizes[index] = NUMBER * most
        live = {value: size for value, size in live.items() if last[value] > index}
    return sizes


def _stored(nodes: Sequence[Node], same: frozenset[str]) -> list[int]:
    """Return for each value the one whose memory it is."""
    stored: list[int] = []
    for index, node in enumerate(nodes):
        stored.append(stored[node.inputs[0]] if node.op in same else index)
    return stored
