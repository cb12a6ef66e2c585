"""A generated model in one floating-point type, and what all frameworks do alike.

A runner is all that the ladder knows about a framework. Arrays go in and come out with channels
first, under the keys of the spec. A new target implements the abstract methods in its own module.
"""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from incgen.base.modules import import_source
from incgen.graph.nodes import Graph
from incgen.targets import TARGETS
from incgen.verify import inputs as random_inputs
from incgen.verify.runners.inference import InferenceRunner
from incgen.verify.runners.results import Facts, Slope, Step, Trajectory, Values
from incgen.verify.surroundings import UNUSUAL, kept
from incgen.weights.checkpoint import Array


class Runner(InferenceRunner):
    """A generated model, which can be trained."""

    trainable = True
    method: ClassVar[str]  #: The name of the method that a layer is called by
    #: Returns the process settings that belong to the framework, by name.
    settings: ClassVar[Callable[[], Mapping[str, Any]]]

    def __init__(self, graph: Graph, source: str, dtype: str) -> None:
        super().__init__(graph, source, dtype)
        self.module: ModuleType | None = None
        self.model: Any = None

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

    def load(self, path: Path) -> None:
        """Load a safetensors file as the module's users do."""
        with self.kept("loading weights"):
            self.of_module("load_safetensors")(self.model, path)

    def refusal(self, path: Path, before: Mapping[str, Array]) -> str:
        """Describe how a file that does not fit is wrongly accepted; "" if it is rejected."""
        try:
            self.load(path)
        except ValueError:
            after = self.facts().tensors
            same = all(np.array_equal(before[key], after[key]) for key in before)
            return "" if same else "are refused when some are loaded"
        return "are loaded"

    # ------------------------------------------------------------ running

    def step(self, x: Array, seed: int, *, inputs: bool = False, backward: bool = True) -> Step:
        """Run a pass in training mode, on a loss that weights each output element differently.

        The seed determines its factors and the dropout masks. With `inputs`, those of each place
        are kept; without `backward`, no gradients are computed.
        """
        leaves, before = self.leaves(x), self.counters()
        forward: list[Step] = []

        def total() -> Any:
            with self.dropout(seed), self.kept("training", drawn=True):
                outputs, values = self.trained(leaves["input"], inputs)
            loss, penalty = self.loss(outputs, seed), self.penalty()
            counted = {path: count - before[path] for path, count in self.counters().items()}
            forward.append(Step(values, self.number(penalty), {}, self.statistics(), counted))
            return loss + penalty

        if not backward:
            self.run(total)
            return forward[0]
        try:
            gradients = self.gradients(total, [*leaves.values()])
        except Exception as error:  # each framework has its own for what has no gradient
            if not forward:
                raise
            return replace(forward[-1], failure=error)  # a runner may have to run it again
        pairs = zip(leaves, gradients, strict=True)
        return replace(forward[0], gradients={key: self.ours(key, value) for key, value in pairs})

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
        leaves = [*self.leaves(x).values()]
        moves = [
            self.constant(move)
            for move in random_inputs.directions((leaf.shape for leaf in leaves), seed)
        ]

        def loss() -> Any:
            with self.dropout(seed):
                return self.loss(self.trained_outputs(leaves[0]), seed)

        def moved(steps: int) -> float:
            self.move(leaves, [steps * move for move in moves])
            value = self.run(loss)
            self.move(leaves, [-steps * move for move in moves])
            return value

        pairs = zip(self.gradients(loss, leaves), moves, strict=True)
        return Slope.along([float(self.sum(gradient * move)) for gradient, move in pairs], moved)

    def loss(self, outputs: Mapping[str, Any], seed: int, batch: int | None = None) -> Any:
        """Return the sum of all output elements, each weighted by a random factor.

        `batch` is the number of examples, if a graph is made for any number.
        """
        total: Any = 0
        for name, value in outputs.items():
            factors = random_inputs.factors(name, self.shape_of(value, batch), seed)
            total = total + self.sum(value * self.tensor(factors))
        return total

    @contextmanager
    def noise(self, seed: int, size: float) -> Iterator[None]:
        """Move every layer's output up or down by a relative amount."""
        random = random_inputs.generator(seed, "noise")

        def moving(path: str, layer: Any, call: Callable[..., Any]) -> Callable[..., Any]:
            @wraps(call)
            def moved(*args: Any, **kwargs: Any) -> Any:
                output = call(*args, **kwargs)
                if not hasattr(output, "shape"):  # of a whole model
                    return output
                factors = random_inputs.noise(random, self.shape_of(output), size)
                return output * self.tensor(factors)

            return moved

        with self.calling(self.layers(self.model), moving):
            yield

    @contextmanager
    def dropout(self, seed: int, model: Any = None, batch: int | None = None) -> Iterator[None]:
        """Derive dropout masks from the seed and the path of the layer.

        The layers may be those of another model; a graph made for any number needs the batch.
        """

        def masking(path: str, layer: Any, call: Callable[..., Any]) -> Callable[..., Any]:
            place = self.places.name_of(path) or path

            @wraps(call)
            def masked(x: Any, training: bool = False) -> Any:
                if not self.trains(layer, training):
                    return x
                rate = self.rate(layer)
                kept = random_inputs.kept(place, self.shape_of(x, batch), rate or 0.0, seed)
                return x * self.tensor(kept)

            return masked

        # dropout of another kind is left alone, and will not repeat
        layers = self.layers(model or self.model)
        with self.calling(
            ((p, layer) for p, layer in layers if self.rate(layer) is not None), masking
        ):
            yield

    @contextmanager
    def calling(
        self,
        layers: Iterable[tuple[str, Any]],
        change: Callable[[str, Any, Callable[..., Any]], Callable[..., Any]],
    ) -> Iterator[None]:
        """Replace what layers call, given the path of each, the layer and its own function."""
        with ExitStack() as stack:
            for path, layer in layers:
                before, call = vars(layer).get(self.method), getattr(layer, self.method)
                setattr(layer, self.method, change(path, layer, call))
                if before is None:  # the method of the class
                    stack.callback(delattr, layer, self.method)
                else:
                    stack.callback(setattr, layer, self.method, before)
            yield

    # ------------------------------------------------------------ what differs by framework

    def number(self, value: Any) -> float:
        """Return a tensor of one number as a float."""
        return float(value)

    def run(self, loss: Callable[[], Any]) -> float:
        """Compute a loss without its gradients."""
        return self.number(loss())

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
    def trained(self, x: Any, inputs: bool) -> tuple[dict[str, Any], Values]:
        """Run the model in training mode; return its outputs by name, and the value of each place.

        Raises:
            RunFault: The model returns the wrong outputs, or changes its input.
        """

    @abstractmethod
    def layers(self, model: Any) -> list[tuple[str, Any]]:
        """Return the innermost layers of a model, by their paths in the spec."""

    @abstractmethod
    def rate(self, layer: Any) -> float | None:
        """Return the rate of a dropout layer; None for any other."""

    def trains(self, layer: Any, given: bool) -> bool:
        """Return whether a dropout layer drops, in a call that was given `training`."""
        return bool(getattr(layer, "training", given))

    @abstractmethod
    def statistics(self) -> dict[str, Array]:
        """Return the running statistics by key."""

    def counters(self) -> dict[str, int]:
        """Return how many batches each normalisation has seen, if the framework counts them."""
        return {}

    @abstractmethod
    def ours(self, key: str, value: Any) -> Array:
        """Return a tensor of the model, or its `input`, as an array with our axes."""

    @abstractmethod
    def penalty(self) -> Any:
        """Return the weight decay penalty."""

    @abstractmethod
    def optimizer(self, rate: float, momentum: float) -> Callable[[Callable[[], Any]], float]:
        """Return a function that takes a step of descent and returns the loss before it."""

    @abstractmethod
    def leaves(self, x: Array) -> dict[str, Any]:
        """Return the `input` and all trained parameters, as tensors that `move` can change."""

    @abstractmethod
    def move(self, leaves: Sequence[Any], moves: Sequence[Any]) -> None:
        """Add to each leaf."""

    @abstractmethod
    def gradients(self, loss: Callable[[], Any], leaves: Sequence[Any]) -> Sequence[Any]:
        """Return the gradient of a loss with respect to each leaf, zeros where it has none."""
