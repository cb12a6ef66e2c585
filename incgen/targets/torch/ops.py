"""What each op is in PyTorch: the form that it takes there, and the facts that its macro needs.

How PyTorch writes a form stands in templates/torch/macros/ops.jinja: `NAME` is a module, and
`NAME_of`, if there is one, a function.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeAlias

from incgen.language import expressions as ex
from incgen.language.arithmetic import Value
from incgen.language.expressions import Expression
from incgen.resolve.definitions import WindowValue
from incgen.targets.shared.code import Chosen, Code, Op
from incgen.targets.shared.outputs import flat_size
from incgen.targets.shared.symbols import Symbol
from incgen.targets.shared.values import (
    FALSE,
    ONE,
    TRUE,
    ZERO,
    Args,
    as_float,
    depthwise_fans,
    expression,
    four_sides,
    paired,
    window,
)
from incgen.targets.shared.words import grouped, is_one_of
from incgen.targets.torch.padding import padding
from incgen.targets.torch.pooling import pool
from incgen.targets.torch.weights import Weight, separable_weights, weights

#: Half of an odd kernel whose sides are in one parameter, with stride 1: PyTorch's own "same".
CENTRED = ex.Literal("centred")


@dataclass(frozen=True, slots=True)
class Layer:
    """One op in PyTorch.

    Attributes:
        module: what a container takes.
        weights: parameters to initialise.
        apart: a function and a stock module behind it, for `forward`; a container takes one
            module, which would be a class of its own.
    """

    module: Code
    weights: tuple[Weight, ...] = ()
    apart: tuple[Op, Op] | None = None


#: The words that a parameter takes in the network: to write a case for each.
Cases: TypeAlias = Callable[[str], list[Value]]


def layer(op: str, args: Args, shape: Symbol, cases: Cases) -> Layer:
    """Return the layer of an op.

    Args:
        op: its name.
        args: its arguments, with the symbols of the class substituted.
        shape: of its input.
        cases: gives the values that a parameter takes, if words are among them.
    """
    emitter = EMITTERS.get(op)
    if emitter is None:
        return Layer(Op(op, args))
    pad = args.get("pad")
    if isinstance(pad, ex.Parameter) and pad.name != "padding" and cases(pad.name):
        return _by_word(pad, cases(pad.name), lambda value: emitter({**args, "pad": value}, shape))
    return emitter(args, shape)


def _by_word(
    parameter: ex.Parameter, words: list[Value], build: Callable[[Expression], Layer]
) -> Layer:
    """Return a layer for each word that a parameter takes, chosen when the model is built."""
    layers = [build(ex.Literal(word)) for word in words]
    modules = [each.module for each in layers]
    groups, module = grouped(list(zip(words, modules, strict=True)))
    for alike, each in reversed(groups):
        module = Chosen(is_one_of(parameter, alike), each, module)
    return replace(layers[-1], module=module)


# ---------------------------------------------------------------- convolutions


def _convolution(
    inputs: Expression, channels: Expression, args: Args, groups: Expression, bias: Expression
) -> Op:
    kernel, stride = window(args).kernel, window(args).stride
    dilation = expression(args, "dilation")
    facts: dict[str, object] = {
        "inputs": inputs,
        "channels": channels,
        "kernel": paired(kernel),
        "stride": paired(stride),
        "dilation": dilation,
        "groups": groups,
        "bias": bias,
    }
    if args["pad"] == CENTRED:
        return Op("conv", {**facts, "padding": ex.Literal("same")})
    around = padding(args["pad"], kernel, stride, dilation)
    if around.sides is not None:
        return Op("conv_padded", {**facts, "border": ex.Tuple(around.sides)})
    if around.both is None:
        return Op("conv_same", facts)
    return Op("conv", {**facts, "padding": paired(around.both)})


def _conv(args: Args, shape: Symbol) -> Layer:
    channels, groups = expression(args, "channels"), expression(args, "groups")
    module = _convolution(shape.channels, channels, args, groups, expression(args, "bias"))
    return Layer(module, weights(args))


def _depthwise_conv(args: Args, shape: Symbol) -> Layer:
    inputs = shape.channels
    channels = inputs * expression(args, "multiplier")
    module = _convolution(inputs, channels, args, inputs, expression(args, "bias"))
    return Layer(module, weights(args, (), depthwise_fans(args)))


def _separable_conv(args: Args, shape: Symbol) -> Layer:
    inputs, bias = shape.channels, expression(args, "bias")
    middle = inputs * expression(args, "multiplier")
    plain = {**args, "window": WindowValue((ONE, ONE), (ONE, ONE)), "pad": ZERO, "dilation": ONE}
    parts = {
        "depthwise": _convolution(inputs, middle, args, inputs, FALSE),
        "pointwise": _convolution(middle, expression(args, "channels"), plain, ONE, bias),
    }
    return Layer(Op("separable_conv", parts), separable_weights(args))


def _dense(args: Args, shape: Symbol) -> Layer:
    facts = {name: args[name] for name in ("features", "bias")}
    facts["inputs"] = flat_size(shape)
    # nn.Linear says that it has a bias; nn.Conv2d says that it may have one
    found = tuple(replace(weight, known=True) for weight in weights(args))
    if not shape.is_map:
        return Layer(Op("dense", facts), found)
    return Layer(Op("dense_of_map", facts), found, apart=(Op("flatten", {}), Op("dense", facts)))


# ---------------------------------------------------------------- normalisation


def _one_minus(decay: Expression) -> Expression:
    """Return PyTorch's momentum, the fraction replaced; exact in decimals: 1 - 0.9 is 0.1."""
    known = ex.literal(decay)
    return ONE - decay if known is None else ex.Literal(float(1 - Decimal(repr(known))))


