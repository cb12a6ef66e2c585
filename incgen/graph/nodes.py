"""The graph: every layer of a network, expanded, with its shape, key and cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from incgen.base.source import Span
from incgen.graph.nest import Body
from incgen.graph.shapes import Arguments, Shape, Tensor
from incgen.language.arithmetic import Value
from incgen.resolve.definitions import ArgumentValue, Definition, Instance, OpCall, Program

if TYPE_CHECKING:
    from incgen.graph.changes import Change


@dataclass(frozen=True, slots=True)
class Use:
    """The use of a unit or block that a layer comes from, and the use around that."""

    definition: Definition
    path: str  #: The key
    span: Span = field(repr=False)  #: The place of the use
    outer: Use | None  #: The use around this one
    #: The arguments as written there, including defaults of parameters
    given: Mapping[str, ArgumentValue] = field(default_factory=dict, repr=False, compare=False)
    #: Whether it is the head of a unit, which takes the unit's arguments
    forwards: bool = field(default=False, repr=False, compare=False)
    #: The element of the definition around it; the iterations of a repeat share one
    instance: Instance | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Node:
    """One layer."""

    path: str  #: The key: the labels from the network down, with dots
    op: str  #: `conv`, ..., `input`, or the join `concat`, `add`, `mul`
    args: Arguments  #: The arguments of its op, as numbers
    inputs: tuple[int, ...]  #: The indices of the nodes it takes
    shape: Shape  #: The shape of the output, without the batch
    tensors: tuple[Tensor, ...]
    multiply_adds: int  #: The cost for one example of the spec's size
    span: Span = field(repr=False)  #: The place in the spec
    use: Use | None = field(repr=False)  #: The use of a unit or block that it is part of
    #: The call in the spec; None for the input and for joins
    call: OpCall | None = field(default=None, repr=False, compare=False)

    @property
    def parameters(self) -> int:
        """Count the numbers that are trained."""
        return sum(t.size for t in self.tensors if t.trained)

    def uses(self) -> Iterator[Use]:
        """Yield the uses that it is part of, the innermost first."""
        use = self.use
        while use is not None:
            yield use
            use = use.outer


@dataclass(frozen=True, slots=True)
class Costs:
    """The cost of a network, for one example of the spec's size."""

    layers: int  #: Its layers, without the input
    parameters: int  #: The parameters that are trained
    multiply_adds: int
    bytes_moved: int  #: What its layers read and write, each by itself, as float32


@dataclass(frozen=True, slots=True)
class Observed:
    """The values and shapes seen over all uses of a definition."""

    #: The values that each parameter takes; for a unit those of its head op
    values: dict[str, list[object]]
    shapes: list[tuple[Shape, Shape]]  #: Pairs of input and output shape


@dataclass(frozen=True, slots=True)
class Graph:
    """A network for one choice of its parameters."""

    program: Program  #: The definitions it comes from
    parameters: dict[str, Value]  #: The network's parameters
    #: The layers, in an order in which they can be computed; the first is the input
    nodes: tuple[Node, ...]
    #: The node of each output by name, the network's own first, then its heads
    outputs: dict[str, int]
    observed: dict[Definition, Observed]  #: The arguments and shapes seen for each unit and block
    #: The shape after each statement of the network's body, by the statement's location
    steps: dict[int, Shape]
    #: The location of each element that was applied, and the indices of the nodes before and after
    passed: Sequence[tuple[Span, int, int]] = field(repr=False)
    nest: Body = field(repr=False, compare=False)  #: The layers as the spec nests them
    #: How it was made from its training form, if it is a deployed one
    deployment: Deployment | None = None

    def digest(self) -> str:
        """Return a digest of the network's source: its files and settings."""
        import hashlib

        set_ = sorted(self.program.settings.items()), sorted(self.parameters.items())
        made_from: tuple[object, ...] = (self.program.digest, *set_)
        if self.deployment is not None:
            made_from = (self.deployment.training.digest(), self.deployment.passes)
        return hashlib.sha256(repr(made_from).encode("utf-8")).hexdigest()

    @property
    def input(self) -> Shape:
        """Return the shape of the input."""
        return self.nodes[0].shape

    @property
    def arguments(self) -> dict[str, Value]:
        """Return the values of the parameters; a deployed network has those of its training form.

        Its own are numbers of its definitions.
        """
        return self.parameters if self.deployment is None else self.deployment.training.parameters

    @property
    def trained(self) -> int:
        """Count the parameters that are trained."""
        return sum(node.parameters for node in self.nodes)

    @property
    def multiply_adds(self) -> int:
        """Count the multiply-adds for one example, auxiliary heads included."""
        return sum(node.multiply_adds for node in self.nodes)

    def costs(self) -> Costs:
        """Return what the network costs."""
        moved = sum(
            node.shape.size
            + sum(self.nodes[index].shape.size for index in node.inputs)
            + sum(tensor.size for tensor in node.tensors)
            for node in self.nodes[1:]
        )
        return Costs(len(self.nodes) - 1, self.trained, self.multiply_adds, 4 * moved)

    def tensors(self) -> dict[str, Tensor]:
        """Return every parameter and statistic by its key, in order."""
        return {f"{n.path}.{t.name}": t for n in self.nodes for t in n.tensors}

    def mark(self) -> str:
        """Return the name of an empty tensor that tells folded weights from the training form's.

        It is "" where the keys tell them apart, or no weight is changed. A factor leaves no trace
        in keys; a tensor that the training form does not have makes it refuse the file, also where
        its metadata is not read.
        """
        made = self.deployment
        if made is None or made.label == NOTHING:
            return ""
        same = self.tensors().keys() == made.training.tensors().keys()
        return f"deployed by {made.label}" if same else ""


@dataclass(frozen=True, slots=True)
class Done:
    """The effect of one pass: its place, and the cost of the network behind it."""

    name: str  #: The name of the pass
    places: int  #: In how many places it applied
    changes: int  #: How many changes of weights it needs
    costs: Costs


@dataclass(frozen=True, slots=True)
class Left:
    """A layer that a pass is for, and had to leave."""

    path: str  #: The layer
    by: str  #: The name of the pass
    reason: str  #: What stands against it


#: What weights files state in place of passes if none changed weights.
NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Deployment:
    """The derivation of a network for inference from its training form."""

    training: Graph  #: The network that its spec describes
    passes: tuple[Done, ...]  #: The passes that were run, in order
    changes: tuple[Change, ...]  #: What happens to the weights of the training form, in order
    left: tuple[Left, ...]

    @property
    def label(self) -> str:
        """Return the names of the passes that change weights, as weights files state them."""
        return " ".join(done.name for done in self.passes if done.changes) or NOTHING
