"""From the nest of a network to the diagram that a view asks for: what is folded, what is open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property

from incgen.draw.colours import kind_of
from incgen.draw.diagram import Box, Card, Diagram, Facts, Fork, Item, Row, Side
from incgen.draw.text import times
from incgen.draw.view import View, openings
from incgen.graph.frames import join_key
from incgen.graph.nest import Aside, Body, Joined, Layer, Piece, Repeated, Used, bodies, nest, parts
from incgen.graph.nodes import Graph, Node
from incgen.graph.receptive import Field, receptive_fields
from incgen.graph.show import described
from incgen.language.ops import OPS


class Network:
    """A graph with its nest, and what is known of each of its parts."""

    def __init__(self, graph: Graph) -> None:
        """Walk the graph."""
        self.graph = graph
        self.body = nest(graph)

    @cached_property
    def fields(self) -> list[Field]:
        """Return the receptive field of every node."""
        return receptive_fields(self.graph)

    def facts(self, part: Piece, bodies_: Sequence[Body] = (), value: int | None = None) -> Facts:
        """Return what is known of a part, or only of some bodies inside it; and of its output."""
        value = part.value if value is None else value
        inside = [node for body in bodies_ for node in _inside(body)] if bodies_ else _nodes(part)
        nodes = [self.graph.nodes[index] for index in inside]
        return Facts(
            shape=self.graph.nodes[value].shape,
            parameters=sum(node.parameters for node in nodes),
            multiply_adds=sum(node.multiply_adds for node in nodes),
            field=self.fields[value],
            place=f"{_file(part.span.source.name)}:{part.span.line}",
            said=" ".join(part.span.text.partition("{")[0].split()),
        )


def _file(name: str) -> str:
    """Return the name of a file without folders, and without `incgen:` for a shipped one."""
    return name.rpartition("/")[2].rpartition(":")[2]


def _nodes(part: Piece) -> Iterable[int]:
    """Yield the nodes of a part."""
    if isinstance(part, Layer | Joined):
        yield part.value
    for body in bodies(part):
        yield from _inside(body)


def _inside(body: Body) -> Iterable[int]:
    return (part.value for part in parts(body) if isinstance(part, Layer | Joined))


def diagram(network: Network, view: View) -> Diagram:
    """Return the diagram of a network, folded as a view asks.

    Raises:
        DrawError: The view opens what is not there.
    """
    opened = openings(network.graph, network.body, view.opened)
    row = _Folding(network, view, opened).row(network.body, "", 1)
    return Diagram(row, shapes_of(network.graph))


def block_diagram(network: Network, used: Used, opened: frozenset[str] = frozenset()) -> Diagram:
    """Return the inside of one use of a block, with what it uses folded."""
    row = _Folding(network, View(), opened).row(used.body, used.path, 1)
    return Diagram(row, shapes_of(network.graph))


def shapes_of(graph: Graph) -> dict[int, str]:
    """Return what edges say: the shapes of all values."""
    return {index: times(node.shape) for index, node in enumerate(graph.nodes)}


def alike(first: Body, second: Body, graph: Graph) -> bool:
    """Return whether two bodies say the same: the same layers, joined in the same way.

    Shapes may differ, and numbers of channels that follow from the input.
    """
    return _form(first, graph) == _form(second, graph)


def runs(iterations: Sequence[Body], graph: Graph) -> list[list[Body]]:
    """Return the iterations of a repeat in runs of those that are alike."""
    found: list[list[Body]] = []
    for body in iterations:
        if found and alike(found[-1][0], body, graph):
            found[-1].append(body)
        else:
            found.append([body])
    return found


def _form(body: Body, graph: Graph) -> object:
    """Return what two bodies that can be drawn as one have in common."""
    known = {body.source: 0}

    def value(index: int) -> int:
        return known.setdefault(index, len(known))

    def form(inner: Body) -> object:
        return tuple((*one(item), value(item.source)) for item in inner.items), value(inner.value)

    def one(item: Piece) -> tuple[object, ...]:
        match item:
            case Layer():
                node = graph.nodes[item.value]
                return described(node), node.args.get("channels"), value(item.value)
            case Used():
                return item.definition.name, tuple(item.given.items()), form(item.body)
            case Joined():
                return item.kind, tuple(map(form, item.branches)), value(item.value)
            case Repeated():
                return "repeat", tuple(map(form, item.bodies))
            case Aside():
                return "aux", form(item.body)

    return form(body)


def brief(node: Node) -> str:
    """Describe a layer by what a figure says of it: its op and window, not how it is padded."""
    words = described(node).split(" ")
    return times(" ".join(word for word in words if word != "ceil" and word[:4] != "pad="))


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
        text = brief(node) if node.op in OPS else node.op
        title = self.title(item, prefix)
        facts = self.network.facts(item)
        return Box(node.path, item.source, item.value, title, text, kind_of(node.op), facts)

    def title(self, item: Piece, prefix: str) -> str:
        """Return the label of a part: its key without what stands around it."""
        name = item.path.removeprefix(f"{prefix}.") if prefix else item.path
        number = name.isdecimal() or item.path == prefix
        return "" if number or not (item.named or "." in name) else name

    def used(self, item: Used, prefix: str, level: int, *, opened: bool = False) -> Box | Card:
        definition = item.definition
        unit = definition.kind == "unit"
        title, facts = self.title(item, prefix), self.network.facts(item)
        text = self.described(item) if unit else definition.name
        title = "" if title == text else title
        kind = kind_of(self.head(item).op) if unit else "block"
        opened = opened or item.path in self.opened or (not unit and level < self.view.depth)
        if not opened:
            ends = (item.path, item.source, item.value)
            return Box(*ends, title, text, kind, facts, folds="" if unit else definition.name)
        row = self.row(item.body, item.path, level + 1)
        return Card(item.path, item.source, item.value, title, text, kind, row, facts)

    def head(self, item: Used) -> Node:
        """Return the first node of a unit."""
        first = item.body.items[0]
        return self.head(first) if isinstance(first, Used) else self.nodes[first.value]

    def described(self, item: Used) -> str:
        """Describe a unit as `show` does: its name with the arguments of its head."""
        _, _, arguments = brief(self.head(item)).partition(" ")
        return f"{item.definition.name} {arguments}".rstrip()

    def fork(self, item: Joined, prefix: str, level: int) -> Fork:
        around = item.path if item.named else item.path.rpartition(".")[0]
        branches = []
        for branch in item.branches:
            label = branch.label or ""
            inside = join_key(around, label) if label else prefix
            branches.append(self.row(branch, inside, level, label))
        title = self.title(item, prefix) if item.named else ""
        ends = (item.path, item.source, item.value)
        join = Box(*ends, title, item.kind, "join", self.network.facts(item))
        return Fork(*ends, join, tuple(branches))

    def repeated(self, item: Repeated, prefix: str, level: int) -> Sequence[Item]:
        """Return each run of iterations that are alike as one, with their number."""
        found: list[Item] = []
        same = runs(item.bodies, self.network.graph)
        for run in same:
            found += self.run(item, run, prefix, level, whole=len(same) == 1)
        return found

    def run(
        self, item: Repeated, run: list[Body], prefix: str, level: int, *, whole: bool
    ) -> Sequence[Item]:
        """Return iterations that are alike: a single one as it is, several as the first of them."""
        first, last = run[0], run[-1]
        if len(run) == 1:
            return [made for each in first.items for made in self.items(each, prefix, level)]
        count, facts = str(len(run)), self.network.facts(item, run, last.value)
        ends = (item.path if whole else f"{item.path}.{item.bodies.index(first)}", first.source)
        title = self.title(item, prefix)
        lone = first.items[0] if len(first.items) == 1 else None
        if isinstance(lone, Used):
            made = self.used(lone, prefix, level, opened=item.path in self.opened)
            made = replace(made, key=ends[0], value=last.value, facts=facts, count=count)
            return [replace(made, title="" if title == made.text else title)]
        inside = f"{item.path}.{item.bodies.index(first)}"
        row = self.row(first, inside, level)
        return [Card(*ends, last.value, title, "", "block", row, facts, count)]
