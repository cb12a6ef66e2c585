"""Forms of generated Keras models: Keras files, XLA, TensorFlow's SavedModel."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from incgen.verify.runners.keras import KerasRunner
from incgen.verify.runners.results import GRADIENT, Form
from incgen.weights.checkpoint import Array


def forms(runner: KerasRunner, folder: Path, x: Array) -> Iterator[Form]:
    """Yield the forms of a model, for an input (N, C, H, W)."""
    made = _Forms(runner, folder, x)
    yield Form(".weights.h5", made.weights_file)
    yield Form(".keras", lambda: made.evaluated(made.loaded))
    yield Form("tf.function with XLA", made.compiled)
    yield Form("SavedModel", made.saved_model, own=lambda: made.evaluated(runner.model, x[:1]))
    if runner.dtype == "float64":  # gradients jump in float32
        own = cache(partial(made.trained, runner.model))
        yield Form("tf.function, training", made.trained_in_graph, own=own)
        yield Form(".keras, training", lambda: made.trained(made.loaded), own=own)


class _Forms:
    def __init__(self, runner: KerasRunner, folder: Path, x: Array) -> None:
        self.runner, self.model, self.folder, self.x = runner, runner.model, folder, x
        self.start = self.model.get_weights()

    def evaluated(self, model: Any, x: Array | None = None) -> dict[str, Array]:
        """Return the outputs of a model in evaluation."""
        images = self.runner.tensor(self.x if x is None else x)
        return self.runner.arrays(model(images, training=False))

    def weights_file(self) -> dict[str, Array]:
        file = self.folder / "model.weights.h5"
        self.model.save_weights(file)
        model = self.runner.fresh()
        model.load_weights(file)
        return self.evaluated(model)

    @cached_property
    def loaded(self) -> Any:
        """Return the model, saved and loaded again as a whole."""
        file = self.folder / "model.keras"
        self.model.save(file)
        return keras.saving.load_model(file)

    def compiled(self) -> dict[str, Array]:
        jitted = tf.function(lambda y: self.model(y, training=False), jit_compile=True)
        return self.runner.arrays(jitted(self.runner.tensor(self.x)))

    def saved_model(self) -> dict[str, Array]:
        saved = str(self.folder / "saved_model")
        self.model.export(saved, "tf_saved_model", verbose=False)
        loaded = tf.saved_model.load(saved)  # the variables live only as long as the object
        return self.runner.arrays(loaded.serve(self.runner.tensor(self.x[:1])))

    def trained_in_graph(self) -> dict[str, Array]:
        model = self.runner.fresh()
        model.set_weights(self.start)
        batches = tf.TensorSpec((None, *model.input_shape[1:]), self.runner.dtype)
        return self.trained(model, [batches])

    def trained(self, model: Any, signature: Any = None) -> dict[str, Array]:
        """Return the results of a training step, and the state it leaves behind."""
        runner, count = self.runner, len(self.x)

        def step(y: Any) -> Any:
            with tf.GradientTape() as tape:
                results = runner.named(model(y, training=True))
                loss = runner.loss(results, 0, count)
            variables = [variable.value for variable in model.trainable_variables]
            return results, tape.gradient(loss, variables, unconnected_gradients="zero")

        with runner.dropout(0, model, count):
            run = tf.function(step, signature) if signature else step
            results, gradients = run(runner.tensor(self.x))
        outputs = runner.arrays(results)
        for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
            outputs[f"{GRADIENT}{variable.path}"] = np.asarray(gradient)
        penalty = np.asarray([float(sum(model.losses))])
        variables = {weight.path: np.asarray(weight) for weight in model.weights}
        return {**outputs, "penalty": penalty, **variables}
