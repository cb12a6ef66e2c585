"""A network as JSON: everything, with exact numbers, for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from incgen.graph.calls import Calls
from incgen.graph.nodes import Graph, Node
from incgen.graph.shapes import Window
from incgen.language.initializers import Initializer
from incgen.show.columns import COLUMNS, TRAINING, Column, Facts, called, facts
from incgen.show.tree import Group, tree


def as_json(
    graph: Graph,
    *,
    depth: int | None = None,
    calls: Mapping[str, Calls] | None = None,
    more: Mapping[str, object] | None = None,
) -> str:
    """Return everything about a network, with exact numbers, as one JSON object.

    Layers whose keys begin with the same `depth` labels become one entry, with their sums. The
    entries in `more` come last.
    """
    outputs = {
        name: {
            "layer": _cut(graph.nodes[index].path, depth),
            "shape": list(graph.nodes[index].shape.sizes),
        }
        for name, index in graph.outputs.items()
    }
    numbers = sum(tensor.size for tensor in graph.tensors().values())
    columns = [called(name, own) for name, own in (calls or {}).items()]
    writer = _Writer(facts(graph), depth, columns)
    whole = {
        "network": graph.program.network.name,
        "file": graph.program.file,
        "arguments": graph.arguments,
        "input": list(graph.input.sizes),
        "outputs": outputs,
        "layers": writer.layers(),
        "total": {
            "parameters": graph.trained,
            "statistics": numbers - graph.trained,
            "multiply_adds": graph.multiply_adds,
            **writer.memory(),
        },
        **(more or {}),
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _cut(path: str, depth: int | None) -> str:
    """Return the first labels of a key."""
    return path if depth is None else ".".join(path.split(".")[:depth])


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes the entries of layers."""

    known: Facts
    depth: int | None
    called: list[Column]  #: What frameworks call a layer

    def layers(self) -> list[dict[str, object]]:
        """Return an entry for each layer, or for those that share a key that is cut."""
        graph = self.known.graph
        parts: dict[str, list[Node]] = {}
        for node in graph.nodes:
            parts.setdefault(_cut(node.path, self.depth), []).append(node)
        root = tree(graph)
        leaves = {group.key: group for group in _leaves(root)}
        return [
            self.layer(nodes[0], leaves[path])
            if nodes[0].path == path
            else self.part(nodes, _inside(root, path))
            for path, nodes in parts.items()
        ]

    def memory(self) -> dict[str, int]:
        """Return the memory of the whole network, in training only if it is trained."""
        memory = self.known.memory
        both = {"training_memory": memory.training, "inference_memory": memory.inference}
        return {"inference_memory": memory.inference} if self.known.graph.deployment else both

    def part(self, nodes: list[Node], group: Group) -> dict[str, object]:
        """Return the layers that share a key as one entry."""
        inputs = [self.taken(index) for node in nodes for index in node.inputs]
        assert group.shape is not None
        return {
            "path": group.key,
            "op": group.described or None,
            "inputs": [name for name in dict.fromkeys(inputs) if name != group.key],
            "output": list(group.shape.sizes),
            **self.costs(group),
            "layers": len(nodes),
        }

    def layer(self, node: Node, group: Group) -> dict[str, object]:
        """Return one layer."""
        uses = []
        for use in node.uses():
            definition = use.definition
            place = {"path": use.path, "line": use.span.line}
            uses.append({"name": definition.name, "kind": definition.kind, **place})
        return {
            "path": node.path,
            "op": node.op,
            "arguments": {name: _json_value(value) for name, value in node.args.items()},
            "inputs": [self.taken(index) for index in node.inputs],
            "output": list(node.shape.sizes),
            **self.costs(group),
            "tensors": [
                {"name": f"{node.path}.{t.name}", "shape": list(t.shape), "trained": t.trained}
                for t in node.tensors
            ],
            "part_of": uses[::-1],
            "line": node.span.line,
            "file": node.span.source.name,
        }

    def taken(self, index: int) -> str:
        """Return the key of an input."""
        return _cut(self.known.graph.nodes[index].path, self.depth)

    def costs(self, group: Group) -> dict[str, object]:
        """Return what is told of a layer and of several alike."""
        names = ["parameters", "multiply-adds", TRAINING, "inference-memory"]
        if self.known.graph.deployment is not None:
            names.remove(TRAINING)
        numbers = {name.replace("-", "_"): COLUMNS[name].value(self.known, group) for name in names}
        field = self.known.fields[group.nodes[-1]]
        stride = None if field.stride is None else list(field.stride)
        costs: dict[str, object] = {
            **numbers,
            "receptive_field": {"size": list(field.size), "stride": stride},
        }
        if self.called:
            costs["calls"] = {c.name: c.value(self.known, group) for c in self.called}
        return costs


def _inside(root: Group, path: str) -> Group:
    group = root
    for name in path.split("."):
        group = group.groups[name]
    return group


def _leaves(group: Group) -> Iterator[Group]:
    """Yield the groups of single layers; the key of one may also be that of a part."""
    for child in group.children:
        if child.children:
            yield from _leaves(child)
        else:
            yield child


def _json_value(value: object) -> object:
    match value:
        case Window():
            return {"kernel": list(value.kernel), "stride": list(value.stride)}
        case Initializer():
            return {"name": value.name, "arguments": list(value.args)}
        case tuple():
            return [_json_value(part) for part in value]
        case _:
            return value
