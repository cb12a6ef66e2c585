"""Other arguments for the same generated files: other values of the network's parameters."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from incgen.base.diagnostics import Reporter, SpecError
from incgen.graph.elaborate import elaborate
from incgen.graph.nodes import Graph
from incgen.language.arithmetic import Value
from incgen.language.ops import WORDS
from incgen.language.signatures import Argument
from incgen.resolve import definitions as df
from incgen.resolve.arguments import value_fault
from incgen.targets import TARGETS
from incgen.targets.shared.parameters import compared_words


@dataclass(frozen=True, slots=True)
class Another:
    """The same network with other values for its parameters."""

    #: The arguments of the generated class or function; none if no others fit
    arguments: dict[str, Any]
    graph: Graph  #: The network that they give

    @property
    def given(self) -> str:
        """Return the arguments, for reports."""
        return ", ".join(f"{name}={value}" for name, value in self.arguments.items())


def combinations(graph: Graph, targets: Sequence[str]) -> list[Another]:
    """Choose other arguments that pair every value of a parameter with every value of another.

    Flags have two values, words all that fit, numbers their own and one more. Most faults that
    depend on arguments depend on one or two of them (Kuhn, Wallace & Gallo 2004): the rows are a
    covering array of strength 2, built greedily. The first row changes as many parameters as it
    can.
    """
    defaults, values = graph.parameters, _values(graph, targets)
    first = Another({}, graph)
    for name in defaults:
        for other in values[name][1:]:
            made = _made(graph, {**first.arguments, name: other}, targets)
            if made is not None:
                first = made
                break
    rows = [first] if first.arguments else []
    left = {
        frozenset(pair)
        for one, two in itertools.combinations(values, 2)
        for pair in itertools.product(_settings(one, values), _settings(two, values))
    } | {frozenset([setting]) for name in values for setting in _settings(name, values)}
    for arguments in (defaults, first.arguments):
        left -= _covered({**defaults, **arguments})
    while left:
        wanted = min(left, key=lambda pair: sorted(map(repr, pair)))
        made = _made(graph, _filled(dict(wanted), values, left), targets)
        made = made or _made(graph, dict(wanted), targets)
        left -= {wanted}
        if made is not None:
            rows.append(made)
            left -= _covered({**defaults, **made.arguments})
    return rows


def _values(graph: Graph, targets: Sequence[str]) -> dict[str, list[Value]]:
    """Return every value of each parameter that gives a network, the default first."""
    values: dict[str, list[Value]] = {}
    for name, value in graph.parameters.items():
        others = _others(value, _words_of(graph.program.network, name))
        fitting = [other for other in others if _made(graph, {name: other}, targets)]
        if not isinstance(value, str):
            fitting = fitting[:1]
        values[name] = [value, *fitting]
    return values


def _settings(name: str, values: Mapping[str, Sequence[Value]]) -> list[tuple[str, Value]]:
    return [(name, value) for value in values[name]]


def _covered(arguments: Mapping[str, Value]) -> set[frozenset[tuple[str, Value]]]:
    """Return all single values and pairs of values that some arguments have."""
    items = list(arguments.items())
    return {frozenset(pair) for n in (1, 2) for pair in itertools.combinations(items, n)}


def _filled(
    wanted: dict[str, Value],
    values: Mapping[str, Sequence[Value]],
    left: Set[frozenset[tuple[str, Value]]],
) -> dict[str, Value]:
    """Complete a required pair with the values that cover the most other pairs."""
    for name in values:
        if name not in wanted:
            wanted[name] = max(
                values[name], key=lambda value: len(left & _covered({**wanted, name: value}))
            )
    return wanted


def _made(graph: Graph, arguments: Mapping[str, Value], targets: Sequence[str]) -> Another | None:
    """Return the network with other arguments, without those that are the default."""
    changed = {name: v for name, v in arguments.items() if v != graph.parameters[name]}
    made = elaborate(graph.program, {**graph.parameters, **changed}, Reporter())
    return None if made is None or not _expressible(made, targets) else Another(changed, made)


def _others(value: Value, words: Set[str]) -> Iterator[Value]:
    """Yield values near one, of the same type, the likelier first; words are some of these."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, str):
        yield from sorted(words - {value})
    elif isinstance(value, int):
        yield from (value + 1, value - 1, value * 2)
    else:
        yield from (value / 2, value + 1)


def _expressible(graph: Graph, targets: Iterable[str]) -> bool:
    try:
        for name in targets:
            if name in TARGETS:  # at a known size, an ONNX file expresses everything
                TARGETS[name].check(graph)
    except SpecError:
        return False
    return True


def sources_with(
    graph: Graph, sources: Mapping[str, str], arguments: Mapping[str, Any]
) -> dict[str, str]:
    """Return files whose model has other arguments as its defaults; ONNX has no source text."""
    name = graph.program.network.name
    made = {target: TARGETS[target].entry(name) for target in sources if target in TARGETS}
    listed = "".join(f", {key}={value!r}" for key, value in arguments.items())
    return {**sources} | {
        target: f"{source}\n\nimport functools\n\n"
        f"{made[target]} = functools.partial({made[target]}{listed})\n"
        for target, source in sources.items()
        if target in made
    }


# ---------------------------------------------------------------- words


def _words_of(definition: df.Definition, parameter: str) -> frozenset[str]:
    """Return the words that a definition accepts for a parameter.

    An op that is not built accepts the same words as one that is: generated code rejects others all
    the same. Words that the definition compares the parameter with are accepted too, since a
    condition can keep them from the op. If it reaches no op, every word is accepted.
    """
    inner = [_words_of(block, name) for block, name in set(_blocks(definition, parameter))]
    ops = [{w for w in WORDS if not value_fault(a, w)} for a in _arguments(definition, parameter)]
    return WORDS.intersection(*inner, *ops).union(
        compared_words(definition.body).get(parameter, ())
    )


def _arguments(definition: df.Definition, parameter: str) -> Iterator[Argument]:
    """Yield the arguments of ops and units that a definition passes a parameter to."""
    for element, name in df.given_on(definition, parameter):
        op = element.op if isinstance(element, df.OpCall) else element.definition.head
        argument = op.argument(name) if op is not None else None
        if argument is not None:
            yield argument


def _blocks(definition: df.Definition, parameter: str) -> Iterator[tuple[df.Definition, str]]:
    """Yield the blocks that a definition passes a parameter to, and their name for it."""
    for element, name in df.given_on(definition, parameter):
        if isinstance(element, df.Instance) and element.definition.head is None:
            yield element.definition, name
