"""Runners of generated source, a module per target, imported on first use."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from incgen.graph.nodes import Graph
from incgen.weights.checkpoint import Array

if TYPE_CHECKING:
    from incgen.recipes.recipe import Recipe
    from incgen.verify.runners.base import Runner
    from incgen.verify.runners.results import Form
    from incgen.verify.runners.trained import Trained


def _nothing() -> str:
    return ""


@dataclass(frozen=True, slots=True)
class RunnerModule:
    """The runner of a target."""

    module: str  #: The module of the runner; its forms and training are beside it
    libraries: tuple[str, ...]
    #: Returns what keeps it from running here, and what to type; "" if nothing
    obstacle: Callable[[], str] = _nothing
    training: bool = False  #: Whether the target writes training scripts

    def missing(self) -> tuple[str, ...]:
        """Return the libraries that are not installed."""
        return tuple(name for name in self.libraries if importlib.util.find_spec(name) is None)

    def make(self, graph: Graph, source: str, dtype: str) -> Runner:
        """Return a runner of a source text."""
        made: Runner = importlib.import_module(self.module).make(graph, source, dtype)
        return made

    def trained(
        self, runner: Runner, recipe: Recipe, source: str, epoch: int, total: int
    ) -> Trained:
        """Return a model that a script trains, in steps that make epochs and a whole training."""
        made: Trained = importlib.import_module(f"{self.module}_training").make(
            runner, recipe, source, epoch, total
        )
        return made

    def forms(self, runner: Runner, folder: Path, x: Array) -> Iterator[Form]:
        """Yield saved, compiled and exported forms of a model, for an input (N, C, H, W)."""
        made: Iterator[Form] = importlib.import_module(f"{self.module}_forms").forms(
            runner, folder, x
        )
        return made


def _other_backend() -> str:
    """Reject a Keras backend other than TensorFlow, which the runner is made for.

    If no backend is chosen, Keras runs on TensorFlow.
    """
    if "keras" in sys.modules:
        backend = str(sys.modules["keras"].config.backend())
    else:
        backend = os.environ.setdefault("KERAS_BACKEND", "tensorflow") or "tensorflow"
    if backend == "tensorflow":
        return ""
    return (
        f"Keras is set to run on {backend}, but is compared on TensorFlow: "
        "set KERAS_BACKEND=tensorflow"
    )


#: The runners by target.
RUNNERS = {
    "torch": RunnerModule("incgen.verify.runners.torch", ("torch", "safetensors"), training=True),
    "keras": RunnerModule(
        "incgen.verify.runners.keras",
        ("keras", "tensorflow", "safetensors"),
        _other_backend,
        training=True,
    ),
    "flax": RunnerModule(
        "incgen.verify.runners.flax", ("jax", "flax", "optax", "safetensors"), training=True
    ),
    "onnx": RunnerModule("incgen.verify.runners.onnx", ("onnx", "onnxruntime", "safetensors")),
}
