"""Find the tensors of a network in a file: under which prefix, and under which layout.

Programs put modules into modules and state dicts into dictionaries, so the names of a layout stand
behind a prefix that no layout knows, such as `state_dict.model.`. It is found by looking for these
names at the ends of those in the file. Several sets of tensors may fit, such as weights and their
moving averages: then the user chooses one by its prefix.
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
#: Tensors that are held against the network in full: sets of a layout.
_MOST_SETS = 24
#: Names behind which TensorFlow keeps the moving averages of variables.
_SLOT = re.compile(r"(.+)/(ExponentialMovingAverage(?:_\d+)?)")
_SEPARATOR = re.compile("[./]")

#: Where a set of tensors is: what its names begin with in the file, and what they end in.
Place: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Found:
    """A set of tensors, held against a network under a layout."""

    prefix: str  #: What its names begin with in the file
    slot: str  #: What its names end in, where they are averages of TensorFlow
    tensors: Tensors  #: The set, by the names that the layout uses
    match: Match  #: What the layout makes of the set
    left: tuple[str, ...] = ()  #: Names of what may be there without being needed
    #: What stands outside of the prefix and belongs to no set that fits the network
    beside: tuple[Stored, ...] = ()

    @property
    def part(self) -> str:
        """Return what the user calls it."""
        return part_of((self.prefix, self.slot))

    @property
    def layout(self) -> Layout:
        """Return the layout."""
        return self.match.layout

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Return what is missing, what has no place, and what has another shape."""
        misshapen = [fault for fault in self.match.faults if fault.kind == "misshapen"]
        other = [fault for fault in self.match.faults if fault.kind != "misshapen"]
        return (*other, *_faults("unexpected", self.match.unexpected), *misshapen)

    @property
    def strays(self) -> tuple[Fault, ...]:
        """Return what is beside the network, as lines of a report."""
        return _faults("not of this network", self.beside)


def part_of(place: Place) -> str:
    """Return what the user calls a set: its prefix or its slot without separators."""
    return ".".join(part for part in (place[0].rstrip("./"), place[1]) if part) or TOP


def _faults(kind: str, tensors: Sequence[Stored]) -> tuple[Fault, ...]:
    return tuple(Fault(kind, stored.name, shown(stored.shape)) for stored in tensors)


def views(tensors: Tensors) -> dict[str, Tensors]:
    """Return all tensors, and the averages in each slot under the names of their variables."""
    found: dict[str, dict[str, Stored]] = {"": dict(tensors)}
    for name, stored in tensors.items():
        if slot := _SLOT.fullmatch(name):
            found.setdefault(slot[2], {})[slot[1]] = stored
    return dict(found)


def search(
    graph: Graph,
    tensors: Tensors,
    layouts: Sequence[Layout],
    *,
    part: str | None = None,
    anew: Anew | None = None,
    rules: Mapping[str, str] | None = None,
    ignore: Collection[str] = (),
) -> list[Found]:
    """Return all sets of tensors that can be those of a network, each under each layout.

    Args:
        graph: The network.
        tensors: The tensors of the file.
        layouts: The layouts to try.
        part: The only sets to look for are called so; there may be none.
        anew: What is drawn instead of being taken.
        rules: Their layers for some of ours, behind the prefix or as the file calls them.
        ignore: Wildcards of what may be left.
    """
    found = [
        each
        for layout in layouts
        for each in _under(graph, layout, views(tensors), part, anew or Anew(), rules or {})
    ]
    lists = _lists(tensors)
    for whole in [each for each in found if lists and not each.match.faults]:
        found += _in_lists(whole, Names(graph, whole.layout, rules), lists, anew or Anew())
    found = [_completed(each, graph, found) for each in found]
    if part is None:
        found = [each for each in found if not _is_ignored(each)] or found
    owners: dict[str, set[str]] = {}
    for rival in (each for each in found if not each.match.faults):
        for stored in _owned(rival):
            owners.setdefault(stored.name, set()).add(rival.part)
    found = [_among(each, owners, tensors, tuple(ignore)) for each in found]
    if part is None:
        return found
    called = [each for each in found if is_called(part, each.part)]
    return [each for each in called if each.part == part] or called


