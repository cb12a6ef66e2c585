"""The parts of training scripts that compute the same in every framework.

`parts_TARGET.py` calls them. Images are (N, H, W, C) here, as many crops as there are, and what is
passed to `parts` beside the module of a script is plain or of NumPy.
"""

from __future__ import annotations

import colorsys
import importlib
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scripts
import small
from PIL import Image
from safetensors.numpy import save_file
from scripts import same
from small import NETWORK, PLAIN, STILL, Array, picture, spec

from incgen.targets import TARGETS

CROP = "crop area=[0.3, 1] aspect=[3/4, 4/3]"


@pytest.fixture(scope="module", params=TARGETS)
def target(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def parts(target: str) -> Any:
    return importlib.import_module(f"parts_{target}")


@pytest.fixture(scope="module")
def imported(target: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    return scripts.importer(tmp_path_factory, target)


@pytest.fixture
def float64(parts: Any) -> Iterator[None]:
    with parts.float64():
        yield


# ---------------------------------------------------------------- a step


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("sgd", small.sgd(0, False, False)),
        ("sgd nesterov=true", small.sgd(0, True, False)),  # which PyTorch's own refuses
        ("sgd nesterov=true rate=inside", small.sgd(0, True, True)),
        ("sgd momentum=0.75", small.sgd(0.75, False, False)),
        ("sgd momentum=0.9", small.sgd(0.9, False, False)),
        ("sgd momentum=0.75 nesterov=true", small.sgd(0.75, True, False)),
        ("sgd momentum=0.75 rate=inside", small.sgd(0.75, False, True)),
        ("sgd momentum=0.75 nesterov=true rate=inside", small.sgd(0.75, True, True)),
        ("rmsprop tf decay=0.9 momentum=0.75 eps=1", small.rmsprop("tf", 0.9, 0.75, 1)),
        ("rmsprop keras decay=0.9 momentum=0.75 eps=0.01", small.rmsprop("keras", 0.9, 0.75, 0.01)),
        ("rmsprop torch decay=0.9 momentum=0.75 eps=0.01", small.rmsprop("torch", 0.9, 0.75, 0.01)),
        ("rmsprop torch decay=0.9 eps=0.01", small.rmsprop("torch", 0.9, 0, 0.01)),
        ("adam eps=0.1", small.adam(0.9, 0.999, 0.1)),
        ("adam beta1=0 eps=0.1", small.adam(0, 0.999, 0.1)),  # of PyTorch, both are floats
        ("adam beta1=0 beta2=0 eps=0.1", small.adam(0, 0, 0.1)),
        ("adamw beta1=0 decay=0", small.adam(0, 0.999, 1e-8, 0)),
        ("adamw beta2=0.95 decay=0.25", small.adam(0.9, 0.95, 1e-8, 0.25)),
    ],
)
@pytest.mark.usefixtures("float64")
def test_an_optimizer(
    line: str, expected: list[float], target: str, parts: Any, imported: Callable[[str], Any]
) -> None:
    """In Keras also in a class of its own, which clips."""
    texts = [spec(optimizer=line, drop=["clip"])]
    texts += [spec(optimizer=line, clip="value 100")] if target == "keras" else []
    for text in texts:
        assert parts.optimised(imported(text)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.usefixtures("float64")
def test_adamw_decays_kernels_only(parts: Any, imported: Callable[[str], Any]) -> None:
    before, after = parts.decayed(imported(spec(optimizer="adamw beta2=0.95 decay=0.25")), 0.5)
    same(after, {key: w * (1 - 0.5 * 0.25 * (w.ndim > 1)) for key, w in before.items()}, 1e-12)
    assert {w.ndim > 1 for w in before.values()} == {False, True}


@pytest.mark.usefixtures("float64")
def test_clipping(parts: Any, imported: Callable[[str], Any]) -> None:
    def clipped(line: str, scale: float) -> list[float]:
        module = imported(spec(clip=line, optimizer="sgd"))
        values: list[float] = parts.clipped(module, [[3.0 * scale, 0.0], [4.0 * scale]])
        return values

    assert clipped("norm 2", 1) == pytest.approx([1.2, 0, 1.6], rel=1e-15)
    assert clipped("norm 2", 0.25) == [0.75, 0, 1]
    assert clipped("norm 2", 0) == [0, 0, 0]
    assert clipped("value 3.5", 1) == [3, 0, 3.5]
    assert clipped("value 3.5", -1) == [-3, 0, -3.5]


@pytest.mark.parametrize("l2", [None, "0.125", "0"])
@pytest.mark.usefixtures("float64")
def test_the_loss(l2: str | None, parts: Any, imported: Callable[[str], Any]) -> None:
    """Its own weight decay is of the convolutions, that of the recipe is of all kernels."""
    module = imported(spec(STILL, **({} if l2 is None else {"l2": l2})))
    images, labels = np.random.default_rng(0).normal(size=(4, 8, 8, 3)), [0, 2, 1, 2]
    loss, (main, head), weights = parts.loss_of(module, images, labels)

    expected = small.cross_entropy(main, labels, 0.1) + 0.3 * small.cross_entropy(head, labels, 0.1)
    for w in weights:
        decay = {4: 0.01 if l2 is None else float(l2), 2: float(l2 or 0)}.get(w.ndim, 0)
        expected += decay / 2 * float((w**2).sum())
    assert loss == pytest.approx(expected, rel=1e-13)


@pytest.mark.usefixtures("float64")
def test_the_loss_of_a_network_without_heads_and_decay(
    parts: Any, imported: Callable[[str], Any]
) -> None:
    images, labels = np.random.default_rng(0).normal(size=(4, 8, 8, 3)), [0, 2, 1, 2]
    loss, (logits,), _ = parts.loss_of(imported(spec(PLAIN, loss="cross_entropy")), images, labels)
    assert loss == pytest.approx(small.cross_entropy(logits, labels, 0), rel=1e-13)


@pytest.mark.parametrize("smoothing", ["0", "0.25"])
def test_half_precision_does_not_round_the_loss(
    smoothing: str, parts: Any, imported: Callable[[str], Any]
) -> None:
    module = imported(spec(PLAIN, loss=f"cross_entropy smoothing={smoothing}"))
    loss, logits = parts.half_loss(module, [3.0, 2.75, -1.0], 0)
    assert loss == pytest.approx(small.cross_entropy(logits, [0], float(smoothing)), rel=1e-6)


# ---------------------------------------------------------------- images


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
    size: tuple[int, int], number: float, mode: Any, parts: Any, imported: Callable[[str], Any]
) -> None:
    module, image = imported(spec(train=f"{{ {CROP} interpolation=random }}")), picture(*size)
    numbers = module.draw(0, 0, 0)
    numbers[23] = number
    pixels = parts.transformed(module, image, numbers)

    assert pixels.dtype == np.float32
    expected = small.by_pillow(image, parts.box(module, size, numbers), (8, 8), mode)
    np.testing.assert_allclose(
        pixels, np.moveaxis(expected, 0, -1).clip(0, 255), rtol=0, atol=parts.APART
    )


