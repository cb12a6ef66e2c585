"""Keras source for each op: the layers that it becomes, one call after another.

A layer is text with `{x}` for its input and `{name}` for the quoted name; a step may also depend
on a value that is only known when the model is built. Helper classes that a generated file has
to define are asked for by name; their text is in templates/keras/helpers.py.jinja.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from incgen.base.records import record
from incgen.language import expressions as ex
from incgen.language.arithmetic import Value
from incgen.language.expressions import Expression
from incgen.language.initializers import Initializer
from incgen.language.ops import OPS
from incgen.language.printing import python
from incgen.targets.keras.code import Call, Step, When
from incgen.targets.keras.padding import full_sides, padding, sides_code
from incgen.targets.keras.weights import bias_arguments, depthwise_fans, weight_arguments
from incgen.targets.shared.symbols import UnitForm
from incgen.targets.shared.values import (
    FALSE,
    ONE,
    TRUE,
    ZERO,
    Args,
    Pair,
    Sides,
    both,
    effective,
    expression,
    four_sides,
    half,
    pair,
    text,
    window,
    with_ceil,
)
from incgen.targets.shared.words import grouped, is_one_of


@record
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
    """The layers of an op; words that a parameter carries, and flags, become cases."""
    for name in ("pad", "kind", "variance", "form"):
        value = args.get(name)
        if not isinstance(value, ex.Parameter) or value.name == "padding":
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
            return then if then == otherwise else (When(python(flag), then, otherwise),)
    return EMITTERS[op](args, context)


def several(found: tuple[Step, ...]) -> bool:
    """Whether a layer is applied to what another one of these gives."""
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
    """The layers for each word that a parameter can be."""
    results = [(word, steps(op, {**args, name: ex.Literal(word)}, context)) for word in words]
    groups, chosen = grouped(results)
    for alike, then in reversed(groups):
        chosen = (When(python(is_one_of(parameter, alike)), then, chosen),)
    return chosen


# ---------------------------------------------------------------- convolutions


def _conv(args: Args, context: Context) -> tuple[Step, ...]:
    groups = expression(args, "groups")
    head = "layers.Conv2D"
    if groups != ONE:
        head = "GroupedConv2D"
    extra = [f"groups={python(groups)}"] if groups != ONE else []
    channels = f"{text(args, 'channels')}, "
    rest = [*extra, *bias_arguments(args), *weight_arguments(args, context.init)]
    return _moving(args, context, f"{head}({channels}", rest)


def _depthwise(args: Args, context: Context, bias: list[str]) -> tuple[Step, ...]:
    multiplier = expression(args, "multiplier")
    extra = [] if multiplier == ONE else [f"depth_multiplier={python(multiplier)}"]
    kernel = weight_arguments(args, context.init, "depthwise", depthwise_fans(args))
    rest = [*extra, *bias, *kernel]
    # TensorFlow has no depthwise convolution whose strides differ
    stride = window(args).stride
    return _moving(args, context, "layers.DepthwiseConv2D(", rest, stride[0] != stride[1])


def _depthwise_conv(args: Args, context: Context) -> tuple[Step, ...]:
    return _depthwise(args, context, bias_arguments(args))


def _separable_conv(args: Args, context: Context) -> tuple[Step, ...]:
    first = _depthwise(args, context, ["use_bias=False"])
    renamed = tuple(_renamed(step, ".depthwise") for step in first)
    rest = [*bias_arguments(args), *weight_arguments(args, context.init)]
    parts = ", ".join([text(args, "channels"), "1", *rest])
    return (*renamed, Call(f"layers.Conv2D({parts}", ".pointwise"))


def _renamed(step: Step, suffix: str) -> Step:
    if isinstance(step, When):
        then = tuple(_renamed(s, suffix) for s in step.then)
        return When(step.condition, then, tuple(_renamed(s, suffix) for s in step.otherwise))
    return replace(step, suffix=suffix + step.suffix)


def _moving(
    args: Args, context: Context, head: str, rest: Iterable[str], apart: bool = False
) -> tuple[Step, ...]:
    """A convolution with its padding.

    Args:
        args: of the op.
        context: of the op.
        head: the constructor up to the kernel.
        rest: its other arguments.
        apart: whether the stride must be taken afterwards.
    """
    kernel, stride = window(args).kernel, window(args).stride
    dilation = expression(args, "dilation")
    strided = stride != (ONE, ONE)
    # Keras refuses a dilation with a stride. Stride 1, then every other pixel, is the same.
    apart = strided and (apart or dilation != ONE)
    before, padding_argument = _conv_padding(args, context, kernel, stride, dilation, apart)
    parts = [pair(kernel)]
    if strided and not apart:
        parts.append(pair(stride))
    if padding_argument != '"valid"':
        parts.append(f"padding={padding_argument}")
    if dilation != ONE:
        parts.append(f"dilation_rate={python(dilation)}")
    parts += rest
    after = (Call(f"layers.MaxPooling2D(1, {pair(stride)}", ".stride"),) if apart else ()
    return (*before, Call(f"{head}{', '.join(parts)}"), *after)


def _conv_padding(
    args: Args, context: Context, kernel: Pair, stride: Pair, dilation: Expression, apart: bool
) -> tuple[tuple[Step, ...], str]:
    """The steps in front of a convolution, and its own `padding`."""
    pad = args["pad"]
    spans = effective(kernel[0], dilation), effective(kernel[1], dilation)
    same = Call(f"SamePadding2D({both(spans)}, {both(stride)}", ".pad")
    if isinstance(pad, ex.Parameter) and pad.name == "padding":
        before, word = _given_padding(context)
        # "same" of the strided window is not that of the layer, whose stride is 1
        return (
            ((When('padding == "same"', (same,)), *before), '"valid"') if apart else (before, word)
        )
    plan = padding(pad, kernel, stride, dilation, context.unit)
    if plan.word is not None:
        if plan.word == "same" and apart:
            return (same,), '"valid"'
        return (), f'"{plan.word}"'
    assert plan.sides is not None
    zero = Call(f"layers.ZeroPadding2D({sides_code(plan.sides)}", ".pad")
    if plan.by_stride:
        return (When("stride > 1", (zero,)),), '"valid" if stride > 1 else "same"'
    return (zero,), '"valid"'


def _given_padding(context: Context) -> tuple[tuple[Step, ...], str]:
    """A unit whose uses say the padding: a word, or pixels to be written out."""
    if not context.explicit:
        return (), "padding"
    zero = Call("layers.ZeroPadding2D(padding", ".pad")
    return (
        (When("not isinstance(padding, str)", (zero,)),),
        'padding if isinstance(padding, str) else "valid"',
    )


def _dense(args: Args, context: Context) -> tuple[Step, ...]:
    rest = [*bias_arguments(args), *weight_arguments(args, context.init)]
    parts = ", ".join([text(args, "features"), *rest])
    dense = Call(f"layers.Dense({parts}")
    return (*_flat(), dense) if context.is_map else (dense,)


def _flat() -> tuple[Step, ...]:
    """Channels first, as the weights file counts them."""
    return (
        Call("layers.Permute((3, 1, 2)", ".permute"),
        Call("layers.Flatten(", ".flatten"),
    )


# ---------------------------------------------------------------- normalisation


def _bn(args: Args, context: Context) -> tuple[Step, ...]:
    unbiased = args["variance"] == ex.Literal("unbiased")
    head = "BatchNormalization" if unbiased else "layers.BatchNormalization"
    parts = [f"epsilon={text(args, 'eps')}", f"momentum={text(args, 'decay')}"]
    for name, argument in (("shift", "center"), ("scale", "scale")):
        if args[name] != TRUE:
            parts.append(f"{argument}={text(args, name)}")
    return (Call(f"{head}({', '.join(parts)}"),)


def _lrn(args: Args, context: Context) -> tuple[Step, ...]:
    parts = [text(args, "size"), *(f"{n}={text(args, n)}" for n in ("alpha", "beta", "k"))]
    return (Call(f"LocalResponseNormalization({', '.join(parts)}"),)


# ---------------------------------------------------------------- pooling


def _pool(args: Args, context: Context, average: bool) -> tuple[Step, ...]:
    kernel, stride = window(args).kernel, window(args).stride
    pad = args["pad"]
    ceil = args["ceil"] == TRUE and stride != (ONE, ONE)
    counted = average and args["count_pad"] == TRUE
    plan = padding(pad, kernel, stride)
    head = "AveragePooling2D" if average else "layers.MaxPooling2D"
    stock = f"{head}({pair(kernel)}, {pair(stride)}"
    if plan.word == "same" and counted:
        return _counted_same(kernel, stride, stock)
    if plan.word == "same":
        return (Call(f'{stock}, "same"'),)
    sides = plan.sides or (ZERO, ZERO, ZERO, ZERO)
    if not ceil and plan.word == "valid":
        return (Call(stock),)
    square = kernel[0] == kernel[1] and stride[0] == stride[1]
    if ceil and plan.word == "valid" and not average and square:
        return (Call(f"ceil_max_pool({{x}}, {pair(kernel)}, {pair(stride)}", applied=True),)
    full = _with_ceil(sides, kernel, stride) if ceil else sides
    if not average:
        return (Call(f"EdgePadding2D({full_sides(full)}", ".pad"), Call(stock))
    return _padded_average(kernel, stride, sides, full, counted, stock)


def _counted_same(kernel: Pair, stride: Pair, stock: str) -> tuple[Step, ...]:
    spans = [ex.literal(k) for k in kernel]
    if stride == (ONE, ONE) and all(isinstance(s, int) and s % 2 for s in spans):
        high, wide = half(kernel)
        border = sides_code((high, high, wide, wide))
        return (Call(f"layers.ZeroPadding2D({border}", ".pad"), Call(stock))
    return (Call(f"SamePadding2D({both(kernel)}, {both(stride)}", ".pad"), Call(stock))


def _padded_average(
    kernel: Pair,
    stride: Pair,
    sides: Sides,
    full: Sides,
    counted: bool,
    stock: str,
) -> tuple[Step, ...]:
    zero = Call(f"layers.ZeroPadding2D({sides_code(sides)}", ".pad")
    padded = any(side != ZERO for side in sides)
    if counted and full == sides:
        return (zero, Call(stock))
    head = f"PaddedAveragePooling2D({pair(kernel)}, {pair(stride)}"
    if not counted or not padded:
        return (Call(f"{head}, {full_sides(full)}"),)
    over = (ZERO, full[1] - sides[1], ZERO, full[3] - sides[3])
    return (zero, Call(f"{head}, {full_sides(over)}"))


def _with_ceil(sides: Sides, kernel: Pair, stride: Pair) -> Sides:
    """Rounding up is padding by min(after + stride - 1, kernel - 1), then rounding down."""
    top, bottom, left, right = sides
    return (
        top,
        with_ceil(bottom, stride[0], kernel[0]),
        left,
        with_ceil(right, stride[1], kernel[1]),
    )


def _either_pool(args: Args, context: Context) -> tuple[Step, ...]:
    return _pool(args, context, args["kind"] == ex.Literal("avg"))


# ---------------------------------------------------------------- the rest


def _layer(constructor: str) -> Callable[[Args, Context], tuple[Step, ...]]:
    return lambda args, context: (Call(constructor),)


def _leaky_relu(args: Args, context: Context) -> tuple[Step, ...]:
    return (Call(f"LeakyReLU({text(args, 'slope')}"),)


def _gelu(args: Args, context: Context) -> tuple[Step, ...]:
    name = "gelu_tanh" if args["form"] == ex.Literal("tanh") else "gelu_erf"
    return (Call(f"layers.Activation({name}"),)


def _dropout(args: Args, context: Context) -> tuple[Step, ...]:
    return (Call(f"layers.Dropout({text(args, 'rate')}"),)


def _flatten(args: Args, context: Context) -> tuple[Step, ...]:
    if not context.is_map:
        return ()
    permute, _ = _flat()
    return (permute, Call("layers.Flatten("))


def _scale(args: Args, context: Context) -> tuple[Step, ...]:
    return (Call(f"Scale({text(args, 'factor')}"),)


def _adaptive_avg_pool(args: Args, context: Context) -> tuple[Step, ...]:
    size = window(args).kernel
    if size == (ONE, ONE):
        # its windows would be larger than the map where Keras makes a graph of it
        return (Call("layers.GlobalAveragePooling2D(keepdims=True"),)
    return (Call(f"AdaptiveAveragePooling2D({pair(size)}"),)


def _l2_normalize(args: Args, context: Context) -> tuple[Step, ...]:
    return (Call(f"L2Normalize({text(args, 'eps')}"),)


def _pad(args: Args, context: Context) -> tuple[Step, ...]:
    border = sides_code(four_sides(args["border"]))
    return (Call(f"layers.ZeroPadding2D({border}"),)


#: How each op is written.
EMITTERS: dict[str, Callable[[Args, Context], tuple[Step, ...]]] = {
    "conv": _conv,
    "depthwise_conv": _depthwise_conv,
    "separable_conv": _separable_conv,
    "dense": _dense,
    "bn": _bn,
    "lrn": _lrn,
    "max_pool": lambda args, context: _pool(args, context, False),
    "avg_pool": lambda args, context: _pool(args, context, True),
    "pool": _either_pool,
    "global_avg_pool": _layer("layers.GlobalAveragePooling2D("),
    "global_max_pool": _layer("layers.GlobalMaxPooling2D("),
    "relu": _layer("layers.ReLU("),
    "relu6": _layer("layers.ReLU(6.0"),
    "leaky_relu": _leaky_relu,
    "sigmoid": _layer('layers.Activation("sigmoid"'),
    "tanh": _layer('layers.Activation("tanh"'),
    "silu": _layer('layers.Activation("silu"'),
    "gelu": _gelu,
    "hard_sigmoid": _layer('layers.Activation("hard_sigmoid"'),
    "adaptive_avg_pool": _adaptive_avg_pool,
    "l2_normalize": _l2_normalize,
    "hard_swish": _layer('layers.Activation("hard_silu"'),
    "softmax": _layer("layers.Softmax("),
    "dropout": _dropout,
    "flatten": _flatten,
    "identity": lambda args, context: (),
    "scale": _scale,
    "pad": _pad,
}
