"""Models that a generated training script trains, driven from outside, step by step."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from pathlib import Path
from types import ModuleType
from typing import Any

from incgen.base.modules import import_source
from incgen.recipes.recipe import Recipe
from incgen.verify.runners.base import Runner
from incgen.weights.checkpoint import Array


class Trained(ABC):
    """A model of its own, and the script that trains it.

    Attributes:
        script: The module of the script.
        model: The model.
    """

    def __init__(self, runner: Runner, recipe: Recipe, source: str, epoch: int, total: int) -> None:
        """Import a script and make a model.

        Args:
            runner: The runner of the file of the model, which is built.
            recipe: The recipe that the script was written for.
            source: The text of the script.
            epoch: The steps of an epoch.
            total: The steps of the training.
        """
        self.runner, self.recipe, self.epoch, self.total = runner, recipe, epoch, total
        self.script = import_script(runner, source)
        self.model: Any = runner.fresh()

    def rate(self, step: int, epoch: int, total: int) -> float:
        """Return the rate that the script gives a step."""
        return float(self.script.rate(step, epoch, total))

    @abstractmethod
    def begin(self, weights: Path) -> None:
        """Load initial weights, and make what else is trained or kept."""

    @abstractmethod
    def step(self, x: Array, labels: Array, number: int) -> float:
        """Take a step, and return its loss.

        Args:
            x: The input (N, C, H, W).
            labels: The class of each example (N,).
            number: The number of the step, from 0, which determines the dropout masks.
        """

    @abstractmethod
    def state(self) -> dict[str, dict[str, Array]]:
        """Return `tensor`, `velocity`, `mean square` and `average`, by key, as the spec lays out.

        What the recipe does not have is empty. Velocities have the sign of the recipe.
        """


def import_script(runner: Runner, source: str) -> ModuleType:
    """Import a training script beside the file of a model, without running it."""
    network, file = runner.graph.program.network.name, runner.graph.program.file
    beside = f"{network}_{runner.target}"
    assert runner.module is not None
    before = sys.modules.get(beside)
    sys.modules[beside] = runner.module
    try:
        script = import_source(f"train_{network}", file, runner.target, source)
        del sys.modules[script.__name__]  # the same text, beside another model, is another script
        return script
    finally:
        if before is None:
            del sys.modules[beside]
        else:
            sys.modules[beside] = before
