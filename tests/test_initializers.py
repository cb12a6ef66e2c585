"""Tests of the named initialisers: every formula by hand, the fans against the frameworks."""

from __future__ import annotations

import dataclasses
import inspect
import math

import pytest

from incgen.language import initializers
from incgen.language.initializers import (
    DEFAULT_KERNEL,
    RULES,
    Initializer,
    Kind,
    fans,
    scale_fault,
)

# (name, arguments, fan-in, fan-out, scale): the fans are chosen so that a person sees the root.
BY_HAND = [
    ("glorot_uniform", (), 10, 14, 0.5),  # 6 / 24 = 1/4
    ("glorot_normal", (), 20, 12, 0.25),  # 2 / 32 = 1/16
    ("he_uniform", (), 24, 7, 0.5),  # 6 / 24
    ("he_normal", (), 32, 7, 0.25),  # 2 / 32
    ("lecun_uniform", (), 27, 7, 1 / 3),  # 3 / 27 = 1/9: a 3x3 convolution of 3 channels
    ("lecun_normal", (), 64, 7, 0.125),  # 1 / 64
    ("truncated_he_normal", (), 65, 7, 0.2),  # 2.6 / 65 = 0.04
    ("normal", (0.01,), 5, 7, 0.01),
    ("truncated_normal", (0.1,), 5, 7, 0.1),
    ("uniform", (0.05,), 5, 7, 0.05),
    ("constant", (0.2,), 5, 7, 0.2),
    ("constant", (-1.0,), 5, 7, -1.0),
    ("constant", (0.0,), 5, 7, 0.0),
    ("zeros", (), 5, 7, 0.0),
    ("ones", (), 5, 7, 1.0),
]

KINDS: dict[str, Kind] = {
    "glorot_uniform": "uniform",
    "glorot_normal": "normal",
    "he_uniform": "uniform",
    "he_normal": "normal",
    "lecun_uniform": "uniform",
    "lecun_normal": "normal",
    "truncated_he_normal": "truncated_normal",
    "normal": "normal",
    "truncated_normal": "truncated_normal",
    "uniform": "uniform",
    "constant": "constant",
    "zeros": "constant",
    "ones": "constant",
}


@pytest.mark.parametrize(("name", "args", "fan_in", "fan_out", "expected"), BY_HAND)
def test_scale_is_the_one_computed_by_hand(
    name: str, args: tuple[float, ...], fan_in: int, fan_out: int, expected: float
) -> None:
    scale = Initializer(name=name, args=args).scale(fan_in, fan_out)
    assert scale == pytest.approx(expected, rel=1e-15)


def test_every_rule_has_a_scale_by_hand() -> None:
    assert {row[0] for row in BY_HAND} == set(RULES)


def test_scale_of_the_first_convolution_is_pinned() -> None:
    """A 7x7 convolution from 3 to 64 channels, to the last bit."""
    fan_in, fan_out = fans("conv", (64, 3, 7, 7))
    scales = {name: Initializer(name=name).scale(fan_in, fan_out).hex() for name in PINNED}
    assert scales == PINNED


PINNED = {
    "glorot_uniform": "0x1.5e36164cd9c64p-5",
    "glorot_normal": "0x1.94639f664075cp-6",
    "he_uniform": "0x1.9dc22be484457p-3",
    "he_normal": "0x1.ddc4636e95722p-4",
    "lecun_uniform": "0x1.2492492492492p-3",
    "lecun_normal": "0x1.51d517412838ep-4",
    "truncated_he_normal": "0x1.105e826635459p-3",
}


def test_kinds_are_those_of_the_names() -> None:
    assert {name: rule.kind for name, rule in RULES.items()} == KINDS
    assert all(
        Initializer(name=name, args=(0.5,) * len(rule.arguments)).kind == rule.kind
        for name, rule in RULES.items()
    )


def test_rules_are_documented() -> None:
    for rule in RULES.values():
        assert rule.formula
        assert rule.source
        assert all(argument in rule.formula for argument in rule.arguments)


def test_the_default_of_the_language() -> None:
    assert Initializer(name="glorot_uniform") == DEFAULT_KERNEL


