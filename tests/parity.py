"""Both generated models of a spec with the same weights, for the agreement tests.

Values are compared relative to the largest element, in float64 unless stated, so that a semantic
difference stands out from rounding.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file
from safetensors.torch import load_file

import incgen
from incgen.graph.nodes import Graph
from incgen.language.names import class_name

Array = NDArray[Any]


@contextmanager
def precision(dtype: str) -> Iterator[None]:
    """Switch both frameworks to one floating-point type."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, dtype))
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")


def random_weights(graph: Graph, seed: int, dtype: str = "float64") -> dict[str, Array]:
    """Return weights that hide no error: no zeros, no ones, variances that differ."""
    random = np.random.default_rng(seed)
    weights = {}
    for key, tensor in graph.tensors().items():
        if key.endswith("running_var"):
            value = random.uniform(0.5, 2.0, tensor.shape)
        elif len(tensor.shape) > 1:
            value = random.normal(0, (2 / tensor.fan_in) ** 0.5, tensor.shape)
        elif key.endswith(".weight"):
            value = random.uniform(0.5, 1.5, tensor.shape)
        else:
            value = random.normal(0, 0.3, tensor.shape)
        weights[key] = value.astype(dtype)
    return weights


def difference(a: Array, b: Array) -> float:
    """Return the largest difference relative to the largest element."""
    assert a.shape == b.shape, f"{a.shape} and {b.shape}"
    assert np.isfinite(a).all() and np.isfinite(b).all()
    return float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-30))


def channels_last(value: Array) -> Array:
    """Convert (N, C, H, W) to (N, H, W, C); leave vectors as they are."""
    return value.transpose(0, 2, 3, 1) if value.ndim == 4 else value


def channels_first(value: Array) -> Array:
    """Convert (N, H, W, C) to (N, C, H, W); leave vectors as they are."""
    return value.transpose(0, 3, 1, 2) if value.ndim == 4 else value


@dataclass
class Models:
    """A PyTorch and a Keras model of one spec that hold the same weights."""

    graph: Graph
    torch_module: ModuleType
    keras_module: ModuleType
    torch_model: Any
    keras_model: Any
    weights: dict[str, Array]

    @property
    def outputs(self) -> list[str]:
        """Return the names of the outputs, the network's own first."""
        return list(self.graph.outputs)

    def torch_outputs(self, x: Array, *, training: bool = False) -> dict[str, Any]:
        """Return the outputs of the PyTorch model by name, as tensors."""
        self.torch_model.train(training)
        result = self.torch_model(torch.from_numpy(x))
        if len(self.outputs) == 1 or not training:
            assert isinstance(result, torch.Tensor)
            return {self.outputs[0]: result}
        outputs: dict[str, Any] = result._asdict()
        assert list(outputs) == self.outputs
        return outputs

    def keras_outputs(self, x: Array, *, training: bool = False) -> dict[str, Any]:
        """Return the outputs of the Keras model by name, as tensors."""
        result = self.keras_model(channels_last(x), training=training)
        return result if isinstance(result, dict) else {self.outputs[0]: result}

    def evaluation(self, x: Array) -> tuple[Array, Array]:
        """Return the main output of both in evaluation mode, channels first."""
        with torch.no_grad():
            ours = self.torch_outputs(x)[self.outputs[0]].numpy()
        theirs = np.asarray(self.keras_outputs(x)[self.outputs[0]])
        return ours, channels_first(theirs)


def build(
    spec: Path,
    folder: Path,
    *,
    size: tuple[int | None, int | None] | None = None,
    seed: int = 0,
    dtype: str = "float64",
    parameters: dict[str, Any] | None = None,
) -> Models:
    """Generate both, build both, and load one safetensors file into both.

    Args:
        spec: The spec.
        folder: The folder for the weights file.
        size: The height and width of the Keras model, if not the spec's.
        seed: The seed of the weights.
        dtype: The type of the weights; `precision` sets that of the models.
        parameters: The parameters of the network.
    """
    given = json.dumps(parameters or {})
    graph, torch_module, keras_module = _generated(spec, spec.read_text("utf-8"), given)
    name = graph.program.network.name
    weights = random_weights(graph, seed, dtype)
    path = folder / f"{name}_{dtype}_{seed}.safetensors"
    save_file(weights, path)
    torch_model = getattr(torch_module, class_name(name))()
    torch_model.load_state_dict(load_file(path))
    own = graph.input.height, graph.input.width
    shape = {} if size in (None, own) else {"input_shape": (*size, graph.input.channels)}
    keras_model = getattr(keras_module, name)(**shape)
    keras_module.load_safetensors(keras_model, path)
    return Models(graph, torch_module, keras_module, torch_model, keras_model, weights)


@cache
def _generated(spec: Path, text: str, parameters: str) -> tuple[Graph, ModuleType, ModuleType]:
    """Return the graph of a spec, and what is generated from it: most tests build the same."""
    given = json.loads(parameters)
    graph = incgen.compile_spec(spec, given, text=text)
    return graph, *(incgen.load(spec, name, given, text=text) for name in ("torch", "keras"))


