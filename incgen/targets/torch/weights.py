"""How the parameters of an op begin, and their weight decay."""

from __future__ import annotations

from dataclasses import dataclass, replace

from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.language.initializers import Initializer
from incgen.resolve.definitions import ArgumentValue
from incgen.targets.shared.code import Op
from incgen.targets.shared.values import (
    TRUE,
    ZERO,
    Args,
    Pair,
    depthwise_fans,
    expression,
    root,
    sum_of,
)


@dataclass(frozen=True, slots=True)
class Weight:
    """How a parameter begins, and its weight decay.

    Attributes:
        path: behind the layer's name: `weight`, or `pointwise` and `weight`.
        begin: the initialiser, to be applied to the tensor.
        condition: when the parameter exists at all.
        l2: the decay of a kernel.
        known: whether type checkers know the attribute to be a tensor.
    """

    path: tuple[str, ...]
    begin: Op
    condition: Expression = TRUE
    l2: Expression = ZERO
    known: bool = False


def weights(
    args: Args, prefix: tuple[str, ...] = (), fans: Pair | None = None
) -> tuple[Weight, ...]:
    """Return the kernel and the bias of an op.

    Args:
        args: of the op.
        prefix: the part of the layer that has them.
        fans: where PyTorch counts them otherwise, as for depthwise kernels.
    """
    begin, decay = _initial(args["init"], fans), expression(args, "l2")
    kernel = Weight((*prefix, "weight"), begin, l2=decay, known=not prefix)
    condition = expression(args, "bias")
    if prefix == ("depthwise",) or condition == ex.Literal(False):
        return (kernel,)
    start = expression(args, "bias_init")
    begin = Op("zeros", {}) if start == ZERO else Op("constant", {"value": start})
    return kernel, Weight((*prefix, "bias"), begin, condition)


def separable_weights(args: Args) -> tuple[Weight, ...]:
    """Return the kernels of both parts, and the bias."""
    depthwise = weights(args, ("depthwise",), depthwise_fans(args))
    return *depthwise, *weights(args, ("pointwise",))


def kernels(op: str, args: Args) -> tuple[Weight, ...]:
    """Return how kernels begin, for a use of a unit; their decay is the unit's matter."""
    match op:
        case "depthwise_conv":
            found = weights(args, (), depthwise_fans(args))
        case "separable_conv":
            found = separable_weights(args)
        case _:
            found = weights(args)
    return tuple(replace(each, l2=ZERO) for each in found if each.path[-1] == "weight")


def _initial(init: ArgumentValue, fans: Pair | None) -> Op:
    """Return the initialiser of a kernel."""
    assert isinstance(init, Initializer)
    values = list(map(ex.Literal, init.args))
    match init.name:
        case "constant":
            return Op("constant", {"value": values[0]})
        case "uniform":
            return Op("uniform", {"bound": values[0]})
        case "normal":
            return Op("normal", {"std": values[0]})
        case "truncated_normal":
            return Op("truncated_normal", {"std": values[0], "cut": ex.Literal(2 * init.args[0])})
        case "glorot_uniform" if fans is not None:
            return Op("uniform", {"bound": root(6, sum_of(fans))})
        case "glorot_normal" if fans is not None:
            return Op("normal", {"std": root(2, sum_of(fans))})
        case _:
            return Op(init.name, {})