def test_truncated_he_restores_the_variance_of_he() -> None:
    """Slim's 1.3 makes up for cutting at 2 deviations, to half a percent."""
    mass = math.erf(math.sqrt(2))
    density = math.exp(-2) / math.sqrt(2 * math.pi)
    deviation_left = math.sqrt(1 - 4 * density / mass)
    assert deviation_left == pytest.approx(0.8796, abs=5e-5)
    cut = Initializer(name="truncated_he_normal").scale(576, 64) * deviation_left
    assert cut == pytest.approx(Initializer(name="he_normal").scale(576, 64), rel=5e-3)


def test_initializers_are_values() -> None:
    assert len({DEFAULT_KERNEL, Initializer(name="glorot_uniform")}) == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        DEFAULT_KERNEL.name = "zeros"  # type: ignore[misc]
    with pytest.raises(TypeError):
        RULES["mine"] = RULES["zeros"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        (0.0, "normal", "must be above 0, not 0"),
        (-0.1, "normal", "must be above 0, not -0.1"),
        (math.inf, "truncated_normal", "must be a finite number, not inf"),
        (math.nan, "uniform", "must be a finite number, not nan"),
        (1e21, "uniform", "must be from 1e-20 to 1e+20, not 1e+21"),
        (1e-21, "uniform", "must be from 1e-20 to 1e+20, not 1e-21"),
        (-1e21, "constant", "must be 0 or from 1e-20 to 1e+20 in magnitude, not -1e+21"),
        (-math.inf, "constant", "must be a finite number, not -inf"),
        (0.0, "constant", None),
        (-0.1, "constant", None),
        (0.1, "normal", None),
    ],
)
def test_scales_have_a_range(value: float, kind: Kind, message: str | None) -> None:
    assert scale_fault(value, kind) == message


def test_fans_by_hand() -> None:
    assert fans("conv", (64, 3, 7, 7)) == (147, 3136)
    assert fans("conv", (192, 128, 1, 7)) == (896, 1344)
    assert fans("depthwise_conv", (32, 1, 3, 3)) == (9, 9)
    assert fans("depthwise_conv", (64, 1, 3, 5), multiplier=2) == (15, 30)
    assert fans("dense", (1000, 1024)) == (1024, 1000)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_fans_of_a_convolution_are_those_of_both_frameworks(groups: int) -> None:
    torch = pytest.importorskip("torch")
    random_initializers = pytest.importorskip("keras.src.initializers.random_initializers")
    import keras

    weight = torch.nn.Conv2d(8, 12, (3, 5), groups=groups).weight
    layer = keras.layers.Conv2D(12, (3, 5), groups=groups)
    layer.build((None, 16, 16, 8))
    ours = fans("conv", tuple(weight.shape))
    assert ours == (8 // groups * 15, 12 * 15)
    assert ours == torch.nn.init._calculate_fan_in_and_fan_out(weight)
    assert ours == random_initializers.compute_fans(layer.kernel.shape)


def test_fans_of_a_dense_layer_are_those_of_both_frameworks() -> None:
    torch = pytest.importorskip("torch")
    random_initializers = pytest.importorskip("keras.src.initializers.random_initializers")
    import keras

    weight = torch.nn.Linear(20, 30).weight
    layer = keras.layers.Dense(30)
    layer.build((None, 20))
    ours = fans("dense", tuple(weight.shape))
    assert ours == (20, 30)
    assert ours == torch.nn.init._calculate_fan_in_and_fan_out(weight)
    assert ours == random_initializers.compute_fans(layer.kernel.shape)


def test_fans_of_a_depthwise_convolution_where_the_frameworks_disagree() -> None:
    """Each framework is right on one side; on the other it has a factor of 8, the channels."""
    torch = pytest.importorskip("torch")
    random_initializers = pytest.importorskip("keras.src.initializers.random_initializers")
    import keras

    weight = torch.nn.Conv2d(8, 16, 3, groups=8).weight
    layer = keras.layers.DepthwiseConv2D(3, depth_multiplier=2)
    layer.build((None, 16, 16, 8))
    assert fans("depthwise_conv", tuple(weight.shape), multiplier=2) == (9, 18)
    assert torch.nn.init._calculate_fan_in_and_fan_out(weight) == (9, 8 * 18)
    assert random_initializers.compute_fans(layer.kernel.shape) == (8 * 9, 18)


def test_the_table_needs_the_standard_library_only() -> None:
    """Checking a spec must not need numpy."""
    lines = inspect.getsource(initializers).splitlines()
    imported = {
        line.split()[1].split(".")[0] for line in lines if line.startswith(("import ", "from "))
    }
    assert imported == {"__future__", "collections", "dataclasses", "math", "types", "typing"}
