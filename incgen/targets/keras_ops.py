"""Keras source for each op: the layers that it becomes, one call after another.

A layer is text with `{x}` for its input and `{name}` for the quoted name; a step may also depend
on a value that is only known when the model is built. Helper classes that a generated file has
to define are asked for by name; their text is in templates/keras/helpers.py.jinja.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeAlias

from incgen import expressions as ex
from incgen.definitions import ArgumentValue, SidesValue
from incgen.expressions import Expression, python
from incgen.initializers import Initializer
from incgen.ops import ByStride
from incgen.records import record
from incgen.symbols import UnitForm, plain_pad
from incgen.targets.values import (
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


@record
class Call:
    """One layer: the constructor without its name, and how its name ends.

    Attributes:
        constructor: `layers.Conv2D(64, 3, padding="same"`, without the closing bracket.
        suffix: behind the op's own name; "" for the layer that the op is named after.
        named: whether it is a layer; else a finished expression.
        applied: whether the constructor already holds `{x}`, as our own functions do.
    """

    constructor: str
    suffix: str = ""
    named: bool = True
    applied: bool = False


@record
class When:
    """Steps that depend on a condition of parameters."""

    condition: str
    then: tuple[Step, ...]
    otherwise: tuple[Step, ...] = ()


Step: TypeAlias = Call | When


@record
class Context:
    """What an op's emitter can ask for.

    Attributes:
        is_map: whether the input is a map.
        unit: the form of the unit whose head this is, if it is one.
        words: gives the values that a parameter takes.
        explicit: whether a use of the unit needs its padding written out.
    """

    is_map: bool
    unit: UnitForm | None
    words: Callable[[str], list[object]]
    explicit: bool


def steps(op: str, args: Args, context: Context) -> tuple[Step, ...]:
    """The layers of an op; words that a parameter carries become cases."""
    for name in ("pad", "kind", "ceil", "count_pad", "variance", "form"):
        value = args.get(name)
        if not isinstance(value, ex.Parameter) or value.name == "padding":
            continue
        words = context.words(value.name)
        if name in ("ceil", "count_pad"):
            words = [True, False]
        elif name == "kind":
            words = ["max", "avg"]
        elif name == "pad" and not any(isinstance(word, str) for word in words):
            continue
        return _cases(op, args, context, name, value.name, words)
    return EMITTERS[op](args, context)


def _cases(
    op: str, args: Args, context: Context, name: str, parameter: str, words: list[object]
) -> tuple[Step, ...]:
    first, *rest = words
    assert isinstance(first, (bool, int, str))
    then = steps(op, {**args, name: ex.Literal(first)}, context)
    if not rest:
        return then
    otherwise = _cases(op, args, context, name, parameter, rest)
    if then == otherwise:
        return then
    condition = f"{parameter} == {ex.number(first)}"
    if isinstance(first, bool):
        condition = parameter if first else f"not {parameter}"
    return (When(condition, then, otherwise),)


# ---------------------------------------------------------------- padding


@record
class Padding:
    """A padding in Keras' terms.

    Attributes:
        word: "same" or "valid", where Keras' own padding is meant.
        sides: top, bottom, left, right, where it has to be written out.
        by_stride: `half` where the stride is a parameter and kernels are odd: "same" for stride
            1, else written out.
    """

    word: str | None = None
    sides: Sides | None = None
    by_stride: bool = False


def padding(
    pad: ArgumentValue,
    kernel: Pair,
    stride: Pair,
    dilation: Expression = ONE,
    unit: UnitForm | None = None,
) -> Padding:
    """What a padding means for a window."""
    if pad == ex.Literal("valid"):
        return Padding("valid")
    if pad == ex.Literal("same"):
        return Padding("same")
    spans = [ex.literal(effective(k, dilation)) for k in kernel]
    if isinstance(pad, SidesValue):
        sides = four_sides(pad)
    elif pad is None or pad == ex.Literal("half"):
        if spans == [1, 1]:
            return Padding("valid")
        high, wide = half(kernel, dilation)
        sides = high, high, wide, wide
        odd = all(isinstance(s, int) and s % 2 for s in spans)
        symbolic_odd = unit is not None and unit.odd and None in spans
        if stride == (ONE, ONE) and (odd or symbolic_odd):
            return Padding("same")
        if symbolic_odd and unit is not None and unit.strided and unit.square_stride:
            return Padding(None, sides, True)
    else:
        sides = four_sides(pad)
    if all(side == ZERO for side in sides):
        return Padding("valid")
    if stride == (ONE, ONE) and None not in spans:
        middle = [span // 2 for span in spans if isinstance(span, int) and span % 2]
        if len(middle) == 2 and [ex.literal(s) for s in sides] == [
            middle[0],
            middle[0],
            middle[1],
            middle[1],
        ]:
            return Padding("same")
    return Padding(None, sides)


def sides_code(sides: Sides) -> str:
    """A border as Keras' layers take it: `1`, `(0, 3)` or `((0, 1), (0, 1))`."""
    top, bottom, left, right = sides
    if top == bottom and left == right:
        return pair((top, left))
    return f"(({python(top)}, {python(bottom)}), ({python(left)}, {python(right)}))"


