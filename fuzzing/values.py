"""Random values of arguments: literals, and expressions over the names in scope.

Whether a value fits is checked afterwards.
"""

from __future__ import annotations

from typing import Final

from fuzzing import tree
from fuzzing.choices import Choices, Place

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


def number(choose: Choices, place: Place, *plain: str) -> str:
    """Return any number."""
    names = place.named("factor")
    halves = [f"{name} / 2" for name in names]
    return choose.one(*plain, *names, *names, *(f"-{name}" for name in names), *halves)


def positive(choose: Choices, place: Place, *plain: str) -> str:
    """Return a number above 0, or one of the usual ones."""
    names = place.named("factor")
    return choose.one(*plain, *names, *(f"{name} / 10" for name in names))


def share(choose: Choices, place: Place, *plain: str) -> str:
    """Return a number from 0 to 1."""
    names = place.named("share")
    return choose.one(*plain, *names, *names, *(f"{name} / 2" for name in names))


def few(choose: Choices, place: Place, *plain: str) -> str:
    """Return a small whole number from 1."""
    names = place.named("kernel", "stride")
    return choose.one(*plain, *names, *(f"max(1, {name} - 1)" for name in names))


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


def padding(choose: Choices, place: Place, kernel: tuple[str, str]) -> tree.Value | None:
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


def border(choose: Choices, place: Place) -> tree.Value:
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
