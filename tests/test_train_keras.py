"""Training scripts of Keras: their text, each of their parts, and whole runs."""

from __future__ import annotations

import ast
import colorsys
import math
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import scripts
import small
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import save_file
from scripts import check
from small import GREY, NETWORK, PLAIN, picture, spec

from incgen.compiling import compile_recipe
from incgen.targets.shared import training

Array = NDArray[Any]

# ---------------------------------------------------------------- the text

GOLDEN = Path(__file__).parent / "golden" / "training"
#: Layers with depthwise kernels, of which one is a grouped convolution.
DEPTHWISE = """    separable_conv 3x3 10 multiplier=2
    depthwise_conv 3x3 multiplier=2
    conv 3x3 8 groups=4
    global_avg_pool
    dropout"""
#: Recipes that together have every form of a script.
FORMS = {
    **small.FORMS,
    "biased": spec(NETWORK.replace("caffe", "tf"), optimizer="rmsprop tf decay=0.9 eps=1"),
    "crops": spec(evaluate="{ ten_crop }", optimizer="sgd momentum=0.5 nesterov=true"),
    "stock": spec(optimizer="rmsprop keras decay=0.9 eps=1", batch="6", drop=["clip", "average"]),
    "depth": spec(NETWORK.replace("    global_avg_pool\n    dropout", DEPTHWISE)),
}


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Return what imports the script of a spec."""

    @cache
    def script(text: str) -> Any:
        return scripts.loaded(scripts.built(tmp_path_factory.mktemp("part"), text, "keras"))

    return script


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the scripts of all forms."""
    folder = tmp_path_factory.mktemp("forms")
    for name, text in FORMS.items():
        named = text.replace("recipe r for", f"recipe {name} for")
        scripts.built(folder / name, named, "keras", name)
    return folder


def test_golden(update_goldens: bool, tmp_path: Path) -> None:
    source = scripts.built(tmp_path, spec(), "keras").read_text("utf-8").partition("\n")[2]
    golden = GOLDEN / "train_small_r_keras.py"
    if update_goldens:
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(source, "utf-8")
    assert source == golden.read_text("utf-8"), "to accept it: pytest --update-goldens"


def test_ruff_finds_nothing(forms: Path) -> None:
    beside = ("--config", 'src = ["*"]')  # the model is beside its script
    check("ruff", "check", "--isolated", *beside, "--select", "E,F,I,UP,B", ".", cwd=forms)
    check("ruff", "format", "--isolated", "--diff", ".", cwd=forms)


def test_only_what_a_recipe_needs_is_written(forms: Path) -> None:
    least = (forms / "least" / "train_small_least_keras.py").read_text("utf-8")
    for word in ("Average", "Dropout", "clip", "draw", "crop_box", "HEADS", "SMOOTHING", "L2"):
        assert word not in least, word
    assert len(least.splitlines()) < 720


@pytest.mark.parametrize("name", ["run", "order", "compiled"])
def test_a_network_with_a_name_of_the_script(name: str, tmp_path: Path) -> None:
    text = spec().replace("network small", f"network {name}").replace("for small", f"for {name}")
    module = scripts.loaded(scripts.built(tmp_path, text, "keras"))

    assert getattr(module, f"{name}_network").__module__ == f"{name}_keras"
    assert getattr(module, name, module.Run).__module__ == module.__name__


# ---------------------------------------------------------------- a step


@pytest.fixture
def float64() -> Iterator[None]:
    scripts.set_keras("float64")
    yield
    scripts.set_keras("float32")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("sgd", small.sgd(0, False, False)),
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
        ("adamw beta2=0.95 decay=0.25", small.adam(0.9, 0.95, 1e-8, 0.25)),
    ],
)
@pytest.mark.parametrize("clip", ["value 100", None])
@pytest.mark.usefixtures("float64")
def test_an_optimizer(
    line: str, expected: list[float], clip: str | None, imported: Callable[..., Any]
) -> None:
    """In a class of its own that clips, and without one."""
    other: dict[str, Any] = {"clip": clip} if clip else {"drop": ["clip"]}
    optimizer = imported(spec(optimizer=line, **other)).make_optimizer()
    weight = keras.Variable(np.ones(2), name="kernel")
    optimizer.build([weight])
    for rate, gradients in zip(small.RATES, small.GRADIENTS, strict=True):
        optimizer.learning_rate = rate
        optimizer.apply([tf.constant(gradients, "float64")], [weight])

    assert weight.numpy().tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.usefixtures("float64")
