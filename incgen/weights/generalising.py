"""Generalise pairs of layers to layout rules that say the same in fewer lines.

Rows whose names differ only in their numbers become one rule with placeholders, if theirs are sums
of ours; exceptions stay rows, which take precedence. Endings that many units share become
`[parts]`. The resulting rules give exactly the original rows.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from typing import TypeAlias

from incgen.weights.templates import MAX_PLACEHOLDERS

#: A number at the end of a segment of a name, or of a part of one.
_NUMBER = re.compile(r"(?<![^./_A-Za-z-])(\d+)(?=$|[./_-])")
_NAMES = "ijklmnpqrst"[:MAX_PLACEHOLDERS]
#: The largest number that a placeholder can add.
_LARGEST = 999_999

#: The numbers in a name, in order.
Numbers: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A layer of ours and its place in theirs; several if they store one of ours in parts."""

    ours: str
    theirs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DraftedRule:
    """A rule of a layout: its left and right side, and the layers of ours that it covers."""

    left: str
    right: tuple[str, ...]
    layers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Generalised:
    """Rules, and the endings of units that they share."""

    rules: tuple[DraftedRule, ...]
    parts: Mapping[str, str]


def generalised(rows: Sequence[Row], separator: str) -> Generalised:
    """Find rules for rows in the order of the network, each layer of ours once."""
    ways = [_generalised(rows, parts, separator) for parts in ({}, _parts(rows, separator))]
    return min(ways, key=lambda way: len(way.rules) + len(way.parts))


def _generalised(rows: Sequence[Row], parts: Mapping[str, str], separator: str) -> Generalised:
    """Return the rules, given these endings in `[parts]`."""
    shorter, members = _with_parts(rows, parts, separator)
    groups: dict[tuple[str, tuple[str, ...]], list[Row]] = {}
    for row in shorter:
        groups.setdefault((_skeleton(row.ours), tuple(map(_skeleton, row.theirs))), []).append(row)
    places = {row.ours: place for place, row in enumerate(shorter)}
    rules = [rule for group in groups.values() for rule in _of_group(group)]
    rules.sort(key=lambda rule: places[rule.layers[0]])
    whole = (
        replace(rule, layers=tuple(path for unit in rule.layers for path in members[unit]))
        for rule in rules
    )
    return Generalised(tuple(whole), parts)


# ---------------------------------------------------------------- parts


@dataclass(frozen=True, slots=True)
class _Unit:
    """A unit stored as one layer of theirs: which one, and the name of each ending there."""

    layers: tuple[str, ...]
    theirs: str
    ends: tuple[tuple[str, str], ...]


def _units(rows: Iterable[Row], separator: str) -> dict[str, _Unit]:
    """Return the units of several layers that theirs stores as one layer, by path."""
    children: dict[str, list[Row]] = {}
    for row in rows:
        unit, dot, _ = row.ours.rpartition(".")
        if dot:
            children.setdefault(unit, []).append(row)
    units = {}
    for unit, inner in children.items():
        names = [row.theirs[0].rpartition(separator) for row in inner if len(row.theirs) == 1]
        scopes = {scope for scope, _, _ in names}
        if len(names) == len(inner) > 1 and len(scopes) == 1 and "" not in scopes:
            ours = (f".{row.ours.rpartition('.')[2]}" for row in inner)
            theirs = (f"{{layer}}{separator}{end}" for _, _, end in names)
            ends = tuple(zip(ours, theirs, strict=True))
            units[unit] = _Unit(tuple(row.ours for row in inner), scopes.pop(), ends)
    return units


def _parts(rows: Sequence[Row], separator: str) -> dict[str, str]:
    """Return the endings that units share: `.conv` is `{layer}.0`, `.bn` is `{layer}.1`."""
    counts = Counter(unit.ends for unit in _units(rows, separator).values())
    parts: dict[str, str] = {}
    for ends, count in counts.most_common():
        if count > 2 and all(parts.get(end, part) == part for end, part in ends):
            parts |= dict(ends)
    return parts


def _with_parts(
    rows: Sequence[Row], parts: Mapping[str, str], separator: str
) -> tuple[list[Row], dict[str, tuple[str, ...]]]:
    """Return rows with units in place of their layers, and the layers of each."""
    paths = {row.ours for row in rows}
    units = {
        path: unit
        for path, unit in _units(rows, separator).items()
        if path not in paths and unit.ends and set(unit.ends) <= set(parts.items())
    }
    shorter: dict[str, Row] = {}
    members: dict[str, tuple[str, ...]] = {}
    for row in rows:
        path = row.ours.rpartition(".")[0]
        if path in units:
            shorter[path] = Row(path, (units[path].theirs,))
            members[path] = units[path].layers
        else:
            shorter[row.ours] = row
            members[row.ours] = (row.ours,)
    return list(shorter.values()), members


