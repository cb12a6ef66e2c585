"""From the nest of a network to the diagram that a view asks for: what is folded, what is open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from incgen.draw.diagram import Box, Card, Diagram, Fork, Item, Row, Side
from incgen.draw.network import Network, branch_prefix, label
from incgen.draw.text import times
from incgen.draw.view import View, openings
from incgen.graph.nest import Aside, Body, Joined, Layer, Piece, Repeated, Used
from incgen.graph.nodes import Graph


def diagram(network: Network, view: View) -> Diagram:
    """Return the diagram of a network, folded as a view asks.

    Raises:
        DrawError: The view opens what is not there.
    """
    opened = openings(network.graph, network.body, view.opened)
    row = _Folding(network, view, opened).row(network.body, "", 1)
    return Diagram(row, shapes_of(network.graph))


def block_diagram(network: Network, used: Used) -> Diagram:
    """Return the inside of one use of a block, with what it uses folded."""
    row = _Folding(network, View(), frozenset()).row(used.body, used.path, 1)
    return Diagram(row, shapes_of(network.graph))


def shapes_of(graph: Graph) -> dict[int, str]:
    """Return what edges say: the shapes of all values."""
    return {index: times(node.shape) for index, node in enumerate(graph.nodes)}


class _Folding:
    """Makes the rows of one drawing."""

    def __init__(self, network: Network, view: View, opened: frozenset[str]) -> None:
        self.network, self.view, self.opened = network, view, opened
        self.nodes = network.graph.nodes

    def row(self, body: Body, prefix: str, level: int, caption: str = "") -> Row:
        """Return the row of a body whose labels are relative to a prefix of keys."""
        items = [made for item in body.items for made in self.items(item, prefix, level)]
        return Row(caption, tuple(items), body.source, body.value)

    def items(self, item: Piece, prefix: str, level: int) -> Sequence[Item]:
        match item:
            case Layer():
                return [self.layer(item, prefix)]
            case Used():
                return [self.used(item, prefix, level)]
            case Joined():
                return [self.fork(item, prefix, level)]
            case Repeated():
                return self.repeated(item, prefix, level)
            case Aside():
                row = self.row(item.body, item.path, level)
                return [Side(item.path, item.source, item.value, item.path, row)]

    def layer(self, item: Layer, prefix: str) -> Box:
        node = self.nodes[item.value]
        title, text, kind = self.network.texts(item, prefix)
        facts = self.network.facts(item)
        return Box(node.path, item.source, item.value, title, text, kind, facts)

    def used(self, item: Used, prefix: str, level: int, *, opened: bool = False) -> Box | Card:
        definition, unit = item.definition, item.definition.kind == "unit"
        title, text, kind = self.network.texts(item, prefix)
        facts = self.network.facts(item)
        opened = opened or item.path in self.opened or (not unit and level < self.view.depth)
        if not opened:
            ends = (item.path, item.source, item.value)
            return Box(*ends, title, text, kind, facts, folds="" if unit else definition.name)
        row = self.row(item.body, item.path, level + 1)
        return Card(item.path, item.source, item.value, title, text, kind, row, facts)

    def fork(self, item: Joined, prefix: str, level: int) -> Fork:
        branches = [
            self.row(branch, branch_prefix(item, branch, prefix), level, branch.label or "")
            for branch in item.branches
        ]
        title, text, kind = self.network.texts(item, prefix)
        ends = (item.path, item.source, item.value)
        join = Box(*ends, title, text, kind, self.network.facts(item))
        return Fork(*ends, join, tuple(branches))

    def repeated(self, item: Repeated, prefix: str, level: int) -> Sequence[Item]:
        """Return each run of iterations that are alike as one, with their number."""
        items: list[Item] = []
        same = self.network.runs(item)
        for run in same:
            items += self.run(item, run, prefix, level, whole=len(same) == 1)
        return items

    def run(
        self, item: Repeated, run: list[Body], prefix: str, level: int, *, whole: bool
    ) -> Sequence[Item]:
        """Return iterations that are alike: a single one as it is, several as the first of them."""
        first, last = run[0], run[-1]
        if len(run) == 1:
            return [made for inner in first.items for made in self.items(inner, prefix, level)]
        count, facts = str(len(run)), self.network.facts(item, run)
        inside = f"{item.path}.{item.bodies.index(first)}"
        ends = (item.path if whole else inside, first.source)
        title = label(item, prefix)
        lone = first.items[0] if len(first.items) == 1 else None
        if isinstance(lone, Used | Layer):
            made: Box | Card
            if isinstance(lone, Layer):
                made = self.layer(lone, prefix)
            else:
                made = self.used(lone, prefix, level, opened=item.path in self.opened)
            title = "" if title == made.text else title
            made = replace(made, key=ends[0], value=last.value, title=title)
            return [replace(made, facts=facts, count=count)]
        row = self.row(first, inside, level)
        return [Card(*ends, last.value, title, "", "block", row, facts, count)]
