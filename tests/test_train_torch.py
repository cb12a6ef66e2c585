"""Training scripts of PyTorch: what is their own, in parts and in whole runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scripts
import torch
from parts_torch import float64
from PIL import Image
from safetensors.torch import load_file, save_file
from small import GREY, NETWORK, forms, picture, spec
from torch import Tensor, nn

from incgen.compiling import compile_recipe
from incgen.recipes import rates

# ---------------------------------------------------------------- the text


@pytest.mark.parametrize("name", ["run", "examples", "dataset", "csv"])
def test_a_network_with_a_name_of_the_script(name: str, tmp_path: Path) -> None:
    text = spec().replace("network small", f"network {name}").replace("for small", f"for {name}")
    module = scripts.loaded(scripts.built(tmp_path, text, "torch"))
    network = getattr(module, f"{name.capitalize()}Network", None) or module.Csv
    assert network.__module__ == f"{name}_torch"
    assert issubclass(module.Examples, torch.utils.data.Dataset) and module.Tensor is Tensor


# ---------------------------------------------------------------- parts of a script


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    return scripts.importer(tmp_path_factory, "torch")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scripts.folder_of_images(tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize(
    "line",
    [
        "3",
        "0.3 -> exponential 0.94 every 2 epochs",
        "0.3 -> exponential 0.94 every 5 steps smooth=true",
        "0.3 per=epoch -> exponential 0.9 every 0.3 epochs",
        "0.3 -> warmup 1.5 epochs start=0.1 -> exponential 0.5 every 3 epochs smooth=true",
        "0.3 -> steps 0.1 at [1.5, 4] epochs",
        "0.3 -> warmup 5 steps -> polynomial 2",
        "0.3 -> polynomial 1 to=0.01",
        "0.3 -> cosine",
        "0.3 -> warmup 1 epoch -> cosine to=0.001",
    ],
)
@pytest.mark.parametrize("length", ["epochs", "steps"])
def test_a_rate(line: str, length: str, imported: Callable[..., Any]) -> None:
    """The reference has tests of its own."""
    text = spec(rate=line) if length == "epochs" else spec(drop=["epochs"], steps="40", rate=line)
    module, (_, recipe) = imported(text), compile_recipe("spec.inc", "r", text=text)
    epoch = 7
    total = rates.total_steps(recipe, epoch)
    said = re.search(r"total = (.*)", Path(module.__file__).read_text("utf-8"))
    assert said is not None and eval(said[1], {"epoch_steps": epoch}) == total  # our own code
    found = [module.rate(step, epoch, total) for step in range(total)]
    assert found == [rates.rate_at(recipe.rate, step, epoch, total) for step in range(total)]
    assert {*map(type, found)} == {float}  # JAX compiles a step for each type


def test_the_order_of_examples(imported: Callable[..., Any]) -> None:
    full = imported(spec(shuffle="full"))
    assert full.order(3, 10, 7).tolist() == np.random.default_rng([7, 3]).permutation(10).tolist()

    once = imported(spec(shuffle="once"))
    first = np.random.default_rng([7]).permutation(10).tolist()
    assert [once.order(e, 10, 7).tolist() for e in (0, 5)] == [first, first]

    shards = imported(spec(shuffle="shards 4"))
    rng = np.random.default_rng([7, 3])
    expected = [rng.permutation(part).tolist() for part in (first[:4], first[4:8], first[8:])]
    assert shards.order(3, 10, 7).tolist() == [*chain(*expected)]

    assert imported(spec(shuffle="none")).order(3, 10, 7).tolist() == [*range(10)]


@pytest.mark.parametrize(
    ("line", "decays"), [("0.9", [0.9] * 3), ("0.25 ramp=true", [0.1, 2 / 11, 0.25])]
)
@float64()
def test_the_average(line: str, decays: list[float], imported: Callable[..., Any]) -> None:
    module = imported(spec(average=line))
    model = module.Small()
    average = module.make_average(model)
    assert not average.module.training
    kept = {key: w for key, w in model.state_dict().items() if w.is_floating_point()}
    assert "conv1.bn.running_var" in kept
    expected = {key: value.clone() for key, value in kept.items()}
    for step, decay in enumerate(decays):
        for key, value in kept.items():
            value.add_(step + 1)
            expected[key] = decay * expected[key] + (1 - decay) * value
        average.update_parameters(model)

    state = average.module.state_dict()
    for key in expected:
        torch.testing.assert_close(state[key], expected[key], rtol=1e-13, atol=0)


def test_a_layer_may_have_the_name_of_what_wraps_a_model(imported: Callable[..., Any]) -> None:
    module = imported(spec(NETWORK.replace("conv2:", "module:")))
    model = module.Small()
    images, labels = torch.randn(4, 3, 8, 8), torch.tensor([0, 2, 1, 2])
    assert module.loss_of(model, model(images), labels).isfinite()
    assert module.first_overflow(model, images, torch.float32) == "none"


# ---------------------------------------------------------------- images


def as_tensor(image: np.ndarray) -> Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)


class Drawn:
    """Random numbers of torchvision, replaced by given ones."""

    def __init__(self, numbers: np.ndarray) -> None:
        tries = chain(*zip(numbers[:10], numbers[10:20], strict=True))
        self.numbers, self.place, self.value = tries, iter(numbers[20:]), 0.0
        self.log, self.tensor = np.log, np.array

    def empty(self, _: int) -> Drawn:
        """Return what the next numbers are read from."""
        return self

    def uniform_(self, low: float, high: float) -> Drawn:
        """Take the next number for an area or an aspect."""
        self.value = float(low + (high - low) * next(self.numbers))
        return self

    def exp(self, _: Drawn) -> Drawn:
        """Replace the last number by its exponential."""
        self.value = float(np.exp(self.value))
        return self

    def randint(self, low: int, high: int, size: tuple[int]) -> Drawn:
        """Take the next number for a place."""
        self.value = int(next(self.place) * high)
        return self

    def item(self) -> float:
        """Return the last number."""
        return self.value


@pytest.mark.parametrize(
    ("size", "line"),
    [
        ((60, 80), "crop area=[0.08, 1] aspect=[3/4, 4/3]"),
        ((7, 9), "crop area=[0.3, 1] aspect=[1/2, 2]"),
        ((40, 5), "crop area=[0.5, 1] aspect=[3/4, 4/3]"),  # no try fits
        ((5, 40), "crop area=[0.5, 1] aspect=[3/4, 4/3]"),
        ((30, 20), "crop area=[1, 1] aspect=[1, 1]"),
    ],
)
def test_boxes_are_those_of_torchvision(
    size: tuple[int, int], line: str, imported: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = imported(spec(train=f"{{ {line} }}"))
    area, aspect = (eval(part) for part in re.findall(r"\[.*?\]", line))
    from torchvision.transforms import transforms

    for index in range(200):
        numbers = module.draw(0, 0, index)
        monkeypatch.setattr(transforms, "torch", Drawn(numbers))
        image = torch.empty(3, *size)
        expected = transforms.RandomResizedCrop.get_params(image, area, aspect)
        assert module.crop_box(*size, numbers) == tuple(expected)


def test_an_image_smaller_than_its_crop_is_refused(imported: Callable[..., Any]) -> None:
    module = imported(spec(evaluate="{ center_crop }"))
    with pytest.raises(ValueError, match="an image of 7 x 9 is smaller than 8 x 8"):
        module.prepare(as_tensor(picture(7, 9)))


def test_grey_images(imported: Callable[..., Any], tmp_path: Path) -> None:
    networks = [NETWORK.replace("8x8 3", f"8x8 {n}") for n in (1, 3)]
    grey, colour = (imported(spec(network, train="{ flip }")) for network in networks)
    pixels = picture(9, 8)
    Image.fromarray(pixels).save(tmp_path / "colour.png")
    Image.fromarray(pixels[:, :, 0]).save(tmp_path / "grey.png")
    Image.fromarray(pixels[:, :, 0] * np.uint16(256) + 255).save(tmp_path / "deep.png")
    files = [str(tmp_path / f"{name}.png") for name in ("colour", "grey", "deep")]
    read = [module.Examples(files, np.zeros(3)) for module in (grey, colour)]

    luma = np.asarray(Image.fromarray(pixels).convert("L"))
    np.testing.assert_array_equal(read[0].image(0)[:, :, 0], luma)
    np.testing.assert_array_equal(read[1].image(0), pixels)
    for number in (1, 2):  # of 16 bits, the upper 8 count
        np.testing.assert_array_equal(read[0].image(number), pixels[:, :, :1])
        np.testing.assert_array_equal(read[1].image(number), np.repeat(pixels[:, :, :1], 3, 2))


# ---------------------------------------------------------------- folders


def test_a_folder_for_each_class(imported: Callable[..., Any], images: Path) -> None:
    train, val = imported(spec()).find_examples(images)
    assert [np.bincount(split.labels).tolist() for split in (train, val)] == [[10] * 3, [5] * 3]
    first = images / "train" / "class1" / "0.png"
    assert train.images[10] == str(first)
    np.testing.assert_array_equal(train.image(10), np.asarray(Image.open(first)))


def test_idx_files(imported: Callable[..., Any], tmp_path: Path) -> None:
    train, val = imported(spec(GREY, train="{ flip }")).find_examples(
        scripts.folder_of_idx(tmp_path)
    )
    assert (len(train), len(val)) == (40, 20)
    assert train.labels.dtype == np.int64 and train.labels[:4].tolist() == [0, 1, 2, 0]
    assert train.image(0).shape == (8, 8, 1)


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def holding(name: str, content: bytes) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).write_bytes(content)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: shutil.rmtree(folder), "error: no images (.bmp, .jpeg, "),
        (without("t10k-images-idx3-ubyte"), "t10k-images-idx3-ubyte.gz cannot be read"),
        (without("train-labels-idx1-ubyte.gz"), "train-labels-idx1-ubyte.gz cannot be read"),
        (holding("train-labels-idx1-ubyte", b"no"), "it does not begin with 0, 0, 8"),
        (holding("t10k-labels-idx1-ubyte", b"\0\0\x08\1\0\0\0\x09abc"), "as an IDX file"),
        (holding("train-images-idx3-ubyte.gz", b"\x1f\x8b\x08"), "as an IDX file"),
        (
            lambda folder: scripts.write_idx(folder / "train-labels-idx1-ubyte", np.zeros(7)),
            "the images and labels of train do not belong together",
        ),
        (
            lambda folder: scripts.folder_of_idx(folder, side=9),
            "the images of train are 9 x 9, not 8 x 8",
        ),
        (lambda folder: scripts.folder_of_idx(folder, classes=4), "build with --set classes=4"),
        (
            lambda folder: scripts.folder_of_idx(folder, count=5),
            "5 examples, a batch has 6",
        ),
    ],
)
def test_wrong_idx_files(
    change: Any, message: str, imported: Callable[..., Any], tmp_path: Path
) -> None:
    change(scripts.folder_of_idx(tmp_path / "data"))
    with pytest.raises(SystemExit) as stopped:
        imported(spec(GREY, train="{ flip }")).find_examples(tmp_path / "data")
    assert str(stopped.value).startswith("error: ") and message in str(stopped.value)
    assert str(tmp_path / "data") in str(stopped.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: shutil.rmtree(folder / "val"), "data/val/*/"),
        (lambda folder: shutil.rmtree(folder / "train"), "data/train/*/"),
        (lambda folder: shutil.rmtree(folder / "train" / "class1"), "val has classes that train"),
        (
            lambda folder: [path.unlink() for path in folder.glob("train/*/*")],
            "data/train/*/",
        ),
        (
            lambda folder: [shutil.rmtree(path) for path in folder.glob("*/class2")],
            "has 2 classes, the network 3: build with --set classes=2",
        ),
        (
            lambda folder: (
                [path.unlink() for path in folder.glob("train/*/[2-9]*")]
                and (folder / "train" / "class0" / "0.png").unlink()
            ),
            "has 5 examples, a batch has 6",
        ),
    ],
)
def test_wrong_folders(
    change: Any, message: str, imported: Callable[..., Any], tmp_path: Path
) -> None:
    change(scripts.folder_of_images(tmp_path / "data"))
    with pytest.raises(SystemExit) as stopped:
        imported(spec()).find_examples(tmp_path / "data")
    assert str(stopped.value).startswith("error: ") and message in str(stopped.value)


def test_classes_that_no_parameter_counts(imported: Callable[..., Any], images: Path) -> None:
    """What cannot be set is not advised."""
    module = imported(spec().replace("classes", "kinds").replace("kinds = 3", "kinds = 2"))
    with pytest.raises(SystemExit, match=r"has 3 classes, the network 2: its spec must have 3$"):
        module.find_examples(images)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_cannot_be_used_ends_the_run(
    workers: int, script: Path, images: Path, tmp_path: Path
) -> None:
    data = shutil.copytree(images, tmp_path / "data")
    for path in data.glob("train/class2/*"):
        path.write_bytes(b"no image")
    run = scripts.run(script, data, tmp_path / "run", f"--workers={workers}")

    assert run.code == 1
    place = f"error: {data}/train/class2/"
    last = run.said.strip().splitlines()[-1]
    assert last.startswith(place) and ".png cannot be used: cannot identify image file" in last


def test_an_image_may_be_refused_by_any_error(
    imported: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of Pillow are not all of one kind."""
    Image.new("RGB", (9, 9)).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    examples = imported(spec()).Examples([f"{tmp_path}/large.png"], np.zeros(1, np.int64))
    with pytest.raises(ValueError, match=r"large\.png cannot be used: Image size \(81 pixels\)"):
        examples[None, np.zeros(1, np.int64)]


