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

#: Comparisons, each with its opposite.
_OPPOSITES = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", "<=": ">", ">": "<="}
#: The most digits that a number written with an exponent has, such as 2.5e-4.
_SHORT = 3
#: Smaller numbers of recipes are written with an exponent.
_SMALL = 1e-4


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
            # A power needs parentheses on both sides of another.
            sides = [python(side, outer=9) for side in (left, right)]
            simple = all(side.isidentifier() or side.isdigit() for side in sides)
            return _bracket(("**" if simple else " ** ").join(sides), 8, outer)
        case Unary("not", Binary(operator_, left, right)) if operator_ in _OPPOSITES:
            return python(Binary(_OPPOSITES[operator_], left, right), outer=outer)
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
    """Return a value as Python source; floats keep a point or an exponent, words are quoted.

    >>> number(0.001), number(3e-05), number(0.01), number(1e11), number(2.0)
    ('1e-3', '3e-5', '0.01', '1e11', '2.0')
    """
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, float) and value and not 0.01 <= abs(value) < 1e5:
        digits, _, power = f"{value:.{_SHORT - 1}e}".partition("e")
        if float(f"{digits}e{power}") == value:
            return f"{digits.rstrip('0').rstrip('.')}e{int(power)}"
    return repr(value).replace("e-0", "e-").replace("e+", "e")


def plain(value: float) -> str:
    """Return a number as recipes and their scripts have it, a whole one without a point.

    >>> plain(24.0), plain(0.0075), plain(1e-05)
    ('24', '0.0075', '1e-5')
    """
    if float(value).is_integer():
        return str(int(value))
    return repr(value) if abs(value) >= _SMALL else number(value)


def _bracket(text: str, strength: float, outer: int) -> str:
    return f"({text})" if strength < outer else text


def setting(name: str, value: Value) -> str:
    """Return the option of a command that sets a parameter."""
    return f"--set {name}={spec_value(value)}"


def spec_value(value: object) -> str:
    """Return a value as a spec writes it.

    >>> spec_value(True), spec_value(0.001), spec_value(2.0), spec_value(0.12345678)
    ('true', '1e-3', '2', '0.12345678')
    >>> spec_value((1, 2)), spec_value((0, 1, 0, 1))
    ('1x2', '[0, 1, 0, 1]')
    """
    match value:
        case bool():
            return str(value).lower()
        case float():
            return number(value).removesuffix(".0")
        case (first, second):
            return f"{first}x{second}"
        case tuple():
            return str(list(value))
        case _:
            return str(value)
