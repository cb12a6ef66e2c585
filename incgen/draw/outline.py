"""A diagram as the nodes, groups and edges that text formats take, which lay it out themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from incgen.draw.diagram import Box, Card, Diagram, Fork, Row, Side, links
from incgen.draw.layout import lines_of, titles_of


@dataclass(frozen=True, slots=True)
class Group:
    """An open card or a head, with what is in it; the whole diagram has no title."""

    name: str  #: A name made for the format: `g1`
    title: str
    boxes: tuple[Box, ...]
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class Outline:
    """The contents of a diagram, without positions."""

    whole: Group
    names: dict[str, str]  #: A name for each box by its key: `n1`
    edges: tuple[tuple[str, str, str], ...]  #: The names of two boxes, and what the edge says


def outline(diagram: Diagram) -> Outline:
    """Return the outline of a diagram; names are numbered in the order of the boxes."""
    counters = {"n": 0, "g": -1}
    names: dict[str, str] = {}

    def new(letter: str) -> str:
        counters[letter] += 1
        return f"{letter}{counters[letter]}"

    def group(title: str, row: Row) -> Group:
        name = new("g")
        boxes, inner = list[Box](), list[Group]()
        for item in _flat(row):
            match item:
                case Box():
                    names[item.key] = new("n")
                    boxes.append(item)
                case Card():
                    inner.append(group("  ".join(titles_of(item)), item.row))
                case Side():
                    inner.append(group(item.title, item.row))
        return Group(name, title, tuple(boxes), tuple(inner))

    whole = group("", diagram.row)
    edges = tuple(
        (names[source], names[target], diagram.edges.get(value, ""))
        for source, target, value in links(diagram.row)
    )
    return Outline(whole, names, edges)


def _flat(row: Row) -> Iterator[Box | Card | Side]:
    """Yield the items of a row and of the branches in it, each join behind its branches."""
    for item in row.items:
        if isinstance(item, Fork):
            for branch in item.branches:
                yield from _flat(branch)
            yield item.join
        else:
            yield item


def text_of(box: Box) -> str:
    """Return the text of a box in lines."""
    return "\n".join(lines_of(box, ""))
