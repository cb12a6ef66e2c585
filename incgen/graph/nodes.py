"""The graph: every layer of a network, expanded, with its shape, key and cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from incgen.base.source import Span
from incgen.graph.shapes import Arguments, Shape, Tensor
from incgen.language.arithmetic import Value
from incgen.resolve.definitions import ArgumentValue, Definition, OpCall, Program


@dataclass(frozen=True, slots=True)
class Use:
    """The use of a unit or block that a layer comes from, and the use around that.

    Attributes:
        definition: The unit or block.
        path: The key.
        span: The place of the use.
        outer: The use around this one.
        given: The arguments as written there, including defaults of parameters.
        forwards: Whether it is the head of a unit, which takes the unit's arguments.
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
        path: The key: the labels from the network down, with dots.
        op: `conv`, ..., `input`, or the join `concat`, `add`, `mul`.
        args: The arguments of its op, as numbers.
        inputs: The indices of the nodes it takes.
        shape: The shape of the output, without the batch.
        tensors: The parameters and statistics.
        multiply_adds: The cost for one example of the spec's size.
        span: The place in the spec.
        use: The use of a unit or block that it is part of.
        call: The call in the spec; None for the input and for joins.
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
        """Count the numbers that are trained."""
        return sum(t.size for t in self.tensors if t.trained)


@dataclass(frozen=True, slots=True)
class Observed:
    """The values and shapes seen over all uses of a definition.

    Attributes:
        values: The values that each parameter takes; for a unit those of its head op.
        shapes: Pairs of input and output shape.
    """

    values: dict[str, list[object]]
    shapes: list[tuple[Shape, Shape]]


@dataclass(frozen=True, slots=True)
class Graph:
    """A network for one choice of its parameters.

    Attributes:
        program: The definitions it comes from.
        parameters: The network's parameters.
        nodes: The layers, in an order in which they can be computed; the first is the input.
        outputs: The node of each output by name, the network's own first, then its heads.
        observed: The arguments and shapes seen for each unit and block.
        steps: The shape after each statement of the network's body, by the statement's location.
    """

    program: Program
    parameters: dict[str, Value]
    nodes: tuple[Node, ...]
    outputs: dict[str, int]
    observed: dict[Definition, Observed]
    steps: dict[int, Shape]

    def digest(self) -> str:
        """Return a digest of the network's source: its files and settings."""
        import hashlib

        set_ = sorted(self.program.settings.items()), sorted(self.parameters.items())
        made_from = (self.program.digest, *set_)
        return hashlib.sha256(repr(made_from).encode("utf-8")).hexdigest()

    @property
    def input(self) -> Shape:
        """Return the shape of the input."""
        return self.nodes[0].shape

    @property
    def trained(self) -> int:
        """Count the parameters that are trained."""
        return sum(node.parameters for node in self.nodes)

    @property
    def multiply_adds(self) -> int:
        """Count the multiply-adds for one example, auxiliary heads included."""
        return sum(node.multiply_adds for node in self.nodes)

    def tensors(self) -> dict[str, Tensor]:
        """Return every parameter and statistic by its key, in order."""
        return {f"{n.path}.{t.name}": t for n in self.nodes for t in n.tensors}
