"""Training scripts of Flax: their text, each of their parts, and whole runs."""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scripts
import small
from flax import nnx
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import save_file
from scripts import check, same, weights
from small import GREY, NETWORK, PLAIN, picture, spec

Array = NDArray[Any]

# ---------------------------------------------------------------- the text

GOLDEN = Path(__file__).parent / "golden" / "training"
#: Layers with depthwise kernels, of which one is a grouped convolution.
DEPTHWISE = """    separable_conv 3x3 10 multiplier=2
    depthwise_conv 3x3 multiplier=2
    conv 3x3 8 groups=4
    global_avg_pool
    dropout"""
#: The network without dropout.
STILL = NETWORK.replace("    dropout drop\n", "").replace(", drop = 0.25", "")
INSIDE = "sgd momentum=0.5 nesterov=true rate=inside"
#: Recipes that together have every form of a script.
FORMS = {
    **small.FORMS,
    "apart": spec(batch="6"),
    "biased": spec(STILL.replace("caffe", "tf"), batch="6", optimizer="rmsprop tf decay=0.9 eps=1"),
    "crops": spec(evaluate="{ ten_crop }", optimizer=INSIDE, drop=["clip"]),
    "depth": spec(NETWORK.replace("    global_avg_pool\n    dropout", DEPTHWISE)),
}


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Return what imports the script of a spec."""

    @cache
    def script(text: str) -> Any:
        return scripts.loaded(scripts.built(tmp_path_factory.mktemp("part"), text, "flax"))

    return script


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the scripts of all forms."""
    folder = tmp_path_factory.mktemp("forms")
    for name, text in FORMS.items():
        named = text.replace("recipe r for", f"recipe {name} for")
        scripts.built(folder / name, named, "flax", name)
    return folder


def test_golden(update_goldens: bool, tmp_path: Path) -> None:
    source = scripts.built(tmp_path, spec(), "flax").read_text("utf-8").partition("\n")[2]
    golden = GOLDEN / "train_small_r_flax.py"
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
            text = path.read_text("utf-8").replace("small_flax", f"{folder.name}_flax")
            files.append(path.name.replace("small_flax", f"{folder.name}_flax"))
            (tmp_path / files[-1]).write_text(text, "utf-8")
    cache = f"--cache-dir={tmp_path}/cache"
    check("mypy", "--strict", "--config-file=", cache, *files, cwd=tmp_path)


def test_only_what_a_recipe_needs_is_written(forms: Path) -> None:
    least = (forms / "least" / "train_small_least_flax.py").read_text("utf-8")
    for word in ("average", "shard_map", "clip", "draw", "crop_box", "HEADS", "SMOOTHING", "L2"):
        assert word not in least, word
    assert len(least.splitlines()) < 720


@pytest.mark.parametrize("name", ["run", "examples"])
def test_a_network_with_a_name_of_the_script(name: str, tmp_path: Path) -> None:
    text = spec().replace("network small", f"network {name}").replace("for small", f"for {name}")
    module = scripts.loaded(scripts.built(tmp_path, text, "flax"))
    assert getattr(module, f"{name.capitalize()}Network").__module__ == f"{name}_flax"
    assert getattr(module, name.capitalize()).__module__ == module.__name__


# ---------------------------------------------------------------- a step


@pytest.fixture
def float64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def made(make: Callable[..., Any], seed: int = 0, dtype: str = "float32") -> Any:
    """Return a model with random weights, without compiling how it draws its own."""
    model, rng = nnx.eval_shape(lambda: make(rngs=nnx.Rngs(0))), np.random.default_rng(seed)
    for _, variable in nnx.iter_graph(model):
        if isinstance(variable, nnx.Param | nnx.BatchStat):
            variable.set_value(jnp.array(rng.uniform(0.1, 0.5, variable.shape), dtype))
        elif isinstance(variable, nnx.RngCount):
            variable.set_value(jnp.zeros((), "uint32"))
        elif isinstance(variable, nnx.RngKey):
            variable.set_value(jax.random.key(seed))
    return model


class Weights(nnx.Module):
    """Some weights."""

    def __init__(self, *values: Sequence[float]) -> None:
        for number, value in enumerate(values):
            setattr(self, f"w{number}", nnx.Param(jnp.array(value)))


