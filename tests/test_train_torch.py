"""Training scripts of PyTorch: their text, each of their parts, and whole runs."""

from __future__ import annotations

import colorsys
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scripts
import small
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from scripts import check
from small import GREY, NETWORK, PLAIN, picture, spec
from torch import Tensor, nn

from incgen.compiling import compile_recipe
from incgen.recipes import rates

#: A line of the network, and the same with a normalisation of the other kind.
MORE, MORE_BN = (
    "    global_avg_pool\n    dropout",
    "    bn variance=unbiased\n    global_avg_pool\n    dropout",
)
CROP = "crop area=[0.3, 1] aspect=[3/4, 4/3]"


# ---------------------------------------------------------------- the text

GOLDEN = Path(__file__).parent / "golden" / "training"
#: Recipes that together have every form of a script.
FORMS = {
    **small.FORMS,
    "biased": spec(NETWORK.replace("caffe", "tf"), optimizer="rmsprop tf decay=0.9 eps=1"),
    "mixed": spec(
        NETWORK.replace("-> bn ->", "-> bn variance=biased ->", 1).replace(MORE, MORE_BN)
    ),
    "unscaled": spec(NETWORK.replace("-> bn ->", "-> bn scale=false ->", 1)),
    "crops": spec(evaluate="{ ten_crop }", optimizer="sgd momentum=0.5 nesterov=true rate=inside"),
}


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the scripts of all forms."""
    folder = tmp_path_factory.mktemp("forms")
    for name, text in FORMS.items():
        scripts.built(
            folder / name, text.replace("recipe r for", f"recipe {name} for"), "torch", name
        )
    return folder


def test_golden(update_goldens: bool, tmp_path: Path) -> None:
    source = scripts.built(tmp_path, spec(), "torch").read_text("utf-8").partition("\n")[2]
    golden = GOLDEN / "train_small_r_torch.py"
    if update_goldens:
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(source, "utf-8")
    assert source == golden.read_text("utf-8"), "to accept it: pytest --update-goldens"


def test_ruff_finds_nothing(forms: Path) -> None:
    beside = ("--config", 'src = ["*"]')  # the model is beside its script
    check("ruff", "check", "--isolated", *beside, "--select", "E,F,I,UP,B", ".", cwd=forms)
    check("ruff", "format", "--isolated", "--diff", ".", cwd=forms)


@pytest.mark.slow
def test_mypy_finds_nothing(forms: Path, tmp_path: Path) -> None:
    files = []
    for folder in forms.iterdir():
        for path in folder.glob("*.py"):  # each form has a model of the same name
            text = path.read_text("utf-8").replace("small_torch", f"{folder.name}_torch")
            files.append(path.name.replace("small_torch", f"{folder.name}_torch"))
            (tmp_path / files[-1]).write_text(text, "utf-8")
    cache = f"--cache-dir={tmp_path}/cache"
    check("mypy", "--strict", "--config-file=", cache, *files, cwd=tmp_path)


def test_only_what_a_recipe_needs_is_written(forms: Path) -> None:
    least = (forms / "least" / "train_small_least_torch.py").read_text("utf-8")
    for word in (
        "average",
        "SyncBatchNorm",
        "clip",
        "draw",
        "crop_box",
        "HEADS",
        "SMOOTHING",
        "L2",
    ):
        assert word not in least, word
    assert len(least.splitlines()) < 680


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
    """Return what imports the script of a spec."""

    @cache
    def script(text: str) -> Any:
        return scripts.loaded(scripts.built(tmp_path_factory.mktemp("part"), text, "torch"))

    return script


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scripts.folder_of_images(tmp_path_factory.mktemp("data"))


@pytest.fixture
def float64() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("sgd", small.sgd(0, False, False)),
        ("sgd momentum=0.75", small.sgd(0.75, False, False)),
        ("sgd momentum=0.75 nesterov=true", small.sgd(0.75, True, False)),
        ("sgd momentum=0.75 rate=inside", small.sgd(0.75, False, True)),
        ("sgd momentum=0.75 nesterov=true rate=inside", small.sgd(0.75, True, True)),
        ("rmsprop tf decay=0.9 momentum=0.75 eps=1", small.rmsprop("tf", 0.9, 0.75, 1)),
        ("rmsprop keras decay=0.9 momentum=0.75 eps=0.01", small.rmsprop("keras", 0.9, 0.75, 0.01)),
        ("rmsprop torch decay=0.9 momentum=0.75 eps=0.01", small.rmsprop("torch", 0.9, 0.75, 0.01)),
        ("rmsprop torch decay=0.9 eps=0.01", small.rmsprop("torch", 0.9, 0, 0.01)),
        ("adam eps=0.1", small.adam(0.9, 0.999, 0.1)),
        ("adamw beta2=0.95 decay=0.25", small.adam(0.9, 0.95, 1e-8, 0.25)),
    ],
)
@pytest.mark.usefixtures("float64")
def test_an_optimizer(line: str, expected: list[float], imported: Callable[..., Any]) -> None:
    module = imported(spec(optimizer=line))
    model = nn.Linear(1, 2, bias=False)
    nn.init.ones_(model.weight)
    optimizer = module.make_optimizer(model)
    for rate, gradients in zip(small.RATES, small.GRADIENTS, strict=True):
        model.weight.grad = torch.tensor(gradients)[:, None]
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()

    assert model.weight.flatten().tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.usefixtures("float64")
def test_adamw_decays_kernels_only(imported: Callable[..., Any]) -> None:
    module = imported(spec(optimizer="adamw beta2=0.95 decay=0.25"))
    model = module.Small()
    before = {key: w.detach().clone() for key, w in model.named_parameters()}
    for w in model.parameters():
        w.grad = torch.zeros_like(w)
    optimizer = module.make_optimizer(model)
    for group in optimizer.param_groups:
        group["lr"] = 0.5
    optimizer.step()

    for key, w in model.named_parameters():
        left = 1 - 0.5 * 0.25 if w.dim() > 1 else 1
        torch.testing.assert_close(w, left * before[key], rtol=1e-12, atol=0)


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


def test_processes_share_each_batch(
    imported: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that begins in the middle of an epoch sees what one from the start sees there."""
    module = imported(spec())
    whole = [(source, part.tolist()) for source, part in module.training_order(20, 7, 0, 7)]
    assert [source for source, _ in whole] == [(7, epoch) for epoch in (0, 0, 0, 1, 1, 1, 2)]
    for epoch in (0, 1):
        seen = module.order(epoch, 20, 7).tolist()
        assert [*chain(*(part for source, part in whole if source[1] == epoch))] == seen[:18]

    monkeypatch.setattr(module, "PROCESSES", 3)
    shares = []
    for rank in range(3):
        monkeypatch.setattr(module, "RANK", rank)
        shares.append([part.tolist() for _, part in module.training_order(20, 7, 4, 7)])
    assert [[*chain(*parts)] for parts in zip(*shares, strict=True)] == [p for _, p in whole[4:]]


