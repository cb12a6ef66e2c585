"""Random calls of ops: every op, with every attribute and value.

A value is a literal or an expression over the names in scope. Whether a call fits is checked
afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from fuzzing import tree
from fuzzing.choices import Choices, Place
from fuzzing.tracking import bound
from incgen.language.ops import OPS

#: Values of a parameter by purpose; every place for such a value accepts them.
PLAIN: Final = {
    "count": ("4", "2", "3", "6", "1", "8"),
    "times": ("2", "1", "3", "0"),
    "kernel": ("3", "1", "5", "2"),
    "stride": ("1", "2", "3"),
    "flag": ("true", "false"),
    "kind": ("max", "avg"),
    "factor": ("0.5", "0.1", "1", "0.17", "2"),
    "share": ("0.9", "0.5", "0", "0.99"),
    "form": ("erf", "tanh"),
    "padding": ("half", "same", "valid"),
    "variance": ("unbiased", "biased"),
}
#: Names of parameters by purpose.
NAMES: Final = {
    "count": ("c", "n", "growth"),
    "times": ("times", "depth"),
    "kernel": ("k", "kernel"),
    "stride": ("stride", "s"),
    "flag": ("deep", "act", "wide"),
    "kind": ("kind",),
    "factor": ("factor", "rate"),
    "share": ("share", "keep"),
    "form": ("form",),
    "padding": ("border",),
    "variance": ("which",),
}
#: Ops without arguments that keep the shape.
PLAIN_OPS: Final = (
    "relu",
    "relu6",
    "sigmoid",
    "tanh",
    "silu",
    "hard_sigmoid",
    "hard_swish",
    "softmax",
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
_RELU: Final = tree.Body((tree.Statement(tree.Call("relu")),))
_CONV = ("conv", "depthwise_conv", "separable_conv")
_POOL = ("max_pool", "avg_pool", "pool")


def op(choose: Choices, place: Place) -> tree.Call:
    """Return a call of any op that can take the current value."""
    flat = [*PLAIN_OPS, "leaky_relu", "gelu", "dropout", "scale", "bn", "dense", "flatten"]
    if place.maps:
        kind = choose.one("window", "window", "act", "norm", "rank", "map")
    else:
        kind = choose.one("act", "vector", "vector", "norm")
    match kind:
        case "window":
            name = choose.one("conv", "conv", "conv", *_CONV, *_POOL)
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
            shape: list[tree.Value] = [window(choose, place), count(choose, place)]
            return _convolution(choose, place, name, shape)
        case "depthwise_conv":
            return _convolution(choose, place, name, [window(choose, place)])
        case "separable_conv":
            shape = [window(choose, place), count(choose, place)]
            return _convolution(choose, place, name, shape)
        case "dense":
            return dense(choose, place)
        case "bn":
            return tree.Call("bn", (), _some(choose, place, _BN))
        case "lrn":
            size = (argument(choose, place, "size"),) if choose.chance(2) else ()
            return tree.Call("lrn", size, _some(choose, place, _LRN))
        case "max_pool" | "avg_pool" | "pool":
            return _pooling(choose, place, name)
        case "leaky_relu":
            return tree.Call(name, (_number(choose, place, "0.1", "-0.5", "0", "1", "2.5"),))
        case "scale":
            return tree.Call(name, (_number(choose, place, "0.17", "-1", "0", "2", "1 / 3"),))
        case "dropout":
            return tree.Call(name, (_share(choose, place, "0.5", "0", "0.9", "1e-3"),))
        case "gelu":
            return tree.Call(name, (argument(choose, place, "form"),))
        case "pad":
            return tree.Call(name, (_border(choose, place),))
        case "adaptive_avg_pool":
            names = place.named("kernel", "count")
            sides = ("2", "1", "3", "4", "7", *names, *(f"{n} + 1" for n in names))
            sizes = (choose.one(*sides), choose.one(*sides))
            return tree.Call(name, (tree.Window(("height", "width") if place.even else sizes),))
        case "l2_normalize":
            return tree.Call(name, (), _some(choose, place, _NORM))
        case _:
            return tree.Call(name)


# ---------------------------------------------------------------- numbers and words


def count(choose: Choices, place: Place) -> str:
    """Return a number of channels."""
    names = place.named("count")
    options = [*PLAIN["count"][:4], "channels", "channels * 2", "channels // 2 + 1"]
    if names:
        name = choose.one(*names)
        other = choose.one(*names)
        forms = (name, name, name, f"{name} + 1", f"{name} * 2", f"{name} // 2 + 1")
        more = (f"{name} + {other}", f"channels + {name}", f"{name} * {other}", f"2 * {name} - 1")
        scaled = (f"int({name} * 1.5)", f"max({name}, {other}, 2)", f"round({name} / 2 + 0.6)")
        options = [*forms, *more, f"min({name}, channels)", *scaled, *options]
    options += [f"{name} + 1" for name in place.named("times", "kernel")]
    return choose.one(*options)


def argument(choose: Choices, place: Place, role: str) -> str:
    """Return a value for one purpose: a literal, a parameter or an expression."""
    if role == "count":
        return count(choose, place)
    if role == "size":
        return choose.one("3", "5", "2", "1", "4", "7", "channels", *place.named("kernel"))
    plain = PLAIN[role]
    names = place.named(role)
    options = [*plain, *names, *names]
    match role:
        case "flag":
            options += [f"not {name}" for name in names]
            options += [f"{name} > 2" for name in place.named("count", "times")[:1]]
        case "kernel":
            options += [f"{name} + 2" for name in names]
            options += [f"2 * {name} + 1" for name in place.named("times")[:1]]
        case "times":
            options += [f"{name} - 1" for name in names]
        case "factor":
            options += [f"{name} / 2" for name in names]
    return choose.one(*options)


def default(choose: Choices, role: str) -> str:
    """Return a default for a parameter of a block."""
    options: list[str] = [*PLAIN[role]]
    if role == "count":
        options += ["channels", "channels // 2 + 1"]
    return choose.one(*options)


def condition(choose: Choices, place: Place) -> str:
    """Return a condition for an `if`."""
    simple = [name for name in place.named("flag")]
    simple += [f"not {name}" for name in simple]
    simple += [f"{name} == {choose.one('max', 'avg')}" for name in place.named("kind")]
    simple += [f"{name} != same" for name in place.named("padding")]
    simple += [f"{name} != 1" for name in place.named("stride")]
    for name in place.named("count", "times", "kernel"):
        simple += [f"{name} > 2", f"{name} % 2 == 0", f"channels != {name}", f"{name} - 1"]
        simple += [f"{name} < 3", f"{name} <= channels", f"channels >= {name}"]
    simple += ["channels > 3", "channels % 2 == 0"]
    if place.maps:
        simple += ["height > 6", "height == width", "height % 2 == 1"]
    first = choose.one(*simple)
    if not choose.chance(4):
        return first
    second = choose.one(*simple)
    return f"{first} {choose.one('or', 'and', 'and not')} {second}"


def _number(choose: Choices, place: Place, *plain: str) -> str:
    names = place.named("factor")
    halves = [f"{name} / 2" for name in names]
    return choose.one(*plain, *names, *names, *(f"-{name}" for name in names), *halves)


def _positive(choose: Choices, place: Place, *plain: str) -> str:
    """Return a number above 0, or one of the usual ones."""
    names = place.named("factor")
    return choose.one(*plain, *names, *(f"{name} / 10" for name in names))


def _share(choose: Choices, place: Place, *plain: str) -> str:
    """Return a number from 0 to 1."""
    names = place.named("share")
    return choose.one(*plain, *names, *names, *(f"{name} / 2" for name in names))


def _few(choose: Choices, place: Place, *plain: str) -> str:
    """Return a small whole number from 1."""
    names = place.named("kernel", "stride")
    return choose.one(*plain, *names, *(f"max(1, {name} - 1)" for name in names))


# ---------------------------------------------------------------- windows


def window(choose: Choices, place: Place, *, strided: bool = False) -> tree.Window:
    """Return a window, of literals or of parameters."""
    odd = [("3", "3"), ("1", "1"), ("3", "1"), ("1", "3"), ("5", "3"), ("1", "7"), ("5", "5")]
    kernels = odd if place.even else [*odd, ("2", "2"), ("4", "2"), ("2", "3"), ("6", "1")]
    for name in place.named("kernel"):
        kernels += [(name, name), (name, name), ("1", name), (f"{name} + 2", "1")]
    for name in place.named("times"):
        kernels += [(f"2 * {name} + 1", "3")]
    if place.maps and not place.even and choose.chance(12):
        kernels = [("height", "width"), ("height", "1"), ("2", "width // 2 + 1")]
    kernel = choose.one(*kernels)
    strides: list[tuple[str, ...]] = [(), (), ("1",)]
    named = [(name,) for name in place.named("stride")]
    if strided:
        strides = [("2",), ("2",), ("3",), ("2", "1"), ("1", "2"), *named]
    elif not place.even:
        strides += [(), ("2",), ("2",), ("3",), ("2", "1"), ("1", "3"), *named, *named]
        strides += [(f"{name} - 1",) for name in place.named("kernel")]
    else:
        strides += named
    return tree.Window(kernel, choose.one(*strides))


def strided(choose: Choices, place: Place, size: tree.Window, pad: str) -> tree.Call:
    """Return a convolution with a window that others beside it share."""
    name = choose.one("conv", "separable_conv", "depthwise_conv")
    outputs = () if name == "depthwise_conv" else (count(choose, place),)
    return tree.Call(name, (size, *outputs), (("pad", pad),))


def _padding(choose: Choices, place: Place, kernel: tuple[str, str]) -> tree.Value | None:
    """Return the value of `pad=`; None for what applies without it."""
    if place.even:
        halves = tree.Sides((_half(kernel[0]), _half(kernel[1])))
        options: list[tree.Value | None] = [None, "half", "same", halves]
        return choose.one(*options)
    kinds = ["none", "none", "none", "word", "word", "number", "pair", "sides", "expression"]
    match choose.one(*kinds):
        case "none":
            return None
        case "word":
            return argument(choose, place, "padding")
        case "number":
            return choose.one("1", "0", "2")
        case "pair":
            wide = choose.one("0", "1", _half(kernel[1]))
            return tree.Sides((choose.one("1", "0", "2"), wide))
        case "sides":
            return tree.Sides(tuple(choose.one("0", "1", "2") for _ in range(4)))
        case _:
            return choose.one(_half(kernel[0]), f"{kernel[0]} - 1", *place.named("times"))


def _half(text: str) -> str:
    return str(int(text) // 2) if text.isdigit() else f"({text}) // 2"


def _border(choose: Choices, place: Place) -> tree.Value:
    """Return the argument of the op `pad`."""
    if place.even:
        none: list[tree.Value] = ["0", tree.Sides(("0", "0"))]
        return choose.one(*none)
    names = place.named("times", "stride")
    last = choose.one("3", *names)
    sides = (("1", "0"), ("0", "1", "0", "1"), ("2", "0", "1", last))
    sums = [f"{name} + 1" for name in names]
    options: list[tree.Value] = ["1", "3", *names, *sums, *(tree.Sides(s) for s in sides)]
    return choose.one(*options)


# ---------------------------------------------------------------- ops with attributes

#: A way to draw the value of an attribute.
_Draw = Callable[[Choices, Place], tree.Value]


def _of(role: str) -> _Draw:
    return lambda choose, place: argument(choose, place, role)


def _plain(*values: str) -> _Draw:
    return lambda choose, place: _number(choose, place, *values)


def _init(choose: Choices, place: Place) -> tree.Value:
    return tree.Initializer(choose.one(*_INITIALIZERS))


_WEIGHT: tuple[tuple[str, _Draw], ...] = (
    ("bias", _of("flag")),
    ("init", _init),
    ("bias_init", lambda c, p: _number(c, p, "0.2", "-1", "1e-3")),
    ("l2", lambda c, p: _positive(c, p, "1e-4", "0", "0.5")),
)
_BN: tuple[tuple[str, _Draw], ...] = (
    ("eps", lambda c, p: _positive(c, p, "1e-3", "1e-5", "1", "1e-8")),
    ("decay", lambda c, p: _share(c, p, "0.9", "0.5", "0", "1", "0.99", "1 - 0.1")),
    ("scale", _of("flag")),
    ("shift", _of("flag")),
    ("variance", _of("variance")),
)
_LRN: tuple[tuple[str, _Draw], ...] = (
    ("alpha", lambda c, p: _positive(c, p, "1e-4", "1", "0", "0.1")),
    ("beta", lambda c, p: _positive(c, p, "0.75", "0.5", "0", "1", "2")),
    ("k", lambda c, p: _positive(c, p, "1", "2", "0.1", *p.named("count"))),
)


_NORM: tuple[tuple[str, _Draw], ...] = (
    ("eps", lambda c, p: _positive(c, p, "1e-12", "1e-5", "0.5")),
)


def _some(
    choose: Choices, place: Place, attributes: tuple[tuple[str, _Draw], ...], among: int = 4
) -> tuple[tuple[str, tree.Value], ...]:
    """Return some of the attributes, each with a value."""
    return tuple((name, draw(choose, place)) for name, draw in attributes if choose.chance(among))


def dense(choose: Choices, place: Place) -> tree.Call:
    """Return a dense layer."""
    return tree.Call("dense", (count(choose, place),), _some(choose, place, _WEIGHT, 5))


def _convolution(choose: Choices, place: Place, name: str, shape: list[tree.Value]) -> tree.Call:
    size = shape[0]
    assert isinstance(size, tree.Window)
    found: list[tuple[str, tree.Value]] = []
    dilation = "1"
    if choose.chance(6):
        dilation = _few(choose, place, "2", "1", "3")
        found.append(("dilation", dilation))
    if dilation != "1" and choose.chance(2):
        found.append(("pad", choose.one("half", "same") if place.even else choose.one("2", "same")))
    else:
        pad = _padding(choose, place, size.kernel)
        found += [("pad", pad)] if pad is not None else []
    if name != "conv" and choose.chance(3):
        found.append(("multiplier", _few(choose, place, "2", "1", "3")))
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
    size = window(choose, place)
    positional: tuple[tree.Value, ...] = (size,)
    if name == "pool":
        positional = (argument(choose, place, "kind"), size)
    pad = _padding(choose, place, size.kernel)
    if pad is None and not all(part.isdigit() for part in (*size.kernel, *size.stride)):
        pad = argument(choose, place, "padding")  # presets do not set it
    found: list[tuple[str, tree.Value]] = [("pad", pad)] if pad is not None else []
    if choose.chance(3):
        found.append(("ceil", argument(choose, place, "flag")))
    if name != "max_pool" and positional[0] != "max" and choose.chance(2):
        found.append(("count_pad", argument(choose, place, "flag")))
    return tree.Call(name, positional, tuple(found))


def projection(choose: Choices, place: Place, channels: str) -> tree.Call:
    """Return a call that changes the number of channels but not the height and width."""
    if place.maps:
        return tree.Call("conv", (tree.Window(choose.one(("1", "1"), ("3", "3"))), channels))
    return tree.Call("dense", (channels,))


def user(choose: Choices, place: Place, formal: tree.Formal) -> tree.Element:
    """Return an element that uses a parameter and fits nearly everywhere."""
    name, role = formal.name, formal.role
    one = tree.Window(("1", "1"))
    half: tuple[tuple[str, tree.Value], ...] = (("pad", "half"),)
    options: list[tree.Element] = []
    match role:
        case "count":
            if place.maps:
                options.append(tree.Call("conv", (one, name)))
            options += [tree.Call("dense", (name,))] if not place.maps else []
        case "times":
            options.append(tree.Repeat(name, _RELU))
        case "kernel" if place.maps:
            options.append(tree.Call("conv", (tree.Window((name, "1")), "channels"), half))
        case "stride" if place.maps and not place.even:
            options.append(tree.Call("conv", (tree.Window(("1", "1"), (name,)), "channels")))
        case "kind" if place.maps:
            attributes = (*half, ("ceil", "false"), ("count_pad", "true"))
            options.append(tree.Call("pool", (name, tree.Window(("3", "3"))), attributes))
        case "factor":
            options += [tree.Call("scale", (name,)), tree.Call("leaky_relu", (name,))]
        case "share":
            options.append(tree.Call("dropout", (name,)))
        case "form":
            options.append(tree.Call("gelu", (name,)))
        case "padding" if place.maps and not place.even:
            attributes = (("pad", name), ("ceil", "false"))
            options.append(tree.Call("max_pool", (tree.Window(("1", "1")),), attributes))
        case "variance":
            options.append(tree.Call("bn", (), (("variance", name),)))
        case _:
            pass
    return choose.one(*options, test(formal))


def test(formal: tree.Formal) -> tree.Element:
    """Return an `if` that uses a parameter and fits everywhere."""
    words = {"flag": "{}", "kind": "{} == max", "padding": "{} == same", "form": "{} != erf"}
    condition = {**words, "variance": "{} == biased"}.get(formal.role, "{} > 1")
    return tree.Conditional(condition.format(formal.name), _RELU)


# ---------------------------------------------------------------- units


def unit_head(choose: Choices, place: Place) -> tree.Call:
    """Return the first call of a unit, with all that its use and its definition will state."""
    flat = ["dense", "bn", "scale", "leaky_relu"]
    names = ["conv", "conv", "conv", "depthwise_conv", "separable_conv", *_POOL, "bn", "lrn"]
    return call(choose, place, choose.one(*(names if place.maps else flat)))


def split(choose: Choices, head: tree.Call, constants: set[str]) -> tuple[tree.Call, tree.Call]:
    """Split the arguments of a head between the definition of its unit and the use.

    Positional arguments are stated from the front; only a use can state what names parameters.
    """
    fixed: list[tree.Value] = []
    for value in head.positional:
        if not _constant(value, constants) or choose.chance(2):
            break
        fixed.append(value)
    said: list[tuple[str, tree.Value]] = []
    left: list[tuple[str, tree.Value]] = []
    for name, value in head.attributes:
        (said if _constant(value, constants) and choose.chance(2) else left).append((name, value))
    rest = head.positional[len(fixed) :]
    definition = tree.Call(head.name, tuple(fixed), tuple(said))
    return definition, tree.Call(head.name, rest, tuple(left))


def rest_of(choose: Choices, name: str, head: tree.Call, said: dict[str, tree.Value]) -> tree.Call:
    """Return a use of a unit with the arguments of another call of its head."""
    positional = [a.name for a in OPS[head.name].positional]
    given = bound(head, positional)
    rest = tuple(given[n] for n in positional if n not in said and n in given)
    # a largest value has no average
    barred = {*positional, "count_pad"} if said.get("kind") == "max" else {*positional}
    named = tuple((n, v) for n, v in given.items() if n not in barred)
    # a stated kind makes the head a max_pool or an avg_pool, which have none
    known = [n for n in positional if n in said and n in given and n != "kind"]
    over = [(n, given[n]) for n in known if choose.chance(4)]
    return tree.Call(name, rest, (*named, *over))


def _constant(value: tree.Value, constants: set[str]) -> bool:
    """Return whether a value is allowed in the definition of a unit."""
    if isinstance(value, tree.Initializer):
        return True
    text = re.sub(r"(?<=\d)x(?=\d)", " ", str(value))
    words = {
        word for role in ("kind", "form", "padding", "variance", "flag") for word in PLAIN[role]
    }
    names = set(re.findall(r"[a-z_]\w*", re.sub(r"[\d.]+e-?\d+|\}x\{|\dx\{|\}x\d", " ", text)))
    return names <= constants | words | {"x"}
