"""Find the tensors of a network in a file: under which prefix, and under which layout.

Programs nest modules in modules and state dicts in dictionaries, so the names of a layout have a
prefix that no layout knows, such as `state_dict.model.`. It is found by searching for these names
at the ends of those in the file. Several sets of tensors may fit, such as weights and their moving
averages: then the user chooses one by its prefix.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TypeAlias

from incgen.graph.nodes import Graph
from incgen.weights.checkpoint import Stored, shown
from incgen.weights.errors import Fault
from incgen.weights.layout import Layout
from incgen.weights.matching import Anew, Match, Names, Tensors, is_left, match
from incgen.weights.numbering import renumbered, with_numbers

#: The part that has neither a prefix nor a slot.
TOP = "."
#: How many sets per layout are matched with the network in full.
_MOST_SETS = 24
#: Suffixes under which TensorFlow keeps the moving averages of variables.
_SLOT = re.compile(r"(.+)/(ExponentialMovingAverage(?:_\d+)?)")
_SEPARATOR = re.compile("[./]")

#: The place of a set of tensors: the prefix and the suffix of its names in the file.
Place: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A set of tensors, matched with a network under a layout."""

    prefix: str  #: The prefix of its names in the file
    slot: str  #: The suffix of its names, if they are averages of TensorFlow
    tensors: Tensors  #: The set, by the names that the layout uses
    match: Match  #: The result of matching it under the layout
    left: tuple[str, ...] = ()  #: Names of tensors that may be there without being needed
    #: What stands outside of the prefix and belongs to no set that fits the network
    beside: tuple[Stored, ...] = ()

    @property
    def part(self) -> str:
        """Return its name for users."""
        return part_of((self.prefix, self.slot))

    @property
    def layout(self) -> Layout:
        """Return the layout."""
        return self.match.layout

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Return the tensors that are missing, have no place, or have another shape."""
        misshapen = [fault for fault in self.match.faults if fault.kind == "misshapen"]
        other = [fault for fault in self.match.faults if fault.kind != "misshapen"]
        return (*other, *_faults("unexpected", self.match.unexpected), *misshapen)

    @property
    def strays(self) -> tuple[Fault, ...]:
        """Return what is beside the network, as lines of a report."""
        return _faults("not of this network", self.beside)


def part_of(place: Place) -> str:
    """Return the name of a set for users: its prefix or its slot without separators."""
    return ".".join(part for part in (place[0].rstrip("./"), place[1]) if part) or TOP


def _faults(kind: str, tensors: Sequence[Stored]) -> tuple[Fault, ...]:
    return tuple(Fault(kind, stored.name, shown(stored.shape)) for stored in tensors)


def views(tensors: Tensors) -> dict[str, Tensors]:
    """Return all tensors, and the averages in each slot under the names of their variables."""
    by_slot: dict[str, dict[str, Stored]] = {"": dict(tensors)}
    for name, stored in tensors.items():
        if slot := _SLOT.fullmatch(name):
            by_slot.setdefault(slot[2], {})[slot[1]] = stored
    return dict(by_slot)


def search(
    graph: Graph,
    tensors: Tensors,
    layouts: Sequence[Layout],
    *,
    part: str | None = None,
    anew: Anew | None = None,
    rules: Mapping[str, str] | None = None,
    ignore: Collection[str] = (),
) -> list[Candidate]:
    """Return all sets of tensors that can belong to a network, under each layout.

    Args:
        graph: The network.
        tensors: The tensors of the file.
        layouts: The layouts to try.
        part: The name of the sets to look for; there may be none.
        anew: What is reinitialised instead of imported.
        rules: Their layers for some of ours, without the prefix or as in the file.
        ignore: Wildcards of what may be left over.
    """
    # Most layouts of a network are for another kind of file: they only matter if nothing fits.
    for tried in ([layout for layout in layouts if _has_kernels(tensors, layout)], layouts):
        candidates = [
            c
            for layout in tried
            for c in _under(graph, layout, views(tensors), part, anew or Anew(), rules or {})
        ]
        if not all(c.match.faults for c in candidates):
            break
    lists = _lists(tensors)
    for whole in [c for c in candidates if lists and not c.match.faults]:
        candidates += _in_lists(whole, Names(graph, whole.layout, rules), lists, anew or Anew())
    candidates = [_completed(c, graph, candidates) for c in candidates]
    if part is None:
        candidates = [c for c in candidates if not _is_ignored(c)] or candidates
    owners: dict[str, set[str]] = {}
    for rival in (c for c in candidates if not c.match.faults):
        for stored in _owned(rival):
            owners.setdefault(stored.name, set()).add(rival.part)
    candidates = [_among(c, owners, tensors, tuple(ignore)) for c in candidates]
    if part is None:
        return candidates
    called = [c for c in candidates if is_called(part, c.part)]
    return [c for c in called if c.part == part] or called


def _has_kernels(tensors: Tensors, layout: Layout) -> bool:
    """Return whether a file has kernels that are called as in a layout's convention."""
    convention = layout.convention
    slots = (convention.slots[op]["weight"] for op in ("conv", "depthwise_conv", "dense"))
    ends = tuple(f"{convention.separator}{name}" for slot in slots for name in slot.names)
    return any(name.endswith(ends) for name in tensors)


