"""Arithmetic on the values of specs: the result of each operator and function, if it has one."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import TypeAlias

#: What an expression can evaluate to. A string is a word such as `avg`.
Value: TypeAlias = int | float | bool | str

#: The largest number a spec may write; beyond it float64 no longer holds whole numbers.
MAX_NUMBER = 2**53

#: The binding strength of each operator, as in Python.
PRECEDENCE = {
    "or": 1,
    "and": 2,
    "not": 3,
    "==": 4,
    "!=": 4,
    "<": 4,
    "<=": 4,
    ">": 4,
    ">=": 4,
    "in": 4,  # specs cannot write it; a choice by word needs it
    "+": 5,
    "-": 5,
    "*": 6,
    "/": 6,
    "//": 6,
    "%": 6,
    "negative": 7,
}

_OPERATIONS: dict[str, Callable[[Value, Value], Value]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,  # specs cannot write it; channels that a repeat multiplies need it
}

#: The functions of the language, and how many arguments they take.
FUNCTIONS: dict[str, tuple[Callable[..., Value], range]] = {
    "int": (int, range(1, 2)),
    "round": (round, range(1, 2)),
    "min": (min, range(2, 100)),
    "max": (max, range(2, 100)),
}

#: Larger results are rejected: whole numbers would grow without bounds.
MAX_RESULT = 10**18


class EvaluationError(Exception):
    """An expression has no value: an operator on a word, or a result that is not a number."""

    def __init__(self, message: str, *, ranged: bool = False) -> None:
        super().__init__(message)
        self.ranged = ranged  #: Whether the numbers are wrong, rather than the types


def apply(operator_: str, a: Value, b: Value) -> Value:
    """Return the value of `a operator b`; raise `EvaluationError` if there is none."""
    if operator_ == "and":
        return truth(a) and truth(b)
    if operator_ == "or":
        return truth(a) or truth(b)
    if operator_ in ("==", "!="):
        return _OPERATIONS[operator_](a, b)
    _check_number(operator_, a)
    _check_number(operator_, b)
    if operator_ in ("/", "//", "%") and b == 0:
        raise EvaluationError(f"`{operator_}` divides by zero", ranged=True)
    result = _OPERATIONS[operator_](a, b)
    if isinstance(result, (int, float)) and not abs(result) <= MAX_RESULT:
        raise EvaluationError(f"the result of `{operator_}` is beyond 1e18", ranged=True)
    return result


def unary_value(operator_: str, value: Value) -> Value:
    """Return the value of `not value` or `-value`; raise `EvaluationError` if there is none."""
    if operator_ == "not":
        return not truth(value)
    _check_number("-", value)
    assert not isinstance(value, str)
    return -value


def _check_number(operator_: str, value: Value) -> None:
    if isinstance(value, bool):
        raise EvaluationError(f"`{operator_}` needs numbers, not `{str(value).lower()}`")
    if isinstance(value, str):
        raise EvaluationError(f"`{operator_}` needs numbers, but `{value}` is a word")


def truth(value: Value) -> bool:
    """Return whether a condition is true; a number is true if it is not 0.

    Raises:
        EvaluationError: A word is neither true nor false.
    """
    if isinstance(value, str):
        raise EvaluationError(f"`{value}` is a word, neither true nor false")
    return bool(value)


def call(function: str, values: Sequence[Value]) -> Value:
    """Return the value of a function; raise `EvaluationError` if it does not take such values."""
    for value in values:
        _check_number(function, value)
    return FUNCTIONS[function][0](*values)
