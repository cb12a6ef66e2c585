"""The places of a network where two models can be compared, and where each is written.

A place is the path of a graph's node. Frameworks have modules and layers, named after these paths
or those of the units and blocks around them: `Places` maps them to nodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from incgen.base.source import Span
from incgen.graph.frames import prefixes
from incgen.graph.nodes import Graph, Node


class Places:
    """The places of one graph; `numbers` are those of its nodes, by their paths."""

    def __init__(self, graph: Graph) -> None:
        """Give each node a number."""
        self.graph = graph
        self.numbers = {node.path: number for number, node in enumerate(graph.nodes)}

    @cached_property
    def _ends(self) -> dict[str, int | None]:
        """Return the node whose value leaves each unit, block or body; None if several do."""
        users: dict[int, list[str]] = {}
        for node in self.graph.nodes:
            for number in node.inputs:
                users.setdefault(number, []).append(node.path)
        outputs = set(self.graph.outputs.values())
        ends: dict[str, int | None] = {}
        for number, node in enumerate(self.graph.nodes):
            for prefix in prefixes(node.path):
                inside = f"{prefix}."
                outside = [path for path in users.get(number, ()) if not path.startswith(inside)]
                if outside or number in outputs:
                    ends[prefix] = number if prefix not in ends else None
        return ends

    def node_of(self, path: str) -> int | None:
        """Return the node whose value the element at a path gives, if it is a single node."""
        number = self.numbers.get(path)
        return self._ends.get(path) if number is None else number

    def name_of(self, path: str) -> str | None:
        """Return the place that a framework's path refers to; None if it has no own place.

        Parts that are not in the graph, such as those of a separable convolution, keep their name.
        """
        number = self.node_of(path)
        if number is not None:
            return self.graph.nodes[number].path
        outer, _, last = path.rpartition(".")
        if outer in self.numbers and self.graph.nodes[self.numbers[outer]].op == "separable_conv":
            return outer if last == "pointwise" else path
        return None

    def around(self, key: str) -> str:
        """Return the path in the graph that a place or the key of a tensor belongs to, or ""."""
        while key and self.node_of(key) is None:
            key = key.rpartition(".")[0]
        return key

    def inputs_of(self, path: str) -> list[str]:
        """Return the nodes that feed a place or block from outside."""
        own = {
            number
            for number, node in enumerate(self.graph.nodes)
            if node.path == path or node.path.startswith(f"{path}.")
        }
        outside = {n for number in own for n in self.graph.nodes[number].inputs if n not in own}
        return [self.graph.nodes[number].path for number in sorted(outside)]

    def span_of(self, path: str) -> Span:
        """Return where something is written in the spec: the innermost use that has its path."""
        for candidate in (path, *reversed(list(prefixes(path)))):
            for node in self._inside(candidate):
                if node.path == candidate:
                    return node.span
                for use in node.uses():
                    if use.path == candidate:
                        return use.span
        inside = next(self._inside(path), None)
        return inside.span if inside else self.graph.program.network.span

    def _inside(self, path: str) -> Iterator[Node]:
        for node in self.graph.nodes:
            if node.path == path or node.path.startswith(f"{path}."):
                yield node
