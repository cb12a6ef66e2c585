"""The named initialisers, each of which is one exact formula.

The frameworks use the same names for different things: `he_normal` is cut at two standard
deviations in Keras and is not in PyTorch, Caffe's `xavier` divides by the inputs alone, and the
fans of a depthwise kernel are counted in two ways.  Here a name says the distribution, its scale
and whether it is cut, and every target writes out what the table says.

A *scale* is the one number that a distribution needs: the limit of a uniform one, the standard
deviation of a normal one (before cutting, for a cut one), the value of a constant one.  All
arithmetic is division, multiplication and square root, which IEEE 754 rounds in one way only, so a
scale has the same bits on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["uniform", "normal", "truncated_normal", "constant"]
"""The distributions: `uniform` is U(-scale, scale), `truncated_normal` is cut at 2 x scale."""

WeightKind: TypeAlias = Literal["conv", "depthwise_conv", "dense"]
"""The weights whose fans differ; a separable convolution is a `depthwise_conv` and a `conv`."""

SMALLEST = 1e-20
"""The smallest scale.  The least nonzero draw is 2**-53 of it: still a normal float32 number, so
flushing of subnormal numbers, which a process may have switched on, can not change a value."""

LARGEST = 1e20
"""The largest scale.  The largest draw is below 9 standard deviations: far from overflow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """The meaning of one name."""

    arguments: tuple[str, ...] = ()  #: Names of the arguments in the order they are written
    kind: Kind
    numerator: float = 0.0  #: Of a rule over fans: its scale is the root of this number over them
    both: bool = False  #: Whether those are the fan-in and the fan-out, added, or the fan-in alone
    value: float = 0.0  #: The scale of a rule without arguments or fans
    formula: str  #: The rule in words for the documentation
    source: str  #: Where the formula comes from


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "glorot_uniform": Rule(
            kind="uniform",
            numerator=6,
            both=True,
            formula="U(-a, a), a = sqrt(6 / (fan_in + fan_out))",
            source="Glorot & Bengio 2010, equation 16; Keras GlorotUniform, PyTorch "
            "xavier_uniform_",
        ),
        "glorot_normal": Rule(
            kind="normal",
            numerator=2,
            both=True,
            formula="N(0, s^2), s = sqrt(2 / (fan_in + fan_out)), not cut",
            source="Glorot & Bengio 2010, equation 12; PyTorch xavier_normal_ (Keras GlorotNormal "
            "is cut at 2 s)",
        ),
        "he_uniform": Rule(
            kind="uniform",
            numerator=6,
            formula="U(-a, a), a = sqrt(6 / fan_in)",
            source="He et al. 2015 (arXiv:1502.01852), the variance of equation 10; Keras "
            "HeUniform, PyTorch kaiming_uniform_ with a=0",
        ),
        "he_normal": Rule(
            kind="normal",
            numerator=2,
            formula="N(0, s^2), s = sqrt(2 / fan_in), not cut",
            source="He et al. 2015 (arXiv:1502.01852), equation 10; PyTorch kaiming_normal_, Caffe "
            "msra (Keras HeNormal is cut at 2 s)",
        ),
        "lecun_uniform": Rule(
            kind="uniform",
            numerator=3,
            formula="U(-a, a), a = sqrt(3 / fan_in)",
            source="LeCun et al. 1998, Efficient BackProp, equation 16; Keras LecunUniform, Caffe "
            "xavier (filler.hpp, XavierFiller with its default variance_norm FAN_IN)",
        ),
        "lecun_normal": Rule(
            kind="normal",
            numerator=1,
            formula="N(0, s^2), s = sqrt(1 / fan_in), not cut",
            source="LeCun et al. 1998, Efficient BackProp, equation 16 (Keras LecunNormal is cut "
            "at 2 s)",
        ),
        "truncated_he_normal": Rule(
            kind="truncated_normal",
            # 1.3 stands for 1 / 0.8796**2 = 1.2925, which would restore the variance that cutting
            # takes away; the rounded number is what the published models were trained with.
            numerator=1.3 * 2,
            formula="N(0, s^2) cut at -2 s and 2 s, s = sqrt(1.3 * 2 / fan_in)",
            source="tf_slim 1.1.0 layers/initializers.py, variance_scaling_initializer with its "
            "defaults (factor 2, FAN_IN)",
        ),
        "normal": Rule(
            arguments=("std",),
            kind="normal",
            formula="N(0, std^2), not cut",
            source="PyTorch normal_, Keras RandomNormal, Caffe gaussian",
        ),
        "truncated_normal": Rule(
            arguments=("std",),
            kind="truncated_normal",
            formula="N(0, std^2) cut at -2 std and 2 std; the values' own deviation is 0.8796 std",
            source="Keras TruncatedNormal, TensorFlow truncated_normal (PyTorch trunc_normal_ "
            "takes absolute bounds)",
        ),
        "uniform": Rule(
            arguments=("limit",),
            kind="uniform",
            formula="U(-limit, limit)",
            source="PyTorch uniform_, Keras RandomUniform, Caffe uniform",
        ),
        "constant": Rule(
            arguments=("value",),
            kind="constant",
            formula="value",
            source="PyTorch constant_, Keras Constant, Caffe constant",
        ),
        "zeros": Rule(
            kind="constant",
            formula="0",
            source="PyTorch zeros_, Keras Zeros",
        ),
        "ones": Rule(
            kind="constant",
            value=1.0,
            formula="1",
            source="PyTorch ones_, Keras Ones",
        ),
    }
)
"""Every named initialiser, in the order of the documentation."""


