"""Describe how a deployed file loads and folds the weights of its training form, in few lines.

Most networks fold the same way everywhere: behind every `conv` there is a `bn`. Such a line names
the layers with a wildcard, `*.conv`, if that says exactly what the network folds; otherwise each
has a line of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from incgen.graph.changes import Dropped, FoldedNorm, FoldedScale
from incgen.graph.nodes import Deployment, Graph
from incgen.language.expressions import Literal
from incgen.language.printing import python

#: What a layer whose parameters end in `.weight` is called by its key.
_KERNEL, _VARIANCE = ".weight", ".running_var"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the loader: what is folded into which layers."""

    layer: str  #: The path of a layer; `*.` in front stands for any labels
    norm: str  #: The path of its normalisation; "" for a factor
    number: float  #: The epsilon of the normalisation, or the factor
    first: int = 0  #: The channel of the normalisation that is the layer's first
    skip: tuple[str, ...] = ()  #: The normalisations that a wildcard does not stand for

    @property
    def value(self) -> str:
        """Return the number as Python source."""
        return python(Literal(self.number))


@dataclass(frozen=True, slots=True)
class Loader:
    """The weights of a deployed file, as its template needs them."""

    passes: str  #: The passes that made the file, as weights files name them
    dropped: tuple[str, ...]  #: The beginnings of keys that it has no use for
    lines: tuple[Line, ...]  #: What it folds, in order
    mark: str  #: The tensor of a folded file that is no weight; "" if there is none


def loader(graph: Graph) -> Loader | None:
    """Return how a network loads the weights of its training form; None if it is that itself."""
    made = graph.deployment
    if made is None:
        return None
    dropped = _dropped(made)
    keys = [key for key in made.training.tensors() if not key.startswith(dropped)]
    lines = [_line(change) for change in made.changes if not isinstance(change, Dropped)]
    short = _short(lines, keys)
    same = _by_layer(place for line in short for place in _places(line, keys)) == _by_layer(lines)
    return Loader(made.label, dropped, tuple(short if same else lines), graph.mark())


def _line(change: FoldedNorm | FoldedScale) -> Line:
    if isinstance(change, FoldedScale):
        return Line(change.layer, "", change.factor)
    return Line(change.layer, change.norm, change.eps, change.first)


def _short(lines: Iterable[Line], keys: list[str]) -> list[Line]:
    """Return lines with wildcards, where those say exactly what lines of single layers say."""
    short = list(lines)
    for begin in (0, 1):  # `*.conv` if that is exact, else `block.*.conv`
        groups: dict[Line, list[Line]] = {}
        for line in short:
            groups.setdefault(_wild(line, begin), []).append(line)
        short = []
        for wild, group in groups.items():
            places, own = dict.fromkeys(_places(wild, keys)), set(group)
            others = tuple(place.norm for place in places if place not in own)
            whole = len(group) > 1 + len(others) and own <= places.keys()
            # a layer without a normalisation has no name that a factor could spare
            exact = whole and all(others)
            short += [replace(wild, skip=others)] if exact else group
    return short


def _wild(line: Line, begin: int) -> Line:
    """Return a line in which a wildcard stands for all labels but the last, and some first ones."""
    if "*" in line.layer:
        return line
    layer, norm = line.layer.split("."), line.norm.split(".")
    own = 1  # how many labels at the end are not those of the other
    while line.norm and own < min(len(layer), len(norm)) and layer[:-own] != norm[:-1]:
        own += 1
    if len(layer) <= begin + own or (line.norm and layer[:-own] != norm[:-1]):
        return line
    start = [*layer[:begin], "*"]
    name = ".".join([*start, norm[-1]]) if line.norm else ""
    return Line(".".join([*start, *layer[-own:]]), name, line.number, line.first)


def _places(line: Line, keys: list[str]) -> Iterator[Line]:
    """Yield the lines of single layers that a line stands for, as the loader finds them."""
    pattern, end = (line.norm, _VARIANCE) if line.norm else (line.layer, _KERNEL)
    if "*" not in pattern:
        yield line
        return
    head, _, tail = f"{pattern}{end}".partition("*")
    for key in keys:
        if key.startswith(head) and key.endswith(tail) and len(key) >= len(head) + len(tail):
            inner = key[len(head) : len(key) - len(tail)]
            layer, norm = line.layer.replace("*", inner), line.norm.replace("*", inner)
            if norm not in line.skip or not norm:
                yield Line(layer, norm, line.number, line.first)


def _by_layer(lines: Iterable[Line]) -> dict[str, list[Line]]:
    """Return what each layer takes, in order: only within a layer does the order matter."""
    ordered = sorted(lines, key=lambda line: line.layer)
    return {layer: [*group] for layer, group in groupby(ordered, key=lambda line: line.layer)}


def _dropped(made: Deployment) -> tuple[str, ...]:
    """Return the beginnings of keys that are dropped: whole labels of the network if possible."""
    paths = [change.layer for change in made.changes if isinstance(change, Dropped)]
    every = [node.path for node in made.training.nodes if node.tensors]
    prefixes: dict[str, None] = {}
    for path in paths:
        top = path.split(".")[0]
        whole = all(other in paths for other in every if other.split(".")[0] == top)
        prefixes[f"{top if whole else path}."] = None
    return tuple(prefixes)