def update(optimizer: Any, model: Any, rate: float, gradients: Sequence[Any]) -> None:
    """Take a step by gradients of all weights."""
    state = nnx.state(model, nnx.Param)
    leaves, tree = jax.tree.flatten(state)
    arrays = [jnp.array(g, w.dtype) for g, w in zip(gradients, leaves, strict=True)]
    optimizer.opt_state.hyperparams["rate"].set_value(jnp.array(rate))
    optimizer.update(model, jax.tree.unflatten(tree, arrays))


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
    model = Weights([[1.0, 1.0]])
    optimizer = imported(spec(optimizer=line, drop=["clip"])).make_optimizer(model)
    for rate, gradients in zip(small.RATES, small.GRADIENTS, strict=True):
        update(optimizer, model, rate, [[gradients]])

    assert model.w0[0].tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.usefixtures("float64")
def test_adamw_decays_kernels_only(imported: Callable[..., Any]) -> None:
    model = Weights([[1.0, 2.0]], [3.0, 4.0])
    optimizer = imported(spec(optimizer="adamw beta2=0.95 decay=0.25")).make_optimizer(model)
    update(optimizer, model, 0.5, [[[0, 0]], [0, 0]])

    assert model.w0[...].tolist() == [[1 - 0.125, 2 - 0.25]]
    assert model.w1[...].tolist() == [3, 4]


@pytest.mark.usefixtures("float64")
def test_clipping(imported: Callable[..., Any]) -> None:
    def clipped(line: str, scale: float) -> list[float]:
        model = Weights([0.0, 0.0], [0.0])
        optimizer = imported(spec(clip=line, optimizer="sgd")).make_optimizer(model)
        update(optimizer, model, -1.0, [[3 * scale, 0], [4 * scale]])
        return [*model.w0[...].tolist(), *model.w1[...].tolist()]

    assert clipped("norm 2", 1) == pytest.approx([1.2, 0, 1.6], rel=1e-15)
    assert clipped("norm 2", 0.25) == [0.75, 0, 1]
    assert clipped("norm 2", 0) == [0, 0, 0]
    assert clipped("value 3.5", 1) == [3, 0, 3.5]
    assert clipped("value 3.5", -1) == [-3, 0, -3.5]


@pytest.mark.parametrize("l2", [None, "0.125", "0"])
@pytest.mark.usefixtures("float64")
def test_the_loss(l2: str | None, imported: Callable[..., Any]) -> None:
    """Its own weight decay is of the convolutions, that of the recipe is of all kernels."""
    module = imported(spec(STILL, **({} if l2 is None else {"l2": l2})))
    model = made(module.Small, dtype="float64")
    images, labels = jnp.array(np.random.default_rng(0).normal(size=(4, 8, 8, 3))), [0, 2, 1, 2]
    call = jax.jit(lambda x: nnx.clone(model)(x))
    main, head = map(np.asarray, call(images))
    expected = small.cross_entropy(main, labels, 0.1) + 0.3 * small.cross_entropy(head, labels, 0.1)
    for w in module.tensors_of(model).values():
        if w.ndim == 4:
            expected += (0.01 if l2 is None else float(l2)) / 2 * float((w**2).sum())
        elif w.ndim == 2:
            expected += float(l2 or 0) / 2 * float((w**2).sum())
    graph, state = nnx.split(model)
    loss_of = jax.jit(lambda state, *args: module.loss_of(nnx.merge(graph, state), *args))

    assert float(loss_of(state, images, jnp.array(labels))) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("smoothing", ["0", "0.25"])
