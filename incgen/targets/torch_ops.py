"""PyTorch source for each op: a module, a function, or both.

Values are flat Python text; `incgen.layout` breaks lines. A helper that a generated file has to
define is asked for by name; its text is in templates/torch/helpers.py.jinja.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, TypeAlias

from incgen import expressions as ex
from incgen.definitions import ArgumentValue, SidesValue
from incgen.expressions import Expression, python
from incgen.initializers import Initializer
from incgen.ops import ByStride
from incgen.symbols import Symbol, plain_pad
from incgen.targets.values import (
    ONE,
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


@dataclass(frozen=True, slots=True)
class Weight:
    """How a parameter begins, and its weight decay.

    Attributes:
        path: behind the layer's name: `weight`, `bias`, `pointwise.weight`.
        statement: what comes around the tensor: `nn.init.zeros_({})`.
        condition: when the parameter exists at all.
        l2: the decay of a kernel.
    """

    path: str
    statement: str
    condition: Expression = ex.Literal(True)
    l2: Expression = ZERO


@dataclass(frozen=True, slots=True)
class Layer:
    """One op in PyTorch.

    Attributes:
        out: the shape behind it.
        module: the constructor of a module, if there is one.
        function: the call as a function, if there is one: text of the input to text.
        weights: parameters to initialise.
        stateful: whether it must be a module, because it has parameters or depends on the mode.
        helpers: the classes and functions it needs in the file.
    """

    out: Symbol
    module: str | None = None
    function: Callable[[str], str] | None = None
    weights: tuple[Weight, ...] = ()
    stateful: bool = False
    helpers: frozenset[str] = field(default_factory=frozenset)


#: The values that a parameter takes in the network: to write a case for each.
Cases: TypeAlias = Callable[[str], list[Any]]


def layer(op: str, args: Args, shape: Symbol, cases: Cases) -> Layer:
    """The layer of an op.

    Args:
        op: its name.
        args: its arguments, with the symbols of the class substituted.
        shape: of its input.
        cases: gives the words that a parameter takes.
    """
    emitter = EMITTERS[op]
    for name in ("pad", "kind"):
        value = args.get(name)
        if isinstance(value, ex.Parameter) and value.name != "padding":
            words = cases(value.name)
            if any(isinstance(word, str) for word in words):
                return _by_word(value, words, name, args, lambda a: emitter(a, shape))
    return emitter(args, shape)


def _by_word(
    parameter: ex.Parameter,
    words: list[Any],
    name: str,
    args: Args,
    build: Callable[[Args], Layer],
) -> Layer:
    """A layer for each word that a parameter takes, chosen when the model is built."""
    layers = [build({**args, name: ex.Literal(word)}) for word in words]
    result = layers[-1]
    module = result.module
    for word, each in reversed(list(zip(words[:-1], layers[:-1], strict=True))):
        if each.module != module:
            module = f"{each.module} if {parameter.name} == {ex.number(word)} else {module}"
    helpers = frozenset[str]().union(*(each.helpers for each in layers))
    # A function could not choose at run time without keeping the word: always a module.
    stateful = len({each.module for each in layers}) > 1 or result.stateful
    return replace(result, module=module, function=None, helpers=helpers, stateful=stateful)


# ---------------------------------------------------------------- text of values


def is_one_call(code: str) -> bool:
    """Whether a text is a single call whose bracket closes at its end."""
    depth = 0
    for position, char in enumerate(code):
        depth += (char in "([{") - (char in ")]}")
        if depth == 0 and char in ")]}" and position < len(code) - 1:
            return False
    return code.endswith(")")


def operand(code: str, sign: str = ".") -> str:
    """A text that an operator or a method can follow, in brackets where it needs them.

    >>> operand("a + b", "*"), operand("a * b", "+"), operand("f(a + b)")
    ('(a + b)', 'a * b', 'f(a + b)')
    """
    bare = re.sub(r"\([^()]*\)|\[[^\[\]]*\]", "", code)
    while bare != (bare := re.sub(r"\([^()]*\)|\[[^\[\]]*\]", "", bare)):
        pass
    loose = {".": " ", "*": " + ", "+": " if "}[sign]
    loose_too = " if " in bare or (sign == "*" and " - " in bare)
    return f"({code})" if loose in bare or loose_too else code


# ---------------------------------------------------------------- padding


@dataclass(frozen=True, slots=True)
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
    known = plain_pad(pad, stride)
    if isinstance(known, ByStride):
        unit, strided = (
            padding(ex.Literal(word), kernel, stride, dilation).both
            for word in (known.plain, known.strided)
        )
        if unit is None or strided is None:
            return Padding(same=True)
        flat = _unstrided(stride)
        high, wide = (ex.choice(flat, a, b) for a, b in zip(unit, strided, strict=True))
        return Padding(both=(high, wide))
    if isinstance(known, SidesValue):
        return _sides(known)
    if known is None or known == ex.Literal("half"):
        return Padding(both=half(kernel, dilation))
    if known == ex.Literal("valid"):
        return Padding(both=(ZERO, ZERO))
    if known == ex.Literal("same"):
        return _same(kernel, stride, dilation)
    assert isinstance(known, ex.Literal | ex.Parameter | ex.Binary | ex.Unary | ex.Choice)
    return Padding(both=(known, known))


def _unstrided(stride: Pair) -> Expression:
    high, wide = (ex.binary("==", s, ONE) for s in stride)
    return high if stride[0] == stride[1] else ex.binary("and", high, wide)


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
    values = [ex.number(a) for a in init.args]
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
            std, cut = values[0], ex.number(2 * init.args[0])
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
        # torch counts the fan-in of a depthwise kernel as the language does, so this serves all
        return (
            "nn.init.trunc_normal_({0}, std=(2.6 / {0}[0].numel()) ** 0.5, "
            "a=-2 * (2.6 / {0}[0].numel()) ** 0.5, b=2 * (2.6 / {0}[0].numel()) ** 0.5)"
        )
    assert fans is not None
    numerator = 6 if init.name == "glorot_uniform" else 2
    scale = f"({numerator} / ({python(fans[0] + fans[1])})) ** 0.5"
    if init.name == "glorot_uniform":
        return f"nn.init.uniform_({{}}, -({scale}), {scale})"
    return f"nn.init.normal_({{}}, std={scale})"


def _weights(
    args: Args, prefix: str = "", fans: tuple[Expression, Expression] | None = None
) -> tuple[Weight, ...]:
    kernel = Weight(f"{prefix}weight", initial(args["init"], fans), l2=expression(args, "l2"))
    if prefix == "depthwise.":
        return (kernel,)
    start = expression(args, "bias_init")
    statement = (
        "nn.init.zeros_({})" if start == ZERO else f"nn.init.constant_({{}}, {python(start)})"
    )
    bias = Weight(f"{prefix}bias", statement, expression(args, "bias"))
    return (kernel, bias) if bias.condition != ex.Literal(False) else (kernel,)


def _convolution(
    inputs: Expression,
    outputs: Expression,
    args: Args,
    groups: Expression,
    bias: Expression,
) -> tuple[str, frozenset[str]]:
    """The constructor of a convolution and the helpers it needs."""
    kernel, stride = window(args).kernel, window(args).stride
    dilation = expression(args, "dilation")
    around = padding(args["pad"], kernel, stride, dilation)
    parts = [python(inputs), python(outputs), pair(kernel)]
    if stride != (ONE, ONE):
        parts.append(pair(stride))
    rest = []
    name, helpers = "nn.Conv2d", frozenset[str]()
    if around.sides is not None:
        name, helpers = "PaddedConv2d", frozenset({"PaddedConv2d"})
        rest.append(f"pad=({', '.join(map(python, around.sides))})")
    elif around.same:
        name, helpers = "Conv2dSame", frozenset({"Conv2dSame", "same_pad"})
    elif around.both is not None and around.both != (ZERO, ZERO):
        rest.append(f"padding={pair(around.both)}")
    if dilation != ONE:
        rest.append(f"dilation={python(dilation)}")
    if groups != ONE:
        rest.append(f"groups={python(groups)}")
    if bias != ex.Literal(True):
        rest.append(f"bias={python(bias)}")
    return f"{name}({', '.join(parts + rest)})", helpers


def _conv(args: Args, shape: Symbol) -> Layer:
    outputs = expression(args, "channels")
    module, helpers = _convolution(
        shape.channels, outputs, args, expression(args, "groups"), expression(args, "bias")
    )
    out = _moved(args, shape, outputs)
    return Layer(out, module, None, _weights(args), True, helpers)


def _depthwise_fans(args: Args) -> tuple[Expression, Expression]:
    high, wide = window(args).kernel
    area = high * wide
    return area, area * expression(args, "multiplier")


def _depthwise_conv(args: Args, shape: Symbol) -> Layer:
    outputs = shape.channels * expression(args, "multiplier")
    module, helpers = _convolution(
        shape.channels, outputs, args, shape.channels, expression(args, "bias")
    )
    weights = _weights(args, "", _depthwise_fans(args))
    return Layer(_moved(args, shape, outputs), module, None, weights, True, helpers)


def _separable_conv(args: Args, shape: Symbol) -> Layer:
    middle = shape.channels * expression(args, "multiplier")
    outputs = expression(args, "channels")
    first, helpers = _convolution(shape.channels, middle, args, shape.channels, ex.Literal(False))
    bias = expression(args, "bias")
    tail = "" if bias == ex.Literal(True) else f", bias={python(bias)}"
    second = f"nn.Conv2d({python(middle)}, {python(outputs)}, 1{tail})"
    weights = (
        *_weights(args, "depthwise.", _depthwise_fans(args)),
        *_weights(args, "pointwise."),
    )
    module = f"SeparableConv2d({first}, {second})"
    helpers |= {"SeparableConv2d"}
    return Layer(_moved(args, shape, outputs), module, None, weights, True, helpers)


def _moved(args: Args, shape: Symbol, channels: Expression) -> Symbol:
    """The map behind a window that moves over a map."""
    kernel, stride = window(args).kernel, window(args).stride
    dilation = expression(args, "dilation") if "dilation" in args else ONE
    ceil = "ceil" in args and args["ceil"] == ex.Literal(True)

    def size(axis: int) -> Expression:
        before = (shape.height, shape.width)[axis]()
        span, step = effective(kernel[axis], dilation), stride[axis]
        around = padding(args["pad"], kernel, stride, dilation)
        if around.same:
            return (before + step - 1) // step
        if around.sides is not None:
            border = around.sides[2 * axis], around.sides[2 * axis + 1]
        else:
            assert around.both is not None
            border = around.both[axis], around.both[axis]
        total = before + border[0] + border[1] - span
        if not ceil:
            return total // step + 1
        after = with_ceil(border[1], step, span)
        return (before + border[0] + after - span) // step + 1

    return Symbol(channels, True, lambda: size(0), lambda: size(1))


def _dense(args: Args, shape: Symbol) -> Layer:
    features = expression(args, "features")
    inputs = shape.channels
    if shape.is_map:
        inputs = shape.channels * shape.height() * shape.width()
    bias = expression(args, "bias")
    tail = "" if bias == ex.Literal(True) else f", bias={python(bias)}"
    arguments = f"({python(inputs)}, {python(features)}{tail})"
    weights = _weights(args)
    if shape.is_map:
        helpers = frozenset({"FlattenLinear"})
        module = f"FlattenLinear{arguments}"
        return Layer(shape.vector(features), module, None, weights, True, helpers)
    return Layer(shape.vector(features), f"nn.Linear{arguments}", None, weights, True)


# ---------------------------------------------------------------- normalisation


def one_minus(decay: Expression) -> str:
    """PyTorch's momentum is the fraction replaced; exact in decimals: 1 - 0.9 is 0.1."""
    known = ex.literal(decay)
    if known is None:
        return f"1 - {python(decay, outer=6)}"
    value = 1 - Decimal(repr(known))
    return ex.number(float(value))


