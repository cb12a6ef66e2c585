"""Drive generated Keras training scripts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from incgen.recipes.recipe import Sgd
from incgen.verify.runners.axes import channels_last
from incgen.verify.runners.keras import KerasRunner, laid_out, variables_of
from incgen.verify.runners.trained import Trained
from incgen.weights.checkpoint import Array


class KerasTrained(Trained):
    """A model, as the script compiles it, and the callbacks that go with it."""

    runner: KerasRunner

    def begin(self, weights: Path) -> None:
        self.runner.of_module("load_safetensors")(self.model, weights)
        self.compiled: Any = self.script.compiled(self.model)
        self.compiled.run_eagerly = True  # every step has its own masks
        self.callbacks: list[Any] = [self.script.Rate(self.epoch, self.total)]
        if self.recipe.average is not None:
            average = self.runner.fresh()
            self.callbacks.append(self.script.Average(self.model, average))
        for callback in self.callbacks:
            callback.set_model(self.compiled)
            callback.on_train_begin()

    def step(self, x: Array, labels: Array, number: int) -> float:
        for callback in self.callbacks:
            callback.on_train_batch_begin(number)
        self.compiled.reset_metrics()
        images = channels_last(x)
        with self.runner.dropout(number, self.model):
            logs = self.compiled.train_on_batch(images, labels, return_dict=True)
        for callback in self.callbacks:
            callback.on_train_batch_end(number, logs)
        return float(logs["loss"])

    def state(self) -> dict[str, dict[str, Array]]:
        optimizer = self.compiled.optimizer
        variables = variables_of(self.model)
        keys = {id(variable): key for key, variable in variables.items()}
        trained = [keys[id(variable)] for variable in self.model.trainable_variables]
        rule = self.recipe.optimizer
        sgd = isinstance(rule, Sgd)
        sign = -1.0 if isinstance(rule, Sgd) and rule.rate_inside else 1.0  # Keras' own adds it
        velocities = getattr(optimizer, "momentums" if sgd else "_momentums", [])
        squares = [] if sgd else optimizer._velocities
        average = len(self.callbacks) > 1
        averages = variables_of(self.callbacks[1].network) if average else {}
        return {
            "tensor": self._arrays(variables),
            "velocity": self._arrays(_by_key(trained, velocities if self.heavy else []), sign),
            "mean square": self._arrays(_by_key(trained, squares)),
            "average": self._arrays(averages),
        }

    def _arrays(self, values: dict[str, Any], sign: float = 1.0) -> dict[str, Array]:
        return {key: laid_out(self.model, key, sign * np.asarray(v)) for key, v in values.items()}


def _by_key(keys: list[str], values: list[Any]) -> dict[str, Any]:
    """Return the state of an optimiser by key; it may have none."""
    return dict(zip(keys, values, strict=True)) if values else {}