def test_half_precision_does_not_round_the_loss(
    smoothing: str, imported: Callable[..., Any]
) -> None:
    module = imported(spec(PLAIN, loss=f"cross_entropy smoothing={smoothing}"))
    logits = jnp.array([[3.0, 2.75, -1.0]], jnp.bfloat16)
    loss = module.cross_entropy(logits, jnp.array([0]))

    exact = small.cross_entropy(np.asarray(logits, "float64"), [0], float(smoothing))
    assert float(loss) == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize(
    ("line", "decays"),
    [
        pytest.param("0.9", [0.9] * 3, marks=pytest.mark.slow),
        ("0.25 ramp=true", [0.1, 2 / 11, 0.25]),
    ],
)
@pytest.mark.usefixtures("float64")
def test_a_step(line: str, decays: list[float], imported: Callable[..., Any]) -> None:
    """Against the gradient of the loss, with clipping, a rate and an average by hand."""
    module = imported(spec(STILL, optimizer="sgd", clip="norm 0.05", average=line))
    model = made(module.Small, dtype="float64")
    average, optimizer = nnx.clone(model), module.make_optimizer(model)
    parts, graph = (model, optimizer, average), nnx.graphdef(model)

    def loss_of(state: Any, images: Any, labels: Any) -> Any:
        copy = nnx.merge(graph, state)
        return module.loss_of(copy, images, labels), nnx.state(copy)

    def step_of(state: Any, *args: Any) -> Any:
        copies = nnx.merge(nnx.graphdef(parts), state)
        return module.train_step(*copies, *args), nnx.state(copies)

    derived = jax.jit(jax.value_and_grad(loss_of, has_aux=True))
    stepped = jax.jit(step_of)
    images = jnp.array(np.random.default_rng(0).normal(size=(6, 8, 8, 3)))
    labels = jnp.arange(6) % 3
    averages = module.tensors_of(average)
    assert "conv1.bn.running_var" in averages
    for step, decay in enumerate(decays):
        before = module.tensors_of(model)
        (loss, after), grads = derived(nnx.state(model), images, labels)
        gradients = {
            ".".join([*map(str, path), module.NAMES[name]]): np.asarray(g[...])
            for (*path, name), g in nnx.to_flat_state(nnx.filter_state(grads, nnx.Param))
        }
        rate = module.rate(step, 4, 12)
        taken, state = stepped(nnx.state(parts), images, labels, rate, step)
        nnx.update(parts, state)

        assert float(taken) == pytest.approx(float(loss), rel=1e-13)
        scale = 0.05 / np.sqrt(sum((g**2).sum() for g in gradients.values()))
        assert scale < 1
        for key, w in module.tensors_of(model).items():
            if key in gradients:
                g = gradients[key]
                g = g.transpose(3, 2, 0, 1) if g.ndim == 4 else g.T
                expected = before[key] - rate * scale * g
            else:
                expected = module.tensors_of(nnx.merge(graph, after))[key]
            np.testing.assert_allclose(w, expected, rtol=1e-12, atol=1e-15)
            averages[key] = decay * averages[key] + (1 - decay) * w
            moved = module.tensors_of(average)[key]
            np.testing.assert_allclose(moved, averages[key], rtol=1e-12, atol=1e-15)


# ---------------------------------------------------------------- images


CROP = "crop area=[0.3, 1] aspect=[3/4, 4/3]"


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
    pixels = module.transform(image, numbers)

    assert pixels.dtype == np.float32
    expected = small.by_pillow(image, module.crop_box(*size, numbers), (8, 8), mode)
    np.testing.assert_array_equal(np.moveaxis(pixels, -1, 0), expected.clip(0, 255))


@pytest.mark.parametrize("size", [(37, 29), (6, 9)])
def test_a_crop_is_bilinear_unless_it_says_otherwise(
    size: tuple[int, int], imported: Callable[..., Any]
) -> None:
    """By the formula: a triangle, as wide as a pixel of the result if the image shrinks."""
    module, image = imported(spec(train=f"{{ {CROP} }}")), picture(*size)
    numbers = module.draw(0, 0, 0)
    pixels = module.transform(image, numbers)

    top, left, h, w = module.crop_box(*size, numbers)
    rows, columns = triangles(h, 8), triangles(w, 8)
    box = image[top : top + h, left : left + w].astype("float64")
    expected = np.einsum("yh,hwc,xw->yxc", rows, box, columns)
    np.testing.assert_allclose(pixels, expected, atol=1e-3)


def triangles(length: int, size: int) -> Array:
    """Return the weights (size, length) of pixels in a resized line of them."""
    scale = length / size
    centres = (np.arange(size)[:, None] + 0.5) * scale
    apart = np.abs(np.arange(length) + 0.5 - centres) / max(scale, 1)
    weights = np.maximum(0, 1 - apart)
    return weights / weights.sum(1, keepdims=True)


def test_flips(imported: Callable[..., Any]) -> None:
    module, image = imported(spec(train="{ flip 0.25 }")), picture(8, 8)
    numbers = [0.9] * 32
    np.testing.assert_array_equal(module.transform(image, numbers), image)
    for number, expected in ((0.2499, image[:, ::-1]), (0.25, image)):
        numbers[22] = number
        np.testing.assert_array_equal(module.transform(image, numbers), expected)


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
    numbers = [0.5] * 32
    numbers[place] = number
    pixels = module.transform(image, numbers)

    assert pixels.dtype == np.float32
    other = np.asarray(expected(Image.fromarray(image), number)).astype(float)
    assert np.abs(pixels - other).max() <= 1.5
    assert np.abs(pixels - image).max() > 20


