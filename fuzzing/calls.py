"""Random calls of ops: every op, with every attribute and value.

Whether a call fits is checked afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fuzzing import tree, values
from fuzzing.choices import Choices, Place
from incgen.language.ops import OPS

#: Ops without arguments that keep the shape.
PLAIN_OPS: Final = (
    *(op.name for op in OPS.values() if op.kind == "activation" and not op.arguments),
    "identity",
)
#: What `default` lines can set.
DEFAULTS: Final[tuple[tuple[str, str, tree.Value], ...]] = (
    ("conv", "bias", "false"),
    ("conv", "pad", "half"),
    ("conv", "pad", "same"),
    ("conv", "pad", "valid"),
    ("conv", "init", tree.Initializer("he_normal")),
    ("conv", "l2", "1e-3"),
    ("depthwise_conv", "bias", "true"),
    ("depthwise_conv", "multiplier", "2"),
    ("depthwise_conv", "pad", "1"),
    ("separable_conv", "bias_init", "0.1"),
    ("dense", "bias", "false"),
    ("dense", "l2", "4e-5"),
    ("pool", "ceil", "true"),
    ("pool", "ceil", "false"),
    ("pool", "pad", "same"),
    ("max_pool", "pad", "half"),
    ("avg_pool", "count_pad", "false"),
    ("bn", "eps", "1e-2"),
    ("bn", "scale", "false"),
    ("bn", "variance", "biased"),
    ("lrn", "size", "3"),
    ("l2_normalize", "eps", "1e-3"),
)
_INITIALIZERS = (
    "he_normal",
    "glorot_uniform",
    "glorot_normal",
    "he_uniform",
    "lecun_uniform",
    "lecun_normal",
    "truncated_he_normal",
    "normal(0.01)",
    "truncated_normal(0.1)",
    "uniform(0.2)",
    "constant(-1)",
    "zeros",
    "ones",
)
_CONV = ("conv", "depthwise_conv", "separable_conv")
POOL = ("max_pool", "avg_pool", "pool")


def op(choose: Choices, place: Place) -> tree.Call:
    """Return a call of any op that can take the current value."""
    flat = [*PLAIN_OPS, "leaky_relu", "gelu", "dropout", "scale", "bn", "dense", "flatten"]
    if place.maps:
        kind = choose.one("window", "window", "act", "norm", "rank", "map")
    else:
        kind = choose.one("act", "vector", "vector", "norm")
    match kind:
        case "window":
            name = choose.one("conv", "conv", "conv", *_CONV, *POOL)
        case "act":
            name = choose.one(*PLAIN_OPS, "leaky_relu", "gelu", "dropout", "scale")
        case "norm":
            name = choose.one("bn", "bn", "lrn") if place.maps else "bn"
        case "rank" if not place.ranked and not place.even:
            name = choose.one(
                "dense", "flatten", "global_avg_pool", "global_max_pool", "adaptive_avg_pool"
            )
        case "map":
            name = choose.one("pad", "lrn", "softmax", "l2_normalize", "adaptive_avg_pool")
        case "vector":
            name = choose.one("dense", "dense", "bn", "flatten", "l2_normalize")
        case _:
            name = choose.one(*flat[:13])
    return call(choose, place, name)


def call(choose: Choices, place: Place, name: str) -> tree.Call:
    """Return a call of one op, with everything that it must state."""
    match name:
        case "conv":
            shape: list[tree.Value] = [values.window(choose, place), values.count(choose, place)]
            return _convolution(choose, place, name, shape)
        case "depthwise_conv":
            return _convolution(choose, place, name, [values.window(choose, place)])
        case "separable_conv":
            shape = [values.window(choose, place), values.count(choose, place)]
            return _convolution(choose, place, name, shape)
        case "dense":
            return dense(choose, place)
        case "bn":
            return tree.Call("bn", (), _some(choose, place, _BN))
        case "lrn":
            size = (values.argument(choose, place, "size"),) if choose.chance(2) else ()
            return tree.Call("lrn", size, _some(choose, place, _LRN))
        case "max_pool" | "avg_pool" | "pool":
            return _pooling(choose, place, name)
        case "leaky_relu":
            return tree.Call(name, (values.number(choose, place, "0.1", "-0.5", "0", "1", "2.5"),))
        case "scale":
            return tree.Call(name, (values.number(choose, place, "0.17", "-1", "0", "2", "1 / 3"),))
        case "dropout":
            return tree.Call(name, (values.share(choose, place, "0.5", "0", "0.9", "1e-3"),))
        case "gelu":
            return tree.Call(name, (values.argument(choose, place, "form"),))
        case "pad":
            return tree.Call(name, (values.border(choose, place),))
        case "adaptive_avg_pool":
            names = place.named("kernel", "count")
            sides = ("2", "1", "3", "4", "7", *names, *(f"{n} + 1" for n in names))
            sizes = (choose.one(*sides), choose.one(*sides))
            return tree.Call(name, (tree.Window(("height", "width") if place.even else sizes),))
        case "l2_normalize":
            return tree.Call(name, (), _some(choose, place, _NORM))
        case _:
            return tree.Call(name)


def strided(choose: Choices, place: Place, size: tree.Window, pad: str) -> tree.Call:
    """Return a convolution with a window that others beside it share."""
    name = choose.one("conv", "separable_conv", "depthwise_conv")
    outputs = () if name == "depthwise_conv" else (values.count(choose, place),)
    return tree.Call(name, (size, *outputs), (("pad", pad),))


#: A way to draw the value of an attribute.
_Draw = Callable[[Choices, Place], tree.Value]


def _of(role: str) -> _Draw:
    return lambda choose, place: values.argument(choose, place, role)


def _plain(*plain: str) -> _Draw:
    return lambda choose, place: values.number(choose, place, *plain)


def _init(choose: Choices, place: Place) -> tree.Value:
    return tree.Initializer(choose.one(*_INITIALIZERS))


_WEIGHT: tuple[tuple[str, _Draw], ...] = (
    ("bias", _of("flag")),
    ("init", _init),
    ("bias_init", lambda c, p: values.number(c, p, "0.2", "-1", "1e-3")),
    ("l2", lambda c, p: values.positive(c, p, "1e-4", "0", "0.5")),
)
_BN: tuple[tuple[str, _Draw], ...] = (
    ("eps", lambda c, p: values.positive(c, p, "1e-3", "1e-5", "1", "1e-8")),
    ("decay", lambda c, p: values.share(c, p, "0.9", "0.5", "0", "1", "0.99", "1 - 0.1")),
    ("scale", _of("flag")),
    ("shift", _of("flag")),
    ("variance", _of("variance")),
)
_LRN: tuple[tuple[str, _Draw], ...] = (
    ("alpha", lambda c, p: values.positive(c, p, "1e-4", "1", "0", "0.1")),
    ("beta", lambda c, p: values.positive(c, p, "0.75", "0.5", "0", "1", "2")),
    ("k", lambda c, p: values.positive(c, p, "1", "2", "0.1", *p.named("count"))),
)


_NORM: tuple[tuple[str, _Draw], ...] = (
    ("eps", lambda c, p: values.positive(c, p, "1e-12", "1e-5", "0.5")),
)


def _some(
    choose: Choices, place: Place, attributes: tuple[tuple[str, _Draw], ...], among: int = 4
) -> tuple[tuple[str, tree.Value], ...]:
    """Return some of the attributes, each with a value."""
    return tuple((name, draw(choose, place)) for name, draw in attributes if choose.chance(among))


def dense(choose: Choices, place: Place) -> tree.Call:
    """Return a dense layer."""
    return tree.Call("dense", (values.count(choose, place),), _some(choose, place, _WEIGHT, 5))


def _convolution(choose: Choices, place: Place, name: str, shape: list[tree.Value]) -> tree.Call:
    size = shape[0]
    assert isinstance(size, tree.Window)
    found: list[tuple[str, tree.Value]] = []
    dilation = "1"
    if choose.chance(6):
        dilation = values.few(choose, place, "2", "1", "3")
        found.append(("dilation", dilation))
    if dilation != "1" and choose.chance(2):
        found.append(("pad", choose.one("half", "same") if place.even else choose.one("2", "same")))
    else:
        pad = values.padding(choose, place, size.kernel)
        found += [("pad", pad)] if pad is not None else []
    if name != "conv" and choose.chance(3):
        found.append(("multiplier", values.few(choose, place, "2", "1", "3")))
    if name == "conv" and choose.chance(5):
        groups = choose.one("2", "channels", "1", "3", *place.named("stride", "count"))
        if choose.chance(3):
            shape[1] = "channels"
        else:
            shape[1] = f"{groups} * 2" if choose.chance(2) else f"channels * {groups}"
        found.append(("groups", groups))
    found += _some(choose, place, _WEIGHT, 6)
    return tree.Call(name, tuple(shape), tuple(found))


def _pooling(choose: Choices, place: Place, name: str) -> tree.Call:
    size = values.window(choose, place)
    positional: tuple[tree.Value, ...] = (size,)
    if name == "pool":
        positional = (values.argument(choose, place, "kind"), size)
    pad = values.padding(choose, place, size.kernel)
    if pad is None and not all(part.isdigit() for part in (*size.kernel, *size.stride)):
        pad = values.argument(choose, place, "padding")  # presets do not set it
    found: list[tuple[str, tree.Value]] = [("pad", pad)] if pad is not None else []
    if choose.chance(3):
        found.append(("ceil", values.argument(choose, place, "flag")))
    if name != "max_pool" and positional[0] != "max" and choose.chance(2):
        found.append(("count_pad", values.argument(choose, place, "flag")))
    return tree.Call(name, positional, tuple(found))
