"""The results of runners: facts of a fresh model, values, gradients, forms; channels first."""

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
    """The facts of a fresh model."""

    tensors: dict[str, Array]  #: The initial value of every parameter and statistic, by key
    trained: frozenset[str]  #: The keys of those that are trained
    count: int  #: The number of parameters that the framework itself counts
    arguments: tuple[str, ...]  #: The arguments of the model's class or function, in order
    docs: Docs  #: What the generated file says about the model
    training: bool = True  #: Whether the model starts in training mode, if there is such a mode


@dataclass(frozen=True, slots=True)
class Values:
    """The results of a forward pass."""

    outputs: dict[str, Array]  #: The network's outputs by name
    #: Values by the path of a layer, unit or block, where the framework exposes them
    places: dict[str, Array]
    inputs: dict[str, tuple[Array, ...]]  #: The inputs of each place, if requested

    def before(self, others: Values) -> Values:
        """Return these results, and of others those that are not among them."""
        return Values(
            {**others.outputs, **self.outputs},
            {**others.places, **self.places},
            {**others.inputs, **self.inputs},
        )


@dataclass(frozen=True, slots=True)
class Step:
    """A forward and backward pass in training mode."""

    values: Values  #: The values of the forward pass
    penalty: float  #: The weight decay penalty
    #: The gradients of the loss with respect to every parameter and the `input`
    gradients: dict[str, Array]
    statistics: dict[str, Array]  #: The running statistics after the pass
    counted: dict[str, int]  #: How far each normalisation's batch counter advanced, if it has one
    failure: Exception | None = None  #: Why there are no gradients


@dataclass(frozen=True, slots=True)
class Trajectory:
    """Some steps of stochastic gradient descent: the loss before each, all tensors at the end."""

    losses: tuple[float, ...]
    tensors: dict[str, Array]


@dataclass(frozen=True, slots=True)
class Slope:
    """The change of a loss over a small step, measured in three ways."""

    gradient: float  #: The change according to the gradient
    itself: float  #: The change of the loss itself, from either side
    twice: float  #: Half of the change over a step twice as long

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
    """A form that a model can take, such as a file or a compiled program."""

    name: str  #: The name in reports
    #: Makes the form and returns its outputs by name, or its other results
    use: Callable[[], dict[str, Array]]
    missing: str = ""  #: Why the form cannot be made on this machine; "" if it can
    #: The results of the model itself, if they are not its outputs in evaluation
    own: Callable[[], dict[str, Array]] | None = None
