"""Tell what differs between two networks in paragraphs, as an expert would."""

from __future__ import annotations

from incgen.base.diagnostics import counted
from incgen.diff.changes import TRAINING, Comparison, Only, Place, Rewriting
from incgen.diff.sentences import conventions, instead, joined, named, renamings


def paragraphs(comparison: Comparison) -> list[str]:
    """Return the paragraphs: structure, numbers, conventions, training, input, cost, weights."""
    if comparison.same:
        return ["The networks are the same."]
    parts = (
        _names(comparison),
        _structure(comparison),
        _numbers(comparison),
        _conventions(comparison),
        _training(comparison),
        _input(comparison),
        _cost(comparison),
        _weights(comparison),
    )
    return [part for part in parts if part]


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _names(comparison: Comparison) -> str:
    """Say how many parts the networks have in common, and what is called otherwise."""
    common, of = comparison.parts
    some = f"all {counted(of, 'part')}" if common == of else f"{common} of the {of} parts"
    a, b = titles(comparison)
    sentences = [f"{b} has {some} of {a}"]
    for row in comparison.renamed:
        if row.place == Place():
            groups = "; ".join(renamings(row.pairs, comparison.a.parts, comparison.b.parts))
            sentences[0] += f", some under other names: {groups}"
        else:
            sentences.append(f"in `{row.place.b}`, {'; '.join(renamings(row.pairs))}")
    if comparison.definitions:
        sentences.append(joined([f"`{a}` is called `{b}`" for a, b in comparison.definitions]))
    differing = {row.place for row in (*comparison.removed, *comparison.added)}
    differing |= {row.place for row in comparison.rewritten}
    differing |= {row.place for row in comparison.arguments}
    for swap in comparison.exchanged:
        place, verb = swap.place, _verb(len(swap.uses), "use")
        if place in differing and (place.a, place.b) not in comparison.definitions:
            sentences.append(
                f"{named(swap.uses, comparison.b.parts)} {verb} `{place.b}` instead of `{place.a}`"
            )
    return " ".join(map(_sentence, sentences))


def titles(comparison: Comparison) -> tuple[str, str]:
    """Return what the networks are called, which may have one name."""
    if comparison.a.name == comparison.b.name:
        return "the first network", "the second network"
    return f"`{comparison.a.name}`", f"`{comparison.b.name}`"


def _verb(number: int, verb: str) -> str:
    """Return a verb for so many: `has` for one, `have` for more; it agrees with `none` as one."""
    single = {"have": "has", "are": "is"}
    return verb if number > 1 else single.get(verb, f"{verb}s")


def _structure(comparison: Comparison) -> str:
    """Say which parts are others, new or gone."""
    sentences = [_rewritten(row, comparison) for row in comparison.rewritten]
    for row_kind, what in ((comparison.removed, "gone"), (comparison.added, "new")):
        groups = dict[Place, list[Only]]()
        for only in row_kind:
            groups.setdefault(only.place, []).append(only)
        for place, group in groups.items():
            number = len(group) + sum(bool(only.until) for only in group)
            said = f"{joined([_only(only) for only in group])} {_verb(number, 'are')} {what}"
            sentences.append(said if place == Place() else f"in `{place.b}`, {said}")
    for wire in comparison.rewired:
        inside = "" if wire.place == Place() else f"in `{wire.place.b}`, "
        takes = f"takes {named(wire.after)}, not {named(wire.before)}"
        sentences.append(f"{inside}`{wire.key}` {takes}")
    return " ".join(map(_sentence, sentences))


def _rewritten(row: Rewriting, comparison: Comparison) -> str:
    inside = "" if row.place == Place() else f"in `{row.place.b}`, "
    if row.a == row.b and row.before and row.after:
        are = _verb(len(row.b), "are")
        names = named(row.b, comparison.b.parts)
        return f"{inside}{names} {are} `{row.after}`, not `{row.before}`"
    stand = _verb(len(row.b), "stand")
    a = _described(row.a, row.before, comparison.a.parts)
    b = _described(row.b, row.after, comparison.b.parts)
    return f"{inside}{b} {stand} in place of {a}"


def _described(keys: tuple[str, ...], what: str, parts: tuple[str, ...] = ()) -> str:
    """Name parts and say what they are, unless their name does."""
    names = named(keys, parts)
    return names if what in ("", *keys) else f"{names} (`{what}`)"


def _only(only: Only) -> str:
    if only.until:
        return f"`{only.key}` to `{only.until}` ({only.times} x `{only.what}`)"
    return _described((only.key,), only.what)


