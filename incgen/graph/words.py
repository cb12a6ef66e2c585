"""A layer in a few words, and a number in three digits: what tables, drawings and reports say."""

from __future__ import annotations

from incgen.graph.nodes import Node
from incgen.graph.shapes import Borders, Window, effective
from incgen.language.ops import OPS
from incgen.language.printing import spec_value
from incgen.language.signatures import Argument, Kind

#: Attributes that say what a layer is, and are told unless they are 1; see `is_told` for the
#: arguments given by position.
TOLD = ("groups", "dilation", "multiplier")


def described(node: Node) -> str:
    """Describe a layer as a spec would write it: `conv 7x7/2`, `dropout 0.4`.

    Channels are not repeated, because the shape beside it says them.
    """
    row = OPS.get(node.op)
    if row is None:
        return node.op
    name, words = node.op, list[str]()
    for argument in row.positional:
        value = node.args[argument.name]
        if argument.kind is Kind.WORD and argument.name == "kind":
            name = f"{value}_{name}"
        elif is_told(argument):  # a computed number is told with six digits
            words.append(spec_value(float(f"{value:g}") if isinstance(value, float) else value))
    words += [f"{key}={node.args[key]}" for key in TOLD if node.args.get(key, 1) != 1]
    if "window" in node.args and "borders" in node.args:
        words += _borders(node.args.window, node.args.dilation, node.args.borders)
    if node.args.get("ceil") and node.args.window.strided:
        words.append("ceil")
    return " ".join([name, *words])


def is_told(argument: Argument) -> bool:
    """Return whether a positional argument is part of a description: channels are not."""
    return argument.name not in ("channels", "features")


def _borders(window: Window, dilation: int, borders: Borders) -> list[str]:
    """Return the padding, unless it is half of the kernel on all sides."""
    half = [effective(kernel, dilation) // 2 for kernel in window.kernel]
    if borders == ((half[0], half[0]), (half[1], half[1])):
        return []
    sides = [*borders[0], *borders[1]]
    return [f"pad={sides[0]}" if len(set(sides)) == 1 else f"pad={sides}".replace(" ", "")]


def short(number: int, unit: str = "") -> str:
    """Write a number with three digits.

    >>> short(11285224), short(999), short(45_223_456, "B")
    ('11.3 M', '999', '45.2 MB')
    """
    value, prefixes = float(number), ["", "k", "M", "G", "T", "P"]
    while value >= 999.5 and len(prefixes) > 1:
        value /= 1000
        del prefixes[0]
    digits = f"{value:.3g}" if value < 999.5 else f"{value:.0f}"
    return f"{digits} {prefixes[0]}{unit}".rstrip()
