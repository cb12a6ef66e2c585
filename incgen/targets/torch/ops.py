"""PyTorch source for each op: a module, a function, or both.

Values are flat Python text; the formatter breaks lines. A helper that a generated file has to
define is asked for by name; its text is in templates/torch/helpers.py.jinja.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import TypeAlias

from incgen.base.records import record
from incgen.language import expressions as ex
from incgen.language.arithmetic import Value
from incgen.language.expressions import Expression
from incgen.language.initializers import Initializer
from incgen.language.printing import number, python
from incgen.resolve.definitions import ArgumentValue, SidesValue
from incgen.targets.shared.shaping import flat_size
from incgen.targets.shared.symbols import Symbol
from incgen.targets.shared.values import (
    FALSE,
    ONE,
    TRUE,
    ZERO,
    Args,
    Pair,
    Sides,
    as_float,
    both,
    effective,
    expression,
    four_sides,
    half,
    pair,
    sum_of,
    text,
    window,
    with_ceil,
)
from incgen.targets.shared.words import grouped, is_one_of


@record
class Weight:
    """How a parameter begins, and its weight decay.

    Attributes:
        path: behind the layer's name: `weight`, `bias`, `pointwise.weight`.
        statement: what comes around the tensor: `nn.init.zeros_({})`.
        condition: when the parameter exists at all.
        l2: the decay of a kernel.
        known: whether type checkers know the attribute to be a tensor.
    """

    path: str
    statement: str
    condition: Expression = TRUE
    l2: Expression = ZERO
    known: bool = False


#: How tightly source binds: a call or a name, a product, a sum, anything.
ATOM, PRODUCT, SUM, LOOSE = 4, 3, 2, 0


#: Half of an odd kernel whose sides are in one parameter, with stride 1: PyTorch's own "same".
CENTRED = ex.Literal("centred")


@record
class Function:
    """An op as a piece of an expression.

    Attributes:
        template: with `{x}` for its input.
        takes: how tightly the input has to bind.
        gives: how tightly the result binds.
        typed: whether type checkers know the result to be a tensor whatever the input is.
    """

    template: str
    takes: int = LOOSE
    gives: int = ATOM
    typed: bool = True


#: What gives its input.
UNCHANGED = Function("{x}", typed=False)


@record
class Layer:
    """One op in PyTorch.

    Attributes:
        module: the constructor of a module.
        function: the op without a module, if it can go without.
        weights: parameters to initialise.
        apart: a function and a stock module behind it, for `forward`; a container takes one
            module, which would be a class of its own.
    """

    module: str
    function: Function | None = None
    weights: tuple[Weight, ...] = ()
    apart: tuple[Function, str] | None = None


#: The words that a parameter takes in the network: to write a case for each.
Cases: TypeAlias = Callable[[str], list[Value]]


def layer(op: str, args: Args, shape: Symbol, cases: Cases) -> Layer:
    """The layer of an op.

    Args:
        op: its name.
        args: its arguments, with the symbols of the class substituted.
        shape: of its input.
        cases: gives the values that a parameter takes, if words are among them.
    """
    emitter = EMITTERS[op]
    pad = args.get("pad")
    if isinstance(pad, ex.Parameter) and pad.name != "padding" and cases(pad.name):
        return _by_word(pad, cases(pad.name), lambda value: emitter({**args, "pad": value}, shape))
    return emitter(args, shape)


def _by_word(
    parameter: ex.Parameter, words: list[Value], build: Callable[[Expression], Layer]
) -> Layer:
    """A layer for each word that a parameter takes, chosen when the model is built."""
    layers = [build(ex.Literal(word)) for word in words]
    result = layers[-1]
    modules = [each.module for each in layers]
    groups, module = grouped(list(zip(words, modules, strict=True)))
    for alike, each in reversed(groups):
        module = f"{bracketed(each)} if {python(is_one_of(parameter, alike))} else {module}"
    # A function would have to keep the word and choose every time: always a module.
    function = result.function if module == result.module else None
    return replace(result, module=module, function=function)


def bracketed(module: str | None) -> str:
    """A module that is itself a choice needs brackets in front of `if`."""
    assert module is not None
    outside, depth = "", 0
    for char in module:
        depth += (char in "([{") - (char in ")]}")
        outside += char if depth == 0 else ""
    return f"({module})" if " if " in outside else module


# ---------------------------------------------------------------- padding


@record
class Padding:
    """A padding in PyTorch's terms; exactly one of them is meant.

    Attributes:
        both: the same before and after, (height, width).
        sides: top, bottom, left, right.
        same: TensorFlow's `same` with a stride: depends on the input's size.
    """

    both: Pair | None = None
    sides: Sides | None = None
    same: bool = False


def padding(pad: ArgumentValue, kernel: Pair, stride: Pair, dilation: Expression = ONE) -> Padding:
    """What a padding means for a window."""
    if isinstance(pad, SidesValue):
        return _sides(pad)
    if pad is None or pad == ex.Literal("half"):
        return Padding(both=half(kernel, dilation))
    if pad == ex.Literal("valid"):
        return Padding(both=(ZERO, ZERO))
    if pad == ex.Literal("same"):
        return _same(kernel, stride, dilation)
    assert isinstance(pad, Expression)
    return Padding(both=(pad, pad))


def _sides(border: SidesValue) -> Padding:
    sides = four_sides(border)
    top, bottom, left, right = sides
    if top == bottom and left == right:
        return Padding(both=(top, left))
    return Padding(sides=sides)


def _same(kernel: Pair, stride: Pair, dilation: Expression) -> Padding:
    spans = [ex.literal(effective(k, dilation)) for k in kernel]
    if spans == [1, 1]:
        return Padding(both=(ZERO, ZERO))
    if stride == (ONE, ONE) and all(isinstance(span, int) and span % 2 for span in spans):
        return Padding(both=half(kernel, dilation))
    return Padding(same=True)


# ---------------------------------------------------------------- convolutions


def initial(init: ArgumentValue, fans: tuple[Expression, Expression] | None = None) -> str:
    """The statement that initialises a kernel; `{}` stands for the tensor.

    Args:
        init: the initialiser.
        fans: (fan_in, fan_out) where PyTorch counts them otherwise, as for depthwise kernels.
    """
    assert isinstance(init, Initializer)
    values = [number(a) for a in init.args]
    match init.name:
        case "zeros" | "ones":
            return f"nn.init.{init.name}_({{}})"
        case "constant":
            return f"nn.init.constant_({{}}, {values[0]})"
        case "uniform":
            return f"nn.init.uniform_({{}}, -{values[0]}, {values[0]})"
        case "normal":
            return f"nn.init.normal_({{}}, std={values[0]})"
        case "truncated_normal":
            std, cut = values[0], number(2 * init.args[0])
            return f"nn.init.trunc_normal_({{}}, std={std}, a=-{cut}, b={cut})"
        case _:
            return _scaled(init, fans)


def _scaled(init: Initializer, fans: tuple[Expression, Expression] | None) -> str:
    """An initialiser whose scale depends on the fans."""
    plain = {
        "glorot_uniform": "nn.init.xavier_uniform_({})",
        "glorot_normal": "nn.init.xavier_normal_({})",
        "he_uniform": 'nn.init.kaiming_uniform_({}, nonlinearity="relu")',
        "he_normal": 'nn.init.kaiming_normal_({}, nonlinearity="relu")',
        "lecun_uniform": 'nn.init.kaiming_uniform_({}, nonlinearity="linear")',
        "lecun_normal": 'nn.init.kaiming_normal_({}, nonlinearity="linear")',
    }
    per_input = not init.name.startswith("glorot")
    if init.name in plain and (fans is None or per_input):
        return plain[init.name]
    if init.name == "truncated_he_normal":
        return "truncated_he_normal_({})"
    assert fans is not None
    numerator = 6 if init.name == "glorot_uniform" else 2
    total = sum_of(fans)
    known = ex.literal(total)
    scale, minus = f"({numerator} / {python(total, outer=7)}) ** 0.5", "-({})"
    if isinstance(known, int):
        scale, minus = number((numerator / known) ** 0.5), "-{}"
    if init.name == "glorot_uniform":
        return f"nn.init.uniform_({{}}, {minus.format(scale)}, {scale})"
    return f"nn.init.normal_({{}}, std={scale})"


def _weights(
    args: Args, prefix: str = "", fans: tuple[Expression, Expression] | None = None
) -> tuple[Weight, ...]:
    begin, decay = initial(args["init"], fans), expression(args, "l2")
    kernel = Weight(f"{prefix}weight", begin, l2=decay, known=not prefix)
    if prefix == "depthwise.":
        return (kernel,)
    start = expression(args, "bias_init")
    statement = (
        "nn.init.zeros_({})" if start == ZERO else f"nn.init.constant_({{}}, {python(start)})"
    )
    bias = Weight(f"{prefix}bias", statement, expression(args, "bias"))
    return (kernel, bias) if bias.condition != ex.Literal(False) else (kernel,)


def kernels(op: str, args: Args) -> tuple[Weight, ...]:
    """How the kernels of an op begin, for a use of a unit; their decay is the unit's matter."""
    match op:
        case "depthwise_conv":
            found = _weights(args, "", _depthwise_fans(args))
        case "separable_conv":
            found = _separable_weights(args)
        case _:
            found = _weights(args)
    return tuple(replace(each, l2=ZERO) for each in found if each.path.endswith("weight"))


