"""The contents of a drawing before anything is placed: rows of boxes, forks and cards.

A value is a number: the index of its node where a graph is drawn, otherwise just a number. An item
says which value it takes, because that is not always the one in front of it (`from`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from incgen.graph.receptive import Field
from incgen.graph.shapes import Shape


@dataclass(frozen=True, slots=True)
class Facts:
    """The known facts about a part of a network."""

    shape: Shape  #: Of its output
    parameters: int  #: Trained ones
    multiply_adds: int
    field: Field  #: The receptive field of its output
    place: str  #: The line of the spec: `googlenet.inc:48`
    said: str  #: That line's statement, as written


@dataclass(frozen=True, slots=True)
class Step:
    """One item of a row."""

    key: str  #: The key of the part; in a definition, relative to it
    source: int  #: The value it takes
    value: int  #: The value it gives


@dataclass(frozen=True, slots=True)
class Box(Step):
    """A layer, or a unit or block that is folded."""

    title: str  #: Its label; "" if that says nothing
    text: str  #: What it is
    kind: str  #: One of `colours.KINDS`
    facts: Facts | None = None  #: None in a definition
    count: str = ""  #: How often it is repeated: a number or an expression; "" if it is not
    folds: str = ""  #: The name of the block whose inside is not shown; "" if it is not a block


@dataclass(frozen=True, slots=True)
class Fork(Step):
    """A join with its branches."""

    join: Box
    branches: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Card(Step):
    """An open unit, block, repeat or condition."""

    title: str
    text: str
    kind: str
    row: Row
    facts: Facts | None = None
    count: str = ""


@dataclass(frozen=True, slots=True)
class Side(Step):
    """An auxiliary head, drawn beside the row; the value goes on as it was."""

    title: str
    row: Row


#: What stands in the circle of a join that has one; a concat is a bar.
SIGNS = {"add": "+", "mul": "×"}
Item: TypeAlias = Box | Fork | Card | Side


@dataclass(frozen=True, slots=True)
class Row:
    """Items from the value it takes to the value it gives."""

    caption: str  #: The label of a branch
    items: tuple[Item, ...]
    source: int
    value: int


@dataclass(frozen=True, slots=True)
class Diagram:
    """A row, and what its edges say."""

    row: Row
    edges: dict[int, str]  #: The text of the edges of a value: its shape, or an expression


def counted(part: Box | Card) -> str:
    """Return what a part is, with how often it is repeated if it is."""
    return f"{part.count} × {part.text}" if part.count else part.text


def inner_rows(item: Item) -> tuple[Row, ...]:
    """Return the rows inside an item."""
    match item:
        case Box():
            return ()
        case Fork():
            return item.branches
        case Card() | Side():
            return (item.row,)


def boxes(row: Row) -> Iterator[Box]:
    """Yield every box of a row, with those of joins behind their branches."""
    for item in row.items:
        if isinstance(item, Box):
            yield item
        for inner in inner_rows(item):
            yield from boxes(inner)
        if isinstance(item, Fork):
            yield item.join


def links(row: Row) -> Iterator[tuple[str, str, int]]:
    """Yield every edge as the keys of its two boxes, and the value between them.

    A card or fork is entered at its first boxes and left at its last, so that edges join boxes.
    """
    givers: dict[int, str] = {}
    yield from _links(row, givers)


def _links(row: Row, givers: dict[int, str]) -> Iterator[tuple[str, str, int]]:
    for item in row.items:
        match item:
            case Box():
                if item.source in givers:
                    yield givers[item.source], item.key, item.source
                givers[item.value] = item.key
            case Fork():
                for branch in item.branches:
                    yield from _links(branch, givers)
                for branch in item.branches:
                    if branch.value in givers:
                        yield givers[branch.value], item.join.key, branch.value
                givers[item.value] = item.join.key
            case Card() | Side():
                yield from _links(item.row, givers)
                if isinstance(item, Card) and item.row.value in givers:
                    givers[item.value] = givers[item.row.value]
