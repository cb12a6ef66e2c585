"""Generalise pairs of layers to layout rules that say the same in fewer lines.

Rows whose names differ only in their numbers become one rule with placeholders, if theirs are sums
of ours; those that are exceptions stay rows, which win. Ends that many units have in common become
`[parts]`. What comes out gives exactly the rows that went in.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import TypeAlias

from incgen.weights.templates import MAX_PLACEHOLDERS

#: A number that a segment of a name ends with, and that alone.
_NUMBER = re.compile(r"(?<![^./_A-Za-z])(\d+)(?=$|[./])")
_NAMES = "ijklmnpqrst"[:MAX_PLACEHOLDERS]
#: The largest number that a placeholder can add.
_LARGEST = 999_999

#: Numbers of a name, in order.
Numbers: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A layer of ours, and where theirs is; several where they keep one of ours in parts."""

    ours: str
    theirs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DraftedRule:
    """A rule of a layout: its left and right side, and the layers of ours that it is for."""

    left: str
    right: tuple[str, ...]
    layers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Generalised:
    """Rules, and the ends of units that they share."""

    rules: tuple[DraftedRule, ...]
    parts: Mapping[str, str]


def generalised(rows: Sequence[Row], separator: str) -> Generalised:
    """Find rules for rows in the order of the network, each layer of ours once."""
    found = [_generalised(rows, parts, separator) for parts in ({}, _parts(rows, separator))]
    return min(found, key=lambda each: len(each.rules) + len(each.parts))


def _generalised(rows: Sequence[Row], parts: Mapping[str, str], separator: str) -> Generalised:
    """Return the rules, if these ends stand in `[parts]`."""
    shorter, members = _with_parts(rows, parts, separator)
    groups: dict[tuple[str, tuple[str, ...]], list[Row]] = {}
    for row in shorter:
        groups.setdefault((_skeleton(row.ours), tuple(map(_skeleton, row.theirs))), []).append(row)
    places = {row.ours: place for place, row in enumerate(shorter)}
    found = [rule for group in groups.values() for rule in _of_group(group)]
    found.sort(key=lambda rule: places[rule.layers[0]])
    rules = [
        DraftedRule(r.left, r.right, tuple(each for unit in r.layers for each in members[unit]))
        for r in found
    ]
    return Generalised(tuple(rules), parts)


# ---------------------------------------------------------------- parts


def _parts(rows: Sequence[Row], separator: str) -> dict[str, str]:
    """Return the ends that units have in common: `.conv` is `{layer}.0`, `.bn` is `{layer}.1`."""
    counted: Counter[tuple[tuple[str, str], ...]] = Counter()
    for children in _units(rows).values():
        if ends := _ends(children, separator):
            counted[ends] += 1
    found: dict[str, str] = {}
    for ends, count in counted.most_common():
        if count > 2 and all(found.get(end, part) == part for end, part in ends):
            found |= dict(ends)
    return found