def is_called(name: str, part: str) -> bool:
    """Return whether a name is meant for a part: all of it, or some of its components."""
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
) -> Iterator[Found]:
    """Give the sets that are worth a look under a layout, held against the network."""
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
        yield Found(prefix, slot, below, match(names, below, prefix, anew))


def _places(names: Names, seen: Mapping[str, Tensors], part: str | None, anew: Anew) -> list[Place]:
    """Return where at least half of the network is, or else where most of it is."""
    keys = names.keys()
    covers: dict[Place, set[str]] = {}
    for slot, view in seen.items():
        for name in view:
            for prefix in _prefixes(name, numbered=names.layout.numbered):
                if found := keys.get(name[len(prefix) :]):
                    covers.setdefault((prefix, slot), set()).update(found)
    new = {key for key in names.graph.tensors() if key.rpartition(".")[0] in anew.layers}
    half = (len(names.graph.tensors()) - len(new)) / 2
    # Shorter prefixes first: of equals, what is further up.
    best = sorted(covers, key=lambda place: (-len(covers[place] - new), len(place[0]), place))
    chosen = [place for place in best[:_MOST_SETS] if len(covers[place] - new) >= half]
    if part is not None and not any(is_called(part, part_of(place)) for place in chosen):
        called = [place for place in best if is_called(part, part_of(place))]
        chosen += called[:1]
    return chosen or best[:1] or [("", "")]


def _prefixes(name: str, *, numbered: bool) -> Iterator[str]:
    """Give all that can stand in front of a name of a layout; nothing where Keras numbered."""
    yield ""
    for separator in () if numbered else _SEPARATOR.finditer(name):
        yield name[: separator.end()]


def _lists(tensors: Tensors) -> dict[str, list[Stored]]:
    """Return the tensors that have places in lists for names, by what is in front."""
    found: dict[str, list[Stored]] = {}
    for name, stored in tensors.items():
        prefix, _, place = name.rpartition(".")
        items = found.setdefault(f"{prefix}.", [])
        if place == str(len(items)):
            items.append(stored)
    return {prefix: items for prefix, items in found.items() if items}


def _in_lists(
    whole: Found, names: Names, lists: Mapping[str, list[Stored]], anew: Anew
) -> Iterator[Found]:
    """Give averages without names: lists of tensors like the parameters of a set, in order."""
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
            yield Found(prefix, "", below, match(names, below, prefix, anew))


# ---------------------------------------------------------------- one set among others


def _completed(one: Found, graph: Graph, found: Sequence[Found]) -> Found:
    """Add the statistics of another set to averages that were kept of parameters only."""
    statistics = {key for key, tensor in graph.tensors().items() if not tensor.trained}
    missing = {fault.key for fault in one.match.faults if fault.kind == "missing"}
    if not missing or len(missing) < len(one.match.faults) or not missing <= statistics:
        return one
    whole = (each for each in found if each.layout is one.layout and not each.match.faults)
    other = next(whole, None)
    if other is None:
        return one
    recipes = {
        key: one.match.recipes.get(key) or replace(other.match.recipes[key], part=other.part)
        for key in graph.tensors()
    }
    return replace(one, match=replace(one.match, recipes=recipes, faults=()))


def _is_ignored(one: Found) -> bool:
    """Return whether the layout leaves the whole set: its author has chosen another."""
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
    one: Found, owners: Mapping[str, set[str]], tensors: Tensors, ignore: tuple[str, ...]
) -> Found:
    """Return a set that knows which tensors belong to others that fit, and which to none."""
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


def _owned(one: Found) -> Iterator[Stored]:
    """Give the tensors of a set that the network, or what trains it, knows."""
    without = {stored.name for stored in one.match.unexpected}
    return (stored for stored in one.tensors.values() if stored.name not in without)
