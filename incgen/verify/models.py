"""The models of one network in one floating-point type, and what they give on each rung."""

from __future__ import annotations

import itertools
import math
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np

from incgen.verify import drawing, inputs, measure
from incgen.verify.arguments import sources_with
from incgen.verify.reference import Reference
from incgen.verify.resizing import resized
from incgen.verify.runners import KINDS, RunFault, Runner, Step, Values
from incgen.weights import safetensors

if TYPE_CHECKING:
    from incgen.graph.nodes import Graph
    from incgen.verify.arguments import Another
    from incgen.verify.resizing import Resized
    from incgen.verify.runners import Array, Facts

T = TypeVar("T")

#: Steps of descent, and how much the first of them moves the weights: enough to see an optimiser
#: at work, too little to amplify what rounding does.
STEPS, MOVE = 10, 1e-3
#: The momentum: Keras keeps it in float32, also where its variables are in float64, so it is a
#: number that every type holds exactly.
MOMENTUM = 7 / 8


@dataclass(frozen=True, slots=True)
class Pass:
    """Something that every model does, and what is compared of it.

    Attributes:
        rung: that it belongs to.
        what: is compared.
        bar: for the relative difference in float64.
        given: the input: the examples themselves, the first of them alone, some more at another
            size if there is one, or two with which all numbers of the network are large or small.
    """

    rung: int
    what: str
    bar: float
    given: Literal["examples", "one", "many", "large", "small"] = "examples"

    @property
    def rounded(self) -> bool:
        """Whether float32 has something to say of it: of other sizes it only rounds otherwise."""
        return self.given in ("examples", "large", "small")

    @property
    def stated(self) -> bool:
        """Whether the spec itself says what comes out, without a derivative."""
        return self.rung in (1, 2, 4)


