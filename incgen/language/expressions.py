"""Expressions as trees.

Arithmetic on an `Expression` with `+`, `-`, `*`, `//` and `%` gives a simplified `Expression`, so
one shape rule written in plain Python serves numbers and symbols alike.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, assert_never

from incgen.base.source import Span
from incgen.language.arithmetic import (
    PRECEDENCE,
    EvaluationError,
    Value,
    apply,
    call,
    unary_value,
)

_Operator: TypeAlias = Callable[[Any, "Operand"], "Expression"]


def _operators(sign: str) -> tuple[_Operator, _Operator]:
    """Return the methods for an operator, with the object on its left and on its right."""
    return (
        lambda self, other: binary(sign, self, lift(other)),
        lambda self, other: binary(sign, lift(other), self),
    )


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Operators that build simplified trees; `x == y` stays equality of trees."""

    span: Span | None = field(default=None, kw_only=True, compare=False, repr=False)

    __add__, __radd__ = _operators("+")
    __sub__, __rsub__ = _operators("-")
    __mul__, __rmul__ = _operators("*")
    __floordiv__, __rfloordiv__ = _operators("//")
    __mod__, __rmod__ = _operators("%")

    def __neg__(self) -> Expression:
        return unary("negative", lift(self))


@dataclass(frozen=True, slots=True)
class Literal(Arithmetic):
    """A number, a truth value, or (after names are resolved) a word such as `avg`."""

    value: Value


@dataclass(frozen=True, slots=True)
class Name(Arithmetic):
    """A name as it was written; resolving replaces it by what it refers to."""

    text: str


@dataclass(frozen=True, slots=True)
class Parameter(Arithmetic):
    """A parameter of the surrounding block, unit or network."""

    name: str


@dataclass(frozen=True, slots=True)
class Dimension(Arithmetic):
    """`channels`, `height` or `width` of the current value."""

    axis: str


@dataclass(frozen=True, slots=True)
class Unary(Arithmetic):
    """`not x` or `-x` (operator "negative")."""

    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary(Arithmetic):
    """Two operands and an operator between them."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Call(Arithmetic):
    """A function of `FUNCTIONS` with its arguments."""

    function: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Tuple(Arithmetic):
    """Several numbers for one parameter of generated code. Specs cannot write it."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Choice(Arithmetic):
    """`then` if the condition holds, else `otherwise`. Specs cannot write it; shapes need it."""

    condition: Expression
    then: Expression
    otherwise: Expression


@dataclass(frozen=True, slots=True)
class Item(Arithmetic):
    """One part of a parameter that is a pair, such as a kernel (height, width)."""

    parameter: str
    index: int


Expression: TypeAlias = (
    Literal | Name | Parameter | Dimension | Unary | Binary | Call | Tuple | Choice | Item
)
Operand: TypeAlias = Expression | int | float | bool | str
#: A size in a shape rule: a number while elaborating, a tree while printing code.
Size: TypeAlias = int | Expression


def lift(value: object) -> Expression:
    """Turn a value into an expression; return an expression as it is."""
    if isinstance(value, (int, float, bool, str)):
        return Literal(value)
    assert isinstance(value, Expression)
    return value


def literal(expression: Operand) -> Value | None:
    """Return the value of a literal, or None for anything else."""
    if isinstance(expression, Literal):
        return expression.value
    return expression if isinstance(expression, (int, float, bool, str)) else None


def binary(operator_: str, left: Expression, right: Expression) -> Expression:
    """Build a binary operation, folded where its operands allow it."""
    a, b = literal(left), literal(right)
    if a is not None and b is not None:
        try:
            return Literal(apply(operator_, a, b))
        except EvaluationError:  # perhaps in a branch that is never taken
            return Binary(operator_, left, right)
    if operator_ == "in" and a is not None and isinstance(right, Tuple):
        return Literal(any(a == literal(part) for part in right.parts))
    if operator_ in ("and", "or"):
        return _joined(operator_, left, right)
    # Only whole numbers are neutral: `c * 1.0` has another type than `c`.
    match operator_, _whole(a), _whole(b):
        case ("+", 0, _) | ("*", 1, _):
            return right
        case ("+" | "-", _, 0) | ("*" | "//", _, 1):
            return left
    if operator_ in ("+", "-") and (folded := _constants_folded(operator_, left, right)):
        return folded
    if operator_ == "==" and left == right:
        return Literal(True)
    match operator_, left, _whole(b):
        case "*", Binary("*", Literal(first), rest), int(second) if one := _whole(first):
            return Literal(one * second) * rest  # `2 * c * 3` is `6 * c`
    return Binary(operator_, left, right)


def _folded(operation: Expression, value: Callable[[], Value]) -> Expression:
    """Return the value of an operation; one without a value stays as it is.

    It may stand in a branch that is never taken: it is an error only where it is evaluated.
    """
    try:
        return Literal(value())
    except EvaluationError:
        return operation


def _joined(operator_: str, left: Expression, right: Expression) -> Expression:
    """Build an `and` or `or`, dropping a side that decides nothing."""
    for known, other in ((left, right), (right, left)):
        value = literal(known)
        if isinstance(value, bool) and value is (operator_ == "and") and _is_truth(other):
            return other
    value = literal(left)
    decides = isinstance(value, bool) and value is (operator_ == "or")
    return left if decides else Binary(operator_, left, right)


def _is_truth(expression: Expression) -> bool:
    """Return whether an expression is true or false, whatever its parameters are."""
    match expression:
        case Literal(value):
            return isinstance(value, bool)
        case Unary(operator_):
            return operator_ == "not"
        case Binary(operator_):
            return PRECEDENCE.get(operator_, 9) <= PRECEDENCE["=="]
        case _:
            return False