def is_called(name: str, part: str) -> bool:
    """Return whether a name refers to a part: by all of it, or by some of its components."""
    if part == TOP or name == TOP:
        return name == part
    wanted, whole = (".".join(_SEPARATOR.split(text.strip("./"))) for text in (name, part))
    return f".{wanted}." in f".{whole}."


def _under(
    graph: Graph,
    layout: Layout,
    seen: Mapping[str, Tensors],
    part: str | None,
    anew: Anew,
    rules: Mapping[str, str],
) -> Iterator[Candidate]:
    """Yield the most promising sets under a layout, matched with the network."""
    if layout.numbered:
        numbers = renumbered(name.partition("/")[0] for name in seen[""])
        rules = {ours: numbers.get(theirs, theirs) for ours, theirs in rules.items()}
        seen = {slot: with_numbers(view) for slot, view in seen.items()}
    names = Names(graph, layout, rules)
    said = tuple(f"{theirs}{layout.convention.separator}" for theirs in rules.values())
    for prefix, slot in _places(names, seen, part, anew):
        below = {
            name[len(prefix) :]: stored
            for name, stored in seen[slot].items()
            if name.startswith(prefix)
        }
        for name, stored in seen[slot].items():
            if name.startswith(said) and not name.startswith(prefix):
                below[name] = stored
        yield Candidate(prefix, slot, below, match(names, below, prefix, anew))


def _places(names: Names, seen: Mapping[str, Tensors], part: str | None, anew: Anew) -> list[Place]:
    """Return the places with at least half of the network, or else the one with most of it."""
    keys = names.keys()
    covers: dict[Place, set[str]] = {}
    for slot, view in seen.items():
        for name in view:
            for prefix in _prefixes(name, numbered=names.layout.numbered):
                if ours := keys.get(name[len(prefix) :]):
                    covers.setdefault((prefix, slot), set()).update(ours)
    new = {key for key in names.graph.tensors() if key.rpartition(".")[0] in anew.layers}
    half = (len(names.graph.tensors()) - len(new)) / 2
    # Shorter prefixes first, so that outer ones win among equals.
    best = sorted(covers, key=lambda place: (-len(covers[place] - new), len(place[0]), place))
    chosen = [place for place in best[:_MOST_SETS] if len(covers[place] - new) >= half]
    if part is not None and not any(is_called(part, part_of(place)) for place in chosen):
        called = [place for place in best if is_called(part, part_of(place))]
        chosen += called[:1]
    return chosen or best[:1] or [("", "")]


def _prefixes(name: str, *, numbered: bool) -> Iterator[str]:
    """Yield all possible prefixes of a name of a layout; none where Keras numbered."""
    yield ""
    for separator in () if numbered else _SEPARATOR.finditer(name):
        yield name[: separator.end()]


