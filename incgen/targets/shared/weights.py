"""Weights as arguments of layers: their initialisers and their decay.

Scales are explicit where a framework counts other fans.
"""

from __future__ import annotations

from collections.abc import Container

from incgen.language import expressions as ex
from incgen.language.initializers import RULES, Initializer
from incgen.targets.shared.code import Code, Op
from incgen.targets.shared.values import FALSE, ZERO, Args, Pair, expression, window


def initializer(init: Initializer, fans: Pair | None, counted: Container[str]) -> Op:
    """Return an initialiser as code.

    Args:
        init: The initialiser of the spec.
        fans: (fan_in, fan_out) of a depthwise kernel; None for any other.
        counted: The rules for which the framework counts those differently; their scale is written.
    """
    rule = RULES[init.name]
    facts: dict[str, object] = dict(zip(rule.arguments, map(ex.Literal, init.args), strict=True))
    if rule.numerator:
        facts["scale"] = None
        if fans is not None and init.name in counted:
            over = _sum_of(fans) if rule.both else fans[0]
            # As a formula even where it has a value, which would tell a reader nothing.
            ratio = ex.Binary("/", ex.Literal(rule.numerator), over)
            facts["scale"] = ex.Binary("**", ratio, ex.Literal(0.5))
    return Op(init.name, facts)


def kernel(
    args: Args,
    default: Initializer | None,
    fans: Pair | None = None,
    *,
    counted: Container[str],
) -> dict[str, object]:
    """Return the facts of a kernel: its initialiser and its weight decay.

    Args:
        args: The arguments of the op.
        default: The initialiser if the parameter `init` of a unit is None.
        fans: As for `initializer`.
        counted: As for `initializer`.
    """
    init, l2 = args["init"], expression(args, "l2")
    start: Code | None = None
    if isinstance(init, ex.Parameter):
        assert default is not None
        start = either(init, initializer(default, fans, counted))
    elif isinstance(init, Initializer):  # and not the framework's own, in a deployed file
        start = initializer(init, fans, counted)
    return {"init": start, "l2": None if l2 == ZERO else l2}


def bias(args: Args) -> dict[str, object]:
    """Return the facts of a bias."""
    own, start = expression(args, "bias"), expression(args, "bias_init")
    usual = own == FALSE or start == ZERO
    return {"bias": own, "start": None if usual else Op("constant", {"value": start})}


def depthwise_fans(args: Args) -> Pair:
    """Return (fan_in, fan_out) of a depthwise kernel, which sees one channel at a time."""
    high, wide = window(args).kernel
    area = high * wide
    if high == wide and ex.literal(high) is None:
        area = ex.binary("**", high, ex.Literal(2))
    return area, area * expression(args, "multiplier")


def either(parameter: ex.Parameter, usual: Code) -> Op:
    """Return a parameter, or the usual value if it is None."""
    return Op("either", {"parameter": parameter, "usual": usual})


def _sum_of(values: Pair) -> ex.Expression:
    """Return the sum of two numbers: twice the one if they are equal."""
    first, second = values
    return 2 * first if first == second else first + second