def as_truth(expression: Expression, flags: Container[str]) -> Expression:
    """Compare the numbers that a condition consists of with 0, so that it is true or false itself.

    Args:
        expression: The condition.
        flags: The parameters that are true or false already.
    """
    match expression:
        case Binary("and" | "or" as operator_, left, right):
            return binary(operator_, as_truth(left, flags), as_truth(right, flags))
        case Parameter(name) if name in flags:
            return expression
        case _:
            is_truth = _is_truth(expression)
            return expression if is_truth else binary("!=", expression, Literal(0))


def _whole(value: Value | None) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _constants_folded(operator_: str, left: Expression, right: Expression) -> Expression | None:
    """Fold `1 + (x - 1) + 3` into `x + 3`: keep one whole number in a sum."""
    (before, first), (after, second) = _constant_apart(left), _constant_apart(right)
    if not first or not second:
        return None
    constant = first + second if operator_ == "+" else first - second
    if before is None:
        assert after is not None  # two numbers have been folded already
        if operator_ == "+":
            return after + constant
        return Literal(constant) - after if constant else -after
    rest = before if after is None else binary(operator_, before, after)
    if constant < 0:
        return binary("-", rest, Literal(-constant))
    return rest + constant


def _constant_apart(expression: Expression) -> tuple[Expression | None, int]:
    """Split a sum into the rest (None if nothing) and its whole number (0 if none)."""
    own = _whole(literal(expression))
    if own is not None:
        return None, own
    match expression:
        case Binary("+", left, Literal(int(number))) if _whole(number) is not None:
            return left, number
        case Binary("-", left, Literal(int(number))) if _whole(number) is not None:
            return left, -number
        case Binary("+", Literal(int(number)), right) if _whole(number) is not None:
            return right, number
        case _:
            return expression, 0


def unary(operator_: str, operand: Expression) -> Expression:
    """Build a unary operation, folded where its operand allows it."""
    value, operation = literal(operand), Unary(operator_, operand)
    return operation if value is None else _folded(operation, lambda: unary_value(operator_, value))


def called(function: str, arguments: tuple[Expression, ...]) -> Expression:
    """Build a function call, folded where all arguments are known."""
    values = [literal(argument) for argument in arguments]
    known, operation = [v for v in values if v is not None], Call(function, arguments)
    all_known = len(known) == len(values)
    return _folded(operation, lambda: call(function, known)) if all_known else operation


def choice(condition: Expression, then: Operand, otherwise: Operand) -> Expression:
    """Build a choice, folded where the condition is known or both sides are equal."""
    yes, no = lift(then), lift(otherwise)
    known = literal(condition)
    if known is not None:
        return yes if known else no
    return yes if yes == no else Choice(condition, yes, no)


def within(*expressions: Expression) -> Iterator[Expression]:
    """Yield expressions and all operands in them, outermost first."""
    pending = [*reversed(expressions)]
    while pending:
        expression = pending.pop()
        yield expression
        pending += reversed(children(expression))


def names(expression: Expression) -> Iterator[Name]:
    """Yield the names in an expression as it was written."""
    return (part for part in within(expression) if isinstance(part, Name))


def children(expression: Expression) -> tuple[Expression, ...]:
    """Return the operands of an expression."""
    match expression:
        case Unary(_, operand):
            return (operand,)
        case Binary(_, left, right):
            return (left, right)
        case Call(_, parts) | Tuple(parts):
            return parts
        case Choice(condition, then, otherwise):
            return (condition, then, otherwise)
        case Literal() | Name() | Parameter() | Dimension() | Item():
            return ()
        case _:
            assert_never(expression)


def rebuilt(expression: Expression, operands: Sequence[Expression]) -> Expression:
    """Apply the operation of an expression to other operands, and simplify it."""
    match expression:
        case Unary(operator_):
            return unary(operator_, *operands)
        case Binary(operator_):
            return binary(operator_, *operands)
        case Call(function):
            return called(function, tuple(operands))
        case Tuple():
            return Tuple(tuple(operands))
        case Choice():
            return choice(*operands)
        case _:
            return expression


def substitute(
    expression: Expression,
    parameters: Mapping[str, Expression],
    dimensions: Mapping[str, Expression],
) -> Expression:
    """Replace parameters and dimensions in an expression, and simplify it."""
    match expression:
        case Literal():  # the most frequent
            return expression
        case Item(parameter, index):
            return parameters.get(f"{parameter}[{index}]", expression)
        case Parameter(name):
            return parameters.get(name, expression)
        case Dimension(axis):
            return dimensions.get(axis, expression)
        case _:
            inner = [substitute(part, parameters, dimensions) for part in children(expression)]
            return rebuilt(expression, inner)


def replaced(expression: Expression, known: Expression, by: Expression) -> Expression:
    """Replace every occurrence of a part of an expression."""
    if expression == known:
        return by
    return rebuilt(expression, [replaced(part, known, by) for part in children(expression)])


def depth(expression: Expression) -> int:
    """Return how many operators are nested; a name or number has 0."""
    level, deepest = [expression], -1
    while level:
        deepest += 1
        level = [child for node in level for child in children(node)]
    return deepest


def is_longer(expression: Expression, limit: int) -> bool:
    """Return whether an expression has more parts than a limit, in at most that many steps."""
    pending = [expression]
    while pending and limit:
        pending.extend(children(pending.pop()))
        limit -= 1
    return bool(pending)
