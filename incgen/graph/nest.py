"""The layers of a graph as the nest of chains and joins that the spec wrote.

`Graph.nodes` is flat. In `Graph.nest` every layer is in the unit, block, join, repeat or head that
it comes from. What only groups (chains, bodies in place of an op, conditions) leaves no trace but
in keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from incgen.base.source import Span
from incgen.language.arithmetic import Value
from incgen.resolve.definitions import Definition


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

    definition: Definition
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
