"""The layers of a graph as the nest of chains and joins that the spec wrote.

`Graph.nodes` is flat. Here the definitions are walked once more, in the order in which elaboration
walked them, and every layer is put back into the unit, block, join, repeat or head that it comes
from. What only groups (chains, bodies in place of an op, conditions) leaves no trace but in keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from incgen.base.diagnostics import Reporter
from incgen.base.source import Span
from incgen.graph.evaluation import Evaluator
from incgen.graph.frames import Frame, join_key
from incgen.graph.nodes import Graph
from incgen.language.arithmetic import Value
from incgen.language.expressions import Expression
from incgen.resolve import definitions as df


@dataclass(frozen=True, slots=True)
class Item:
    """One step of a body, which takes one value and gives one; values are indices of nodes."""

    path: str  #: The key
    named: bool  #: Whether the last part of the key is a label of the spec
    source: int  #: The value it takes
    value: int  #: The value it gives
    span: Span  #: The place in the spec


@dataclass(frozen=True, slots=True)
class Layer(Item):
    """An op; its node is `value`."""


@dataclass(frozen=True, slots=True)
class Used(Item):
    """A use of a unit or block."""

    definition: df.Definition
    given: Mapping[str, Value]  #: The values of a block's parameters
    body: Body


@dataclass(frozen=True, slots=True)
class Joined(Item):
    """A `concat`, `add` or `mul`; its node is `value`."""

    kind: str
    branches: tuple[Body, ...]


@dataclass(frozen=True, slots=True)
class Repeated(Item):
    """A repeat, with the body of each iteration."""

    bodies: tuple[Body, ...]


@dataclass(frozen=True, slots=True)
class Aside(Item):
    """An auxiliary head: the value goes on as it was."""

    body: Body


Piece: TypeAlias = Layer | Used | Joined | Repeated | Aside


@dataclass(frozen=True, slots=True)
class Body:
    """Steps in order; most take the value of the one before."""

    label: str | None  #: The label of a branch or head
    items: tuple[Piece, ...]
    source: int  #: The value that the body is applied to
    value: int  #: The value it gives


def nest(graph: Graph) -> Body:
    """Return the body of the network, with every layer of the graph in its place."""
    walk = _Walk(graph)
    network = graph.program.network
    frame = Frame(graph.parameters, "", None, network=True)
    assert network.pixels is not None and network.pixels.span is not None
    first = Layer("input", False, 0, 0, network.pixels.span)
    body = walk.body(network.body, 0, frame)
    assert walk.at == len(graph.nodes)
    return Body(None, (first, *body.items), 0, body.value)


def parts(body: Body) -> Iterator[Piece]:
    """Yield everything inside a body, outer things first."""
    for item in body.items:
        yield item
        for inner in bodies(item):
            yield from parts(inner)


def bodies(item: Piece) -> tuple[Body, ...]:
    """Return the bodies inside an item."""
    match item:
        case Layer():
            return ()
        case Used(body=body) | Aside(body=body):
            return (body,)
        case Joined(branches=inner) | Repeated(bodies=inner):
            return inner
        case _:
            assert_never(item)


class _Walk:
    """Walks the definitions; `at` is the next node, since both follow the same order."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.values = Evaluator(Reporter())
        self.at = 1  # behind the input

    def node(self) -> int:
        """Return the next node."""
        self.at += 1
        return self.at - 1

    def evaluate(self, expression: Expression, value: int, frame: Frame) -> Value:
        """Evaluate an expression that takes the sizes of a value; elaboration could, so it can."""
        return self.values.evaluate(expression, frame, self.graph.nodes[value].shape, None)

    def body(self, body: df.Body, source: int, frame: Frame, label: str | None = None) -> Body:
        items: list[Piece] = []
        value = self.steps(body, source, frame, items)
        return Body(label, tuple(items), source, value)

    def steps(self, body: df.Body, value: int, frame: Frame, items: list[Piece]) -> int:
        """Apply the steps of a body, append what they contain, and return the last value."""
        for step in body.steps:
            if isinstance(step, df.Head):
                head = self.body(step.body, value, frame.inside(None), step.label)
                items.append(Aside(step.label, True, value, value, step.span, head))
                continue
            value = self.step(step, value, frame, items)
        return value

    def step(self, step: df.Step, value: int, frame: Frame, items: list[Piece]) -> int:
        if step.origin is not None:
            origin = frame.labelled(step.origin)
            assert origin is not None
            value = origin
        if step.element is not None:
            value = self.element(step.element, value, frame, items)
        if step.label is not None and step.kept:
            frame.values[step.label] = value
        return value

    def element(self, element: df.Element, value: int, frame: Frame, items: list[Piece]) -> int:
        """Apply one element, append what it contains, and return its value."""
        match element:
            case df.OpCall():
                if element.op.name == "identity":
                    return value
                node = self.node()
                path = self.graph.nodes[node].path
                items.append(Layer(path, element.labelled, value, node, element.span))
                return node
            case df.Instance():
                items.append(self.instance(element, value, frame))
                return items[-1].value
            case df.Chain():
                inner = frame.inside(element.name)
                for child in element.elements:
                    value = self.element(child, value, inner, items)
                return value
            case df.Join():
                items.append(self.join(element, value, frame))
                return items[-1].value
            case df.Group():
                return self.steps(element.body, value, frame.inside(element.name), items)
            case df.Repeat():
                return self.repeat(element, value, frame, items)
            case df.Conditional():
                holds = self.evaluate(element.condition, value, frame)
                body = element.then if holds else element.otherwise
                return value if body is None else self.steps(body, value, frame.inside(None), items)
            case _:
                assert_never(element)

    def instance(self, element: df.Instance, value: int, frame: Frame) -> Used:
        definition = element.definition
        path = join_key(frame.prefix, element.name)
        given: dict[str, Value] = {}
        for formal in definition.parameters:
            written = element.args.get(formal.name, formal.default)
            assert isinstance(written, Expression)
            given[formal.name] = self.evaluate(written, value, frame)
        body = self.body(definition.body, value, Frame(given, path, None))
        return Used(
            path, element.labelled, value, body.value, element.span, definition, given, body
        )

    def join(self, element: df.Join, value: int, frame: Frame) -> Joined:
        inner = frame.inside(element.name)
        branches = []
        for step in element.body.steps:
            assert isinstance(step, df.Step)
            items: list[Piece] = []
            result = self.step(step, value, inner, items)
            branches.append(Body(step.label, tuple(items), value, result))
        node = self.node()
        path = self.graph.nodes[node].path
        named = element.name is not None
        return Joined(path, named, value, node, element.span, element.kind, tuple(branches))

    def repeat(self, element: df.Repeat, value: int, frame: Frame, items: list[Piece]) -> int:
        count = self.evaluate(element.count, value, frame)
        assert isinstance(count, int)
        inner, iterations, source = frame.inside(element.name), list[Body](), value
        for index in range(count):
            iterations.append(self.body(element.body, value, inner.inside(str(index))))
            value = iterations[-1].value
        path = join_key(frame.prefix, element.name)
        if iterations:
            items.append(Repeated(path, True, source, value, element.span, tuple(iterations)))
        return value
