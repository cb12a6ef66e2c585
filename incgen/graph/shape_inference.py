"""The output shape and border of an op for one input, or why it has none.

`shapes.py` has the formulas; this module applies them to the arguments of one layer and finds the
errors that only show once the input shape is known.
"""

from __future__ import annotations

import math
from typing import Any

from incgen.base.diagnostics import Code, counted, listed
from incgen.base.help import Help, add, put, write
from incgen.graph.shapes import (
    Arguments,
    Borders,
    Fault,
    Shape,
    Window,
    borders,
    chosen,
    sides,
    spatial,
)
from incgen.language.signatures import Formula, Op, Takes, windows


def output(op: Op, args: Arguments, shape: Shape) -> tuple[Shape, Arguments]:
    """Return the shape that an op gives for an input, and its arguments for that input.

    Those of a window or a border have its pixels as `borders`, and a `ceil` that makes no
    difference is false.

    Raises:
        Fault: The op cannot take the input.
    """
    if op.takes is Takes.MAP and not shape.is_map:
        raise _wrong_rank(op, args, shape)
    sizes: tuple[int, ...] = () if op.vector else shape.sizes[1:]
    if op.height is windows:
        sizes, args = _moved(op, args, shape)
    elif "border" in args:
        args = Arguments(args, borders=sides(args["border"]))
    elif op.name == "adaptive_avg_pool" and args.window.strided:
        raise _strided(args.window)
    _check_divisors(op, args, shape)
    if op.channels is None and op.height is None and not op.vector:
        return shape, args  # the most frequent
    if op.height is not None and op.height is not windows:
        sizes = tuple(_size(op.height, args, shape, axis) for axis in (0, 1))
    channels = shape.channels if op.channels is None else _size(op.channels, args, shape)
    return Shape(channels, *sizes), args


def _size(formula: Formula, args: Arguments, shape: Shape, axis: int = 0) -> int:
    """Return a size that the row of an op states, with the arguments of a call."""
    known = _named(args, shape, axis)
    if "window" in args:
        known["kernel"] = args.window.kernel[axis]
    if "borders" in args:
        known["before"], known["after"] = args.borders[axis]
    size = formula(known.__getitem__)
    assert isinstance(size, int)
    return size


def _named(args: Arguments, shape: Shape, axis: int = 0) -> dict[str, Any]:
    """Return arguments with the sizes of the input, whose height may be its width."""
    sides = (shape.height or 1, shape.width or 1)
    return {"C": shape.channels, "H": sides[axis], "W": sides[1], **args}


def _wrong_rank(op: Op, args: Arguments, shape: Shape) -> Fault:
    message = f"`{op.name}` needs {op.takes.value}, but its input is a vector of {shape}"
    help_ = "put it before whatever makes a vector: a global pooling, `flatten` or `dense`"
    if op.name == "conv" and args.window.kernel == (1, 1):
        why = ", which is what a 1x1 `conv` is on a vector"
        return Fault(Code.WRONG_RANK, message, write(f"dense {args['channels']}", why=why))
    if op.name.startswith("global_") or op.name == "adaptive_avg_pool":
        help_ = Help("leave it out: a vector has no height and width", *put(""))
    return Fault(Code.WRONG_RANK, message, help_)


#: Sizes that an argument has to divide, in words.
_DIVIDED = {
    "C": "input channels",
    "H": "input rows",
    "W": "input columns",
    "channels": "output channels",
}


def _check_divisors(op: Op, args: Arguments, shape: Shape) -> None:
    for argument in op.dividing:
        if args[argument.name] == 1:
            continue  # the most frequent
        sizes = [_named(args, shape)[name] for name in argument.divides]
        number, common = args.count(argument.name), math.gcd(*sizes)
        for name, size in zip(argument.divides, sizes, strict=True):
            if size % number:
                message = f"`{argument.name}` of `{op.name}` is {number}, which does not divide its"
                divisors = [str(d) for d in range(2, min(common, 256) + 1) if common % d == 0]
                both = " and ".join(dict.fromkeys(map(str, sizes)))
                name_ = "" if argument.positional else f"{argument.name}="
                edits = put(*(f"{name_}{divisor}" for divisor in divisors[:8]))
                help_ = Help(f"{both} can be divided by {listed(divisors[:8], 'or')}", *edits)
                if not divisors:
                    help_ = Help(f"only 1 divides {both}: leave `{argument.name}` out", *put(""))
                message += f" {size} {_DIVIDED[name]}"
                raise Fault(Code.GROUPS, message, help_, argument.name)


def _moved(op: Op, args: Arguments, shape: Shape) -> tuple[tuple[int, int], Arguments]:
    """Return how often a window fits, in height and width, and the arguments with its border."""
    around = _borders(op.name, args, shape)
    settled = Arguments(args, borders=around)
    if op.known("ceil"):
        settled["ceil"] = _rounded_up(op, args, around)
    ceil = bool(settled.get("ceil"))
    return spatial(shape, args.window, args.dilation, around, ceil, op.name), settled


def _rounded_up(op: Op, args: Arguments, around: Borders) -> bool:
    """Return whether a last, partial window of a pooling counts."""
    if args["ceil"] is None and args.window.strided:
        raise _must_say(op.name, "ceil", f"with the window {args.window}", "ceil=false")
    padded = max(around[0] + around[1])
    if chosen(op.name, args) == "avg_pool" and padded and args["count_pad"] is None:
        why = f"with a padding of {counted(padded, 'pixel')}"
        raise _must_say(op.name, "count_pad", why, "count_pad=true")
    return bool(args["ceil"])


def _strided(window: Window) -> Fault:
    message = f"`adaptive_avg_pool` takes the size of its output, which has no stride: {window}"
    high, wide = window.kernel
    return Fault(Code.BAD_WINDOW, message, write(f"adaptive_avg_pool {high}x{wide}"))


def _borders(name: str, args: Arguments, shape: Shape) -> Borders:
    assert shape.height is not None and shape.width is not None
    window, dilation = args.window, args.dilation
    result = borders(args["pad"], window, dilation, shape.height, shape.width, name)
    if result is None:
        why = f"with the window {window}" + (f", dilation {dilation}" if dilation > 1 else "")
        raise _must_say(name, "pad", why, "pad=half")
    return result


def _must_say(name: str, argument: str, why: str, form: str) -> Fault:
    message = f"`{name}` {why} must state `{argument}`: the frameworks disagree on it"
    return Fault(Code.MUST_SAY, message, Help(f"write `{form}`", *add(form)))
