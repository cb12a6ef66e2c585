"""A generated model in one floating-point type, and what all frameworks do alike.

A runner is all that the ladder knows of a framework. Arrays go in and come out with channels first,
under the keys of the spec. A new target implements what is abstract here, in a module of its own.
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
    """A generated model; everything but the constructor is called inside of `precision`.

    Attributes:
        versions: The framework and its version, as users write it.
        lines: The line of the source that makes each layer, unit and block, by its path.
    """

    #: The name of the target.
    target: ClassVar[str]
    #: Gives the settings of the process that belong to the framework, by their names.
    settings: ClassVar[Callable[[], Mapping[str, Any]]]
    versions: ClassVar[str]

    def __init__(self, graph: Graph, source: str, dtype: str) -> None:
        """Keep what will be run."""
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
        """Import the source and make the model, anew each time."""
        network = self.graph.program.network.name
        self.seed(UNUSUAL)
        with self.kept("importing it"):
            self.module = import_source(network, self.graph.program.file, self.target, self.source)
        self.seed(0)
        self.make_model(self.module)

    @abstractmethod
    def make_model(self, module: ModuleType) -> None:
        """Make the model, and note the line of the module that makes each of its parts."""

    @abstractmethod
    def seed(self, seed: int) -> None:
        """Seed the framework's random numbers."""

    def kept(self, doing: str, *, drawn: bool = False) -> AbstractContextManager[None]:
        """Refuse whatever changes a setting of the process meanwhile."""
        return kept(doing, type(self).settings, drawn=drawn)

    def fresh(self, **arguments: Any) -> Any:
        """Make another model."""
        return self._maker()(**arguments)

    def _maker(self) -> Any:
        return self.of_module(TARGETS[self.target].entry(self.graph.program.network.name))

    def of_module(self, name: str) -> Any:
        """Return what the generated module calls by a name."""
        return getattr(self.module, name)

    def facts(self) -> Facts:
        """Return what the model is made of."""
        return self.facts_of(self.model)

    def another(self, seed: int, arguments: Mapping[str, Any]) -> Facts:
        """Return what another model of the source is made of, with this seed and arguments."""
        self.seed(seed)
        return self.facts_of(self.fresh(**arguments))

    @abstractmethod
    def facts_of(self, model: Any) -> Facts:
        """Return what a model is made of."""

    def arguments(self) -> tuple[str, ...]:
        """Return the names of the arguments with which models are made."""
        return tuple(inspect.signature(self._maker()).parameters)

    @abstractmethod
    def sized(self, height: int | None, width: int | None) -> AbstractContextManager[None]:
        """Use a model for another size of the input, None for any; weights are loaded anew."""

    @abstractmethod
    def preprocess(self, images: Array) -> Array:
        """Return what `preprocess` of the module makes of images (N, C, H, W)."""

    # ------------------------------------------------------------ files of weights

    @abstractmethod
    def load(self, path: Path) -> None:
        """Load a safetensors file as the module's users do."""

    @abstractmethod
    def refusal(self, path: Path) -> str:
        """Return how a file that does not fit is not refused as it should be; "" if it is."""

    @abstractmethod
    def write(self, path: Path) -> bool:
        """Write a safetensors file as the module's users do; False if there is no such way."""

    # ------------------------------------------------------------ running

    @abstractmethod
    def evaluate(self, x: Array, *, inputs: bool = False) -> Values:
        """Run the model in evaluation mode, with its heads.

        Raises:
            RunFault: The model gives other outputs than it should, or changes its input.
        """

    @abstractmethod
    def called(self, x: Array) -> dict[str, Array]:
        """Return the outputs in evaluation, run as users run the model, with nothing around it."""

    @abstractmethod
    def step(self, x: Array, seed: int, *, inputs: bool = False, backward: bool = True) -> Step:
        """Run a pass in training mode, with a loss that weighs each output element differently.

        Args:
            x: The input.
            seed: Determines the factors of the loss and what dropout leaves out.
            inputs: Whether to keep what goes into each place.
            backward: Whether to compute gradients.
        """

    def descend(self, batches: Sequence[Array], rate: float, momentum: float) -> Trajectory:
        """Descend towards random outputs, one step for each batch.

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
        """Return the sum of all output elements, each weighed by a random factor.

        Args:
            outputs: Tensors by the names of the outputs.
            seed: Determines the factors.
            batch: How many examples there will be where a graph is made for any number.
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
        """Return the shape of a tensor, channels first; `batch` stands for a size that is open."""

    @abstractmethod
    def trained_outputs(self, x: Any) -> dict[str, Any]:
        """Run the model in training mode, and return its outputs by name."""

    @abstractmethod
    def dropout(self, seed: int) -> AbstractContextManager[None]:
        """Let what dropout leaves out follow from the seed and the layer's path."""

    @abstractmethod
    def penalty(self) -> Any:
        """Return what the weight decay adds to the loss."""

    @abstractmethod
    def optimizer(self, rate: float, momentum: float) -> Callable[[Callable[[], Any]], float]:
        """Return what computes a loss, makes a step of descent and gives the loss."""

    @abstractmethod
    def leaves(self, x: Array) -> list[Any]:
        """Return the input and all trained parameters, as tensors that `move` can change."""

    @abstractmethod
    def move(self, leaves: Sequence[Any], moves: Sequence[Any]) -> None:
        """Add to each leaf."""

    @abstractmethod
    def gradients(self, loss: Callable[[], Any], leaves: Sequence[Any]) -> Sequence[Any]:
        """Return the gradient of a loss with respect to each leaf, None where it has none."""
