"""How kernels begin: initialisers, with numbers where a framework counts other fans."""

from __future__ import annotations

from collections.abc import Container

from incgen.language import expressions as ex
from incgen.language.initializers import RULES, Initializer
from incgen.targets.shared.code import Op
from incgen.targets.shared.values import Args, Pair, expression, window


def initializer(init: Initializer, fans: Pair | None, counted: Container[str]) -> Op:
    """Return an initialiser.

    Args:
        init: the initialiser.
        fans: (fan_in, fan_out) of a depthwise kernel; None for any other.
        counted: the rules for which the framework counts those otherwise: their scale is given.
    """
    rule = RULES[init.name]
    facts: dict[str, object] = dict(zip(rule.arguments, map(ex.Literal, init.args), strict=True))
    if rule.numerator:
        facts["scale"] = None
        if fans is not None and init.name in counted:
            over = _sum_of(fans) if rule.both else fans[0]
            ratio = ex.binary("/", ex.Literal(rule.numerator), over)
            facts["scale"] = ex.binary("**", ratio, ex.Literal(0.5))
    return Op(init.name, facts)


def depthwise_fans(args: Args) -> Pair:
    """Return (fan_in, fan_out) of a depthwise kernel, which sees one channel at a time."""
    high, wide = window(args).kernel
    return high * wide, high * wide * expression(args, "multiplier")


def _sum_of(values: Pair) -> ex.Expression:
    """Return two numbers added; twice the one where they are the same."""
    first, second = values
    return first * 2 if first == second else first + second
