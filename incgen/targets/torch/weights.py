"""The initialisation of an op's parameters, and their weight decay."""

from __future__ import annotations

from dataclasses import dataclass, replace

from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.language.initializers import Initializer
from incgen.targets.shared.classes.code import Path
from incgen.targets.shared.code import Node, Op
from incgen.targets.shared.values import TRUE, ZERO, Args, Pair, expression
from incgen.targets.shared.weights import depthwise_fans, initializer

#: The rules for which PyTorch counts other fans of a depthwise kernel than the language.
_COUNTED = ("glorot_uniform", "glorot_normal")


@dataclass(frozen=True, slots=True)
class Weight:
    """The initialisation of a parameter, and its weight decay."""

    #: What follows the name of the layer: `weight`, or `pointwise` and `weight`
    path: tuple[str, ...]
    begin: Op  #: The initialiser, to be applied to the tensor
    condition: Expression = TRUE  #: When the parameter exists at all
    l2: Expression = ZERO  #: The decay of a kernel
    known: bool = False  #: Whether type checkers know the attribute to be a tensor


@dataclass(frozen=True, slots=True)
class Start:
    """A parameter to initialise once its module exists."""

    path: Path  #: The path of the module
    inner: tuple[str, ...]  #: The attributes that lead from the module to the parameter
    weight: Weight  #: How it is initialised


@dataclass(frozen=True, slots=True)
class Key(Node):
    """The key of a parameter in `state_dict`."""

    path: Path

    @property
    def varies(self) -> bool:
        """Return whether it contains a loop variable."""
        return any(isinstance(part, ex.Name) for part in self.path)


def weights(
    args: Args, prefix: tuple[str, ...] = (), fans: Pair | None = None
) -> tuple[Weight, ...]:
    """Return the kernel and the bias of an op.

    Args:
        args: The arguments of the op.
        prefix: The part of the layer that has them.
        fans: The fans of a depthwise kernel, which PyTorch counts differently.
    """
    init = args["init"]
    assert isinstance(init, Initializer)
    begin, decay = initializer(init, fans, _COUNTED), expression(args, "l2")
    kernel = Weight((*prefix, "weight"), begin, l2=decay, known=True)
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
    """Return the kernels of an op for a use of a unit; their decay is up to the unit."""
    match op:
        case "depthwise_conv":
            every = weights(args, (), depthwise_fans(args))
        case "separable_conv":
            every = separable_weights(args)
        case _:
            every = weights(args)
    return tuple(replace(weight, l2=ZERO) for weight in every if weight.path[-1] == "weight")