# ---------------------------------------------------------------- placeholders


def _skeleton(name: str) -> str:
    return _NUMBER.sub("#", name)


def _numbers(names: Iterable[str]) -> Numbers:
    return tuple(int(number) for name in names for number in _NUMBER.findall(name))


def _of_group(rows: Sequence[Row]) -> list[DraftedRule]:
    """Return the fewest rules for rows that only differ in their numbers."""
    exact = [DraftedRule(row.ours, row.theirs, (row.ours,)) for row in rows]
    if len(rows) == 1 or any("0" in _leading(name) for name in _all(rows)):
        return exact
    ways = [exact]
    lefts = [_numbers([row.ours]) for row in rows]
    rights = [_numbers(row.theirs) for row in rows]
    varying = [k for k in range(len(lefts[0])) if len({left[k] for left in lefts}) > 1]
    sums = [_best(lefts, values, varying) for values in zip(*rights, strict=True)]
    agree = [
        n
        for n, (left, right) in enumerate(zip(lefts, rights, strict=True))
        if all(total.of(left) == value for total, value in zip(sums, right, strict=True))
    ]
    if len(agree) > 1 and 2 * len(agree) >= len(rows):
        still = [k for k in varying if len({lefts[n][k] for n in agree}) > 1]
        rule = _written(rows[agree[0]], sums, still, tuple(rows[n].ours for n in agree))
        ways.append([rule, *(other for n, other in enumerate(exact) if n not in agree)])
    if len(varying) > 1 and len(agree) < len(rows):
        for place in varying:
            split: dict[int, list[Row]] = {}
            for row, left in zip(rows, lefts, strict=True):
                split.setdefault(left[place], []).append(row)
            ways.append([rule for part in split.values() for rule in _of_group(part)])
    return min(ways, key=len)


def _all(rows: Iterable[Row]) -> Iterable[str]:
    for row in rows:
        yield row.ours
        yield from row.theirs


def _leading(name: str) -> str:
    """Return the first digits of numbers with more than one: `007` cannot be computed."""
    return "".join(number[0] for number in _NUMBER.findall(name) if len(number) > 1)


@dataclass(frozen=True, slots=True)
class _Sum:
    """A number of theirs: factors of our numbers, by position, and a constant."""

    factors: tuple[tuple[int, int], ...]
    constant: int

    def of(self, left: Numbers) -> int:
        return self.constant + sum(left[place] * factor for place, factor in self.factors)

    def text(self, names: Mapping[int, str], numbers: Numbers) -> str:
        """Write the sum as layouts do; our numbers without a name are constants."""
        terms = [names[p] if f == 1 else f"{names[p]}*{f}" for p, f in self.factors if p in names]
        constant = self.constant + sum(numbers[p] * f for p, f in self.factors if p not in names)
        if not terms:
            return str(constant)
        return "{" + "+".join(terms) + (f"{constant:+d}" if constant else "") + "}"


def _best(lefts: Sequence[Numbers], values: Sequence[int], varying: Sequence[int]) -> _Sum:
    """Return the sum that is right most often; among equals, the simplest."""
    factors: dict[tuple[tuple[int, int], ...], None] = {(): None}
    for place in varying:
        for (one, first), (other, second) in pairwise(zip(lefts, values, strict=True)):
            step = other[place] - one[place]
            factor = (second - first) // step if step else 1
            if 0 < factor < 1000:
                factors[((place, factor),)] = None
    for pair in combinations(varying, 2):
        factors[tuple((place, 1) for place in pair)] = None
    ranked: list[tuple[tuple[int, ...], _Sum]] = []
    for terms in factors:
        rests = Counter(
            value - _Sum(terms, 0).of(left) for left, value in zip(lefts, values, strict=True)
        )
        steps = sum(factor for _, factor in terms)
        for constant, hits in rests.items():
            by_accident = steps > 1 and hits < len(values)
            beyond = terms and abs(constant) > _LARGEST
            rank = (0 if by_accident or beyond else -hits, len(terms), steps, abs(constant))
            ranked.append((rank, _Sum(terms, constant)))
    return min(ranked, key=lambda pair: pair[0])[1]


def _written(
    row: Row, sums: Sequence[_Sum], varying: Sequence[int], layers: tuple[str, ...]
) -> DraftedRule:
    """Replace the numbers of a row that vary or are used in sums by placeholders."""
    names = dict(zip(varying, _NAMES, strict=False))
    numbers = _numbers([row.ours])
    ours = iter(f"{{{names[k]}}}" if k in names else str(n) for k, n in enumerate(numbers))
    theirs = iter(total.text(names, numbers) for total in sums)
    return DraftedRule(
        _NUMBER.sub(lambda _: next(ours), row.ours),
        tuple(_NUMBER.sub(lambda _: next(theirs), name) for name in row.theirs),
        layers,
    )
