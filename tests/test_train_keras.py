"""Training scripts of Keras: what is their own, in parts and in whole runs."""

from __future__ import annotations

import ast
import math
import shutil
from collections.abc import Callable
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scripts
import tensorflow as tf
from parts_keras import float64
from PIL import Image
from small import GREY, NETWORK, picture, spec

from incgen.compiling import compile_recipe
from incgen.targets.shared import training

# ---------------------------------------------------------------- the text


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    return scripts.importer(tmp_path_factory, "keras")


@pytest.mark.parametrize("name", ["run", "order", "compiled"])
def test_a_network_with_a_name_of_the_script(name: str, tmp_path: Path) -> None:
    text = spec().replace("network small", f"network {name}").replace("for small", f"for {name}")
    module = scripts.loaded(scripts.built(tmp_path, text, "keras"))

    assert getattr(module, f"{name}_network").__module__ == f"{name}_keras"
    assert getattr(module, name, module.Run).__module__ == module.__name__


# ---------------------------------------------------------------- a step


@pytest.mark.parametrize(
    ("line", "decays"), [("0.9", [0.9] * 3), ("0.25 ramp=true", [0.1, 2 / 11, 0.25])]
)
@float64()
def test_the_average(line: str, decays: list[float], imported: Callable[..., Any]) -> None:
    module = imported(spec(average=line))
    network = module.small()
    average = module.Average(network, module.small())
    weights = module.by_key(network.layers)
    expected = {key: w.numpy() for key, w in weights.items()}
    assert "conv1.bn.running_var" in expected
    for step, decay in enumerate(decays):
        for key, w in weights.items():
            w.assign(w + step + 1)
            expected[key] = decay * expected[key] + (1 - decay) * w.numpy()
        average.on_train_batch_end(step)

    actual = module.by_key(average.network.layers)
    assert actual.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_allclose(actual[key].numpy(), value, rtol=1e-13, atol=1e-15)


@float64()
def test_a_step(imported: Callable[..., Any]) -> None:
    """Against the gradient of the loss, with clipping, a rate and an average by hand."""
    text = spec(NETWORK.replace("drop = 0.25", "drop = 0"), optimizer="sgd", clip="norm 0.5")
    module = imported(text)
    network = module.small()
    training, average = module.compiled(network), module.Average(network, module.small())
    rate = module.Rate(4, 12)
    images = np.random.default_rng(0).normal(size=(6, 8, 8, 3))
    labels = np.arange(6) % 3
    for callback in (rate, average):
        callback.set_model(training)
    for step in range(3):
        with tf.GradientTape() as tape:
            loss = training.loss_of(labels, network(images, training=True))
        before = [w.numpy() for w in network.trainable_variables]
        gradients = [np.asarray(g) for g in tape.gradient(loss, network.trainable_variables)]
        rate.on_train_batch_begin(step)
        logs = training.train_on_batch(images, labels, return_dict=True)
        average.on_train_batch_end(step)

        assert logs["loss"] == pytest.approx(float(loss), rel=1e-13)
        scale = 0.5 / np.sqrt(sum((g**2).sum() for g in gradients))
        assert scale < 1
        for w, start, g in zip(network.trainable_variables, before, gradients, strict=True):
            expected = start - module.rate(step, 4, 12) * scale * g
            np.testing.assert_allclose(w.numpy(), expected, rtol=1e-12, atol=1e-15)


# ---------------------------------------------------------------- images


@pytest.mark.parametrize("size", [(30, 20), (5, 40), (40, 5)])
def test_boxes_are_those_of_the_other_scripts(
    size: tuple[int, int], imported: Callable[..., Any]
) -> None:
    """Theirs, in plain Python, are held to torchvision's; a long image often has none that fits."""
    text = spec(train="{ crop area=[0.5, 1] aspect=[3/4, 4/3] }")
    tree = ast.parse(training.script(*compile_recipe("spec.inc", "r", text=text), "torch"))
    tree.body = [node for node in tree.body if getattr(node, "name", "") == "crop_box"]
    plain: dict[str, Any] = {"math": math, "np": np}
    exec(compile(tree, "script", "exec"), plain)  # our own code
    module = imported(text)
    box = tf.function(module.crop_box)
    for index in range(200):
        numbers = np.array(module.draw(0, 0, index))
        result = box(*map(tf.constant, size), tf.constant(numbers)).numpy().tolist()
        assert result == [*plain["crop_box"](*size, numbers)]


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "webp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_files_are_read_as_pillow_reads_them(
    channels: int, ending: str, imported: Callable[..., Any], tmp_path: Path
) -> None:
    text = spec(NETWORK.replace("8x8 3", f"8x8 {channels}"), train="{ flip }")
    names = []
    for name, pixels in (("colour", picture(9, 8)), ("grey", picture(9, 8)[:, :, 0])):
        names.append(f"{tmp_path}/{name}.{ending}")
        Image.fromarray(pixels).save(names[-1])
    module = imported(text)
    images = module.Images(module.Examples(names, np.zeros(2)), 0, 1)

    for number, name in enumerate(names):
        expected = np.asarray(Image.open(name).convert("RGB" if channels == 3 else "L"))
        image = tf.function(images.read)(number).numpy()
        np.testing.assert_array_equal(image, expected.reshape(9, 8, channels))


