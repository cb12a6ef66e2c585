"""What runners return: facts of a fresh model, values, gradients, forms; channels first."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from incgen.verify.figures import Docs
from incgen.weights.checkpoint import Array

#: What the key of a gradient begins with in what a form gives. Forms are trained in float64 only,
#: since gradients jump in float32.
GRADIENT = "gradient of "


class RunFault(Exception):
    """A generated model does something that it must not do."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a fresh model is made of.

    Attributes:
        tensors: The initial value of every parameter and statistic, by key.
        trained: The keys of those that are trained.
        count: How many numbers the framework itself counts.
        arguments: Those of the class or function that makes the model, in order.
        docs: What the generated file says of the model.
        training: Whether the model begins in training mode, where there is such a mode.
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
        outputs: By the names of the network's outputs.
        places: By the path of a layer, unit or block, as far as the framework lets one look.
        inputs: What went into each place, if that was asked for.
    """

    outputs: dict[str, Array]
    places: dict[str, Array]
    inputs: dict[str, tuple[Array, ...]]


@dataclass(frozen=True, slots=True)
class Step:
    """A forward and backward pass in training mode.

    Attributes:
        values: The values of the forward pass.
        penalty: What the weight decay adds to the loss.
        gradients: Those of the loss with respect to every parameter and the `input`.
        statistics: The running statistics after the pass.
        counted: How far each normalisation's counter of batches advanced, where there is one.
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
        gradient: By the gradient.
        itself: By the loss on either side.
        twice: Half of the change over a step of twice the length.
    """

    gradient: float
    itself: float
    twice: float

    @classmethod
    def along(cls, parts: Iterable[float], moved: Callable[[int], float]) -> Slope:
        """Measure a step, from the part of each gradient and the loss so many steps away."""
        return cls(sum(parts), (moved(1) - moved(-1)) / 2, (moved(2) - moved(-2)) / 4)

    @property
    def wrong(self) -> bool:
        """Return whether the gradient is not that of the loss.

        The two steps differ by rounding, or by as much as the loss is not smooth: the slope is not
        known any better than that.
        """
        largest = max(abs(self.gradient), abs(self.itself))
        known = 30 * abs(self.itself - self.twice) + 1e-6 * largest
        return abs(self.gradient - self.itself) > known


@dataclass(frozen=True, slots=True)
class Form:
    """A form that a model can be brought into, such as a file or a compiled program.

    Attributes:
        name: What reports call it.
        use: Makes the form and gives its outputs by name, or all that it is compared by.
        missing: Why the form cannot be made on this machine; "" if it can.
        own: What the model itself gives, if that is not its output in evaluation.
    """

    name: str
    use: Callable[[], dict[str, Array]]
    missing: str = ""
    own: Callable[[], dict[str, Array]] | None = None
