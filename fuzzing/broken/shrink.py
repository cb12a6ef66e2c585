"""Reduce a failing input: leave out files, lines, tokens and bytes while it still fails."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from fuzzing.broken.cases import Case

T = TypeVar("T")
_LINE = re.compile(rb"[^\n]*\n|[^\n]+")
_TOKEN = re.compile(rb"\s+|\w+|[^\w\s]")
_BYTE = re.compile(rb".", re.DOTALL)
#: Content shorter than this is tried without each of its bytes.
_BYTES = 400


class _Tries:
    """Counts how often a case is tried."""

    def __init__(self, fails: Callable[[Case], bool], most: int) -> None:
        self.fails, self.left = fails, most

    def __call__(self, case: Case) -> bool:
        self.left -= 1
        return self.left >= 0 and self.fails(case)


def shrunk(case: Case, fails: Callable[[Case], bool], tries: int = 400) -> Case:
    """Return the smallest case that is found to fail too.

    Args:
        case: A failing case.
        fails: Returns whether another case fails in the same way.
        tries: The maximum number of calls of `fails`.
    """
    again = _Tries(fails, tries)

    def with_settings(parts: Sequence[str]) -> Case:
        return replace(case, settings=tuple(parts))

    def with_files(parts: Sequence[tuple[str, bytes]]) -> Case:
        return replace(case, files=tuple(parts))

    case = with_settings(_minimal(case.settings, lambda parts: again(with_settings(parts))))
    case = with_files(_minimal(case.files, lambda parts: again(with_files(parts))))
    for name, _ in case.files:
        for pattern in (_LINE, _TOKEN, _BYTE):
            case = _with_less(case, name, pattern, again)
    return case


def _with_less(case: Case, name: str, pattern: re.Pattern[bytes], again: _Tries) -> Case:
    """Leave whole lines, tokens or bytes out of one file for as long as the case fails."""
    data = dict(case.files)[name]
    if pattern is _BYTE and len(data) > _BYTES:
        return case
    left = _minimal(pattern.findall(data), lambda parts: again(_with_data(case, name, parts)))
    return _with_data(case, name, left)


def _with_data(case: Case, name: str, parts: Sequence[bytes]) -> Case:
    files = tuple((n, b"".join(parts) if n == name else data) for n, data in case.files)
    return replace(case, files=files)


def _minimal(parts: Sequence[T], fails: Callable[[Sequence[T]], bool]) -> Sequence[T]:
    """Return fewer parts that still fail: runs of parts are left out, long ones first.

    Zeller & Hildebrandt 2002, "Simplifying and isolating failure-inducing input".
    """
    size = max(1, len(parts) // 2)
    while parts:
        start, smaller = 0, False
        while start < len(parts):
            rest = [*parts[:start], *parts[start + size :]]
            if fails(rest):
                parts, smaller = rest, True
            else:
                start += size
        if size == 1 and not smaller:
            break
        size = max(1, size // 2)
    return parts
