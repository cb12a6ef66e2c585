"""The form of each op in PyTorch, with the facts that its macro needs.

The macros in templates/torch/macros/ops.jinja write it: `NAME` is a module, and `NAME_of`, if there
is one, a function.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.resolve.definitions import WindowValue
from incgen.targets.shared.classes import ops as shared
from incgen.targets.shared.classes.code import Layer
from incgen.targets.shared.classes.ops import KINDS, Cases, Emitters
from incgen.targets.shared.code import Chosen, Code, Op
from incgen.targets.shared.outputs import flat_size
from incgen.targets.shared.units import Place
from incgen.targets.shared.values import (
    FALSE,
    ONE,
    TRUE,
    ZERO,
    Args,
    Pair,
    Sides,
    expression,
    four_sides,
    one_of_equal,
    paired,
    window,
)
from incgen.targets.shared.weights import depthwise_fans
from incgen.targets.shared.windows import padded_apart, padding
from incgen.targets.shared.words import by_word
from incgen.targets.torch.weights import separable_weights, weights

# ---------------------------------------------------------------- convolutions


def _convolution(
    place: Place, args: Args, inputs: Expression, channels: Expression, **facts: object
) -> Op:
    frame, dilation = window(args), expression(args, "dilation")
    facts = {
        "inputs": inputs,
        "channels": channels,
        "kernel": paired(frame.kernel),
        "stride": paired(frame.stride),
        "dilation": dilation,
        **facts,
    }
    around = padding(args, odd=place.odd)
    if around.sides is None:
        return Op("conv_same", facts)
    if around.same and isinstance(frame.kernel[0], ex.Item):
        half = Op("half", {"kernel": facts["kernel"], "dilation": dilation})
        return Op("conv", {**facts, "padding": half})
    if around.both is None:
        return Op("conv_padded", {**facts, "border": ex.Tuple(around.sides)})
    return Op("conv", {**facts, "padding": paired(around.both)})


def _conv(args: Args, place: Place) -> Layer:
    inputs, channels = place.shape.channels, expression(args, "channels")
    module = _convolution(place, args, inputs, channels, groups=args["groups"], bias=args["bias"])
    return Layer(module, weights=weights(args))


def _depthwise_conv(args: Args, place: Place) -> Layer:
    inputs = place.shape.channels
    channels = inputs * expression(args, "multiplier")
    module = _convolution(place, args, inputs, channels, groups=inputs, bias=args["bias"])
    return Layer(module, weights=weights(args, (), depthwise_fans(args)))


def _separable_conv(args: Args, place: Place) -> Layer:
    inputs, channels = place.shape.channels, expression(args, "channels")
    middle = inputs * expression(args, "multiplier")
    plain = {**args, "window": WindowValue((ONE, ONE), (ONE, ONE)), "pad": ZERO, "dilation": ONE}
    parts = {
        "depthwise": _convolution(place, args, inputs, middle, groups=inputs, bias=FALSE),
        "pointwise": _convolution(place, plain, middle, channels, groups=ONE, bias=args["bias"]),
    }
    return Layer(Op("separable_conv", parts), weights=separable_weights(args))


def _dense(args: Args, place: Place) -> Layer:
    facts = {name: args[name] for name in ("features", "bias")}
    facts["inputs"] = flat_size(place.shape)
    # The types of nn.Linear say that it has a bias; those of nn.Conv2d, that it may have one.
    known = tuple(replace(weight, known=True) for weight in weights(args))
    if not place.shape.is_map:
        return Layer(Op("dense", facts), weights=known)
    return Layer(Op("dense_of_map", facts), (Op("flatten", {}), Op("dense", facts)), known)


# ---------------------------------------------------------------- normalisation


def _one_minus(decay: Expression) -> Expression:
    """Return PyTorch's momentum, the fraction replaced, without rounding errors: 1 - 0.9 is 0.1."""
    known = ex.literal(decay)
    return ONE - decay if known is None else ex.Literal(round(1 - float(known), 15))


