"""Expressions to values, where the values of parameters are known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from incgen.language.arithmetic import EvaluationError, Value, apply, call, truth, unary_value
from incgen.language.expressions import (
    Binary,
    Call,
    Choice,
    Dimension,
    Expression,
    Item,
    Literal,
    Name,
    Parameter,
    Tuple,
    Unary,
)


def evaluate(
    expression: Expression, parameters: Mapping[str, Value], dimensions: Mapping[str, int | None]
) -> Value:
    """Return the value of an expression whose names are resolved.

    Raises:
        EvaluationError: It has no value.
    """
    match expression:
        case Literal(value):
            return value
        case Parameter(name):
            return parameters[name]
        case Dimension(axis):
            size = dimensions[axis]
            if size is None:
                raise EvaluationError(f"a vector has no `{axis}`")
            return size
        case Unary(operator_, operand):
            return unary_value(operator_, evaluate(operand, parameters, dimensions))
        case Binary("and" | "or" as operator_, left, right):
            first = truth(evaluate(left, parameters, dimensions))
            if first is (operator_ == "or"):
                return first
            return truth(evaluate(right, parameters, dimensions))
        case Binary(operator_, left, right):
            return apply(
                operator_,
                evaluate(left, parameters, dimensions),
                evaluate(right, parameters, dimensions),
            )
        case Call(function, arguments):
            return call(function, [evaluate(a, parameters, dimensions) for a in arguments])
        case Choice(condition, then, otherwise):
            holds = truth(evaluate(condition, parameters, dimensions))
            return evaluate(then if holds else otherwise, parameters, dimensions)
        case Item() | Name() | Tuple():
            raise TypeError(f"{expression!r} is not written in specs")
        case _:
            assert_never(expression)
