"""A model in one floating-point type, as far as it is only evaluated.

Arrays go in and come out with channels first, under the keys of the spec.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

from incgen.graph.nodes import Graph
from incgen.verify.places import Places
from incgen.verify.runners.results import Facts, Values
from incgen.weights.checkpoint import Array


class InferenceRunner(ABC):
    """A model that is evaluated; everything except the constructor is called inside `precision`."""

    target: ClassVar[str]  #: The name of the target
    versions: ClassVar[str]  #: The framework and its version, as users write it
    trainable: ClassVar[bool] = False  #: Whether there is more to it than evaluation

    def __init__(self, graph: Graph, source: str, dtype: str) -> None:
        self.graph, self.source, self.dtype = graph, source, dtype
        self.places = Places(graph)
        #: The line of the source that creates each layer, unit and block, by path
        self.lines: dict[str, int] = {}

    @abstractmethod
    def precision(self) -> AbstractContextManager[None]:
        """Set the framework to this floating-point type."""

    @abstractmethod
    def build(self) -> None:
        """Make a new model."""

    @abstractmethod
    def facts(self) -> Facts:
        """Return the facts of the model."""

    def checked(self) -> Iterator[tuple[str, str, str]]:
        """Yield each fact of its own kind and its place, and what is wrong with it, or ""."""
        yield from ()

    @abstractmethod
    def another(self, seed: int, arguments: Mapping[str, Any]) -> Facts:
        """Return the facts of another model of the source, with this seed and arguments."""

    @abstractmethod
    def sized(self, height: int | None, width: int | None) -> AbstractContextManager[None]:
        """Switch to a model for another input size, None for any; weights must be reloaded."""

    @abstractmethod
    def preprocess(self, images: Array) -> Array:
        """Return the result of the module's `preprocess` for images (N, C, H, W)."""

    @abstractmethod
    def load(self, path: Path) -> None:
        """Load a safetensors file as the module's users do."""

    @abstractmethod
    def refusal(self, path: Path, before: Mapping[str, Array]) -> str:
        """Describe how a file that does not fit is wrongly accepted; "" if it is rejected.

        The model holds the tensors `before`, and must keep them.
        """

    def write(self, path: Path) -> bool:
        """Write a safetensors file as the module's users do; return False if they cannot."""
        return False

    @abstractmethod
    def evaluate(self, x: Array, *, inputs: bool = False) -> Values:
        """Run the model in evaluation mode, with its heads.

        Raises:
            RunFault: The model returns the wrong outputs, or changes its input.
        """

    @abstractmethod
    def called(self, x: Array) -> dict[str, Array]:
        """Return the outputs in evaluation, running the model as users do."""

    @abstractmethod
    def forget(self) -> None:
        """Free what the framework would otherwise keep."""
