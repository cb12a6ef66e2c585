"""Models that a generated training script trains, driven from outside, step by step."""

from __future__ import annotations

import importlib
import re
import sys
from abc import ABC, abstractmethod
from functools import cache
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from incgen.base.modules import import_source
from incgen.recipes.recipe import Adam, Recipe
from incgen.verify.runners.base import Runner
from incgen.weights.checkpoint import Array

#: The libraries with which scripts read images, draw and show progress.
AROUND = ("PIL", "matplotlib", "tensorboard", "torch.utils.tensorboard", "torchvision", "tqdm")
#: What imported scripts are called, in place of a target.
_TARGET = "train"


class Trained(ABC):
    """A model of its own, and the script that trains it."""

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
        self.script = import_script(runner, source)  #: The module of the script
        self.model: Any = runner.fresh()
        optimizer = recipe.optimizer
        #: Whether there are velocities that are more than the step itself
        self.heavy = isinstance(optimizer, Adam) or optimizer.momentum > 0

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

        What the recipe does not have is empty. Velocities have the sign of what is subtracted from
        parameters.
        """


def import_script(runner: Runner, source: str) -> ModuleType:
    """Import a training script beside the file of a model, without running it."""
    network, file = runner.graph.program.network.name, runner.graph.program.file
    beside = f"{network}_{runner.target}"
    assert runner.module is not None
    before, absent = sys.modules.get(beside), _Absent()
    sys.modules[beside] = runner.module
    sys.meta_path.insert(0, absent)
    try:
        script = import_source(f"train_{network}_{runner.target}", file, _TARGET, source)
        del sys.modules[script.__name__]  # the same text, beside another model, is another script
        return script
    finally:
        sys.meta_path.remove(absent)
        for name in (beside, *absent.made):
            sys.modules.pop(name, None)
        if before is not None:
            sys.modules[beside] = before


def is_script(file: str) -> bool:
    """Return whether a line of a traceback, by its file, is one of an imported script."""
    return re.fullmatch(rf"<incgen .* {_TARGET}( \d+)?>", file) is not None


class _Absent(MetaPathFinder, Loader):
    """Replaces libraries around the training that cannot be imported; its steps do without."""

    def __init__(self) -> None:
        self.made: list[str] = []  #: The modules that are replaced
        self.absent = [name for name in AROUND if not _can_be_imported(name)]

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if any(f"{fullname}.".startswith(f"{name}.") for name in self.absent):
            return ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        self.made.append(spec.name)
        return _Nothing(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


class _Nothing(ModuleType):
    """A module in which every name is there, and none means anything, called or not."""

    def __call__(self, *args: object) -> _Nothing:
        return self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Nothing(f"{self.__name__}.{name}")


@cache
def _can_be_imported(name: str) -> bool:
    try:
        importlib.import_module(name)
    except Exception:  # torchvision raises what it likes if torch is of another build
        return False
    return True
