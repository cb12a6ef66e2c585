"""The values and types of parameters, and which of them users of a model can change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from incgen.graph.nodes import Graph
from incgen.language import expressions as ex
from incgen.language.signatures import Kind
from incgen.resolve import definitions as df
from incgen.resolve.written import expressions_of, written_in
from incgen.targets.shared.code import BOOL, FLOAT, INT, STR, Type, parameters_in

ARGUMENT_TYPES = {Kind.COUNT: INT, Kind.FACTOR: FLOAT, Kind.FLAG: BOOL, Kind.WORD: STR}


class OpenParameters:
    """The parameters whose values depend on those of the network, which users may change."""

    def __init__(self, program: df.Program) -> None:
        """Find those of a network and of what it uses."""
        self._open = {(program.network, formal.name) for formal in program.network.parameters}
        self._fixed = not self._open
        for definition, use in df.uses(program):
            for formal in use.definition.parameters:
                value = use.args.get(formal.name, formal.default)
                if isinstance(value, ex.Expression) and self.any(definition, [value]):
                    self._open.add((use.definition, formal.name))

    def has(self, definition: df.Definition, name: str) -> bool:
        """Return whether a parameter of a definition is open."""
        return (definition, name) in self._open

    def any(self, definition: df.Definition, expressions: Iterable[ex.Expression]) -> bool:
        """Return whether expressions inside a definition depend on something open."""
        return any(
            self.has(definition, part.name)
            if isinstance(part, ex.Parameter)
            else isinstance(part, ex.Dimension) and not self._fixed
            for part in ex.within(*expressions)
        )


def float_parameters(program: df.Program) -> set[tuple[df.Definition, str]]:
    """Return the parameters that are used as floats and as nothing else."""
    floats: set[tuple[df.Definition, str]] = set()
    for definition in (*program.definitions, program.network):
        as_floats: set[str] = set()
        others: set[str] = set()
        for element in definition.elements:
            for value, is_float in _typed_values(element, floats):
                direct = isinstance(value, ex.Parameter) and is_float
                (as_floats if direct else others).update(parameters_in(expressions_of(value)))
        floats |= {(definition, name) for name in as_floats - others}
    return floats


def _typed_values(
    element: df.Element, floats: set[tuple[df.Definition, str]]
) -> Iterator[tuple[df.ArgumentValue, bool]]:
    """Yield the values in an element, and whether each is a float."""
    match element:
        case df.OpCall():
            for argument in element.op.arguments:
                yield element.args[argument.name], argument.kind is Kind.FACTOR
        case df.Instance():
            head = element.definition.head
            for name, value in element.args.items():
                own = head.argument(name) if head is not None else None
                by_kind = own is not None and own.kind is Kind.FACTOR
                yield value, by_kind or (element.definition, name) in floats
        case df.Repeat():
            yield element.count, False
        case df.Conditional():
            yield element.condition, False
        case _:
            pass


def values_of(graph: Graph, definition: df.Definition, parameter: str) -> list[object]:
    """Return the observed values of a parameter; of a block that is not built, those in uses."""
    if definition.kind == "network":
        # A parameter that only an excluded side would use has no value.
        return [graph.parameters[parameter]] if parameter in graph.parameters else []
    if definition in graph.observed:
        return list(graph.observed[definition].values.get(parameter, []))
    values: list[object] = []
    default = {formal.name: formal.default for formal in definition.parameters}.get(parameter)
    for user, use in df.uses(graph.program):
        if use.definition is definition:
            match use.args.get(parameter, default):
                case ex.Literal(value):
                    values.append(value)
                case ex.Parameter(name) if user.kind != "unit":
                    values += values_of(graph, user, name)
    return [value for n, value in enumerate(values) if value not in values[:n]]


def compared_words(body: df.Body) -> dict[str, list[str]]:
    """Return the words that a body compares parameters with, by parameter."""
    words = set[tuple[str, str]]()
    for part in ex.within(*written_in(body)):
        match part:
            case ex.Binary("==" | "!=", ex.Parameter(name), ex.Literal(str(word))) | ex.Binary(
                "==" | "!=", ex.Literal(str(word)), ex.Parameter(name)
            ):
                words.add((name, word))
    return {name: sorted(word for other, word in words if other == name) for name, _ in words}


def type_of(values: Sequence[object], *, closed: bool = False) -> Type:
    """Return the type of a parameter from its values; if it is closed, it takes no other words.

    >>> type_of([1, 0.5]).kinds
    ('float',)
    >>> type_of([1, "half", "same"], closed=True).words
    ('half', 'same')
    """
    types = {type(value) for value in values} or {int}
    if float in types:
        types.discard(int)  # to type checkers an int is a float
    open_ = () if closed else (str,)
    kinds = tuple(kind.__name__ for kind in (bool, int, float, *open_) if kind in types)
    words = dict.fromkeys(value for value in values if isinstance(value, str))
    return Type(kinds, words=tuple(words) if closed else ())
