"""The same generated files with other arguments: other values for the parameters of the network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from incgen.diagnostics import Reporter, SpecError
from incgen.elaborate import elaborate
from incgen.expressions import Value
from incgen.graph import Graph
from incgen.names import class_name
from incgen.ops import WORDS
from incgen.records import record
from incgen.targets import TARGETS


@record
class Another:
    """The same network with other values for its parameters.

    Attributes:
        arguments: for the class or function of the generated file; none if no others fit.
        graph: the network that they make.
    """

    arguments: dict[str, Any]
    graph: Graph

    @property
    def given(self) -> str:
        """The arguments, for reports."""
        return ", ".join(f"{name}={value}" for name, value in self.arguments.items())


def another(graph: Graph, targets: Iterable[str]) -> Another:
    """Another value for every parameter, as far as the spec and the targets take one."""
    found = Another({}, graph)
    for name, value in graph.parameters.items():
        for other in _others(value):
            arguments = {**found.arguments, name: other}
            made = elaborate(graph.program, {**graph.parameters, **arguments}, Reporter())
            if made is not None and _expressible(made, targets):
                found = Another(arguments, made)
                break
    return found


def _others(value: Value) -> Iterator[Value]:
    """Values near one, of its type: the likelier they fit the earlier."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, str):
        yield from sorted(WORDS - {value})
    elif isinstance(value, int):
        yield from (value + 1, value - 1, value * 2)
    else:
        yield from (value / 2, value + 1)


def _expressible(graph: Graph, targets: Iterable[str]) -> bool:
    try:
        return all(TARGETS[name].emit(graph) for name in targets)
    except SpecError:
        return False


def sources_with(
    graph: Graph, sources: Mapping[str, str], arguments: Mapping[str, Any]
) -> dict[str, str]:
    """Files whose model has other arguments where it is made without any."""
    name = graph.program.network.name
    made = {"torch": class_name(name), "keras": name}
    listed = "".join(f", {key}={value!r}" for key, value in arguments.items())
    return {
        target: f"{source}\n\nimport functools\n\n"
        f"{made[target]} = functools.partial({made[target]}{listed})\n"
        for target, source in sources.items()
    }
