"""Weights as arguments of Keras' layers: their initialisers and their decay."""

from __future__ import annotations

from incgen.language import expressions as ex
from incgen.language.initializers import RULES, Initializer
from incgen.targets.shared import weights as shared
from incgen.targets.shared.code import Code, Op
from incgen.targets.shared.values import FALSE, ZERO, Args, Pair, expression

#: The rules that depend on fans, which Keras counts differently for a depthwise kernel.
COUNTED = frozenset(name for name, rule in RULES.items() if rule.numerator)


def initializer(init: Initializer, fans: Pair | None = None) -> Op:
    """Return an initialiser; the fans are those of a depthwise kernel."""
    return shared.initializer(init, fans, COUNTED)


def has_fans(init: Initializer) -> bool:
    """Return whether an initialiser depends on the size of the window."""
    return init.name in COUNTED


def kernel(args: Args, default: Initializer | None, fans: Pair | None = None) -> dict[str, object]:
    """Return the facts of a kernel: its initialiser and its weight decay.

    Args:
        args: The arguments of the op.
        default: The initialiser if the parameter `init` of a unit is None.
        fans: The fans of a depthwise kernel.
    """
    init = args["init"]
    start: Code
    if isinstance(init, ex.Parameter):
        assert default is not None
        start = shared.either(init, initializer(default, fans))
    else:
        assert isinstance(init, Initializer)
        start = initializer(init, fans)
    l2 = expression(args, "l2")
    return {"init": start, "decay": None if l2 == ZERO else Op("l2", {"rate": l2})}


def bias(args: Args) -> dict[str, object]:
    """Return the facts of a bias."""
    own, start = expression(args, "bias"), expression(args, "bias_init")
    usual = own == FALSE or start == ZERO
    return {"bias": own, "start": None if usual else Op("constant", {"value": start})}
