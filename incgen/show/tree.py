"""The layers of a graph as a tree of labels, nested as they are in keys, with sums.

A unit is one row of a table, because it is one word in the spec; its layers are shown on request.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from incgen.base.source import Span
from incgen.graph.nodes import Graph, Node, Use
from incgen.graph.shapes import Shape
from incgen.graph.words import described


@dataclass(slots=True)
class Group:
    """A part of the tree: a layer, a unit, a block, or anything with a label."""

    name: str  #: The last part of its key
    key: str
    op: str = ""  #: A short description
    span: Span | None = None  #: Its place in the spec, if it has one
    unit: bool = False  #: Whether it is a unit, which is shown as one row
    nodes: list[int] = field(default_factory=list)  #: The layers inside; it gives the last's value
    parameters: int = 0  #: Trained ones, of everything inside
    multiply_adds: int = 0  #: The multiply-adds of everything inside
    shape: Shape | None = None  #: The shape of the output
    children: list[Group] = field(default_factory=list)  #: The groups inside
    groups: dict[str, Group] = field(default_factory=dict)

    def add(self, index: int, node: Node) -> None:
        """Add a layer that is somewhere inside."""
        self.nodes.append(index)
        self.shape = node.shape
        self.parameters += node.parameters
        self.multiply_adds += node.multiply_adds

    @property
    def described(self) -> str:
        """Return what it is in a few words: its op, or what a repeat stacks, `4 x inception_a`."""
        if self.op:
            return self.op
        ops = {child.op for child in self.children}
        count = len(self.children)
        numbered = [child.name for child in self.children] == [str(i) for i in range(count)]
        if not numbered or len(ops) != 1 or "" in ops:
            return ""
        return f"{count} x {ops.pop()}"


def tree(graph: Graph) -> Group:
    """Group the layers of a graph by their keys, with sums for each group."""
    root = Group(graph.program.network.name, "")
    for index, node in enumerate(graph.nodes):
        uses = {use.path: use for use in node.uses()}  # of one key, the outer one
        group, key = root, ""
        root.add(index, node)
        *above, name = node.path.split(".")
        for part in above:
            key = f"{key}.{part}" if key else part
            if part not in group.groups:
                group.groups[part] = Group(part, key)
                group.children.append(group.groups[part])
                _describe(group.groups[part], uses.get(key), node)
            group = group.groups[part]
            group.add(index, node)
        leaf = Group(name, node.path, "" if node.op == "input" else described(node), node.span)
        leaf.add(index, node)
        group.children.append(leaf)
    return root


def _describe(group: Group, use: Use | None, first: Node) -> None:
    """Describe a group by the first layer in it."""
    if use is None:
        return
    group.op, group.span = use.definition.name, use.span
    group.unit = use.definition.kind == "unit"
    if group.unit:
        _, _, arguments = described(first).partition(" ")
        group.op = f"{group.op} {arguments}".rstrip()


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table."""

    group: Group
    level: int  #: How deep it stands
    leaf: bool  #: Whether no rows for what is inside it follow


def rows(group: Group, depth: int | None, everything: bool, level: int = 0) -> Iterator[Row]:
    """Yield the rows for what is inside a group, down to so many levels of labels, all if None.

    Args:
        group: The group.
        depth: How many levels of labels.
        everything: Whether to show the layers inside units.
        level: How deep the group stands.
    """
    for child in group.children if level != depth else ():
        inside = everything or not child.unit
        inner = [*rows(child, depth, everything, level + 1)] if inside else []
        yield Row(child, level, not inner)
        yield from inner
