"""Training scripts of PyTorch: their text, each of their parts, and whole runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import scripts
import torch
from safetensors.torch import load_file
from torch import Tensor

#: A small network that has everything: normalisation, weight decay, dropout, a head.
NETWORK = """\
numerics caffe
unit conv_bn = conv bias=false l2=0.01 -> bn -> relu

network small(classes = 3, drop = 0.25) {
    input 8x8 3  range=[-1, 1]
    conv1: conv_bn 3x3 6
    aux early {
        global_avg_pool
        fc: dense classes
    }
    conv2: conv_bn 3x3/2 8
    global_avg_pool
    dropout drop
    logits: dense classes
}
"""
#: Settings of a recipe, by their first word.
SETTINGS = {
    "epochs": "3",
    "batch": "6 synchronized=true",
    "loss": "cross_entropy smoothing=0.1 heads=0.3",
    "optimizer": "sgd momentum=0.9 rate=inside",
    "rate": "0.05 -> warmup 2 steps -> exponential 0.5 every 0.5 epochs",
    "clip": "norm 1",
    "average": "0.9 ramp=true",
    "train": """{
        crop area=[0.3, 1] aspect=[3/4, 4/3] interpolation=random -> flip
        color brightness=0.125 contrast=[0.5, 1.5] saturation=[0.5, 1.5] hue=0.1
    }""",
    "evaluate": "{ resize 9 -> center_crop }",
}


def spec(network: str = NETWORK, drop: Sequence[str] = (), **settings: str) -> str:
    """Return a spec with a recipe `r`: SETTINGS with others in place, or without some."""
    lines = {**SETTINGS, **settings}
    body = "\n".join(f"    {name} {value}" for name, value in lines.items() if name not in drop)
    return f"{network}\nrecipe r for small {{\n{body}\n}}\n"


# ---------------------------------------------------------------- whole runs


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scripts.folder_of_images(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scripts.built(tmp_path_factory.mktemp("script"), spec(), "torch")


@pytest.fixture(scope="module")
def whole(script: Path, images: Path, tmp_path_factory: pytest.TempPathFactory) -> scripts.Run:
    """Return a run that nothing interrupted."""
    output = tmp_path_factory.mktemp("runs") / "whole"
    run = scripts.run(script, images, output, "--log-every=1")
    assert run.code == 0, run.said
    return run


def weights(run: scripts.Run, name: str = "last") -> dict[str, Tensor]:
    return load_file(run.output / f"{name}.safetensors")


def test_a_run_writes_its_files(whole: scripts.Run) -> None:
    names = {path.name.partition(".out")[0] for path in whole.output.iterdir()}
    assert names == {
        "average.safetensors",
        "checkpoint.pt",
        "curves.png",
        "events",
        "last.safetensors",
        "log.csv",
    }
    log = whole.log()
    assert [row["step"] for row in log if row["loss"]] == [str(n) for n in range(1, 16)]
    assert [row["step"] for row in log if row["top1"]] == ["5", "10", "15"]


@pytest.mark.parametrize(
    ("number", "code"),
    [(scripts.KILL, -9), (scripts.TERMINATE, 143), (scripts.INTERRUPT, 130)],
)
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(
    number: int, code: int, script: Path, images: Path, tmp_path: Path, whole: scripts.Run
) -> None:
    options = ["--log-every=1", "--save-every=4"]
    first = scripts.run(script, images, tmp_path / "run", *options, at=(number, 6))
    again = scripts.run(script, images, tmp_path / "run", *options, "--resume")

    assert (first.code, again.code) == (code, 0), first.said + again.said
    assert again.log() == whole.log()
    for name in ("last", "average"):
        expected, found = weights(whole, name), weights(again, name)
        assert {k: torch.equal(v, found[k]) for k, v in expected.items()} == dict.fromkeys(
            expected, True
        )


@pytest.mark.parametrize("numerics", ["caffe", "tf"])
def test_two_processes_are_one(numerics: str, images: Path, tmp_path: Path) -> None:
    """The two conventions differ in which variance is averaged."""
    text = spec(NETWORK.replace("caffe", numerics).replace("drop = 0.25", "drop = 0"))
    script = scripts.built(tmp_path / "script", text, "torch")
    runs = [
        scripts.run(
            script, images, tmp_path / f"run{n}", "--log-every=1", processes=n, dtype="float64"
        )
        for n in (1, 2)
    ]
    assert [run.code for run in runs] == [0, 0], runs[1].said

    one, two = (weights(run) for run in runs)
    assert one.keys() == two.keys()
    for key in one:
        torch.testing.assert_close(two[key], one[key], rtol=1e-9, atol=1e-9)
    for row, other in zip(*(run.log() for run in runs), strict=True):
        for column in row:
            assert float(other[column] or 0) == pytest.approx(float(row[column] or 0), rel=1e-9)
