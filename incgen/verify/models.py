"""The models of one network in one floating-point type, and what they give on each rung."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from incgen.verify import inputs, measure
from incgen.verify.runners import KINDS, RunFault, Runner, Step, Values

if TYPE_CHECKING:
    from incgen.graph import Graph
    from incgen.verify.runners import Array, Facts

T = TypeVar("T")

#: Steps of descent, and how much the first of them moves the weights: enough to see an optimiser
#: at work, too little to amplify what rounding does.
STEPS, MOVE = 10, 1e-3
#: The momentum: Keras keeps it in float32, also where its variables are in float64, so it is a
#: number that every type holds exactly.
MOMENTUM = 7 / 8


class Failure(Exception):
    """A generated model cannot do something.

    Attributes:
        target: whose model.
        reason: why, in a line.
        line: of its source, if the exception came through it.
    """

    def __init__(self, target: str, error: Exception) -> None:
        """Read the exception."""
        text = " ".join(str(error).split())[:300]
        self.target = target
        self.reason = text if isinstance(error, RunFault) else f"{type(error).__name__}: {text}"
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename.startswith("<incgen ")]
        self.line = lines[-1] if lines else None
        super().__init__(f"{target}: {self.reason}")


class Models:
    """Runners with one set of weights."""

    def __init__(
        self,
        graph: Graph,
        sources: Mapping[str, str],
        weights: Mapping[str, Array],
        *,
        dtype: str,
        seed: int,
        batch: int,
        folder: Path,
        inputs: bool,
    ) -> None:
        """Keep what is needed; nothing is run yet.

        Args:
            graph: the network.
            sources: the source text of each target.
            weights: by key, in float64.
            dtype: the floating-point type.
            seed: of everything random.
            batch: how many examples there are in an input.
            folder: for files.
            inputs: whether what goes into each place is kept.
        """
        self.graph, self.sources, self.weights = graph, sources, weights
        self.dtype, self.seed, self.batch, self.folder = dtype, seed, batch, folder
        self.inputs = inputs
        self.runners: dict[str, Runner] = {
            name: KINDS[name].make(graph, source, dtype) for name, source in sources.items()
        }
        self.facts: dict[str, Facts] = {}
        self.evaluated: dict[str, Values] = {}
        self.steps: dict[str, Step] = {}
        self._reactions: dict[tuple[int, float], dict[str, float]] = {}
        self.results: dict[int, dict[str, dict[str, Array]]] = {}

    @property
    def names(self) -> list[str]:
        """The targets; the others are compared with the first."""
        return list(self.runners)

    def run(self, name: str, action: Callable[[Runner], T]) -> T:
        """Let a runner do something.

        Raises:
            Failure: it cannot.
        """
        try:
            return action(self.runners[name])
        except Exception as error:
            raise Failure(name, error) from error

    @contextmanager
    def precision(self) -> Iterator[None]:
        """All frameworks in the type of these models; everything else is called inside."""
        with ExitStack() as stack:
            for runner in self.runners.values():
                stack.enter_context(runner.precision())
            yield

    def build(self) -> None:
        """Make all models, once, and look at them before weights are loaded."""
        for name in self.names if not self.facts else ():
            self.run(name, lambda runner: runner.build())
            self.facts[name] = self.run(name, lambda runner: runner.facts())

    def load(self, name: str, path: Path | None = None) -> None:
        """Load weights: those of the verification, or those of a file."""
        file = path or self.folder / f"weights_{self.dtype}.safetensors"
        if not file.exists():
            self._save(file, self.weights)
        self.run(name, lambda runner: runner.load(file))

    def _save(self, file: Path, weights: Mapping[str, Array]) -> None:
        from safetensors.numpy import save_file

        save_file({key: value.astype(self.dtype) for key, value in weights.items()}, file)

    @cached_property
    def x(self) -> Array:
        """The input (N, C, H, W)."""
        return inputs.images(self.graph, self.seed, self.batch).astype(self.dtype)

    @cached_property
    def batches(self) -> list[Array]:
        """The inputs of the steps of descent."""
        return [
            inputs.images(self.graph, self.seed, self.batch, f"batch {i}").astype(self.dtype)
            for i in range(STEPS)
        ]

    @cached_property
    def rate(self) -> float:
        """A learning rate with which the first step moves the weights by a thousandth."""
        gradients = {k: v for k, v in self._step(self.names[0]).gradients.items() if k != "input"}
        size = measure.largest(gradients.values())
        moved = measure.largest(self.weights[key] for key in gradients if key in self.weights)
        return float(np.float32(MOVE * moved / size)) if size else MOVE

    # ------------------------------------------------------------ results

    def climb(self, rung: int, rate: float | None = None) -> None:
        """Fill `results` of a rung: by target, then by place or by key.

        Args:
            rung: from 1 to 5.
            rate: the learning rate of the descent.
        """
        self.build()
        self.results[rung] = {name: self._result(rung, name, rate) for name in self.names}

    def _result(self, rung: int, name: str, rate: float | None) -> dict[str, Array]:
        match rung:
            case 1:
                if name not in self.evaluated:
                    self.load(name)
                    self.evaluated[name] = self.run(
                        name, lambda runner: runner.evaluate(self.x, inputs=self.inputs)
                    )
                return self._by_place(self.evaluated[name])
            case 2:
                return self._by_place(self._step(name).values)
            case 3:
                return self._step(name).gradients
            case 4:
                return self._step(name).statistics
            case _:
                self.load(name)
                return self.run(name, lambda runner: self._descent(runner, rate or self.rate))

    def _step(self, name: str) -> Step:
        if name not in self.steps:
            self.load(name)
            self.steps[name] = self.run(
                name, lambda runner: runner.step(self.x, self.seed, inputs=self.inputs)
            )
        return self.steps[name]

    def _by_place(self, values: Values) -> dict[str, Array]:
        """What every place gave; outputs are the places of their nodes."""
        nodes = self.graph.nodes
        paths = {name: nodes[number].path for name, number in self.graph.outputs.items()}
        return {**values.places, **{paths[name]: v for name, v in values.outputs.items()}}

    def _descent(self, runner: Runner, rate: float) -> dict[str, Array]:
        found = runner.descend(self.batches, rate, MOMENTUM)
        losses = {f"loss {i}": np.asarray([loss]) for i, loss in enumerate(found.losses)}
        return {**losses, **found.tensors}

    def drop(self, rung: int) -> None:
        """Free what was found on a rung; later ones need the step that rungs 2 to 4 share."""
        self.results.pop(rung, None)
        if rung == 1:
            self.evaluated.clear()
        if rung == 5:
            self.steps.clear()

    def reaction(self, rung: int, size: float, trials: int) -> dict[str, float]:
        """How far rounding alone moves each number of a rung, relative to the largest element.

        All that is rounded is moved: the weights, the input and each layer's output. Zero moves to
        nothing, so what is exact stays exact.

        Args:
            rung: from 1 to 5.
            size: the relative amount by which everything is moved.
            trials: how often.
        """
        if (rung, size) not in self._reactions:
            name = self.names[0]
            exact = self.results[rung][name]
            floor = measure.gradient_floor(exact) if rung == 3 else 0.0
            found = dict.fromkeys(exact, 0.0)
            for number in range(trials):
                disturbed = partial(self._disturbed, rung=rung, size=size, number=number)
                other = self.run(name, disturbed)
                for key, value in exact.items():
                    apart = measure.difference(value, other[key], floor)[1]
                    found[key] = max(found[key], apart)
            self._reactions[rung, size] = found
        return self._reactions[rung, size]

    def _disturbed(
        self, runner: Runner, *, rung: int, size: float, number: int
    ) -> dict[str, Array]:
        random = inputs.generator(self.seed, "reaction", number)
        moved = {key: v * inputs.noise(random, v.shape, size) for key, v in self.weights.items()}
        path = self.folder / "moved.safetensors"
        self._save(path, moved)
        runner.load(path)
        x = self.x * inputs.noise(random, self.x.shape, size)
        with runner.noise(number, size):
            if rung == 1:
                return self._by_place(runner.evaluate(x))
            if rung == 5:
                return self._descent(runner, self.rate)
            step = runner.step(x, self.seed)
        match rung:
            case 2:
                return self._by_place(step.values)
            case 3:
                return step.gradients
            case _:
                return step.statistics