@pytest.mark.parametrize(
    ("name", "mode"),
    [("palette.bmp", "P"), ("black.bmp", "1"), ("alpha.webp", "RGBA"), ("x.png", "P")],
)
def test_files_are_read_whose_pixels_are_no_colours(
    name: str, mode: str, imported: Callable[..., Any], tmp_path: Path
) -> None:
    """TensorFlow takes the indices of a palette in BMP for greys, and refuses the others."""
    Image.fromarray(picture(9, 8)).convert(mode).save(tmp_path / name)
    module = imported(spec(train="{ flip }"))
    images = module.Images(module.Examples([f"{tmp_path}/{name}"], np.zeros(1)), 0, 1)

    expected = np.asarray(Image.open(tmp_path / name).convert("RGB"))
    np.testing.assert_array_equal(tf.function(images.read)(0).numpy(), expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_of_16_bits_the_upper_8_are_read(
    channels: int, imported: Callable[..., Any], tmp_path: Path
) -> None:
    pixels = picture(9, 8)[:, :, 0]
    Image.fromarray(pixels * np.uint16(256) + 255).save(tmp_path / "deep.png")
    module = imported(spec(NETWORK.replace("8x8 3", f"8x8 {channels}"), train="{ flip }"))
    images = module.Images(module.Examples([f"{tmp_path}/deep.png"], np.zeros(1)), 0, 1)

    found = tf.function(images.read)(0).numpy()
    np.testing.assert_array_equal(found, np.repeat(pixels[:, :, None], channels, 2))


def test_images_of_idx_files(imported: Callable[..., Any], tmp_path: Path) -> None:
    module = imported(spec(GREY, train="{ flip }"))
    train, val = module.find_examples(scripts.folder_of_idx(tmp_path))
    assert (len(train), len(val)) == (40, 20)
    image = tf.function(module.Images(train, 0, 1).read)(3).numpy()
    np.testing.assert_array_equal(image, train.images[3][..., None])


def batches(module: Any, examples: Any, start: int, end: int, **devices: int) -> list[list[int]]:
    """Return the numbers of the examples of batches, whose images are their own numbers."""
    images = module.Images(examples, 7, 2)
    dataset = images.training(start, end, tf.distribute.InputContext(**devices))
    return [labels.numpy().tolist() for _, labels in dataset]


@pytest.mark.parametrize("line", ["{ flip }", "{ center_crop }", None])
def test_devices_share_each_batch(line: str | None, imported: Callable[..., Any]) -> None:
    """A run that begins in the middle of an epoch sees what one from the start sees there."""
    lines = {"train": line} if line else {}
    module = imported(spec(GREY, drop=[] if line else ["train"], **lines))
    examples = module.Examples(np.zeros((20, 8, 8), "uint8"), np.arange(20))
    whole = batches(module, examples, 0, 72)
    assert len(whole) == 72
    for epoch in range(24):
        seen = module.order(epoch, 20, 7).tolist()
        assert [*chain(*whole[3 * epoch : 3 * epoch + 3])] == seen[:18]
    assert batches(module, examples, 4, 72) == whole[4:]

    counts = {"num_input_pipelines": 3, "num_replicas_in_sync": 6}
    shares = [
        batches(module, examples, 4, 72, input_pipeline_id=number, **counts) for number in range(3)
    ]
    for step in range(68):
        devices = [shares[machine][2 * step + device] for machine in range(3) for device in (0, 1)]
        assert {len(share) for share in devices} == {1}
        assert [*chain(*devices)] == whole[4 + step]


@pytest.mark.parametrize("line", ["{ center_crop }", None])
@pytest.mark.parametrize("count", [8, 1, 20])
def test_every_device_has_images_to_evaluate(
    count: int, line: str | None, imported: Callable[..., Any]
) -> None:
    """The last batch is filled up with images whose label is -1."""
    lines = {"evaluate": line} if line else {}
    module = imported(spec(GREY, train="{ flip }", drop=[] if line else ["evaluate"], **lines))
    arrays = np.arange(count, dtype="uint8")[:, None, None].repeat(8, 1).repeat(8, 2)
    images = module.Images(module.Examples(arrays, np.arange(count)), 7, 2)
    seen = []
    for number in range(3):
        devices = tf.distribute.InputContext(3, number, num_replicas_in_sync=6)
        batches = [*images.validation(devices)]
        assert [len(labels) for _, labels in batches] == [1, 1] * -(-count // 6)
        for pixels, labels in batches:
            for image, label in zip(pixels.numpy(), labels.numpy().tolist(), strict=True):
                assert label in (-1, round(float(image.mean() + 1) * 127.5))
                seen.append(label)

    assert sorted(label for label in seen if label >= 0) == [*range(count)]


def test_the_numbers_of_an_image_are_its_own(imported: Callable[..., Any]) -> None:
    module = imported(spec(GREY, train="{ crop area=[0.3, 1] aspect=[3/4, 4/3] -> flip }"))
    arrays = np.random.default_rng(0).integers(0, 255, (20, 12, 12), "uint8")
    images = module.Images(module.Examples(arrays, np.arange(20)), 7, 2)
    ((batch, labels),) = images.training(5, 6, tf.distribute.InputContext())

    for image, number in zip(batch.numpy(), labels.numpy().tolist(), strict=True):
        pixels = tf.constant(arrays[number][..., None])
        expected = module.transform(pixels, np.array(module.draw(7, 1, number)))
        np.testing.assert_allclose(image, expected / 127.5 - 1, atol=1e-5)


# ---------------------------------------------------------------- folders


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"no image", "cannot identify image file"), (None, "it is smaller than 8 x 8")],
)
def test_an_image_that_cannot_be_used(
    content: bytes | None, reason: str, imported: Callable[..., Any], tmp_path: Path
) -> None:
    """The path of the first one is said."""
    module = imported(spec(train="{ flip }", evaluate="{ center_crop }"))
    names = [f"{tmp_path}/{number}.png" for number in range(3)]
    for name in names:
        Image.fromarray(picture(8, 8)).save(name)
    if content:
        Path(names[1]).write_bytes(content)
    else:
        Image.fromarray(picture(7, 9)).save(names[1])
    images = module.Images(module.Examples(names, np.zeros(3)), 0, 1)

    with pytest.raises(SystemExit) as stopped:
        images.blame(OSError(), images.prepared, [(0,), (1,), (2,)])
    assert str(stopped.value).startswith(f"error: {names[1]} cannot be used: ")
    assert reason in str(stopped.value)
    with pytest.raises(OSError):
        images.blame(OSError(), images.prepared, [(0,), (2,)])


