"""Networks whose blocks multiply by gates, and whose values vanish or grow with usual weights."""

from __future__ import annotations

from pathlib import Path

import pytest

import incgen
from incgen.verify import Report, verify

FOLDER = Path(__file__).parent / "gated"
#: Parameters of torchvision's `efficientnet_b0`, `mobilenet_v3_small` and `regnet_y_400mf` (0.28)
#: and of timm's `ghostnet_100` (1.0.31), counted there.
COUNTS = {
    "efficientnet_b0": 5_288_548,
    "ghostnet": 5_182_508,
    "mobilenet_v3_small": 2_542_856,
    "regnet_y_400mf": 4_344_144,
}


@pytest.mark.parametrize("name", COUNTS)
def test_a_network_has_the_parameters_of_its_implementation(name: str) -> None:
    assert incgen.compile_spec(FOLDER / f"{name}.inc").trained == COUNTS[name]


def test_every_network_is_counted() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.inc")) == list(COUNTS)


def decided(name: str, seed: int, targets: list[str]) -> Report:
    """Verify evaluation at a small size, where it is cheap."""
    text = (FOLDER / f"{name}.inc").read_text("utf-8").replace("input 224x224", "input 64x64")
    graph = incgen.compile_spec(f"{name}.inc", text=text)
    return verify(graph, targets=targets, rungs=[1], dtypes=["float64"], seed=seed, batch=2)


def test_evaluation_is_decided() -> None:
    report = decided("ghostnet", 0, ["torch"])

    assert report.passed, report.ill_conditioned[:3]