def _separable_weights(args: Args) -> tuple[Weight, ...]:
    depthwise = _weights(args, "depthwise.", _depthwise_fans(args))
    return *depthwise, *_weights(args, "pointwise.")


def _convolution(
    inputs: Expression,
    outputs: Expression,
    args: Args,
    groups: Expression,
    bias: Expression,
) -> str:
    """The constructor of a convolution."""
    kernel, stride = window(args).kernel, window(args).stride
    dilation = expression(args, "dilation")
    centred = args["pad"] == CENTRED
    around = padding(None if centred else args["pad"], kernel, stride, dilation)
    parts = [python(inputs), python(outputs), pair(kernel)]
    if stride != (ONE, ONE):
        parts.append(pair(stride))
    rest = []
    name = "nn.Conv2d"
    if around.sides is not None:
        name = "PaddedConv2d"
        rest.append(f"pad=({', '.join(map(python, around.sides))})")
    elif around.same:
        name = "Conv2dSame"
    elif around.both is not None and around.both != (ZERO, ZERO):
        rest.append('padding="same"' if centred else f"padding={pair(around.both)}")
    if dilation != ONE:
        rest.append(f"dilation={python(dilation)}")
    if groups != ONE:
        rest.append(f"groups={python(groups)}")
    if bias != ex.Literal(True):
        rest.append(f"bias={python(bias)}")
    return f"{name}({', '.join(parts + rest)})"