def full_sides(sides: Sides) -> str:
    """A border with all four sides."""
    top, bottom, left, right = map(python, sides)
    return f"(({top}, {bottom}), ({left}, {right}))"


# ---------------------------------------------------------------- convolutions


def initializer(init: Initializer, fans: Pair | None = None) -> str:
    """An initialiser as a Keras argument.

    Args:
        init: the initialiser.
        fans: (fan_in, fan_out) where Keras counts them otherwise, as for depthwise kernels.
    """
    values = [ex.number(a) for a in init.args]
    plain = {
        "zeros": '"zeros"',
        "ones": '"ones"',
        "glorot_uniform": '"glorot_uniform"',
        "he_uniform": '"he_uniform"',
        "lecun_uniform": '"lecun_uniform"',
    }
    scaled = {
        "glorot_normal": '1.0, "fan_avg", "untruncated_normal"',
        "he_normal": '2.0, "fan_in", "untruncated_normal"',
        "lecun_normal": '1.0, "fan_in", "untruncated_normal"',
    }
    named = {
        "constant": "Constant({})",
        "uniform": "RandomUniform(-{0}, {0})",
        "normal": "RandomNormal(stddev={})",
        "truncated_normal": "TruncatedNormal(stddev={})",
    }
    if init.name in named:
        return f"keras.initializers.{named[init.name].format(*values)}"
    if init.name in ("zeros", "ones") or (fans is None and init.name in plain):
        return plain[init.name]
    if fans is None and init.name in scaled:
        return f"keras.initializers.VarianceScaling({scaled[init.name]})"
    return _by_fans(init, fans)


#: Numerator under the root, whether the fan-out counts too, and the distribution.
_SCALES = {
    "glorot_uniform": (6, True, "RandomUniform(-{0}, {0})"),
    "glorot_normal": (2, True, "RandomNormal(stddev={0})"),
    "he_uniform": (6, False, "RandomUniform(-{0}, {0})"),
    "he_normal": (2, False, "RandomNormal(stddev={0})"),
    "lecun_uniform": (3, False, "RandomUniform(-{0}, {0})"),
    "lecun_normal": (1, False, "RandomNormal(stddev={0})"),
    "truncated_he_normal": (2.6, False, "TruncatedNormal(stddev={0})"),
}


def _by_fans(init: Initializer, fans: Pair | None) -> str:
    numerator, outputs, form = _SCALES[init.name]
    if fans is None:
        # Keras divides the deviation of a cut normal by 0.8796 to restore the variance
        # (VarianceScaling); 2.6 * 0.87962566103423978 ** 2 takes that back.
        scale = "2.6 * 0.87962566103423978**2"
        return f'keras.initializers.VarianceScaling({scale}, "fan_in", "truncated_normal")'
    total = fans[0] + fans[1] if outputs else fans[0]
    known = ex.literal(total)
    if isinstance(known, int):
        return f"keras.initializers.{form.format(ex.number((numerator / known) ** 0.5))}"
    scale = f"({numerator} / ({python(total)})) ** 0.5"
    negative = form.replace("-{0}", "-({0})")
    return f"keras.initializers.{negative.format(scale)}"


def weight_arguments(args: Args, kind: str = "kernel", fans: Pair | None = None) -> list[str]:
    """The keyword arguments for a kernel: how it begins, and its weight decay."""
    init = args["init"]
    value = "init" if isinstance(init, ex.Parameter) else initializer(_init(init), fans)
    result = [f"{kind}_initializer={value}"]
    l2 = expression(args, "l2")
    if l2 != ZERO:
        result.append(f"{kind}_regularizer=L2({python(l2)})")
    return result


def _init(value: object) -> Initializer:
    assert isinstance(value, Initializer)
    return value


def bias_arguments(args: Args) -> list[str]:
    """The keyword arguments for a bias."""
    bias, start = expression(args, "bias"), expression(args, "bias_init")
    result = [] if bias == TRUE else [f"use_bias={python(bias)}"]
    if bias != FALSE and start != ZERO:
        result.append(f"bias_initializer=keras.initializers.Constant({python(start)})")
    return result


