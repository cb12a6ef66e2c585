"""Parameters of functions in Keras: those that uses say, with their defaults and types."""

from __future__ import annotations

from typing import TypeAlias

from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.language.ops import Argument, Kind
from incgen.resolve import definitions as df
from incgen.targets.keras.padding import usual_padding
from incgen.targets.keras.scope import Scope
from incgen.targets.shared.code import Formal, Type
from incgen.targets.shared.values import ONE, ZERO

#: The name and default of a parameter.
Parameter: TypeAlias = tuple[str, Expression | None]


def parameters(scope: Scope) -> list[Parameter]:
    """Return the parameters of the function of a unit or block: those without defaults first."""
    definition = scope.definition
    if scope.unit is None:
        own: list[Parameter] = [(f.name, _literal(f.default)) for f in definition.parameters]
        return sorted(own, key=lambda parameter: parameter[1] is not None)
    assert definition.head is not None
    found = [
        _of_argument(scope, argument)
        for argument in definition.head.arguments
        if argument.name in scope.unit.args
    ]
    required = [parameter for parameter in found if parameter[1] is None]
    required.sort(key=lambda parameter: parameter[0] == "kernel")
    strided = [("stride", ONE)] if scope.unit.strided else []
    return [*required, *strided, *(parameter for parameter in found if parameter[1] is not None)]


def _literal(value: df.ArgumentValue) -> ex.Literal | None:
    return value if isinstance(value, ex.Literal) else None


def _of_argument(scope: Scope, argument: Argument) -> Parameter:
    """Return the parameter for an argument of a unit's head."""
    assert scope.unit is not None
    match argument.kind:
        case Kind.WINDOW:
            return "kernel", None
        case Kind.PADDING if scope.unit.padding:
            return "padding", usual_padding(scope.graph.program, scope.definition, scope.unit)
        case Kind.PADDING:
            return "padding", ZERO
        case Kind.INITIALIZER:
            return "init", ex.Name("None")
        case _:
            return argument.name, _literal(df.unit_defaults(scope.definition).get(argument.name))


def formal(scope: Scope, name: str, default: Expression | None) -> Formal:
    """Return a parameter as it is declared; only words have a type."""
    return Formal(name, _type(scope, name), default)


def _type(scope: Scope, name: str) -> Type | None:
    """Return the type of a parameter that is a word, or may be one."""
    definition = scope.definition
    if scope.unit is None or name != "padding":
        return scope.file.words.type(definition, name)
    head = definition.head
    if not scope.unit.padding or (head is not None and head.family == "pool"):
        return None  # pixels
    sides = ("int", "tuple") if definition in scope.file.explicit else ()
    return Type(sides, words=("same", "valid"))
