"""Arguments as expressions, for the ops of every target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.resolve.definitions import ArgumentValue, SidesValue, WindowValue

#: Two numbers, for height and for width.
Pair: TypeAlias = tuple[Expression, Expression]
#: Top, bottom, left, right.
Sides: TypeAlias = tuple[Expression, Expression, Expression, Expression]
#: The arguments of an op by name.
Args: TypeAlias = Mapping[str, ArgumentValue]

ZERO, ONE = ex.Literal(0), ex.Literal(1)
TRUE, FALSE = ex.Literal(True), ex.Literal(False)


def expression(args: Args, name: str) -> Expression:
    """Return an argument that is an expression."""
    value = args[name]
    assert isinstance(value, Expression), (name, value)
    return value


def window(args: Args) -> WindowValue:
    """Return the window of an op."""
    value = args["window"]
    assert isinstance(value, WindowValue)
    return value


def paired(values: Pair) -> Expression:
    """Return two numbers as one if they are equal, or as the parameter that holds both."""
    return values[0] if values[0] == values[1] else as_tuple(values)


def as_tuple(values: tuple[Expression, ...]) -> Expression:
    """Return numbers as a tuple, or as the parameter that holds them."""
    match values[0]:
        case ex.Item(name, 0) if values == tuple(ex.Item(name, n) for n in range(len(values))):
            return ex.Parameter(name)
        case _:
            return ex.Tuple(values)


def is_same(one: Expression | None, other: Expression | None) -> bool:
    """Return whether two expressions are written alike: `True == 1`, but not here."""
    if one is None or other is None or one != other:
        return one is other
    mine, theirs = ex.literal(one), ex.literal(other)
    return type(mine) is type(theirs) and all(map(is_same, ex.children(one), ex.children(other)))


def effective(kernel: Expression, dilation: Expression) -> Expression:
    """Return the pixels that a dilated kernel spans."""
    return (kernel - 1) * dilation + 1 if dilation != ONE else kernel


def half(values: Pair, dilation: Expression = ONE) -> Pair:
    """Return half a window on each side."""

    def side(kernel: Expression) -> Expression:
        known = ex.literal(kernel)
        if isinstance(known, int) and known % 2:
            middle = ex.Literal(known // 2)
            return middle if dilation == ONE else middle * dilation  # exact, whatever that is
        return effective(kernel, dilation) // 2

    high, wide = values
    above = side(high)
    return above, above if wide == high else side(wide)


def four_sides(value: ArgumentValue) -> Sides:
    """Return a border of one, two or four numbers as top, bottom, left, right."""
    match value:
        case SidesValue((high, wide)):
            return high, high, wide, wide
        case SidesValue((top, bottom, left, right)):
            return top, bottom, left, right
        case _:
            assert isinstance(value, Expression), value
            return value, value, value, value


def in_pairs(sides: Sides) -> ex.Tuple:
    """Return a border as pairs, for height and for width."""
    top, bottom, left, right = sides
    return ex.Tuple((ex.Tuple((top, bottom)), ex.Tuple((left, right))))


def with_ceil(after: Expression, stride: Expression, kernel: Expression) -> Expression:
    """Return the border after the input with which rounding down has the result of rounding up.

    It is min(after + stride - 1, kernel - 1), for every size of the input: a window that begins
    in the border is never counted (PyTorch's rule, aten/src/ATen/native/Pool.h).
    """
    if kernel == ONE:
        return ZERO  # the smaller one, since neither is negative
    return ex.called("min", (after + stride - 1, kernel - 1))


def sides_with_ceil(sides: Sides, frame: WindowValue) -> Sides:
    """Return the border of a window with which rounding down has the result of rounding up."""
    top, bottom, left, right = sides
    (down, across), (high, wide) = frame.stride, frame.kernel
    return top, with_ceil(bottom, down, high), left, with_ceil(right, across, wide)


def whole(value: float) -> ex.Literal:
    """Return a number, as an integer if it is whole."""
    return ex.Literal(int(value) if value == int(value) else value)


def rescaled(x: Expression, low: float, high: float) -> Expression:
    """Return values in 0..255 as values in low..high."""
    factor = 255 / (high - low)
    if low == 0 and factor != int(factor):
        return ex.Binary("/", ex.Binary("*", x, whole(high)), ex.Literal(255))
    scaled = ex.Binary("/", x, whole(factor))
    return scaled if low == 0 else ex.Binary("+" if low > 0 else "-", scaled, whole(abs(low)))


def as_float(value: Expression) -> Expression:
    """Return a whole number as a float, which TorchScript does not convert itself."""
    known = ex.literal(value)
    whole = isinstance(known, int) and not isinstance(known, bool)
    return ex.Literal(float(known)) if whole and known is not None else value


def one_of_equal(value: Expression) -> Expression:
    """Return one number for several equal ones, as every framework accepts; else the value."""
    match value:
        case ex.Tuple((first, *others)) if all(other == first for other in others):
            return first
        case _:
            return value