def test_adamw_decays_kernels_only(imported: Callable[..., Any]) -> None:
    module = imported(spec(optimizer="adamw beta2=0.95 decay=0.25"))
    network = module.small()
    before = {key: w.numpy() for key, w in module.by_key(network.layers).items()}
    optimizer = module.compiled(network).optimizer
    optimizer.learning_rate = 0.5
    weights = network.trainable_variables
    optimizer.apply([tf.zeros_like(w.value) for w in weights], weights)

    for key, w in module.by_key(network.layers).items():
        left = 1 - 0.5 * 0.25 if len(w.shape) > 1 else 1
        np.testing.assert_allclose(w.numpy(), left * before[key], rtol=1e-12)


@pytest.mark.usefixtures("float64")
def test_clipping(imported: Callable[..., Any]) -> None:
    def clipped(line: str, scale: float) -> list[float]:
        text = spec(clip=line, optimizer="sgd")
        optimizer = imported(text).make_optimizer()
        weights = [keras.Variable(np.zeros(n)) for n in (2, 1)]
        optimizer.build(weights)
        optimizer.learning_rate = -1.0
        optimizer.apply([tf.constant(g, "float64") * scale for g in ([3.0, 0], [4.0])], weights)
        return [value for w in weights for value in w.numpy().tolist()]

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


@pytest.mark.parametrize("l2", [None, "0.125", "0"])
@pytest.mark.usefixtures("float64")
def test_the_loss(l2: str | None, imported: Callable[..., Any]) -> None:
    """Its own weight decay is of the convolutions, that of the recipe is of all kernels."""
    module = imported(spec(**({} if l2 is None else {"l2": l2})))
    keras.utils.set_random_seed(0)
    training = module.compiled(network := module.small())
    images, labels = np.random.default_rng(0).normal(size=(4, 8, 8, 3)), [0, 2, 1, 2]
    outputs = network(images, training=True)
    main, head = (np.asarray(outputs[name]) for name in ("logits", "early"))
    expected = small.cross_entropy(main, labels, 0.1) + 0.3 * small.cross_entropy(head, labels, 0.1)
    for w in network.trainable_variables:
        if len(w.shape) == 4:
            expected += (0.01 if l2 is None else float(l2)) / 2 * float((w.numpy() ** 2).sum())
        elif len(w.shape) == 2:
            expected += float(l2 or 0) / 2 * float((w.numpy() ** 2).sum())

    assert float(training.loss_of(np.array(labels), outputs)) == pytest.approx(expected, rel=1e-13)


@pytest.mark.usefixtures("float64")
def test_the_loss_of_a_network_without_heads_and_decay(imported: Callable[..., Any]) -> None:
    module = imported(spec(PLAIN, loss="cross_entropy"))
    logits, labels = np.random.default_rng(0).normal(size=(4, 3)), [0, 2, 1, 2]
    loss = module.compiled(module.small()).loss_of(np.array(labels), tf.constant(logits))

    assert float(loss) == pytest.approx(small.cross_entropy(logits, labels, 0), rel=1e-13)


def test_half_precision_does_not_round_the_loss(imported: Callable[..., Any]) -> None:
    module = imported(spec(PLAIN, loss="cross_entropy"))
    logits = tf.constant([[3.0, 2.75, -1.0]], tf.bfloat16)
    loss = module.cross_entropy(np.array([0]), logits)

    exact = small.cross_entropy(tf.cast(logits, "float64").numpy(), [0], 0)
    assert float(loss) == pytest.approx(exact, rel=1e-6)


@pytest.mark.usefixtures("float64")
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


def transformed(module: Any, image: Array, numbers: Array) -> Array:
    """Return a training image, in a graph as in a pipeline; outside of one it is the same."""
    traced = tf.function(module.transform)(tf.constant(image), tf.constant(numbers)).numpy()
    alone = module.transform(tf.constant(image), tf.constant(numbers)).numpy()
    np.testing.assert_allclose(traced, alone, atol=1e-4)
    assert traced.dtype == np.float32
    return np.asarray(traced)


