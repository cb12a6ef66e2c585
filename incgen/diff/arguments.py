"""The arguments of layers as they are written, where they are written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from incgen.graph.frames import unit_use
from incgen.graph.nodes import Node, Use
from incgen.language import expressions as ex
from incgen.language.initializers import Initializer
from incgen.language.printing import python, spec_value
from incgen.resolve import definitions as df
from incgen.resolve.written import expressions_of


@dataclass(frozen=True)
class Written:
    """A value as it is written."""

    value: df.ArgumentValue
    around: Use | None  #: The use in whose definition it is written; None for the network
    path: str  #: The key of the layer or use that it is given to


def argument(node: Node, name: str) -> Written:
    """Return an argument of a layer; a unit passes those of its use to its head."""
    call = node.call
    if call is None:
        return Written(None, node.use, node.path)
    use = unit_use(node.use, call.forwards, (name,))
    if use is not None:
        return Written(use.given[name], use.outer, use.path)
    return Written(call.args.get(name), node.use, node.path)


def parameters(given: df.ArgumentValue) -> Iterator[str]:
    """Yield the parameters that a value depends on."""
    parts = ex.within(*expressions_of(given))
    return (part.name for part in parts if isinstance(part, ex.Parameter))


def value(given: object) -> str:
    """Return a value as a spec writes it; nothing for one that is not said."""
    if isinstance(given, Initializer):
        numbers = ", ".join(map(spec_value, given.args))
        return f"{given.name}({numbers})" if numbers else given.name
    return "" if given is None else spec_value(given)


def written(given: df.ArgumentValue) -> str:
    """Return a value as it is written, with its parameters."""
    if isinstance(given, df.WindowValue):
        high, wide, down, across = map(_part, (*given.kernel, *given.stride))
        stride = "" if (down, across) == ("1", "1") else f"/{down}"
        return f"{high}x{wide}{stride}" + (f"x{across}" if down != across else "")
    if isinstance(given, df.SidesValue):
        return f"[{', '.join(map(written, given.sides))}]"
    if given is None or isinstance(given, Initializer):
        return value(given)
    constant = ex.literal(given)
    return python(given) if constant is None else value(constant)


def _part(expression: ex.Expression) -> str:
    text = written(expression)
    return text if text.isdigit() else f"{{{text}}}"