def test_images_of_another_size(imported: Callable[..., Any], images: Path) -> None:
    """Without a crop nothing makes them as large as the input."""
    for text, source in ((spec(train="{ flip }"), (0, 0)), (spec(drop=["evaluate"]), None)):
        module = imported(text)
        examples, _ = module.find_examples(images)
        with pytest.raises(ValueError, match=r"0\.png cannot be used: it is 12 x 12, not 8 x 8"):
            examples[source, np.array([0])]


# ---------------------------------------------------------------- whole runs


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


def test_worker_processes_change_nothing(
    script: Path, images: Path, tmp_path: Path, whole: scripts.Run
) -> None:
    run = scripts.run(script, images, tmp_path / "run", "--log-every=1", "--workers=2")
    assert run.code == 0, run.said
    assert run.log() == whole.log()


def test_steps_end_a_run_early(
    script: Path, images: Path, tmp_path: Path, whole: scripts.Run
) -> None:
    options = ["--log-every=1", "--steps=7"]
    first = scripts.run(script, images, tmp_path / "run", *options)
    assert first.code == 0, first.said
    assert [row["step"] for row in first.log()][-1] == "7"

    again = scripts.run(script, images, tmp_path / "run", "--log-every=1", "--resume")
    assert again.code == 0, again.said
    assert again.log() == whole.log()


