"""Training scripts of Flax: what is their own, in parts and in whole runs."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scripts
from flax import nnx
from parts_flax import APART, float64, made
from PIL import Image
from safetensors.numpy import save_file
from scripts import weights
from small import GREY, STILL, Array, by_pillow, picture, spec

# ---------------------------------------------------------------- the text


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    return scripts.importer(tmp_path_factory, "flax")


@pytest.mark.parametrize("name", ["run", "examples"])
def test_a_network_with_a_name_of_the_script(name: str, tmp_path: Path) -> None:
    text = spec().replace("network small", f"network {name}").replace("for small", f"for {name}")
    module = scripts.loaded(scripts.built(tmp_path, text, "flax"))
    assert getattr(module, f"{name.capitalize()}Network").__module__ == f"{name}_flax"
    assert getattr(module, name.capitalize()).__module__ == module.__name__


# ---------------------------------------------------------------- a step


@pytest.mark.parametrize(
    ("line", "decays"),
    [
        pytest.param("0.9", [0.9] * 3, marks=pytest.mark.slow),
        ("0.25 ramp=true", [0.1, 2 / 11, 0.25]),
    ],
)
@float64()
def test_a_step(line: str, decays: list[float], imported: Callable[..., Any]) -> None:
    """Against the gradient of the loss, with clipping, a rate and an average by hand."""
    module = imported(spec(STILL, optimizer="sgd", clip="norm 0.05", average=line))
    model = made(module, dtype="float64")
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


@pytest.mark.parametrize("size", [(37, 29), (97, 130), (8, 1)])
@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
def test_resizing_is_that_of_pillow(
    size: tuple[int, int], mode: str, imported: Callable[..., Any]
) -> None:
    """Also where the result has several times 16 pixels, which are made at a time."""
    module, image = imported(spec()), picture(*size)
    pixels = module.resize(image, 40, 32, mode)

    whole, kind = (0, 0, *size), Image.Resampling[mode.upper()]
    expected = np.moveaxis(by_pillow(image, whole, (40, 32), kind), 0, -1)
    np.testing.assert_allclose(pixels, expected, rtol=0, atol=APART)


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


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no image", "cannot identify image file"),
        (picture(20, 20), "Image size (400 pixels) exceeds limit"),  # no OSError, no ValueError
        (picture(7, 9), "it does not have the size of the input, 8 x 8"),
        (picture(7, 9), "an image of 7 x 9 is smaller than 8 x 8"),
    ],
)
def test_an_image_that_cannot_be_used(
    content: Any,
    reason: str,
    imported: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its path is said."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 150)
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
        model = made(module, dtype="float64")
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
    model, signs = made(module), jnp.array([[1.0], [-1.0]])
    step = nnx.jit(lambda model: module.gradients_of(model, jnp.tile(signs, 1000), signs)[0])
    losses = [step(model) for _ in range(2)]
    output.write_text(" ".join(str(float(loss)) for loss in losses))


def test_each_device_and_each_step_drops_other_values(tmp_path: Path) -> None:
    script = scripts.built(tmp_path / "script", spec(batch="6"), "flax")
    scripts.forked(script, drop, script, tmp_path / "found")
    first, second = map(float, (tmp_path / "found").read_text().split())

    assert first and second and first != second


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