def _conv(args: Args, shape: Symbol) -> Layer:
    outputs, groups = expression(args, "channels"), expression(args, "groups")
    module = _convolution(shape.channels, outputs, args, groups, expression(args, "bias"))
    return Layer(module, None, _weights(args))


def _depthwise_fans(args: Args) -> tuple[Expression, Expression]:
    high, wide = window(args).kernel
    area = high * wide
    return area, area * expression(args, "multiplier")


def _depthwise_conv(args: Args, shape: Symbol) -> Layer:
    inputs = shape.channels
    outputs = inputs * expression(args, "multiplier")
    module = _convolution(inputs, outputs, args, inputs, expression(args, "bias"))
    return Layer(module, None, _weights(args, "", _depthwise_fans(args)))


def _separable_conv(args: Args, shape: Symbol) -> Layer:
    inputs = shape.channels
    middle = inputs * expression(args, "multiplier")
    first = _convolution(inputs, middle, args, inputs, FALSE)
    second = f"nn.Conv2d({python(middle)}, {text(args, 'channels')}, 1{_bias_argument(args)})"
    return Layer(f"SeparableConv2d({first}, {second})", None, _separable_weights(args))


def _bias_argument(args: Args) -> str:
    bias = expression(args, "bias")
    return "" if bias == TRUE else f", bias={python(bias)}"