@pytest.mark.usefixtures("float64")
def test_clipping(imported: Callable[..., Any]) -> None:
    def clipped(line: str, scale: float) -> list[float]:
        weights = [nn.Parameter(torch.zeros(n)) for n in (2, 1)]
        weights[0].grad, weights[1].grad = (
            torch.tensor([3.0, 0]) * scale,
            torch.tensor([4.0]) * scale,
        )
        imported(spec(clip=line)).clip(weights)
        return [value for w in weights for value in (w.grad if w.grad is not None else w).tolist()]

    assert clipped("norm 2", 1) == pytest.approx([1.2, 0, 1.6], rel=1e-15)
    assert clipped("norm 2", 0.25) == [0.75, 0, 1]
    assert clipped("norm 2", 0) == [0, 0, 0]
    assert clipped("value 3.5", 1) == [3, 0, 3.5]
    assert clipped("value 3.5", -1) == [-3, 0, -3.5]


@pytest.mark.parametrize(
    ("line", "decays"), [("0.9", [0.9] * 3), ("0.25 ramp=true", [0.1, 2 / 11, 0.25])]
)
@pytest.mark.usefixtures("float64")
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


@pytest.mark.parametrize("l2", [None, "0.125", "0"])
@pytest.mark.usefixtures("float64")
def test_the_loss(l2: str | None, imported: Callable[..., Any]) -> None:
    """Its own weight decay is of the convolutions, that of the recipe is of all kernels."""
    module = imported(spec(**({} if l2 is None else {"l2": l2})))
    torch.manual_seed(0)
    model, labels = module.Small(), [0, 2, 1, 2]
    outputs = model(torch.randn(4, 3, 8, 8))
    loss = module.loss_of(model, outputs, torch.tensor(labels))

    main, head = (output.detach().numpy() for output in outputs)
    expected = small.cross_entropy(main, labels, 0.1) + 0.3 * small.cross_entropy(head, labels, 0.1)
    for weight in model.parameters():
        if weight.dim() == 4:
            expected += (
                (0.01 if l2 is None else float(l2)) / 2 * float(weight.detach().square().sum())
            )
        elif weight.dim() == 2:
            expected += float(l2 or 0) / 2 * float(weight.detach().square().sum())
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-13)


