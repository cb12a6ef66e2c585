"""Align a network with a checkpoint that has no layout, by shapes and order.

Shapes determine which layers can be paired. Of the remaining pairings, the order of the network and
that of the file decide: convolutions and dense layers are aligned first, as in a text diff, then
the normalisations beside them. If several pairings follow both orders, names decide, by common
words or by pairs found elsewhere. Whatever none of this settles is doubtful, with a reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from incgen.graph.nodes import Graph
from incgen.weights.alignable import Shape, items, lacks_gamma, layers, leaf
from incgen.weights.checkpoint import Array, Stored, size_of
from incgen.weights.conventions import Convention
from incgen.weights.errors import WeightsError
from incgen.weights.likeness import (
    Likeness,
    Words,
    alike,
    letters_of,
    natural,
    without_numbers,
    words_of,
)
from incgen.weights.recipes import Recipe

#: The most pairs of our layers and theirs that are considered.
MOST_PAIRS = 4_000_000
#: The base score of a pair; names and neighbours add at most that much.
_PAIR = 4.0
#: The least difference in similarity that counts as a reason.
_CLEARLY = 0.1
#: A difference in similarity that overrides the order of the file.
_OBVIOUSLY = 0.6


@dataclass(frozen=True, slots=True)
class Pair:
    """A layer of ours, its counterpart in theirs, and why it may be another, if so."""

    path: str
    layer: str
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class Alignment:
    """The result of an alignment."""

    pairs: tuple[Pair, ...]  #: The pairs, in the order of the network
    #: Ours for which there is nothing, with the shapes of their tensors
    missing: Mapping[str, tuple[Shape, ...]]
    #: Theirs for which there is nothing, with their shapes, in the order of the file
    left: Mapping[str, tuple[Shape, ...]]
    missing_gamma: bool  #: Whether theirs keeps no gamma
    sorted: bool  #: Whether the file lists its tensors by name, so that its order says little


def align(graph: Graph, tensors: Mapping[str, Stored], convention: Convention) -> Alignment:
    """Find their layer for each of ours, given their tensors in the order of the file."""
    return _Aligner(graph, tensors, convention).run()


class _Aligner:
    """The state of one alignment."""

    def __init__(self, graph: Graph, tensors: Mapping[str, Stored], convention: Convention) -> None:
        self.graph = graph
        names = [name for name in tensors if leaf(name, convention)]
        self.sorted = names == sorted(names)
        if self.sorted:
            names.sort(key=natural)
        self.layers = layers(names, tensors, convention)
        self.names = list(self.layers)
        self.missing_gamma = lacks_gamma(graph, self.layers, convention)
        self.items = list(items(graph, self.layers, convention, self.missing_gamma))
        if len(self.items) * len(self.names) > MOST_PAIRS:
            raise WeightsError(
                f"{len(self.items):,} layers here and {len(self.names):,} there are too many to "
                "compare: write the layout by hand"
            )
        self.kinds = _numbered(item.tensors for item in self.items)
        self.their_kinds = _numbered(
            tuple((leaf, stored.shape) for leaf, stored in layer.items())
            for layer in self.layers.values()
        )
        self.fitting: dict[tuple[int, int], bool] = {}
        self.above = _ancestors(graph)
        self.matches: dict[int, int] = {}

    def run(self) -> Alignment:
        """Pair all layers, and record what is doubtful."""
        learned = Likeness({})
        for _ in range(2):  # again, using the names of the first pairs
            self.matches = {}
            for normalises in (False, True):
                self.pair_all(normalises, learned)
                self.cross(normalises)
            learned = Likeness({self.items[i].path: self.names[j] for i, j in self.matches.items()})
        doubts = self.doubts()
        pairs, missing = [], {}
        for i, item in enumerate(self.items):
            if i in self.matches:
                pairs.append(Pair(item.path, self.names[self.matches[i]], doubts.get(i, "")))
            else:
                missing[item.path] = tuple(shape for shape, _ in item.tensors)
        taken = set(self.matches.values())
        left = {
            name: tuple(stored.shape for stored in self.layers[name].values())
            for j, name in enumerate(self.names)
            if j not in taken and not self.counts(name)
        }
        return Alignment(tuple(pairs), missing, left, self.missing_gamma, self.sorted)

    def counts(self, layer: str) -> bool:
        """Return whether a layer of theirs is only a counter, which is skipped anyway."""
        return all(size_of(stored.shape) == 1 for stored in self.layers[layer].values())

    # ------------------------------------------------------------ pairs

    def fits(self, i: int, j: int) -> bool:
        """Return whether a layer of theirs has all tensors of one of ours, with their shapes."""
        key = self.kinds[i], self.their_kinds[j]
        if key not in self.fitting:
            layer = self.layers[self.names[j]]
            self.fitting[key] = all(
                any(
                    name in layer and not Recipe(shape, layer[name], slot.axes).fault()
                    for name in slot.names
                )
                for shape, slot in self.items[i].tensors
            )
        return self.fitting[key]

    def pair_all(self, normalises: bool, learned: Likeness) -> None:
        """Pair layers of one kind: as many as follow both orders, then as many of the rest, ..."""
        ours = [i for i, item in enumerate(self.items) if item.normalises is normalises]
        taken = set(self.matches.values())
        theirs = [j for j in range(len(self.names)) if j not in taken]
        beside = self.neighbours() if normalises else {}
        if normalises:
            ours = self.as_listed(ours, beside)
        while ours and theirs:
            scores = [[self.score(i, j, learned, beside) for j in theirs] for i in ours]
            pairs = [(ours[a], theirs[b]) for a, b in _in_order(scores)]
            if not pairs:
                return
            self.matches |= dict(pairs)
            ours = [i for i in ours if i not in self.matches]
            taken = {j for _, j in pairs}
            theirs = [j for j in theirs if j not in taken]

    def as_listed(self, ours: list[int], beside: Mapping[int, Sequence[int]]) -> list[int]:
        """Sort normalisations as the file lists the layers beside them, if these are paired.

        Where a file lists branches in another order, a normalisation moves with its convolution.
        """
        places: dict[int, float] = {}
        place = -1.0
        for i in ours:
            paired = [k for k in beside[i] if k in self.matches]
            if paired:
                k = min(paired)  # the one before it, if there is one
                place = self.matches[k] + (0.5 if k < i else -0.5)
            places[i] = place
        return sorted(ours, key=places.__getitem__)

    def cross(self, normalises: bool) -> None:
        """Exchange pairs that no order fixes, if their names suggest it."""
        for group in self.by_kind(normalises):
            for i, k in combinations(group, 2):
                one, other = self.matches[i], self.matches[k]
                if self.are_held(i, k) or not (self.fits(i, other) and self.fits(k, one)):
                    continue
                if self.gain(i, k, letters_of) > _OBVIOUSLY:
                    self.matches[i], self.matches[k] = other, one

    def gain(self, i: int, k: int, words: Words) -> float:
        """Return how much more similar names become if two pairs are exchanged."""
        ours, rival = self.items[i].path, self.items[k].path
        theirs, other = self.names[self.matches[i]], self.names[self.matches[k]]
        straight = alike(ours, theirs, words) + alike(rival, other, words)
        return alike(ours, other, words) + alike(rival, theirs, words) - straight

    def by_kind(self, normalises: bool | None = None) -> list[list[int]]:
        """Group ours that are paired by the shapes that they need."""
        kinds: dict[int, list[int]] = {}
        for i in self.matches:
            if normalises is None or self.items[i].normalises is normalises:
                kinds.setdefault(self.kinds[i], []).append(i)
        return list(kinds.values())

    def are_held(self, i: int, k: int) -> bool:
        """Return whether two layers follow one another in the network, and theirs in the file."""
        one, other = self.items[i].node, self.items[k].node
        if not (self.above[one] >> other & 1 or self.above[other] >> one & 1):
            return False
        theirs = {without_numbers(self.names[self.matches[n]]) for n in (i, k)}
        if self.sorted and len(theirs) > 1:
            return False
        return (self.matches[i] < self.matches[k]) is (one < other)

    def score(
        self, i: int, j: int, learned: Likeness, beside: Mapping[int, Sequence[int]]
    ) -> float:
        """Return the score of a pair; 0 if its shapes differ."""
        if not self.fits(i, j):
            return 0.0
        path, layer = self.items[i].path, self.names[j]
        score = _PAIR + alike(path, layer) + learned.of(path, layer)
        if self.items[i].normalises:
            score += max(
                (self.closeness(j, self.matches[k]) for k in beside[i] if k in self.matches),
                default=0.0,
            )
        return score - (len(self.layers[layer]) > len(self.items[i].tensors))

    def closeness(self, j: int, k: int) -> float:
        """Return how close two layers of theirs are, in the file and by name: 0 to 2."""
        one, other = (self.names[n].rpartition(".")[0] for n in (j, k))
        return float(abs(j - k) == 1) + 0.5 * (one == other) + 0.5 * (one == self.names[k])

    def neighbours(self) -> dict[int, list[int]]:
        """Return the layers with weights directly before and after each normalisation."""
        before = _before(self.graph)
        of = {item.node: i for i, item in enumerate(self.items)}
        neighbours: dict[int, list[int]] = {i: [] for i in range(len(self.items))}
        for i, item in enumerate(self.items):
            other = of.get(before.get(item.node, -1))
            if other is not None:
                neighbours[i].append(other)
                neighbours[other].append(i)
        return neighbours

    # ------------------------------------------------------------ doubts

    def doubts(self) -> dict[int, str]:
        """Return why pairs are doubtful."""
        doubts: dict[int, str] = {}
        taken = set(self.matches.values())
        left = [j for j in range(len(self.names)) if j not in taken]
        for i, j in self.matches.items():
            path, mine = self.items[i].path, self.names[j]
            for other in left:
                if self.fits(i, other) and alike(path, mine) <= alike(path, self.names[other]):
                    doubts[i] = f"`{self.names[other]}` has the same shapes, and is left"
        for group in self.by_kind():
            for i in group:
                rival = next((k for k in group if self.could_cross(i, k)), None)
                if rival is not None and i not in doubts:
                    doubts[i] = f"`{self.names[self.matches[rival]]}` has the same shapes"
        beside = self.neighbours()
        for i in list(doubts):  # what is next to a layer without doubt
            close = [self.matches[k] for k in beside[i] if k in self.matches and k not in doubts]
            if not self.sorted and any(abs(self.matches[i] - k) == 1 for k in close):
                del doubts[i]
        return doubts

    def could_cross(self, i: int, k: int) -> bool:
        """Return whether two pairs could be exchanged by order and names alike."""
        one, other = self.matches[i], self.matches[k]
        if i == k or self.are_held(i, k) or not (self.fits(i, other) and self.fits(k, one)):
            return False
        return self.gain(i, k, words_of) >= -_CLEARLY


def _numbered(kinds: Iterable[object]) -> list[int]:
    """Return equal numbers for equal things."""
    numbers: dict[object, int] = {}
    return [numbers.setdefault(kind, len(numbers)) for kind in kinds]


# ---------------------------------------------------------------- orders


def _in_order(scores: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """Return the non-crossing pairs with the largest sum; 0 is not a pair."""
    import numpy as np

    rows, columns = len(scores), len(scores[0])
    best: Array = np.zeros((rows + 1, columns + 1))
    for i, row in enumerate(scores):
        mine = np.array(row)
        paired = np.where(mine > 0, best[i, :-1] + mine, 0)
        best[i + 1, 1:] = np.maximum.accumulate(np.maximum(best[i, 1:], paired))
    pairs, i, j = [], rows, columns
    while i and j:
        if best[i, j] == best[i - 1, j]:
            i -= 1
        elif best[i, j] == best[i, j - 1]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            pairs.append((i, j))
    return pairs[::-1]


def _before(graph: Graph) -> dict[int, int]:
    """Return the layer before each, where nothing branches or joins; both have tensors."""
    before: dict[int, int] = {}
    for place, node in enumerate(graph.nodes):
        at = node.inputs
        while len(at) == 1 and not graph.nodes[at[0]].tensors:
            at = graph.nodes[at[0]].inputs
        if node.tensors and len(at) == 1:
            before[place] = at[0]
    return before


def _ancestors(graph: Graph) -> list[int]:
    """Return for each node a bit for each node that it depends on."""
    ancestors: list[int] = []
    for node in graph.nodes:
        bits = 0
        for index in node.inputs:
            bits |= ancestors[index] | 1 << index
        ancestors.append(bits)
    return ancestors
