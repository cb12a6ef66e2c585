"""Find iterations of a repeat that can be drawn as one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from incgen.graph.nest import Aside, Body, Joined, Layer, Piece, Repeated, Used
from incgen.graph.nodes import Graph
from incgen.graph.words import described


def runs(iterations: Sequence[Body], graph: Graph) -> list[list[Body]]:
    """Return the iterations of a repeat in runs of those that can be drawn as one.

    They have the same layers, joined in the same way; what these take may differ in shape, as where
    a concat grows.
    """
    return [list(run) for _, run in groupby(iterations, lambda body: _form(body, graph))]


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