def test_a_layer_may_have_the_name_of_what_wraps_a_model(imported: Callable[..., Any]) -> None:
    module = imported(spec(NETWORK.replace("conv2:", "module:")))
    model = module.Small()
    images, labels = torch.randn(4, 3, 8, 8), torch.tensor([0, 2, 1, 2])
    assert module.loss_of(model, model(images), labels).isfinite()
    assert module.first_overflow(model, images, torch.float32) == "none"


@pytest.mark.usefixtures("float64")
def test_the_loss_of_a_network_without_heads_and_decay(imported: Callable[..., Any]) -> None:
    module = imported(spec(PLAIN, loss="cross_entropy"))
    logits, labels = torch.randn(4, 3), [0, 2, 1, 2]
    loss = module.loss_of(module.Small(), logits, torch.tensor(labels))

    assert float(loss) == pytest.approx(small.cross_entropy(logits.numpy(), labels, 0), rel=1e-13)


def test_half_precision_does_not_round_the_loss(imported: Callable[..., Any]) -> None:
    module = imported(spec(PLAIN, loss="cross_entropy"))
    logits = torch.tensor([[3.0, 2.75, -1.0]], dtype=torch.bfloat16)
    loss = module.loss_of(module.Small(), logits, torch.tensor([0]))

    assert float(loss) == pytest.approx(
        small.cross_entropy(logits.double().numpy(), [0], 0), rel=1e-6
    )


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


@pytest.mark.parametrize("size", [(37, 29), (6, 9)])
@pytest.mark.parametrize(
    ("number", "mode"),
    [
        (0.0, Image.Resampling.NEAREST),
        (0.34, Image.Resampling.BILINEAR),
        (0.99, Image.Resampling.BICUBIC),
    ],
)
def test_crops_are_those_of_pillow(
    size: tuple[int, int], number: float, mode: Any, imported: Callable[..., Any]
) -> None:
    module, image = imported(spec(train=f"{{ {CROP} interpolation=random }}")), picture(*size)
    numbers = module.draw(0, 0, 0)
    numbers[23] = number
    box = module.crop_box(*size, numbers)
    pixels = module.transform(as_tensor(image), numbers).numpy()

    assert pixels.dtype == np.float32
    np.testing.assert_allclose(
        pixels, small.by_pillow(image, box, (8, 8), mode).clip(0, 255), atol=1e-3
    )


def test_a_crop_is_bilinear_unless_it_says_otherwise(imported: Callable[..., Any]) -> None:
    module, image = imported(spec(train=f"{{ {CROP} }}")), picture(37, 29)
    numbers = module.draw(0, 0, 0)
    pixels = module.transform(as_tensor(image), numbers).numpy()

    expected = small.by_pillow(image, module.crop_box(37, 29, numbers), (8, 8), Image.BILINEAR)
    np.testing.assert_allclose(pixels, expected, atol=1e-3)


def test_flips(imported: Callable[..., Any]) -> None:
    module, image = imported(spec(train="{ flip 0.25 }")), as_tensor(picture(8, 8))
    numbers = np.full(32, 0.9)
    assert torch.equal(module.transform(image, numbers), image.float())
    for number, flipped in ((0.2499, True), (0.25, False)):
        numbers[22] = number
        expected = image.float().flip(2) if flipped else image.float()
        assert torch.equal(module.transform(image, numbers), expected)


