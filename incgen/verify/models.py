"""The models of a network in one floating-point type, and their results in each pass."""

from __future__ import annotations

import itertools
import math
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from incgen.graph.nodes import Graph
from incgen.verify import drawing, inputs, measure
from incgen.verify.passes import SCALES, Pass
from incgen.verify.reference import Reference
from incgen.verify.report import EVALUATED
from incgen.verify.resizing import Resized, resized
from incgen.verify.runners import RUNNERS
from incgen.verify.runners.base import Runner
from incgen.verify.runners.inference import InferenceRunner
from incgen.verify.runners.results import Facts, RunFault, Step, Values
from incgen.verify.variants import Another, sources_with
from incgen.weights import safetensors
from incgen.weights.checkpoint import Array

T = TypeVar("T")

#: The number of descent steps, and how far the first moves the weights: enough to see the optimiser
#: work, too little to amplify rounding.
STEPS, MOVE = 10, 1e-3
#: The momentum. Keras stores it in float32 even if its variables are in float64, so it must be
#: exact in every type.
MOMENTUM = 7 / 8
#: How many examples are added in passes with another batch size: code that assumed a size would
#: assume 8, 16 or 32.
MORE = 7
#: Counts the models of a process, to name their files.
_NUMBERS = itertools.count()


class Failure(Exception):
    """A generated model cannot do something."""

    def __init__(self, target: str, error: Exception) -> None:
        text = " ".join(str(error).split())[:300]
        self.target = target  #: The target of the model
        #: Why, in a line
        self.reason = text if isinstance(error, RunFault) else f"{type(error).__name__}: {text}"
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename.startswith("<incgen ")]
        #: The line of its source, if the exception came through it
        self.line = lines[-1] if lines else None
        super().__init__(f"{target}: {self.reason}")


