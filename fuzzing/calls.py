"""Random calls of ops: every op, with every attribute and value.

Whether a call fits is checked afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fuzzing import tree, values
from fuzzing.choices import Choices, Place
from incgen.language.ops import OPS
from incgen.language.signatures import Argument, Kind, Op, Takes

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
_VALUES = (*PLAIN_OPS, "leaky_relu", "gelu", "dropout", "scale")
_RANK = ("dense", "flatten", "global_avg_pool", "global_max_pool", "adaptive_avg_pool")
_MAPS = ("pad", "lrn", "softmax", "l2_normalize", "adaptive_avg_pool")
_VECTORS = ("dense", "dense", "bn", "flatten", "l2_normalize")
_LISTED = {*_CONV, *POOL, *_VALUES, *_RANK, *_MAPS, *_VECTORS}
#: Ops that have no place of their own here: they are drawn as the table of ops says.
_OTHERS: Final = tuple(name for name in OPS if name not in _LISTED)


def op(choose: Choices, place: Place) -> tree.Call:
    """Return a call of any op that can take the current value."""
    if place.maps:
        kind = choose.one("window", "window", "act", "norm", "rank", "map")
    else:
        kind = choose.one("act", "vector", "vector", "norm")
    match kind:
        case "window":
            name = choose.one("conv", "conv", "conv", *_CONV, *POOL)
        case "norm":
            name = choose.one("bn", "bn", "lrn") if place.maps else "bn"
        case "rank" if not place.ranked and not place.even:
            name = choose.one(*_RANK)
        case "map":
            name = choose.one(*_MAPS, *_OTHERS, *_OTHERS)
        case "vector":
            name = choose.one(*_VECTORS, *(n for n in _OTHERS if OPS[n].takes is Takes.ANY))
        case _:
            name = choose.one(*_VALUES)
    return call(choose, place, name)


def call(choose: Choices, place: Place, name: str) -> tree.Call:
    """Return a call of one op, with everything that it must state."""
    match name:
        case "conv" | "separable_conv":
            shape: list[tree.Value] = [values.window(choose, place), values.count(choose, place)]
            return _convolution(choose, place, name, shape)
        case "depthwise_conv":
            return _convolution(choose, place, name, [values.window(choose, place)])
        case "dense":
            return dense(choose, place)
        case "max_pool" | "avg_pool" | "pool":
            return _pooling(choose, place, name)
        case "adaptive_avg_pool":
            names = place.named("kernel", "count")
            sides = ("2", "1", "3", "4", "7", *names, *(f"{n} + 1" for n in names))
            sizes = (choose.one(*sides), choose.one(*sides))
            return tree.Call(name, (tree.Window(("height", "width") if place.even else sizes),))
        case _:
            return _by_table(choose, place, OPS[name])


def _by_table(choose: Choices, place: Place, op: Op) -> tree.Call:
    """Return a call with arguments as the row of the op has them."""
    draws = [(argument.name, _draw_of(op, argument)) for argument in op.attributes]
    positional = tuple(
        _draw_of(op, argument)(choose, place)
        for argument in op.positional
        if not argument.must or choose.chance(2)
    )
    return tree.Call(op.name, positional, _some(choose, place, tuple(draws)))


def _draw_of(op: Op, argument: Argument) -> _Draw:
    """Return how a value is drawn: as listed for this argument, else any of its type."""
    if argument.name in _DRAWS.get(op.name, {}):
        return _DRAWS[op.name][argument.name]
    match argument.kind:
        case Kind.FLAG:
            return _of("flag")
        case Kind.WORD:
            return lambda choose, place: choose.one(*argument.words)
        case Kind.COUNT if argument.divides:
            return lambda choose, place: values.few(choose, place, "1", "1", "2", "2", "3")
        case Kind.COUNT:
            return lambda choose, place: values.few(choose, place, "2", "1", "3", "4")
        case Kind.FACTOR if argument.minimum < 0:
            return _plain("0.5", "-1", "0", "2")
        case Kind.FACTOR if argument.maximum <= 1:
            return lambda choose, place: values.share(choose, place, "0.5", "0.9", "0.1")
        case Kind.FACTOR:
            return lambda choose, place: values.positive(choose, place, "0.5", "1", "2", "0.1")
        case Kind.WINDOW:
            return values.window
        case Kind.PADDING:
            return values.border
        case Kind.INITIALIZER:
            return _init


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
#: How arguments are drawn whose type does not say which values matter.
_DRAWS: dict[str, dict[str, _Draw]] = {
    "bn": {
        "eps": lambda c, p: values.positive(c, p, "1e-3", "1e-5", "1", "1e-8"),
        "decay": lambda c, p: values.share(c, p, "0.9", "0.5", "0", "1", "0.99", "1 - 0.1"),
        "variance": _of("variance"),
    },
    "lrn": {
        "size": _of("size"),
        "alpha": lambda c, p: values.positive(c, p, "1e-4", "1", "0", "0.1"),
        "beta": lambda c, p: values.positive(c, p, "0.75", "0.5", "0", "1", "2"),
        "k": lambda c, p: values.positive(c, p, "1", "2", "0.1", *p.named("count")),
    },
    "l2_normalize": {"eps": lambda c, p: values.positive(c, p, "1e-12", "1e-5", "0.5")},
    "leaky_relu": {"slope": _plain("0.1", "-0.5", "0", "1", "2.5")},
    "scale": {"factor": _plain("0.17", "-1", "0", "2", "1 / 3")},
    "dropout": {"rate": lambda c, p: values.share(c, p, "0.5", "0", "0.9", "1e-3")},
    "gelu": {"form": _of("form")},
}


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
    attributes: list[tuple[str, tree.Value]] = []
    dilation = "1"
    if choose.chance(6):
        dilation = values.few(choose, place, "2", "1", "3")
        attributes.append(("dilation", dilation))
    if dilation != "1" and choose.chance(2):
        attributes.append(
            ("pad", choose.one("half", "same") if place.even else choose.one("2", "same"))
        )
    else:
        pad = values.padding(choose, place, size.kernel)
        attributes += [("pad", pad)] if pad is not None else []
    if name != "conv" and choose.chance(3):
        attributes.append(("multiplier", values.few(choose, place, "2", "1", "3")))
    if name == "conv" and choose.chance(5):
        groups = choose.one("2", "channels", "1", "3", *place.named("stride", "count"))
        if choose.chance(3):
            shape[1] = "channels"
        else:
            shape[1] = f"{groups} * 2" if choose.chance(2) else f"channels * {groups}"
        attributes.append(("groups", groups))
    attributes += _some(choose, place, _WEIGHT, 6)
    return tree.Call(name, tuple(shape), tuple(attributes))


def _pooling(choose: Choices, place: Place, name: str) -> tree.Call:
    size = values.window(choose, place)
    positional: tuple[tree.Value, ...] = (size,)
    if name == "pool":
        positional = (values.argument(choose, place, "kind"), size)
    pad = values.padding(choose, place, size.kernel)
    if pad is None and not all(part.isdigit() for part in (*size.kernel, *size.stride)):
        pad = values.argument(choose, place, "padding")  # presets do not set it
    attributes: list[tuple[str, tree.Value]] = [("pad", pad)] if pad is not None else []
    if choose.chance(3):
        attributes.append(("ceil", values.argument(choose, place, "flag")))
    if name != "max_pool" and positional[0] != "max" and choose.chance(2):
        attributes.append(("count_pad", values.argument(choose, place, "flag")))
    return tree.Call(name, positional, tuple(attributes))