@pytest.mark.parametrize(
    ("line", "place", "expected"),
    [
        ("brightness=0.2", 24, small.lighter),
        ("contrast=[0.5, 1.5]", 25, small.contrasted),
        ("saturation=[0.5, 1.5]", 26, small.saturated),
    ],
)
@pytest.mark.parametrize("number", [0.0, 0.3, 0.9])
def test_colours_are_those_of_pillow(
    line: str, place: int, expected: Any, number: float, imported: Callable[..., Any]
) -> None:
    """Pillow rounds the grey image or its mean, and the result."""
    module, image = imported(spec(train=f"{{ color {line} }}")), picture(8, 8)
    numbers = np.full(32, 0.5)
    numbers[place] = number
    pixels = module.transform(as_tensor(image), numbers).permute(1, 2, 0).numpy()

    other = np.asarray(expected(Image.fromarray(image), number)).astype(float)
    assert np.abs(pixels - other).max() <= 1.5
    assert np.abs(pixels - image).max() > 20


@pytest.mark.parametrize("number", [0.0, 0.5, 0.8])
def test_hue_turns(number: float, imported: Callable[..., Any]) -> None:
    module, image = imported(spec(train="{ color hue=0.2 }")), picture(8, 8)
    numbers = np.full(32, 0.1)
    numbers[27] = number
    pixels = module.transform(as_tensor(image), numbers).permute(1, 2, 0).numpy()

    for value, pixel in zip(pixels.reshape(-1, 3), image.reshape(-1, 3) / 255, strict=True):
        hue, saturation, brightness = colorsys.rgb_to_hsv(*pixel)
        turned = colorsys.hsv_to_rgb((hue + 0.2 * (2 * number - 1)) % 1, saturation, brightness)
        assert value == pytest.approx(255 * np.array(turned), abs=1e-2)


def test_colours_change_in_order_and_stay_pixels(imported: Callable[..., Any]) -> None:
    """Each value is clipped before the next change, so that the order can be told."""
    line = "color brightness=0.5 contrast=[2, 2] saturation=[0.5, 0.5]"
    module, image = imported(spec(train=f"{{ {line} }}")), picture(8, 8)
    numbers = np.full(32, 0.9)
    pixels = module.transform(as_tensor(image), numbers).double().permute(1, 2, 0).numpy()

    x = (image + 255 * 0.5 * 0.8).clip(0, 255)
    grey = np.array([0.299, 0.587, 0.114])
    mean = (x @ grey).mean()
    x = ((x - mean) * 2 + mean).clip(0, 255)
    x = (x @ grey)[..., None] + 0.5 * (x - (x @ grey)[..., None])
    np.testing.assert_allclose(pixels, x, atol=1e-3)


@pytest.mark.parametrize("size", [(37, 29), (20, 50), (11, 11)])
def test_evaluation_resizes_and_crops(size: tuple[int, int], imported: Callable[..., Any]) -> None:
    module, image = imported(spec(evaluate="{ resize 11 -> center_crop }")), picture(*size)
    pixels = module.prepare(as_tensor(image)).numpy()

    scaled = {(37, 29): (14, 11), (20, 50): (11, 28), (11, 11): (11, 11)}[size]
    expected = small.by_pillow(image, (0, 0, *size), scaled, Image.BILINEAR)
    top, left = {(14, 11): (3, 1), (11, 28): (1, 10), (11, 11): (1, 1)}[scaled]
    np.testing.assert_allclose(pixels, expected[:, top : top + 8, left : left + 8], atol=1e-3)


def test_ten_crops(imported: Callable[..., Any]) -> None:
    module, image = imported(spec(evaluate="{ ten_crop }")), picture(11, 13)
    pixels = module.prepare(as_tensor(image)).numpy()

    places = [(0, 0), (0, 5), (3, 0), (3, 5), (1, 2)]
    crops = [np.moveaxis(image[y : y + 8, x : x + 8], -1, 0) for y, x in places]
    np.testing.assert_array_equal(pixels, [*crops, *(crop[:, :, ::-1] for crop in crops)])


