"""Edits of layers: what a pass decides on the graph, so that definitions can be rewritten by it.

A pass looks at layers, but what is rewritten are the definitions that they come from. A layer is
found again there by its site: the elements that lead to its op, from the network inwards. The
iterations of a repeat share their sites, so an edit must apply to all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from incgen.graph.changes import Change
from incgen.graph.nodes import Graph, Node
from incgen.resolve.definitions import ArgumentValue, OpCall

#: The elements that lead to an op, by identity: the uses of units and blocks, then the op itself.
Site: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Edit:
    """The replacement of one op of a definition."""

    drop: bool = False  #: Whether it is left out
    args: Mapping[str, ArgumentValue] = field(default_factory=dict)  #: Arguments that are set
    behind: tuple[OpCall, ...] = ()  #: What follows it
    mark: str = ""  #: A word for the name of a definition that differs from others by this


@dataclass(frozen=True, slots=True)
class Rewrite:
    """One step of a pass, which is taken as a whole or not at all."""

    edits: Mapping[int, Edit]  #: The edits of layers, by their index in the graph
    changes: tuple[Change, ...] = ()  #: What it does to the weights


@dataclass(frozen=True, slots=True)
class Edits:
    """The changes that a pass makes to a network."""

    rewrites: Sequence[Rewrite]
    left: Mapping[str, str] = field(default_factory=dict)  #: Reasons, by the paths of layers
    heads: bool = True  #: Whether auxiliary heads stay
    changes: tuple[Change, ...] = ()  #: Changes of weights beside those of the rewrites


@dataclass(frozen=True, slots=True)
class Pass:
    """A rewriting of networks that changes no output in evaluation, apart from rounding."""

    name: str  #: What users write
    does: str  #: One sentence
    condition: str  #: Where it applies
    parts: str  #: What it concerns
    result: str  #: What is true of them behind it, in the docstring of a network
    find: Callable[[Graph], Edits]  #: Returns what it would do


def site_of(node: Node) -> Site:
    """Return the site of a layer, which must come from an op of the spec."""
    ids = [id(node.call), *(id(use.instance) for use in node.uses())]
    return tuple(reversed(ids))


def consistent(graph: Graph, rewrites: Iterable[Rewrite]) -> tuple[list[Rewrite], list[Rewrite]]:
    """Return the rewrites that apply to all layers of their sites, and the others."""
    alike: dict[Site, list[int]] = {}
    for index, node in enumerate(graph.nodes):
        if node.call is not None:
            alike.setdefault(site_of(node), []).append(index)
    kept, refused = list(rewrites), list[Rewrite]()
    while True:
        edits = {index: edit for rewrite in kept for index, edit in rewrite.edits.items()}
        lone = [
            rewrite
            for rewrite in kept
            if any(
                edits.get(other) != edit
                for index, edit in rewrite.edits.items()
                for other in alike[site_of(graph.nodes[index])]
            )
        ]
        if not lone:
            return kept, refused
        refused += lone
        gone = {id(rewrite) for rewrite in lone}
        kept = [rewrite for rewrite in kept if id(rewrite) not in gone]


@dataclass(slots=True)
class Tree:
    """The edits in one use of a definition; equal trees make equal definitions."""

    edit: Edit | None = None  #: The edit of the op that it is, if it is one
    inner: dict[int, Tree] = field(default_factory=dict)  #: What is inside, by the element

    def at(self, element: object) -> Tree:
        """Return the edits in an element; none if it has no place here."""
        return self.inner.get(id(element)) or Tree()


def by_site(graph: Graph, rewrites: Iterable[Rewrite]) -> Tree:
    """Return the edits of consistent rewrites by the sites of their layers."""
    root = Tree()
    for rewrite in rewrites:
        for index, edit in rewrite.edits.items():
            place = root
            for step in site_of(graph.nodes[index]):
                place = place.inner.setdefault(step, Tree())
            place.edit = edit
    return root


def consumers(graph: Graph) -> list[list[int]]:
    """Return the layers that take each layer's value, once for each time that they take it.

    An output of the network counts as taken by -1.
    """
    takers: list[list[int]] = [[] for _ in graph.nodes]
    for index, node in enumerate(graph.nodes):
        for taken in node.inputs:
            takers[taken].append(index)
    for output in graph.outputs.values():
        takers[output].append(-1)
    return takers
