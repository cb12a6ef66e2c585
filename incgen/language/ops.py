"""The table of ops: what each takes, and what a preset of `numerics` says for it.

This is the one place that knows an op's arguments, their types, ranges and defaults. Checking,
documentation, formatting, counting and every target read it; shape and cost rules stand beside
it in `shapes.py`, the emitters in `targets/`. A test fails if one of them lacks a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final


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
    """A padding that follows the window: `valid` where a side is even, else by the stride.

    Attributes:
        plain: the word for odd windows that move by 1.
        strided: the word for other odd windows; None where it must be said.
    """

    plain: str
    strided: str | None

    def word(self, kernel: tuple[int, ...], stride: tuple[int, ...]) -> str | None:
        """Return the word for one window; None if it must be said.

        >>> ByWindow("half", None).word((3, 3), (1, 1))
        'half'
        """
        if any(side % 2 == 0 for side in kernel) or max(kernel) == 1:
            return "valid"
        return self.plain if max(stride) == 1 else self.strided


#: What an argument can default to. None: there is no default without `numerics`.
DefaultValue = int | float | bool | str | ByWindow | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One argument of an op.

    Attributes:
        name: the attribute's name, or what errors call a positional argument.
        kind: its type.
        doc: what it means, with its unit.
        positional: whether it is given by position; else it is `name=value`.
        default: the value where nothing is said.
        must: no default without a `numerics` line: the frameworks disagree.
        words: the words it can be, for `Kind.WORD`.
        minimum: the smallest value, for numbers.
        maximum: the largest value, for numbers.
        open: whether the minimum and maximum are themselves excluded.
    """

    name: str
    kind: Kind
    doc: str
    positional: bool = False
    default: DefaultValue = None
    must: bool = False
    words: tuple[str, ...] = ()
    minimum: float = -1e20
    maximum: float = 1e20
    open: bool = False


class Takes(Enum):
    """What an op accepts as its input."""

    MAP = "a map (N, C, H, W)"
    VECTOR = "a vector (N, C)"
    ANY = "a map or a vector"


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """One row of the table.

    Attributes:
        name: what specs write.
        doc: one sentence.
        arguments: positional ones first, in order.
        takes: the rank of its input.
        weighted: whether it has parameters, and therefore a key in weights files.
        family: the name under which `numerics` and `default` know several ops.
    """

    name: str
    doc: str
    arguments: tuple[Argument, ...] = ()
    takes: Takes = Takes.ANY
    weighted: bool = False
    family: str = ""

    @property
    def positional(self) -> tuple[Argument, ...]:
        """The arguments given by position."""
        return tuple(a for a in self.arguments if a.positional)

    @property
    def attributes(self) -> tuple[Argument, ...]:
        """The arguments given by name."""
        return tuple(a for a in self.arguments if not a.positional)

    def argument(self, name: str) -> Argument | None:
        """The argument of a name, positional or not."""
        return next((a for a in self.arguments if a.name == name), None)


#: What help lines write for an argument that is missing.
EXAMPLES: Final = MappingProxyType(
    {
        Kind.COUNT: "64",
        Kind.FACTOR: "0.5",
        Kind.FLAG: "true",
        Kind.WORD: "max",
        Kind.WINDOW: "3x3",
        Kind.PADDING: "1",
        Kind.INITIALIZER: "he_normal",
    }
)

