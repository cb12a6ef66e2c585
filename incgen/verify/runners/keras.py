"""Runs generated Keras models, on TensorFlow."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, wraps
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.framework.config import is_op_determinism_enabled

from incgen.base.modules import import_source
from incgen.verify import inputs as random_inputs
from incgen.verify.figures import Docs
from incgen.verify.lines import seen_by_name
from incgen.verify.places import Places
from incgen.verify.runners import GRADIENT, Facts, Form, RunFault, Slope, Step, Trajectory, Values
from incgen.verify.surroundings import RANDOM, UNUSUAL, kept

if TYPE_CHECKING:
    from incgen.graph.nodes import Graph
    from incgen.verify.runners import Array

#: Keras' names of tensors, and ours.
_NAMES = {
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


class KerasRunner:
    """A generated Keras model; see `Runner`."""

    def __init__(self, graph: Graph, source: str, dtype: str) -> None:
        """Keep what is to be run."""
        self.graph, self.source, self.dtype = graph, source, dtype
        self.places = Places(graph)
        self.lines: dict[str, int] = {}
        self.module: ModuleType | None = None
        self.model: Any = None
        self.inner: Any = None
        self.recorded: list[str] = []
        self._others: dict[tuple[int | None, int | None], Any] = {}

    @property
    def versions(self) -> str:
        """The framework, what it runs on, and their versions."""
        return f"Keras {keras.__version__} on TensorFlow {tf.__version__}"

    @contextmanager
    def precision(self) -> Iterator[None]:
        """New layers are of this runner's type."""
        before = keras.config.floatx(), keras.config.dtype_policy()
        keras.config.set_floatx(self.dtype)
        keras.config.set_dtype_policy(self.dtype)
        try:
            yield
        finally:
            keras.config.set_floatx(before[0])
            keras.config.set_dtype_policy(before[1])

    def build(self) -> None:
        """Import the source and make the model."""
        network = self.graph.program.network.name
        keras.utils.set_random_seed(UNUSUAL)
        with kept("importing it", settings):
            module = import_source(network, self.graph.program.file, "keras", self.source)
        self.module = module
        keras.utils.set_random_seed(0)
        lines: dict[str, int] = {}
        with (
            seen_by_name(keras.layers.Layer, module.__file__ or "", lines),
            kept("making the model", settings, drawn=True),
        ):
            self.model = self._fresh()
        self.lines = {_path(name): line for name, line in lines.items()}
        if self.model.name != network:
            raise RunFault(f"the model is called `{self.model.name}`, not `{network}`")
        self.inner, self.recorded = self._with_places()

    def _fresh(self, **arguments: Any) -> Any:
        return self._maker()(**arguments)

    def _maker(self) -> Any:
        return getattr(self.module, self.graph.program.network.name)

    @contextmanager
    def sized(self, height: int | None, width: int | None) -> Iterator[None]:
        """By the argument `input_shape` of the function."""
        before = self.model, self.inner, self.recorded
        if (height, width) not in self._others:
            self.model = self._fresh(input_shape=(height, width, self.graph.input.channels))
            self._others[height, width] = (self.model, *self._with_places())
        self.model, self.inner, self.recorded = self._others[height, width]
        try:
            yield
        finally:
            self.model, self.inner, self.recorded = before

    def _with_places(self) -> tuple[Any, list[str]]:
        """A model of the same layers that also gives what each of them gives."""
        names = {_path(layer.name) for layer in self.model.layers}
        found: dict[str, Any] = {}
        for layer in self.model.layers:
            name, end = _path(layer.name).removesuffix(".stride"), f"{_path(layer.name)}.stride"
            place = None if end in names else self.places.name_of(name)
            if place is not None and isinstance(layer.output, keras.KerasTensor):
                found[place] = layer.output
        return keras.Model(self.model.inputs, [*found.values(), *self._outputs()]), list(found)

    def _outputs(self) -> list[Any]:
        result, names = self.model.output, list(self.graph.outputs)
        if not isinstance(result, dict):
            result = {names[0]: result}
        if list(result) != names:
            raise RunFault(f"the outputs are {', '.join(result)}, not {', '.join(names)}")
        return list(result.values())

    def facts(self) -> Facts:
        """The layers' variables."""
        return self._facts(self.model)

    def another(self, seed: int, arguments: Mapping[str, Any]) -> Facts:
        """As `Runner`."""
        keras.utils.set_random_seed(seed)
        model = self._fresh(name="another", **arguments)
        if model.name != "another":
            raise RunFault(f"the model is called `{model.name}`, whatever `name` says")
        return self._facts(model)

    def _facts(self, model: Any) -> Facts:
        variables = _variables(model)
        tensors = {key: _ours(model, key, np.asarray(v)) for key, v in variables.items()}
        trained = frozenset(key for key, variable in variables.items() if variable.trainable)
        arguments = tuple(inspect.signature(self._maker()).parameters)
        docs = Docs((self.module.__doc__ if self.module else None) or "", {}, channels_last=True)
        return Facts(tensors, trained, int(model.count_params()), arguments, docs)

    def preprocess(self, images: Array) -> Array:
        """As `Runner`; in a graph too, as in a pipeline of TensorFlow."""
        preprocess = getattr(self.module, "preprocess")  # noqa: B009
        found = np.asarray(preprocess(_last(images)))
        again = np.asarray(tf.function(preprocess, autograph=False)(tf.constant(_last(images))))
        if not np.allclose(found, again, rtol=1e-5, atol=1e-5):
            raise RunFault("preprocess gives something else in a graph")
        return _first(found)

    def load(self, path: Path) -> None:
        """By the generated function."""
        with kept("loading weights", settings):
            getattr(self.module, "load_safetensors")(self.model, path)  # noqa: B009

    def refusal(self, path: Path) -> str:
        """As `Runner`; all of a model is as before."""
        before = self.model.get_weights()
        try:
            self.load(path)
        except ValueError:
            same = all(map(np.array_equal, before, self.model.get_weights()))
            return "" if same else "are refused when some are loaded"
        return "are loaded"

    def write(self, path: Path) -> bool:
        """There is no such function."""
        return False

    # ------------------------------------------------------------ running

    def evaluate(self, x: Array, *, inputs: bool = False) -> Values:
        """The model in evaluation mode."""
        with kept("evaluation", settings):
            return self._values(self.inner(self._tensor(x), training=False), inputs)

    def called(self, x: Array) -> dict[str, Array]:
        """As `Runner`, with heads."""
        return self._outputs_of(self.model(self._tensor(x)))

    def step(self, x: Array, seed: int, *, inputs: bool = False, backward: bool = True) -> Step:
        """As `Runner`."""
        start = self._tensor(x)
        with tf.GradientTape() as tape, self._dropout(seed):
            tape.watch(start)
            with kept("training", settings, drawn=True):
                results = self.inner(start, training=True)
            loss, penalty = self._loss(results, seed), self._penalty()
            total = loss + penalty
        variables = {key: v for key, v in _variables(self.model).items() if v.trainable}
        wanted = [start, *(variable.value for variable in variables.values())]
        statistics = {
            key: np.asarray(v) for key, v in _variables(self.model).items() if not v.trainable
        }
        step = Step(self._values(results, inputs), float(penalty), {}, statistics, {})
        if not backward:
            return step
        try:
            found = tape.gradient(total, wanted, unconnected_gradients="zero")
        except (tf.errors.OpError, LookupError, ValueError) as error:
            return replace(step, failure=error)
        gradients = {"input": _first(np.asarray(found[0]))}
        for key, gradient in zip(variables, found[1:], strict=True):
            gradients[key] = _ours(self.model, key, np.asarray(gradient))
        return replace(step, gradients=gradients)

    def descend(self, batches: list[Array], rate: float, momentum: float) -> Trajectory:
        """As `Runner`, by keras.optimizers.SGD."""
        optimizer = keras.optimizers.SGD(rate, momentum)
        variables = self.model.trainable_variables
        losses = []
        for number, x in enumerate(batches):
            with tf.GradientTape() as tape, self._dropout(number):
                results = self.model(self._tensor(x), training=True)
                loss = self._penalty()
                for name, value in self._named(results).items():
                    aim = random_inputs.aims(name, _first_shape(value), number)
                    loss += tf.reduce_mean(tf.square(value - self._tensor(aim))) / 2
            losses.append(float(loss))
            if variables:
                optimizer.apply_gradients(
                    zip(tape.gradient(loss, [v.value for v in variables]), variables, strict=True)
                )
        return Trajectory(tuple(losses), self.facts().tensors)

    def slope(self, x: Array, seed: int) -> Slope:
        """As `Runner`."""
        variables = self.model.trainable_variables
        leaves = [tf.Variable(self._tensor(x)), *(each.value for each in variables)]
        moves = [
            tf.constant(each, self.dtype)
            for each in random_inputs.directions((each.shape for each in leaves), seed)
        ]

        def loss() -> Any:
            with self._dropout(seed):
                return self._loss(self.inner(tf.identity(leaves[0]), training=True), seed)

        def moved(steps: int) -> float:
            for each, move in zip(leaves, moves, strict=True):
                each.assign_add(steps * move)
            value = float(loss())
            for each, move in zip(leaves, moves, strict=True):
                each.assign_sub(steps * move)
            return value

        with tf.GradientTape() as tape:
            total = loss()
        found = tape.gradient(total, leaves)
        parts = [
            float(tf.reduce_sum(gradient * move))
            for gradient, move in zip(found, moves, strict=True)
            if gradient is not None
        ]
        return Slope.along(parts, moved)

    @contextmanager
    def noise(self, seed: int, size: float) -> Iterator[None]:
        """As `Runner`, for every layer."""
        random = random_inputs.generator(seed, "noise")
        layers = [
            each for each in self.model.layers if not isinstance(each, keras.layers.InputLayer)
        ]
        originals = [layer.call for layer in layers]

        def moving(call: Any) -> Any:
            @wraps(call)
            def moved(*args: Any, **kwargs: Any) -> Any:
                output = call(*args, **kwargs)
                factors = random_inputs.noise(random, _first_shape(output), size)
                return output * self._tensor(factors)

            return moved

        for layer, original in zip(layers, originals, strict=True):
            layer.call = moving(original)
        try:
            yield
        finally:
            for layer, original in zip(layers, originals, strict=True):
                layer.call = original

    @contextmanager
    def _dropout(self, seed: int, model: Any = None, batch: int | None = None) -> Iterator[None]:
        """What dropout leaves out comes from the seed and the layer's path.

        Args:
            seed: of what is left out.
            model: whose layers, if not those of the model itself.
            batch: how many examples there will be where a graph is made for any number.
        """
        every = (model or self.model).layers
        # of another kind, shape or seed it stays as it is, which is not the same twice
        layers = [
            each
            for each in every
            if type(each) is keras.layers.Dropout and each.noise_shape is None and each.seed is None
        ]
        originals = [layer.call for layer in layers]
        for layer in layers:
            layer.call = self._given(layer, seed, batch)
        try:
            yield
        finally:
            for layer, original in zip(layers, originals, strict=True):
                layer.call = original

    def _given(self, layer: Any, seed: int, batch: int | None) -> Any:
        path = self.places.name_of(_path(layer.name)) or layer.name

        def call(inputs: Any, training: bool = False) -> Any:
            if not training:
                return inputs
            shape = _first_shape(inputs, batch)
            kept = random_inputs.kept(path, shape, layer.rate, seed)
            return inputs * self._tensor(kept)

        return call

    def _loss(self, results: list[Any], seed: int) -> Any:
        total = tf.zeros((), self.dtype)
        ends = results[len(self.recorded) :]
        for name, value in zip(self.graph.outputs, ends, strict=True):
            factors = random_inputs.factors(name, _first_shape(value), seed)
            total += tf.reduce_sum(value * self._tensor(factors))
        return total

    def _penalty(self) -> Any:
        return tf.add_n([tf.zeros((), self.dtype), *self.model.losses])

    def _named(self, results: Any) -> dict[str, Any]:
        return results if isinstance(results, dict) else {next(iter(self.graph.outputs)): results}

    def _values(self, results: list[Any], inputs: bool) -> Values:
        arrays = [_first(np.asarray(value)) for value in results]
        places = dict(zip(self.recorded, arrays, strict=False))
        outputs = dict(zip(self.graph.outputs, arrays[len(self.recorded) :], strict=True))
        taken = {}
        if inputs:
            taken = {
                place: tuple(
                    places[path] for path in self.places.inputs_of(place) if path in places
                )
                for place in places
            }
        return Values(outputs, places, taken)

    def _tensor(self, value: Array) -> Any:
        return tf.constant(_last(value), self.dtype)

    # ------------------------------------------------------------ forms

    def forms(self, folder: Path, x: Array) -> Iterator[Form]:
        """As `Runner`: weights and models in Keras' files, XLA, TensorFlow's SavedModel."""
        weights, whole = folder / "model.weights.h5", folder / "model.keras"
        saved = str(folder / "saved_model")

        def weights_file() -> dict[str, Array]:
            self.model.save_weights(weights)
            model = self._fresh()
            model.load_weights(weights)
            return self._evaluated(model, x)

        @cache
        def loaded() -> Any:
            self.model.save(whole)
            return keras.saving.load_model(whole)

        def model_file() -> dict[str, Array]:
            return self._evaluated(loaded(), x)

        def compiled() -> dict[str, Array]:
            jitted = tf.function(lambda y: self.model(y, training=False), jit_compile=True)
            return self._outputs_of(jitted(self._tensor(x)))

        def saved_model() -> dict[str, Array]:
            self.model.export(saved, "tf_saved_model", verbose=False)
            loaded = tf.saved_model.load(saved)  # its variables live as long as it does
            return self._outputs_of(loaded.serve(self._tensor(x[:1])))

        def one() -> dict[str, Array]:
            return self._evaluated(self.model, x[:1])

        start = self.model.get_weights()

        @cache
        def trained() -> dict[str, Array]:
            return self._trained(self.model, x)

        def trained_in_graph() -> dict[str, Array]:
            model = self._fresh()
            model.set_weights(start)
            batches = tf.TensorSpec((None, *model.input_shape[1:]), self.dtype)
            return self._trained(model, x, [batches])

        def trained_from_file() -> dict[str, Array]:
            return self._trained(loaded(), x)

        yield Form(".weights.h5", weights_file)
        yield Form(".keras", model_file)
        yield Form("tf.function with XLA", compiled)
        yield Form("SavedModel", saved_model, own=one)
        if self.dtype == "float64":  # as for PyTorch: in float32 gradients jump
            yield Form("tf.function, training", trained_in_graph, own=trained)
            yield Form(".keras, training", trained_from_file, own=trained)

    def _evaluated(self, model: Any, x: Array) -> dict[str, Array]:
        return self._outputs_of(model(self._tensor(x), training=False))

    def _outputs_of(self, results: Any) -> dict[str, Array]:
        return {name: _first(np.asarray(each)) for name, each in self._named(results).items()}

    def _trained(self, model: Any, x: Array, signature: Any = None) -> dict[str, Array]:
        """What a step of training gives and leaves behind: outputs, gradients, penalty, variables.

        Args:
            model: a model.
            x: the input.
            signature: of the function that becomes a graph; None if it is to be run as it is.
        """

        def step(y: Any) -> Any:
            with tf.GradientTape() as tape:
                results = self._named(model(y, training=True))
                loss = tf.zeros((), self.dtype)
                for name, value in results.items():
                    factors = random_inputs.factors(name, _first_shape(value, len(x)), 0)
                    loss += tf.reduce_sum(value * self._tensor(factors))
            variables = [each.value for each in model.trainable_variables]
            return results, tape.gradient(loss, variables, unconnected_gradients="zero")

        with self._dropout(0, model, len(x)):
            results, gradients = (tf.function(step, signature) if signature else step)(
                self._tensor(x)
            )
        outputs = self._outputs_of(results)
        for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
            outputs[f"{GRADIENT}{variable.path}"] = np.asarray(gradient)
        penalty = np.asarray([float(sum(model.losses))])
        variables = {each.path: np.asarray(each) for each in model.weights}
        return {**outputs, "penalty": penalty, **variables}

    def forget(self) -> None:
        """Free what Keras keeps of every model."""
        self._others.clear()
        keras.backend.clear_session()  # collects garbage, too


