"""Compute borders and how windows fit, and the parameters and the cost of each op."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias, cast

from incgen.base.diagnostics import Code, counted
from incgen.language.initializers import DEFAULT_KERNEL, Initializer, WeightKind, fans


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of a value without its batch: a map (C, H, W) or a vector (C)."""

    channels: int
    height: int | None = None
    width: int | None = None

    @property
    def is_map(self) -> bool:
        """Return whether the shape has a height and width."""
        return self.height is not None

    @property
    def sizes(self) -> tuple[int, ...]:
        """Return the channels, and the height and width of a map."""
        if self.height is None or self.width is None:
            return (self.channels,)
        return self.channels, self.height, self.width

    @property
    def size(self) -> int:
        """Return how many numbers an example has."""
        return math.prod(self.sizes)

    def __str__(self) -> str:
        """Write the value as specs and reports do."""
        return " x ".join(map(str, self.sizes))


@dataclass(frozen=True, slots=True)
class Window:
    """A kernel and its stride in pixels, (height, width) each."""

    kernel: tuple[int, int]
    stride: tuple[int, int]

    @property
    def strided(self) -> bool:
        """Return whether a stride is above 1."""
        return max(self.stride) > 1

    def __str__(self) -> str:
        """Write the value as specs and reports do."""
        text = "{}x{}".format(*self.kernel)
        if not self.strided:
            return text
        high, wide = self.stride
        return f"{text}/{high}" if high == wide else f"{text}/{high}x{wide}"


#: Pixels before and after, for height and for width.
Borders: TypeAlias = tuple[tuple[int, int], tuple[int, int]]
NO_BORDER: Borders = ((0, 0), (0, 0))


class Arguments(dict[str, object]):
    """The arguments of a layer by name, with all defaults resolved to values.

    Where an op meets its numbers, the properties and methods give them with their types.
    """

    __slots__ = ()

    @property
    def window(self) -> Window:
        """Return the window; an op without one raises `KeyError`."""
        window = self["window"]
        assert isinstance(window, Window)
        return window

    @property
    def borders(self) -> Borders:
        """Return the pixels that are added around the input."""
        return cast("Borders", self.get("borders", NO_BORDER))

    @property
    def dilation(self) -> int:
        """Return the dilation of the window; 1 if the op has none."""
        return self.count("dilation") if "dilation" in self else 1

    @property
    def init(self) -> Initializer:
        """Return the initialiser of the kernel."""
        init = self["init"]
        assert isinstance(init, Initializer)
        return init

    def count(self, name: str) -> int:
        """Return an argument that is a whole number."""
        value = self[name]
        assert isinstance(value, int)
        return value

    def number(self, name: str) -> float:
        """Return an argument that is any number."""
        value = self[name]
        assert isinstance(value, (int, float))
        return float(value)


#: The arguments that each kind of `Fault` concerns; the rank of an input concerns none.
_CONCERNED = {
    Code.WINDOW_TOO_LARGE: ("window", "pad", "dilation"),
    Code.BAD_PADDING: ("window", "pad", "dilation"),
    Code.BAD_WINDOW: ("window",),
    Code.GROUPS: ("groups", "channels"),
    Code.WRONG_RANK: (),
    Code.MUST_SAY: ("window", "pad", "ceil", "count_pad", "dilation"),
}


def chosen(op: str, args: Mapping[str, object]) -> str:
    """Return the name of an op; a pooling that a word chooses is what it chose."""
    return f"{args['kind']}_pool" if op == "pool" else op


class Fault(Exception):
    """An op cannot take this shape; the message says why, in numbers."""

    def __init__(
        self, code: Code, message: str, help: str | None = None, argument: str = ""
    ) -> None:
        """Describe the fault; the edits of `help` may be for one argument of the call."""
        super().__init__(message)
        self.code, self.help, self.argument = code, help, argument
        self.concerns: tuple[str, ...] = _CONCERNED[code]


