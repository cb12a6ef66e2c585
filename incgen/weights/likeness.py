"""How similar the names of two layers are: shared words, and ends that occur together elsewhere."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeAlias

#: Takes a name apart.
Words: TypeAlias = Callable[[str], Counter[str]]

_WORD = re.compile(r"[a-z]+|\d+")


def natural(name: str) -> list[tuple[int, str]]:
    """Return a key to sort by, in which `conv10` is behind `conv9`."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def without_numbers(name: str) -> str:
    """Return a name without its numbers."""
    return re.sub(r"\d+", "#", name)


@lru_cache(10_000)
def words_of(name: str) -> Counter[str]:
    """Return the words and numbers of a name."""
    return Counter(_WORD.findall(name.lower()))


@lru_cache(10_000)
def letters_of(name: str) -> Counter[str]:
    """Return the words of a name, without its numbers."""
    return Counter(re.findall("[a-z]+", name.lower()))


def alike(one: str, other: str, words: Words = words_of) -> float:
    """Return how much two names have in common, word for word: 0 to 1."""
    ours, theirs = words(one), words(other)
    return 2 * (ours & theirs).total() / max(1, (ours + theirs).total())


class Likeness:
    """Which ends of names went together in pairs that were found before."""

    def __init__(self, pairs: Mapping[str, str]) -> None:
        """Count the ends of names in pairs, which are layers of theirs by ours."""
        self.pairs = pairs
        self.together: Counter[tuple[str, str]] = Counter()
        self.alone: Counter[str] = Counter()
        for path, layer in pairs.items():
            for end in _ends(path):
                self.alone[end] += 1
                self.together.update((end, other) for other in _ends(layer))

    def of(self, path: str, layer: str) -> float:
        """Return how often two ends went together, of all times that ours did: 0 to 1.

        What was found for this layer itself is no evidence.
        """
        found = self.pairs.get(path)
        best = 0.0
        for end in _ends(path):
            if (alone := self.alone[end] - (found is not None)) > 0:
                for other in _ends(layer):
                    mine = found is not None and other in _ends(found)
                    best = max(best, (self.together[end, other] - mine) / alone)
        return best


@lru_cache(10_000)
def _ends(name: str) -> tuple[str, ...]:
    """Return the last part of a name, the last two, the last three."""
    parts = re.split(r"[./]", name)
    return tuple(".".join(parts[-count:]) for count in (1, 2, 3) if count <= len(parts))
