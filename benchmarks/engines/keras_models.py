"""The models that Keras runs, on TensorFlow or PyTorch: published, generated, and converted."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np

import incgen
from engines.files import import_file, spec_of, weights_of
from engines.plan import DEPLOYED, NETWORKS, ONNX2TF, PUBLISHED, STEP, Cell, Network
from figures import REFERENCE


def applications(network: Network) -> Any:
    """Return what Keras publishes of a network, without the softmax at its end."""
    keras.utils.set_random_seed(0)
    shape = (network.size, network.size, 3)
    return keras.applications.InceptionV3(
        weights=None, classifier_activation=None, input_shape=shape
    )


def model_of(network: Network, name: str, folder: Path) -> Any:
    """Return a model with the weights of the published one."""
    if name == PUBLISHED and network.keras != network.name:
        model = applications(network)
        model.load_weights(folder / "published.weights.h5")
        return model
    deploy = name == DEPLOYED
    code = incgen.load(spec_of(network.keras), "keras", network.parameters, deploy=deploy)
    model = getattr(code, network.keras)()
    code.load_safetensors(model, str(weights_of(folder, network.keras)))
    if name != PUBLISHED:
        return model
    by_hand = import_file(REFERENCE / f"{network.keras}_keras.py").bn_inception(name="by_hand")
    for layer in model.layers:
        if layer.weights:
            by_hand.get_layer(layer.name).set_weights(layer.get_weights())
    return by_hand


@cache
def _used(network: str, name: str, work: str, folder: Path) -> Any:
    """Return a model that all ways of calling it share."""
    return model_of(NETWORKS[network], name, folder)


def runner(cell: Cell, network: Network, folder: Path) -> Callable[[], Any]:
    """Return a function that runs a cell once, and returns an array for inference."""
    stored = np.load(folder / "images.npy", mmap_mode="r")[: cell.batch]
    images = np.ascontiguousarray(stored.transpose(0, 2, 3, 1))
    if cell.model == ONNX2TF:
        return _converted(images, folder / ONNX2TF)
    model = _used(network.name, cell.model, cell.work, folder)
    if cell.work == STEP:
        return _step(model, images)
    if cell.engine == "keras-predict":
        return lambda: model.predict(images, batch_size=cell.batch, verbose=0)
    if cell.engine == "keras-on-torch":
        return _on_torch(model, images)
    return _function(model, images, compiled=cell.engine == "keras-xla")


def _function(model: Any, images: np.ndarray, compiled: bool) -> Callable[[], Any]:
    import tensorflow as tf

    function = tf.function(lambda inputs: model(inputs, training=False), jit_compile=compiled)
    inputs = tf.constant(images)
    return lambda: function(inputs).numpy()


def _converted(images: np.ndarray, folder: Path) -> Callable[[], Any]:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(folder))
    function = loaded.signatures["serving_default"]
    function.of = loaded  # its variables live as long as what was loaded
    (name,) = function.structured_input_signature[1]
    inputs = {name: tf.constant(images)}

    def run() -> Any:
        (output,) = function(**inputs).values()
        return output.numpy()

    return run


def _on_torch(model: Any, images: np.ndarray) -> Callable[[], Any]:
    import torch

    inputs = torch.from_numpy(images)

    def run() -> Any:
        with torch.inference_mode():
            return model(inputs, training=False).numpy()

    return run


def _step(model: Any, images: np.ndarray) -> Callable[[], Any]:
    """Return a function that makes a step of training."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1e-9, momentum=0.9), loss=loss, jit_compile=False)
    labels = np.random.default_rng(3).integers(1000, size=len(images))
    return lambda: model.train_on_batch(images, labels)
