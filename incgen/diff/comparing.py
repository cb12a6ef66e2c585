"""Compare two graphs: collect what differs between the parts that both have, and what is left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby

from incgen.diff import phrases
from incgen.diff.aligning import Aligned, Matched, Rewritten, align, layers
from incgen.diff.arguments import value
from incgen.diff.attributes import conventions
from incgen.diff.changes import (
    CHANGED,
    NEW,
    TRAINING,
    Argument,
    Comparison,
    Convention,
    Exchange,
    Only,
    Place,
    Renaming,
    Reshaped,
    Rewriting,
    Side,
)
from incgen.diff.keys import keys_of
from incgen.diff.parts import Part, parts_of
from incgen.diff.wiring import rewired
from incgen.diff.written import Site, sites
from incgen.graph.nodes import Graph, Node, Use
from incgen.graph.shapes import chosen
from incgen.graph.words import TOLD
from incgen.language.ops import OPS


def compare(a: Graph, b: Graph, sources: tuple[str, str]) -> Comparison:
    """Compare two networks; `sources` is how their specs were asked for."""
    ours, theirs = parts_of(a), parts_of(b)
    aligned = align(ours, theirs)
    collector = _Collector()
    collector.walk(aligned, (None, None))
    attributes, wires = conventions(aligned), rewired(a, b, aligned)
    return Comparison(
        _side(a, sources[0], ours),
        _side(b, sources[1], theirs),
        _input(a, b),
        _defaults(a, b),
        attributes,
        tuple(collector.arguments.values()),
        _rows(collector.removed.values()),
        _rows(collector.added.values()),
        tuple(collector.rewritten.values()),
        wires,
        tuple(Renaming(place, tuple(pairs)) for place, pairs in collector.renamed.items()),
        collector.definitions(),
        tuple(Exchange(place, tuple(keys)) for place, keys in collector.exchanged.items()),
        _shapes(aligned),
        _layers(b, aligned, attributes),
        (sum(isinstance(entry, Matched) for entry in aligned) - 1, len(ours) - 1),
        keys_of(a, b, aligned),
    )


def _side(graph: Graph, source: str, parts: Sequence[Part]) -> Side:
    sources = (s for n in graph.nodes if n.call for s in n.call.sources.values())
    presets = dict.fromkeys(source.preset for source in sources if source.preset)
    outputs = {name: graph.nodes[index].shape for name, index in graph.outputs.items()}
    return Side(
        graph.program.network.name,
        source,
        dict(graph.program.settings),
        tuple(presets),
        tuple(part.path for part in parts),
        graph.input,
        outputs,
        graph.trained,
        graph.multiply_adds,
    )


def _input(a: Graph, b: Graph) -> tuple[tuple[str, str, str], ...]:
    """Return what is said otherwise about the input: its size, and its pixels."""
    rows = [("size", str(a.input), str(b.input))]
    ours, theirs = a.program.network.pixels, b.program.network.pixels
    for name in ("order", "range", "mean", "std"):
        values = [_listed(getattr(pixels, name, None)) for pixels in (ours, theirs)]
        rows.append((name, values[0], values[1]))
    return tuple(row for row in rows if row[1] != row[2])


def _listed(given: object) -> str:
    if isinstance(given, tuple):
        return f"[{', '.join(map(value, given))}]" if given else ""
    return value(given)


def _defaults(a: Graph, b: Graph) -> tuple[tuple[str, str, str], ...]:
    """Return the parameters of the networks that have other values, or that one of them lacks."""
    names = dict.fromkeys([*a.parameters, *b.parameters])
    rows = ((name, value(a.parameters.get(name)), value(b.parameters.get(name))) for name in names)
    return tuple(row for row in rows if row[1] != row[2])


def _shapes(aligned: Sequence[Aligned]) -> tuple[Reshaped, ...]:
    """Return the parts of the networks' own bodies whose output has another shape."""
    pairs = [(m.a, m.b) for m in aligned if isinstance(m, Matched)]
    return tuple(
        Reshaped(a.path, b.path, a.nodes[-1].shape, b.nodes[-1].shape)
        for a, b in pairs
        if a.nodes[-1].shape != b.nodes[-1].shape
    )


def _layers(
    b: Graph, aligned: Sequence[Aligned], attributes: Sequence[Convention]
) -> dict[str, str]:
    """Return the layers of the second network that are new or changed.

    What every layer of an op follows marks none, and neither does what only matters in training.
    """
    both = {pair.b.path: (pair.a.node, pair.b.node) for pair in layers(aligned)}
    local = {
        key
        for row in attributes
        if row.differ and not row.everywhere and row.name not in TRAINING
        for key in row.layers
    }
    states = dict[str, str]()
    for node in b.nodes:
        if node.path not in both:
            states[node.path] = NEW
            continue
        ours, theirs = both[node.path]
        kinds = {chosen(layer.op, layer.args) for layer in (ours, theirs)}
        if node.path in local or len(kinds) > 1 or _numbers_differ(ours, theirs):
            states[node.path] = CHANGED
    return states


def _numbers_differ(a: Node, b: Node) -> bool:
    names = [name for name in _numbers(a.op) if name != "kind"]
    return any(a.args.get(name) != b.args.get(name) for name in names)