CROP = "crop area=[0.3, 1] aspect=[3/4, 4/3]"


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
    numbers = np.array(module.draw(0, 0, 0))
    numbers[23] = number
    pixels = transformed(module, image, numbers)

    box = [int(value) for value in module.crop_box(*size, numbers)]
    expected = small.by_pillow(image, box, (8, 8), mode)
    np.testing.assert_allclose(np.moveaxis(pixels, -1, 0), expected.clip(0, 255), atol=1e-3)


def test_a_crop_is_bilinear_unless_it_says_otherwise(imported: Callable[..., Any]) -> None:
    module, image = imported(spec(train=f"{{ {CROP} }}")), picture(37, 29)
    numbers = np.array(module.draw(0, 0, 0))
    pixels = transformed(module, image, numbers)

    box = [int(value) for value in module.crop_box(37, 29, numbers)]
    expected = small.by_pillow(image, box, (8, 8), Image.Resampling.BILINEAR)
    np.testing.assert_allclose(np.moveaxis(pixels, -1, 0), expected, atol=1e-3)


def test_flips(imported: Callable[..., Any]) -> None:
    module, image = imported(spec(train="{ flip 0.25 }")), picture(8, 8)
    numbers = np.full(32, 0.9)
    np.testing.assert_array_equal(transformed(module, image, numbers), image)
    for number, expected in ((0.2499, image[:, ::-1]), (0.25, image)):
        numbers[22] = number
        np.testing.assert_array_equal(transformed(module, image, numbers), expected)


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
    pixels = transformed(module, image, numbers)

    other = np.asarray(expected(Image.fromarray(image), number)).astype(float)
    assert np.abs(pixels - other).max() <= 1.5
    assert np.abs(pixels - image).max() > 20


@pytest.mark.parametrize("number", [0.0, 0.5, 0.8])
def test_hue_turns(number: float, imported: Callable[..., Any]) -> None:
    module, image = imported(spec(train="{ color hue=0.2 }")), picture(8, 8)
    numbers = np.full(32, 0.1)
    numbers[27] = number
    pixels = transformed(module, image, numbers)

    for value, pixel in zip(pixels.reshape(-1, 3), image.reshape(-1, 3) / 255, strict=True):
        hue, saturation, brightness = colorsys.rgb_to_hsv(*pixel)
        turned = colorsys.hsv_to_rgb((hue + 0.2 * (2 * number - 1)) % 1, saturation, brightness)
        assert value == pytest.approx(255 * np.array(turned), abs=1e-2)


def test_colours_change_in_order_and_stay_pixels(imported: Callable[..., Any]) -> None:
    """Each value is clipped before the next change, so that the order can be told."""
    line = "color brightness=0.5 contrast=[2, 2] saturation=[0.5, 0.5]"
    module, image = imported(spec(train=f"{{ {line} }}")), picture(8, 8)
    pixels = transformed(module, image, np.full(32, 0.9))

    x = (image + 255 * 0.5 * 0.8).clip(0, 255)
    grey = np.array([0.299, 0.587, 0.114])
    mean = (x @ grey).mean()
    x = ((x - mean) * 2 + mean).clip(0, 255)
    x = (x @ grey)[..., None] + 0.5 * (x - (x @ grey)[..., None])
    np.testing.assert_allclose(pixels, x, atol=1e-3)


@pytest.mark.parametrize("size", [(37, 29), (20, 50), (11, 11)])
def test_evaluation_resizes_and_crops(size: tuple[int, int], imported: Callable[..., Any]) -> None:
    module, image = imported(spec(evaluate="{ resize 11 -> center_crop }")), picture(*size)
    pixels = tf.function(module.prepare)(tf.constant(image)).numpy()

    scaled = {(37, 29): (14, 11), (20, 50): (11, 28), (11, 11): (11, 11)}[size]
    expected = small.by_pillow(image, (0, 0, *size), scaled, Image.Resampling.BILINEAR)
    top, left = {(14, 11): (3, 1), (11, 28): (1, 10), (11, 11): (1, 1)}[scaled]
    expected = expected[:, top : top + 8, left : left + 8]
    np.testing.assert_allclose(np.moveaxis(pixels, -1, 0), expected, atol=1e-3)


