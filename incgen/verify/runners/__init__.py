"""Runners of generated source, a module per target, imported on first use."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from incgen.graph.nodes import Graph
from incgen.weights.checkpoint import Array

if TYPE_CHECKING:
    from incgen.recipes.recipe import Recipe
    from incgen.verify.runners.inference import InferenceRunner
    from incgen.verify.runners.results import Form
    from incgen.verify.runners.trained import Trained


@dataclass(frozen=True, slots=True)
class RunnerModule:
    """The runner of a target."""

    name: str  #: What its classes begin with, and, in lower case, its modules
    libraries: tuple[str, ...]
    #: Returns what keeps it from running here, and what to type; "" if nothing
    obstacle: Callable[[], str] = str
    training: bool = False  #: Whether the target writes training scripts

    def missing(self) -> tuple[str, ...]:
        """Return the libraries that are not installed."""
        return tuple(name for name in self.libraries if importlib.util.find_spec(name) is None)

    def make(self, graph: Graph, source: str, dtype: str) -> InferenceRunner:
        """Return a runner of a source text."""
        made: InferenceRunner = self._member("", f"{self.name}Runner")(graph, source, dtype)
        return made

    def trained(
        self, runner: InferenceRunner, recipe: Recipe, source: str, epoch: int, total: int
    ) -> Trained:
        """Return a model that a script trains, in steps that make epochs and a whole training."""
        kind = self._member("_training", f"{self.name}Trained")
        made: Trained = kind(runner, recipe, source, epoch, total)
        return made

    def forms(self, runner: InferenceRunner, folder: Path, x: Array) -> Iterator[Form]:
        """Yield saved, compiled and exported forms of a model, for an input (N, C, H, W)."""
        made: Iterator[Form] = self._member("_forms", "forms")(runner, folder, x)
        return made

    def _member(self, suffix: str, what: str) -> Any:
        """Return what one of its modules defines."""
        module = importlib.import_module(f"{__name__}.{self.name.lower()}{suffix}")
        return getattr(module, what)


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
    "torch": RunnerModule("Torch", ("torch", "safetensors"), training=True),
    "keras": RunnerModule(
        "Keras", ("keras", "tensorflow", "safetensors"), _other_backend, training=True
    ),
    "flax": RunnerModule("Flax", ("jax", "flax", "optax", "safetensors"), training=True),
    "onnx": RunnerModule("Onnx", ("onnx", "onnxruntime", "safetensors")),
}