def test_what_the_command_line_refuses(
    script: Path, images: Path, tmp_path: Path, whole: scripts.Run
) -> None:
    file = f"{whole.output}/last.safetensors"
    for options, message in (
        (["--from", f"{whole.output}/log.csv"], "log.csv: it is not a .safetensors file\n"),
        (["--from", "nofile"], "error: --from nofile: No such file or directory\n"),
        (["--from", file, "--fresh", "logit"], "no key matches logit; near it are logits."),
        (["--freeze", "conv3*"], "no key matches conv3*; near it are conv"),
        (["--freeze", "*"], "--freeze leaves nothing to train"),
    ):
        run = scripts.run(script, images, tmp_path / "run", *options)
        assert run.code == 1 and message in run.said, run.said
        assert not (tmp_path / "run" / "log.csv").exists()


def test_weights_that_do_not_fit(
    script: Path, images: Path, tmp_path: Path, whole: scripts.Run
) -> None:
    other = weights(whole)
    other["logits.weight"], other["more"] = torch.zeros(4, 8), torch.zeros(1)
    del other["conv1.bn.bias"]
    save_file(other, tmp_path / "other.safetensors")
    run = scripts.run(script, images, tmp_path / "run", f"--from={tmp_path}/other.safetensors")

    assert run.code == 1
    for part in (
        'Missing key(s) in state_dict: "conv1.bn.bias"',
        '"more"',
        "size mismatch for logits.weight",
    ):
        assert part in run.said