class Models:
    """The runners of all targets, with one set of weights."""

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
    ) -> None:
        """Store the inputs; nothing is run yet.

        Weights are in float64, the seed determines everything random, the batch is the number of
        examples in an input, and files are written into the folder.
        """
        self.graph, self.sources, self.weights = graph, sources, weights
        self.dtype, self.seed, self.batch, self.folder = dtype, seed, batch, folder
        #: The runners by target; all others are compared with the first
        self.runners: dict[str, InferenceRunner] = {
            name: RUNNERS[name].make(graph, source, dtype) for name, source in sources.items()
        }
        self.facts: dict[str, Facts] = {}  #: The structure of each model, before weights are loaded
        self._steps: dict[tuple[str, str], Step] = {}
        self._scaled: dict[str, Mapping[str, Array]] = {}
        self._number = next(_NUMBERS)
        self._stated: dict[str, dict[str, Array]] = {}
        #: How far rounding moves the numbers of a pass, by the size of the movement
        self.reactions: dict[tuple[Pass, float], dict[str, float]] = {}
        #: Results by pass, by target, then by place or key
        self.results: dict[Pass, dict[str, dict[str, Array]]] = {}
        self.climbed: set[Pass] = set()  #: The passes that were run
        self.undecided: set[int] = set()  #: The rungs with undecided results

    @property
    def names(self) -> list[str]:
        """Return the targets; the others are compared with the first."""
        return list(self.runners)

    def names_on(self, rung: int) -> list[str]:
        """Return the targets that are compared on a rung: what cannot be trained is on few."""
        return [n for n, runner in self.runners.items() if runner.trainable or rung in EVALUATED]

    def run(self, name: str, action: Callable[[InferenceRunner], T]) -> T:
        """Run an action of a runner; raise `Failure` if the model fails."""
        try:
            return action(self.runners[name])
        except Exception as error:
            raise Failure(name, error) from error

    def run_trained(self, name: str, action: Callable[[Runner], T]) -> T:
        """Run an action of the runner of a model that can be trained."""
        runner = self.runners[name]
        assert isinstance(runner, Runner)
        return self.run(name, lambda _: action(runner))

    @contextmanager
    def precision(self) -> Iterator[None]:
        """Set all frameworks to the type of these models; all other methods are called inside."""
        with ExitStack() as stack:
            for runner in self.runners.values():
                stack.enter_context(runner.precision())
            yield

    def build(self) -> None:
        """Make all models once, and inspect them before weights are loaded."""
        for name in self.names if not self.facts else ():
            self.run(name, lambda runner: runner.build())
            self.facts[name] = self.run(name, lambda runner: runner.facts())

    def with_arguments(self, other: Another) -> Models:
        """Return models of the same files with other arguments, and new weights."""
        return Models(
            other.graph,
            sources_with(self.graph, self.sources, other.arguments),
            drawing.weights(other.graph, self.seed),
            dtype=self.dtype,
            seed=self.seed,
            batch=self.batch,
            folder=self.folder,
        )

    # ------------------------------------------------------------ weights

    def weights_of(self, pass_: Pass | None) -> Mapping[str, Array]:
        """Return the weights of a pass: those of the verification, or those that give its scale."""
        if pass_ is None or pass_.given not in SCALES:
            return self.weights
        if pass_.given not in self._scaled:
            scale = SCALES[pass_.given]
            self._scaled[pass_.given] = drawing.weights(self.graph, self.seed, scale)
        return self._scaled[pass_.given]

    def file(self, pass_: Pass | None = None) -> Path:
        """Return the file with the weights of the verification, or of a pass."""
        path = self._file(
            pass_.given if pass_ is not None and pass_.given in SCALES else "examples"
        )
        if not path.exists():
            self.save(path, self.weights_of(pass_))
        return path

    def _file(self, given: str) -> Path:
        return self.folder / f"weights_{self._number}_{given}.safetensors"

    def save(self, file: Path, weights: Mapping[str, Array]) -> None:
        """Write weights in the type of these models."""
        from safetensors.numpy import save_file

        save_file({key: value.astype(self.dtype) for key, value in weights.items()}, file)

    def load(self, name: str, path: Path | None = None) -> None:
        """Load weights: those of the verification, or those of a file."""
        self.run(name, lambda runner: runner.load(path or self.file()))

    def refusal(self, name: str, shapes: Mapping[str, tuple[int, ...]]) -> str:
        """Describe how weights that do not fit are wrongly accepted; "" if they are rejected.

        No others have been loaded yet.
        """
        path = self.folder / "other.safetensors"
        head = safetensors.header(shapes, "F64" if self.dtype == "float64" else "F32", {})
        numbers = sum(math.prod(shape) for shape in shapes.values())
        with path.open("wb") as file:
            file.write(head)
            file.truncate(len(head) + numbers * np.dtype(self.dtype).itemsize)  # all are 0
        before = self.facts[name].tensors
        return self.run(name, lambda runner: runner.refusal(path, before))

    # ------------------------------------------------------------ inputs

    @cached_property
    def x(self) -> Array:
        """Return the input (N, C, H, W)."""
        return inputs.images(self.graph, self.seed, self.batch).astype(self.dtype)

    @cached_property
    def resized(self) -> Resized | str:
        """Return the network at another size of its input, or why there is none."""
        return resized(self.graph)

    @cached_property
    def _many(self) -> Array:
        """Return the input of that size, with more examples."""
        graph = self.graph if isinstance(self.resized, str) else self.resized.graph
        return inputs.images(graph, self.seed, self.batch + MORE).astype(self.dtype)

    @cached_property
    def batches(self) -> list[Array]:
        """Return the inputs of the steps of descent."""
        return [
            inputs.images(self.graph, self.seed, self.batch, f"batch {i}").astype(self.dtype)
            for i in range(STEPS)
        ]

    @cached_property
    def rate(self) -> float:
        """Return a learning rate with which the first step moves the weights by a thousandth."""
        all_gradients = self.step(self.names_on(3)[0]).gradients
        gradients = {key: value for key, value in all_gradients.items() if key != "input"}
        size = measure.largest(gradients.values())
        moved = measure.largest(self.weights[key] for key in gradients if key in self.weights)
        return float(np.float32(MOVE * moved / size)) if size else MOVE

    def input(self, pass_: Pass) -> Array:
        """Return the input of a pass (N, C, H, W)."""
        match pass_.given:
            case "many":
                return self._many
            case "large" | "small":
                scale = np.asarray(SCALES[pass_.given], self.dtype)
                return np.asarray(self.x[: drawing.EXAMPLES] * scale)
            case "one":
                return self.x[:1]
            case _:
                return self.x

    def graph_of(self, pass_: Pass) -> Graph:
        """Return the network at the size of a pass."""
        if pass_.given != "many" or isinstance(self.resized, str):
            return self.graph
        return self.resized.graph

    def sized(self, pass_: Pass | None, runner: InferenceRunner) -> AbstractContextManager[None]:
        """Use a model for the size of a pass: in evaluation one that knows it, else for any."""
        if pass_ is None or pass_.given != "many" or isinstance(self.resized, str):
            return nullcontext()
        if pass_.rung == 1:
            size = self.resized.graph.input
            return runner.sized(size.height, size.width)
        return runner.sized(self.resized.height, self.resized.width)

    # ------------------------------------------------------------ results

    def climb(self, pass_: Pass, rate: float | None = None) -> None:
        """Fill `results` of a pass, a descent with this learning rate.

        Raises:
            Failure: A model fails.
        """
        self.build()
        self.climbed.add(pass_)
        self.results[pass_] = {}
        for name in self.names_on(pass_.rung):
            if pass_.of_step:
                step = self.step(name, pass_)
                if pass_.rung == 3 and step.failure is not None:
                    raise Failure(name, step.failure)
                result = self._part(pass_, step)
            else:
                result = self.run(name, partial(self.computed, pass_, rate=rate))
            self.results[pass_][name] = result

    def step(self, name: str, pass_: Pass | None = None) -> Step:
        """Return the step that several rungs share; that of many examples is forward only."""
        given = "examples" if pass_ is None else pass_.given
        if (name, given) not in self._steps:
            self._steps[name, given] = self.run_trained(name, partial(self._stepped, pass_))
        return self._steps[name, given]

    def _stepped(self, pass_: Pass | None, runner: Runner) -> Step:
        x, backward = (self.x, True) if pass_ is None else (self.input(pass_), pass_.backward)
        with self.sized(pass_, runner):
            runner.load(self.file(pass_))
            return runner.step(x, self.seed, backward=backward)

    def computed(
        self, pass_: Pass, runner: InferenceRunner, rate: float | None = None
    ) -> dict[str, Array]:
        """Return the results of a pass with the weights of the verification."""
        if pass_.of_step:  # as a whole: a program that takes no gradients may round otherwise
            assert isinstance(runner, Runner)
            return self._part(pass_, self._stepped(pass_, runner))
        if pass_.rung == 5:
            rate = rate or self.rate  # which takes a step, if none was taken
        with self.sized(pass_, runner):
            runner.load(self.file(pass_))
            return self.given(pass_, runner, self.input(pass_), rate)

    def given(
        self, pass_: Pass, runner: InferenceRunner, x: Array, rate: float | None
    ) -> dict[str, Array]:
        """Return the results of a pass with the loaded weights."""
        if pass_.rung == 1:
            return self._by_place(runner.evaluate(x))
        assert isinstance(runner, Runner)
        if pass_.rung == 5:
            return self._descent(runner, rate or self.rate)
        return self._part(pass_, runner.step(x, self.seed, backward=pass_.rung == 3))

    def _part(self, pass_: Pass, step: Step) -> dict[str, Array]:
        """Return what belongs to a rung of a step."""
        match pass_.rung:
            case 2:
                return self._by_place(step.values)
            case 3:
                return step.gradients
            case _:
                return step.statistics

    def _by_place(self, values: Values) -> dict[str, Array]:
        """Return the value of every place; outputs count as the places of their nodes."""
        nodes = self.graph.nodes
        paths = {name: nodes[number].path for name, number in self.graph.outputs.items()}
        return {**values.places, **{paths[name]: v for name, v in values.outputs.items()}}

    def _descent(self, runner: Runner, rate: float) -> dict[str, Array]:
        """Return losses, tensors, and the model's outputs in evaluation afterwards."""
        descent = runner.descend(self.batches, rate, MOMENTUM)
        losses = {f"loss {i}": np.asarray([loss]) for i, loss in enumerate(descent.losses)}
        after = runner.evaluate(self.x).outputs
        ends = {f"output {name}": value for name, value in after.items()}
        return {**losses, **descent.tensors, **ends}

    def stated(self, pass_: Pass) -> dict[str, Array]:
        """Return the spec's results of a pass, at every place that a model exposes."""
        if pass_.rung != 4 or pass_.given not in self._stated:
            values, statistics = self.said(pass_, self.weights_of(pass_), self.input(pass_))
            if pass_.rung == 1:
                return values
            self._stated[pass_.given] = statistics
            if pass_.rung == 2:
                return values
        return self._stated[pass_.given]

    def said(
        self,
        pass_: Pass,
        weights: Mapping[str, Array],
        x: Array,
        moved: Callable[[Array], Array] | None = None,
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Return the spec's results for weights and an input: values, and statistics afterwards."""
        wanted = {key for result in self.results[pass_].values() for key in result}
        reference = Reference(self.graph_of(pass_), weights)
        seed = None if pass_.rung == 1 else self.seed
        with np.errstate(all="ignore"):  # what is not finite is a result like others
            values = reference.values(x, seed=seed, moved=moved)
            exposed = {path: value for path, value in values if path in wanted}
        return exposed, reference.statistics

    def taken(self, pass_: Pass, name: str, path: str) -> tuple[Array, ...]:
        """Return the inputs of a place in a forward pass, which is run again for that."""

        def values(runner: InferenceRunner) -> Values:
            with self.sized(pass_, runner):
                runner.load(self.file(pass_))
                if pass_.rung == 1:
                    return runner.evaluate(self.input(pass_), inputs=True)
                assert isinstance(runner, Runner)
                return runner.step(self.input(pass_), self.seed, inputs=True, backward=False).values

        return self.run(name, values).inputs.get(path, ())

    def drop(self, rung: int, *, keep: bool) -> None:
        """Free the results of a rung; `keep` those that another type is measured against."""
        for pass_ in [p for p in self.results if p.rung == rung]:
            if not (keep and pass_.rounded):
                del self.results[pass_]
        for name, given in list(self._steps):
            if rung == 5 or (rung == 4 and given != "examples"):
                del self._steps[name, given]
        for given in self._scaled:
            self._file(given).unlink(missing_ok=True)
        self._scaled.clear()  # as large as a model, and quick to redraw