@pytest.mark.parametrize("size", [(37, 29), (6, 9)])
def test_a_crop_is_bilinear_unless_it_says_otherwise(
    size: tuple[int, int], parts: Any, imported: Callable[[str], Any]
) -> None:
    """By the formula: a triangle, as wide as a pixel of the result if the image shrinks."""
    module, image = imported(spec(train=f"{{ {CROP} }}")), picture(*size)
    numbers = module.draw(0, 0, 0)
    pixels = parts.transformed(module, image, numbers)

    top, left, h, w = parts.box(module, size, numbers)
    box = image[top : top + h, left : left + w].astype("float64")
    expected = np.einsum("yh,hwc,xw->yxc", triangles(h, 8), box, triangles(w, 8))
    np.testing.assert_allclose(pixels, expected, rtol=0, atol=1e-3)


def triangles(length: int, size: int) -> Array:
    """Return the weights (size, length) of pixels in a resized line of them."""
    scale = length / size
    centres = (np.arange(size)[:, None] + 0.5) * scale
    apart = np.abs(np.arange(length) + 0.5 - centres) / max(scale, 1)
    weights = np.maximum(0, 1 - apart)
    return weights / weights.sum(1, keepdims=True)


@pytest.mark.parametrize("size", [(8, 8), (5, 6), (13, 9)])
@pytest.mark.parametrize(("pad", "border"), [(2, "zero"), (3, "reflect")])
def test_crops_of_padded_images_are_those_of_pillow(
    size: tuple[int, int], pad: int, border: str, parts: Any, imported: Callable[[str], Any]
) -> None:
    """Each place of n is that of an n-th of the numbers."""
    module = imported(spec(train=f"{{ random_crop pad={pad} border={border} }}"))
    image, numbers = picture(*size), [0.5] * 32
    whole = small.padded(image, pad, border)
    rows, columns = (length - 8 + 1 for length in whole.shape[:2])
    for n in range(max(rows, columns)):
        top, left = n % rows, -n % columns
        numbers[20:22] = (top + 0.01) / rows, (left + 0.99) / columns
        pixels = parts.transformed(module, image, numbers)

        assert pixels.dtype == np.float32
        np.testing.assert_array_equal(pixels, whole[top : top + 8, left : left + 8])
    assert np.array_equal(whole[pad:-pad, pad:-pad], image)


