"""Put what differs into sentences: names in a row, values, conventions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from incgen.base.diagnostics import counted
from incgen.diff.changes import Convention
from incgen.language.ops import OPS

#: How many names or phrases of one kind are listed.
MOST = 6


def joined(parts: Sequence[str]) -> str:
    """Join words as prose does: `a, b and c`; of many, only the first are listed."""
    if len(parts) > MOST:
        parts = [*parts[: MOST - 1], f"{len(parts) - MOST + 1} more"]
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def named(keys: Iterable[str], parts: tuple[str, ...] = ()) -> str:
    """List keys, three or more in a row by their ends: "`mixed_5b` to `mixed_5d`".

    A row leaves out none of the parts of the network, which are given in order.
    """
    rows = list[list[str]]()
    for key in keys:
        if rows and _follows(rows[-1][-1], key, parts):
            rows[-1].append(key)
        else:
            rows.append([key])
    return joined([text for row in rows for text in _ends(row)])


def stem(key: str) -> str:
    """Return what the keys of a row have in common: `mixed` of `mixed_5b`, `conv` of `conv2.0`."""
    return re.sub(r"[_.]?\d+[a-z]?$", "", key)


@lru_cache(maxsize=8)
def _places(parts: tuple[str, ...]) -> dict[str, int]:
    """Return the place of each part among those with the same stem."""
    counts, places = dict[str, int](), dict[str, int]()
    for part in parts:
        places[part] = counts[stem(part)] = counts.get(stem(part), -1) + 1
    return places


def _follows(before: str, key: str, parts: tuple[str, ...]) -> bool:
    """Return whether a key is the next one of the same row."""
    places = _places(parts)
    if stem(before) != stem(key):
        return False
    if before in places and key in places:
        return places[key] == places[before] + 1
    numbers = [re.search(r"\d+$", name) for name in (before, key)]
    return all(numbers) and int(numbers[1][0]) == int(numbers[0][0]) + 1  # type: ignore[index]


def _ends(row: Sequence[str]) -> list[str]:
    """Return the keys of a row, or its ends if it is longer than two."""
    if len(row) > 2:
        return [f"`{row[0]}` to `{row[-1]}`"]
    return [f"`{key}`" for key in row]


def renamings(
    pairs: Iterable[tuple[str, str]], a: tuple[str, ...] = (), b: tuple[str, ...] = ()
) -> list[str]:
    """Say what is called otherwise: "`inception_3a` to `inception_5b` are `mixed_3b` to ...".

    The parts of both networks are given in order, as for `named`.
    """
    groups = dict[tuple[str, str], list[list[tuple[str, str]]]]()
    for before, after in pairs:
        rows = groups.setdefault((stem(before), stem(after)), [[]])
        last = rows[-1][-1:]
        if last and not (_follows(last[0][0], before, a) and _follows(last[0][1], after, b)):
            rows.append([])
        rows[-1].append((before, after))
    phrases = list[str]()
    for row in (row for rows in groups.values() for row in rows):
        ours, theirs = (joined(_ends([pair[side] for pair in row])) for side in (0, 1))
        phrases.append(f"{ours} {'is' if len(row) == 1 else 'are'} {theirs}")
    return phrases


def instead(before: str, after: str) -> str:
    """Say a new value with the old one: `96, not 128`."""
    if not before:
        return f"`{after}`"
    return f"`{after}`, not `{before}`" if after else f"not said, but `{before}` before"


def plural(op: str) -> str:
    """Return what several layers of an op are called."""
    noun = OPS[op].noun
    return "normalisations" if op == "bn" else f"{noun}s"


def convention(ops: Sequence[str], name: str, before: str, after: str) -> str:
    """Say an attribute that has another value: "convolutions pad by `same`, not `half`"."""
    what = joined([plural(op) for op in ops])
    on = after == "true"
    match name:
        case "pad":
            return f"{what} pad by {instead(before, after)}"
        case "ceil":
            return f"the sizes of {what} are rounded {'up, not down' if on else 'down, not up'}"
        case "count_pad":
            some = " that average" if "pool" in ops else ""
            return f"{what}{some} {'count' if on else 'leave out'} the border"
        case "eps":
            return f"the epsilon of {what} is {instead(before, after)}"
        case "scale" | "shift":
            word = "gamma" if name == "scale" else "beta"
            return f"{what} have {'a' if on else 'no'} {word}"
        case "bias":
            return f"{what} have {'a' if on else 'no'} bias"
        case "decay":
            return f"the decay of running averages is {instead(before, after)}"
        case "variance":
            return f"the running variance is {after}, not {before}"
        case "init":
            return f"kernels of {what} start from {instead(before, after)}"
        case "l2":
            return f"{what} have {_decay(before, after)}"
        case _:
            return f"`{name}` of {what} is {instead(before, after)}"


def _decay(before: str, after: str) -> str:
    """Say how kernels decay."""
    if after == "0":
        return f"no weight decay, where it was `{before}`"
    return f"a weight decay of `{after}`" + ("" if before == "0" else f", not `{before}`")


def conventions(rows: Sequence[Convention]) -> list[str]:
    """Say all attributes that have other values; equal ones of several ops at once."""
    groups = dict[tuple[object, ...], list[Convention]]()
    for row in rows:
        several = sum((r.op, r.name, r.before) == (row.op, row.name, row.before) for r in rows) > 1
        where = () if row.everywhere else row.layers
        key = (
            (row.op, row.name, row.before) if several else (row.name, row.before, row.after, where)
        )
        groups.setdefault(key, []).append(row)
    return [_said(group) for group in groups.values()]


def _said(group: Sequence[Convention]) -> str:
    first = group[0]
    if len({row.after for row in group}) == 1:
        ops = [row.op for row in group]
        return convention(ops, first.name, first.before, first.after) + _where(group)
    values = [f"`{row.after}` ({counted(len(row.layers), 'layer')})" for row in group]
    text = convention([first.op], first.name, first.before, "\0")
    return text.replace("`\0`", joined(values))


def _where(group: Sequence[Convention]) -> str:
    """Say which layers a convention concerns, unless it is all of them."""
    layers = [layer for row in group for layer in row.layers]
    differ, of = sum(row.differ for row in group), sum(row.of for row in group)
    words = list[str]()
    if len(layers) < of:
        some = len(layers) <= MOST
        words.append(f"in {named(layers)}" if some else f"in {len(layers)} of {of} layers")
    if not differ:
        words.append("the same border here")
    elif differ < len(layers):
        words.append(f"another border in {differ} of {len(layers)}")
    return f" ({'; '.join(words)})" if words else ""
