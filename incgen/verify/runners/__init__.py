"""What runs the generated source of a target: one module for each, imported when it is used.

A runner is the only thing that the ladder knows of a framework. Arrays go in and come out in our
layout, channels first, under our keys.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from incgen.verify.figures import Docs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from incgen.graph.nodes import Graph

    Array: TypeAlias = NDArray[Any]


#: How the gradients are called that a form of a model gives. Forms are trained in float64 only,
#: since in float32 gradients jump.
GRADIENT = "gradient of "


class RunFault(Exception):
    """A generated model does something that it must not do."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a fresh model is made of.

    Attributes:
        tensors: every parameter and statistic by key, with its initial values.
        trained: the keys of those that are trained.
        count: how many numbers the framework itself counts.
        arguments: of the class or function that makes the model, in order.
        docs: what its file says of it.
        training: whether it begins in training, where a model has such a mode.
    """

    tensors: dict[str, Array]
    trained: frozenset[str]
    count: int
    arguments: tuple[str, ...]
    docs: Docs
    training: bool = True


@dataclass(frozen=True, slots=True)
class Values:
    """What a forward pass gave.

    Attributes:
        outputs: by the names of the network's outputs.
        places: by the path of the layer, unit or block that gave it, as far as the framework
            lets one look.
        inputs: what went into each place, if that was asked for.
    """

    outputs: dict[str, Array]
    places: dict[str, Array]
    inputs: dict[str, tuple[Array, ...]]


@dataclass(frozen=True, slots=True)
class Step:
    """A forward and backward pass in training mode.

    Attributes:
        values: of the forward pass.
        penalty: what the weight decay adds to the loss.
        gradients: of the loss by every parameter, and by the `input`.
        statistics: the running statistics after it.
        counted: by how much the counter of batches of each normalisation grew, where there is one.
        failure: why there are no gradients.
    """

    values: Values
    penalty: float
    gradients: dict[str, Array]
    statistics: dict[str, Array]
    counted: dict[str, int]
    failure: Exception | None = None


@dataclass(frozen=True, slots=True)
class Trajectory:
    """Some steps of stochastic gradient descent.

    Attributes:
        losses: before each step.
        tensors: every parameter and statistic after the last.
    """

    losses: tuple[float, ...]
    tensors: dict[str, Array]


@dataclass(frozen=True, slots=True)
class Slope:
    """The change of a loss on a small step, in three ways.

    Attributes:
        gradient: by its gradient.
        itself: by its values on either side.
        twice: half of that of a step of twice the length.
    """

    gradient: float
    itself: float
    twice: float

    @classmethod
    def along(cls, parts: Iterable[float], moved: Callable[[int], float]) -> Slope:
        """What is known of a step.

        Args:
            parts: what each gradient says of it.
            moved: the loss so many steps away.
        """
        return cls(sum(parts), (moved(1) - moved(-1)) / 2, (moved(2) - moved(-2)) / 4)

    @property
    def wrong(self) -> bool:
        """Whether the gradient is not that of the loss.

        What two steps differ by is how far the loss is from smooth, or rounding: the slope is not
        known any better than that.
        """
        known = 30 * abs(self.itself - self.twice) + 1e-6 * max(
            abs(self.gradient), abs(self.itself)
        )
        return abs(self.gradient - self.itself) > known


@dataclass(frozen=True, slots=True)
class Form:
    """A form that a model can be brought into.

    Attributes:
        name: what it is called.
        use: makes it and gives its outputs by name, or all that it is compared by.
        missing: why it cannot be made on this machine; "" if it can.
        own: what the model itself gives, if that is not what it gives in evaluation.
    """

    name: str
    use: Callable[[], dict[str, Array]]
    missing: str = ""
    own: Callable[[], dict[str, Array]] | None = None


class Runner(Protocol):
    """A generated model of one target, in one floating-point type."""

    @property
    def versions(self) -> str:
        """The framework and its version, as users write it."""

    @property
    def lines(self) -> dict[str, int]:
        """The line of the source that makes each layer, unit and block, by its path."""

    def precision(self) -> AbstractContextManager[None]:
        """The framework in this floating-point type; everything else is called inside."""

    def build(self) -> None:
        """Import the source and make the model, anew each time."""

    def facts(self) -> Facts:
        """What the model is made of."""

    def another(self, seed: int, arguments: Mapping[str, Any]) -> Facts:
        """What another model of the same source is made of.

        Args:
            seed: of the framework's own random numbers.
            arguments: of the network.
        """

    def preprocess(self, images: Array) -> Array:
        """What `preprocess` of the module makes of images (N, C, H, W)."""

    def sized(self, height: int | None, width: int | None) -> AbstractContextManager[None]:
        """The model made for another size of the input, None for any; weights are loaded anew."""

    def load(self, path: Path) -> None:
        """Load a safetensors file as the module's users do."""

    def refusal(self, path: Path) -> str:
        """How a file that does not fit is not refused as it should be; "" if it is."""

    def write(self, path: Path) -> bool:
        """Write a safetensors file as the module's users do, or say that there is no such way."""

    def evaluate(self, x: Array, *, inputs: bool = False) -> Values:
        """The model in evaluation mode, its heads too.

        Raises:
            RunFault: it gives other outputs than it should, or changes its input.
        """

    def called(self, x: Array) -> dict[str, Array]:
        """The outputs of the model in evaluation, run as users run it, with nothing around it."""

    def step(self, x: Array, seed: int, *, inputs: bool = False, backward: bool = True) -> Step:
        """A pass in training mode, of a loss that weighs each element of the outputs differently.

        Args:
            x: the input.
            seed: of the factors of the loss and of what dropout leaves out.
            inputs: whether what goes into each place is asked for.
            backward: whether gradients are.
        """

    def descend(self, batches: list[Array], rate: float, momentum: float) -> Trajectory:
        """Steps of gradient descent towards random outputs, one for each batch.

        The loss is half of the mean square of the distance, and the penalty.
        """

    def slope(self, x: Array, seed: int) -> Slope:
        """The loss's derivative in a random direction of the input and of all parameters."""

    def noise(self, seed: int, size: float) -> AbstractContextManager[None]:
        """Every layer's output is moved up or down by a relative amount."""

    def forms(self, folder: Path, x: Array) -> Iterator[Form]:
        """Saved, compiled and exported forms of the model, for an input (N, C, H, W)."""

    def forget(self) -> None:
        """Free what the framework would otherwise keep."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Where the runner of a target is, and the libraries that it needs."""

    module: str
    libraries: tuple[str, ...]

    def missing(self) -> tuple[str, ...]:
        """The libraries that are not installed."""
        return tuple(name for name in self.libraries if importlib.util.find_spec(name) is None)

    def make(self, graph: Graph, source: str, dtype: str) -> Runner:
        """A runner of a source text."""
        made: Runner = importlib.import_module(self.module).make(graph, source, dtype)
        return made


def other_backend() -> str | None:
    """What Keras runs on if that is not TensorFlow, which its runner is made for.

    Where nobody has chosen, TensorFlow is what it will run on.
    """
    if "keras" in sys.modules:
        backend = str(sys.modules["keras"].config.backend())
    else:
        backend = os.environ.setdefault("KERAS_BACKEND", "tensorflow") or "tensorflow"
    return None if backend == "tensorflow" else backend


#: By the names of targets.
KINDS = {
    "torch": Kind("incgen.verify.runners.torch", ("torch", "safetensors")),
    "keras": Kind("incgen.verify.runners.keras", ("keras", "tensorflow", "safetensors")),
}