# ---------------------------------------------------------------- whole runs


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scripts.folder_of_images(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scripts.built(tmp_path_factory.mktemp("script"), spec(), "keras")


def test_a_folder_with_the_name_of_an_image_ends_the_run(
    script: Path, images: Path, tmp_path: Path
) -> None:
    """What cannot be opened is another error of TensorFlow than what is no image."""
    data = shutil.copytree(images, tmp_path / "data")
    for path in data.glob("train/class2/*"):
        path.unlink()
        path.mkdir()
    run = scripts.run(script, data, tmp_path / "run")
    assert run.code == 1
    last = run.said.strip().splitlines()[-1]
    assert last.startswith(f"error: {data}/train/class2/") and "Is a directory" in last


@pytest.mark.slow
def test_devices_with_statistics_of_their_own(
    imported: Callable[..., Any], images: Path, tmp_path: Path
) -> None:
    """Those that are evaluated are those that are saved, on all devices."""
    text = spec(batch="6", drop=["average"])
    run = scripts.run(
        scripts.built(tmp_path / "script", text, "keras"), images, tmp_path / "run", devices=2
    )
    assert run.code == 0, run.said

    module = imported(text)
    network = module.small()
    module.load_safetensors(network, run.output / "last.safetensors")
    validation = module.Images(module.find_examples(images)[1], 0, 1)
    sums = sum(
        module.scores(network, *batch)
        for batch in validation.validation(tf.distribute.InputContext())
    )
    top1, loss = (np.asarray(sums) / 15).tolist()
    assert float(run.log()[-1]["top1"]) == pytest.approx(top1)
    assert float(run.log()[-1]["val_loss"]) == pytest.approx(loss, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("batch", ["6", "6 synchronized=true"])
def test_two_machines_are_two_devices(batch: str, images: Path, tmp_path: Path) -> None:
    """Also if all are asked to end, and go on."""
    script = scripts.built(tmp_path / "script", spec(batch=batch, epochs="2"), "keras")
    run = partial(scripts.run, script, images, dtype="float64")
    one = run(tmp_path / "run1", "--log-every=1", devices=2)
    ended = run(tmp_path / "run2", "--log-every=1", processes=2, at=(scripts.TERMINATE, 3))
    two = run(tmp_path / "run2", "--log-every=1", "--resume", processes=2)
    assert ended.code == 143, ended.said
    scripts.compared(one, two)
