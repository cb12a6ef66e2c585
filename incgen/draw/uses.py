"""The uses of a block in a network, as the rows of a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from incgen.draw.diagram import Facts
from incgen.draw.network import Network
from incgen.graph.nest import Body, Repeated, Used, bodies


@dataclass(frozen=True, slots=True)
class Use:
    """A use of a block, or some that are alike."""

    label: str  #: The key
    all: tuple[Used, ...]
    facts: Facts  #: The cost of all of them, and the output of the last

    @property
    def first(self) -> Used:
        """Return the first of them."""
        return self.all[0]


def uses(network: Network, name: str) -> list[Use]:
    """Return the uses of a block in order, with iterations that are alike as one."""
    result = []
    for label, same in _uses_in(network.body, name, network):
        costs = [network.facts(used) for used in same]
        total = replace(
            costs[-1],
            parameters=sum(facts.parameters for facts in costs),
            multiply_adds=sum(facts.multiply_adds for facts in costs),
        )
        result.append(Use(label, tuple(same), total))
    return result


def _uses_in(body: Body, name: str, network: Network) -> Iterator[tuple[str, Sequence[Used]]]:
    for item in body.items:
        if isinstance(item, Used) and item.definition.name == name:
            yield item.path, [item]
        if isinstance(item, Repeated):
            for run in network.runs(item):
                whole = len(run) == len(item.bodies)
                inside = (_uses_in(iteration, name, network) for iteration in run)
                for same in zip(*inside, strict=True):
                    label = _short(same[0][0], item, whole)
                    yield label, [used for _, group in same for used in group]
            continue
        for inner in bodies(item):
            yield from _uses_in(inner, name, network)


def _short(label: str, repeat: Repeated, whole: bool) -> str:
    """Return a key without the number of the iteration, if all are alike."""
    first = f"{repeat.path}.0"
    if whole and (label == first or label.startswith(f"{first}.")):
        return repeat.path + label.removeprefix(first)
    return label
