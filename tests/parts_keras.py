"""The parts of training scripts of Keras, as test_train_parts.py drives them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import scripts
import small
import tensorflow as tf
from small import Array

#: How far pixels may be from those of Pillow.
APART = 1e-3


@contextmanager
def float64() -> Iterator[None]:
    scripts.set_keras("float64")
    try:
        yield
    finally:
        scripts.set_keras("float32")


def optimised(module: Any) -> list[float]:
    optimizer, weight = module.make_optimizer(), keras.Variable(np.ones(2), name="kernel")
    optimizer.build([weight])
    for rate, gradients in zip(small.RATES, small.GRADIENTS, strict=True):
        step(optimizer, rate, [gradients], [weight])
    values: list[float] = weight.numpy().tolist()
    return values


def decayed(module: Any, rate: float) -> tuple[dict[str, Array], dict[str, Array]]:
    network = module.small()
    optimizer, weights = module.compiled(network).optimizer, network.trainable_variables
    before = {key: w.numpy() for key, w in module.by_key(network.layers).items()}
    step(optimizer, rate, [np.zeros(w.shape) for w in weights], weights)
    return before, {key: w.numpy() for key, w in module.by_key(network.layers).items()}


def step(optimizer: Any, rate: float, gradients: Sequence[Any], weights: Sequence[Any]) -> None:
    optimizer.learning_rate = rate
    optimizer.apply([tf.constant(gradient, "float64") for gradient in gradients], weights)


def clipped(module: Any, gradients: Sequence[Sequence[float]]) -> list[float]:
    optimizer = module.make_optimizer()
    weights = [keras.Variable(np.zeros(len(gradient))) for gradient in gradients]
    optimizer.build(weights)
    step(optimizer, -1.0, gradients, weights)
    return [value for w in weights for value in w.numpy().tolist()]


def loss_of(
    module: Any, images: Array, labels: Sequence[int]
) -> tuple[float, list[Array], list[Array]]:
    keras.utils.set_random_seed(0)
    training = module.compiled(network := module.small())
    outputs = network(images, training=True)
    loss = training.loss_of(np.array(labels), outputs)
    every = [outputs["logits"], outputs["early"]] if isinstance(outputs, dict) else [outputs]
    weights = [w.numpy() for w in network.trainable_variables]
    return float(loss), [np.asarray(output) for output in every], weights


def half_loss(module: Any, logits: Sequence[float], label: int) -> tuple[float, Array]:
    rounded = tf.constant([logits], tf.bfloat16)
    loss = module.cross_entropy(np.array([label]), rounded)
    return float(loss), tf.cast(rounded, "float64").numpy()


def box(module: Any, size: Sequence[int], numbers: list[float]) -> list[int]:
    return [int(value) for value in module.crop_box(*size, np.array(numbers))]


def transformed(module: Any, image: Array, numbers: list[float]) -> Array:
    """Transform in a graph as in a pipeline; outside of one it is the same.

    That comes first, as what is wrong with an image does in `blame`: a graph may run the next op
    before the one that says so.
    """
    given = tf.constant(image), tf.constant(numbers, "float64")
    expected = module.transform(*given).numpy()
    traced = tf.function(module.transform)(*given).numpy()
    np.testing.assert_allclose(traced, expected, atol=1e-4)
    return np.asarray(traced)


def prepared(module: Any, image: Array) -> Array:
    return np.asarray(tf.function(module.prepare)(tf.constant(image)).numpy())


def made(module: Any, seed: int = 0) -> Any:
    keras.utils.set_random_seed(seed)
    return module.small()


def tensors(module: Any, model: Any) -> dict[str, Array]:
    arrays: dict[str, Array] = module.tensors_of(model, module.by_key(model.layers))
    return arrays


def trained(module: Any, model: Any) -> set[str]:
    return {key for key, w in module.by_key(model.layers).items() if w.trainable}


def is_frozen(model: Any, block: str) -> bool:
    return not model.get_layer(f"{block}-bn").trainable


def scores(module: Any, logits: Array, labels: Array) -> list[float]:
    sums = module.scores(lambda x, training: {"logits": x, "early": -x}, logits, labels)
    values: list[float] = sums.numpy().tolist()
    return values