def test_ten_crops(imported: Callable[..., Any]) -> None:
    module, image = imported(spec(evaluate="{ ten_crop }")), picture(11, 13)
    pixels = tf.function(module.prepare)(tf.constant(image)).numpy()

    places = [(0, 0), (0, 5), (3, 0), (3, 5), (1, 2)]
    crops = [image[y : y + 8, x : x + 8] for y, x in places]
    np.testing.assert_array_equal(pixels, [*crops, *(crop[:, ::-1] for crop in crops)])


@pytest.mark.parametrize("size", [(80, 60), (61, 99)])
def test_the_144_crops_of_googlenet(size: tuple[int, int], imported: Callable[..., Any]) -> None:
    """For crops of 28 the shorter side is 32, 36, 40 and 44: the paper's sizes by 224 / 28."""
    text = spec(NETWORK.replace("8x8 3", "28x28 3"), evaluate="{ multi_crop }", drop=["train"])
    module, image = imported(text), picture(*size)
    crops = tf.function(module.prepare)(tf.constant(image)).numpy()

    expected = small.crops_of_googlenet(image, 28)
    assert len(expected) == 144
    np.testing.assert_allclose(np.moveaxis(crops, -1, 1), expected, atol=2e-3)


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


def test_devices_share_each_batch(imported: Callable[..., Any]) -> None:
    """A run that begins in the middle of an epoch sees what one from the start sees there."""
    module = imported(spec(GREY, train="{ flip }"))
    examples = module.Examples(np.zeros((20, 8, 8), "uint8"), np.arange(20))
    whole = batches(module, examples, 0, 7)
    for epoch in (0, 1):
        seen = module.order(epoch, 20, 7).tolist()
        assert [*chain(*whole[3 * epoch : 3 * epoch + 3])] == seen[:18]
    assert batches(module, examples, 4, 7) == whole[4:]

    counts = {"num_input_pipelines": 3, "num_replicas_in_sync": 6}
    shares = [
        batches(module, examples, 4, 7, input_pipeline_id=number, **counts) for number in range(3)
    ]
    for step in range(3):
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
    [(b"no image", "Unknown image file format"), (None, "it is smaller than 8 x 8")],
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


# ---------------------------------------------------------------- evaluation


@pytest.mark.parametrize("crops", [1, 10])
def test_evaluation(crops: int, imported: Callable[..., Any]) -> None:
    """Top-5 counts from six classes on; crops share the mean of their probabilities."""
    network = NETWORK.replace("classes = 3", "classes = 7")
    line = "{ ten_crop }" if crops == 10 else "{ center_crop }"
    module = imported(spec(network, evaluate=line))
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(0, 2, (9 * crops, 7)), rng.integers(0, 7, 9)
    labels[[2, 5]] = -1  # fills up a batch
    images = logits.reshape(-1, crops, 7) if crops > 1 else logits
    scores = module.scores(lambda x, training: {"logits": x, "early": -x}, images, labels)

    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    p, labels = np.delete(p.reshape(9, crops, 7).mean(1), [2, 5], 0), np.delete(labels, [2, 5])
    better = (p > p[range(7), labels][:, None]).sum(1)
    expected = [(better == 0).sum(), (better < 5).sum(), -np.log(p[range(7), labels]).sum()]
    assert scores.numpy().tolist() == pytest.approx(expected, rel=1e-12)


# ---------------------------------------------------------------- whole runs


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scripts.folder_of_images(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scripts.built(tmp_path_factory.mktemp("script"), spec(), "keras")


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


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [["--precision=bfloat16"], ["--precision=float16"], ["--compile"]], ids=str
)
def test_other_arithmetic(options: list[str], images: Path, tmp_path: Path) -> None:
    text = spec().replace("drop = 0.25", "drop = 0")  # compiled, it draws other numbers
    script = scripts.built(tmp_path / "script", text, "keras")
    whole, run = (
        scripts.run(script, images, tmp_path / f"run{len(more)}", "--log-every=1", *more)
        for more in ([], options)
    )
    assert (whole.code, run.code) == (0, 0), run.said
    assert run.log() != whole.log()
    for row, other in zip(run.log(), whole.log(), strict=True):
        if row["loss"]:
            assert float(row["loss"]) == pytest.approx(float(other["loss"]), rel=0.05)