def _bn(args: Args, shape: Symbol) -> Layer:
    rank = "2d" if shape.is_map else "1d"
    parts = [python(shape.channels), f"eps={text(args, 'eps')}"]
    parts.append(f"momentum={one_minus(expression(args, 'decay'))}")
    name, helpers = f"nn.BatchNorm{rank}", frozenset[str]()
    truth = ex.Literal(True)
    plain = args["scale"] == truth and args["shift"] == truth
    if not plain or args["variance"] != ex.Literal("unbiased"):
        name, helpers = f"BatchNorm{rank}", frozenset({f"BatchNorm{rank}"})
        for flag in ("scale", "shift"):
            if args[flag] != truth:
                parts.append(f"{flag}={text(args, flag)}")
        if args["variance"] != ex.Literal("unbiased"):
            variance = expression(args, "variance")
            unbiased = "False"
            if ex.literal(variance) is None:
                unbiased = f'{python(variance)} == "unbiased"'
            parts.append(f"unbiased={unbiased}")
    return Layer(shape, f"{name}({', '.join(parts)})", None, (), True, helpers)


def _lrn(args: Args, shape: Symbol) -> Layer:
    names = ("size", "alpha", "beta", "k")
    # TorchScript takes no whole number where a float is meant
    values = [python(_as_float(expression(args, name), name != "size")) for name in names]
    listed = ", ".join(f"{n}={v}" for n, v in zip(names[1:], values[1:], strict=True))

    def function(x: str) -> str:
        return f"F.local_response_norm({x}, {values[0]}, {listed})"

    return Layer(shape, f"nn.LocalResponseNorm({values[0]}, {listed})", function)


