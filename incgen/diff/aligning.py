"""Find the parts of one network in another: by their labels first, then by what they are.

Parts keep their order. What lies between two parts that were found is compared layer by layer if it
is alike, so that a unit is recognised in the ops that replace it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TypeAlias

from incgen.diff.parts import Part, alike, family, features_of

#: How much of two runs of parts must be alike for a comparison layer by layer, of two uses of the
#: same definition for being found in each other, and of two uses of different ones.
_RUNS, _SAME, _OTHER = 0.6, 0.3, 0.6
#: The largest table for the best alignment; longer runs are aligned by equal parts only.
_MAX_CELLS = 60_000
#: The most layers that are compared one by one in place of the parts that they belong to.
_MAX_LAYERS = 60


@dataclass(frozen=True)
class Matched:
    """A part that both networks have."""

    a: Part
    b: Part
    inner: tuple[Aligned, ...]  #: What is inside a use


@dataclass(frozen=True)
class Rewritten:
    """Parts of one network where the other has others or none, perhaps with layers in common."""

    a: tuple[Part, ...]
    b: tuple[Part, ...]
    layers: tuple[Matched, ...]  #: Layers that are found on both sides


Aligned: TypeAlias = Matched | Rewritten


def align(a: Sequence[Part], b: Sequence[Part]) -> tuple[Aligned, ...]:
    """Align the parts of two networks, or those inside two uses."""
    pairs = _pairs(a, b)
    aligned, i, j = list[Aligned](), 0, 0
    for left, right in [*pairs, (len(a), len(b))]:
        aligned += _between(tuple(a[i:left]), tuple(b[j:right]))
        if left < len(a):
            inner = align(a[left].parts, b[right].parts)
            aligned.append(Matched(a[left], b[right], inner))
        i, j = left + 1, right + 1
    return tuple(aligned)


def layers(aligned: Sequence[Aligned]) -> Iterator[Matched]:
    """Yield the layers that both networks have."""
    for entry in aligned:
        if isinstance(entry, Rewritten):
            yield from entry.layers
        else:
            if entry.a.use is None:
                yield entry
            yield from layers(entry.inner)


def _between(a: tuple[Part, ...], b: tuple[Part, ...]) -> list[Aligned]:
    """Compare what lies between two parts that were found."""
    if a and b:
        ours, theirs = _layers_of(a), _layers_of(b)
        few = max(len(ours), len(theirs)) <= _MAX_LAYERS
        pairs = (
            _pairs(ours, theirs) if few and alike(features_of(a), features_of(b)) >= _RUNS else []
        )
        matched = tuple(Matched(ours[i], theirs[j], ()) for i, j in pairs)
        if matched or len(ours) == len(theirs) == 1:
            return [Rewritten(a, b, matched)]
    return [Rewritten(ours, theirs, ()) for ours, theirs in ((a, ()), ((), b)) if ours or theirs]


def _layers_of(parts: Sequence[Part]) -> list[Part]:
    """Return the layers of parts."""
    leaves = list[Part]()
    for part in parts:
        leaves += _layers_of(part.parts) if part.use is not None else [part]
    return leaves


# ---------------------------------------------------------------- which parts belong together


def _pairs(a: Sequence[Part], b: Sequence[Part]) -> list[tuple[int, int]]:
    """Return the places of the parts that belong together, in order."""
    anchors = _by_label(a, b)
    pairs, i, j = list[tuple[int, int]](), 0, 0
    for left, right in [*anchors, (len(a), len(b))]:
        pairs += [(i + x, j + y) for x, y in _best(a[i:left], b[j:right])]
        if left < len(a):
            pairs.append((left, right))
        i, j = left + 1, right + 1
    return pairs


def _by_label(a: Sequence[Part], b: Sequence[Part]) -> list[tuple[int, int]]:
    """Return as many parts with equal labels as there can be in order."""
    places = {part.name: place for place, part in enumerate(b) if part.labelled}
    pairs = [
        (i, places[part.name])
        for i, part in enumerate(a)
        if part.labelled and part.name in places and _fits(part, b[places[part.name]])
    ]
    return _rising(pairs)


def _rising(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the longest subsequence of pairs whose second numbers rise."""
    ends, links = list[int](), list[int]()  # the last pair of a subsequence of each length
    tops = list[int]()
    for number, (_, j) in enumerate(pairs):
        length = bisect_left(tops, j)
        links.append(ends[length - 1] if length else -1)
        ends[length : length + 1] = [number]
        tops[length : length + 1] = [j]
    chosen, at = list[tuple[int, int]](), ends[-1] if ends else -1
    while at >= 0:
        chosen.append(pairs[at])
        at = links[at]
    return chosen[::-1]


def _best(a: Sequence[Part], b: Sequence[Part]) -> list[tuple[int, int]]:
    """Return the alignment in which most is alike."""
    if len(a) * len(b) > _MAX_CELLS:
        return _equal_runs(a, b)
    return _longest(len(a), len(b), lambda i, j: _score(a[i], b[j]))


def _equal_runs(a: Sequence[Part], b: Sequence[Part]) -> list[tuple[int, int]]:
    """Return parts that are equal by what they are, of runs that are too long for more."""
    ours, theirs = ([(p.says, p.features.total()) for p in parts] for parts in (a, b))
    blocks = SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks()
    return [(m.a + k, m.b + k) for m in blocks for k in range(m.size)]


def _longest(n: int, m: int, score: Callable[[int, int], float]) -> list[tuple[int, int]]:
    """Return the pairs of two rows that have the highest sum of scores, in order.

    A score of 0 forbids a pair. Of equal sums, the one with the earliest pairs is taken.
    """
    best = [[0.0] * (m + 1) for _ in range(n + 1)]
    scores = [[score(i, j) for j in range(m)] for i in range(n)]
    for i in range(n - 1, -1, -1):
        row, below = best[i], best[i + 1]
        for j in range(m - 1, -1, -1):
            together = scores[i][j] + below[j + 1] if scores[i][j] else 0.0
            row[j] = max(together, below[j], row[j + 1])
    pairs, i, j = list[tuple[int, int]](), 0, 0
    while i < n and j < m:
        if scores[i][j] and best[i][j] == scores[i][j] + best[i + 1][j + 1]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs


def _fits(one: Part, other: Part) -> bool:
    """Return whether two parts can be the same under one label."""
    if one.use is None and other.use is None:
        return family(one.node.op) == family(other.node.op)
    return one.use is not None and other.use is not None and alike(one.features, other.features) > 0


def _score(one: Part, other: Part) -> float:
    """Return how much speaks for two parts being the same; 0 if they cannot be."""
    if (one.use is None) != (other.use is None):
        return 0
    likeness = alike(one.features, other.features)
    if one.use is None:
        if family(one.node.op) != family(other.node.op):
            return 0
    elif one.says != other.says:
        if likeness < _OTHER or one.joins != other.joins:
            return 0
    elif likeness < _SAME:
        return 0
    shape = one.nodes[-1].shape == other.nodes[-1].shape
    return 1 + likeness + (one.name == other.name) + 0.5 * (one.says == other.says) + 0.5 * shape