def _units(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Group rows by what stands in front of their last label."""
    units: dict[str, list[Row]] = {}
    for row in rows:
        unit, dot, _ = row.ours.rpartition(".")
        if dot:
            units.setdefault(unit, []).append(row)
    return units


def _ends(children: Sequence[Row], separator: str) -> tuple[tuple[str, str], ...]:
    """Return what the layers of a unit are called in that of theirs; nothing if they differ."""
    splits = [row.theirs[0].rpartition(separator) for row in children if len(row.theirs) == 1]
    if len(splits) < max(2, len(children)) or len({layer for layer, _, _ in splits} | {""}) != 2:
        return ()
    ours = (f".{row.ours.rpartition('.')[2]}" for row in children)
    theirs = (f"{{layer}}{separator}{end}" for _, _, end in splits)
    return tuple(zip(ours, theirs, strict=True))


def _with_parts(
    rows: Sequence[Row], parts: Mapping[str, str], separator: str
) -> tuple[list[Row], dict[str, tuple[str, ...]]]:
    """Return rows with units in the place of their layers, and the layers of each."""
    units = _units(rows)
    paths = {row.ours for row in rows}
    whole = {
        unit: children[0].theirs[0].rpartition(separator)[0]
        for unit, children in units.items()
        if unit not in paths
        and (ends := _ends(children, separator))
        and all(parts.get(end) == part for end, part in ends)
    }
    found: list[Row] = []
    members: dict[str, tuple[str, ...]] = {}
    for row in rows:
        unit = row.ours.rpartition(".")[0]
        if unit not in whole:
            found.append(row)
            members[row.ours] = (row.ours,)
        elif unit not in members:
            found.append(Row(unit, (whole[unit],)))
            members[unit] = tuple(child.ours for child in units[unit])
    return found, members


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
    sums = [_best(lefts, [right[k] for right in rights]) for k in range(len(rights[0]))]
    agree = [
        n
        for n, (left, right) in enumerate(zip(lefts, rights, strict=True))
        if all(each.of(left) == value for each, value in zip(sums, right, strict=True))
    ]
    if len(agree) > 1 and 2 * len(agree) >= len(rows):
        rule = _written(rows[agree[0]], [lefts[n] for n in agree], sums)
        layers = tuple(rows[n].ours for n in agree)
        rest = [each for n, each in enumerate(exact) if n not in agree]
        ways.append([DraftedRule(rule.ours, rule.theirs, layers), *rest])
    varying = [k for k in range(len(lefts[0])) if len({left[k] for left in lefts}) > 1]
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
    """A number of theirs: factors of numbers of ours, by their places, and a constant."""

    factors: tuple[tuple[int, int], ...]
    constant: int

    def of(self, left: Numbers) -> int:
        return self.constant + sum(left[place] * factor for place, factor in self.factors)

    def text(self, names: Mapping[int, str]) -> str:
        """Write the sum as layouts do, with the names of the numbers that are placeholders."""
        terms = [names[p] if f == 1 else f"{names[p]}*{f}" for p, f in self.factors]
        if not terms:
            return str(self.constant)
        return "{" + "+".join(terms) + (f"{self.constant:+d}" if self.constant else "") + "}"


def _best(lefts: Sequence[Numbers], values: Sequence[int]) -> _Sum:
    """Return the sum that is right most often; of equal ones the simplest."""
    places = [k for k in range(len(lefts[0])) if len({left[k] for left in lefts}) > 1]
    candidates: dict[_Sum, None] = {}
    for value in values:
        candidates[_Sum((), value)] = None
    for place in places:
        for (one, first), (other, second) in pairwise(zip(lefts, values, strict=True)):
            step = other[place] - one[place]
            factor = (second - first) // step if step else 1
            if 0 < factor < 1000:
                candidates[_Sum(((place, factor),), first - one[place] * factor)] = None
    for pair in combinations(places, 2):
        for left, value in zip(lefts, values, strict=True):
            both = tuple((place, 1) for place in pair)
            candidates[_Sum(both, value - sum(left[place] for place in pair))] = None

    def rank(each: _Sum) -> tuple[int, int, int, int]:
        hits = sum(each.of(left) == value for left, value in zip(lefts, values, strict=True))
        if each.factors and abs(each.constant) > _LARGEST:
            hits = 0
        factors = sum(factor for _, factor in each.factors)
        if factors > 1 and hits < len(values):  # fits some by accident
            hits = 0
        return -hits, len(each.factors), factors, abs(each.constant)

    return min(candidates, key=rank)


def _written(row: Row, lefts: Sequence[Numbers], sums: Sequence[_Sum]) -> Row:
    """Put placeholders in the place of a row's numbers that vary or are computed with."""
    places = [k for k in range(len(lefts[0])) if len({left[k] for left in lefts}) > 1]
    names = dict(zip(places, _NAMES, strict=False))
    mine = lefts[0]
    constant = [
        _Sum(
            tuple((p, f) for p, f in each.factors if p in names),
            each.constant + sum(mine[p] * f for p, f in each.factors if p not in names),
        )
        for each in sums
    ]
    left = [f"{{{names[k]}}}" if k in names else str(number) for k, number in enumerate(mine)]
    right = iter([each.text(names) for each in constant])
    ours = iter(left)
    return Row(
        _NUMBER.sub(lambda _: next(ours), row.ours),
        tuple(_NUMBER.sub(lambda _: next(right), name) for name in row.theirs),
    )
