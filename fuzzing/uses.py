"""Random uses of parameters and of the arguments of units."""

from __future__ import annotations

import re
from typing import Final

from fuzzing import calls, tree, values
from fuzzing.choices import Choices, Place
from fuzzing.tracking import bound
from incgen.language.ops import OPS

_RELU: Final = tree.Body((tree.Statement(tree.Call("relu")),))


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


def unit_head(choose: Choices, place: Place) -> tree.Call:
    """Return the first call of a unit, with all that its use and its definition will state."""
    flat = ["dense", "bn", "scale", "leaky_relu"]
    names = ["conv", "conv", "conv", "depthwise_conv", "separable_conv", *calls.POOL, "bn", "lrn"]
    return calls.call(choose, place, choose.one(*(names if place.maps else flat)))


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
        word
        for role in ("kind", "form", "padding", "variance", "flag")
        for word in values.PLAIN[role]
    }
    names = set(re.findall(r"[a-z_]\w*", re.sub(r"[\d.]+e-?\d+|\}x\{|\dx\{|\}x\d", " ", text)))
    return names <= constants | words | {"x"}
