"""Weights as arguments of Keras' layers: how they begin, and their decay."""

from __future__ import annotations

from incgen.language import expressions as ex
from incgen.language.initializers import Initializer
from incgen.language.printing import number, python
from incgen.targets.shared.values import FALSE, TRUE, ZERO, Args, Pair, expression, sum_of, window


def initializer(init: Initializer, fans: Pair | None = None) -> str:
    """An initialiser as a Keras argument.

    Args:
        init: the initialiser.
        fans: (fan_in, fan_out) where Keras counts them otherwise, as for depthwise kernels.
    """
    values = [number(a) for a in init.args]
    plain = {
        "zeros": '"zeros"',
        "ones": '"ones"',
        "glorot_uniform": '"glorot_uniform"',
        "he_uniform": '"he_uniform"',
        "lecun_uniform": '"lecun_uniform"',
    }
    scaled = {
        "glorot_normal": '1.0, "fan_avg", "untruncated_normal"',
        "he_normal": '2.0, "fan_in", "untruncated_normal"',
        "lecun_normal": '1.0, "fan_in", "untruncated_normal"',
    }
    named = {
        "constant": "Constant({})",
        "uniform": "RandomUniform(-{0}, {0})",
        "normal": "RandomNormal(stddev={})",
        "truncated_normal": "TruncatedNormal(stddev={})",
    }
    if init.name in named:
        return f"keras.initializers.{named[init.name].format(*values)}"
    if init.name in ("zeros", "ones") or (fans is None and init.name in plain):
        return plain[init.name]
    if fans is None and init.name in scaled:
        return f"keras.initializers.VarianceScaling({scaled[init.name]})"
    return _by_fans(init, fans)


#: Numerator under the root, whether the fan-out counts too, and the distribution.
_SCALES = {
    "glorot_uniform": (6, True, "RandomUniform(-{0}, {0})"),
    "glorot_normal": (2, True, "RandomNormal(stddev={0})"),
    "he_uniform": (6, False, "RandomUniform(-{0}, {0})"),
    "he_normal": (2, False, "RandomNormal(stddev={0})"),
    "lecun_uniform": (3, False, "RandomUniform(-{0}, {0})"),
    "lecun_normal": (1, False, "RandomNormal(stddev={0})"),
    "truncated_he_normal": (2.6, False, "TruncatedNormal(stddev={0})"),
}


def _by_fans(init: Initializer, fans: Pair | None) -> str:
    numerator, outputs, form = _SCALES[init.name]
    if fans is None:
        # Keras divides the deviation of a cut normal by 0.8796 to restore the variance
        # (VarianceScaling); 2.6 * 0.87962566103423978 ** 2 takes that back.
        scale = "2.6 * 0.87962566103423978**2"
        return f'keras.initializers.VarianceScaling({scale}, "fan_in", "truncated_normal")'
    total = sum_of(fans) if outputs else fans[0]
    known = ex.literal(total)
    if isinstance(known, int):
        return f"keras.initializers.{form.format(number((numerator / known) ** 0.5))}"
    scale = f"({numerator} / {python(total, outer=7)}) ** 0.5"
    negative = form.replace("-{0}", "-({0})")
    return f"keras.initializers.{negative.format(scale)}"


def weight_arguments(
    args: Args, default: Initializer | None, kind: str = "kernel", fans: Pair | None = None
) -> list[str]:
    """The keyword arguments for a kernel: how it begins, and its weight decay.

    Args:
        args: of the op.
        default: how the kernel begins where the parameter `init` of a unit is None.
        kind: of the kernel, as the layer calls it.
        fans: as for `initializer`.
    """
    init = args["init"]
    if isinstance(init, ex.Parameter):
        assert default is not None
        value = f"init or {initializer(default, fans)}"
    else:
        value = initializer(_init(init), fans)
    result = [f"{kind}_initializer={value}"]
    l2 = expression(args, "l2")
    if l2 != ZERO:
        result.append(f"{kind}_regularizer=L2({python(l2)})")
    return result


def _init(value: object) -> Initializer:
    assert isinstance(value, Initializer)
    return value


def bias_arguments(args: Args) -> list[str]:
    """The keyword arguments for a bias."""
    bias, start = expression(args, "bias"), expression(args, "bias_init")
    result = [] if bias == TRUE else [f"use_bias={python(bias)}"]
    if bias != FALSE and start != ZERO:
        result.append(f"bias_initializer=keras.initializers.Constant({python(start)})")
    return result


def depthwise_fans(args: Args) -> Pair:
    """(fan_in, fan_out) of a depthwise kernel as PyTorch counts them."""
    high, wide = window(args).kernel
    return high * wide, high * wide * expression(args, "multiplier")
