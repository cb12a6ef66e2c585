"""The output shape and border of an op for one input, or why it has none.

`shapes.py` has the formulas; this module applies them to the arguments of one layer and finds the
errors that only show once the input shape is known.
"""

from __future__ import annotations

from incgen.base.diagnostics import Code, counted, listed
from incgen.graph.shapes import Arguments, Borders, Fault, Shape, Window, borders, sides, spatial
from incgen.language.ops import Op, Takes


def output(op: Op, args: Arguments, shape: Shape) -> Shape:
    """Return the shape that an op gives for an input, or raise `Fault`.

    If there is a window, its border in pixels is added to the arguments as `borders`.
    """
    if op.takes is Takes.MAP and not shape.is_map:
        message = f"`{op.name}` needs {op.takes.value}, but its input is a vector of {shape}"
        help_ = "put it before whatever makes a vector: a global pooling, `flatten` or `dense`"
        window = args.get("window")
        if op.name == "conv" and window is not None and window.kernel == (1, 1):
            help_ = f"write `dense {args['channels']}`, which is what a 1x1 `conv` is on a vector"
        elif op.name.startswith("global_") or op.name == "adaptive_avg_pool":
            help_ = "leave it out: a vector has no height and width"
        raise Fault(Code.WRONG_RANK, message, help_)
    match op.name:
        case "conv" | "depthwise_conv" | "separable_conv":
            return _convolved(op.name, args, shape)
        case "max_pool" | "avg_pool" | "pool":
            return _pooled(op.name, args, shape)
        case "dense":
            return Shape(args["features"])
        case "global_avg_pool" | "global_max_pool":
            return Shape(shape.channels)
        case "adaptive_avg_pool":
            return _adapted(args, shape)
        case "flatten":
            return Shape(shape.size)
        case "pad":
            return _padded(args, shape)
        case _:
            return shape


def _convolved(name: str, args: Arguments, shape: Shape) -> Shape:
    window, dilation = args["window"], args["dilation"]
    around = _borders(name, args, shape, dilation)
    high, wide = spatial(shape, window, dilation, around, False, name)
    args["borders"] = around
    if name == "depthwise_conv":
        return Shape(shape.channels * args["multiplier"], high, wide)
    groups = args.get("groups", 1)
    for what, channels in (("input", shape.channels), ("output", args["channels"])):
        if channels % groups:
            message = f"{groups} groups do not divide the {channels} {what} channels of `{name}`"
            divisors = [str(d) for d in range(2, min(channels, 256) + 1) if channels % d == 0]
            help_ = f"{channels} can be divided by {listed(divisors[:8], 'or')}" if divisors else ""
            raise Fault(Code.GROUPS, message, help_ or None)
    return Shape(args["channels"], high, wide)


def _pooled(name: str, args: Arguments, shape: Shape) -> Shape:
    window: Window = args["window"]
    around = _borders(name, args, shape, 1)
    if args["ceil"] is None:
        if window.strided:
            raise _must_say(name, "ceil", f"with the window {window}", "ceil=false")
        args["ceil"] = False
    averages = name == "avg_pool" or args.get("kind") == "avg"
    padded = max(around[0] + around[1])
    if averages and padded and args["count_pad"] is None:
        why = f"with a padding of {counted(padded, 'pixel')}"
        raise _must_say(name, "count_pad", why, "count_pad=true")
    high, wide = spatial(shape, window, 1, around, args["ceil"], name)
    args["borders"] = around
    return Shape(shape.channels, high, wide)


def _adapted(args: Arguments, shape: Shape) -> Shape:
    window: Window = args["window"]
    if window.strided:
        message = f"`adaptive_avg_pool` takes the size of its output, which has no stride: {window}"
        high, wide = window.kernel
        raise Fault(Code.BAD_WINDOW, message, f"write `adaptive_avg_pool {high}x{wide}`")
    return Shape(shape.channels, *window.kernel)


def _borders(name: str, args: Arguments, shape: Shape, dilation: int) -> Borders:
    assert shape.height is not None and shape.width is not None
    window: Window = args["window"]
    found = borders(args["pad"], window, dilation, shape.height, shape.width, name)
    if found is None:
        why = f"with the window {window}" + (f", dilation {dilation}" if dilation > 1 else "")
        raise _must_say(name, "pad", why, "pad=half")
    return found


def _must_say(name: str, argument: str, why: str, form: str) -> Fault:
    message = f"`{name}` {why} must state `{argument}`: the frameworks disagree on it"
    help_ = f"write `{form}`, or begin the file with `numerics caffe`, `torch` or `tf`"
    return Fault(Code.MUST_SAY, message, help_)


def _padded(args: Arguments, shape: Shape) -> Shape:
    assert shape.height is not None and shape.width is not None
    around = sides(args["border"])
    args["borders"] = around
    return Shape(shape.channels, shape.height + sum(around[0]), shape.width + sum(around[1]))
