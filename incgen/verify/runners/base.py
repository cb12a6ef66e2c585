"""A generated model in one floating-point type, and what all frameworks do alike.

A runner is all that the ladder knows about a framework. Arrays go in and come out with channels
first, under the keys of the spec. A new target implements the abstract methods in its own module.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from incgen.base.modules import import_source
from incgen.graph.nodes import Graph
from incgen.targets import TARGETS
from incgen.verify import inputs as random_inputs
from incgen.verify.places import Places
from incgen.verify.runners.results import Facts, Slope, Step, Trajectory, Values
from incgen.verify.surroundings import UNUSUAL, kept
from incgen.weights.checkpoint import Array


class Runner(ABC):
    """A generated model; everything except the constructor is called inside `precision`.

    Attributes:
        versions: The framework and its version, as users write it.
        lines: The line of the source that creates each layer, unit and block, by path.
    """

    #: The name of the target.
    target: ClassVar[str]
    #: Returns the process settings that belong to the framework, by name.
    settings: ClassVar[Callable[[], Mapping[str, Any]]]
    versions: ClassVar[str]

    def __init__(self, graph: Graph, source: str, dtype: str) -> None:
        """Store the source."""
        self.graph, self.source, self.dtype = graph, source, dtype
        self.places = Places(graph)
        self.lines: dict[str, int] = {}
        self.module: ModuleType | None = None
        self.model: Any = None

    @abstractmethod
    def precision(self) -> AbstractContextManager[None]:
        """Set the framework to this floating-point type."""

    # ------------------------------------------------------------ making models

    def build(self) -> None:
        """Import the source and make a new model."""
        network = self.graph.program.network.name
        self.seed(UNUSUAL)
        with self.kept("importing it"):
            self.module = import_source(network, self.graph.program.file, self.target, self.source)
        self.seed(0)
        self.make_model(self.module)

    @abstractmethod
    def make_model(self, module: ModuleType) -> None:
        """Make the model, and record the line of the module that creates each of its parts."""

    @abstractmethod
    def seed(self, seed: int) -> None:
        """Seed the framework's random numbers."""

    def kept(self, doing: str, *, drawn: bool = False) -> AbstractContextManager[None]:
        """Raise an error if the code inside changes a setting of the process."""
        return kept(doing, type(self).settings, drawn=drawn)

    def fresh(self, **arguments: Any) -> Any:
        """Make another model."""
        return self._maker()(**arguments)

    def _maker(self) -> Any:
        return self.of_module(TARGETS[self.target].entry(self.graph.program.network.name))

    def of_module(self, name: str) -> Any:
        """Return what a name refers to in the generated module."""
        return getattr(self.module, name)

    def facts(self) -> Facts:
        """Return the facts of the model."""
        return self.facts_of(self.model)

    def another(self, seed: int, arguments: Mapping[str, Any]) -> Facts:
        """Return the facts of another model of the source, with this seed and arguments."""
        self.seed(seed)
        return self.facts_of(self.fresh(**arguments))

    @abstractmethod
    def facts_of(self, model: Any) -> Facts:
        """Return the facts of a model."""

    def arguments(self) -> tuple[str, ...]:
        """Return the names of the arguments of the model's constructor."""
        return tuple(inspect.signature(self._maker()).parameters)

    @abstractmethod
    def sized(self, height: int | None, width: int | None) -> AbstractContextManager[None]:
        """Switch to a model for another input size, None for any; weights must be reloaded."""

    @abstractmethod
    def preprocess(self, images: Array) -> Array:
        """Return the result of the module's `preprocess` for images (N, C, H, W)."""

    # ------------------------------------------------------------ files of weights

    @abstractmethod
    def load(self, path: Path) -> None:
        """Load a safetensors file as the module's users do."""

    @abstractmethod
    def refusal(self, path: Path) -> str:
        """Describe how a file that does not fit is wrongly accepted; "" if it is rejected."""

    @abstractmethod
    def write(self, path: Path) -> bool:
        """Write a safetensors file as the module's users do; return False if they cannot."""

    # ------------------------------------------------------------ running

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
    def step(self, x: Array, seed: int, *, inputs: bool = False, backward: bool = True) -> Step:
        """Run a pass in training mode, on a loss that weights each output element differently.

        Args:
            x: The input.
            seed: Determines the factors of the loss and the dropout masks.
            inputs: Whether to keep the inputs of each place.
            backward: Whether to compute gradients.
        """

    def descend(self, batches: Sequence[Array], rate: float, momentum: float) -> Trajectory:
        """Descend towards random outputs, one step per batch.

        The loss is half of the mean square of the distance, and the penalty.
        """
        update = self.optimizer(rate, momentum)
        losses = []
        for number, x in enumerate(batches):

            def loss(x: Array = x, number: int = number) -> Any:
                with self.dropout(number):
                    outputs = self.trained_outputs(self.tensor(x))
                total = self.penalty()
                for name, value in outputs.items():
                    aim = random_inputs.aims(name, self.shape_of(value), number)
                    apart = value - self.tensor(aim)
                    total = total + self.mean(apart * apart) / 2
                return total

            losses.append(update(loss))
        return Trajectory(tuple(losses), self.facts().tensors)

    def slope(self, x: Array, seed: int) -> Slope:
        """Return the loss's derivative in a random direction of the input and all parameters."""
        leaves = self.leaves(x)
        moves = [
            self.constant(each)
            for each in random_inputs.directions((each.shape for each in leaves), seed)
        ]

        def loss() -> Any:
            with self.dropout(seed):
                return self.loss(self.trained_outputs(leaves[0]), seed)

        def moved(steps: int) -> float:
            self.move(leaves, [steps * each for each in moves])
            value = self.number(loss())
            self.move(leaves, [-steps * each for each in moves])
            return value

        pairs = zip(self.gradients(loss, leaves), moves, strict=True)
        parts = [float(self.sum(g * move)) for g, move in pairs if g is not None]
        return Slope.along(parts, moved)

    def loss(self, outputs: Mapping[str, Any], seed: int, batch: int | None = None) -> Any:
        """Return the sum of all output elements, each weighted by a random factor.

        `batch` is the number of examples, if a graph is made for any number.
        """
        total: Any = 0
        for name, value in outputs.items():
            factors = random_inputs.factors(name, self.shape_of(value, batch), seed)
            total = total + self.sum(value * self.tensor(factors))
        return total

    @abstractmethod
    def noise(self, seed: int, size: float) -> AbstractContextManager[None]:
        """Move every layer's output up or down by a relative amount."""

    @abstractmethod
    def forget(self) -> None:
        """Free what the framework would otherwise keep."""

    # ------------------------------------------------------------ what differs by framework

    def number(self, value: Any) -> float:
        """Return a tensor of one number as a float."""
        return float(value)

    @abstractmethod
    def sum(self, value: Any) -> Any:
        """Return the sum of all elements of a tensor."""

    @abstractmethod
    def mean(self, value: Any) -> Any:
        """Return the mean of all elements of a tensor."""

    @abstractmethod
    def tensor(self, value: Array) -> Any:
        """Return an array, channels first, as a tensor of the framework."""

    def constant(self, value: Array) -> Any:
        """Return an array as a tensor with the same axes."""
        return self.tensor(value)

    @abstractmethod
    def shape_of(self, value: Any, batch: int | None = None) -> tuple[int, ...]:
        """Return the shape of a tensor, channels first; `batch` replaces an unknown size."""

    @abstractmethod
    def trained_outputs(self, x: Any) -> dict[str, Any]:
        """Run the model in training mode, and return its outputs by name."""

    @abstractmethod
    def dropout(self, seed: int) -> AbstractContextManager[None]:
        """Derive dropout masks from the seed and the path of the layer."""

    @abstractmethod
    def penalty(self) -> Any:
        """Return the weight decay penalty."""

    @abstractmethod
    def optimizer(self, rate: float, momentum: float) -> Callable[[Callable[[], Any]], float]:
        """Return a function that takes a step of descent and returns the loss before it."""

    @abstractmethod
    def leaves(self, x: Array) -> list[Any]:
        """Return the input and all trained parameters, as tensors that `move` can change."""

    @abstractmethod
    def move(self, leaves: Sequence[Any], moves: Sequence[Any]) -> None:
        """Add to each leaf."""

    @abstractmethod
    def gradients(self, loss: Callable[[], Any], leaves: Sequence[Any]) -> Sequence[Any]:
        """Return the gradient of a loss with respect to each leaf, None where it has none."""