def _as_float(value: Expression, wanted: bool) -> Expression:
    known = ex.literal(value)
    return ex.Literal(float(known)) if wanted and isinstance(known, int) else value


# ---------------------------------------------------------------- pooling


def _pool(args: Args, shape: Symbol, average: bool) -> Layer:
    kernel, stride = window(args).kernel, window(args).stride
    out = _moved(args, shape, shape.channels)
    around = padding(args["pad"], kernel, stride)
    ceil = args["ceil"] == ex.Literal(True) and stride != (ONE, ONE)
    counted = args["count_pad"] == ex.Literal(True) if average else True
    if around.same:
        return _same_pool(out, kernel, stride, average, counted)
    sides = around.sides
    if around.both is not None:
        high, wide = around.both
        if all(_at_most_half(p, k) for p, k in zip((high, wide), kernel, strict=True)):
            return _stock_pool(args, out, around.both, ceil, average)
        sides = high, high, wide, wide
    assert sides is not None
    return _padded_pool(out, kernel, stride, sides, ceil, average, counted)


def _at_most_half(pad: Expression, kernel: Expression) -> bool:
    """nn.MaxPool2d and nn.AvgPool2d take no more than half the window."""
    p, k = ex.literal(pad), ex.literal(kernel)
    if isinstance(p, int) and isinstance(k, int):
        return p <= k // 2
    if isinstance(pad, ex.Choice):
        return _at_most_half(pad.then, kernel) and _at_most_half(pad.otherwise, kernel)
    return p == 0 or pad == kernel // 2