def settings() -> dict[str, Any]:
    """Return the settings of the process that Keras and TensorFlow have, by their names."""
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


def _variables(model: Any) -> dict[str, Any]:
    return {
        f"{_path(layer.name)}.{_NAMES.get(v.name, v.name)}": v
        for layer in model.layers
        for v in layer.weights
    }


def _path(name: str) -> str:
    """The path in the spec of what has a name in Keras."""
    return name.replace("-", ".")


def _ours(model: Any, key: str, value: Array) -> Array:
    """A tensor of Keras in our layout: OIHW, or (out, in)."""
    if value.ndim == 2:
        return value.T
    if value.ndim != 4:
        return value
    layer = model.get_layer(key.rpartition(".")[0].replace(".", "-"))
    if isinstance(layer, keras.layers.DepthwiseConv2D):  # (kh, kw, C, multiplier)
        high, wide, channels, multiplier = value.shape
        return value.transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, high, wide)
    return value.transpose(3, 2, 0, 1)


def _last(value: Array) -> Array:
    """(N, C, H, W) as (N, H, W, C); vectors as they are."""
    return value.transpose(0, 2, 3, 1) if value.ndim == 4 else value


def _first(value: Array) -> Array:
    """(N, H, W, C) as (N, C, H, W); vectors as they are."""
    return value.transpose(0, 3, 1, 2) if value.ndim == 4 else value


def _first_shape(value: Any, batch: int | None = None) -> tuple[int, ...]:
    shape = tuple(int(batch or 0) if size is None else int(size) for size in value.shape)
    return (shape[0], shape[3], shape[1], shape[2]) if len(shape) == 4 else shape


def make(graph: Graph, source: str, dtype: str) -> KerasRunner:
    """A runner of a source text."""
    return KerasRunner(graph, source, dtype)
