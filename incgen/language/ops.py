"""The table of ops: what each takes, is and gives.

This is the one place that knows an op's arguments, their types, ranges and defaults, and the shape
of its output. Checking, documentation, formatting, counting and every target read it; the cost of
ops with weights is in `graph/shapes.py`, the emitters in `targets/`. A test fails if one of them
lacks an op.
"""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import Any, Final

from incgen.language.signatures import Argument, Kind, Op, Takes, windows

_count = partial(Argument, kind=Kind.COUNT)
_factor = partial(Argument, kind=Kind.FACTOR)
_flag = partial(Argument, kind=Kind.FLAG)
_word = partial(Argument, kind=Kind.WORD)
_window = partial(Argument, kind=Kind.WINDOW, positional=True)
_padding = partial(Argument, kind=Kind.PADDING)


def _op(name: str, doc: str, *arguments: Argument, **more: Any) -> Op:
    positional = tuple(a for a in arguments if a.positional)
    attributes = tuple(a for a in arguments if not a.positional)
    return Op(name, positional, attributes, doc=doc, **more)


_WINDOW = _window("window", "kernel and stride, in pixels")
_CHANNELS = _count("channels", "output channels", positional=True)
_MULTIPLIER = _count("multiplier", "output channels per input channel", default=1)
_CONV = (
    _padding("pad", "zeros around the input, in pixels; see Padding", must=True),
    _count("dilation", "spacing of the taps, in pixels", default=1),
)
_WEIGHT = (
    _flag("bias", "whether a bias is added", default=True),
    Argument(
        name="init",
        kind=Kind.INITIALIZER,
        default="glorot_uniform",
        doc="how the kernel is initialised",
    ),
    _factor("bias_init", "the initial value of every bias", default=0),
    _factor(
        "l2",
        "weight decay of the kernel: adds l2 / 2 * sum(w ** 2) to the loss",
        default=0,
        minimum=0,
    ),
)
_GROUPS = _count("groups", "independent groups of channels", default=1, divides=("C", "channels"))
_POOL = (
    _padding("pad", "border around the input, in pixels; see Padding", must=True),
    _flag("ceil", "whether a last, partial window counts (must be stated when strided)", must=True),
)
_COUNT_PAD = _flag(
    "count_pad", "whether the border counts in the average (must be stated when padded)", must=True
)
#: What ops have in common with others of their family or kind.
_WEIGHTED: Final[dict[str, Any]] = {"weighted": True, "derivative": "input"}
_CONVOLUTION: Final[dict[str, Any]] = {
    **_WEIGHTED,
    "takes": Takes.MAP,
    "family": "conv",
    "height": windows,
}
_OVER_MAP: Final[dict[str, Any]] = {"takes": Takes.MAP, "kind": "pooling"}
_POOLING: Final[dict[str, Any]] = {**_OVER_MAP, "family": "pool", "height": windows}
_NORM: Final[dict[str, Any]] = {"kind": "normalisation", "derivative": "input"}
_activation = partial(_op, kind="activation", elementwise=True, derivative="input")

