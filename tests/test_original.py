"""Ports of modules: where the network of a spec begins to differ from the original."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from incgen.testing import assert_same_as_original
from incgen.verify.runners.original import difference

SPEC = """\
numerics torch
default conv bias=false
unit conv_bn = conv -> bn -> relu

network net {
    input 9x9 3
    a: conv_bn 3x3 4
    pool: max_pool 3x3/2 pad=half
    add {
        identity
        b: conv_bn 3x3 4
    }
    gate: mul {
        identity
        g: { global_avg_pool; d: dense 4 -> sigmoid }
    }
    global_avg_pool
    fc: dense 2
}
"""


class Fused(nn.BatchNorm2d):
    """A normalisation with its activation, as in timm."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise and cut at 0."""
        return super().forward(x).relu_()


class Original(nn.Module):
    """The module that the spec is a port of."""

    def __init__(self, fused: bool = False) -> None:
        super().__init__()
        norm: Callable[[int], nn.Module] = Fused if fused else nn.BatchNorm2d
        self.act = nn.Identity() if fused else nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(3, 4, 3, 1, 1, bias=False)
        self.bn1 = norm(4)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.conv2 = nn.Conv2d(4, 4, 3, 1, 1, bias=False)
        self.bn2 = norm(4)
        self.gate = nn.Conv2d(4, 4, 1)
        self.fc = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Any:
        """Return logits."""
        x = self.pool(self.act(self.bn1(self.conv1(x))))
        x = x + self.act(self.bn2(self.conv2(x)))
        x = x * self.gate(x.mean((2, 3), keepdim=True)).sigmoid()
        return self.fc(x.mean((2, 3)))


LAYOUT = """\
convention = "torch"
[layers]
"a.conv" = "conv1"
"a.bn" = "bn1"
"b.conv" = "conv2"
"b.bn" = "bn2"
"gate.g.d.0" = "gate"
"fc" = "fc"
"""


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "layouts" / "net").mkdir(parents=True)
    (tmp_path / "layouts" / "net" / "theirs.toml").write_text(LAYOUT, "utf-8")
    (tmp_path / "net.inc").write_text(SPEC, "utf-8")
    return Path("net.inc")


@pytest.mark.parametrize("fused", [False, True])
def test_a_port_is_its_original(fused: bool, spec: Path) -> None:
    original = Original(fused).train()
    before = {key: value.clone() for key, value in original.state_dict().items()}

    assert difference(spec, original) == ""

    assert original.training and original.fc.weight.dtype == torch.float32
    assert all(torch.equal(before[key], value) for key, value in original.state_dict().items())


@pytest.mark.parametrize("wrap", [lambda y: (y, None), lambda y: {"logits": y}])
def test_the_first_of_several_outputs_counts(wrap: Callable[[Tensor], Any], spec: Path) -> None:
    original = Original()
    original.register_forward_hook(lambda module, given, y: wrap(y))

    assert difference(spec, original) == ""


def test_values_that_are_all_zero_are_equal(spec: Path) -> None:
    spec.write_text(SPEC.replace("fc: dense 2", "fc: dense 2\n    scale 0"), "utf-8")
    original = Original()
    original.register_forward_hook(lambda module, given, y: 0 * y)

    assert difference(spec, original) == ""


BETWEEN = "look at activations, poolings and joins in between"
INSIDE = "look at stride, `pad`, `dilation`, `groups`, and whether it is this layer"


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        (
            *("max_pool", "avg_pool"),
            (
                "net.inc:11: what `b.conv` takes is not what `conv2` takes",
                f"`a.bn` agrees: {BETWEEN}",
            ),
        ),
        (
            *("3x3/2 pad=half", "2x2/2"),
            (
                "net.inc:11: what `b.conv` takes is not what `conv2` takes",
                "4 x 4 x 4, not 4 x 5 x 5",
            ),
        ),
        (
            *("b: conv_bn 3x3 4", "b: conv_bn 3x3 4 dilation=2"),
            ("net.inc:11: `b.conv` takes what `conv2` takes, and gives something else", INSIDE),
        ),
        (
            *("default conv", "default bn eps=1e-3\ndefault conv"),
            ("net.inc:8: `a.bn` takes what `bn1` takes, and gives something else", "`eps`"),
        ),
        (
            *("identity\n        b", "tanh\n        b"),
            (
                "net.inc:15: what `gate.g.d.0` takes is not what `gate` takes",
                "`a.bn` and `b.bn` agree",
            ),
        ),
        (
            *("fc: dense 2", "fc: { dense 2 -> relu }"),
            ("the output differs: apart by", f"`fc.0` agrees: {BETWEEN}"),
        ),
        (
            *("default conv", "default bn decay=0.99\ndefault conv"),
            (
                "net.inc:8: `a.bn` keeps 0.99 of its statistics in a step, `bn1` 0.9: "
                "`bn decay=0.9`",
            ),
        ),
    ],
)
def test_the_first_difference_is_named(
    old: str, new: str, found: tuple[str, ...], spec: Path
) -> None:
    assert old in SPEC
    spec.write_text(SPEC.replace(old, new), "utf-8")
    if "fc:" in new:
        layout = spec.parent / "layouts" / "net" / "theirs.toml"
        layout.write_text(LAYOUT.replace('"fc" =', '"fc.0" ='), "utf-8")

    said = difference(spec, Original())

    assert [part for part in found if part not in said] == [], said


def test_the_assertion_says_which_spec_and_which_module(spec: Path) -> None:
    assert_same_as_original(spec.absolute(), Original())
    spec.write_text(SPEC.replace("max_pool", "avg_pool"), "utf-8")

    with pytest.raises(AssertionError, match=r"^net\.inc is not Original\n.*net\.inc:11: "):
        assert_same_as_original(spec.absolute(), Original())
