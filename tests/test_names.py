"""The lists of names that targets cannot carry, against Python and the frameworks."""

from __future__ import annotations

import builtins
import keyword

import pytest

from incgen.names import (
    HELPER_CLASSES,
    MODULE_ATTRIBUTES,
    class_name,
    definition_fault,
    label_fault,
    parameter_fault,
)


def public(thing: object) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


def test_every_attribute_of_a_torch_module_is_known() -> None:
    nn = pytest.importorskip("torch").nn
    for module in (nn.Module(), nn.Sequential(), nn.ModuleDict(), nn.ModuleList()):
        assert public(module) <= MODULE_ATTRIBUTES


def test_a_container_takes_every_label_that_is_allowed() -> None:
    """`nn.ModuleDict` and `nn.Module` refuse names that are attributes already."""
    nn = pytest.importorskip("torch").nn
    for name in ("conv1", "pool", "branch_3x3", "relu", "name", "weight", "output", "l2", "x"):
        assert label_fault(name) is None
        nn.ModuleDict({name: nn.ReLU()})
        nn.Sequential().add_module(name, nn.ReLU())


@pytest.mark.parametrize("name", [*keyword.kwlist, "_a", "__init__", "double", "forward", "keys"])
def test_labels_that_no_target_can_carry(name: str) -> None:
    assert label_fault(name)


@pytest.mark.parametrize("name", [*keyword.kwlist, "_a", "self", "in_channels", "torch", "forward"])
def test_parameters_that_no_target_can_carry(name: str) -> None:
    assert parameter_fault(name)


@pytest.mark.parametrize("name", ["classes", "n1x1", "kind", "growth", "width_multiplier", "c"])
def test_ordinary_parameters(name: str) -> None:
    assert parameter_fault(name) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("inception", "Inception"),
        ("conv_bn", "ConvBN"),
        ("bn_inception", "BNInception"),
        ("squeeze_excite", "SqueezeExcite"),
        ("inception_v3", "InceptionV3"),
        ("ResNet", "ResNet"),
        ("resnet_50", "ResNet50"),
        ("a__b_", "AB"),
    ],
)
def test_names_of_classes(name: str, expected: str) -> None:
    assert class_name(name) == expected
    assert definition_fault(name) is None


@pytest.mark.parametrize(
    "name", ["none", "value_error", "exception", "tensor", "add", "class", "_a", "input_shape"]
)
def test_definitions_that_would_hide_what_code_needs(name: str) -> None:
    assert definition_fault(name)


def test_helper_classes_and_builtins_cannot_be_defined() -> None:
    for made in HELPER_CLASSES:
        assert definition_fault(made), made
    for made in public(builtins):
        if made[0].isupper() and class_name(made) == made:
            assert definition_fault(made), made