def _conv(args: Args, context: Context) -> tuple[Step, ...]:
    groups = expression(args, "groups")
    head = "layers.Conv2D"
    if groups != ONE:
        head = "GroupedConv2D"
    extra = [f"groups={python(groups)}"] if groups != ONE else []
    channels = f"{text(args, 'channels')}, "
    rest = [*extra, *bias_arguments(args), *weight_arguments(args)]
    return _moving(args, context, f"{head}({channels}", rest)


def depthwise_fans(args: Args) -> Pair:
    """(fan_in, fan_out) of a depthwise kernel as PyTorch counts them."""
    high, wide = window(args).kernel
    return high * wide, high * wide * expression(args, "multiplier")


def _depthwise(args: Args, context: Context, bias: list[str]) -> tuple[Step, ...]:
    multiplier = expression(args, "multiplier")
    extra = [] if multiplier == ONE else [f"depth_multiplier={python(multiplier)}"]
    kernel = weight_arguments(args, "depthwise", depthwise_fans(args))
    rest = [*extra, *bias, *kernel]
    # TensorFlow has no depthwise convolution whose strides differ
    stride = window(args).stride
    return _moving(args, context, "layers.DepthwiseConv2D(", rest, stride[0] != stride[1])


def _depthwise_conv(args: Args, context: Context) -> tuple[Step, ...]:
    return _depthwise(args, context, bias_arguments(args))


def _separable_conv(args: Args, context: Context) -> tuple[Step, ...]:
    first = _depthwise(args, context, ["use_bias=False"])
    renamed = tuple(_renamed(step, ".depthwise") for step in first)
    rest = [*bias_arguments(args), *weight_arguments(args)]
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
    if isinstance(pad, ex.Parameter) and pad.name == "padding":
        return _given_padding(context)
    plan = padding(pad, kernel, stride, dilation, context.unit)
    if plan.word is not None:
        if plan.word == "same" and apart:
            spans = effective(kernel[0], dilation), effective(kernel[1], dilation)
            return (Call(f"SamePadding2D({both(spans)}, {both(stride)}", ".pad"),), '"valid"'
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
    rest = [*bias_arguments(args), *weight_arguments(args)]
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
    pad = plain_pad(args["pad"], stride)
    if isinstance(pad, ByStride):
        flat = ex.binary("==", stride[0], ONE)
        if stride[0] != stride[1]:
            flat = ex.binary("and", flat, ex.binary("==", stride[1], ONE))
        plain = {**args, "pad": ex.Literal(pad.plain), "ceil": FALSE}
        strided = {**args, "pad": ex.Literal(pad.strided)}
        then = _pool(plain, context, average)
        return (When(python(flat), then, _pool(strided, context, average)),)
    ceil = args["ceil"] == TRUE and stride != (ONE, ONE)
    counted = average and args["count_pad"] == TRUE
    plan = padding(pad, kernel, stride)
    stock = f"layers.{'Average' if average else 'Max'}Pooling2D({pair(kernel)}, {pair(stride)}"
    if plan.word == "same" and counted:
        return _counted_same(context, kernel, stride, stock)
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
        top, bottom, left, right = map(python, full)
        border = f"((0, 0), ({top}, {bottom}), ({left}, {right}), (0, 0))"
        lowest = f'ops.pad({{x}}, {border}, constant_values=float("-inf"))'
        return (Call(lowest, named=False), Call(stock))
    return _padded_average(context, kernel, stride, sides, full, counted, stock)


def _counted_same(context: Context, kernel: Pair, stride: Pair, stock: str) -> tuple[Step, ...]:
    spans = [ex.literal(k) for k in kernel]
    if stride == (ONE, ONE) and all(isinstance(s, int) and s % 2 for s in spans):
        high, wide = half(kernel)
        border = sides_code((high, high, wide, wide))
        return (Call(f"layers.ZeroPadding2D({border}", ".pad"), Call(stock))
    return (Call(f"SamePadding2D({both(kernel)}, {both(stride)}", ".pad"), Call(stock))


def _padded_average(
    context: Context,
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
    factor = python(expression(args, "factor"), outer=6)
    return (Call(f"{{x}} * {factor}", named=False),)


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
    "hard_swish": _layer('layers.Activation("hard_silu"'),
    "softmax": _layer("layers.Softmax("),
    "dropout": _dropout,
    "flatten": _flatten,
    "identity": lambda args, context: (),
    "scale": _scale,
    "pad": _pad,
}
