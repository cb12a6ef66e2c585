"""Translate each op to ONNX: a table from ops to functions that add a few nodes.

The numbers are the language's. An attribute of ONNX is a float32; where that would not do for the
proof in float64, an op is written with constants instead (`Layer.holds`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

from incgen.graph.shapes import NO_BORDER, Borders
from incgen.onnx import windows
from incgen.onnx.layers import Layer
from incgen.onnx.refusing import refuse

#: Adds the nodes of a layer, given the names of its inputs; returns the name of its value.
Emitter: TypeAlias = Callable[..., str]


# ---------------------------------------------------------------- layers with weights


def _separable_conv(layer: Layer, x: str) -> str:
    middle = _convolved(layer, x, "depthwise.weight", layer.shapes[0].channels, part="depthwise")
    kernel, bias = layer.weight("pointwise.weight"), layer.optional("pointwise.bias")
    return layer("Conv", middle, kernel, *bias, kernel_shape=(1, 1))


def _convolved(layer: Layer, x: str, kernel: str, groups: int, part: str = "") -> str:
    dilation = layer.args.dilation
    window = windows.attributes(layer, layer.args.borders)
    bias = () if part else layer.optional("bias")
    return layer(
        "Conv",
        x,
        layer.weight(kernel),
        *bias,
        part=part,
        group=groups,
        dilations=(dilation, dilation),
        **window,
    )


def _dense(layer: Layer, x: str) -> str:
    if layer.shapes[0].is_map:  # (N, C, H, W) in that order
        x = layer("Flatten", _fixed(layer, x), part="flat", axis=1)
    return layer("Gemm", x, layer.weight("weight"), *layer.optional("bias"), transB=1)


def _flatten(layer: Layer, x: str) -> str:
    return layer("Flatten", _fixed(layer, x), axis=1) if layer.shapes[0].is_map else x


def _fixed(layer: Layer, x: str) -> str:
    if layer.options.any_size:
        help_ = "leave out --any-size, or put `global_avg_pool` in front"
        refuse(f"`{layer.node.op}` takes a map of one size", layer.node.span, help=help_)
    return x


def _bn(layer: Layer, x: str) -> str:
    eps, size = layer.args.number("eps"), layer.node.shape.channels
    (gamma,) = layer.optional("weight") or (layer.constant("ones", [1.0] * size, [size]),)
    (beta,) = layer.optional("bias") or (layer.constant("zeros", [0.0] * size, [size]),)
    mean, variance = layer.weight("running_mean"), layer.weight("running_var")
    if not layer.holds(eps):
        variance = layer("Add", variance, layer.number("eps", eps), part="variance")
        eps = 0.0
    return layer("BatchNormalization", x, gamma, beta, mean, variance, epsilon=eps)


# ---------------------------------------------------------------- pooling


def _max_pool(layer: Layer, x: str) -> str:
    borders = _wider(layer.args.borders, windows.beyond(layer))
    return layer("MaxPool", x, **windows.attributes(layer, borders))


def _avg_pool(layer: Layer, x: str) -> str:
    borders, over = layer.args.borders, windows.beyond(layer)
    counted = int(bool(layer.args["count_pad"]) and borders != NO_BORDER)
    if counted and any(over):  # the border counts, what lies beyond it does not
        x = _padded(layer, x, borders, part="border")
        borders, counted = NO_BORDER, 0
    window = windows.attributes(layer, _wider(borders, over))
    return layer("AveragePool", x, count_include_pad=counted, **window)


def _pool(layer: Layer, x: str) -> str:
    return (_avg_pool if layer.args["kind"] == "avg" else _max_pool)(layer, x)


def _wider(borders: Borders, over: tuple[int, int]) -> Borders:
    (top, bottom), (left, right) = borders
    return (top, bottom + over[0]), (left, right + over[1])


def _padded(layer: Layer, x: str, borders: Borders, part: str = "") -> str:
    (top, bottom), (left, right) = borders
    pads = layer.integers("pads", (0, 0, top, left, 0, 0, bottom, right))
    return layer("Pad", x, pads, part=part, mode="constant")


def _over_all(op: str) -> Emitter:
    return lambda layer, x: layer("Flatten", layer(op, x, part="pool"), axis=1)


def _adaptive_avg_pool(layer: Layer, x: str) -> str:
    window = layer.args.window
    if window.kernel == (1, 1):
        return layer("GlobalAveragePool", x)
    if layer.options.any_size:
        help_ = "leave out --any-size, or use `global_avg_pool`"
        refuse(
            f"the windows of `adaptive_avg_pool {window}` need one size",
            layer.node.span,
            help=help_,
        )
    _, height, width = layer.shapes[0].sizes
    (high, wide) = window.kernel
    if height % high == 0 and width % wide == 0:
        kernel = height // high, width // wide
        return layer("AveragePool", x, kernel_shape=kernel, strides=kernel)
    # rows of averages on either side of each map: (n, H) @ (H, W) @ (W, m)
    left = layer.constant("rows", _shares(height, high), (high, height))
    right = layer.constant("columns", _shares(width, wide, across=True), (width, wide))
    return layer("MatMul", left, layer("MatMul", x, right, part="narrow"))


def _shares(size: int, count: int, *, across: bool = False) -> list[float]:
    """Return how much of each average each pixel is: (count, size), or its transpose."""
    spans = [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]

    def share(i: int, pixel: int) -> float:
        start, end = spans[i]
        return 1 / (end - start) if start <= pixel < end else 0.0

    if across:
        return [share(i, pixel) for pixel in range(size) for i in range(count)]
    return [share(i, pixel) for i in range(count) for pixel in range(size)]


# ---------------------------------------------------------------- over the channels


def _lrn(layer: Layer, x: str) -> str:
    """Normalise locally, with the sum over the channels as a convolution.

    ONNX's own LRN takes the other neighbour of an even size. In ONNX Runtime it adds and subtracts
    squares along the channels, which cancels where they differ much, and takes twice as long.
    """
    size = layer.args.count("size")
    alpha, beta, k = (layer.args.number(name) for name in ("alpha", "beta", "k"))
    channels = layer.shapes[0].channels
    band = [
        alpha / size if 0 <= other - (channel - size // 2) < size else 0.0
        for channel in range(channels)
        for other in range(channels)
    ]
    kernel = layer.constant("band", band, (channels, channels, 1, 1))
    start = layer.constant("k", [k] * channels, (channels,))
    total = layer("Conv", layer("Mul", x, x, part="squares"), kernel, start, part="sum")
    return layer("Div", x, layer("Pow", total, layer.number("beta", beta), part="norm"))


def _l2_normalize(layer: Layer, x: str) -> str:
    if layer.options.opset < 18:
        norm = layer("ReduceL2", x, part="norm", axes=[1])
    else:
        norm = layer("ReduceL2", x, layer.integers("axes", [1]), part="norm")
    least = layer.number("eps", layer.args.number("eps"))
    return layer("Div", x, layer("Max", norm, least, part="least"))


# ---------------------------------------------------------------- each value by itself


def _as(op: str) -> Emitter:
    """Return the emitter of an op that is an operator of ONNX."""
    return lambda layer, x: layer(op, x)


def _same(layer: Layer, x: str) -> str:
    return x


def _leaky_relu(layer: Layer, x: str) -> str:
    slope = layer.args.number("slope")
    if layer.holds(slope):
        return layer("LeakyRelu", x, alpha=slope)
    return layer("PRelu", x, layer.constant("slope", [slope], [1]))


def _hard_sigmoid(layer: Layer, x: str, part: str = "") -> str:
    if layer.holds(1 / 6):
        return layer("HardSigmoid", x, part=part, alpha=1 / 6, beta=0.5)
    raised = layer("Add", x, layer.number("3", 3), part="raised")
    cut = layer("Clip", raised, layer.number("0", 0), layer.number("6", 6), part="cut")
    return layer("Div", cut, layer.number("divisor", 6), part=part)


def _gelu(layer: Layer, x: str) -> str:
    form = layer.args["form"]
    if layer.options.opset >= 20:
        return layer("Gelu", x, approximate="none" if form == "erf" else form)
    half, one = layer.number("half", 0.5), layer.number("1", 1)
    if form == "erf":
        small = layer("Mul", x, layer.number("root", math.sqrt(0.5)), part="small")
        curve = layer("Erf", small, part="curve")
    else:
        square = layer("Mul", x, x, part="square")
        cube = layer("Mul", square, x, part="cube")
        share = layer("Mul", cube, layer.number("share", 0.044715), part="bent")
        total = layer("Add", x, share, part="sum")
        root = layer.number("root", math.sqrt(2 / math.pi))
        curve = layer("Tanh", layer("Mul", total, root, part="small"), part="curve")
    gate = layer("Add", curve, one, part="gate")
    return layer("Mul", layer("Mul", x, half, part="halved"), gate)


# ---------------------------------------------------------------- joins


def _elementwise(op: str) -> Emitter:
    """Return the emitter of a join; a vector beside maps is one number for each map."""

    def emitted(layer: Layer, *given: str) -> str:
        maps = any(shape.is_map for shape in layer.shapes)
        values = [
            _spread(layer, value, number) if maps and not shape.is_map else value
            for number, (value, shape) in enumerate(zip(given, layer.shapes, strict=True))
        ]
        total, last = values[0], len(values) - 1
        for number, value in enumerate(values[1:], start=1):
            total = layer(op, total, value, part="" if number == last else f"{number}")
        return total

    return emitted


def _spread(layer: Layer, x: str, number: int) -> str:
    """Turn a vector (N, C) into maps (N, C, 1, 1)."""
    axes = layer.integers(f"axes{number}", [2, 3])
    return layer("Unsqueeze", x, axes, part=f"vector{number}")


#: The emitter of each op and join.
EMITTERS: dict[str, Emitter] = {
    "conv": lambda layer, x: _convolved(layer, x, "weight", layer.args.count("groups")),
    "depthwise_conv": lambda layer, x: _convolved(layer, x, "weight", layer.shapes[0].channels),
    "separable_conv": _separable_conv,
    "dense": _dense,
    "bn": _bn,
    "lrn": _lrn,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "pool": _pool,
    "global_avg_pool": _over_all("GlobalAveragePool"),
    "global_max_pool": _over_all("GlobalMaxPool"),
    "adaptive_avg_pool": _adaptive_avg_pool,
    "l2_normalize": _l2_normalize,
    "relu": _as("Relu"),
    "relu6": lambda layer, x: layer("Clip", x, layer.number("0", 0), layer.number("6", 6)),
    "leaky_relu": _leaky_relu,
    "sigmoid": _as("Sigmoid"),
    "tanh": _as("Tanh"),
    "silu": lambda layer, x: layer("Mul", x, layer("Sigmoid", x, part="gate")),
    "gelu": _gelu,
    "hard_sigmoid": _hard_sigmoid,
    "hard_swish": lambda layer, x: layer("Mul", x, _hard_sigmoid(layer, x, part="gate")),
    "softmax": lambda layer, x: layer("Softmax", x, axis=1),
    "dropout": _same,
    "flatten": _flatten,
    "identity": _same,
    "scale": lambda layer, x: layer("Mul", x, layer.number("factor", layer.args.number("factor"))),
    "pad": lambda layer, x: _padded(layer, x, layer.args.borders),
    "concat": lambda layer, *given: layer("Concat", *given, axis=1),
    "add": _elementwise("Add"),
    "mul": _elementwise("Mul"),
}