def _bn(args: Args, shape: Symbol) -> Layer:
    for flag, values in (("variance", ("biased", "unbiased")), ("scale", (True, False))):
        value = expression(args, flag)
        if ex.literal(value) is None:
            first, second = (_bn({**args, flag: ex.Literal(v)}, shape).module for v in values)
            condition = ex.binary("==", value, ex.Literal(values[0])) if flag != "scale" else value
            return Layer(Chosen(condition, first, second))
    scaled, shift = args["scale"] == TRUE, expression(args, "shift")
    facts = {
        "is_map": shape.is_map,
        "biased": args["variance"] == ex.Literal("biased"),
        "channels": shape.channels,
        "eps": args["eps"],
        "momentum": _one_minus(expression(args, "decay")),
        # The stock layer can have a gamma alone, but no beta alone.
        "bias": shift if scaled else None,
        "affine": None if scaled else shift,
        "unscaled": not scaled and shift != FALSE,
    }
    return Layer(Op("bn", facts))


def _lrn(args: Args, shape: Symbol) -> Layer:
    floats = {name: as_float(expression(args, name)) for name in ("alpha", "beta", "k")}
    return Layer(Op("lrn", {"size": args["size"], **floats}))


# ---------------------------------------------------------------- the rest


def _gelu(args: Args, shape: Symbol) -> Layer:
    is_tanh = ex.binary("==", expression(args, "form"), ex.Literal("tanh"))
    word = ex.choice(is_tanh, ex.Literal("tanh"), ex.Literal("none"))
    return Layer(Op("gelu", {"approximate": word}))


def _dropout(args: Args, shape: Symbol) -> Layer:
    return Layer(Op("dropout", {"rate": as_float(expression(args, "rate"))}))


def _adaptive_avg_pool(args: Args, shape: Symbol) -> Layer:
    return Layer(Op("adaptive_avg_pool", {"size": paired(window(args).kernel)}))


def _flatten(args: Args, shape: Symbol) -> Layer:
    return Layer(Op("flatten" if shape.is_map else "identity", {}))


def _pad(args: Args, shape: Symbol) -> Layer:
    top, bottom, left, right = four_sides(args["border"])
    return Layer(Op("pad", {"border": ex.Tuple((left, right, top, bottom))}))


def _either_pool(args: Args, shape: Symbol) -> Layer:
    kind = expression(args, "kind")
    if isinstance(kind, ex.Literal):
        return Layer(pool(args, kind.value == "avg"))
    is_max = ex.binary("==", kind, ex.Literal("max"))
    return Layer(Chosen(is_max, pool(args, False), pool(args, True)))


#: The form and the facts of each op whose macro takes more than its arguments.
EMITTERS: dict[str, Callable[[Args, Symbol], Layer]] = {
    "conv": _conv,
    "depthwise_conv": _depthwise_conv,
    "separable_conv": _separable_conv,
    "dense": _dense,
    "bn": _bn,
    "lrn": _lrn,
    "max_pool": lambda args, shape: Layer(pool(args, False)),
    "avg_pool": lambda args, shape: Layer(pool(args, True)),
    "pool": _either_pool,
    "gelu": _gelu,
    "adaptive_avg_pool": _adaptive_avg_pool,
    "dropout": _dropout,
    "flatten": _flatten,
    "pad": _pad,
}
