"""What runners return: facts of a fresh model, values, gradients, forms; channels first."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from incgen.verify.figures import Docs
from incgen.weights.checkpoint import Array

#: The prefix of the keys of gradients in the results of a form. Forms are trained in float64 only,
#: since gradients jump in float32.
GRADIENT = "gradient of "


class RunFault(Exception):
    """A generated model does something that it must not do."""


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts of a fresh model.

    Attributes:
        tensors: The initial value of every parameter and statistic, by key.
        trained: The keys of those that are trained.
        count: The number of parameters that the framework itself counts.
        arguments: The arguments of the model's class or function, in order.
        docs: What the generated file says about the model.
        training: Whether the model starts in training mode, if there is such a mode.
    """

    tensors: dict[str, Array]
    trained: frozenset[str]
    count: int
    arguments: tuple[str, ...]
    docs: Docs
    training: bool = True


@dataclass(frozen=True, slots=True)
class Values:
    """The results of a forward pass.

    Attributes:
        outputs: The network's outputs by name.
        places: Values by the path of a layer, unit or block, where the framework exposes them.
        inputs: The inputs of each place, if requested.
    """

    outputs: dict[str, Array]
    places: dict[str, Array]
    inputs: dict[str, tuple[Array, ...]]


@dataclass(frozen=True, slots=True)
class Step:
    """A forward and backward pass in training mode.

    Attributes:
        values: The values of the forward pass.
        penalty: The weight decay penalty.
        gradients: The gradients of the loss with respect to every parameter and the `input`.
        statistics: The running statistics after the pass.
        counted: How far each normalisation's batch counter advanced, if it has one.
        failure: Why there are no gradients.
    """

    values: Values
    penalty: float
    gradients: dict[str, Array]
    statistics: dict[str, Array]
    counted: dict[str, int]
    failure: Exception | None = None


@dataclass(frozen=True, slots=True)
class Trajectory:
    """Some steps of stochastic gradient descent: the loss before each, all tensors at the end."""

    losses: tuple[float, ...]
    tensors: dict[str, Array]


@dataclass(frozen=True, slots=True)
class Slope:
    """The change of a loss over a small step, measured in three ways.

    Attributes:
        gradient: The change according to the gradient.
        itself: The change of the loss itself, from either side.
        twice: Half of the change over a step twice as long.
    """

    gradient: float
    itself: float
    twice: float

    @classmethod
    def along(cls, parts: Iterable[float], moved: Callable[[int], float]) -> Slope:
        """Measure a step, from the share of each gradient and the loss some steps away."""
        return cls(sum(parts), (moved(1) - moved(-1)) / 2, (moved(2) - moved(-2)) / 4)

    @property
    def wrong(self) -> bool:
        """Return whether the gradient is not that of the loss.

        The two steps differ by rounding, or because the loss is not smooth; the slope is not known
        any better than that.
        """
        largest = max(abs(self.gradient), abs(self.itself))
        known = 30 * abs(self.itself - self.twice) + 1e-6 * largest
        return abs(self.gradient - self.itself) > known


@dataclass(frozen=True, slots=True)
class Form:
    """A form that a model can take, such as a file or a compiled program.

    Attributes:
        name: The name in reports.
        use: Makes the form and returns its outputs by name, or its other results.
        missing: Why the form cannot be made on this machine; "" if it can.
        own: The results of the model itself, if they are not its outputs in evaluation.
    """

    name: str
    use: Callable[[], dict[str, Array]]
    missing: str = ""
    own: Callable[[], dict[str, Array]] | None = None