def test_weights_that_are_not_finite_are_not_saved(
    imported: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An update may overflow although the loss before it was finite."""
    module = imported(spec())
    command = ["", "--data", "", "--output", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", command)
    run = module.Run(module.parse_arguments(), torch.device("cpu"), 9)
    run.save()
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    nn.init.constant_(run.model.logits.bias, torch.inf)
    run.step = 7
    with pytest.raises(SystemExit, match="weights are not finite after 7 steps"):
        run.save()
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_arrays_without_transforms_are_taken_as_they_are(
    imported: Callable[..., Any], tmp_path: Path
) -> None:
    data = scripts.folder_of_idx(tmp_path)
    numbers = np.array([5, 0, 3])
    for text, of_training, of_evaluation in (
        (forms("torch")["least"], torch.uint8, torch.uint8),
        (forms("torch")["arrays"], torch.uint8, torch.float32),
        (spec(GREY, train="{ flip }", drop=["evaluate"]), torch.float32, torch.uint8),
    ):
        module = imported(text)
        examples, _ = module.find_examples(data)
        for source, dtype in (((0, 0), of_training), (None, of_evaluation)):
            pixels, labels = examples[source, numbers]
            assert (pixels.shape, pixels.dtype) == ((3, 1, 8, 8), dtype)
            assert labels.tolist() == [2, 0, 0]
        if dtype == torch.uint8:
            expected = np.stack([examples.images[n] for n in numbers])
            assert torch.equal(pixels, torch.from_numpy(expected)[:, None])


def test_a_run_on_arrays(tmp_path: Path) -> None:
    script = scripts.built(tmp_path / "script", forms("torch")["least"], "torch")
    data = scripts.folder_of_idx(tmp_path / "data")
    run = scripts.run(script, data, tmp_path / "run", "--log-every=6")
    assert run.code == 0, run.said
    log = run.log()
    assert [(row["step"], bool(row["top1"])) for row in log] == [
        ("6", False),
        ("6", True),
        ("12", False),
        ("12", True),
        ("18", False),
        ("18", True),
    ]
    assert not (tmp_path / "run" / "average.safetensors").exists()


@pytest.mark.slow
def test_crops_of_evaluation_in_a_run(images: Path, tmp_path: Path) -> None:
    script = scripts.built(tmp_path / "script", forms("torch")["crops"], "torch")
    run = scripts.run(script, images, tmp_path / "run", "--save-every=2")
    assert run.code == 0, run.said
    assert [row["step"] for row in run.log() if row["top1"]] == ["5", "10", "15"]


#: Checks that nothing but the script holds the group of processes at its end, when that could hang.
ALONE = """\
        import gc
        assert not [x for x in gc.get_objects() if type(x) is DistributedDataParallel]
"""


@pytest.mark.slow
def test_processes_with_statistics_of_their_own(images: Path, tmp_path: Path) -> None:
    """They differ from those of one process, but the processes stay together."""
    text = spec(batch="6").replace("drop = 0.25", "drop = 0")
    script = scripts.built(tmp_path / "script", text, "torch")
    source, last = script.read_text("utf-8"), "        dist.destroy_process_group()\n"
    assert last in source
    script.write_text(source.replace(last, ALONE + last), "utf-8")
    one, two = (
        scripts.run(script, images, tmp_path / f"run{n}", "--log-every=1", processes=n)
        for n in (1, 2)
    )
    again = scripts.run(script, images, tmp_path / "again", "--steps=7", processes=2)
    again = scripts.run(
        script, images, tmp_path / "again", "--log-every=1", "--resume", processes=2
    )
    assert (one.code, two.code, again.code) == (0, 0, 0), two.said + again.said

    key = "conv1.bn.running_var"
    assert not torch.allclose(weights(one)[key], weights(two)[key], rtol=1e-3)
    assert all(torch.equal(w, weights(again)[k]) for k, w in weights(two).items())


def torchrun(
    script: Path, images: Path, tmp_path: Path, *options: str, processes: int = 2
) -> subprocess.Popen[str]:
    """Start processes, each with one that reads images."""
    site = tmp_path / "site"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text("import scripts; scripts._prepare()\n", "utf-8")
    paths = os.pathsep.join([str(site), str(Path(__file__).parent)])
    command = ["torch.distributed.run", f"--nproc-per-node={processes}", *options]
    command += [str(script), f"--data={images}"]
    return subprocess.Popen(
        [sys.executable, "-m", *command, f"--output={tmp_path}/run", "--workers=1"],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.slow
def test_torchrun_starts_processes(script: Path, images: Path, tmp_path: Path) -> None:
    run = torchrun(script, images, tmp_path)
    said, _ = run.communicate()
    assert run.returncode == 0, said
    assert "step 15 epoch 3.0 top1" in said
    assert (tmp_path / "run" / "curves.png").exists()


@pytest.mark.slow
def test_torchrun_on_two_machines(script: Path, images: Path, tmp_path: Path) -> None:
    place = ["--rdzv-backend=c10d", f"--rdzv-endpoint=localhost:{scripts._port()}"]
    options = ["--nnodes=2", *place, "--local-addr=localhost"]
    runs = [torchrun(script, images, tmp_path, *options, processes=1) for _ in range(2)]
    said = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], "".join(said)
    assert sum("step 15 epoch 3.0 top1" in each for each in said) == 1


@pytest.mark.slow
def test_a_run_of_torchrun_saves_when_it_is_asked_to_end(images: Path, tmp_path: Path) -> None:
    """Torchrun passes the signal on to whole groups of processes, with those that read images."""
    script = scripts.built(tmp_path / "script", spec(epochs="2000"), "torch")
    run = torchrun(script, images, tmp_path)
    assert run.stdout is not None
    said = [next(line for line in run.stdout if line.startswith("step 5 epoch 1.0 top1"))]
    run.terminate()
    said += run.communicate()[0]
    assert (tmp_path / "run" / "curves.png").exists(), "".join(said)
