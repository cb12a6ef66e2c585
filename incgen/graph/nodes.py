"""The graph: every layer of a network, expanded, with its shape, its key and its cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from incgen.base.source import Span
from incgen.graph.shapes import Arguments, Shape, Tensor
from incgen.language.arithmetic import Value
from incgen.resolve.definitions import ArgumentValue, Definition, OpCall, Program


@dataclass(frozen=True, slots=True)
class Use:
    """The place of a unit or block that a layer comes from, and the place around that.

    Attributes:
        definition: the unit or block.
        path: its key.
        span: where it is used.
        outer: the use around this one.
        given: its arguments as they are written there, defaults of its parameters among them.
        forwards: whether it is the head of a unit, which takes the unit's arguments.
    """

    definition: Definition
    path: str
    span: Span = field(repr=False)
    outer: Use | None
    given: Mapping[str, ArgumentValue] = field(default_factory=dict, repr=False, compare=False)
    forwards: bool = field(default=False, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Node:
    """One layer.

    Attributes:
        path: its key: the labels from the network down, with dots.
        op: `conv`, ..., `input`, or the join `concat`, `add`, `mul`.
        args: the arguments of its op, as numbers.
        inputs: the indices of the nodes it takes.
        shape: of its output, without the batch.
        tensors: its parameters and statistics.
        multiply_adds: for one example of the spec's size.
        span: where it is written.
        use: what it is part of.
        call: its definition; None for the input and for joins.
    """

    path: str
    op: str
    args: Arguments
    inputs: tuple[int, ...]
    shape: Shape
    tensors: tuple[Tensor, ...]
    multiply_adds: int
    span: Span = field(repr=False)
    use: Use | None = field(repr=False)
    call: OpCall | None = field(default=None, repr=False, compare=False)

    @property
    def parameters(self) -> int:
        """How many numbers are trained."""
        return sum(t.size for t in self.tensors if t.trained)


@dataclass(frozen=True, slots=True)
class Observed:
    """What the uses of one definition have in common.

    Attributes:
        values: the values that each parameter takes; for a unit those of its head op.
        shapes: pairs of input and output shape.
    """

    values: dict[str, list[object]]
    shapes: list[tuple[Shape, Shape]]


@dataclass(frozen=True, slots=True)
class Graph:
    """A network for one choice of its parameters.

    Attributes:
        program: the definitions it comes from.
        parameters: the network's parameters.
        nodes: in an order in which they can be computed; the first is the input.
        outputs: the node of each output by name, the network's own first, then its heads.
        observed: what was seen of each unit and block.
        steps: the shape behind each statement of the network's body, by the statement's place.
    """

    program: Program
    parameters: dict[str, Value]
    nodes: tuple[Node, ...]
    outputs: dict[str, int]
    observed: dict[Definition, Observed]
    steps: dict[int, Shape]

    def digest(self) -> str:
        """A digest of all that the network was made from: its files, and what was set."""
        import hashlib

        set_ = sorted(self.program.settings.items()), sorted(self.parameters.items())
        made_from = (self.program.digest, *set_)
        return hashlib.sha256(repr(made_from).encode("utf-8")).hexdigest()

    @property
    def input(self) -> Shape:
        """The shape of the input."""
        return self.nodes[0].shape

    @property
    def trained(self) -> int:
        """How many parameters are trained."""
        return sum(node.parameters for node in self.nodes)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds for one example, auxiliary heads included."""
        return sum(node.multiply_adds for node in self.nodes)

    def tensors(self) -> dict[str, Tensor]:
        """Every parameter and statistic by its key, in order."""
        return {f"{n.path}.{t.name}": t for n in self.nodes for t in n.tensors}
