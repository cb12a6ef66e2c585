"""Run generated Keras models on TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.framework.config import is_op_determinism_enabled

from incgen.graph.nodes import Graph
from incgen.verify.figures import Docs
from incgen.verify.lines import seen_by_name
from incgen.verify.runners.axes import channels_first, channels_last
from incgen.verify.runners.base import Runner
from incgen.verify.runners.results import Facts, RunFault, Values
from incgen.verify.surroundings import RANDOM
from incgen.weights.checkpoint import Array

#: Keras' names of tensors, and ours.
_NAMES = {
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def settings() -> dict[str, Any]:
    """Return the process settings of Keras and TensorFlow, by name."""
    config, random = tf.config, getattr(context.context(), "_rng", None)
    return {
        f"{RANDOM} of TensorFlow": (context.global_seed(), random and random.getstate()),
        "keras.config.backend": keras.config.backend(),
        "keras.config.set_floatx": keras.config.floatx(),
        "keras.config.set_epsilon": keras.config.epsilon(),
        "keras.config.set_image_data_format": keras.config.image_data_format(),
        "keras.config.set_dtype_policy": keras.config.dtype_policy().name,
        "keras' traceback filtering": keras.config.is_traceback_filtering_enabled(),
        "keras' interactive logging": keras.config.is_interactive_logging_enabled(),
        "tf.config.threading": (
            config.threading.get_inter_op_parallelism_threads(),
            config.threading.get_intra_op_parallelism_threads(),
        ),
        "tf.config.run_functions_eagerly": config.functions_run_eagerly(),
        "tf.config.optimizer.set_jit": config.optimizer.get_jit(),
        "tf.config.optimizer.set_experimental_options": config.optimizer.get_experimental_options(),
        "tf.config.set_soft_device_placement": config.get_soft_device_placement(),
        "tf.config.experimental.enable_tensor_float_32_execution": (
            config.experimental.tensor_float_32_execution_enabled()
        ),
        "tf.config.experimental.enable_op_determinism": is_op_determinism_enabled(),
        "tf.config.experimental.set_synchronous_execution": (
            config.experimental.get_synchronous_execution()
        ),
        "eager execution": tf.executing_eagerly(),
    }


class KerasRunner(Runner):
    """A generated model, and one of the same layers that also returns the output of each."""

    target, method, settings = "keras", "call", staticmethod(settings)
    versions = f"Keras {keras.__version__} on TensorFlow {tf.__version__}"

    def __init__(self, graph: Graph, source: str, dtype: str) -> None:
        super().__init__(graph, source, dtype)
        self.inner: Any = None
        self.recorded: list[str] = []
        self._others: dict[tuple[int | None, int | None], Any] = {}

    @contextmanager
    def precision(self) -> Iterator[None]:
        before = keras.config.floatx(), keras.config.dtype_policy()
        keras.config.set_floatx(self.dtype)
        keras.config.set_dtype_policy(self.dtype)
        try:
            yield
        finally:
            keras.config.set_floatx(before[0])
            keras.config.set_dtype_policy(before[1])

    def seed(self, seed: int) -> None:
        keras.utils.set_random_seed(seed)

    def make_model(self, module: ModuleType) -> None:
        lines: dict[str, int] = {}
        with (
            seen_by_name(keras.layers.Layer, module.__file__ or "", lines),
            self.kept("making the model", drawn=True),
        ):
            self.model = self.fresh()
        self.lines = {_path(name): line for name, line in lines.items()}
        if self.model.name != self.graph.program.network.name:
            network = self.graph.program.network.name
            raise RunFault(f"the model is called `{self.model.name}`, not `{network}`")
        self.inner, self.recorded = self._with_places()

    @contextmanager
    def sized(self, height: int | None, width: int | None) -> Iterator[None]:
        before = self.model, self.inner, self.recorded
        if (height, width) not in self._others:
            self.model = self.fresh(input_shape=(height, width, self.graph.input.channels))
            self._others[height, width] = (self.model, *self._with_places())
        self.model, self.inner, self.recorded = self._others[height, width]
        try:
            yield
        finally:
            self.model, self.inner, self.recorded = before

    def _with_places(self) -> tuple[Any, list[str]]:
        names = {_path(layer.name) for layer in self.model.layers}
        places: dict[str, Any] = {}
        for layer in self.model.layers:
            name, end = _path(layer.name).removesuffix(".stride"), f"{_path(layer.name)}.stride"
            place = None if end in names else self.places.name_of(name)
            if place is not None and isinstance(layer.output, keras.KerasTensor):
                places[place] = layer.output
        outputs = self.named(self.model.output)
        if list(outputs) != list(self.graph.outputs):
            stated = ", ".join(self.graph.outputs)
            raise RunFault(f"the outputs are {', '.join(outputs)}, not {stated}")
        ends = [*places.values(), *outputs.values()]
        return keras.Model(self.model.inputs, ends), list(places)

    def another(self, seed: int, arguments: Mapping[str, Any]) -> Facts:
        self.seed(seed)
        model = self.fresh(name="another", **arguments)
        if model.name != "another":
            raise RunFault(f"the model is called `{model.name}`, whatever `name` says")
        return self.facts_of(model)

    def facts_of(self, model: Any) -> Facts:
        variables = variables_of(model)
        tensors = {key: laid_out(model, key, np.asarray(v)) for key, v in variables.items()}
        trained = frozenset(key for key, variable in variables.items() if variable.trainable)
        docs = Docs((self.module.__doc__ if self.module else None) or "", {}, channels_last=True)
        return Facts(tensors, trained, int(model.count_params()), self.arguments(), docs)

    def preprocess(self, images: Array) -> Array:
        preprocess = self.of_module("preprocess")
        result = np.asarray(preprocess(channels_last(images)))
        # also in a graph, as in a TensorFlow input pipeline
        again = np.asarray(
            tf.function(preprocess, autograph=False)(tf.constant(channels_last(images)))
        )
        if not np.allclose(result, again, rtol=1e-5, atol=1e-5):
            raise RunFault("preprocess gives something else in a graph")
        return channels_first(result)

    # ------------------------------------------------------------ running

    def evaluate(self, x: Array, *, inputs: bool = False) -> Values:
        with self.kept("evaluation"):
            return self._values(self.inner(self.tensor(x), training=False), inputs)

    def called(self, x: Array) -> dict[str, Array]:
        return self.arrays(self.model(self.tensor(x)))

    def trained(self, x: Any, inputs: bool) -> tuple[dict[str, Any], Values]:
        results = self.inner(tf.identity(x), training=True)
        ends = results[len(self.recorded) :]
        return dict(zip(self.graph.outputs, ends, strict=True)), self._values(results, inputs)

    def layers(self, model: Any) -> list[tuple[str, Any]]:
        inputs = keras.layers.InputLayer
        return [
            (_path(layer.name), layer) for layer in model.layers if not isinstance(layer, inputs)
        ]

    def rate(self, layer: Any) -> float | None:
        plain = type(layer) is keras.layers.Dropout
        return layer.rate if plain and layer.noise_shape is None and layer.seed is None else None

    def statistics(self) -> dict[str, Array]:
        variables = variables_of(self.model)
        return {key: np.asarray(v) for key, v in variables.items() if not v.trainable}

    def _values(self, results: list[Any], inputs: bool) -> Values:
        arrays = [channels_first(np.asarray(value)) for value in results]
        places = dict(zip(self.recorded, arrays, strict=False))
        outputs = dict(zip(self.graph.outputs, arrays[len(self.recorded) :], strict=True))
        taken = {
            place: tuple(places[path] for path in self.places.inputs_of(place) if path in places)
            for place in (places if inputs else ())
        }
        return Values(outputs, places, taken)

    def named(self, results: Any) -> dict[str, Any]:
        """Return the outputs of a model by name."""
        return results if isinstance(results, dict) else {next(iter(self.graph.outputs)): results}

    def arrays(self, results: Any) -> dict[str, Array]:
        """Return the outputs of a model as arrays."""
        return {
            name: channels_first(np.asarray(output)) for name, output in self.named(results).items()
        }

    # ------------------------------------------------------------ what TensorFlow does its own way

    def sum(self, value: Any) -> Any:
        return tf.reduce_sum(value)

    def mean(self, value: Any) -> Any:
        return tf.reduce_mean(value)

    def tensor(self, value: Array) -> Any:
        return self.constant(channels_last(value))

    def constant(self, value: Array) -> Any:
        return tf.constant(value, self.dtype)

    def shape_of(self, value: Any, batch: int | None = None) -> tuple[int, ...]:
        shape = tuple(int(batch or 0) if size is None else int(size) for size in value.shape)
        return (shape[0], shape[3], shape[1], shape[2]) if len(shape) == 4 else shape

    def ours(self, key: str, value: Any) -> Array:
        array = np.asarray(value)
        return channels_first(array) if key == "input" else laid_out(self.model, key, array)

    def trained_outputs(self, x: Any) -> dict[str, Any]:
        return self.named(self.model(tf.identity(x), training=True))

    def penalty(self) -> Any:
        return tf.add_n([tf.zeros((), self.dtype), *self.model.losses])

    def optimizer(self, rate: float, momentum: float) -> Callable[[Callable[[], Any]], float]:
        optimizer = keras.optimizers.SGD(rate, momentum)
        variables = self.model.trainable_variables

        def update(loss: Callable[[], Any]) -> float:
            with tf.GradientTape() as tape:
                total = loss()
            if variables:
                gradients = tape.gradient(total, [v.value for v in variables])
                optimizer.apply_gradients(zip(gradients, variables, strict=True))
            return float(total)

        return update

    def leaves(self, x: Array) -> dict[str, Any]:
        variables = variables_of(self.model)
        trained = {key: variable.value for key, variable in variables.items() if variable.trainable}
        return {"input": tf.Variable(self.tensor(x)), **trained}

    def move(self, leaves: Sequence[Any], moves: Sequence[Any]) -> None:
        for leaf, move in zip(leaves, moves, strict=True):
            leaf.assign_add(move)

    def gradients(self, loss: Callable[[], Any], leaves: Sequence[Any]) -> Sequence[Any]:
        with tf.GradientTape() as tape:
            total = loss()
        gradients: Sequence[Any] = tape.gradient(total, list(leaves), unconnected_gradients="zero")
        return gradients

    def forget(self) -> None:
        self._others.clear()
        keras.backend.clear_session()  # this also collects garbage


def variables_of(model: Any) -> dict[str, Any]:
    """Return every variable of a model by its key."""
    return {
        f"{_path(layer.name)}.{_NAMES.get(v.name, v.name)}": v
        for layer in model.layers
        for v in layer.weights
    }


def _path(name: str) -> str:
    """Return the path in the spec of a Keras name."""
    return name.replace("-", ".")


def laid_out(model: Any, key: str, value: Array) -> Array:
    """Return a Keras tensor with our axes: OIHW, or (out, in)."""
    if value.ndim == 2:
        return value.T
    if value.ndim != 4:
        return value
    layer = model.get_layer(key.rpartition(".")[0].replace(".", "-"))
    if isinstance(layer, keras.layers.DepthwiseConv2D):  # (kh, kw, C, multiplier)
        high, wide, channels, multiplier = value.shape
        return value.transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, high, wide)
    return value.transpose(3, 2, 0, 1)