def _numbers(comparison: Comparison) -> str:
    """Say which numbers are written otherwise, equal ones at once."""
    values = dict[tuple[Place, str, str, str], list[str]]()
    for row in comparison.arguments:
        values.setdefault((row.place, row.name, row.before, row.after), []).append(row.b)
    groups = dict[tuple[Place, tuple[str, ...]], list[tuple[str, str]]]()
    for (place, name, before, after), keys in values.items():
        groups.setdefault((place, tuple(keys)), []).append((name, instead(before, after)))
    sentences = [_parameter(*row) for row in comparison.defaults]
    for (place, of_keys), pairs in groups.items():
        of = named(of_keys, comparison.b.parts) + ("" if place == Place() else f" in `{place.b}`")
        if len(pairs) == 1:
            sentences.append(f"`{pairs[0][0]}` of {of} is {pairs[0][1]}")
        else:
            sentences.append(f"of {of}, " + "; ".join(f"`{n}` is {v}" for n, v in pairs))
    return " ".join(map(_sentence, sentences))


def _parameter(name: str, before: str, after: str) -> str:
    """Say what a parameter of the network is now."""
    if before and after:
        return f"`{name}` is {instead(before, after)}"
    return f"the parameter `{name}` is {f'new: `{after}`' if after else f'gone: `{before}`'}"


def _conventions(comparison: Comparison) -> str:
    rows = [row for row in comparison.conventions if row.name not in TRAINING]
    phrases = conventions(rows)
    if comparison.a.presets == comparison.b.presets:
        return _sentence("; ".join(phrases))
    ours, theirs = (
        joined([f"`{name}`" for name in side.presets]) or "no preset"
        for side in (comparison.a, comparison.b)
    )
    text = f"it follows the conventions of {theirs}, not of {ours}"
    return _sentence(f"{text}: {'; '.join(phrases)}" if phrases else text)


def _training(comparison: Comparison) -> str:
    phrases = conventions([row for row in comparison.conventions if row.name in TRAINING])
    return _sentence(f"only in training: {'; '.join(phrases)}" if phrases else "")


def _input(comparison: Comparison) -> str:
    """Say what differs in the images that the networks take."""
    phrases = [
        f"its {name} is {instead(before, after)}" if after else f"no {name} (it was `{before}`)"
        for name, before, after in comparison.input
    ]
    return _sentence(f"the input differs: {'; '.join(phrases)}" if phrases else "")


def _cost(comparison: Comparison) -> str:
    """Say what the differences do to shapes, parameters and multiply-adds."""
    sentences = list[str]()
    groups = dict[tuple[str, str], list[str]]()
    resized = any(name == "size" for name, _, _ in comparison.input)
    for row in comparison.shapes:  # of another input, every map has another height and width
        if not resized or row.before.channels != row.after.channels:
            groups.setdefault((str(row.before), str(row.after)), []).append(row.b)
    some = [f"{named(k, comparison.b.parts)} from {a} to {b}" for (a, b), k in groups.items()]
    if some and not resized:
        sentences.append(f"these outputs change their shape: {joined(some)}")
    a, b = comparison.a, comparison.b
    if (a.parameters, a.multiply_adds) != (b.parameters, b.multiply_adds):
        sentences.append(
            f"{_change(a.parameters, b.parameters, 'parameters')}, and "
            f"{_change(a.multiply_adds, b.multiply_adds, 'multiply-adds')}"
        )
    return " ".join(map(_sentence, sentences))


def _change(before: int, after: int, what: str) -> str:
    """Say a number with its change: "parameters go from 1,000 to 990 (-1.0 %)"."""
    if before == after:
        return f"{what} stay {after:,}"
    return f"{what} go from {before:,} to {after:,} ({change(before, after)})"


def change(before: int, after: int) -> str:
    """Return a change in per cent, with its sign."""
    if before == after:
        return "the same"
    if not before:
        return "new"
    share = 100 * (after - before) / before
    return f"{share:+.1f} %" if abs(share) >= 0.05 else f"{after - before:+,}"


def _weights(comparison: Comparison) -> str:
    """Say which tensors of a file still fit."""
    keys = comparison.keys
    rows = (
        (len(keys.kept), "fit", "under its key", "under their keys"),
        (len(keys.moved), "fit", "under another key", "under another key"),
        (len(keys.reshaped), "have", "another shape", "another shape"),
        (len(keys.gone), "have", "no place", "no place"),
    )
    total = sum(number for number, *_ in rows)
    if len(keys.kept) == total and not keys.new:
        return _sentence(f"all {counted(total, 'tensor')} of a weights file fit") if total else ""
    parts = [
        f"{number or 'none'} {_verb(number, verb)} {many if number > 1 else one}"
        for number, verb, one, many in rows
    ]
    sentences = [f"of the {total} tensors in a file of {titles(comparison)[0]}, {joined(parts)}"]
    if keys.new:
        are = _verb(len(keys.new), "are")
        sentences.append(f"{counted(len(keys.new), 'tensor')} of {titles(comparison)[1]} {are} new")
    return " ".join(map(_sentence, sentences))