@pytest.mark.parametrize("number", [0.0, 0.5, 0.8])
def test_hue_turns(number: float, imported: Callable[..., Any]) -> None:
    module, image = imported(spec(train="{ color hue=0.2 }")), picture(8, 8)
    numbers = [0.1] * 32
    numbers[27] = number
    pixels = module.transform(image, numbers)

    assert pixels.dtype == np.float32
    for value, pixel in zip(pixels.reshape(-1, 3), image.reshape(-1, 3) / 255, strict=True):
        hue, saturation, brightness = colorsys.rgb_to_hsv(*pixel)
        turned = colorsys.hsv_to_rgb((hue + 0.2 * (2 * number - 1)) % 1, saturation, brightness)
        assert value == pytest.approx(255 * np.array(turned), abs=1e-2)


def test_colours_change_in_order_and_stay_pixels(imported: Callable[..., Any]) -> None:
    """Each value is clipped before the next change, so that the order can be told."""
    line = "color brightness=0.5 contrast=[2, 2] saturation=[0.5, 0.5]"
    module, image = imported(spec(train=f"{{ {line} }}")), picture(8, 8)
    pixels = module.transform(image, [0.9] * 32)

    x = (image + 255 * 0.5 * 0.8).clip(0, 255)
    grey = np.array([0.299, 0.587, 0.114])
    mean = (x @ grey).mean()
    x = ((x - mean) * 2 + mean).clip(0, 255)
    x = (x @ grey)[..., None] + 0.5 * (x - (x @ grey)[..., None])
    np.testing.assert_allclose(pixels, x, atol=1e-3)


@pytest.mark.parametrize("size", [(37, 29), (20, 50), (11, 11)])
def test_evaluation_resizes_and_crops(size: tuple[int, int], imported: Callable[..., Any]) -> None:
    module, image = imported(spec(evaluate="{ resize 11 -> center_crop }")), picture(*size)
    pixels = module.prepare(image)

    scaled = {(37, 29): (14, 11), (20, 50): (11, 28), (11, 11): (11, 11)}[size]
    expected = small.by_pillow(image, (0, 0, *size), scaled, Image.Resampling.BILINEAR)
    top, left = {(14, 11): (3, 1), (11, 28): (1, 10), (11, 11): (1, 1)}[scaled]
    expected = expected[:, top : top + 8, left : left + 8]
    np.testing.assert_array_equal(np.moveaxis(pixels, -1, 0), expected)


def test_ten_crops(imported: Callable[..., Any]) -> None:
    module, image = imported(spec(evaluate="{ ten_crop }")), picture(11, 13)
    pixels = module.prepare(image)

    places = [(0, 0), (0, 5), (3, 0), (3, 5), (1, 2)]
    crops = [image[y : y + 8, x : x + 8] for y, x in places]
    np.testing.assert_array_equal(pixels, [*crops, *(crop[:, ::-1] for crop in crops)])


@pytest.mark.parametrize("size", [(80, 60), (61, 99)])
def test_the_144_crops_of_googlenet(size: tuple[int, int], imported: Callable[..., Any]) -> None:
    """For crops of 28 the shorter side is 32, 36, 40 and 44: the paper's sizes by 224 / 28."""
    text = spec(NETWORK.replace("8x8 3", "28x28 3"), evaluate="{ multi_crop }", drop=["train"])
    crops = imported(text).prepare(picture(*size))

    expected = small.crops_of_googlenet(picture(*size), 28)
    assert len(expected) == 144
    np.testing.assert_array_equal(np.moveaxis(crops, -1, 1), expected)


def read(examples: Any, batches: Any) -> list[tuple[Array, list[int]]]:
    """Return batches of images with their labels."""
    data = examples.read(batches, 2)
    return [(np.asarray(images), np.asarray(labels).tolist()) for images, labels in data]


