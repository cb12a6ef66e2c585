"""Weights as arguments of Flax's layers: their initialisation, and their decay."""

from __future__ import annotations

from incgen.language import expressions as ex
from incgen.language.initializers import Initializer
from incgen.targets.shared import weights as shared
from incgen.targets.shared.code import Code, Op
from incgen.targets.shared.values import FALSE, ZERO, Args, Pair, expression

#: The rules for which JAX counts other fans of a depthwise kernel than the language.
COUNTED = ("glorot_uniform", "glorot_normal")


def initializer(init: Initializer, fans: Pair | None = None) -> Op:
    """Return an initialiser; `fans` are those of a depthwise kernel."""
    return shared.initializer(init, fans, COUNTED)


def kernel(args: Args, default: Initializer | None, fans: Pair | None = None) -> dict[str, object]:
    """Return the facts of a kernel: its initialisation, and its weight decay.

    Args:
        args: The arguments of the op.
        default: The initialiser if the parameter `init` of a unit is None.
        fans: As for `initializer`.
    """
    init, l2 = args["init"], expression(args, "l2")
    start: Code
    if isinstance(init, ex.Parameter):
        assert default is not None
        start = Op("either", {"parameter": init, "usual": initializer(default, fans)})
    else:
        assert isinstance(init, Initializer)
        start = initializer(init, fans)
    return {"init": start, "l2": None if l2 == ZERO else l2}


def bias(args: Args) -> dict[str, object]:
    """Return the facts of a bias."""
    own, start = expression(args, "bias"), expression(args, "bias_init")
    usual = own == FALSE or start == ZERO
    return {"bias": own, "start": None if usual else Op("constant", {"value": start})}