def _dense(args: Args, shape: Symbol) -> Layer:
    inputs = python(flat_size(shape))
    arguments = f"({inputs}, {text(args, 'features')}{_bias_argument(args)})"
    # nn.Linear says that it has a bias; nn.Conv2d says that it may have one
    weights = tuple(replace(w, known=True) for w in _weights(args))
    if not shape.is_map:
        return Layer(f"nn.Linear{arguments}", None, weights)
    flat = Function("{x}.flatten(1)", ATOM, typed=False)
    return Layer(f"FlattenLinear{arguments}", None, weights, apart=(flat, f"nn.Linear{arguments}"))


# ---------------------------------------------------------------- normalisation


def one_minus(decay: Expression) -> str:
    """PyTorch's momentum is the fraction replaced; exact in decimals: 1 - 0.9 is 0.1."""
    known = ex.literal(decay)
    if known is None:
        return f"1 - {python(decay, outer=6)}"
    value = 1 - Decimal(repr(known))
    return number(float(value))


def _bn(args: Args, shape: Symbol) -> Layer:
    for flag, values in (("variance", ("biased", "unbiased")), ("scale", (True, False))):
        value = expression(args, flag)
        if ex.literal(value) is None:
            first, second = (_bn({**args, flag: ex.Literal(v)}, shape).module for v in values)
            condition = ex.binary("==", value, ex.Literal(values[0])) if flag != "scale" else value
            return Layer(f"{bracketed(first)} if {python(condition)} else {second}")
    scale, shift = args["scale"], expression(args, "shift")
    name = f"BatchNorm{'2d' if shape.is_map else '1d'}"
    name = f"nn.{name}" if args["variance"] == ex.Literal("unbiased") else f"Biased{name}"
    parts = [python(shape.channels), f"eps={text(args, 'eps')}"]
    parts.append(f"momentum={one_minus(expression(args, 'decay'))}")
    if shift != TRUE:
        # The stock layer can have a gamma alone, but no beta alone.
        parts.append(f"{'bias' if scale == TRUE else 'affine'}={python(shift)}")
    module = f"{name}({', '.join(parts)})"
    return Layer(module if scale == TRUE or shift == FALSE else f"unscaled({module})")


def _lrn(args: Args, shape: Symbol) -> Layer:
    names = ("size", "alpha", "beta", "k")
    values = [text(args, "size"), *(python(as_float(expression(args, n))) for n in names[1:])]
    listed = ", ".join(f"{n}={v}" for n, v in zip(names[1:], values[1:], strict=True))
    return Layer(f"LocalResponseNorm({values[0]}, {listed})")


# ---------------------------------------------------------------- pooling


def _pool(args: Args, average: bool) -> Layer:
    kernel, stride = window(args).kernel, window(args).stride
    around = padding(args["pad"], kernel, stride)
    flags = ("ceil", "count_pad") if average else ("ceil",)
    for flag in flags:
        # Only the stock poolings take these as they are.
        value = args[flag]
        if isinstance(value, Expression) and ex.literal(value) is None and not _stock(args, around):
            then, otherwise = (_pool({**args, flag: ex.Literal(b)}, average) for b in (True, False))
            if then == otherwise:
                return then
            first = bracketed(then.module)
            return Layer(f"{first} if {python(value)} else {otherwise.module}")
    if around.same:
        return _same_pool(args, average)
    if _stock(args, around):
        assert around.both is not None
        return _stock_pool(args, around.both, average)
    sides = around.sides
    if sides is None:
        assert around.both is not None
        sides = around.both[0], around.both[0], around.both[1], around.both[1]
    return _padded_pool(args, sides, average)


def _stock(args: Args, around: Padding) -> bool:
    """Whether nn.MaxPool2d and nn.AvgPool2d take a padding: no more than half the window."""
    kernel = window(args).kernel
    return around.both is not None and all(
        _at_most_half(p, k) for p, k in zip(around.both, kernel, strict=True)
    )


