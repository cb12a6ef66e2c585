"""The lists of names that targets cannot use, compared with Python and the frameworks."""

from __future__ import annotations

import builtins
import keyword
import re
from pathlib import Path

import pytest

from incgen.language.names import (
    BOUND,
    HELPER_CLASSES,
    MODULE_ATTRIBUTES,
    class_name,
    label_fault,
    network_fault,
    parameter_fault,
)
from incgen.targets import TARGETS
from incgen.targets.shared.scopes import RESERVED, Names

ROOT = Path(__file__).parent.parent


def public(thing: object) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


def test_every_attribute_of_a_torch_module_is_known() -> None:
    nn = pytest.importorskip("torch").nn
    for module in (nn.Module(), nn.Sequential(), nn.ModuleDict(), nn.ModuleList()):
        assert public(module) <= MODULE_ATTRIBUTES


def test_every_attribute_of_a_flax_module_is_known() -> None:
    nnx = pytest.importorskip("flax.nnx")

    assert public(nnx.Module) | {"set_view"} <= MODULE_ATTRIBUTES


def test_what_a_flax_module_cannot_be_given_by_name_is_known() -> None:
    nnx = pytest.importorskip("flax.nnx")

    class Any(nnx.Module):  # type: ignore[misc]
        def __init__(self, /, **_: int) -> None:
            """Take anything."""

    for name in sorted({"args", "branches", "cls", "kwargs", "name", "node", "obj", "self"}):
        try:
            Any(**{name: 1})
        except TypeError:
            assert label_fault(name) and parameter_fault(name)
        else:
            assert name not in BOUND


def test_a_container_takes_every_label_that_is_allowed() -> None:
    """`nn.ModuleDict` and `nn.Module` reject names that are already attributes."""
    nn = pytest.importorskip("torch").nn
    for name in ("conv1", "pool", "branch_3x3", "relu", "name", "weight", "output", "l2", "x"):
        assert label_fault(name) is None
        nn.ModuleDict({name: nn.ReLU()})
        nn.Sequential().add_module(name, nn.ReLU())


@pytest.mark.parametrize(
    "name", [*keyword.kwlist, "_a", "__init__", "double", "forward", "sow", "self"]
)
def test_labels_that_no_target_can_carry(name: str) -> None:
    assert label_fault(name)


@pytest.mark.parametrize(
    "name", [*keyword.kwlist, "_a", "self", "cls", "in_channels", "nnx", "rngs", "l"]
)
def test_parameters_that_no_target_can_carry(name: str) -> None:
    assert parameter_fault(name)


@pytest.mark.parametrize("name", ["classes", "n1x1", "kind", "forward", "type", "c"])
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
    assert network_fault(name) is None


@pytest.mark.parametrize(
    "name", ["none", "value_error", "exception", "tensor", "add", "class", "_a", "input_shape", "f"]
)
def test_networks_that_would_hide_what_code_needs(name: str) -> None:
    assert network_fault(name)


def test_no_network_is_a_helper_class_or_a_builtin() -> None:
    for made in HELPER_CLASSES:
        assert network_fault(made), made
    for made in public(builtins):
        if made[0].isupper() and class_name(made) == made:
            assert network_fault(made), made


@pytest.mark.parametrize("target", list(TARGETS))
def test_what_a_file_defines_for_itself_is_reserved(target: str) -> None:
    """Imports and helpers as they are in the templates; a new import has to be listed.

    Nothing in a spec has a name that begins with an underscore.
    """
    folder = ROOT / "templates" / target
    for path in (folder / "module.py.jinja", *folder.glob("helpers*/*.jinja")):
        lines = re.sub(r"\{[%#].*?[%#]\}", "", path.read_text("utf-8")).splitlines()
        for line in lines:
            match = re.match(r"(?:class|def) (\w+)|(?:from [\w.]+ )?import (.+)", line)
            if match and "{{" not in match[0] + line[match.end() : match.end() + 2]:
                made = [match[1]] if match[1] else re.findall(r"(\w+)(?:,|$)", match[2])
                assert {n for n in made if n[0] != "_"} <= RESERVED, line


def test_names_of_a_scope_are_apart_from_one_another_and_from_those_around_it() -> None:
    module = Names()
    module.claim(["net"])
    names = Names(["x", "c"], module)

    assert [names.take(name) for name in ("a", "a", "x", "net", "Ellipsis", "layers")] == [
        "a",
        "a_2",
        "x_2",
        "net_2",
        "Ellipsis_2",
        "layers_2",
    ]
    assert module.take("Wide", "WideBlock", joint="", apart={"Wide"}) == "WideBlock"
    assert module.take("Wide", "WideBlock", joint="", apart={"Wide"}) == "WideBlock2"


def test_a_loop_variable_is_taken_inside_the_loop_only() -> None:
    names = Names(["j"])
    with names.loop() as outer:
        assert names.take("i") == "i_2"
        with names.loop() as inner:
            pass
        assert names.take("k") == "k"
    with names.loop() as following:
        pass

    assert (outer, inner, following) == ("i", "k", "i")
