"""Score the similarity of the names of two layers: shared words, and ends that often pair up."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeAlias

#: Splits a name.
Words: TypeAlias = Callable[[str], Counter[str]]

_WORD = re.compile(r"[a-z]+|\d+")


def natural(name: str) -> list[tuple[int, str]]:
    """Return a sort key that puts `conv10` after `conv9`."""
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
    """Records which endings of names occur together in known pairs."""

    def __init__(self, pairs: Mapping[str, str]) -> None:
        """Count the endings of names in pairs, given as layers of theirs by ours."""
        self.pairs = pairs
        self.together: Counter[tuple[str, str]] = Counter()
        self.alone: Counter[str] = Counter()
        for path, layer in pairs.items():
            for end in _ends(path):
                self.alone[end] += 1
                self.together.update((end, other) for other in _ends(layer))

    def of(self, path: str, layer: str) -> float:
        """Return how often two endings occur together, of all occurrences of ours: 0 to 1.

        The pair of this layer itself does not count.
        """
        paired = self.pairs.get(path)
        best = 0.0
        for end in _ends(path):
            if (alone := self.alone[end] - (paired is not None)) > 0:
                for other in _ends(layer):
                    mine = paired is not None and other in _ends(paired)
                    best = max(best, (self.together[end, other] - mine) / alone)
        return best


@lru_cache(10_000)
def _ends(name: str) -> tuple[str, ...]:
    """Return the last part of a name, the last two, the last three."""
    parts = re.split(r"[./]", name)
    return tuple(".".join(parts[-count:]) for count in (1, 2, 3) if count <= len(parts))