def _at_most_half(pad: Expression, kernel: Expression) -> bool:
    p, k = ex.literal(pad), ex.literal(kernel)
    if isinstance(p, int) and isinstance(k, int):
        return p <= k // 2
    return p == 0 or pad == kernel // 2


def _stock_pool(args: Args, around: Pair, average: bool) -> Layer:
    kernel, stride = window(args).kernel, window(args).stride
    # nn.MaxPool2d's own stride is the kernel, so the stride is always written.
    parts = [pair(kernel), pair(stride)]
    padded = around != (ZERO, ZERO)
    if padded:
        parts.append(pair(around))
    ceil = args["ceil"]
    if ceil not in (None, FALSE) and stride != (ONE, ONE):
        parts.append(f"ceil_mode={text(args, 'ceil')}")
    if average and padded and args["count_pad"] not in (None, TRUE):
        parts.append(f"count_include_pad={text(args, 'count_pad')}")
    name = "AvgPool2d" if average else "MaxPool2d"
    function = "F.avg_pool2d" if average else "F.max_pool2d"
    arguments = ", ".join(parts)
    return Layer(f"nn.{name}({arguments})", Function(f"{function}({{x}}, {arguments})"))


def _same_pool(args: Args, average: bool) -> Layer:
    frame = window(args)
    parts = [both(frame.kernel), both(frame.stride)]
    if average and args["count_pad"] == TRUE:
        parts.append("count_pad=True")
    name = "AvgPool2dSame" if average else "MaxPool2dSame"
    return Layer(f"{name}({', '.join(parts)})")


def _padded_pool(args: Args, sides: Sides, average: bool) -> Layer:
    """A border that the stock poolings do not take: pad first, then pool."""
    kernel, stride = window(args).kernel, window(args).stride
    top, bottom, left, right = sides
    below, beside = bottom, right
    if args["ceil"] == TRUE and stride != (ONE, ONE):
        below = with_ceil(bottom, stride[0], kernel[0])
        beside = with_ceil(right, stride[1], kernel[1])
    pool = f"{pair(kernel)}, {pair(stride)}"
    full = ", ".join(map(python, (left, beside, top, below)))
    if not average:
        # A window that holds a copy of a pixel at the edge holds the pixel too, since the border
        # is smaller than the window.
        inner = f"nn.ReplicationPad2d(({full})), nn.MaxPool2d({pool})"
        return Layer(f"nn.Sequential({inner})")
    if args["count_pad"] != TRUE:
        return Layer(f"PaddedAvgPool2d({pool}, ({full}))")
    first = f"nn.ZeroPad2d(({', '.join(map(python, (left, right, top, bottom)))}))"
    if (below, beside) == (bottom, right):
        return Layer(f"nn.Sequential({first}, nn.AvgPool2d({pool}))")
    over = f"(0, {python(beside - right)}, 0, {python(below - bottom)})"
    return Layer(f"nn.Sequential({first}, PaddedAvgPool2d({pool}, {over}))")


def _either_pool(args: Args, shape: Symbol) -> Layer:
    kind = expression(args, "kind")
    if isinstance(kind, ex.Literal):
        return _pool(args, kind.value == "avg")
    largest, average = _pool(args, False), _pool(args, True)
    first = bracketed(largest.module)
    return Layer(f'{first} if {python(kind, outer=5)} == "max" else {average.module}')


# ---------------------------------------------------------------- the rest


def _called(module: str, function: str) -> Callable[[Args, Symbol], Layer]:
    """An op without arguments, as a function."""
    return lambda args, shape: Layer(module, Function(f"{function}({{x}})"))


def _method(module: str, method: str) -> Callable[[Args, Symbol], Layer]:
    """An op without arguments, as a method."""
    return lambda args, shape: Layer(module, Function(f"{{x}}.{method}", ATOM, typed=False))


def _leaky_relu(args: Args, shape: Symbol) -> Layer:
    slope = text(args, "slope")
    return Layer(f"nn.LeakyReLU({slope})", Function(f"F.leaky_relu({{x}}, {slope})"))