def test_a_random_crop_without_a_border(parts: Any, imported: Callable[[str], Any]) -> None:
    module, image = imported(spec(train="{ random_crop -> flip 0 }")), picture(9, 11)
    for r, (top, left) in ((0.0, (0, 0)), (0.6, (1, 2)), (1 - 2**-53, (1, 3))):
        pixels = parts.transformed(module, image, [r] * 32)
        np.testing.assert_array_equal(pixels, image[top : top + 8, left : left + 8])


@pytest.mark.parametrize(
    ("line", "size", "reason"),
    [
        ("random_crop", (7, 9), "smaller than 8 x 8"),
        ("random_crop pad=2", (9, 3), "too small for random_crop 8 pad=2"),
        ("random_crop pad=4 border=reflect", (9, 4), "too small for random_crop 8 pad=4"),
    ],
)
def test_an_image_that_is_too_small_for_a_crop(
    line: str,
    size: tuple[int, int],
    reason: str,
    parts: Any,
    imported: Callable[[str], Any],
) -> None:
    module, (height, width) = imported(spec(train=f"{{ {line} }}")), size
    with pytest.raises(Exception, match=reason):
        parts.transformed(module, picture(height, width), [0.5] * 32)
    larger = parts.transformed(module, picture(height + 1, width + 1), [0.5] * 32)
    assert larger.shape == (8, 8, 3)


def test_flips(parts: Any, imported: Callable[[str], Any]) -> None:
    module, image, numbers = imported(spec(train="{ flip 0.25 }")), picture(8, 8), [0.9] * 32
    np.testing.assert_array_equal(parts.transformed(module, image, numbers), image)
    for number, expected in ((0.2499, image[:, ::-1]), (0.25, image)):
        numbers[22] = number
        np.testing.assert_array_equal(parts.transformed(module, image, numbers), expected)


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
    line: str,
    place: int,
    expected: Any,
    number: float,
    parts: Any,
    imported: Callable[[str], Any],
) -> None:
    """Pillow rounds the grey image or its mean, and the result."""
    module, image, numbers = imported(spec(train=f"{{ color {line} }}")), picture(8, 8), [0.5] * 32
    numbers[place] = number
    pixels = parts.transformed(module, image, numbers)

    assert pixels.dtype == np.float32
    other = np.asarray(expected(Image.fromarray(image), number)).astype(float)
    assert np.abs(pixels - other).max() <= 1.5
    assert np.abs(pixels - image).max() > 20


@pytest.mark.parametrize("number", [0.0, 0.5, 0.8])
def test_hue_turns(number: float, parts: Any, imported: Callable[[str], Any]) -> None:
    module, image, numbers = imported(spec(train="{ color hue=0.2 }")), picture(8, 8), [0.1] * 32
    numbers[27] = number
    pixels = parts.transformed(module, image, numbers)

    assert pixels.dtype == np.float32
    for value, pixel in zip(pixels.reshape(-1, 3), image.reshape(-1, 3) / 255, strict=True):
        hue, saturation, brightness = colorsys.rgb_to_hsv(*pixel)
        turned = colorsys.hsv_to_rgb((hue + 0.2 * (2 * number - 1)) % 1, saturation, brightness)
        assert value == pytest.approx(255 * np.array(turned), abs=1e-2)


