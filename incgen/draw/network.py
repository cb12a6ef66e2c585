"""A graph with its nest, and what is known and said of each of its parts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import groupby

from incgen.base.diagnostics import clipped
from incgen.draw.colours import kind_of
from incgen.draw.diagram import Facts
from incgen.draw.text import times
from incgen.graph.frames import join_key
from incgen.graph.nest import Aside, Body, Joined, Layer, Piece, Repeated, Used, bodies, parts
from incgen.graph.nodes import Graph, Node
from incgen.graph.receptive import Field, receptive_fields
from incgen.graph.words import described
from incgen.language.ops import OPS


class Network:
    """A graph with its nest, and what is known of each of its parts."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.body = graph.nest
        self._runs: dict[str, list[list[Body]]] = {}

    @cached_property
    def fields(self) -> list[Field]:
        """Return the receptive field of every node."""
        return receptive_fields(self.graph)

    def runs(self, repeat: Repeated) -> list[list[Body]]:
        """Return the iterations of a repeat in runs of those that can be drawn as one.

        They have the same layers, joined in the same way; what these take may differ in shape, as
        where a concat grows.
        """
        if repeat.path not in self._runs:  # every table of uses asks again
            runs = groupby(repeat.bodies, lambda body: _form(body, self.graph))
            self._runs[repeat.path] = [list(run) for _, run in runs]
        return self._runs[repeat.path]

    def facts(self, part: Piece, bodies_: Sequence[Body] = ()) -> Facts:
        """Return what is known of a part, or only of some bodies inside it, and of its output."""
        value = bodies_[-1].value if bodies_ else part.value
        inside = [node for body in bodies_ for node in _inside(body)] if bodies_ else _nodes(part)
        nodes = [self.graph.nodes[index] for index in inside]
        return Facts(
            shape=self.graph.nodes[value].shape,
            parameters=sum(node.parameters for node in nodes),
            multiply_adds=sum(node.multiply_adds for node in nodes),
            field=self.fields[value],
            place=f"{_file(part.span.source.name)}:{part.span.line}",
            said=clipped(" ".join(part.span.text.partition("{")[0].split()), 120),
        )

    def texts(self, part: Layer | Used | Joined, prefix: str) -> tuple[str, str, str]:
        """Return the label of a part, what it is, and its kind."""
        title = label(part, prefix)
        match part:
            case Layer():
                node = self.graph.nodes[part.value]
                return title, brief(node), kind_of(node.op)
            case Joined():
                return title if part.named else "", part.kind, "join"
            case Used(definition=definition) if definition.kind == "unit":
                text, kind = self._unit(part)
                return "" if title == text else title, text, kind
            case Used(definition=definition):
                name = definition.name
                return "" if title == name else title, name, "block"

    def _unit(self, part: Used) -> tuple[str, str]:
        """Describe a unit as `show` does, by its name with the arguments of its head."""
        first: Piece | None = part
        while isinstance(first, Used):
            first = first.body.items[0] if first.body.items else None
        if first is None:  # all of it is `identity`
            return part.definition.name, "other"
        head = self.graph.nodes[first.value]
        _, _, arguments = brief(head).partition(" ")
        return f"{part.definition.name} {arguments}".rstrip(), kind_of(head.op)


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


def label(item: Piece, prefix: str) -> str:
    """Return the label of a part: its key without what stands around it."""
    name = item.path.removeprefix(f"{prefix}.") if prefix else item.path
    number = name.isdecimal() or item.path == prefix
    return "" if number or not (item.named or "." in name) else name


def branch_prefix(join: Joined, branch: Body, prefix: str) -> str:
    """Return what the labels of a branch's parts are relative to, given that of the join."""
    if not branch.label:
        return prefix
    return join_key(join.path if join.named else join.path.rpartition(".")[0], branch.label)


def brief(node: Node) -> str:
    """Describe a layer by what a figure says of it: its op and window, not how it is padded."""
    if node.op not in OPS:
        return node.op
    words = described(node).split(" ")
    return times(" ".join(word for word in words if word != "ceil" and word[:4] != "pad="))


def _form(body: Body, graph: Graph) -> object:
    """Return what bodies that can be drawn as one have in common; values are numbered anew."""
    known = {body.source: 0}

    def value(index: int) -> int:
        return known.setdefault(index, len(known))

    def form(inner: Body) -> object:
        return tuple((*one(item), value(item.source)) for item in inner.items), value(inner.value)

    def one(item: Piece) -> tuple[object, ...]:
        match item:
            case Layer():
                node = graph.nodes[item.value]
                outputs = node.args.get("channels", node.args.get("features"))
                return described(node), outputs, value(item.value)
            case Used():
                return item.definition.name, tuple(item.given.items()), form(item.body)
            case Joined():
                return item.kind, tuple(map(form, item.branches)), value(item.value)
            case Repeated():
                return "repeat", tuple(map(form, item.bodies))
            case Aside():
                return "aux", form(item.body)

    return form(body)
