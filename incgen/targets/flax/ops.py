"""Translate each op to Flax: the form that it takes there, and the facts that its macro needs.

`NAME` in templates/flax/macros/ops.jinja is a module or function, and `NAME_of`, if there is one,
the op applied to a value.
"""

from __future__ import annotations

from functools import partial

from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.resolve.definitions import WindowValue
from incgen.targets.shared import weights
from incgen.targets.shared.classes import ops as shared
from incgen.targets.shared.classes.code import Layer
from incgen.targets.shared.classes.ops import KINDS, Cases, Emitters
from incgen.targets.shared.code import Code, Op
from incgen.targets.shared.outputs import flat_size
from incgen.targets.shared.units import Place
from incgen.targets.shared.values import (
    FALSE,
    ONE,
    TRUE,
    ZERO,
    Args,
    as_tuple,
    expression,
    four_sides,
    in_pairs,
    paired,
    window,
)
from incgen.targets.shared.weights import bias, depthwise_fans
from incgen.targets.shared.windows import NOTHING, padded_apart, padding

#: The rules for which JAX counts other fans of a depthwise kernel than the language.
COUNTED = ("glorot_uniform", "glorot_normal")
kernel = partial(weights.kernel, counted=COUNTED)
#: Flax's words for a padding.
SAME, VALID = ex.Literal("SAME"), ex.Literal("VALID")


# ---------------------------------------------------------------- convolutions


def _convolution(
    place: Place, args: Args, inputs: Expression, channels: Expression, **facts: object
) -> Op:
    frame, dilation = window(args), expression(args, "dilation")
    around = padding(args, odd=place.odd)
    known: Expression = SAME
    if around.sides is not None and (not around.same or isinstance(frame.kernel[0], ex.Item)):
        both = around.both
        known = in_pairs(around.sides) if both is None else paired(both)
        if around.sides == NOTHING:
            known = SAME if frame.kernel == (ONE, ONE) else VALID  # which is the same for 1x1
    shape = {
        "inputs": inputs,
        "channels": channels,
        "kernel": as_tuple(frame.kernel),
        "stride": paired(frame.stride),
        "dilation": dilation,
        "padding": known,
    }
    return Op("conv", {**shape, **facts})


def _conv(args: Args, place: Place) -> Layer:
    inputs, channels = place.shape.channels, expression(args, "channels")
    facts = {"groups": args["groups"], **bias(args), **kernel(args, place.init)}
    return Layer(_convolution(place, args, inputs, channels, **facts))


def _depthwise(args: Args, place: Place, **facts: object) -> tuple[Op, Expression]:
    """Return a depthwise convolution, and how many channels it gives."""
    inputs = place.shape.channels
    channels = inputs * expression(args, "multiplier")
    facts |= {"groups": inputs, **kernel(args, place.init, depthwise_fans(args))}
    return _convolution(place, args, inputs, channels, **facts), channels


def _separable_conv(args: Args, place: Place) -> Layer:
    depthwise, middle = _depthwise(args, place, bias=FALSE, start=None)
    plain = {**args, "window": WindowValue((ONE, ONE), (ONE, ONE)), "pad": ZERO, "dilation": ONE}
    facts = {"groups": ONE, **bias(args), **kernel(args, place.init)}
    pointwise = _convolution(place, plain, middle, expression(args, "channels"), **facts)
    return Layer(Op("separable_conv", {"depthwise": depthwise, "pointwise": pointwise}))


def _dense(args: Args, place: Place) -> Layer:
    sizes = {"features": args["features"], "inputs": flat_size(place.shape)}
    facts = {**sizes, **bias(args), **kernel(args, place.init)}
    if not place.shape.is_map:
        return Layer(Op("dense", facts))
    return Layer(Op("dense_of_map", facts), apart=(Op("flatten", {}), Op("dense", facts)))


# ---------------------------------------------------------------- normalisation


def _bn(args: Args, place: Place) -> Layer:
    facts: dict[str, object] = {name: args[name] for name in ("eps", "decay", "shift", "scale")}
    facts["biased"] = args["variance"] == ex.Literal("biased")
    return Layer(Op("bn", {**facts, "channels": place.shape.channels, "is_map": True}))


# ---------------------------------------------------------------- pooling


def _pool(args: Args, place: Place, *, average: bool) -> Code:
    frame = window(args)
    counts = average and args["count_pad"] == TRUE
    facts: dict[str, object] = {
        "kernel": as_tuple(frame.kernel),
        "stride": None if frame.stride == (ONE, ONE) else as_tuple(frame.stride),
        "padding": VALID,
        "counted": TRUE,
    }
    name = "avg_pool" if average else "max_pool"
    around = padding(args, odd=place.odd)
    ceil = args["ceil"] == TRUE and frame.stride != (ONE, ONE)
    if around.sides is None or (around.same and not ceil):
        return Op(name, {**facts, "padding": SAME, "counted": ex.Literal(counts)})
    zeros, border = padded_apart(args, around.sides, average=average)
    if zeros is not None and border is None:
        return Op(name, {**facts, "padding": in_pairs(zeros)})
    if border is not None:
        facts |= {"padding": in_pairs(border), "counted": FALSE}
    pool = Op(name, facts)
    if zeros is None:
        return pool
    return Op("avg_pool_zeros", {"sides": in_pairs(zeros), "pool": pool})


# ---------------------------------------------------------------- the rest


def _gelu(args: Args, place: Place) -> Layer:
    is_tanh = ex.binary("==", expression(args, "form"), ex.Literal("tanh"))
    return Layer(Op("gelu", {"approximate": is_tanh}))


#: The form and the facts of each op whose macro takes more than its arguments.
EMITTERS: Emitters = {
    "conv": _conv,
    "depthwise_conv": lambda args, place: Layer(_depthwise(args, place, **bias(args))[0]),
    "separable_conv": _separable_conv,
    "dense": _dense,
    "bn": _bn,
    "max_pool": lambda args, place: Layer(_pool(args, place, average=False)),
    "avg_pool": lambda args, place: Layer(_pool(args, place, average=True)),
    "gelu": _gelu,
    "pad": lambda args, _: Layer(Op("pad", {"sides": in_pairs(four_sides(args["border"]))})),
}
_CEIL = ("ceil", (True, False))
_CASES: Cases = {
    **KINDS,
    "bn": [("variance", ("biased", "unbiased"))],
    "max_pool": [_CEIL],
    "avg_pool": [_CEIL, ("count_pad", (True, False))],
}
layer = partial(shared.layer, emitters=EMITTERS, cases=_CASES)
