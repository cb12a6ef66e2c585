"""Expressions and values as Python source."""

from __future__ import annotations

from typing import assert_never

from incgen.language.arithmetic import PRECEDENCE, Value
from incgen.language.expressions import (
    Binary,
    Call,
    Choice,
    Dimension,
    Item,
    Literal,
    Name,
    Operand,
    Parameter,
    Tuple,
    Unary,
    lift,
)


def python(expression: Operand, *, outer: int = 0) -> str:
    """Return an expression as Python source, with no more parentheses than needed.

    >>> python(Parameter("c") * 4 + 1)
    'c * 4 + 1'
    """
    node = lift(expression)
    match node:
        case Literal(value):
            return number(value)
        case Name(text) | Parameter(text) | Dimension(text):
            return text
        case Item(parameter, index):
            return f"{parameter}[{index}]"
        case Call(function, arguments):
            return f"{function}({', '.join(map(python, arguments))})"
        case Tuple(parts):
            return f"({', '.join(map(python, parts))})"
        case Binary("**", left, right):
            # What is a power itself needs brackets on both sides.
            sides = [python(side, outer=9) for side in (left, right)]
            simple = all(side.isidentifier() or side.isdigit() for side in sides)
            return _bracket(("**" if simple else " ** ").join(sides), 8, outer)
        case Unary("not", operand):
            return _bracket(f"not {python(operand, outer=3)}", 3, outer)
        case Unary(_, operand):
            return _bracket(f"-{python(operand, outer=7)}", 7, outer)
        case Binary(operator_, left, right):
            strength = PRECEDENCE[operator_]
            # A comparison binds its left side too, so `(a < b) < c` keeps its parentheses.
            before = python(left, outer=strength + (strength == 4))
            text = f"{before} {operator_} {python(right, outer=strength + 1)}"
            return _bracket(text, strength, outer)
        case Choice(condition, then, otherwise):
            text = f"{python(then, outer=1)} if {python(condition, outer=1)} else "
            return _bracket(text + python(otherwise), 0.5, outer)
        case _:
            assert_never(node)


def number(value: Value) -> str:
    """Return a value as Python source; whole floats keep their point, words are quoted."""
    if isinstance(value, str):
        return f'"{value}"'
    return repr(value).replace("e-0", "e-")


def _bracket(text: str, strength: float, outer: int) -> str:
    return f"({text})" if strength < outer else text