def test_the_numbers_of_an_image_are_its_own(imported: Callable[..., Any]) -> None:
    module = imported(spec(GREY, train="{ crop area=[0.3, 1] aspect=[3/4, 4/3] -> flip }"))
    arrays = np.random.default_rng(0).integers(0, 255, (20, 12, 12), "uint8")
    examples = module.Examples(arrays, np.arange(20))
    ((images, labels),) = read(examples, module.training_order(20, 7, 5, 6))

    assert labels == module.order(1, 20, 7)[12:18].tolist()
    for image, number in zip(images, labels, strict=True):
        pixels = arrays[number][..., None]
        expected = module.transform(pixels, module.draw(7, 1, number))
        np.testing.assert_array_equal(image, expected)


def test_arrays_without_transforms_are_taken_as_they_are(imported: Callable[..., Any]) -> None:
    module = imported(spec(GREY, drop=["train", "evaluate"]))
    arrays = np.random.default_rng(0).integers(0, 255, (20, 8, 8), "uint8")
    examples = module.Examples(arrays, np.arange(20))
    trained = read(examples, module.training_order(20, 7, 0, 3))
    evaluated = read(examples, module.evaluation_order(20))

    assert [*chain(*(labels for _, labels in trained))] == module.order(0, 20, 7)[:18].tolist()
    assert [*chain(*(labels for _, labels in evaluated))] == [*range(20), -1, -1, -1, -1]
    for images, labels in (*trained, *evaluated):
        np.testing.assert_array_equal(images, arrays[labels][..., None])


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

    monkeypatch.setattr(jax, "process_count", lambda: 3)
    shares, evaluated = [], []
    for rank in range(3):
        monkeypatch.setattr(jax, "process_index", lambda rank=rank: rank)
        shares.append([part.tolist() for _, part in module.training_order(20, 7, 4, 7)])
        evaluated.append([part.tolist() for _, part in module.evaluation_order(20)])
    assert [[*chain(*parts)] for parts in zip(*shares, strict=True)] == [p for _, p in whole[4:]]
    joined = [*chain(*(chain(*parts) for parts in zip(*evaluated, strict=True)))]
    assert joined == [*range(20), -1, -1, -1, -1]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no image", "cannot identify image file"),
        (picture(7, 9), "it does not have the size of the input, 8 x 8"),
        (picture(7, 9), "an image of 7 x 9 is smaller than 8 x 8"),
    ],
)
def test_an_image_that_cannot_be_used(
    content: Any, reason: str, imported: Callable[..., Any], tmp_path: Path
) -> None:
    """Its path is said."""
    chain = "{ center_crop }" if "smaller" in reason else "{ flip }"
    module = imported(spec(train=chain, evaluate="{ center_crop }"))
    names = [f"{tmp_path}/{number}.png" for number in range(6)]
    for name in names:
        Image.fromarray(picture(8, 8)).save(name)
    if isinstance(content, bytes):
        Path(names[1]).write_bytes(content)
    else:
        Image.fromarray(content).save(names[1])
    examples = module.Examples(names, np.zeros(6))

    with pytest.raises(SystemExit) as stopped:
        read(examples, module.training_order(6, 7, 0, 1))
    assert str(stopped.value).startswith(f"error: {names[1]} cannot be used: ")
    assert reason in str(stopped.value)


# ---------------------------------------------------------------- evaluation


@pytest.mark.parametrize("crops", [1, 10])
@pytest.mark.usefixtures("float64")
def test_evaluation(crops: int, imported: Callable[..., Any]) -> None:
    """Top-5 counts from six classes on; crops share the mean of their probabilities."""
    network = NETWORK.replace("classes = 3", "classes = 7")
    line = "{ ten_crop }" if crops == 10 else "{ center_crop }"
    module = imported(spec(network, evaluate=line))
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(0, 2, (9 * crops, 7)), rng.integers(0, 7, 9)
    images = logits.reshape(-1, crops, 7) if crops > 1 else logits
    images, given = np.pad(images, [(0, 2), *[(0, 0)] * (images.ndim - 1)]), [*labels, -1, -1]
    scores = module.grade(lambda x: x, jnp.array(images), jnp.array(given))

    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    p = p.reshape(9, crops, 7).mean(1)
    better = (p > p[range(9), labels][:, None]).sum(1)
    expected = [-np.log(p[range(9), labels]).sum(), (better == 0).sum(), (better < 5).sum()]
    assert scores.tolist() == pytest.approx(expected, rel=1e-12)