def test_frozen_statistics_freeze_a_normalisation(imported: Callable[..., Any]) -> None:
    module = imported(spec())
    network = module.small()
    module.freeze(network, ["conv1.bn.running_mean", "conv2.bn.bias"])

    trained = {key for key, w in module.by_key(network.layers).items() if w.trainable}
    assert trained == {
        "conv1.conv.weight",
        "conv2.conv.weight",
        "conv2.bn.weight",
        "early.fc.weight",
        "early.fc.bias",
        "logits.weight",
        "logits.bias",
    }
    assert not network.get_layer("conv1-bn").trainable
    assert network.get_layer("conv2-bn").trainable
    with pytest.raises(SystemExit, match="--freeze leaves nothing to train"):
        module.freeze(network, ["*"])


def test_weights_that_do_not_fit(imported: Callable[..., Any], tmp_path: Path) -> None:
    module = imported(spec())
    network = module.small()
    other = module.tensors_of(network, module.by_key(network.layers))
    other["logits.weight"], other["more"] = np.zeros((4, 8)), np.zeros(1)
    del other["conv1.bn.bias"]
    save_file(other, tmp_path / "other.safetensors")

    with pytest.raises(SystemExit) as stopped:
        module.load_weights(module.small(), tmp_path / "other.safetensors", [])
    for part in ("missing: conv1.bn.bias", "unexpected: more", "misshapen: logits.weight"):
        assert part in str(stopped.value)
    fresh = ["more", "logits", "conv1.bn.bias"]
    module.load_weights(module.small(), tmp_path / "other.safetensors", fresh)


def test_what_is_refused(imported: Callable[..., Any], tmp_path: Path) -> None:
    module = imported(spec())
    network, file, log = module.small(), tmp_path / "last.safetensors", tmp_path / "log.csv"
    save_file(module.tensors_of(network, module.by_key(network.layers)), file)
    log.write_text("step,epoch\n0,0\n")
    for call, message in (
        (
            lambda: module.load_weights(network, log, []),
            f"error: --from {log}: it is not a .safetensors file",
        ),
        (
            lambda: module.load_weights(network, file, ["logit"]),
            "no key matches logit; near it are",
        ),
        (lambda: module.freeze(network, ["conv3*"]), "no key matches conv3*; near it are conv"),
        (lambda: module.find_examples(tmp_path / "none"), "error: no images (.bmp, .jpeg, "),
    ):
        with pytest.raises(SystemExit) as stopped:
            call()
        assert message in str(stopped.value)


def test_weights_files_hold_every_kind_of_kernel(forms: Path, images: Path, tmp_path: Path) -> None:
    """Load again what was saved: also depthwise and grouped kernels."""
    script = forms / "depth" / "train_small_depth_keras.py"
    module = scripts.loaded(script)
    network, other = module.small(), module.small()
    save_file(module.tensors_of(network, module.by_key(network.layers)), tmp_path / "a.safetensors")
    module.load_safetensors(other, tmp_path / "a.safetensors")

    for w, copy in zip(network.weights, other.weights, strict=True):
        np.testing.assert_array_equal(w.numpy(), copy.numpy())


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_every_form_runs(form: str, forms: Path, images: Path, tmp_path: Path) -> None:
    script = forms / form / f"train_small_{form}_keras.py"
    for devices in (1, 2):
        output = tmp_path / f"run{devices}"
        data = scripts.folder_of_idx(tmp_path / "idx") if form == "grey" else images
        if form in ("least", "arrays"):  # images of the size of the network
            data = scripts.folder_of_idx(tmp_path / "idx")
        run = scripts.run(script, data, output, "--log-every=1", devices=devices)
        assert run.code == 0, run.said
        assert [row["step"] for row in run.log() if row["top1"]][-1] == run.log()[-1]["step"]