#: How large the numbers of a pass are: exp(1e5) is infinite in any type, -1e5 is below what is put
#: in place of minus infinity, and 1e-5 is near to the constants that keep from dividing by 0.
SCALES = {"large": 1e5, "small": 1e-5}
#: A gate makes a number between 0 and 1 of a large one, and its rounding is as large.
_LARGE = measure.EVALUATION * SCALES["large"]
#: How many examples more than asked for there are where the batch is another: batches of 8, 16,
#: 32 are what code that counts examples would go by.
MORE = 7
#: In the order in which they are run.
PASSES = (
    Pass(1, "value", measure.EVALUATION),
    Pass(1, "value of one example", measure.EVALUATION, "one"),
    Pass(1, "value of many examples", measure.EVALUATION, "many"),
    Pass(1, "value of large numbers", _LARGE, "large"),
    Pass(1, "value of small numbers", measure.EVALUATION, "small"),
    Pass(2, "value", measure.TRAINING),
    Pass(2, "value of one example", measure.TRAINING, "one"),
    Pass(2, "value of many examples", measure.TRAINING, "many"),
    Pass(3, "gradient", measure.GRADIENTS),
    Pass(3, "gradient of large numbers", measure.GRADIENTS, "large"),
    Pass(4, "statistic", measure.STATISTICS),
    Pass(4, "statistic of many examples", measure.STATISTICS, "many"),
    Pass(5, "number", measure.TRAJECTORY),
)
#: Of the models of a process, for the names of their files.
_NUMBERS = itertools.count()
#: The rungs that look at one step.
_OF_STEP = (2, 3, 4)


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
        """
        self.graph, self.sources, self.weights = graph, sources, weights
        self.dtype, self.seed, self.batch, self.folder = dtype, seed, batch, folder
        self.runners: dict[str, Runner] = {
            name: KINDS[name].make(graph, source, dtype) for name, source in sources.items()
        }
        self.facts: dict[str, Facts] = {}
        self._steps: dict[tuple[str, str], Step] = {}
        self._scaled: dict[str, Mapping[str, Array]] = {}
        self._number = next(_NUMBERS)
        self._stated: dict[str, dict[str, Array]] = {}
        self._reactions: dict[tuple[Pass, float], dict[str, float]] = {}
        self.results: dict[Pass, dict[str, dict[str, Array]]] = {}
        self.climbed: set[Pass] = set()
        self.undecided: set[int] = set()

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

    def weights_of(self, each: Pass | None) -> Mapping[str, Array]:
        """The weights of a pass: of the verification, or with which its numbers are of a scale."""
        if each is None or each.given not in SCALES:
            return self.weights
        if each.given not in self._scaled:
            scale = SCALES[each.given]
            self._scaled[each.given] = drawing.weights(self.graph, self.seed, scale)
        return self._scaled[each.given]

    def file(self, each: Pass | None = None) -> Path:
        """The file with the weights of the verification, or of a pass."""
        given = each.given if each is not None and each.given in SCALES else "examples"
        path = self._file(given)
        if not path.exists():
            self._save(path, self.weights_of(each))
        return path

    def _file(self, given: str) -> Path:
        return self.folder / f"weights_{self._number}_{given}.safetensors"

    def load(self, name: str, path: Path | None = None) -> None:
        """Load weights: those of the verification, or those of a file."""
        self.run(name, lambda runner: runner.load(path or self.file()))

    def refusal(self, name: str, shapes: Mapping[str, tuple[int, ...]]) -> str:
        """How weights that do not fit are not refused as they should be; "" if they are."""
        path = self.folder / "other.safetensors"
        head = safetensors.header(shapes, "F64" if self.dtype == "float64" else "F32", {})
        numbers = sum(math.prod(shape) for shape in shapes.values())
        with path.open("wb") as file:
            file.write(head)
            file.truncate(len(head) + numbers * np.dtype(self.dtype).itemsize)  # all are 0
        return self.run(name, lambda runner: runner.refusal(path))

    def with_arguments(self, other: Another) -> Models:
        """Models of the same files with other arguments, and weights of their own."""
        return Models(
            other.graph,
            sources_with(self.graph, self.sources, other.arguments),
            drawing.weights(other.graph, self.seed),
            dtype=self.dtype,
            seed=self.seed,
            batch=self.batch,
            folder=self.folder,
        )

    def _save(self, file: Path, weights: Mapping[str, Array]) -> None:
        from safetensors.numpy import save_file

        save_file({key: value.astype(self.dtype) for key, value in weights.items()}, file)

    @cached_property
    def x(self) -> Array:
        """The input (N, C, H, W)."""
        return inputs.images(self.graph, self.seed, self.batch).astype(self.dtype)

    @cached_property
    def resized(self) -> Resized | str:
        """The network at another size of its input, or why there is none."""
        return resized(self.graph)

    @cached_property
    def _many(self) -> Array:
        """The input of that size, with more examples."""
        graph = self.graph if isinstance(self.resized, str) else self.resized.graph
        return inputs.images(graph, self.seed, self.batch + MORE).astype(self.dtype)

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
        found = self.step(self.names[0]).gradients
        gradients = {key: value for key, value in found.items() if key != "input"}
        size = measure.largest(gradients.values())
        moved = measure.largest(self.weights[key] for key in gradients if key in self.weights)
        return float(np.float32(MOVE * moved / size)) if size else MOVE

    # ------------------------------------------------------------ results

    def climb(self, each: Pass, rate: float | None = None) -> None:
        """Fill `results` of a pass: by target, then by place or by key.

        Args:
            each: the pass.
            rate: the learning rate of the descent.

        Raises:
            Failure: a model cannot do it.
        """
        self.build()
        self.climbed.add(each)
        self.results[each] = {}
        for name in self.names:
            if each.rung in _OF_STEP:
                step = self.step(name, each)
                if each.rung == 3 and step.failure is not None:
                    raise Failure(name, step.failure)
                found = self._part(each, step)
            else:
                found = self.run(name, partial(self._computed, each, rate=rate))
            self.results[each][name] = found

    def step(self, name: str, each: Pass | None = None) -> Step:
        """The step that several rungs share; that of many examples is one forward only."""
        given = "examples" if each is None else each.given
        if (name, given) not in self._steps:

            def stepped(runner: Runner) -> Step:
                x = self.x if each is None else self.input(each)
                with nullcontext() if each is None else self._sized(each, runner):
                    runner.load(self.file(each))
                    return runner.step(x, self.seed, backward=given in ("examples", "large"))

            self._steps[name, given] = self.run(name, stepped)
        return self._steps[name, given]

    def _computed(self, each: Pass, runner: Runner, rate: float | None = None) -> dict[str, Array]:
        """What a pass gives with the weights of the verification."""
        with self._sized(each, runner):
            runner.load(self.file(each))
            return self._given(each, runner, self.input(each), rate)

    def _given(self, each: Pass, runner: Runner, x: Array, rate: float | None) -> dict[str, Array]:
        """What a pass gives with the weights that are loaded."""
        if each.rung == 1:
            return self._by_place(runner.evaluate(x))
        if each.rung == 5:
            return self._descent(runner, rate or self.rate)
        return self._part(each, runner.step(x, self.seed, backward=each.rung == 3))

    def input(self, each: Pass) -> Array:
        """The input of a pass (N, C, H, W)."""
        match each.given:
            case "many":
                return self._many
            case "large" | "small":
                scale = np.asarray(SCALES[each.given], self.dtype)
                return np.asarray(self.x[: drawing.EXAMPLES] * scale)
            case "one":
                return self.x[:1]
            case _:
                return self.x

    def graph_of(self, each: Pass) -> Graph:
        """The network at the size of a pass."""
        if each.given != "many" or isinstance(self.resized, str):
            return self.graph
        return self.resized.graph

    def _sized(self, each: Pass, runner: Runner) -> AbstractContextManager[None]:
        """The model for the size of a pass: in evaluation one that knows it, else for any."""
        if each.given != "many" or isinstance(self.resized, str):
            return nullcontext()
        if each.rung == 1:
            size = self.resized.graph.input
            return runner.sized(size.height, size.width)
        return runner.sized(self.resized.height, self.resized.width)

    def _part(self, each: Pass, step: Step) -> dict[str, Array]:
        """What belongs to a rung of a step."""
        match each.rung:
            case 2:
                return self._by_place(step.values)
            case 3:
                return step.gradients
            case _:
                return step.statistics

    def _by_place(self, values: Values) -> dict[str, Array]:
        """What every place gave; outputs are the places of their nodes."""
        nodes = self.graph.nodes
        paths = {name: nodes[number].path for name, number in self.graph.outputs.items()}
        return {**values.places, **{paths[name]: v for name, v in values.outputs.items()}}

    def _descent(self, runner: Runner, rate: float) -> dict[str, Array]:
        """Losses, tensors, and what the model gives in evaluation after all that."""
        found = runner.descend(self.batches, rate, MOMENTUM)
        losses = {f"loss {i}": np.asarray([loss]) for i, loss in enumerate(found.losses)}
        after = runner.evaluate(self.x).outputs
        return {
            **losses,
            **found.tensors,
            **{f"output {name}": value for name, value in after.items()},
        }

    def stated(self, each: Pass) -> dict[str, Array]:
        """What the spec itself says that a pass gives, wherever a model lets one look."""
        if each.rung != 4 or each.given not in self._stated:
            found, statistics = self._said(each, self.weights_of(each), self.input(each))
            if each.rung == 1:
                return found
            self._stated[each.given] = statistics
            if each.rung == 2:
                return found
        return self._stated[each.given]

    def _said(
        self,
        each: Pass,
        weights: Mapping[str, Array],
        x: Array,
        moved: Callable[[Array], Array] | None = None,
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """What the spec says of some weights and an input: values, and statistics behind them."""
        wanted = {key for found in self.results[each].values() for key in found}
        reference = Reference(self.graph_of(each), weights)
        seed = None if each.rung == 1 else self.seed
        with np.errstate(all="ignore"):  # what is not finite is a result like others
            values = reference.values(x, seed=seed, moved=moved)
            found = {path: value for path, value in values if path in wanted}
        return found, reference.statistics

    def taken(self, each: Pass, name: str, path: str) -> tuple[Array, ...]:
        """What goes into a place in a pass forward; the pass is run again for that."""

        def values(runner: Runner) -> Values:
            with self._sized(each, runner):
                runner.load(self.file(each))
                if each.rung == 1:
                    return runner.evaluate(self.input(each), inputs=True)
                return runner.step(self.input(each), self.seed, inputs=True, backward=False).values

        return self.run(name, values).inputs.get(path, ())

    def drop(self, rung: int, *, keep: bool) -> None:
        """Free what was found on a rung; later ones need the step that some share.

        Args:
            rung: whose passes.
            keep: whether another type is measured by it.
        """
        for each in [each for each in self.results if each.rung == rung]:
            if not (keep and each.rounded):
                del self.results[each]
        for name, given in list(self._steps):
            if rung == 5 or (rung == 4 and given != "examples"):
                del self._steps[name, given]
        for given in self._scaled:
            self._file(given).unlink(missing_ok=True)
        self._scaled.clear()  # as large as a model, and soon drawn again

    # ------------------------------------------------------------ how sure results are

    def unrepeated(self, each: Pass) -> Iterator[tuple[str, str]]:
        """Targets and keys for which the same pass gives something else when it is run again.

        So does a model that is random where it must not be, or keeps more than its tensors.
        """
        bar = each.bar if self.dtype == "float64" else measure.LEAST
        for name, before in self.results[each].items():
            after = self.run(name, partial(self._computed, each))
            floor = measure.gradient_floor(before) if each.rung == 3 else 0.0
            for key in before.keys() & after.keys():
                if measure.difference(before[key], after[key], floor)[1] > bar:
                    yield name, key

    def reaction(self, each: Pass, size: float, trials: int) -> dict[str, float]:
        """How far rounding alone moves each number of a pass, relative to the largest element.

        All that is rounded is moved: the weights, the input and each layer's output. Zero moves to
        nothing, so what is exact stays exact.

        Args:
            each: the pass.
            size: the relative amount by which everything is moved.
            trials: how often.
        """
        if (each, size) not in self._reactions:
            name = self.names[0]
            exact = self.results[each][name]
            floor = measure.gradient_floor(exact) if each.rung == 3 else 0.0
            found: dict[str, float] = {}
            stated = self.stated(each) if each.stated else {}
            for number in range(trials):
                disturbed = partial(self._disturbed, each, size=size, number=number)
                pairs = [(exact, self.run(name, disturbed))]
                if each.stated:  # it looks at places that the target does not let one look at
                    pairs.append((stated, self._said_disturbed(each, size, number)))
                for before, after in pairs:
                    for key, value in before.items():
                        apart = measure.difference(value, after[key], floor)[1]
                        found[key] = max(found.get(key, 0.0), apart)
            self._reactions[each, size] = found
        return self._reactions[each, size]

    def _moved(self, each: Pass, size: float, number: int) -> tuple[dict[str, Array], Array]:
        """Weights and input of a pass, each number up or down."""
        random = inputs.generator(self.seed, "reaction", number)
        weights = {
            key: value * inputs.noise(random, value.shape, size)
            for key, value in self.weights_of(each).items()
        }
        x = self.input(each)
        return weights, x * inputs.noise(random, x.shape, size)

    def _said_disturbed(self, each: Pass, size: float, number: int) -> dict[str, Array]:
        weights, x = self._moved(each, size, number)
        random = inputs.generator(self.seed, "layers", number)
        found = self._said(each, weights, x, lambda y: y * inputs.noise(random, y.shape, size))
        return found[each.rung == 4]

    def _disturbed(
        self, each: Pass, runner: Runner, *, size: float, number: int
    ) -> dict[str, Array]:
        moved, x = self._moved(each, size, number)
        path = self.folder / "moved.safetensors"
        self._save(path, moved)
        with self._sized(each, runner):
            runner.load(path)
            with runner.noise(number, size):
                return self._given(each, runner, x, self.rate if each.rung == 5 else None)
