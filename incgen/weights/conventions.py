"""The names that frameworks give the tensors of a layer, and the order of their axes.

For each op and each of its tensors, a convention gives the names it can have after the name of the
layer, and its axes:

    outputs first    (O, I, kh, kw) and (O, I): ours, PyTorch's and Caffe's
    inputs first     (kh, kw, I, O) and (I, O): TensorFlow's, Keras's and Flax's
    multiplier last  (kh, kw, C, M): depthwise kernels of TensorFlow and Keras
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Axes(Enum):
    """The order of the axes of a stored tensor."""

    VECTOR = "vector"
    OUTPUTS_FIRST = "outputs first"
    INPUTS_FIRST = "inputs first"
    MULTIPLIER_LAST = "multiplier last"


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of our tensor in a layer of theirs: the order of its axes, and its names."""

    axes: Axes
    names: tuple[str, ...]


#: The slots of one op, by our names of its tensors.
Slots = Mapping[str, Slot]


@dataclass(frozen=True, slots=True)
class Convention:
    """One framework's names for the tensors of a layer."""

    name: str  #: The name in layout files
    separator: str  #: The separator between the names of a layer and its tensor
    channels_last: bool  #: Whether a flattened map has the order H, W, C; ours is C, H, W
    #: Slots by op; `separable_conv` is a layer that has both of its kernels
    slots: Mapping[str, Slots]
    counters: tuple[str, ...] = ()  #: Step counters, of a layer or of all, which are skipped
    training: tuple[str, ...] = ()  #: Wildcards of optimiser state, which is skipped too


def _vector(*names: str) -> Slot:
    return Slot(Axes.VECTOR, names)


def _bn(gamma: str, beta: str, mean: str, variance: str) -> dict[str, Slot]:
    """Return the slots of a normalisation; `or` separates alternative names of a tensor."""
    named = {"weight": gamma, "bias": beta, "running_mean": mean, "running_var": variance}
    return {ours: _vector(*theirs.split(" or ")) for ours, theirs in named.items()}


def _alike(axes: Axes, kernel: str, separator: str) -> dict[str, Slots]:
    """Return the slots where all kernels are alike, and a separable convolution has two layers."""
    plain = {"weight": Slot(axes, (kernel,)), "bias": _vector("bias")}
    return {
        "conv": plain,
        "depthwise_conv": plain,
        "dense": plain,
        "separable_conv": {
            "depthwise.weight": Slot(axes, (f"depthwise{separator}{kernel}",)),
            "pointwise.weight": Slot(axes, (f"pointwise{separator}{kernel}",)),
            "pointwise.bias": _vector(f"pointwise{separator}bias"),
        },
    }


_OUTPUTS_FIRST = _alike(Axes.OUTPUTS_FIRST, "weight", ".")


def _inputs_first(
    kernel: str, bias: str, depthwise: tuple[str, ...], pointwise: str
) -> dict[str, Slots]:
    last = Slot(Axes.MULTIPLIER_LAST, depthwise)
    plain = {"weight": Slot(Axes.INPUTS_FIRST, (kernel,)), "bias": _vector(bias)}
    return {
        "conv": plain,
        "dense": plain,
        "depthwise_conv": {"weight": last, "bias": _vector(bias)},
        "separable_conv": {
            "depthwise.weight": Slot(Axes.MULTIPLIER_LAST, depthwise[:1]),
            "pointwise.weight": Slot(Axes.INPUTS_FIRST, (pointwise,)),
            "pointwise.bias": _vector(bias),
        },
    }


_TORCH = Convention(
    "torch",
    ".",
    False,
    {**_OUTPUTS_FIRST, "bn": _bn("weight", "bias", "running_mean", "running_var")},
    ("num_batches_tracked", "n_averaged"),
)
_CAFFE = Convention(
    "caffe", "/", False, {**_OUTPUTS_FIRST, "bn": _bn("scale", "shift", "mean", "variance")}
)
_OPTIMIZERS = "*/Adagrad */Adam */Adam_1 */Momentum */RMSProp */RMSProp_1 beta1_power beta2_power"
_SLIM = Convention(
    "slim",
    "/",
    True,
    {
        **_inputs_first("weights", "biases", ("depthwise_weights",), "pointwise_weights"),
        "bn": _bn("gamma", "beta", "moving_mean", "moving_variance"),
    },
    ("global_step",),
    tuple(_OPTIMIZERS.split()),
)
# `gamma_or_beta`: files of Keras 3 number variables, so where a layer has only one of the two they
# do not say which. It is the one that our layer has.
_KERAS = Convention(
    "keras",
    "/",
    True,
    {
        **_inputs_first("kernel", "bias", ("depthwise_kernel", "kernel"), "pointwise_kernel"),
        "bn": _bn(
            "gamma or gamma_or_beta", "beta or gamma_or_beta", "moving_mean", "moving_variance"
        ),
    },
)
_FLAX = Convention(
    "flax",
    "/",
    True,
    {**_alike(Axes.INPUTS_FIRST, "kernel", "/"), "bn": _bn("scale", "bias", "mean", "var")},
)

CONVENTIONS = {convention.name: convention for convention in (_TORCH, _CAFFE, _SLIM, _KERAS, _FLAX)}