def scale_fault(value: float, kind: Kind) -> str | None:
    """Return why a number cannot be the scale of a distribution, or None if it can."""
    if not math.isfinite(value):
        return f"must be a finite number, not {value}"
    if kind == "constant":
        fits = value == 0 or SMALLEST <= abs(value) <= LARGEST
        rule = f"0 or from {SMALLEST:g} to {LARGEST:g} in magnitude"
    elif value <= 0:
        fits, rule = False, "above 0"
    else:
        fits, rule = SMALLEST <= value <= LARGEST, f"from {SMALLEST:g} to {LARGEST:g}"
    return None if fits else f"must be {rule}, not {value:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Initializer:
    """A named initialiser with its arguments, which fit its rule: a spec's are checked before."""

    name: str  #: A key of `RULES`
    args: tuple[float, ...] = ()  #: The arguments, in the order of the rule's `arguments`

    @property
    def kind(self) -> Kind:
        """Return the distribution."""
        return RULES[self.name].kind

    def scale(self, fan_in: int, fan_out: int) -> float:
        """Return the limit, the standard deviation or the value for a weight with these `fans`."""
        rule = RULES[self.name]
        if not rule.numerator:
            return self.args[0] if self.args else rule.value
        # `math.sqrt` is correctly rounded; `** 0.5` goes through pow, which is not.
        return math.sqrt(rule.numerator / (fan_in + fan_out if rule.both else fan_in))


DEFAULT_KERNEL = Initializer(name="glorot_uniform")
"""Weights of convolutions and dense layers for which a spec says nothing (as in Keras)."""


def fans(kind: WeightKind, shape: Sequence[int], *, multiplier: int = 1) -> tuple[int, int]:
    """Count the fans of a weight in the layout of the weights file.

    For `conv` and `dense` these are the numbers that PyTorch (`_calculate_fan_in_and_fan_out`) and
    Keras (`compute_fans`) both compute; with groups, `fan_out` counts all outputs, as both do.

    For `depthwise_conv` the frameworks disagree, because they see the kernel in different layouts:
    PyTorch has kh * kw and C * multiplier * kh * kw, Keras has C * kh * kw and
    multiplier * kh * kw.  Each is wrong on one side by the factor C.  The rule here is what the
    words mean: one output sums kh * kw inputs, one input reaches multiplier * kh * kw outputs.

    Args:
        kind: What the weight belongs to.
        shape: `conv`: (outputs, inputs / groups, kh, kw); `depthwise_conv`:
            (inputs * multiplier, 1, kh, kw); `dense`: (outputs, inputs).
        multiplier: Outputs for each input channel of a `depthwise_conv`.

    Returns:
        The fan-in and the fan-out.
    """
    outputs, inputs, *window = shape
    area = math.prod(window)
    if kind == "depthwise_conv":
        return area, multiplier * area
    return inputs * area, outputs * area
