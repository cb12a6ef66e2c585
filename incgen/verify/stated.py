"""Train by a recipe in NumPy, with the gradients of a model.

Only the derivative of the network itself comes from a framework, whose model is proved on the rungs
below. The loss and its derivative, the penalty, and everything after that are NumPy's. A first pass
gives the outputs, and a second, with the derivative of the loss there, the gradients: a framework
that compiles whole passes shows no values within one.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from incgen.recipes.rates import rate_at, total_steps
from incgen.recipes.recipe import Recipe
from incgen.verify import training
from incgen.verify.miniature import EPOCH
from incgen.verify.models import Models
from incgen.verify.runners.base import Runner
from incgen.weights.checkpoint import Array

#: Arrays by kind, then by key.
State: TypeAlias = Mapping[str, Mapping[str, Array]]


class Stated:
    """The training of a recipe in NumPy, with the gradients of a model that is proved already."""

    def __init__(self, models: Models, recipe: Recipe, weights: Mapping[str, Array]) -> None:
        """Begin with these weights, on the first of the models."""
        self.models, self.recipe = models, recipe
        self.decays = training.decays(models.graph, recipe.l2)
        self.training = training.Training(recipe, weights)
        self.start, self.loss = weights, 0.0

    def step(self, x: Array, labels: Array, number: int, *, noise: float = 0.0) -> None:
        """Take a step; `noise` moves the output of every layer by a relative amount."""
        gradients, statistics = self.gradients(x, labels, number, noise=noise)
        rate = rate_at(self.recipe.rate, number, EPOCH, total_steps(self.recipe, EPOCH))
        self.training.step(gradients, rate, statistics)

    def gradients(
        self, x: Array, labels: Array, number: int, *, noise: float = 0.0
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Return the gradients of the recipe's loss, and the statistics after the pass."""
        models, tensors = self.models, self.training.tensors
        name, path = models.names[0], models.folder / "step.safetensors"
        models.save(path, tensors)
        noisy = models.run_trained(name, lambda r: r.noise(number, noise))
        with noisy if noise else nullcontext():
            models.load(name, path)
            step = models.run_trained(name, lambda r: r.step(x, number, backward=False))
            self.loss, pulls = training.loss(step.values.outputs, labels, self.recipe.loss)
            models.load(name, path)
            gradients = models.run_trained(name, partial(_gradients, x=x, seed=number, pulls=pulls))
        penalty, decayed = training.penalty(tensors, self.decays)
        self.loss += penalty
        return {k: g + decayed.get(k, 0.0) for k, g in gradients.items()}, step.statistics

    def state(self) -> State:
        """Return what is compared."""
        run = self.training
        held = {
            "tensor": run.tensors,
            "velocity": run.velocities,
            "mean square": run.squares,
            "average": run.average,
        }
        return compared(held, self.loss, self.start, self.models)


def compared(held: State, loss: float, start: Mapping[str, Array], models: Models) -> State:
    """Return what is compared of the state of a training: parameters by how far they moved."""
    stated = models.graph.tensors()
    trained = {key: value for key, value in held["tensor"].items() if stated[key].trained}
    return {
        "loss": {"": np.asarray([loss])},
        "mean square": held["mean square"],
        "velocity": held["velocity"],
        "parameter": {key: value - start[key] for key, value in trained.items()},
        "statistic": {k: v for k, v in held["tensor"].items() if k not in trained},
        "average": {key: value - start[key] for key, value in held["average"].items()},
    }


def _gradients(runner: Runner, x: Array, seed: int, pulls: Mapping[str, Array]) -> dict[str, Array]:
    """Return the gradient of each parameter, for those of the outputs in training mode."""
    leaves = runner.leaves(x)

    def total() -> Any:
        with runner.dropout(seed):
            outputs = runner.trained_outputs(leaves["input"])
        return sum(
            runner.sum(output * runner.tensor(pulls[name])) for name, output in outputs.items()
        )

    pairs = zip(leaves, runner.gradients(total, [*leaves.values()]), strict=True)
    return {key: runner.ours(key, value) for key, value in pairs if key != "input"}
