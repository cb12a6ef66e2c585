"""Keras' layers for each op, one after another, with the facts that their macros spell.

A step may also depend on a value that is only known when the model is built. An op that is not
here is one layer with the op's own arguments, whose macro has its name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from incgen.language import expressions as ex
from incgen.language.arithmetic import Value
from incgen.language.expressions import Expression
from incgen.language.initializers import Initializer
from incgen.language.ops import OPS
from incgen.targets.keras.code import Layer, Step, When
from incgen.targets.keras.padding import PADDING, SAME, VALID, border, full_border, padding
from incgen.targets.keras.weights import bias, kernel
from incgen.targets.shared.units import UnitForm
from incgen.targets.shared.values import (
    FALSE,
    ONE,
    TRUE,
    ZERO,
    Args,
    Pair,
    Sides,
    as_tuple,
    depthwise_fans,
    effective,
    expression,
    four_sides,
    half,
    paired,
    sides_with_ceil,
    window,
)
from incgen.targets.shared.words import grouped, is_one_of

#: The condition that a padding is a word.
_IS_WORD = ex.Call("isinstance", (PADDING, ex.Name("str")))


@dataclass(frozen=True, slots=True)
class Context:
    """What an op's emitter can ask for.

    Attributes:
        is_map: whether the input is a map.
        unit: the form of the unit whose head this is, if it is one.
        words: gives the values of a padding if words are among them.
        explicit: whether a use of the unit needs its padding written out.
        init: how the kernels begin where a use of the unit does not say it.
    """

    is_map: bool
    unit: UnitForm | None
    words: Callable[[str], list[Value]]
    explicit: bool
    init: Initializer | None = None


def steps(op: str, args: Args, context: Context) -> tuple[Step, ...]:
    """Return the layers of an op; words that a parameter carries, and flags, become cases."""
    for name in ("pad", "kind", "variance", "form"):
        value = args.get(name)
        if not isinstance(value, ex.Parameter) or value == PADDING:
            continue
        words = context.words(value.name)
        if name == "pad" and not words:
            continue
        if name != "pad":
            # every word: a user of the model may give another one than its spec
            argument = OPS[op].argument(name)
            words = list[Value](argument.words) if argument is not None else []
        return _cases(op, args, context, name, value, words)
    for name in ("ceil", "count_pad"):
        flag = args.get(name)
        if isinstance(flag, Expression) and ex.literal(flag) is None:
            then, otherwise = (steps(op, {**args, name: side}, context) for side in (TRUE, FALSE))
            return then if then == otherwise else (When(flag, then, otherwise),)
    emit = EMITTERS.get(op)
    return (Layer(op, args),) if emit is None else emit(args, context)


def several(found: tuple[Step, ...]) -> bool:
    """Return whether a layer is applied to what another one of these gives."""
    return len(found) > 1 or any(
        several(step.then) or several(step.otherwise) for step in found if isinstance(step, When)
    )


def _cases(
    op: str,
    args: Args,
    context: Context,
    name: str,
    parameter: ex.Parameter,
    words: list[Value],
) -> tuple[Step, ...]:
    """Return the layers for each word that a parameter can be."""
    results = [(word, steps(op, {**args, name: ex.Literal(word)}, context)) for word in words]
    groups, chosen = grouped(results)
    for alike, then in reversed(groups):
        chosen = (When(is_one_of(parameter, alike), then, chosen),)
    return chosen


# ---------------------------------------------------------------- convolutions


def _conv(args: Args, context: Context) -> tuple[Step, ...]:
    groups = expression(args, "groups")
    name = "conv" if groups == ONE else "grouped_conv"
    facts = {"channels": args["channels"], "groups": groups}
    return _moving(args, context, name, facts | bias(args) | kernel(args, context.init))


def _depthwise_conv(args: Args, context: Context) -> tuple[Step, ...]:
    return _depthwise(args, context, bias(args))


def _separable_conv(args: Args, context: Context) -> tuple[Step, ...]:
    depthwise = _depthwise(args, context, {"bias": FALSE, "start": None})
    facts = {"channels": args["channels"], "groups": ONE}
    pointwise = Layer(
        "conv",
        _frame(ONE) | facts | bias(args) | kernel(args, context.init),
        ("pointwise",),
    )
    return (*(_renamed(step, "depthwise") for step in depthwise), pointwise)


def _depthwise(args: Args, context: Context, own: dict[str, object]) -> tuple[Step, ...]:
    own |= {"multiplier": args["multiplier"]} | kernel(args, context.init, depthwise_fans(args))
    # TensorFlow has no depthwise convolution whose strides differ
    high, wide = window(args).stride
    return _moving(args, context, "depthwise_conv", own, high != wide)


def _renamed(step: Step, suffix: str) -> Step:
    if isinstance(step, When):
        then, otherwise = (
            tuple(_renamed(each, suffix) for each in side) for side in (step.then, step.otherwise)
        )
        return When(step.condition, then, otherwise)
    return replace(step, suffix=(suffix, *step.suffix))


def _frame(
    kernel_: Expression,
    stride: Expression = ONE,
    padding_: Expression = VALID,
    dilation: Expression = ONE,
) -> dict[str, object]:
    """Return the facts of a window."""
    return {"kernel": kernel_, "stride": stride, "padding": padding_, "dilation": dilation}


def _moving(
    args: Args, context: Context, name: str, own: dict[str, object], apart: bool = False
) -> tuple[Step, ...]:
    """Return a convolution with its padding.

    Args:
        args: of the op.
        context: of the op.
        name: of the layer.
        own: its facts beside those of the window.
        apart: whether the stride must be taken afterwards.
    """
    frame, dilation = window(args), expression(args, "dilation")
    strided = frame.stride != (ONE, ONE)
    # Keras refuses a dilation with a stride. Stride 1, then every other pixel, is the same.
    apart = strided and (apart or dilation != ONE)
    before, padded = _conv_padding(args, context, apart)
    stride = paired(frame.stride)
    facts = _frame(paired(frame.kernel), ONE if apart else stride, padded, dilation)
    after = (Layer("max_pool", _frame(ONE, stride), ("stride",)),) if apart else ()
    return (*before, Layer(name, facts | own), *after)


def _conv_padding(args: Args, context: Context, apart: bool) -> tuple[tuple[Step, ...], Expression]:
    """Return the steps in front of a convolution, and its own `padding`."""
    pad, frame, dilation = args["pad"], window(args), expression(args, "dilation")
    high, wide = (effective(side, dilation) for side in frame.kernel)
    same = _same_padding((high, wide), frame.stride)
    if pad == PADDING:
        before, word = _given_padding(context)
        # "same" of the strided window is not that of the layer, whose stride is 1
        if apart:
            return (When(ex.binary("==", PADDING, SAME), (same,)), *before), VALID
        return before, word
    plan = padding(pad, frame.kernel, frame.stride, dilation, context.unit)
    if plan.word == "same" and apart:
        return (same,), VALID
    if plan.word is not None:
        return (), ex.Literal(plan.word)
    assert plan.sides is not None
    zero = _zero_padding(border(plan.sides))
    if plan.by_stride:
        strided = ex.binary(">", ex.Parameter("stride"), ONE)
        return (When(strided, (zero,)),), ex.choice(strided, VALID, SAME)
    return (zero,), VALID


def _given_padding(context: Context) -> tuple[tuple[Step, ...], Expression]:
    """Return the same for a unit whose uses say the padding: a word, or pixels."""
    if not context.explicit:
        return (), PADDING
    zero = _zero_padding(PADDING)
    return (When(ex.unary("not", _IS_WORD), (zero,)),), ex.choice(_IS_WORD, PADDING, VALID)


def _zero_padding(sides: Expression) -> Layer:
    return Layer("zero_padding", {"sides": sides}, ("pad",))


def _same_padding(spans: Pair, stride: Pair) -> Layer:
    return Layer("same_padding", {"window": as_tuple(spans), "stride": as_tuple(stride)}, ("pad",))


def _dense(args: Args, context: Context) -> tuple[Step, ...]:
    facts = {"features": args["features"]} | bias(args) | kernel(args, context.init)
    # channels first, as the weights file counts them
    flat = (Layer("permute", {}, ("permute",)), Layer("flatten", {}, ("flatten",)))
    return (*(flat if context.is_map else ()), Layer("dense", facts))


# ---------------------------------------------------------------- pooling


def _pool(args: Args, context: Context, average: bool) -> tuple[Step, ...]:
    frame = window(args)
    kernel_, stride = paired(frame.kernel), paired(frame.stride)
    ceil = args["ceil"] == TRUE and stride != ONE
    counted = average and args["count_pad"] == TRUE
    plan = padding(args["pad"], frame.kernel, frame.stride)
    name = "avg_pool" if average else "max_pool"
    stock = Layer(name, _frame(kernel_, stride))
    if plan.word == "same" and counted:
        return _counted_same(frame.kernel, frame.stride), stock
    if plan.word == "same":
        return (Layer(name, _frame(kernel_, stride, SAME)),)
    if not ceil and plan.word == "valid":
        return (stock,)
    square = all(one == other for one, other in (frame.kernel, frame.stride))
    if ceil and plan.word == "valid" and not average and square:
        facts = {"kernel": kernel_, "stride": stride}
        return (Layer("ceil_max_pool", facts, function=True),)
    sides = plan.sides or (ZERO, ZERO, ZERO, ZERO)
    full = sides_with_ceil(sides, frame) if ceil else sides
    if not average:
        return Layer("edge_padding", {"sides": full_border(full)}, ("pad",)), stock
    return _padded_average(stock, sides, full, counted)


def _counted_same(kernel_: Pair, stride: Pair) -> Step:
    spans = [ex.literal(side) for side in kernel_]
    if stride == (ONE, ONE) and all(isinstance(s, int) and s % 2 for s in spans):
        high, wide = half(kernel_)
        return _zero_padding(border((high, high, wide, wide)))
    return _same_padding(kernel_, stride)


def _padded_average(stock: Layer, sides: Sides, full: Sides, counted: bool) -> tuple[Step, ...]:
    zero = _zero_padding(border(sides))
    if counted and full == sides:
        return zero, stock
    counts = counted and any(side != ZERO for side in sides)
    over = (ZERO, full[1] - sides[1], ZERO, full[3] - sides[3]) if counts else full
    padded = Layer("padded_avg_pool", {**stock.args, "pads": full_border(over)})
    return (zero, padded) if counts else (padded,)


def _adaptive_avg_pool(args: Args, context: Context) -> tuple[Step, ...]:
    size = paired(window(args).kernel)
    # the windows for one pixel would be larger than the map where Keras makes a graph of it
    one = Layer("avg_to_one_pixel", {})
    return (one if size == ONE else Layer("adaptive_avg_pool", {"size": size}),)


# ---------------------------------------------------------------- the rest


def _bn(args: Args, context: Context) -> tuple[Step, ...]:
    unbiased = args["variance"] == ex.Literal("unbiased")
    facts = {name: args[name] for name in ("eps", "decay", "shift", "scale")}
    return (Layer("unbiased_bn" if unbiased else "bn", facts),)


def _gelu(args: Args, context: Context) -> tuple[Step, ...]:
    return (Layer("gelu_tanh" if args["form"] == ex.Literal("tanh") else "gelu_erf", {}),)


def _flatten(args: Args, context: Context) -> tuple[Step, ...]:
    if not context.is_map:
        return ()
    return Layer("permute", {}, ("permute",)), Layer("flatten", {})


def _pad(args: Args, context: Context) -> tuple[Step, ...]:
    return (Layer("zero_padding", {"sides": border(four_sides(args["border"]))}),)


#: The ops that are not one layer with their own arguments.
EMITTERS: dict[str, Callable[[Args, Context], tuple[Step, ...]]] = {
    "conv": _conv,
    "depthwise_conv": _depthwise_conv,
    "separable_conv": _separable_conv,
    "dense": _dense,
    "bn": _bn,
    "max_pool": lambda args, context: _pool(args, context, False),
    "avg_pool": lambda args, context: _pool(args, context, True),
    "pool": lambda args, context: _pool(args, context, args["kind"] == ex.Literal("avg")),
    "adaptive_avg_pool": _adaptive_avg_pool,
    "gelu": _gelu,
    "flatten": _flatten,
    "identity": lambda args, context: (),
    "pad": _pad,
}
