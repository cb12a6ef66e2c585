"""A miniature of the experiments on batch normalisation: a few hundred images, few steps.

The images are scikit-learn's digits, 8x8, each pixel three times as wide and high, with a border.
"""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scripts import write_idx

from science import report
from science.experiments import (
    FORMS,
    RATES,
    Curve,
    Run,
    command,
    curve_of,
    figures,
    grid,
    run_all,
)

ROOT = Path(__file__).parent.parent
STEPS = 24


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write 320 images for training and 80 for testing as IDX files."""
    from sklearn.datasets import load_digits

    folder, digits = tmp_path_factory.mktemp("digits"), load_digits()
    images = np.kron(digits.images[:400] * 15, np.ones((1, 3, 3))).astype(np.uint8)
    images = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    parts = {"train": slice(0, 320), "t10k": slice(320, 400)}
    for name, part in parts.items():
        write_idx(folder / f"{name}-images-idx3-ubyte.gz", images[part])
        write_idx(folder / f"{name}-labels-idx1-ubyte.gz", digits.target[:400][part])
    return folder


def losses(place: Path) -> list[float]:
    """Return the losses in the log of a training."""
    with (place / "log.csv").open(newline="") as file:
        return [float(row["loss"]) for row in csv.DictReader(file) if row["loss"]]


def test_every_run_has_a_recipe_and_a_folder_of_its_own() -> None:
    runs = [*grid(), *figures(0.02)]

    assert len({run.name for run in runs}) == len(runs) - 1  # one of the grid is a form, seed 0
    assert Run("forms", "x5", "keras", 2, {"base": 0.02}).name == "forms_x5_keras_base0.02_2"
    assert Run("forms", "x5", shared=True).name == "forms_x5_torch_shared_0"


def test_an_interrupted_training_goes_on_from_its_own_weights(tmp_path: Path) -> None:
    """Scripts refuse --from and --seed with --resume."""
    run = Run("forms", "x5", shared=True)

    assert command(run, tmp_path, tmp_path)[-2:] == ["--from", f"{tmp_path}/first.safetensors"]
    (tmp_path / "checkpoint.pt").touch()
    again = command(run, tmp_path, tmp_path)
    assert again[-1] == "--resume"
    assert "--from" not in again and "--seed" not in again


def sites(folder: Path, function: str) -> str:
    """Return a path for Python on which each process begins with a function of `scripts`."""
    (folder / "sitecustomize.py").write_text(f"import scripts; scripts.{function}()\n", "utf-8")
    return os.pathsep.join([str(folder), str(Path(__file__).parent)])


def test_a_miniature(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", sites(tmp_path, "do_without_tensorflow"))
    base = RATES[0]
    rate = {"base": base}
    runs = [Run("forms", "x5", target, settings=rate, shared=True) for target in ("torch", "keras")]
    runs += [Run("sigmoids", "normalised")]

    more = ["--steps", str(STEPS), "--log-every", "1", "--evaluate-every", "8"]
    run_all(runs, tmp_path / "out", data, more)

    torch, keras, sigmoids = (losses(tmp_path / "out" / run.name) for run in runs)
    assert len(torch) == len(keras) == STEPS
    assert np.mean(torch[-4:]) < 0.8 * np.mean(torch[:4])
    # the same weights, batches, distortion and rates
    np.testing.assert_allclose(torch[:3], keras[:3], rtol=1e-5)
    assert np.isfinite(sigmoids).all()
    curve = curve_of(tmp_path / "out" / runs[0].name)
    assert curve.steps[:3] == (8, 16, 24)
    assert (tmp_path / "out" / runs[2].name / "percentiles.csv").read_text().count("\n") == 2

    results = tmp_path / "results.json"
    report.collect([*grid(), *figures(base)], tmp_path / "out", results)
    report.plot(results, tmp_path / "plots")
    assert (tmp_path / "plots" / "frameworks.svg").stat().st_size > 1000


def test_steps_to_an_accuracy() -> None:
    curve = Curve((250, 500, 750), (0.5, 0.8, 0.7))

    assert curve.best == 0.8
    assert curve.steps_to(0.8) == 500
    assert curve.steps_to(0.81) is None
    assert curve.until(500) == Curve((250, 500), (0.5, 0.8))


def test_the_page_has_the_tables_of_the_results() -> None:
    page = (ROOT / "docs" / "batch-normalisation.md").read_text("utf-8")
    curves, _, base = report.read(ROOT / "science" / "results.json")

    assert report.table_of_rates(curves) in page
    assert report.table_of_forms(curves, base) in page
    assert report.table_of_changes(curves, base) in page
    assert f"\nlet base = {base:g}\n" in (ROOT / "science" / "forms.inc").read_text("utf-8")


def test_the_mean_of_curves_is_that_of_the_same_steps() -> None:
    curves = [Curve((200, 400, 600), (0.25, 0.5, 0.75)), Curve((400, 600, 800), (0.75, 1.0, 0.5))]

    assert report.mean_of(curves) == ([400, 600], [0.625, 0.875])


def test_the_table_of_forms() -> None:
    curves = {}
    for seed in range(3):
        for form in FORMS:
            name = Run("forms", form, seed=seed, settings={"base": 0.02}).name
            curves[name] = Curve((250, 500, 1000), (0.5, 0.7, 0.8))
        name = Run("forms", "back_l2", seed=seed, settings={"base": 0.02}).name
        curves[name] = Curve((250, 500), (0.5, 0.8))
        name = Run("forms", "x5", seed=seed, settings={"base": 0.02}).name
        curves[name] = Curve((250, 500, 1000), (0.8, 0.85, 0.84 + 0.01 * seed))

    table = report.table_of_forms(curves, 0.02).splitlines()

    assert table[0].startswith(
        "| form | steps to 80.0 % | steps to 85.0 % | steps to 80.0 % | best"
    )
    assert table[2].startswith(
        "| Inception | 1,000 (1.0) | - | 1,000 (1.0) | 80.0 % (80.0 to 80.0)"
    )
    assert table[4] == (
        "| BN-x5 | 250 (4.0) | 500 | 250 (4.0) | 85.3 % (85.0 to 86.0) "
        "| 2.1 million (14.8) | 73.0 % |"
    )
    changes = report.table_of_changes(curves, 0.02).splitlines()
    assert changes[2] == (
        "| all seven changes | 250 (250 to 250) | 500 (500 to 500) | 250 (250 to 250) "
        "| 85.0 % (85.0 to 85.0) |"
    )
    assert changes[3] == "| the rate | - | - | - | - |"
    assert changes[5] == (
        "| the weight decay | 500 (500 to 500) | - | 500 (500 to 500) | 80.0 % (80.0 to 80.0) |"
    )


@pytest.mark.slow
def test_the_commands_for_imagenet(tmp_path: Path) -> None:
    """Run what the page says on 1,000 classes of small images, with 2 processes for one step."""
    data = tmp_path / "imagenet"
    for number in range(1000):
        for split in ("train", "val")[: 2 if number < 4 else 1]:
            folder = data / split / f"n{number:08}"
            folder.mkdir(parents=True)
            Image.new("RGB", (40, 30), (number % 256, 90, 40)).save(folder / "1.jpg")
    page = (ROOT / "docs" / "batch-normalisation.md").read_text("utf-8")
    build, train = re.findall(r"^(?:incgen build|torchrun) .*", page, re.MULTILINE)
    train = train.replace("torchrun --nproc-per-node 8", "torch.distributed.run --nproc-per-node 2")
    train = train.replace("~/imagenet", str(data))
    paths = sites(tmp_path, "_prepare")

    for line in (
        f"incgen {build.removeprefix('incgen ')}",
        f"{train} --steps 1 --evaluate-every 1",
    ):
        done = subprocess.run(
            [sys.executable, "-m", *line.split()],
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert re.search(r"step 1 epoch 0\.\d+ top1 \d", done.stdout + done.stderr)