def effective(kernel: int, dilation: int) -> int:
    """Return how many pixels a dilated kernel spans.

    >>> effective(3, 2)
    5
    """
    return (kernel - 1) * dilation + 1


def same_border(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return the border of TensorFlow's `same`: output ceil(size / stride), odd pixel after.

    Source: tf.nn, "Notes on padding".

    >>> same_border(224, 7, 2)
    (2, 3)
    """
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def window_output(
    size: int, kernel: int, stride: int, border: tuple[int, int], ceil: bool = False
) -> int:
    """Return how many windows fit.

    With `ceil` a last, partial window counts unless it begins in the border after the input
    (PyTorch's rule, aten/src/ATen/native/Pool.h; Caffe's agrees).

    >>> window_output(112, 3, 2, (0, 0), ceil=True)
    56
    """
    before, after = border
    room = size + before + after - kernel
    if not ceil:
        return room // stride + 1
    count = (room + stride - 1) // stride + 1
    return count - ((count - 1) * stride >= size + before)


def sides(pad: Any) -> Borders:
    """Read a padding in pixels: a number, (height, width) or four sides.

    >>> sides((0, 1, 2, 3))
    ((0, 1), (2, 3))
    """
    match pad:
        case int(n):
            return (n, n), (n, n)
        case (int(h), int(w)):
            return (h, h), (w, w)
        case (int(t), int(b), int(l), int(r)):
            return (t, b), (l, r)
        case _:
            raise AssertionError(pad)


def borders(
    pad: Any, window: Window, dilation: int, height: int, width: int, what: str
) -> Borders | None:
    """Return the border that a padding gives one input; None if the spec must state the padding.

    The padding is a word, a number, (height, width) or (top, bottom, left, right), or None if it is
    not stated. If the window of the op `what` cannot have it, `Fault` is raised.
    """
    spans = tuple(effective(kernel, dilation) for kernel in window.kernel)
    if pad is None:
        if max(spans) > 1 and (window.strided or any(span % 2 == 0 for span in spans)):
            return None  # there, `half` and `same` differ
        pad = "half"
    if pad == "same":
        sizes = zip((height, width), spans, window.stride, strict=True)
        high, wide = (same_border(*arguments) for arguments in sizes)
        return high, wide
    if pad == "half":
        high, wide = ((span // 2, span // 2) for span in spans)
        return high, wide
    result = ((0, 0), (0, 0)) if pad == "valid" else sides(pad)
    _check_border(result, spans, what)
    return result


def _check_border(around: Borders, spans: tuple[int, ...], what: str) -> None:
    for border, span in zip(around, spans, strict=True):
        if max(border) >= span:
            raise Fault(
                Code.BAD_PADDING,
                f"`{what}` pads by {counted(max(border), 'pixel')}, but its window spans only "
                f"{span}: a window would lie entirely in the border",
                "pad by less than the window, or put a `pad` in front",
            )


def spatial(
    shape: Shape, window: Window, dilation: int, around: Borders, ceil: bool, what: str
) -> tuple[int, int]:
    """Return the height and width after a window has moved over a map, or raise `Fault`."""
    assert shape.height is not None and shape.width is not None
    result = []
    sizes = zip((shape.height, shape.width), window.kernel, window.stride, around, strict=True)
    for axis, (size, kernel, stride, border) in zip(("high", "wide"), sizes, strict=True):
        span = effective(kernel, dilation)
        if size + sum(border) < span:
            padded = f", {size + sum(border)} with its padding" if sum(border) else ""
            dilated = f" ({kernel} with dilation {dilation})" if dilation > 1 else ""
            raise Fault(
                Code.WINDOW_TOO_LARGE,
                f"the window of `{what}` is {span} pixels {axis}{dilated}, but its input is "
                f"only {size}{padded}",
                "use a smaller window, more padding or a larger input",
            )
        result.append(window_output(size, span, stride, border, ceil))
    return result[0], result[1]


@dataclass(frozen=True, slots=True)
class Tensor:
    """One parameter or statistic of a layer, in the layout of the weights file."""

    name: str  #: The name after the layer's path: `weight`, `bias`, `running_mean`, ...
    shape: tuple[int, ...]  #: OIHW for convolutions, (out, in) for dense layers
    trained: bool = True  #: Whether it is a parameter; running statistics are not
    initializer: Initializer = DEFAULT_KERNEL
    fan_in: int = 1  #: Inputs that one output sums (for the initialiser)
    fan_out: int = 1  #: Outputs that one input reaches

    @property
    def size(self) -> int:
        """Return how many numbers it holds."""
        return math.prod(self.shape)


def _constant(value: float) -> Initializer:
    return Initializer(name="constant", args=(float(value),))


def _kernel(
    name: str, kind: WeightKind, shape: tuple[int, ...], args: Arguments, multiplier: int = 1
) -> Tensor:
    fan_in, fan_out = fans(kind, shape, multiplier=multiplier)
    return Tensor(name, shape, True, args.init, fan_in, fan_out)


def _bias(args: Arguments, size: int, prefix: str = "") -> tuple[Tensor, ...]:
    if not args["bias"]:
        return ()
    return (Tensor(f"{prefix}bias", (size,), True, _constant(args.number("bias_init"))),)


@lru_cache
def _statistics(channels: int, scaled: object, shifted: object) -> tuple[Tensor, ...]:
    size = (channels,)
    scale = (Tensor("weight", size, True, _constant(1)),) if scaled else ()
    shift = (Tensor("bias", size, True, _constant(0)),) if shifted else ()
    mean = Tensor("running_mean", size, False, _constant(0))
    return (*scale, *shift, mean, Tensor("running_var", size, False, _constant(1)))


def tensors(op: str, args: Arguments, shape: Shape) -> tuple[Tensor, ...]:
    """Return the parameters and statistics of a layer."""
    inputs = shape.channels
    match op:
        case "conv":
            outputs = args.count("channels")
            weight = (outputs, inputs // args.count("groups"), *args.window.kernel)
            return (_kernel("weight", "conv", weight, args), *_bias(args, outputs))
        case "depthwise_conv":
            multiplier = args.count("multiplier")
            outputs = inputs * multiplier
            weight = (outputs, 1, *args.window.kernel)
            first = _kernel("weight", "depthwise_conv", weight, args, multiplier)
            return (first, *_bias(args, outputs))
        case "separable_conv":
            multiplier, outputs = args.count("multiplier"), args.count("channels")
            middle = inputs * multiplier
            depthwise = (middle, 1, *args.window.kernel)
            first = _kernel("depthwise.weight", "depthwise_conv", depthwise, args, multiplier)
            second = _kernel("pointwise.weight", "conv", (outputs, middle, 1, 1), args)
            return (first, second, *_bias(args, outputs, "pointwise."))
        case "dense":
            outputs = args.count("features")
            first = _kernel("weight", "dense", (outputs, shape.size), args)
            return (first, *_bias(args, outputs))
        case "bn":
            return _statistics(inputs, args["scale"], args["shift"])
        case _:
            return ()


def multiply_adds(op: str, args: Arguments, shape: Shape, result: Shape) -> int:
    """Count the multiplications by a weight for one example, and nothing else."""
    area = (result.height or 1) * (result.width or 1)
    high, wide = args.window.kernel if "window" in args else (1, 1)
    match op:
        case "conv":
            return area * result.channels * (shape.channels // args.count("groups")) * high * wide
        case "depthwise_conv":
            return area * result.channels * high * wide
        case "separable_conv":
            middle = shape.channels * args.count("multiplier")
            return area * middle * (high * wide + result.channels)
        case "dense":
            return shape.size * result.channels
        case _:
            return 0