def _rows(parts: Iterable[Only]) -> tuple[Only, ...]:
    """Put parts in a row into one: equal ones, as of a `repeat`, and those under one label."""
    rows = list[Only]()
    for (_, what, stem), group in groupby(parts, key=lambda p: (p.place, p.what, _stem(p.key))):
        members = list(group)
        if len(members) > 1 and stem:
            rows.append(replace(members[0], what=what, times=len(members), until=members[-1].key))
        else:
            rows += members
    whole = list[Only]()
    for (_, label), group in groupby(rows, key=lambda p: (p.place, p.key.partition(".")[0])):
        members = list(group)
        if len(members) > 1 and not any(row.until for row in members):
            what = " -> ".join(row.what for row in members) if len(members) <= _MOST else ""
            total = sum(row.parameters for row in members)
            whole.append(replace(members[0], key=label, what=what, parameters=total))
        else:
            whole += members
    return tuple(whole)


#: How many parts under one label are written out.
_MOST = 6


def _stem(key: str) -> str:
    """Return the key of the `repeat` that a part comes from; "" for none."""
    stem, _, number = key.rpartition(".")
    return stem if number.isdigit() else ""


_Uses = tuple[Use | None, Use | None]


class _Collector:
    """Walks over aligned parts; what is in a definition is collected once for all its uses."""

    def __init__(self) -> None:
        self.arguments: dict[tuple[Place, str, str, str, str, str], Argument] = {}
        self.removed: dict[tuple[Place, str], Only] = {}
        self.added: dict[tuple[Place, str], Only] = {}
        self.rewritten: dict[tuple[Place, tuple[str, ...], tuple[str, ...]], Rewriting] = {}
        self.renamed: dict[Place, dict[tuple[str, str], None]] = {}
        self.exchanged: dict[Place, dict[str, None]] = {}
        self._definitions: dict[tuple[str, str], None] = {}

    def walk(self, aligned: Sequence[Aligned], uses: _Uses) -> None:
        """Collect what differs between the parts of two networks, or of two uses."""
        place = _place(uses)
        for entry in aligned:
            match entry:
                case Matched(a, b, inner):
                    self.matched(a, b, place)
                    if a.use is not None:
                        self.walk(inner, (a.use, b.use))
                case Rewritten(ours, theirs, _) if ours and theirs:
                    self.rewriting(ours, theirs, place)
                case Rewritten(ours, theirs, _):
                    for part in ours:
                        self.only(self.removed, part, place)
                    for part in theirs:
                        self.only(self.added, part, place)

    def matched(self, a: Part, b: Part, place: Place) -> None:
        """Collect what differs between two parts themselves."""
        if a.name != b.name and (a.labelled or b.labelled):
            self.renamed.setdefault(place, {})[a.name, b.name] = None
        if a.use is not None and b.use is not None:
            self._definitions[a.says, b.says] = None
            if a.says != b.says:
                where = b.path if place == Place() else b.path.split(".")[0]
                self.exchanged.setdefault(Place(a.says, b.says), {})[where] = None
        elif a.node.op != b.node.op:
            self.rewriting((a,), (b,), place)
        else:
            for name in _numbers(a.node.op):
                if a.node.args.get(name) != b.node.args.get(name):
                    for site in sites(a.node, b.node, name):
                        self.argument(site)

    def argument(self, site: Site) -> None:
        """Collect a value where it is written."""
        place = _place(site.outer)
        ours, theirs = (
            path.removeprefix(f"{use.path}.") if use is not None else path
            for path, use in zip(site.paths, site.outer, strict=True)
        )
        key = (place, ours, theirs, site.name, *site.values)
        known = self.arguments.get(key)
        count = known.layers + 1 if known else 1
        self.arguments[key] = Argument(place, ours, theirs, site.name, *site.values, count)

    def only(self, known: dict[tuple[Place, str], Only], part: Part, place: Place) -> None:
        """Collect a part that one network lacks."""
        key = (place, part.name)
        if key in known:
            known[key] = replace(known[key], times=known[key].times + 1)
            return
        parameters = sum(node.parameters for node in part.nodes)
        known[key] = Only(place, part.name, phrases.part(part), parameters, 1)

    def rewriting(self, a: tuple[Part, ...], b: tuple[Part, ...], place: Place) -> None:
        """Collect parts in place of others."""
        ours, theirs = tuple(p.name for p in a), tuple(p.name for p in b)
        key = (place, ours, theirs)
        if key in self.rewritten:
            known = self.rewritten[key]
            self.rewritten[key] = replace(known, times=known.times + 1)
            return
        texts = phrases.chain(a), phrases.chain(b)
        self.rewritten[key] = Rewriting(place, ours, theirs, *texts, 1)

    def definitions(self) -> tuple[tuple[str, str], ...]:
        """Return the definitions that have another name, and no other counterpart."""
        ours = [a for a, _ in self._definitions]
        theirs = [b for _, b in self._definitions]
        return tuple(
            (a, b)
            for a, b in self._definitions
            if a != b and ours.count(a) == 1 and theirs.count(b) == 1
        )


def _place(uses: _Uses) -> Place:
    a, b = (use.definition.name if use is not None else "" for use in uses)
    return Place(a, b)


def _numbers(op: str) -> list[str]:
    """Return the arguments of an op that are numbers of the network, not conventions."""
    row = OPS.get(op)
    if row is None:
        return []
    return [a.name for a in row.arguments if a.positional or a.name in TOLD]