def test_an_image_smaller_than_its_crop_is_refused(imported: Callable[..., Any]) -> None:
    module = imported(spec(evaluate="{ center_crop }"))
    with pytest.raises(ValueError, match="an image of 7 x 9 is smaller than 8 x 8"):
        module.prepare(as_tensor(picture(7, 9)))


@pytest.mark.parametrize("size", [(80, 60), (61, 99)])
def test_the_144_crops_of_googlenet(size: tuple[int, int], imported: Callable[..., Any]) -> None:
    """For crops of 28 the shorter side is 32, 36, 40 and 44: the paper's sizes by 224 / 28."""
    text = spec(NETWORK.replace("8x8 3", "28x28 3"), evaluate="{ multi_crop }", drop=["train"])
    module, image = imported(text), picture(*size)
    crops = module.prepare(as_tensor(image)).numpy()

    expected = small.crops_of_googlenet(image, 28)
    assert len(expected) == 144
    np.testing.assert_allclose(crops, expected, atol=2e-3)


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


def test_images_of_another_size(imported: Callable[..., Any], images: Path) -> None:
    """Without a crop nothing makes them as large as the input."""
    for text, source in ((spec(train="{ flip }"), (0, 0)), (spec(drop=["evaluate"]), None)):
        module = imported(text)
        examples, _ = module.find_examples(images)
        with pytest.raises(ValueError, match=r"0\.png cannot be used: it is 12 x 12, not 8 x 8"):
            examples[source, np.array([0])]


# ---------------------------------------------------------------- evaluation


class Answers(nn.Module):
    """A network whose logits are its input."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the input."""
        return x


@pytest.mark.parametrize("crops", [1, 10])
def test_evaluation(crops: int, imported: Callable[..., Any]) -> None:
    """Top-5 counts from six classes on; crops share the mean of their probabilities."""
    network = NETWORK.replace("classes = 3", "classes = 7")
    line = "{ ten_crop }" if crops == 10 else "{ center_crop }"
    module = imported(spec(network, evaluate=line))
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(0, 2, (9 * crops, 7)), rng.integers(0, 7, 9)
    batches = [
        (torch.tensor(logits[crops * a : crops * b]), torch.tensor(labels[a:b]))
        for a, b in ((0, 4), (4, 8), (8, 9))
    ]
    scores = module.evaluate(Answers(), batches, 9, torch.float32)

    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    p = p.reshape(9, crops, 7).mean(1)
    better = (p > p[range(9), labels][:, None]).sum(1)
    assert scores == pytest.approx(
        {
            "top1": (better == 0).mean(),
            "top5": (better < 5).mean(),
            "val_loss": -np.log(p[range(9), labels]).mean(),
        }
    )


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
    run = module.Run(module.parse_arguments(), torch.device("cpu"))
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
        (FORMS["least"], torch.uint8, torch.uint8),
        (FORMS["arrays"], torch.uint8, torch.float32),
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
    script = scripts.built(tmp_path / "script", FORMS["least"], "torch")
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
@pytest.mark.parametrize(
    "options", [["--precision=bfloat16"], ["--precision=float16"], ["--compile"]], ids=str
)
def test_other_arithmetic(options: list[str], images: Path, tmp_path: Path) -> None:
    text = spec().replace("drop = 0.25", "drop = 0")  # compiled, it draws other numbers
    script = scripts.built(tmp_path / "script", text, "torch")
    whole, run = (
        scripts.run(script, images, tmp_path / f"run{len(more)}", "--log-every=1", *more)
        for more in ([], options)
    )
    assert (whole.code, run.code) == (0, 0), run.said
    assert run.log() != whole.log()
    for row, other in zip(run.log(), whole.log(), strict=True):
        if row["loss"]:
            assert float(row["loss"]) == pytest.approx(float(other["loss"]), rel=0.05)


@pytest.mark.slow
def test_crops_of_evaluation_in_a_run(images: Path, tmp_path: Path) -> None:
    script = scripts.built(tmp_path / "script", FORMS["crops"], "torch")
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
