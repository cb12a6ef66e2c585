"""Follow a value that differs to the place where it is written.

A number of a layer may be given by the use of a unit, which takes it from a parameter of a block,
which a use in the network sets: there it is written, and there it is reported, once for all that it
changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from incgen.diff.arguments import Written, argument, parameters, value, written
from incgen.graph.nodes import Node, Use
from incgen.language import expressions as ex
from incgen.resolve.written import expressions_of


@dataclass(frozen=True)
class Site:
    """A value in both networks, at the place where it is written."""

    #: The uses in whose definitions it is written; None for the networks
    outer: tuple[Use | None, Use | None]
    #: The keys of the layers or uses that it is given to; "" for the networks themselves
    paths: tuple[str, str]
    name: str  #: What it is given as
    values: tuple[str, str]  #: The values as they are written


def sites(a: Node, b: Node, name: str) -> Iterator[Site]:
    """Yield where the difference of an argument of two layers is written.

    Nothing is yielded if it follows from something else: the channels of the input, say, or a
    parameter of the network.
    """
    values = (value(a.args.get(name)), value(b.args.get(name)))
    yield from _follow(argument(a, name), argument(b, name), name, values)


def _follow(a: Written, b: Written, name: str, values: tuple[str, str]) -> Iterator[Site]:
    """Yield where two values differ, given as they are in the end."""
    ours, theirs = sorted(set(parameters(a.value))), sorted(set(parameters(b.value)))
    renamed = len(ours) == len(theirs) == 1
    pairs = [*zip(ours, theirs, strict=True)] if renamed or ours == theirs else []
    for mine, other in pairs:
        yield from _given(a, b, mine, other)
    names = {mine: ex.Parameter(other) for mine, other in pairs}
    before = [ex.substitute(part, names, {}) for part in expressions_of(a.value)]
    if before == [*expressions_of(b.value)] and (before or a.value == b.value):
        return
    if ours and theirs:
        values = (written(a.value), written(b.value))
    yield Site((a.around, b.around), (a.path, b.path), name, values)


def _given(a: Written, b: Written, ours: str, theirs: str) -> Iterator[Site]:
    """Yield where the values of a parameter differ."""
    if a.around is None or b.around is None:
        return  # a parameter of the network, which is compared by itself
    mine, other = a.around.given.get(ours), b.around.given.get(theirs)
    yield from _follow(
        Written(mine, a.around.outer, a.around.path),
        Written(other, b.around.outer, b.around.path),
        ours,
        (written(mine), written(other)),
    )