def _stock_pool(args: Args, out: Symbol, around: Pair, ceil: bool, average: bool) -> Layer:
    kernel, stride = window(args).kernel, window(args).stride
    # nn.MaxPool2d's own stride is the kernel, so the stride is always written.
    parts = [pair(kernel), pair(stride)]
    padded = around != (ZERO, ZERO)
    if padded:
        parts.append(pair(around))
    if ceil:
        parts.append("ceil_mode=True")
    elif isinstance(args["ceil"], ex.Parameter):
        parts.append(f"ceil_mode={text(args, 'ceil')}")
    if average and padded and args["count_pad"] not in (None, ex.Literal(True)):
        parts.append(f"count_include_pad={text(args, 'count_pad')}")
    name = "AvgPool2d" if average else "MaxPool2d"
    function = "F.avg_pool2d" if average else "F.max_pool2d"
    arguments = ", ".join(parts)
    return Layer(out, f"nn.{name}({arguments})", lambda x: f"{function}({x}, {arguments})")


def _same_pool(out: Symbol, kernel: Pair, stride: Pair, average: bool, counted: bool) -> Layer:
    name = "AvgPool2dSame" if average else "MaxPool2dSame"
    parts = [both(kernel), both(stride)]
    if average and counted:
        parts.append("count_pad=True")
    return Layer(out, f"{name}({', '.join(parts)})", helpers=frozenset({name, "same_pad"}))


