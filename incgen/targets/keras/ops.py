"""The layers of each op in Keras, in order, with the facts that their macros need.

A step may also depend on a value that is only known when the model is built. An op that is not
here is one layer with the op's own arguments, whose macro has its name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from incgen.language import expressions as ex
from incgen.language.arithmetic import Value
from incgen.language.expressions import Expression
from incgen.language.initializers import RULES
from incgen.language.ops import OPS
from incgen.targets.keras.code import Layer, Step, When
from incgen.targets.keras.padding import border, word_of
from incgen.targets.shared import weights
from incgen.targets.shared.units import Place
from incgen.targets.shared.values import (
    FALSE,
    ONE,
    TRUE,
    Args,
    Pair,
    as_tuple,
    effective,
    expression,
    four_sides,
    half,
    in_pairs,
    paired,
    window,
)
from incgen.targets.shared.weights import bias, depthwise_fans
from incgen.targets.shared.windows import NOTHING, PADDING, SAME, VALID, padded_apart, padding
from incgen.targets.shared.words import by_word

#: The rules that depend on fans, which Keras counts differently for a depthwise kernel.
COUNTED = frozenset(name for name, rule in RULES.items() if rule.numerator)
kernel = partial(weights.kernel, counted=COUNTED)
#: The layer before a map is flattened.
_CHANNELS_FIRST = Layer(
    "permute", {}, ("permute",), comment="Channels first, the order of the weights that follow."
)
#: The condition that the padding of a unit is a word.
_IS_WORD = ex.Call("isinstance", (PADDING, ex.Name("str")))
_STRIDE = ex.Parameter("stride")


def steps(op: str, args: Args, place: Place) -> tuple[Step, ...]:
    """Return the layers of an op, with a case for each word or flag that a parameter can be."""
    build = partial(steps, op, place=place)
    for name in ("pad", "kind", "variance", "form"):
        value = args.get(name)
        if not isinstance(value, ex.Parameter) or value == PADDING:
            continue
        words: Sequence[Value] = place.words(value.name)
        if name != "pad":
            # Every word: a user of the model may set one that the spec does not.
            argument = OPS[op].argument(name)
            words = argument.words if argument is not None else ()
        if words:
            return by_word(args, name, words, build, _when)
    for name in ("ceil", "count_pad"):
        flag = args.get(name)
        if isinstance(flag, Expression) and ex.literal(flag) is None:
            return by_word(args, name, (True, False), build, _when)
    emit = EMITTERS.get(op)
    return (Layer(op, args),) if emit is None else emit(args, place)


def _when(
    condition: Expression, then: tuple[Step, ...], otherwise: tuple[Step, ...]
) -> tuple[Step, ...]:
    """Return a choice of steps, followed by those that both sides end in."""
    if then and otherwise and (last := _merged(condition, then[-1], otherwise[-1])) is not None:
        return (*_when(condition, then[:-1], otherwise[:-1]), last)
    match then, otherwise:
        case (), ():
            return ()
        case (), (When(other),) if _are_apart(condition, other):
            return otherwise
        case (), _:
            return (When(ex.unary("not", condition), otherwise),)
        case _:
            return (When(condition, then, otherwise),)


def _merged(condition: Expression, then: Step, otherwise: Step) -> Step | None:
    """Return one step for two that differ at most in their padding, else None."""
    if then == otherwise:
        return then
    if not (isinstance(then, Layer) and isinstance(otherwise, Layer)):
        return None
    plain, other = (replace(e, args={**e.args, "padding": None}) for e in (then, otherwise))
    if plain != other:
        return None
    word, chosen = (side.args["padding"] for side in (then, otherwise))
    match chosen:
        case ex.Choice(inner, _, last) if last == word and _are_apart(condition, inner):
            pass
        case _:
            assert isinstance(word, Expression) and isinstance(chosen, Expression)
            chosen = ex.choice(condition, word, chosen)
    return replace(then, args={**then.args, "padding": chosen})


def _are_apart(one: Expression, other: Expression) -> bool:
    """Return whether two conditions compare one parameter with different words."""
    match one, other:
        case ex.Binary("==" | "in", value), ex.Binary("==" | "in", same):
            return value == same
        case _:
            return False


def several(layers: tuple[Step, ...]) -> bool:
    """Return whether one of these layers is applied to the result of another."""
    return len(layers) > 1 or any(
        several(step.then) or several(step.otherwise) for step in layers if isinstance(step, When)
    )


# ---------------------------------------------------------------- convolutions


def _conv(args: Args, place: Place) -> tuple[Step, ...]:
    groups = expression(args, "groups")
    name = "conv" if groups == ONE else "grouped_conv"
    facts = {"channels": args["channels"], "groups": groups}
    return _moving(args, place, name, facts | bias(args) | kernel(args, place.init))


def _separable_conv(args: Args, place: Place) -> tuple[Step, ...]:
    depthwise = _depthwise(args, place, {"bias": FALSE, "start": None})
    facts = {"channels": args["channels"], "groups": ONE}
    pointwise = Layer(
        "conv",
        _frame(ONE) | facts | bias(args) | kernel(args, place.init),
        ("pointwise",),
    )
    return (*(_renamed(step, "depthwise") for step in depthwise), pointwise)


def _depthwise(args: Args, place: Place, own: dict[str, object]) -> tuple[Step, ...]:
    own |= {"multiplier": args["multiplier"]} | kernel(args, place.init, depthwise_fans(args))
    # TensorFlow has no depthwise convolution whose strides differ.
    high, wide = window(args).stride
    return _moving(args, place, "depthwise_conv", own, high != wide)


def _renamed(step: Step, suffix: str) -> Step:
    if isinstance(step, When):
        then, otherwise = (
            tuple(_renamed(inner, suffix) for inner in side) for side in (step.then, step.otherwise)
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
    args: Args, place: Place, name: str, own: dict[str, object], apart: bool = False
) -> tuple[Step, ...]:
    """Return a convolution with its padding.

    Args:
        args: The arguments of the op.
        place: The context of the op.
        name: The name of the layer.
        own: Its facts besides those of the window.
        apart: Whether the stride has to be a step of its own.
    """
    frame, dilation = window(args), expression(args, "dilation")
    strided = frame.stride != (ONE, ONE)
    # Keras refuses a dilation with a stride. Stride 1, then every other pixel, is the same.
    apart = strided and (apart or dilation != ONE)
    before, padded = _conv_padding(args, place, apart)
    stride = paired(frame.stride)
    facts = _frame(paired(frame.kernel), ONE if apart else stride, padded, dilation)
    after = (Layer("max_pool", _frame(ONE, stride), ("stride",)),) if apart else ()
    return (*before, Layer(name, facts | own), *after)


def _conv_padding(args: Args, place: Place, apart: bool) -> tuple[tuple[Step, ...], Expression]:
    """Return the steps before a convolution, and its own `padding`."""
    pad, frame, dilation = args["pad"], window(args), expression(args, "dilation")
    high, wide = (effective(side, dilation) for side in frame.kernel)
    same = _same_padding((high, wide), frame.stride)
    if pad == PADDING:
        before, given = _given_padding(place)
        # "same" of the strided window is not that of the layer, whose stride is 1.
        if apart:
            return (When(ex.binary("==", PADDING, SAME), (same,)), *before), VALID
        return before, given
    around = padding(args, odd=place.odd)
    known = word_of(around)
    if known == SAME and apart:
        return (same,), VALID
    if known is not None:
        return (), known
    assert around.sides is not None
    zero = _zero_padding(border(around.sides))
    once = padding({**args, "window": replace(frame, stride=(ONE, ONE))}, odd=place.odd)
    if place.odd and once.same and frame.stride[0] == frame.stride[1] == _STRIDE:
        strided = ex.binary(">", _STRIDE, ONE)
        return (When(strided, (zero,)),), ex.choice(strided, VALID, SAME)
    return (zero,), VALID


def _given_padding(place: Place) -> tuple[tuple[Step, ...], Expression]:
    """Return the steps before a convolution and its `padding`, as the uses of its unit set it."""
    if not place.explicit:
        return (), PADDING
    zero = _zero_padding(PADDING)
    return (When(ex.unary("not", _IS_WORD), (zero,)),), ex.choice(_IS_WORD, PADDING, VALID)


def _zero_padding(sides: Expression) -> Layer:
    return Layer("zero_padding", {"sides": sides}, ("pad",))


def _same_padding(spans: Pair, stride: Pair) -> Layer:
    return Layer("same_padding", {"window": as_tuple(spans), "stride": as_tuple(stride)}, ("pad",))


def _dense(args: Args, place: Place) -> tuple[Step, ...]:
    facts = {"features": args["features"]} | bias(args) | kernel(args, place.init)
    flat = (_CHANNELS_FIRST, Layer("flatten", {}, ("flatten",)))
    return (*(flat if place.shape.is_map else ()), Layer("dense", facts))


# ---------------------------------------------------------------- pooling


def _pool(args: Args, place: Place, average: bool) -> tuple[Step, ...]:
    frame = window(args)
    kernel_, stride = paired(frame.kernel), paired(frame.stride)
    ceil = args["ceil"] == TRUE and stride != ONE
    counted = average and args["count_pad"] == TRUE
    around = padding(args)
    name = "avg_pool" if average else "max_pool"
    stock = Layer(name, _frame(kernel_, stride))
    is_same = word_of(around) == SAME
    if is_same and counted:
        return _counted_same(frame.kernel, frame.stride), stock
    if is_same:
        return (Layer(name, _frame(kernel_, stride, SAME)),)
    sides = around.sides
    assert sides is not None
    if sides == NOTHING and not ceil:
        return (stock,)
    zeros, over = padded_apart(args, sides, average=average)
    before = () if zeros is None else (_zero_padding(border(zeros)),)
    if over is None:
        return *before, stock
    if average:
        return *before, Layer("padded_avg_pool", {**stock.args, "border": in_pairs(over)})
    if place.never_negative:
        return *before, _zero_padding(border(over)), stock
    return Layer("edge_padding", {"sides": in_pairs(over)}, ("pad",)), stock


def _counted_same(kernel_: Pair, stride: Pair) -> Step:
    spans = [ex.literal(side) for side in kernel_]
    if stride == (ONE, ONE) and all(isinstance(s, int) and s % 2 for s in spans):
        high, wide = half(kernel_)
        return _zero_padding(border((high, high, wide, wide)))
    return _same_padding(kernel_, stride)


def _adaptive_avg_pool(args: Args, place: Place) -> tuple[Step, ...]:
    size = paired(window(args).kernel)
    # In a graph of Keras, the windows for one pixel would be larger than the map.
    one = Layer("avg_to_one_pixel", {})
    return (one if size == ONE else Layer("adaptive_avg_pool", {"size": size}),)


# ---------------------------------------------------------------- the rest


def _bn(args: Args, place: Place) -> tuple[Step, ...]:
    unbiased = args["variance"] == ex.Literal("unbiased")
    facts = {name: args[name] for name in ("eps", "decay", "shift", "scale")}
    return (Layer("unbiased_bn" if unbiased else "bn", facts),)


def _gelu(args: Args, place: Place) -> tuple[Step, ...]:
    return (Layer("gelu_tanh" if args["form"] == ex.Literal("tanh") else "gelu_erf", {}),)


def _flatten(args: Args, place: Place) -> tuple[Step, ...]:
    if not place.shape.is_map:
        return ()
    return _CHANNELS_FIRST, Layer("flatten", {})


def _pad(args: Args, place: Place) -> tuple[Step, ...]:
    return (Layer("zero_padding", {"sides": border(four_sides(args["border"]))}),)


#: The ops that are not one layer with their own arguments.
EMITTERS: dict[str, Callable[[Args, Place], tuple[Step, ...]]] = {
    "conv": _conv,
    "depthwise_conv": lambda args, place: _depthwise(args, place, bias(args)),
    "separable_conv": _separable_conv,
    "dense": _dense,
    "bn": _bn,
    "max_pool": lambda args, place: _pool(args, place, False),
    "avg_pool": lambda args, place: _pool(args, place, True),
    "pool": lambda args, place: _pool(args, place, args["kind"] == ex.Literal("avg")),
    "adaptive_avg_pool": _adaptive_avg_pool,
    "gelu": _gelu,
    "flatten": _flatten,
    "identity": lambda args, place: (),
    "pad": _pad,
}
