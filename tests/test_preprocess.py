"""`preprocess` accepts, rejects and warns alike in every framework."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np
import pytest
import tensorflow as tf
import torch

import incgen

SPEC = """
numerics torch
network net {
    input 4x5 3  order=bgr range=[0, 1] mean=[0.1, 0.2, 0.3]
    conv 1x1 2
}
"""
TORCH, KERAS, FLAX = (
    incgen.load("net.inc", target, text=SPEC) for target in ("torch", "keras", "flax")
)


def by_torch(images: Any) -> Any:
    """Preprocess images (..., H, W, C)."""
    first = np.moveaxis(images, -1, -3) if images.ndim > 2 else images
    result = TORCH.preprocess(torch.from_numpy(np.ascontiguousarray(first)))
    return np.moveaxis(result.numpy(), -3, -1)


def by_keras(images: Any) -> Any:
    """Preprocess images (..., H, W, C)."""
    return np.asarray(KERAS.preprocess(images))


def by_flax(images: Any) -> Any:
    """Preprocess images (..., H, W, C)."""
    return np.asarray(FLAX.preprocess(images))


EVERY = pytest.mark.parametrize("preprocess", [by_torch, by_keras, by_flax])


@EVERY
@pytest.mark.parametrize("leading", [(), (1,), (2,), (2, 3)])
def test_one_image_and_any_number(preprocess: Any, leading: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (*leading, 4, 5, 3), "uint8")

    pixels = preprocess(images)

    np.testing.assert_allclose(pixels, images[..., ::-1] / 255 - [0.1, 0.2, 0.3], atol=1e-6)


@EVERY
@pytest.mark.parametrize("shape", [(4, 3), (3, 4, 5), (2, 3, 4, 5), (2, 4, 5, 4)])
def test_other_shapes_are_refused(preprocess: Any, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected \(\.\.\., (3, H, W|H, W, 3)\), got \("):
        preprocess(np.full(shape, 100, "uint8"))


@EVERY
@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 0.5), (-1, 1), (-120, 130), (0, 65535)])
def test_values_that_are_no_pixels_are_warned_of(preprocess: Any, low: float, high: float) -> None:
    images = np.linspace(low, high, 60, dtype="float32").reshape(1, 4, 5, 3)

    with pytest.warns(UserWarning, match=rf"^expected values in 0\.\.255, got {low:g} to {high:g}"):
        preprocess(images)


@EVERY
@pytest.mark.parametrize("values", ["uint8", "float32", "float64", "int32"])
def test_pixels_are_not_warned_of(preprocess: Any, values: str) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3)).astype(values)
    dark = (picture > 128).astype("uint8")  # 0 and 1 in a byte are a dark picture

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for images in (picture, dark, np.zeros_like(picture), picture[:0]):
            preprocess(images)


@EVERY
def test_what_a_resize_rounds_is_not_warned_of(preprocess: Any) -> None:
    """White pixels become 255.00002, for instance."""
    images = np.linspace(-1e-4, 255.0001, 60, dtype="float32").reshape(1, 4, 5, 3)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        preprocess(images)


def test_in_a_pipeline_of_tensorflow_from_a_file(tmp_path: Path) -> None:
    """AutoGraph rewrites the code of functions whose files it can read."""
    path = tmp_path / "net.py"
    path.write_text(incgen.generate("net.inc", "keras", text=SPEC), "utf-8")
    spec = importlib.util.spec_from_file_location("net_of_a_file", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    images = np.random.default_rng(0).uniform(0, 255, (2, 4, 5, 3)).astype("float32")

    batches = tf.data.Dataset.from_tensors(images).map(module.preprocess)

    np.testing.assert_allclose(np.asarray(next(iter(batches))), by_keras(images), atol=1e-6)


def test_in_graphs_and_on_other_devices() -> None:
    images = np.random.default_rng(0).uniform(0, 255, (2, 4, 5, 3)).astype("float32")
    wanted = by_keras(images)
    first = torch.from_numpy(np.ascontiguousarray(np.moveaxis(images, -1, -3)))

    class Module(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return TORCH.preprocess(x)

    sizes = {0: torch.export.Dim("n"), 2: torch.export.Dim("h"), 3: torch.export.Dim("w")}
    exported = torch.export.export(Module(), (first,), dynamic_shapes=(sizes,)).module()
    compiled = torch.compile(TORCH.preprocess, backend="eager", fullgraph=True)
    for found in (exported(first), compiled(first)):
        np.testing.assert_allclose(np.moveaxis(found.numpy(), -3, -1), wanted, atol=1e-6)
    assert TORCH.preprocess(first.to("meta")).shape == first.shape

    for found in (jax.jit(FLAX.preprocess)(images), jax.vmap(FLAX.preprocess)(images)):
        np.testing.assert_allclose(np.asarray(found), wanted, atol=1e-6)

    batches = tf.data.Dataset.from_tensors(images).map(KERAS.preprocess)
    graph = tf.function(KERAS.preprocess, [tf.TensorSpec((None, None, None, None))])
    of_any_rank = tf.function(KERAS.preprocess, [tf.TensorSpec(None)])
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, KERAS.preprocess(inputs))
    for found in (next(iter(batches)), graph(images), of_any_rank(images), model(images)):
        np.testing.assert_allclose(np.asarray(found), wanted, atol=1e-6)