def _padded_pool(
    out: Symbol,
    kernel: Pair,
    stride: Pair,
    sides: Sides,
    ceil: bool,
    average: bool,
    counted: bool,
) -> Layer:
    """A border that the stock poolings do not take: pad first, then pool.

    Rounding sizes up is the same as padding by min(after + stride - 1, kernel - 1) after the
    input and rounding down, for every size of the input.
    """
    top, bottom, left, right = sides
    after = [bottom, right]
    if ceil:
        after = [with_ceil(a, s, k) for a, s, k in zip(after, stride, kernel, strict=True)]
    pool = f"{pair(kernel)}, {pair(stride)}"
    if not average:
        border = ", ".join(map(python, (left, after[1], top, after[0])))
        inner = f'nn.ConstantPad2d(({border}), float("-inf")), nn.MaxPool2d({pool})'
        return Layer(out, f"nn.Sequential({inner})")
    helpers = frozenset({"PaddedAvgPool2d"})
    if not counted:
        border = ", ".join(map(python, (left, after[1], top, after[0])))
        return Layer(out, f"PaddedAvgPool2d({pool}, ({border}))", helpers=helpers)
    border = ", ".join(map(python, (left, right, top, bottom)))
    first = f"nn.ZeroPad2d(({border}))"
    if not ceil:
        return Layer(out, f"nn.Sequential({first}, nn.AvgPool2d({pool}))")
    over = f"(0, {python(after[1] - right)}, 0, {python(after[0] - bottom)})"
    module = f"nn.Sequential({first}, PaddedAvgPool2d({pool}, {over}))"
    return Layer(out, module, helpers=helpers)


def _either_pool(args: Args, shape: Symbol) -> Layer:
    kind = args["kind"]
    if isinstance(kind, ex.Literal):
        return _pool(args, shape, kind.value == "avg")
    assert isinstance(kind, ex.Parameter)
    return _by_word(
        kind,
        ["max", "avg"],
        "kind",
        args,
        lambda a: _pool(a, shape, a["kind"] == ex.Literal("avg")),
    )


# ---------------------------------------------------------------- the rest


def _stateless(module: str, function: str) -> Callable[[Args, Symbol], Layer]:
    """An op without arguments that keeps the shape."""
    method = function.startswith("{}.")
    return lambda args, shape: Layer(
        shape, module, lambda x: function.format(operand(x) if method else x)
    )


def _leaky_relu(args: Args, shape: Symbol) -> Layer:
    slope = text(args, "slope")
    return Layer(shape, f"nn.LeakyReLU({slope})", lambda x: f"F.leaky_relu({x}, {slope})")


