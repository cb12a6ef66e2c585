"""The table of ops: what each takes and is.

This is the one place that knows an op's arguments, their types, ranges and defaults. Checking,
documentation, formatting, counting and every target read it; shape and cost rules are in
`graph/shapes.py`, the emitters in `targets/`. A test fails if one of them lacks an op.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from enum import Enum
from functools import partial
from types import MappingProxyType
from typing import Any, Final


class Kind(Enum):
    """The type of an argument."""

    COUNT = "a whole number from 1"
    FACTOR = "a number"
    FLAG = "`true` or `false`"
    WORD = "a word"
    WINDOW = "a window such as `3x3` or `3x3/2`"
    PADDING = "`valid`, `half`, `same`, a number, `HxW` or `[top, bottom, left, right]`"
    INITIALIZER = "an initialiser such as `he_normal` or `normal(0.01)`"


@dataclass(frozen=True, slots=True)
class ByWindow:
    """A padding that follows the window: `valid` where a side is even, else by the stride."""

    plain: str  #: The word for odd windows with stride 1
    strided: str | None  #: The word for other odd windows; None if it must be stated

    def word(self, kernel: tuple[int, ...], stride: tuple[int, ...]) -> str | None:
        """Return the word for one window; None if it must be stated.

        >>> ByWindow("half", None).word((3, 3), (1, 1))
        'half'
        """
        if any(side % 2 == 0 for side in kernel) or max(kernel) == 1:
            return "valid"
        return self.plain if max(stride) == 1 else self.strided


#: What an argument can default to. None: there is no default without `numerics`.
DefaultValue = int | float | bool | str | ByWindow | None


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of an op."""

    name: str  #: The attribute's name, or what errors call a positional argument
    doc: str  #: Its meaning, with the unit
    _: KW_ONLY
    kind: Kind  #: The type of its values
    positional: bool = False  #: Whether it is given by position rather than as `name=value`
    default: DefaultValue = None  #: The value if it is not stated
    must: bool = False  #: No default without a `numerics` line: the frameworks disagree
    words: tuple[str, ...] = ()  #: The words it accepts, for `Kind.WORD`
    minimum: float = -1e20  #: The smallest value, for numbers
    maximum: float = 1e20  #: The largest value, for numbers
    open: bool = False  #: Whether the minimum and maximum themselves are excluded

    @property
    def usage(self) -> str:
        """Return the argument as the usage of its op shows it."""
        return self.name.upper() if self.positional else f"[{self.name}=]"


class Takes(Enum):
    """The inputs that an op accepts."""

    MAP = "a map (N, C, H, W)"
    ANY = "a map or a vector"


@dataclass(frozen=True, slots=True)
class Signature:
    """The parameters of a call: of an op, or of a unit whose arguments go to its head."""

    name: str  #: The name in specs
    positional: tuple[Argument, ...] = ()  #: Those given by position, in order
    attributes: tuple[Argument, ...] = ()  #: Those given by name

    @property
    def arguments(self) -> tuple[Argument, ...]:
        """Return all of them."""
        return (*self.positional, *self.attributes)

    @property
    def usage(self) -> str:
        """Return how a call is written, such as `avg_pool WINDOW [pad=] [ceil=] [count_pad=]`."""
        return " ".join([self.name, *(argument.usage for argument in self.arguments)])

    def argument(self, name: str) -> Argument | None:
        """Return the argument of a name, positional or not."""
        return next((a for a in self.arguments if a.name == name), None)

    def known(self, name: str) -> bool:
        """Return whether an argument has this name."""
        return self.argument(name) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Op(Signature):
    """One row of the table."""

    doc: str  #: One sentence
    takes: Takes = Takes.ANY  #: The rank of its input
    weighted: bool = False  #: Whether it has parameters, and therefore a key in weights files
    family: str = ""  #: The name under which `numerics` and `default` know several ops
    title: str = ""  #: The name in a sentence, if it is not the one in specs
    kind: str = "other"  #: What kind of layer it is, as drawings tell them apart
    elementwise: bool = False  #: Whether it acts on each value by itself
    derivative: str = ""  #: What that is computed from: "input", "output", or neither

    @property
    def noun(self) -> str:
        """Return the name of the op in a sentence."""
        return self.title or self.name.replace("_", " ")


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
_GROUPS = _count("groups", "independent groups of channels", default=1)
_POOL = (
    _padding("pad", "border around the input, in pixels; see Padding", must=True),
    _flag("ceil", "whether a last, partial window counts (must be stated when strided)", must=True),
)
_COUNT_PAD = _flag(
    "count_pad", "whether the border counts in the average (must be stated when padded)", must=True
)
#: What ops have in common with others of their family or kind.
_WEIGHTED: Final[dict[str, Any]] = {"weighted": True, "derivative": "input"}
_CONVOLUTION: Final[dict[str, Any]] = {**_WEIGHTED, "takes": Takes.MAP, "family": "conv"}
_OVER_MAP: Final[dict[str, Any]] = {"takes": Takes.MAP, "kind": "pooling"}
_POOLING: Final[dict[str, Any]] = {**_OVER_MAP, "family": "pool"}
_NORM: Final[dict[str, Any]] = {"kind": "normalisation", "derivative": "input"}
_activation = partial(_op, kind="activation", elementwise=True, derivative="input")

_TABLE = (
    _op(
        "conv",
        "Convolution (cross-correlation) over height and width.",
        *(_WINDOW, _CHANNELS, *_CONV, _GROUPS, *_WEIGHT),
        **_CONVOLUTION,
        kind="convolution",
        title="convolution",
    ),
    _op(
        "depthwise_conv",
        "A convolution of each channel separately.",
        *(_WINDOW, _MULTIPLIER, *_CONV, *_WEIGHT),
        **_CONVOLUTION,
        kind="separable convolution",
        title="depthwise convolution",
    ),
    _op(
        "separable_conv",
        "A depthwise convolution, then a 1x1 convolution, with nothing between.",
        *(_WINDOW, _CHANNELS, _MULTIPLIER, *_CONV, *_WEIGHT),
        **_CONVOLUTION,
        kind="separable convolution",
        title="separable convolution",
    ),
    _op(
        "dense",
        "A matrix product; a map is flattened in the order C, H, W first.",
        _count("features", "output features", positional=True),
        *_WEIGHT,
        **_WEIGHTED,
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
        title="global average pooling",
    ),
    _op(
        "global_max_pool",
        "The largest value over height and width; gives a vector.",
        **_OVER_MAP,
        derivative="input",
        title="global max pooling",
    ),
    _op(
        "adaptive_avg_pool",
        "The average over windows, one for each pixel of the resulting map.",
        _window("window", "the size of the resulting map, without a stride"),
        **_OVER_MAP,
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
    _op("flatten", "A map as a vector, in the order C, H, W."),
    _op("identity", "The value itself.", elementwise=True),
    _op(
        "scale",
        "The value times a constant.",
        _factor("factor", "the constant", positional=True),
        elementwise=True,
        title="scaling",
    ),
    _op(
        "pad",
        "Explicit zeros around a map.",
        _padding(
            "border", "a number, `HxW` or `[top, bottom, left, right]`, in pixels", positional=True
        ),
        takes=Takes.MAP,
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
    names = [each.name for each in OPS[op].arguments]
    return list(OPS).index(op), names.index(argument)
