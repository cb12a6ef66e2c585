"""Map positions of one version of a text to another."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import accumulate

#: The most lines between the first and the last difference that are compared with each other.
_MAX_LINES = 2000


class Alignment:
    """The pieces that two versions of a text share: whole lines, and the ends of changed ones."""

    def __init__(self, old: str, new: str) -> None:
        #: Pieces: where they begin in each version, and their length
        self._pieces: list[tuple[int, int, int]] = []
        if old == new:
            self._pieces.append((0, 0, len(old)))
        else:
            self._compare(old.splitlines(keepends=True), new.splitlines(keepends=True))
        self._pieces = [piece for piece in self._pieces if piece[2]]
        self._old = [piece[0] for piece in self._pieces]
        self._new = [piece[1] for piece in self._pieces]

    def _compare(self, old: list[str], new: list[str]) -> None:
        first = _common(old, new)
        last = _common(old[first:][::-1], new[first:][::-1])
        here = sum(map(len, old[:first]))
        self._pieces.append((0, 0, here))
        before, after = old[first : len(old) - last], new[first : len(new) - last]
        self._lines(before, after, here)
        old_end = here + sum(map(len, before))
        new_end = here + sum(map(len, after))
        self._pieces.append((old_end, new_end, sum(map(len, old[len(old) - last :]))))

    def _lines(self, before: list[str], after: list[str], here: int) -> None:
        """Find the lines that a changed part still has, and compare those that were replaced."""
        if max(len(before), len(after)) > _MAX_LINES:
            return
        starts = [[*accumulate(map(len, lines), initial=here)] for lines in (before, after)]
        matcher = SequenceMatcher(None, before, after, autojunk=False)
        for kind, low, high, left, right in matcher.get_opcodes():
            if kind == "equal":
                length = sum(map(len, before[low:high]))
                self._pieces.append((starts[0][low], starts[1][left], length))
            elif kind == "replace":
                for number in range(min(high - low, right - left)):
                    places = starts[0][low + number], starts[1][left + number]
                    self._ends(before[low + number], after[left + number], *places)

    def _ends(self, before: str, after: str, old: int, new: int) -> None:
        """Keep the beginning and the end of a line that was changed."""
        head = _common(before, after)
        tail = _common(before[head:][::-1], after[head:][::-1])
        self._pieces.append((old, new, head))
        self._pieces.append((old + len(before) - tail, new + len(after) - tail, tail))

    def new(self, offset: int) -> int | None:
        """Return the offset in the new version of one in the old; None if it is not there."""
        return _moved(offset, self._pieces, self._old, 0, 1)

    def old(self, offset: int) -> int | None:
        """Return the offset in the old version of one in the new; None if it was not there."""
        return _moved(offset, self._pieces, self._new, 1, 0)

    def span(self, start: int, end: int) -> tuple[int, int] | None:
        """Return where a piece of the old version stands in the new one, if it is unchanged."""
        first, last = self.new(start), self.new(end)
        if first is None or last is None or last - first != end - start:
            return None
        return first, last


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how many elements two sequences have in common at their beginnings."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((number for number, (a, b) in pairs if a != b), min(len(one), len(other)))


def _moved(
    offset: int, pieces: list[tuple[int, int, int]], starts: list[int], here: int, there: int
) -> int | None:
    index = bisect.bisect_right(starts, offset) - 1  # where two pieces meet, the later one
    piece = pieces[index] if index >= 0 else (0, 0, -1)
    return piece[there] + offset - piece[here] if offset <= piece[here] + piece[2] else None