def _gelu(args: Args, shape: Symbol) -> Layer:
    form = expression(args, "form")
    known = ex.literal(form)
    word = '"tanh"' if known == "tanh" else '"none"'
    if known is None:
        word = f'"tanh" if {python(form)} == "tanh" else "none"'
    return Layer(
        shape, f"nn.GELU(approximate={word})", lambda x: f"F.gelu({x}, approximate={word})"
    )


def _hard_sigmoid(args: Args, shape: Symbol) -> Layer:
    # The float64 gradient of nn.Hardsigmoid is off by 3e-8: its 1/6 is a float32.
    helpers = frozenset({"HardSigmoid"})
    return Layer(shape, "HardSigmoid()", None, helpers=helpers)


def _softmax(args: Args, shape: Symbol) -> Layer:
    return Layer(shape, "nn.Softmax(dim=1)", lambda x: f"{operand(x)}.softmax(dim=1)")


def _dropout(args: Args, shape: Symbol) -> Layer:
    return Layer(shape, f"nn.Dropout({text(args, 'rate')})", None, (), True)


def _scale(args: Args, shape: Symbol) -> Layer:
    factor = text(args, "factor")
    return Layer(shape, f"Scale({factor})", None, helpers=frozenset({"Scale"}))


def _flatten(args: Args, shape: Symbol) -> Layer:
    if not shape.is_map:
        return Layer(shape, "nn.Identity()", lambda x: x)
    size = shape.channels * shape.height() * shape.width()
    return Layer(shape.vector(size), "nn.Flatten()", lambda x: f"{operand(x)}.flatten(1)")


def _pad(args: Args, shape: Symbol) -> Layer:
    top, bottom, left, right = four_sides(args["border"])
    arguments = ", ".join(map(python, (left, right, top, bottom)))
    out = Symbol(
        shape.channels,
        True,
        lambda: shape.height() + top + bottom,
        lambda: shape.width() + left + right,
    )
    return Layer(out, f"nn.ZeroPad2d(({arguments}))", lambda x: f"F.pad({x}, ({arguments}))")


def _global_pool(name: str, function: str) -> Callable[[Args, Symbol], Layer]:
    helpers = frozenset({name})
    return lambda args, shape: Layer(
        shape.vector(shape.channels),
        f"{name}()",
        lambda x: f"{operand(x)}.{function}((2, 3))",
        helpers=helpers,
    )


#: How each op is written.
EMITTERS: dict[str, Callable[[Args, Symbol], Layer]] = {
    "conv": _conv,
    "depthwise_conv": _depthwise_conv,
    "separable_conv": _separable_conv,
    "dense": _dense,
    "bn": _bn,
    "lrn": _lrn,
    "max_pool": lambda args, shape: _pool(args, shape, False),
    "avg_pool": lambda args, shape: _pool(args, shape, True),
    "pool": _either_pool,
    "global_avg_pool": _global_pool("GlobalAvgPool", "mean"),
    "global_max_pool": _global_pool("GlobalMaxPool", "amax"),
    "relu": _stateless("nn.ReLU()", "F.relu({})"),
    "relu6": _stateless("nn.ReLU6()", "F.relu6({})"),
    "leaky_relu": _leaky_relu,
    "sigmoid": _stateless("nn.Sigmoid()", "{}.sigmoid()"),
    "tanh": _stateless("nn.Tanh()", "{}.tanh()"),
    "silu": _stateless("nn.SiLU()", "F.silu({})"),
    "gelu": _gelu,
    "hard_sigmoid": _hard_sigmoid,
    "hard_swish": _stateless("nn.Hardswish()", "F.hardswish({})"),
    "softmax": _softmax,
    "dropout": _dropout,
    "flatten": _flatten,
    "identity": _stateless("nn.Identity()", "{}"),
    "scale": _scale,
    "pad": _pad,
}