_TABLE = (
    _op(
        "conv",
        "Convolution (cross-correlation) over height and width.",
        *(_WINDOW, _CHANNELS, *_CONV, _GROUPS, *_WEIGHT),
        **_CONVOLUTION,
        channels=lambda of: of("channels"),
        kind="convolution",
        title="convolution",
    ),
    _op(
        "depthwise_conv",
        "A convolution of each channel separately.",
        *(_WINDOW, _MULTIPLIER, *_CONV, *_WEIGHT),
        **_CONVOLUTION,
        channels=lambda of: of("C") * of("multiplier"),
        kind="separable convolution",
        title="depthwise convolution",
    ),
    _op(
        "separable_conv",
        "A depthwise convolution, then a 1x1 convolution, with nothing between.",
        *(_WINDOW, _CHANNELS, _MULTIPLIER, *_CONV, *_WEIGHT),
        **_CONVOLUTION,
        channels=lambda of: of("channels"),
        kind="separable convolution",
        title="separable convolution",
    ),
    _op(
        "dense",
        "A matrix product; a map is flattened in the order C, H, W first.",
        _count("features", "output features", positional=True),
        *_WEIGHT,
        **_WEIGHTED,
        vector=True,
        channels=lambda of: of("features"),
        kind="dense layer",
        title="dense layer",
    ),
    _op(
        "bn",
        "Batch normalisation over batch, height and width (Ioffe & Szegedy, algorithm 2).",
        _factor("eps", "added to the variance", must=True, minimum=0, open=True),
        _factor(
            "decay",
            "the fraction of the running statistics that a step keeps",
            must=True,
            minimum=0,
            maximum=1,
        ),
        _flag("scale", "whether there is a gamma", default=True),
        _flag("shift", "whether there is a beta", default=True),
        _word(
            "variance",
            "which batch variance the running variance averages",
            words=("unbiased", "biased"),
            default="unbiased",
        ),
        **_NORM,
        weighted=True,
        title="batch normalisation",
    ),
    _op(
        "lrn",
        "x / (k + alpha / size * sum of x ** 2 over size channels) ** beta.",
        _count(
            "size",
            "channels in the sum; size // 2 of them before the channel itself",
            positional=True,
            must=True,
        ),
        _factor("alpha", "divided by size, as Caffe and PyTorch do", must=True, minimum=0),
        _factor("beta", "the exponent", must=True, minimum=0),
        _factor("k", "the constant", must=True, minimum=0, open=True),
        **_NORM,
        takes=Takes.MAP,
        title="local response normalisation",
    ),
    _op(
        "max_pool",
        "The largest value of each window; padding never wins.",
        _WINDOW,
        *_POOL,
        **_POOLING,
        derivative="input",
        title="max pooling",
    ),
    _op(
        "avg_pool",
        "The average of each window.",
        _WINDOW,
        *_POOL,
        _COUNT_PAD,
        **_POOLING,
        title="average pooling",
    ),
    _op(
        "pool",
        "max_pool or avg_pool, chosen by a word that can be a parameter.",
        _word("kind", "which pooling", words=("max", "avg"), positional=True),
        *(_WINDOW, *_POOL, _COUNT_PAD),
        **_POOLING,
        title="pooling",
    ),
    _op(
        "global_avg_pool",
        "The average over height and width; gives a vector.",
        **_OVER_MAP,
        vector=True,
        title="global average pooling",
    ),
    _op(
        "global_max_pool",
        "The largest value over height and width; gives a vector.",
        **_OVER_MAP,
        vector=True,
        derivative="input",
        title="global max pooling",
    ),
    _op(
        "adaptive_avg_pool",
        "The average over windows, one for each pixel of the resulting map.",
        _window("window", "the size of the resulting map, without a stride"),
        **_OVER_MAP,
        height=lambda of: of("kernel"),
        title="adaptive average pooling",
    ),
    _op(
        "l2_normalize",
        "x / max(eps, the root of the sum of x ** 2 over the channels).",
        # float32 holds the square of the minimum
        _factor("eps", "the smallest norm to divide by", default=1e-12, minimum=1e-18),
        **_NORM,
        title="L2 normalisation",
    ),
    _activation("relu", "max(x, 0).", derivative="output", title="ReLU"),
    _activation("relu6", "min(max(x, 0), 6).", title="ReLU6"),
    _activation(
        "leaky_relu",
        "x where x > 0, else slope * x.",
        _factor("slope", "the factor for x <= 0", positional=True),
        title="leaky ReLU",
    ),
    _activation("sigmoid", "1 / (1 + exp(-x)).", derivative="output"),
    _activation("tanh", "The hyperbolic tangent.", derivative="output"),
    _activation("silu", "x * sigmoid(x), also called swish.", title="SiLU"),
    _activation(
        "gelu",
        "x times the normal distribution's CDF at x, exactly (erf) or approximately (tanh).",
        _word(
            "form",
            "which formula; the frameworks' defaults differ between versions",
            words=("erf", "tanh"),
            positional=True,
        ),
        title="GELU",
    ),
    _activation("hard_sigmoid", "min(max(x + 3, 0), 6) / 6."),
    _activation("hard_swish", "x * hard_sigmoid(x)."),
    _activation(
        "softmax",
        "exp(x) / sum of exp(x), over the channels.",
        elementwise=False,
        derivative="output",
    ),
    _op(
        "dropout",
        "In training, zeroes values and scales the others by 1 / (1 - rate).",
        _factor(
            "rate",
            "the probability of zeroing a value",
            positional=True,
            minimum=0,
            maximum=0.999999,
        ),
        kind="dropout",
        elementwise=True,
    ),
    _op(
        "flatten",
        "A map as a vector, in the order C, H, W.",
        vector=True,
        channels=lambda of: of("C") * of("H") * of("W"),
        kind="other",
    ),
    _op("identity", "The value itself.", elementwise=True, kind="other"),
    _op(
        "scale",
        "The value times a constant.",
        _factor("factor", "the constant", positional=True),
        elementwise=True,
        kind="other",
        title="scaling",
    ),
    _op(
        "pad",
        "Explicit zeros around a map.",
        _padding(
            "border", "a number, `HxW` or `[top, bottom, left, right]`, in pixels", positional=True
        ),
        takes=Takes.MAP,
        height=lambda of: of("H") + of("before") + of("after"),
        kind="other",
        title="zero padding",
    ),
)

#: Every op by name, in the order of the language reference.
OPS: Final = MappingProxyType({op.name: op for op in _TABLE})

#: What `activation` can name: ops without arguments that act on each value by itself.
ACTIVATIONS: Final = tuple(op.name for op in _TABLE if op.elementwise and not op.arguments)
#: The names of the sizes of the current value.
DIMENSIONS: Final = ("channels", "height", "width")
#: Every word that an argument accepts.
WORDS: Final = frozenset({"valid", "half", "same"}) | {
    word for op in _TABLE for argument in op.arguments for word in argument.words
}


def place_of(op: str, argument: str) -> tuple[int, int]:
    """Return the place of an op in the table, and that of an argument in its row, as a sort key."""
    names = [a.name for a in OPS[op].arguments]
    return list(OPS).index(op), names.index(argument)