_WINDOW = Argument(
    name="window", kind=Kind.WINDOW, positional=True, doc="kernel and stride, pixels"
)
_CHANNELS = Argument(name="channels", kind=Kind.COUNT, positional=True, doc="output channels")
_MULTIPLIER = Argument(
    name="multiplier", kind=Kind.COUNT, default=1, doc="output channels for each input channel"
)
_PAD = Argument(
    name="pad", kind=Kind.PADDING, must=True, doc="zeros around the input, pixels; see Padding"
)
_CONV = (
    _PAD,
    Argument(name="dilation", kind=Kind.COUNT, default=1, doc="distance of the taps, pixels"),
)
_WEIGHT = (
    Argument(name="bias", kind=Kind.FLAG, default=True, doc="whether a bias is added"),
    Argument(name="init", kind=Kind.INITIALIZER, default="glorot_uniform", doc="of the kernel"),
    Argument(
        name="bias_init", kind=Kind.FACTOR, default=0, doc="the value that every bias begins with"
    ),
    Argument(
        name="l2",
        kind=Kind.FACTOR,
        default=0,
        minimum=0,
        doc="weight decay of the kernel: adds l2 / 2 * sum(w ** 2) to the loss",
    ),
)
_GROUPS = Argument(name="groups", kind=Kind.COUNT, default=1, doc="independent groups of channels")
_POOL = (
    Argument(
        name="pad",
        kind=Kind.PADDING,
        must=True,
        doc="border around the input, pixels; see Padding",
    ),
    Argument(
        name="ceil",
        kind=Kind.FLAG,
        must=True,
        doc="whether a last, partial window counts (must be said when strided)",
    ),
)
_COUNT_PAD = Argument(
    name="count_pad",
    kind=Kind.FLAG,
    must=True,
    doc="whether the border counts in the average (must be said when padded)",
)
_TABLE = (
    Op(
        name="conv",
        doc="Convolution (cross-correlation) over height and width.",
        arguments=(_WINDOW, _CHANNELS, *_CONV, _GROUPS, *_WEIGHT),
        takes=Takes.MAP,
        weighted=True,
        family="conv",
    ),
    Op(
        name="depthwise_conv",
        doc="A convolution of each channel by itself.",
        arguments=(_WINDOW, _MULTIPLIER, *_CONV, *_WEIGHT),
        takes=Takes.MAP,
        weighted=True,
        family="conv",
    ),
    Op(
        name="separable_conv",
        doc="A depthwise convolution, then a 1x1 convolution, with nothing between.",
        arguments=(_WINDOW, _CHANNELS, _MULTIPLIER, *_CONV, *_WEIGHT),
        takes=Takes.MAP,
        weighted=True,
        family="conv",
    ),
    Op(
        name="dense",
        doc="A matrix product; a map is flattened in the order C, H, W first.",
        arguments=(
            Argument(name="features", kind=Kind.COUNT, positional=True, doc="output features"),
            *_WEIGHT,
        ),
        weighted=True,
    ),
    Op(
        name="bn",
        doc="Batch normalisation over batch, height and width (Ioffe & Szegedy, algorithm 2).",
        arguments=(
            Argument(
                name="eps",
                kind=Kind.FACTOR,
                must=True,
                minimum=0,
                open=True,
                doc="added to the variance",
            ),
            Argument(
                name="decay",
                kind=Kind.FACTOR,
                must=True,
                minimum=0,
                maximum=1,
                doc="the fraction of the running statistics that a step keeps",
            ),
            Argument(name="scale", kind=Kind.FLAG, default=True, doc="whether there is a gamma"),
            Argument(name="shift", kind=Kind.FLAG, default=True, doc="whether there is a beta"),
            Argument(
                name="variance",
                kind=Kind.WORD,
                default="unbiased",
                words=("unbiased", "biased"),
                doc="which batch variance the running variance averages",
            ),
        ),
        weighted=True,
    ),
    Op(
        name="lrn",
        doc="x / (k + alpha / size * sum of x ** 2 over size channels) ** beta.",
        arguments=(
            Argument(
                name="size",
                kind=Kind.COUNT,
                positional=True,
                must=True,
                doc="channels in the sum; size // 2 of them before the channel itself",
            ),
            Argument(
                name="alpha",
                kind=Kind.FACTOR,
                must=True,
                minimum=0,
                doc="divided by size, as Caffe and PyTorch do",
            ),
            Argument(name="beta", kind=Kind.FACTOR, must=True, minimum=0, doc="the exponent"),
            Argument(
                name="k", kind=Kind.FACTOR, must=True, minimum=0, open=True, doc="the constant"
            ),
        ),
        takes=Takes.MAP,
    ),
    Op(
        name="max_pool",
        doc="The largest value of each window; padding never wins.",
        arguments=(_WINDOW, *_POOL),
        takes=Takes.MAP,
        family="pool",
    ),
    Op(
        name="avg_pool",
        doc="The average of each window.",
        arguments=(_WINDOW, *_POOL, _COUNT_PAD),
        takes=Takes.MAP,
        family="pool",
    ),
    Op(
        name="pool",
        doc="max_pool or avg_pool, by a word that a parameter can carry.",
        arguments=(
            Argument(
                name="kind",
                kind=Kind.WORD,
                positional=True,
                words=("max", "avg"),
                doc="which pooling",
            ),
            _WINDOW,
            *_POOL,
            _COUNT_PAD,
        ),
        takes=Takes.MAP,
        family="pool",
    ),
    Op(
        name="global_avg_pool",
        doc="The average over height and width; gives a vector.",
        takes=Takes.MAP,
    ),
    Op(
        name="global_max_pool",
        doc="The largest value over height and width; gives a vector.",
        takes=Takes.MAP,
    ),
    Op(
        name="adaptive_avg_pool",
        doc="The average of as many windows as the map behind it is to have pixels.",
        arguments=(
            Argument(
                name="window",
                kind=Kind.WINDOW,
                positional=True,
                doc="the size of the map behind it, without a stride",
            ),
        ),
        takes=Takes.MAP,
    ),
    Op(
        name="l2_normalize",
        doc="x / max(eps, the root of the sum of x ** 2 over the channels).",
        arguments=(
            Argument(
                name="eps",
                kind=Kind.FACTOR,
                default=1e-12,
                minimum=1e-18,  # float32 holds its square
                doc="the least norm that is divided by",
            ),
        ),
    ),
    Op(name="relu", doc="max(x, 0)."),
    Op(name="relu6", doc="min(max(x, 0), 6)."),
    Op(
        name="leaky_relu",
        doc="x where x > 0, else slope * x.",
        arguments=(
            Argument(name="slope", kind=Kind.FACTOR, positional=True, doc="the factor for x <= 0"),
        ),
    ),
    Op(name="sigmoid", doc="1 / (1 + exp(-x))."),
    Op(name="tanh", doc="The hyperbolic tangent."),
    Op(name="silu", doc="x * sigmoid(x), also called swish."),
    Op(
        name="gelu",
        doc="x times the normal distribution's CDF at x, exactly (erf) or approximately (tanh).",
        arguments=(
            Argument(
                name="form",
                kind=Kind.WORD,
                positional=True,
                words=("erf", "tanh"),
                doc="which formula: the frameworks' defaults differ between versions",
            ),
        ),
    ),
    Op(name="hard_sigmoid", doc="min(max(x + 3, 0), 6) / 6."),
    Op(name="hard_swish", doc="x * hard_sigmoid(x)."),
    Op(name="softmax", doc="exp(x) / sum of exp(x), over the channels."),
    Op(
        name="dropout",
        doc="In training, zeroes values and scales the others by 1 / (1 - rate).",
        arguments=(
            Argument(
                name="rate",
                kind=Kind.FACTOR,
                positional=True,
                minimum=0,
                maximum=0.999999,
                doc="the probability of zeroing a value",
            ),
        ),
    ),
    Op(name="flatten", doc="A map as a vector, in the order C, H, W."),
    Op(name="identity", doc="The value itself."),
    Op(
        name="scale",
        doc="The value times a constant.",
        arguments=(Argument(name="factor", kind=Kind.FACTOR, positional=True, doc="the constant"),),
    ),
    Op(
        name="pad",
        doc="Explicit zeros around a map.",
        arguments=(
            Argument(
                name="border",
                kind=Kind.PADDING,
                positional=True,
                doc="a number, `HxW` or `[top, bottom, left, right]`, pixels",
            ),
        ),
        takes=Takes.MAP,
    ),
)