def test_colours_change_in_order_and_stay_pixels(
    parts: Any, imported: Callable[[str], Any]
) -> None:
    """Each value is clipped before the next change, so that the order can be told."""
    line = "color brightness=0.5 contrast=[2, 2] saturation=[0.5, 0.5]"
    module, image = imported(spec(train=f"{{ {line} }}")), picture(8, 8)
    pixels = parts.transformed(module, image, [0.9] * 32)

    x = (image + 255 * 0.5 * 0.8).clip(0, 255)
    grey = np.array([0.299, 0.587, 0.114])
    mean = (x @ grey).mean()
    x = ((x - mean) * 2 + mean).clip(0, 255)
    x = (x @ grey)[..., None] + 0.5 * (x - (x @ grey)[..., None])
    np.testing.assert_allclose(pixels, x, rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    ("size", "scaled", "corner"),
    [((37, 29), (14, 11), (3, 1)), ((20, 50), (11, 28), (1, 10)), ((11, 11), (11, 11), (1, 1))],
)
def test_evaluation_resizes_and_crops(
    size: tuple[int, int],
    scaled: tuple[int, int],
    corner: tuple[int, int],
    parts: Any,
    imported: Callable[[str], Any],
) -> None:
    module, image = imported(spec(evaluate="{ resize 11 -> center_crop }")), picture(*size)
    pixels, (top, left) = parts.prepared(module, image), corner

    expected = small.by_pillow(image, (0, 0, *size), scaled, Image.Resampling.BILINEAR)
    expected = np.moveaxis(expected[:, top : top + 8, left : left + 8], 0, -1)
    np.testing.assert_allclose(pixels, expected, rtol=0, atol=parts.APART)


def test_ten_crops(parts: Any, imported: Callable[[str], Any]) -> None:
    module, image = imported(spec(evaluate="{ ten_crop }")), picture(11, 13)
    places = [(0, 0), (0, 5), (3, 0), (3, 5), (1, 2)]
    crops = [image[y : y + 8, x : x + 8] for y, x in places]
    mirrored = [crop[:, ::-1] for crop in crops]
    np.testing.assert_array_equal(parts.prepared(module, image), [*crops, *mirrored])


@pytest.mark.parametrize("size", [(80, 60), (61, 99)])
def test_the_144_crops_of_googlenet(
    size: tuple[int, int], parts: Any, imported: Callable[[str], Any]
) -> None:
    """For crops of 28 the shorter side is 32, 36, 40 and 44: the paper's sizes by 224 / 28."""
    text = spec(NETWORK.replace("8x8 3", "28x28 3"), evaluate="{ multi_crop }", drop=["train"])
    crops = parts.prepared(imported(text), picture(*size))

    expected = np.moveaxis(np.stack(small.crops_of_googlenet(picture(*size), 28)), 1, -1)
    assert len(expected) == 144
    np.testing.assert_allclose(crops, expected, rtol=0, atol=2 * parts.APART)