# ---------------------------------------------------------------- whole runs


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scripts.folder_of_images(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scripts.built(tmp_path_factory.mktemp("script"), spec(), "flax")


@pytest.fixture(scope="module")
def whole(script: Path, images: Path, tmp_path_factory: pytest.TempPathFactory) -> scripts.Run:
    """Return a run that nothing interrupted."""
    output = tmp_path_factory.mktemp("runs") / "whole"
    run = scripts.run(script, images, output, "--log-every=1")
    assert run.code == 0, run.said
    return run


@pytest.mark.slow
@pytest.mark.parametrize("batch", ["6", "6 synchronized=true"])
def test_two_processes_are_two_devices(batch: str, images: Path, tmp_path: Path) -> None:
    script = scripts.built(tmp_path / "script", spec(batch=batch), "flax")
    options, dtype = ("--log-every=1", "--steps=6"), "float64"
    one = scripts.run(script, images, tmp_path / "run1", *options, devices=2, dtype=dtype)
    two = scripts.run(script, images, tmp_path / "run2", *options, processes=2, dtype=dtype)
    scripts.compared(one, two)


def test_each_device_has_its_own_statistics(images: Path, tmp_path: Path) -> None:
    """The loss is the mean over them, and so are the running statistics."""
    script = scripts.built(tmp_path / "script", spec(STILL, batch="6", rate="0.05"), "flax")
    module = scripts.loaded(script)
    with jax.enable_x64(True):
        model = made(module.Small, dtype="float64")
        save_file(module.tensors_of(model), tmp_path / "start.safetensors")
    options = (f"--from={tmp_path}/start.safetensors", "--log-every=1", "--steps=1")
    run = scripts.run(script, images, tmp_path / "run", *options, devices=2, dtype="float64")
    assert run.code == 0, run.said

    with jax.enable_x64(True):
        order = module.training_order(30, 0, 0, 1)
        examples, _ = module.find_examples(images)
        ((x, labels),) = examples.read(order, 1)
        x = module.preprocess(x)
        losses, statistics = [], []
        for part in (slice(0, 3), slice(3, 6)):
            losses.append(float(nnx.jit(module.loss_of)(model, x[part], labels[part])))
            statistics.append(module.tensors_of(model))
            module.load_safetensors(model, tmp_path / "start.safetensors")
    row, trained = run.log()[0], weights(run)
    assert float(row["loss"]) == pytest.approx(sum(losses) / 2, rel=1e-9)
    for key in ("conv2.bn.running_var", "conv1.bn.running_mean"):
        one, other = (tensors[key] for tensors in statistics)
        assert not np.allclose(one, other, rtol=1e-4)
        np.testing.assert_allclose(trained[key], (one + other) / 2, rtol=1e-9)


def drop(script: Path, output: Path) -> None:
    """Write the loss of a step on two devices: what one drops of 1, less what another does."""
    scripts.set_flax("float32", 2)
    module = scripts.loaded(script)
    module.loss_of = lambda model, images, labels: model.dropout(images).sum()
    model, signs = made(module.Small), jnp.array([[1.0], [-1.0]])
    step = nnx.jit(lambda model: module.gradients_of(model, jnp.tile(signs, 1000), signs)[0])
    losses = [step(model) for _ in range(2)]
    output.write_text(" ".join(str(float(loss)) for loss in losses))


def test_each_device_and_each_step_drops_other_values(tmp_path: Path) -> None:
    script = scripts.built(tmp_path / "script", spec(batch="6"), "flax")
    scripts.forked(script, drop, script, tmp_path / "found")
    first, second = map(float, (tmp_path / "found").read_text().split())

    assert first and second and first != second


def test_frozen_statistics_freeze_a_normalisation(imported: Callable[..., Any]) -> None:
    module = imported(spec())
    model = made(module.Small)
    module.freeze(model, ["conv1.bn.running_mean", "conv2.bn.bias"])

    assert {key for key, w in module.by_key(model).items() if module.trained((), w)} == {
        "conv1.conv.weight",
        "conv2.conv.weight",
        "conv2.bn.weight",
        "early.fc.weight",
        "early.fc.bias",
        "logits.weight",
        "logits.bias",
    }
    assert model.conv1.bn.use_running_average
    assert not model.conv2.bn.use_running_average
    with pytest.raises(SystemExit, match="--freeze leaves nothing to train"):
        module.freeze(model, ["*"])


def test_weights_that_do_not_fit(imported: Callable[..., Any], tmp_path: Path) -> None:
    module = imported(spec())
    other = module.tensors_of(made(module.Small))
    other["logits.weight"], other["more"] = np.zeros((4, 8)), np.zeros(1)
    del other["conv1.bn.bias"]
    save_file(other, tmp_path / "other.safetensors")

    with pytest.raises(SystemExit) as stopped:
        module.load_weights(made(module.Small), tmp_path / "other.safetensors", [])
    for part in ("missing: conv1.bn.bias", "unexpected: more", "misshapen: logits.weight"):
        assert part in str(stopped.value)


def test_what_is_refused(imported: Callable[..., Any], tmp_path: Path) -> None:
    module = imported(spec())
    model, file, log = made(module.Small), tmp_path / "last.safetensors", tmp_path / "log.csv"
    save_file(module.tensors_of(model), file)
    log.write_text("step,epoch\n0,0\n")
    for call, message in (
        (
            lambda: module.load_weights(model, log, []),
            f"error: --from {log}: it is not a .safetensors file",
        ),
        (lambda: module.load_weights(model, file, ["logit"]), "no key matches logit; near it"),
        (lambda: module.freeze(model, ["conv3*"]), "no key matches conv3*; near it are conv"),
        (lambda: module.find_examples(tmp_path / "none"), "error: no images (.bmp, .jpeg, "),
    ):
        with pytest.raises(SystemExit) as stopped:
            call()
        assert message in str(stopped.value)


@pytest.mark.slow
@pytest.mark.parametrize("several", [{"devices": 2}, {"processes": 2}])
def test_a_loss_that_is_not_finite_stops_a_run_on_several_devices(
    several: dict[str, Any], script: Path, images: Path, tmp_path: Path, whole: scripts.Run
) -> None:
    broken = weights(whole)
    broken["conv2.conv.weight"] = np.full_like(broken["conv2.conv.weight"], 3e38)
    save_file(broken, tmp_path / "broken.safetensors")
    options = [f"--from={tmp_path}/broken.safetensors", "--log-every=1"]
    run = scripts.run(script, images, tmp_path / "run", *options, **several)

    assert run.code == 1
    assert "the loss is nan in step 0, at a rate of 0;" in run.said
    assert "output is not finite: conv2.conv\n" in run.said
    assert not (tmp_path / "run" / "checkpoint.npz").exists()
    assert not run.log()


@pytest.mark.slow
def test_weights_are_saved_in_full_when_layers_compute_in_half(
    script: Path, images: Path, tmp_path: Path, whole: scripts.Run
) -> None:
    run = scripts.run(script, images, tmp_path / "run", "--log-every=1", "--precision=bfloat16")
    assert run.code == 0, run.said
    for row, exact in zip(run.log(), whole.log(), strict=True):
        assert float(row["loss"] or 0) == pytest.approx(float(exact["loss"] or 0), rel=0.05)
    assert run.log() != whole.log()
    rounded = weights(run)["conv1.conv.weight"]
    assert rounded.dtype == np.float32
    assert (rounded.view("uint32") & 0xFFFF).any()  # digits that bfloat16 has not


def test_weights_files_hold_every_kind_of_kernel(forms: Path, tmp_path: Path) -> None:
    """Load again what was saved: also depthwise and grouped kernels."""
    module = scripts.loaded(forms / "depth" / "train_small_depth_flax.py")
    one, other = (made(module.Small, seed) for seed in (0, 1))
    save_file(module.tensors_of(one), tmp_path / "a.safetensors")
    module.load_safetensors(other, tmp_path / "a.safetensors")

    same(module.tensors_of(other), module.tensors_of(one))
    for key, w in module.by_key(one).items():
        np.testing.assert_array_equal(w[...], module.by_key(other)[key][...])


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_every_form_runs(form: str, forms: Path, images: Path, tmp_path: Path) -> None:
    script = forms / form / f"train_small_{form}_flax.py"
    for devices in (1, 2):
        output = tmp_path / f"run{devices}"
        data = images
        if form in ("grey", "least", "arrays"):  # images of the size of the network
            data = scripts.folder_of_idx(tmp_path / "idx")
        run = scripts.run(script, data, output, "--log-every=1", devices=devices)
        assert run.code == 0, run.said
        assert [row["step"] for row in run.log() if row["top1"]][-1] == run.log()[-1]["step"]
