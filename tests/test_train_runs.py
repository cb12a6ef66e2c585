"""Whole runs of training scripts: what is the same in every framework."""

from __future__ import annotations

import re
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest
import scripts
import torch
from safetensors.numpy import save_file
from scripts import same, weights
from small import GREY, NETWORK, forms, spec

from incgen.targets import TARGETS

#: What shares a batch.
SHARING = {"torch": "processes", "keras": "devices", "flax": "devices"}


@pytest.fixture(scope="module", params=TARGETS)
def target(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scripts.folder_of_images(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def script(target: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scripts.built(tmp_path_factory.mktemp("script"), spec(epochs="2"), target)


@pytest.fixture(scope="module")
def whole(script: Path, images: Path, tmp_path_factory: pytest.TempPathFactory) -> scripts.Run:
    """Return a run that nothing interrupted."""
    output = tmp_path_factory.mktemp("runs") / "whole"
    run = scripts.run(script, images, output, "--log-every=1")
    assert run.code == 0, run.said
    return run


def test_a_run_writes_its_files(target: str, whole: scripts.Run) -> None:
    names = {path.name.partition(".out")[0] for path in whole.output.iterdir()}
    assert names == {
        "average.safetensors",
        "checkpoint.pt" if target == "torch" else "checkpoint.npz",
        "curves.png",
        "events",
        "last.safetensors",
        "log.csv",
    }
    modes = {stat.S_IMODE(path.stat().st_mode) for path in whole.output.iterdir()}
    assert len(modes) == 1, "whoever can read the log can read the weights"
    log = whole.log()
    assert [row["step"] for row in log if row["loss"]] == [str(n) for n in range(1, 11)]
    assert [row["step"] for row in log if row["top1"]] == ["5", "10"]


@pytest.mark.parametrize(
    ("interruptions", "every"),
    [
        # in each epoch; only one that is asked to end saves what it has
        ([(scripts.TERMINATE, 143, 3), (scripts.KILL, -9, 8)], 4),
        # the last checkpoint is followed by an evaluation
        pytest.param([(scripts.KILL, -9, 6)], 5, marks=pytest.mark.slow),
        # the end of an epoch, before its evaluation
        pytest.param([(scripts.INTERRUPT, 130, 4)], 4, marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(
    interruptions: list[tuple[int, int, int]],
    every: int,
    script: Path,
    images: Path,
    tmp_path: Path,
    whole: scripts.Run,
) -> None:
    options = ["--log-every=1", f"--save-every={every}"]
    for number, code, step in interruptions:
        run = scripts.run(script, images, tmp_path / "run", *options, at=(number, step))
        assert run.code == code, run.said
        options = [*options[:2], "--resume"]
    again = scripts.run(script, images, tmp_path / "run", *options)

    assert again.code == 0, again.said
    assert again.log() == whole.log()
    for name in ("last", "average"):
        same(weights(again, name), weights(whole, name))


@pytest.mark.slow
@pytest.mark.parametrize("arrays", [True, False])
def test_a_run_with_padded_images_goes_on(
    arrays: bool, target: str, images: Path, tmp_path: Path
) -> None:
    text = spec(GREY, train="{ random_crop pad=2 -> flip }", epochs="2")
    script = scripts.built(tmp_path / "script", text, target)
    data = scripts.folder_of_idx(tmp_path / "idx") if arrays else images
    whole = scripts.run(script, data, tmp_path / "whole", "--log-every=1")
    assert whole.code == 0, whole.said
    first = scripts.run(script, data, tmp_path / "run", "--log-every=1", "--steps=3")
    assert first.code == 0, first.said
    again = scripts.run(script, data, tmp_path / "run", "--log-every=1", "--resume")

    assert again.code == 0, again.said
    assert again.log() == whole.log()
    same(weights(again), weights(whole))


def saved_step(run: scripts.Run) -> int:
    """Return the step of a checkpoint."""
    if (run.output / "checkpoint.pt").exists():
        return int(torch.load(run.output / "checkpoint.pt")["step"])
    with np.load(run.output / "checkpoint.npz") as saved:
        return int(saved["step"])


def test_an_evaluation_that_is_interrupted_is_repeated(
    script: Path, images: Path, tmp_path: Path, whole: scripts.Run
) -> None:
    """And the step before it is saved, although its turn has not come."""
    options = ["--log-every=1", "--save-every=4"]
    for _ in range(2):  # the second in front of the first step
        run = scripts.run(script, images, tmp_path / "run", *options, at=(scripts.TERMINATE, None))
        assert run.code == 143, run.said
        assert [row["step"] for row in run.log()] == ["1", "2", "3", "4", "5"]
        assert saved_step(run) == 5
        options = [*options[:2], "--resume"]
    again = scripts.run(script, images, tmp_path / "run", *options)

    assert again.code == 0, again.said
    assert again.log() == whole.log()
    same(weights(again), weights(whole))


def test_a_run_that_ends_between_its_checkpoint_and_its_weights_goes_on(
    script: Path, images: Path, tmp_path: Path, whole: scripts.Run
) -> None:
    options = ["--log-every=1", "--save-every=4"]
    (tmp_path / "run" / "average.safetensors").mkdir(parents=True)  # which no file replaces
    first = scripts.run(script, images, tmp_path / "run", *options)
    assert first.code == 1, first.said
    (tmp_path / "run" / "average.safetensors").rmdir()
    again = scripts.run(script, images, tmp_path / "run", *options, "--resume")

    assert again.code == 0, again.said
    assert again.log() == whole.log()
    # At the end of a run, nothing but this writes them.
    for name in ("last", "average"):
        (again.output / f"{name}.safetensors").unlink()
    last = scripts.run(script, images, tmp_path / "run", *options, "--resume")
    for name in ("last", "average"):
        same(weights(last, name), weights(whole, name))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("3x3/2 8", "3x3/2 9"),
        ("conv2:", "conv3:"),
        ("batch 6", "batch 3"),
        # has the same weights, which PyTorch would take with the settings of the other
        pytest.param("rate=inside", "nesterov=true rate=inside", marks=pytest.mark.slow),
        pytest.param("drop = 0.25", "drop = 0.5", marks=pytest.mark.slow),
    ],
)
def test_a_checkpoint_of_another_recipe_is_refused(
    old: str, new: str, target: str, images: Path, tmp_path: Path, whole: scripts.Run
) -> None:
    script = scripts.built(tmp_path / "script", spec().replace(old, new), target)
    shutil.copytree(whole.output, tmp_path / "run")
    run = scripts.run(script, images, tmp_path / "run", "--resume")
    assert run.code == 1
    assert "is of another run: " in run.said, run.said


def test_a_run_does_not_go_on_with_more_images(
    script: Path, images: Path, tmp_path: Path, whole: scripts.Run
) -> None:
    """Its steps would be in other epochs, at other rates."""
    shutil.copytree(whole.output, tmp_path / "run")
    data = shutil.copytree(images, tmp_path / "data")
    shutil.copy(data / "train/class0/0.png", data / "train/class0/more.png")
    run = scripts.run(script, data, tmp_path / "run", "--resume")
    assert run.code == 1
    assert re.search(r" is of another run: .*30 images, not 31\n", run.said), run.said
    assert run.log() == whole.log()


def test_a_run_that_is_complete_says_so_and_can_become_longer(
    target: str, script: Path, images: Path, tmp_path: Path, whole: scripts.Run
) -> None:
    shutil.copytree(whole.output, tmp_path / "run")
    again = scripts.run(script, images, tmp_path / "run", "--resume")
    assert again.code == 0, again.said
    assert "run is complete: it has all its 10 steps\n" in again.said
    assert again.log() == whole.log()

    longer = scripts.built(tmp_path / "script", spec(), target)  # 3 epochs
    more = scripts.run(longer, images, tmp_path / "run", "--resume")
    assert more.code == 0, more.said
    assert "is complete" not in more.said.removeprefix(again.said)
    # The last step is logged, whatever --log-every is.
    assert [row["step"] for row in more.log() if row["loss"]] == [*map(str, range(1, 11)), "15"]


def test_of_weights_that_do_not_fit_ten_are_named(
    script: Path, images: Path, tmp_path: Path
) -> None:
    file = tmp_path / "other.safetensors"
    save_file({f"other{n}.weight": np.zeros(1, np.float32) for n in range(30)}, file)
    run = scripts.run(script, images, tmp_path / "run", f"--from={file}")
    assert run.code == 1
    start = run.said.index(f"error: --from {file}: it does not fit:\n")
    _, *faults, more = run.said[start:].splitlines()
    assert len(faults) == 10, run.said
    assert more.startswith("... and ") and more.endswith(" more")
    assert run.said.count("other.safetensors") == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("caffe", "caffe"),
        pytest.param("caffe", "tf", marks=pytest.mark.slow),  # averages the other variance
        pytest.param("-> bn ->", "-> bn scale=false ->", marks=pytest.mark.slow),
    ],
)
def test_two_that_share_a_batch_are_one(
    target: str, old: str, new: str, images: Path, tmp_path: Path
) -> None:
    """In Flax with dropout, too."""
    text = spec(NETWORK.replace(old, new), epochs="2")
    if target != "flax":
        text = text.replace("drop = 0.25", "drop = 0")
    script = scripts.built(tmp_path / "script", text, target)
    options = ["--log-every=1", *(["--steps=3"] if target == "flax" else [])]
    one, two = (
        scripts.run(
            script,
            images,
            tmp_path / f"run{count}",
            *options,
            dtype="float64",
            **{SHARING[target]: count},  # type: ignore[arg-type]
        )
        for count in (1, 2)
    )

    scripts.compared(one, two)


def test_a_batch_that_cannot_be_shared(
    target: str, script: Path, images: Path, tmp_path: Path
) -> None:
    several = {SHARING[target]: 4}
    run = scripts.run(script, images, tmp_path / "run", **several)  # type: ignore[arg-type]
    assert run.code == 1
    assert f"4 {SHARING[target]} cannot share a batch of 6 equally" in run.said


def test_fine_tuning(script: Path, images: Path, tmp_path: Path, whole: scripts.Run) -> None:
    """Weights are loaded but for fresh ones, and frozen ones stay, with their statistics."""
    options = [f"--from={whole.output}/average.safetensors", "--fresh", "logits", "early.*"]
    options += ["--freeze", "conv1.conv*", "*2.bn.running_*"]
    run = scripts.run(script, images, tmp_path / "run", *options, "--steps=1", "--seed=5")
    before, start = weights(whole, "average"), weights(run)
    again = scripts.run(script, images, tmp_path / "run", "--steps=4", "--resume")
    assert (run.code, again.code) == (0, 0), run.said + again.said

    after = weights(again)
    # The rate of the first step is 0, so that only statistics change in it.
    changed = {key for key in before if not np.array_equal(before[key], start[key])}
    fresh = ("logits", "early", "conv1.bn.running", "conv1.bn.num")
    assert changed == {key for key in before if key.startswith(fresh)}
    still = {key for key in before if np.array_equal(start[key], after[key])}
    assert still == {"conv1.conv.weight", *(key for key in before if key.startswith("conv2.bn"))}
    first, file, last = (tensors["logits.weight"] for tensors in (start, before, after))
    assert np.abs(last - first).mean() < np.abs(last - file).mean() / 5


def test_weights_of_another_network_are_taken_as_far_as_they_fit(
    target: str, script: Path, images: Path, tmp_path: Path, whole: scripts.Run
) -> None:
    """Its head has another name: the weights of one are of no use, those of the other new."""
    text = spec(NETWORK.replace("aux early", "aux other"), epochs="2")
    other = scripts.built(tmp_path / "script", text, target)
    options = [f"--from={whole.output}/last.safetensors", "--steps=1"]
    run = scripts.run(other, images, tmp_path / "run", *options, "--fresh", "early", "other")
    assert run.code == 0, run.said

    before, after = weights(whole), weights(run)
    assert {key for key in after if key not in before} == {"other.fc.weight", "other.fc.bias"}
    kept = {
        key: w for key, w in after.items() if key in before and not re.search("running|num", key)
    }
    same(kept, {key: before[key] for key in kept})  # the rate of the first step is 0
    assert len(kept) == 8


def test_a_loss_that_is_not_finite_stops_the_run(
    script: Path, images: Path, tmp_path: Path, whole: scripts.Run
) -> None:
    broken = weights(whole)
    broken["conv2.conv.weight"] = np.full_like(broken["conv2.conv.weight"], 3e38)
    save_file(broken, tmp_path / "broken.safetensors")
    options = [f"--from={tmp_path}/broken.safetensors", "--log-every=1"]
    run = scripts.run(script, images, tmp_path / "run", *options)

    assert run.code == 1
    assert "the loss is nan in step 0, at a rate of 0;" in run.said
    assert "output is not finite: conv2.conv\n" in run.said
    assert not [*(tmp_path / "run").glob("checkpoint*")]
    assert not run.log()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "form"),
    [(target, form) for target in ("keras", "flax") for form in forms(target)],
    indirect=["target"],
    scope="module",
)
def test_every_form_runs(form: str, target: str, images: Path, tmp_path: Path) -> None:
    script = scripts.built(tmp_path / "script", forms(target)[form], target)
    if form in ("grey", "least", "arrays"):  # images of the size of the network
        images = scripts.folder_of_idx(tmp_path / "idx")
    for devices in (1, 2):
        run = scripts.run(
            script, images, tmp_path / f"run{devices}", "--log-every=1", devices=devices
        )
        assert run.code == 0, run.said
        assert [row["step"] for row in run.log() if row["top1"]][-1] == run.log()[-1]["step"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [["--precision=bfloat16"], ["--precision=float16"], ["--compile"]], ids=str
)
@pytest.mark.parametrize("framework", ["torch", "keras"])
def test_other_arithmetic(framework: str, options: list[str], images: Path, tmp_path: Path) -> None:
    text = spec().replace("drop = 0.25", "drop = 0")  # compiled, it draws other numbers
    script = scripts.built(tmp_path / "script", text, framework)
    whole, run = (
        scripts.run(script, images, tmp_path / f"run{len(more)}", "--log-every=1", *more)
        for more in ([], options)
    )
    assert (whole.code, run.code) == (0, 0), run.said
    assert run.log() != whole.log()
    for row, other in zip(run.log(), whole.log(), strict=True):
        if row["loss"]:
            assert float(row["loss"]) == pytest.approx(float(other["loss"]), rel=0.05)