@pytest.mark.parametrize("target", ["torch", "flax"], indirect=True, scope="module")
def test_processes_share_each_batch(
    target: str, parts: Any, imported: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that begins in the middle of an epoch sees what one from the start sees there."""
    module = imported(spec())
    whole = [(source, part.tolist()) for source, part in module.training_order(20, 7, 0, 7)]
    assert [source for source, _ in whole] == [(7, epoch) for epoch in (0, 0, 0, 1, 1, 1, 2)]
    for epoch in (0, 1):
        seen = module.order(epoch, 20, 7).tolist()
        assert [*chain(*(part for source, part in whole if source[1] == epoch))] == seen[:18]

    shares, evaluated = [], []
    for rank in range(3):
        parts.be_process(monkeypatch, module, rank, 3)
        shares.append([part.tolist() for _, part in module.training_order(20, 7, 4, 7)])
        if target == "flax":
            evaluated.append([part.tolist() for _, part in module.evaluation_order(20)])
    assert [[*chain(*parts)] for parts in zip(*shares, strict=True)] == [p for _, p in whole[4:]]
    if target == "flax":
        joined = [*chain(*(chain(*parts) for parts in zip(*evaluated, strict=True)))]
        assert joined == [*range(20), -1, -1, -1, -1]


@pytest.mark.parametrize("crops", [1, 10])
@pytest.mark.usefixtures("float64")
def test_evaluation(crops: int, parts: Any, imported: Callable[[str], Any]) -> None:
    """Top-5 counts from six classes on; crops share the mean of their probabilities."""
    line = "{ ten_crop }" if crops == 10 else "{ center_crop }"
    module = imported(spec(NETWORK.replace("classes = 3", "classes = 7"), evaluate=line))
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(0, 2, (9, crops, 7)), rng.integers(0, 7, 9)
    labels[[2, 5]] = -1  # fills up a batch
    scores = parts.scores(module, logits if crops > 1 else logits[:, 0], labels)

    logits, labels = np.delete(logits, [2, 5], 0), np.delete(labels, [2, 5])
    p = (np.exp(logits) / np.exp(logits).sum(2, keepdims=True)).mean(1)
    better = (p > p[range(7), labels][:, None]).sum(1)
    expected = [(better == 0).sum(), (better < 5).sum(), -np.log(p[range(7), labels]).sum()]
    assert scores == pytest.approx(expected, rel=1e-12)


def test_probabilities_of_crops_may_be_too_small_for_a_float(
    parts: Any, imported: Callable[[str], Any]
) -> None:
    """Their logarithm is not: exp(-1000) is 0, and -log(0) was the loss of all images."""
    text = spec(NETWORK.replace("classes = 3", "classes = 7"), evaluate="{ ten_crop }")
    logits = np.zeros((9, 10, 7), np.float32)
    logits[:, :, 0] = 1000
    scores = parts.scores(imported(text), logits, np.full(9, 3))
    assert scores == pytest.approx([0, 9, 9000])


# ---------------------------------------------------------------- weights

#: Frameworks whose scripts load, save and freeze weights by functions of their own.
own_functions = pytest.mark.parametrize("target", ["keras", "flax"], indirect=True, scope="module")


@own_functions
def test_frozen_statistics_freeze_a_normalisation(
    parts: Any, imported: Callable[[str], Any]
) -> None:
    module = imported(spec())
    model = parts.made(module)
    module.freeze(model, ["conv1.bn.running_mean", "conv2.bn.bias"])

    assert parts.trained(module, model) == {
        "conv1.conv.weight",
        "conv2.conv.weight",
        "conv2.bn.weight",
        "early.fc.weight",
        "early.fc.bias",
        "logits.weight",
        "logits.bias",
    }
    assert parts.is_frozen(model, "conv1") and not parts.is_frozen(model, "conv2")
    with pytest.raises(SystemExit, match="--freeze leaves nothing to train"):
        module.freeze(model, ["*"])


@own_functions
def test_weights_that_do_not_fit(
    parts: Any, imported: Callable[[str], Any], tmp_path: Path
) -> None:
    module, file = imported(spec()), tmp_path / "other.safetensors"
    other = parts.tensors(module, parts.made(module))
    other["logits.weight"], other["more"] = np.zeros((4, 8)), np.zeros(1)
    del other["conv1.bn.bias"]
    save_file(other, file)

    with pytest.raises(SystemExit) as stopped:
        module.load_weights(parts.made(module), file, [])
    for part in ("missing: conv1.bn.bias", "unexpected: more", "misshapen: logits.weight"):
        assert part in str(stopped.value)
    module.load_weights(parts.made(module), file, ["more", "logits", "conv1.bn.bias"])


@own_functions
def test_what_is_refused(parts: Any, imported: Callable[[str], Any], tmp_path: Path) -> None:
    module, file, log = imported(spec()), tmp_path / "last.safetensors", tmp_path / "log.csv"
    model = parts.made(module)
    save_file(parts.tensors(module, model), file)
    log.write_text("step,epoch\n0,0\n")
    load = partial(module.load_weights, model)
    for call, message in (
        (lambda: load(log, []), f"error: --from {log}: it is not a .safetensors file"),
        (lambda: load(file, ["logit"]), "no key matches logit; near it are"),
        (lambda: module.freeze(model, ["conv3*"]), "no key matches conv3*; near it are conv"),
        (lambda: module.find_examples(tmp_path / "none"), "error: no images (.bmp, .jpeg, "),
    ):
        with pytest.raises(SystemExit) as stopped:
            call()
        assert message in str(stopped.value)


@own_functions
def test_weights_files_hold_every_kind_of_kernel(
    target: str, parts: Any, imported: Callable[[str], Any], tmp_path: Path
) -> None:
    """Load again what was saved: also depthwise and grouped kernels."""
    module = imported(small.forms(target)["depth"])
    one, other = (parts.made(module, seed) for seed in (0, 1))
    save_file(parts.tensors(module, one), tmp_path / "a.safetensors")
    module.load_safetensors(other, tmp_path / "a.safetensors")
    same(parts.tensors(module, other), parts.tensors(module, one))