def _bn(args: Args, place: Place) -> Layer:
    shape = place.shape
    scaled, shift = args["scale"] == TRUE, expression(args, "shift")
    facts = {
        "is_map": shape.is_map,
        "biased": args["variance"] == ex.Literal("biased"),
        "channels": shape.channels,
        "eps": args["eps"],
        "momentum": _one_minus(expression(args, "decay")),
        # The stock layer can have gamma alone, but not beta alone.
        "bias": shift if scaled else None,
        "affine": None if scaled else shift,
        "unscaled": not scaled and shift != FALSE,
    }
    return Layer(Op("bn", facts))


# ---------------------------------------------------------------- the rest


def _gelu(args: Args, place: Place) -> Layer:
    is_tanh = ex.binary("==", expression(args, "form"), ex.Literal("tanh"))
    word = ex.choice(is_tanh, ex.Literal("tanh"), ex.Literal("none"))
    return Layer(Op("gelu", {"approximate": word}))


def _pad(args: Args, place: Place) -> Layer:
    border = _outward(four_sides(args["border"]))
    return Layer(Op("pad", {"border": border, "sides": one_of_equal(border)}))


# ---------------------------------------------------------------- pooling


def _pool(args: Args, place: Place, *, average: bool) -> Code:
    frame = window(args)
    around = padding(args, odd=place.odd)
    both = around.both
    if both is not None and all(map(_at_most_half, both, frame.kernel)):
        return _stock_pool(args, both, average=average)
    for flag in ("ceil", "count_pad") if average else ("ceil",):
        # Only the stock poolings take these as parameters.
        value = args[flag]
        if isinstance(value, Expression) and ex.literal(value) is None:
            build = partial(_pool, place=place, average=average)
            return by_word(args, flag, (True, False), build, Chosen)
    name = "avg_pool" if average else "max_pool"
    if around.sides is not None:
        return _padded_pool(name, args, around.sides, average=average)
    same = {"kernel": paired(frame.kernel), "stride": paired(frame.stride)}
    return Op(f"{name}_same", {**same, "count_pad": args["count_pad"]} if average else same)


def _at_most_half(pad: Expression, kernel: Expression) -> bool:
    """Return whether the stock poolings take a padding: at most half the window."""
    p, k = ex.literal(pad), ex.literal(kernel)
    if isinstance(p, int) and isinstance(k, int):
        return p <= k // 2
    return p == 0 or pad == kernel // 2


def _stock_pool(args: Args, around: Pair, *, average: bool) -> Op:
    frame = window(args)
    facts: dict[str, object] = {
        "kernel": paired(frame.kernel),
        "stride": paired(frame.stride),
        "padding": paired(around),
        "ceil": FALSE if frame.stride == (ONE, ONE) else args["ceil"],
    }
    if not average:
        return Op("max_pool", facts)
    return Op(
        "avg_pool", facts | {"count_pad": TRUE if around == (ZERO, ZERO) else args["count_pad"]}
    )


def _padded_pool(name: str, args: Args, sides: Sides, *, average: bool) -> Op:
    """Return a pooling with a border that the stock ones do not take: pad first, then pool."""
    zeros, border = padded_apart(args, sides, average=average)
    facts = {"kernel": paired(window(args).kernel), "stride": paired(window(args).stride)}
    pool = Op(name, {**facts, "padding": ZERO, "ceil": FALSE, "count_pad": TRUE})
    if border is not None:
        around = _outward(border)
        pool = Op(f"{name}_padded", {**facts, "border": around, "sides": one_of_equal(around)})
    if zeros is None:
        return pool
    return Op("avg_pool_zeros", {"sides": one_of_equal(_outward(zeros)), "pool": pool})


def _outward(sides: Sides) -> Expression:
    """Return a border from the last axis to the first, as PyTorch's functions take it."""
    top, bottom, left, right = sides
    return ex.Tuple((left, right, top, bottom))


#: The emitter of each op whose macro takes more than its arguments.
EMITTERS: Emitters = {
    "conv": _conv,
    "depthwise_conv": _depthwise_conv,
    "separable_conv": _separable_conv,
    "dense": _dense,
    "bn": _bn,
    "max_pool": lambda args, place: Layer(_pool(args, place, average=False)),
    "avg_pool": lambda args, place: Layer(_pool(args, place, average=True)),
    "gelu": _gelu,
    "pad": _pad,
}
_CASES: Cases = {**KINDS, "bn": [("variance", ("biased", "unbiased")), ("scale", (True, False))]}
layer = partial(shared.layer, emitters=EMITTERS, cases=_CASES)