def _lists(tensors: Tensors) -> dict[str, list[Stored]]:
    """Return the tensors that have positions in lists instead of names, by prefix."""
    lists: dict[str, list[Stored]] = {}
    for name, stored in tensors.items():
        prefix, _, place = name.rpartition(".")
        items = lists.setdefault(f"{prefix}.", [])
        if place == str(len(items)):
            items.append(stored)
    return {prefix: items for prefix, items in lists.items() if items}


def _in_lists(
    whole: Candidate, names: Names, lists: Mapping[str, list[Stored]], anew: Anew
) -> Iterator[Candidate]:
    """Yield averages without names: lists of tensors like the parameters of a set, in order."""
    statistics = {key for key, tensor in names.graph.tensors().items() if not tensor.trained}
    trained = {
        stored.name
        for key, recipe in whole.match.recipes.items()
        for stored in (recipe.sources if key not in statistics else (recipe.minus,))
        if stored is not None
    }
    trained |= {check.stored.name for check in whole.match.checks}
    parameters = {name: s for name, s in whole.tensors.items() if s.name in trained}
    for prefix, items in lists.items():
        if [s.shape for s in items] == [s.shape for s in parameters.values()]:
            below = dict(zip(parameters, items, strict=True))
            yield Candidate(prefix, "", below, match(names, below, prefix, anew))


# ---------------------------------------------------------------- one set among others


def _completed(one: Candidate, graph: Graph, candidates: Sequence[Candidate]) -> Candidate:
    """Add the statistics of another set to averages that cover only parameters."""
    statistics = {key for key, tensor in graph.tensors().items() if not tensor.trained}
    missing = {fault.key for fault in one.match.faults if fault.kind == "missing"}
    if not missing or len(missing) < len(one.match.faults) or not missing <= statistics:
        return one
    whole = (c for c in candidates if c.layout is one.layout and not c.match.faults)
    other = next(whole, None)
    if other is None:
        return one
    recipes = {
        key: one.match.recipes.get(key) or replace(other.match.recipes[key], part=other.part)
        for key in graph.tensors()
    }
    return replace(one, match=replace(one.match, recipes=recipes, faults=()))


def _is_ignored(one: Candidate) -> bool:
    """Return whether the layout ignores the whole set: its author has chosen another."""
    sources = [
        stored.name
        for recipe in one.match.recipes.values()
        for stored in recipe.sources
        if not recipe.part
    ]
    ignored = one.layout.ignored
    return bool(sources) and all(
        any(fnmatchcase(name, pattern) for pattern in ignored) for name in sources
    )


def _among(
    one: Candidate, owners: Mapping[str, set[str]], tensors: Tensors, ignore: tuple[str, ...]
) -> Candidate:
    """Return a set that knows which tensors belong to other fitting sets, and which to none."""
    match = one.match

    def may_be_left(stored: Stored) -> bool:
        ignored = any(fnmatchcase(stored.name, pattern) for pattern in ignore)
        return ignored or bool(owners.get(stored.name, set()) - {one.part})

    unexpected = tuple(stored for stored in match.unexpected if not may_be_left(stored))
    left = [stored.name for stored in match.unexpected if may_be_left(stored)]
    inside = {stored.name for stored in one.tensors.values()}
    inside |= {s.name for recipe in match.recipes.values() for s in recipe.sources}
    beside = []
    for name, stored in tensors.items():
        if stored.name in inside:
            continue
        if may_be_left(stored):
            left.append(stored.name)
        elif not is_left(name, stored, match.layout):
            beside.append(stored)
    made = replace(match, left=(), unexpected=unexpected)
    return replace(one, match=made, left=(*match.left, *left), beside=tuple(beside))


def _owned(one: Candidate) -> Iterator[Stored]:
    """Yield the tensors of a set that the network or its training program knows."""
    without = {stored.name for stored in one.match.unexpected}
    return (stored for stored in one.tensors.values() if stored.name not in without)
