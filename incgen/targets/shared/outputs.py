"""The output shapes of ops and joins as formulas, from their input shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from incgen.language import expressions as ex
from incgen.language.expressions import Expression, lift
from incgen.language.ops import OPS
from incgen.language.signatures import Formula, Op, windows
from incgen.targets.shared.symbols import Symbol, Unknown, simplest, vector
from incgen.targets.shared.values import (
    FALSE,
    ONE,
    ZERO,
    Args,
    effective,
    expression,
    four_sides,
    window,
    with_ceil,
)
from incgen.targets.shared.windows import SAME, padding
from incgen.targets.shared.words import by_word

#: The padding of a unit that may be `same`, with which sizes have no formula.
EITHER = ex.Parameter("padding, a word or a number")
Carried = Mapping[str, bool]


def op_output(op: Op, args: Args, shape: Symbol, words: Carried) -> Symbol:
    """Return the output shape of an op with resolved arguments.

    The words are the parameters that carry words, and whether they carry nothing else.
    """

    def channels() -> Expression:
        return shape.channels if op.channels is None else _formula(op.channels, args, shape, 0)

    def size(axis: str) -> Expression:
        if axis == "channels":
            return channels()
        number = ("height", "width").index(axis)
        if op.height is windows:
            return _windows(args, shape.size(axis), number, words)
        return shape.size(axis) if op.height is None else _formula(op.height, args, shape, number)

    if op.vector:
        return vector(channels)
    return shape if keeps_shape(op) else Symbol(shape.is_map, size)


def keeps_shape(op: Op) -> bool:
    """Return whether the output of an op has the shape of its input."""
    return op.channels is None and op.height is None and not op.vector


def _formula(formula: Formula, args: Args, shape: Symbol, axis: int) -> Expression:
    """Return a size that the row of an op states, with the arguments of a call."""

    def known(name: str) -> Expression:
        match name:
            case "C":
                return shape.channels
            case "H" | "W" if not shape.is_map:
                return ONE
            case "H" | "W":
                return shape.size("width" if axis or name == "W" else "height")
            case "kernel":
                return window(args).kernel[axis]
            case "before" | "after":
                return four_sides(args["border"])[2 * axis + (name == "after")]
            case _:
                return expression(args, name)

    return lift(formula(known))


def flat_size(shape: Symbol) -> Expression:
    """Return the number of values of one example."""
    return op_output(OPS["flatten"], {}, shape, {}).channels


def _windows(args: Args, size: Expression, axis: int, words: Carried) -> Expression:
    """Return how many windows fit along one axis."""
    frame = window(args)
    stride = frame.stride[axis]
    pad = args["pad"]
    if pad == SAME:
        return (size + stride - 1) // stride
    if pad == EITHER or (isinstance(pad, ex.Parameter) and pad.name in words):
        if pad == EITHER or not words[pad.name]:
            name = "pad" if pad == EITHER else pad.name
            what = f"the height and width depend on whether `{name}` is a word or a number"
            raise Unknown(what, "write the padding here, or put a `global_avg_pool` after it")
        return by_word(
            args,
            "pad",
            ("half", "same", "valid"),
            lambda known: _windows(known, size, axis, words),
            ex.choice,
        )
    dilation = expression(args, "dilation") if "dilation" in args else ONE
    span = effective(frame.kernel[axis], dilation)
    sides = padding(args).sides
    assert sides is not None
    before, after = sides[2 * axis : 2 * axis + 2]
    ceil = args.get("ceil", FALSE)
    floored = _counted(size + before + after - span, stride)
    if ceil in (None, FALSE) or stride == ONE:
        return floored
    rounded_up = _counted(size + before + with_ceil(after, stride, span) - span, stride)
    assert isinstance(ceil, Expression)
    return ex.choice(ceil, rounded_up, floored)


def _counted(rest: Expression, stride: Expression) -> Expression:
    """Return how many windows there are, `rest // stride + 1`, in its shorter form."""
    whole = _gathered(rest + stride)
    if stride == ONE or not (isinstance(whole, ex.Binary) and whole.operator in ("+", "-")):
        return whole // stride
    return _gathered(rest) // stride + 1


def _gathered(size: Expression) -> Expression:
    """Return a sum with like terms collected: `n + d + d - (2 * d + 1)` is `n - 1`."""
    terms: dict[Expression, int] = {}

    def add(part: Expression, factor: int) -> bool:
        match part:
            case ex.Binary("+" | "-" as sign, left, right):
                apart = add(left, factor)
                return add(right, factor if sign == "+" else -factor) and apart
            case ex.Binary("*", ex.Literal(int(k)), other) | ex.Binary(
                "*", other, ex.Literal(int(k))
            ):
                return add(other, factor * k)
            case ex.Literal(int(number)):
                apart = ONE not in terms
                terms[ONE] = terms.get(ONE, 0) + factor * number
                return apart
            case _:
                apart = part not in terms
                terms[part] = terms.get(part, 0) + factor
                return apart

    if add(size, 1):
        return size  # nothing to collect
    result: Expression = ZERO
    for part, factor in sorted(terms.items(), key=lambda term: (term[0] == ONE, term[1] < 0)):
        if factor:
            result = result + factor * part if factor > 0 else result - -factor * part
    return result


def joined(kind: str, shapes: Sequence[Symbol]) -> Symbol:
    """Return the shape of a join."""
    first = next((shape for shape in shapes if shape.is_map), shapes[0])
    if kind == "concat":
        return first.replaced("channels", lambda: _total([shape.channels for shape in shapes]))
    return first.replaced("channels", lambda: simplest([shape.channels for shape in shapes]))


def _total(sizes: list[Expression]) -> Expression:
    result = sizes[0]
    for size in sizes[1:]:
        result = _plus(result, size)
    return result


def _plus(a: Expression, b: Expression) -> Expression:
    """Return a sum with equal terms counted: `in_channels + 3 * growth`."""
    if ex.literal(b) is None and (a == b or _is_product(a, b)):
        times = ex.literal(a.left) if _is_product(a, b) else 1  # type: ignore[union-attr]
        if isinstance(times, int):
            return (times + 1) * b
    if isinstance(a, ex.Binary) and a.operator == "+" and ex.literal(b) is None:
        times = ex.literal(a.right.left) if _is_product(a.right, b) else None  # type: ignore[union-attr]
        if a.right == b or isinstance(times, int):
            return a.left + (int(times or 1) + 1) * b
    return a + b


def _is_product(size: Expression, factor: Expression) -> bool:
    return isinstance(size, ex.Binary) and size.operator == "*" and size.right == factor