def _gelu(args: Args, shape: Symbol) -> Layer:
    form = expression(args, "form")
    known = ex.literal(form)
    word = '"tanh"' if known == "tanh" else '"none"'
    if known is None:
        word = f'"tanh" if {python(form, outer=5)} == "tanh" else "none"'
    function = Function(f"F.gelu({{x}}, approximate={word})")
    return Layer(f"nn.GELU(approximate={word})", function)


def _hard_sigmoid(args: Args, shape: Symbol) -> Layer:
    # The float64 gradient of nn.Hardsigmoid is off by 3e-8: its 1/6 is a float32.
    return Layer("HardSigmoid()", Function("F.relu6({x} + 3) / 6", SUM, PRODUCT))


def _dropout(args: Args, shape: Symbol) -> Layer:
    return Layer(f"nn.Dropout({python(as_float(expression(args, 'rate')))})")


def _adaptive_avg_pool(args: Args, shape: Symbol) -> Layer:
    size = pair(window(args).kernel)
    function = Function(f"F.adaptive_avg_pool2d({{x}}, {size})")
    return Layer(f"nn.AdaptiveAvgPool2d({size})", function)


def _l2_normalize(args: Args, shape: Symbol) -> Layer:
    eps = text(args, "eps")
    own = "" if args["eps"] == ex.Literal(1e-12) else eps  # PyTorch's default
    return Layer(f"L2Normalize({own})")


def _scale(args: Args, shape: Symbol) -> Layer:
    factor = expression(args, "factor")
    function = Function(f"{{x}} * {python(factor, outer=7)}", PRODUCT, PRODUCT, typed=False)
    return Layer(f"Scale({python(factor)})", function)


def _flatten(args: Args, shape: Symbol) -> Layer:
    if not shape.is_map:
        return _identity(args, shape)
    return _method("nn.Flatten()", "flatten(1)")(args, shape)


def _identity(args: Args, shape: Symbol) -> Layer:
    return Layer("nn.Identity()", UNCHANGED)


def _pad(args: Args, shape: Symbol) -> Layer:
    top, bottom, left, right = four_sides(args["border"])
    border = ", ".join(map(python, (left, right, top, bottom)))
    return Layer(f"nn.ZeroPad2d(({border}))", Function(f"F.pad({{x}}, ({border}))"))


def _global_pool(name: str, function: str) -> Callable[[Args, Symbol], Layer]:
    pooled = Function(f"{{x}}.{function}((2, 3))", ATOM, typed=False)
    return lambda args, shape: Layer(f"{name}()", pooled)


#: How each op is written.
EMITTERS: dict[str, Callable[[Args, Symbol], Layer]] = {
    "conv": _conv,
    "depthwise_conv": _depthwise_conv,
    "separable_conv": _separable_conv,
    "dense": _dense,
    "bn": _bn,
    "lrn": _lrn,
    "max_pool": lambda args, shape: _pool(args, False),
    "avg_pool": lambda args, shape: _pool(args, True),
    "pool": _either_pool,
    "global_avg_pool": _global_pool("GlobalAvgPool", "mean"),
    "global_max_pool": _global_pool("GlobalMaxPool", "amax"),
    "relu": _called("nn.ReLU()", "F.relu"),
    "relu6": _called("nn.ReLU6()", "F.relu6"),
    "leaky_relu": _leaky_relu,
    "sigmoid": _method("nn.Sigmoid()", "sigmoid()"),
    "tanh": _method("nn.Tanh()", "tanh()"),
    "silu": _called("nn.SiLU()", "F.silu"),
    "gelu": _gelu,
    "hard_sigmoid": _hard_sigmoid,
    "adaptive_avg_pool": _adaptive_avg_pool,
    "l2_normalize": _l2_normalize,
    "hard_swish": _called("nn.Hardswish()", "F.hardswish"),
    "softmax": _method("nn.Softmax(dim=1)", "softmax(dim=1)"),
    "dropout": _dropout,
    "flatten": _flatten,
    "identity": _identity,
    "scale": _scale,
    "pad": _pad,
}
