"""A resolved spec: what every name refers to, with nothing expanded.

Units and blocks keep their parameters here, which is what makes generated code readable. Every
element already has its `name`: the part that it adds to the keys of what it contains. None adds
nothing (an unlabelled join or body is transparent), and "" is the element at the prefix itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from incgen.base.source import Located, Span
from incgen.language.arithmetic import Value
from incgen.language.expressions import Expression, Parameter
from incgen.language.initializers import Initializer
from incgen.language.signatures import ByWindow, Op


@dataclass(frozen=True, slots=True)
class WindowValue:
    """A window whose parts are resolved; strides default to the literal 1."""

    kernel: tuple[Expression, Expression]
    stride: tuple[Expression, Expression]
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class SidesValue:
    """A padding of two or four numbers."""

    sides: tuple[Expression, ...]
    span: Span | None = field(default=None, compare=False, repr=False)


#: The value of an argument. None: it is not stated and has no default.
ArgumentValue: TypeAlias = Expression | WindowValue | SidesValue | Initializer | None


@dataclass(frozen=True, slots=True)
class Formal(Located):
    """A parameter of a block or network."""

    name: str
    default: Expression | None


@dataclass(frozen=True, slots=True)
class Source(Located):
    """A line that sets a convention for many ops: a `numerics`, by its preset, or a `default`."""

    preset: str | None


@dataclass(frozen=True, slots=True)
class OpCall(Located):
    """An op with every argument filled in."""

    op: Op  #: Its row of the table
    args: dict[str, ArgumentValue]  #: Every argument by name
    said: frozenset[str]  #: The names of those written at this place
    name: str  #: See the module
    labelled: bool  #: Whether a label gave the name
    forwards: bool  #: Whether it is the head of a unit, which takes the unit's arguments
    #: The lines above that say what it does not, by argument
    sources: Mapping[str, Source] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Instance(Located):
    """A unit or block that is used."""

    definition: Definition
    #: Arguments by parameter (block) or by argument of the unit's head op; for a unit only those
    #: that are said
    args: dict[str, ArgumentValue]
    name: str  #: See the module
    labelled: bool  #: Whether a label gave the name
    forwards: bool  #: Whether it is the head of another unit


@dataclass(frozen=True, slots=True)
class Chain(Located):
    """Consecutive elements; if the chain has a name, their own names are 0, 1, ..."""

    elements: tuple[Element, ...]
    name: str | None


@dataclass(frozen=True, slots=True)
class Join(Located):
    """`concat`, `add` or `mul`; each step of the body is a branch from the same value.

    `title` is a unique name for the join itself, for targets that must name it.
    """

    kind: str
    body: Body
    name: str | None
    title: str


@dataclass(frozen=True, slots=True)
class Group(Located):
    """A body in place of an op."""

    body: Body
    name: str | None


@dataclass(frozen=True, slots=True)
class Repeat(Located):
    """A repeated body; the names of iteration i begin with `name.i`."""

    count: Expression
    body: Body
    name: str


@dataclass(frozen=True, slots=True)
class Conditional(Located):
    """One of two bodies; without `otherwise` the value passes through."""

    condition: Expression
    then: Body
    otherwise: Body | None


Element: TypeAlias = OpCall | Instance | Chain | Join | Group | Repeat | Conditional


@dataclass(frozen=True, slots=True)
class Step(Located):
    """A statement: an element on the current value, or on an earlier one."""

    label: str | None  #: The label as written
    origin: str | None  #: The label of the value it starts from, if not the current one
    element: Element | None  #: The element to apply; None for a lone `from label`
    kept: bool  #: Whether a later `from` names this value
    doc: str = field(compare=False)  #: The doc comment above it


@dataclass(frozen=True, slots=True)
class Head(Located):
    """`aux label { ... }`."""

    label: str
    body: Body
    doc: str = field(compare=False)


@dataclass(frozen=True, slots=True)
class Body(Located):
    """Steps in order."""

    steps: tuple[Step | Head, ...]


@dataclass(frozen=True, slots=True)
class Pixels:
    """The input line: a size, and the pixels that the weights expect."""

    height: Expression
    width: Expression
    channels: Expression
    order: str | None = None  #: `rgb` or `bgr`; None if nothing was said
    #: The values that black and white have; None if nothing was said
    range: tuple[float, float] | None = None
    mean: tuple[float, ...] = ()  #: Subtracted, per channel in that order and range
    std: tuple[float, ...] = ()  #: Divided by, likewise
    span: Span | None = field(default=None, compare=False, repr=False)

    @property
    def described(self) -> bool:
        """Return whether a `preprocess` function has anything to do or state."""
        return bool(self.order or self.range or self.mean or self.std)


@dataclass(frozen=True, slots=True, eq=False)
class Definition:
    """A unit, block or network. Compared by identity: there is one object for each."""

    kind: str  #: "unit", "block" or "network"
    name: str  #: The name as written
    parameters: tuple[Formal, ...]  #: The parameters of a block or network
    body: Body  #: For a unit one step, a chain
    head: Op | None  #: For a unit, the op that takes the arguments of its uses
    pixels: Pixels | None  #: For a network, its input line
    doc: str
    span: Span = field(repr=False)  #: The whole definition
    #: For a unit, how the padding of its head follows the window of a use that says none
    pads: ByWindow | None = None
    #: Every element of the body, including nested ones, in order
    elements: tuple[Element, ...] = field(init=False, repr=False)
    weighted: bool = field(init=False, repr=False)  #: Whether it contains parameters
    #: For a unit, the arguments of its head op if a use sets nothing
    defaults: Mapping[str, ArgumentValue] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """List the elements, which many questions are about."""
        object.__setattr__(self, "elements", tuple(elements(self.body)))
        object.__setattr__(self, "weighted", any(map(is_weighted, self.elements)))
        object.__setattr__(self, "defaults", _unit_defaults(self) if self.head else {})

    def means(self, other: Definition) -> bool:
        """Return whether another definition says the same, comments apart.

        Definitions that both use must be the same objects if they are equal.
        """
        mine = (self.kind, self.name, self.parameters, self.head, self.pads)
        theirs = (other.kind, other.name, other.parameters, other.head, other.pads)
        return mine == theirs and self.body == other.body


@dataclass(frozen=True, slots=True)
class Program:
    """A network and everything that it reaches."""

    network: Definition
    #: The units and blocks it reaches, each after those it uses
    definitions: tuple[Definition, ...]
    doc: str  #: The doc comment at the head of its file
    header: str  #: The plain comment before it
    file: str  #: The name of its file, without folders
    #: The constants of the file that were given another value than it says
    settings: dict[str, Value]
    recipes: tuple[str, ...]  #: The names of the recipes in its file
    digest: str  #: A digest of the file and of those that it uses


def elements(body: Body) -> Iterator[Element]:
    """Yield every element of a body, including nested ones, in order."""
    for step in body.steps:
        if isinstance(step, Head):
            yield from elements(step.body)
        elif step.element is not None:
            yield from within(step.element)


def within(element: Element) -> Iterator[Element]:
    """Yield an element and every element inside it, in order."""
    yield element
    match element:
        case Chain():
            for child in element.elements:
                yield from within(child)
        case Join() | Group() | Repeat():
            yield from elements(element.body)
        case Conditional():
            yield from elements(element.then)
            if element.otherwise is not None:
                yield from elements(element.otherwise)
        case _:
            pass


def reached(network: Definition) -> tuple[Definition, ...]:
    """Return the units and blocks that a network uses, each after those it uses itself."""
    used: dict[int, Definition] = {}

    def visit(definition: Definition) -> None:
        for element in definition.elements:
            if isinstance(element, Instance) and id(element.definition) not in used:
                visit(element.definition)
                used[id(element.definition)] = element.definition

    visit(network)
    return tuple(used.values())


def uses(program: Program) -> Iterator[tuple[Definition, Instance]]:
    """Yield every use with the definition that contains it: users come before what they use."""
    for definition in (program.network, *reversed(program.definitions)):
        for element in definition.elements:
            if isinstance(element, Instance):
                yield definition, element


def head_of(unit: Definition) -> OpCall | Instance:
    """Return the first element of a unit, which takes the arguments of its uses."""
    step = unit.body.steps[0]
    assert isinstance(step, Step)
    first = step.element.elements[0] if isinstance(step.element, Chain) else step.element
    assert isinstance(first, (OpCall, Instance))
    return first


def given_by_unit(unit: Definition) -> frozenset[str]:
    """Return the arguments of its head op that a unit itself sets."""
    head = head_of(unit)
    if isinstance(head, OpCall):
        return head.said
    return frozenset(head.args) | given_by_unit(head.definition)


def _unit_defaults(unit: Definition) -> Mapping[str, ArgumentValue]:
    head = head_of(unit)
    return head.args if isinstance(head, OpCall) else {**head.definition.defaults, **head.args}


def is_weighted(element: Element) -> bool:
    """Return whether an op, or what is used, has parameters; what is in braces is not asked."""
    match element:
        case OpCall():
            return element.op.weighted
        case Instance():
            return element.definition.weighted
        case _:
            return False


def given_on(definition: Definition, parameter: str) -> Iterator[tuple[OpCall | Instance, str]]:
    """Yield what a definition passes a parameter to unchanged, and as which argument."""
    for element in definition.elements:
        if isinstance(element, OpCall | Instance):
            for name, value in element.args.items():
                if isinstance(value, Parameter) and value.name == parameter:
                    yield element, name