def evaluated(spec: Path, x: Array) -> Array:
    """Return what the PyTorch model alone gives in evaluation, with the weights of `build`."""
    graph, module, _ = _generated(spec, spec.read_text("utf-8"), "{}")
    model = getattr(module, class_name(graph.program.network.name))()
    weights = random_weights(graph, 0)
    model.load_state_dict({key: torch.from_numpy(value) for key, value in weights.items()})
    with torch.no_grad():
        result: Array = model.eval()(torch.from_numpy(x)).numpy()
    return result


def images(graph: Graph, size: tuple[int, int], batch: int = 2, dtype: str = "float64") -> Array:
    """Return random input (N, C, H, W), including negative values."""
    random = np.random.default_rng(size[0] * 1000 + size[1])
    return random.normal(0, 1, (batch, graph.input.channels, *size)).astype(dtype)


@dataclass
class Step:
    """A forward and backward pass in training mode: of each framework, by key."""

    outputs: tuple[dict[str, Array], dict[str, Array]]
    gradients: tuple[dict[str, Array], dict[str, Array]]
    statistics: tuple[dict[str, Array], dict[str, Array]]


def torch_pass(
    models: Models, x: Array, *, penalty: bool = False
) -> tuple[dict[str, Array], dict[str, Array], dict[str, Array]]:
    """Run the PyTorch model once in training mode: outputs, gradients, running statistics."""
    inner = torch.from_numpy(x).requires_grad_()
    models.torch_model.train()
    result = models.torch_model(inner)
    named = {models.outputs[0]: result} if len(models.outputs) == 1 else result._asdict()
    factors = loss_factors({name: tuple(value.shape) for name, value in named.items()})
    loss = torch.zeros(())
    for name, value in named.items():
        loss = loss + (value * torch.from_numpy(factors[name])).sum()
    if penalty:
        loss = loss + models.torch_model.regularization_loss()
    models.torch_model.zero_grad()
    loss.backward()
    gradients = {k: p.grad.numpy() for k, p in models.torch_model.named_parameters()}
    gradients["input"] = inner.grad.numpy()
    statistics = {k: b.numpy() for k, b in models.torch_model.named_buffers() if "running" in k}
    return {name: value.detach().numpy() for name, value in named.items()}, gradients, statistics


def loss_factors(shapes: dict[str, tuple[int, ...]]) -> dict[str, Array]:
    """Return the weight of each element of the outputs in the loss (channels first)."""
    random = np.random.default_rng(1)
    return {name: random.normal(0, 1, shape) for name, shape in shapes.items()}


def train(models: Models, x: Array, *, penalty: bool = False) -> Step:
    """Run both once in training mode, on a loss that weights every output differently.

    Args:
        models: Both models.
        x: The input (N, C, H, W).
        penalty: Whether the loss includes the regularisation.
    """
    ours, gradients, statistics = torch_pass(models, x, penalty=penalty)
    factors = loss_factors({name: value.shape for name, value in ours.items()})

    y = tf.constant(channels_last(x))
    with tf.GradientTape() as tape:
        tape.watch(y)
        computed = models.keras_model(y, training=True)
        computed = computed if isinstance(computed, dict) else {models.outputs[0]: computed}
        total = tf.add_n(
            [tf.reduce_sum(computed[n] * channels_last(factors[n])) for n in models.outputs]
        )
        if penalty:
            total += tf.add_n(models.keras_model.losses)
    variables = {key: v for key, v in keras_variables(models.keras_model).items() if v.trainable}
    keys = list(variables)
    grads = tape.gradient(total, [y, *(variables[k].value for k in keys)])
    theirs = {"input": channels_first(np.asarray(grads[0]))}
    for key, gradient in zip(keys, grads[1:], strict=True):
        theirs[key] = torch_layout(np.asarray(gradient), ours_shape(models, key))
    moved = {
        key: np.asarray(v)
        for key, v in keras_variables(models.keras_model).items()
        if "running" in key
    }
    outputs = {name: channels_first(np.asarray(value)) for name, value in computed.items()}
    return Step((ours, outputs), (gradients, theirs), (statistics, moved))


_NAMES = {
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def keras_variables(model: Any) -> dict[str, Any]:
    """Return the variables of a Keras model by PyTorch's keys."""
    return {
        f"{layer.name.replace('-', '.')}.{_NAMES.get(v.name, v.name)}": v
        for layer in model.layers
        for v in layer.weights
    }


def ours_shape(models: Models, key: str) -> tuple[int, ...]:
    """Return the shape of a parameter in the weights file."""
    return models.weights[key].shape


def torch_layout(value: Array, shape: tuple[int, ...]) -> Array:
    """Convert a Keras kernel to PyTorch's layout (OIHW, or (out, in))."""
    if value.ndim == 4 and shape[1] == 1 and value.shape[2] * value.shape[3] == shape[0]:
        return value.transpose(2, 3, 0, 1).reshape(shape)  # (kh, kw, C, m) of a depthwise kernel
    if value.ndim == 4:
        return value.transpose(3, 2, 0, 1)
    return value.T if value.ndim == 2 else value