#: Every op by name, in the order of the language reference.
OPS: Final = MappingProxyType({op.name: op for op in _TABLE})

#: The names of the sizes of the current value.
DIMENSIONS: Final = ("channels", "height", "width")
#: Every word that an argument can be.
WORDS: Final = frozenset({"valid", "half", "same"}) | {
    word for op in _TABLE for argument in op.arguments for word in argument.words
}

_BN_CAFFE: Final[dict[str, DefaultValue]] = {"eps": 1e-5, "decay": 0.9, "variance": "unbiased"}
_LRN: Final[dict[str, DefaultValue]] = {"size": 5, "alpha": 1e-4, "beta": 0.75, "k": 1}
#: What each preset says, by family and argument. Sources: the defaults of Caffe
#: (pooling_layer.cpp, lrn_layer.cpp, batch_norm as trained in BN-Inception), of PyTorch 2
#: (nn.BatchNorm2d, nn.MaxPool2d, nn.LocalResponseNorm) and of Keras 3 (BatchNormalization, "same").
PRESETS: Final[MappingProxyType[str, dict[str, dict[str, DefaultValue]]]] = MappingProxyType(
    {
        "caffe": {
            "conv": {"pad": "half"},
            "pool": {"pad": ByWindow("half", "valid"), "ceil": True, "count_pad": True},
            "bn": {**_BN_CAFFE},
            "lrn": {**_LRN},
        },
        "torch": {
            "conv": {"pad": "half"},
            "pool": {"pad": ByWindow("half", None), "ceil": False, "count_pad": True},
            "bn": {**_BN_CAFFE},
            "lrn": {**_LRN},
        },
        "tf": {
            "conv": {"pad": "same"},
            "pool": {"pad": "same", "ceil": False, "count_pad": False},
            "bn": {"eps": 1e-3, "decay": 0.99, "variance": "biased"},
            "lrn": {**_LRN},
        },
    }
)
