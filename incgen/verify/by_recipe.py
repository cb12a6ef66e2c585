"""Rung 5 by a recipe: scripts train the models, step by step beside the implementation in NumPy.

Each script trains its own model for twenty steps of the recipe in miniature. After every step the
models are compared with each other and with what the recipe says: the rates, the loss, and then
what the step computes, in that order, so that the first difference names the convention.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias, TypeVar

import numpy as np

from incgen.recipes.rates import in_steps, rate_at, total_steps
from incgen.recipes.recipe import Duration, Exponential, Rate, Recipe, Steps
from incgen.targets.shared.training import file_name
from incgen.verify import inputs, measure
from incgen.verify.miniature import EPOCH, STEPS, miniature
from incgen.verify.models import Failure, Models
from incgen.verify.record import Limit, Record, Subject
from incgen.verify.report import Place
from incgen.verify.runners import RUNNERS
from incgen.verify.runners.trained import Trained, is_script
from incgen.verify.stated import State, Stated, compared
from incgen.weights.checkpoint import Array

T = TypeVar("T")

#: What is compared after each step, in the order in which a step computes it. Parameters, and the
#: average of everything, count by how far they have moved.
KINDS = ("loss", "mean square", "velocity", "parameter", "statistic", "average")
#: The smallest movement that is told from rounding, as a share of the largest parameter.
SMALL_MOVE = 1e-6
#: The lengths of an epoch for which rates are compared.
EPOCHS = (1, 4, 7, 1000)

#: Returns the text of the script of a target for a recipe.
Script: TypeAlias = Callable[[str, Recipe], str]


@dataclass(frozen=True, slots=True)
class ByRecipe:
    """A recipe, and the scripts that are written for it."""

    recipe: Recipe
    script: Script


class ScriptFailure(Failure):
    """A training script cannot do something."""

    def __init__(self, target: str, error: Exception) -> None:
        super().__init__(target, error)
        cause = error.__cause__ or error  # of an import that is missing, with what installs it
        frames = traceback.extract_tb(cause.__traceback__)
        lines = [frame.lineno for frame in frames if is_script(frame.filename)]
        #: The line of the script, if the exception came through it
        self.line = lines[-1] if lines else None


class RecipeClimb:
    """Compares training scripts with each other and with the recipe."""

    def __init__(self, models: Models, given: ByRecipe, record: Record) -> None:
        self.models, self.record = models, record
        self.recipe, self.script = given.recipe, given.script
        other = models.dtype != record.models.dtype
        self.suffix = f" in {models.dtype}" if other else ""
        self.names = [name for name in models.names if RUNNERS[name].training]
        #: What each side has where the first difference is
        self.sides: Mapping[str, dict[str, Array]] = {}
        self.sources: dict[str, str] = {}
        self.trained: dict[str, Trained] = {}

    def climb(self) -> None:
        """Compare rates, then steps, up to the first that diverges, or that rounding decides."""
        for name in self.models.names:
            if name not in self.names:
                self.record.omit(5, f"{name} has no training scripts")
        if not self.names:
            return
        self.models.build()
        try:
            self._begin()
            self._rates()
            doubts = self.record.doubts(5)
            for number in range(STEPS):
                if self.record.wrong(5) or (self.record.doubts(5) and not doubts):
                    break
                self._step(number)
        except ScriptFailure as failure:
            subject = Subject(5, "training", (failure.target, failure.target))
            self.record.fault(subject, "", f"{failure.target}: {failure.reason}")
            self._close({failure.target: self._line(failure)})
        else:
            kind = next((c.what for c in self.record.wrong(5)), "").partition(" ")[0]
            self._close({name: _PARTS.get(kind) for name in self.names})

    def _line(self, failure: ScriptFailure) -> str | None:
        """Return a pattern of the line at which a script failed, if it did."""
        lines = self.sources.get(failure.target, "").split("\n")
        return None if failure.line is None else re.escape(lines[failure.line - 1])

    def _close(self, lines: Mapping[str, str | None]) -> None:
        """Name lines of scripts beside the first divergence, by their patterns, and no models'."""
        self.record.close(5)
        if not self.record.wrong(5):
            return
        (divergence,) = (d for d in self.record.divergences if d.rung == 5)
        network, places = self.models.graph.program.network.name, list[Place]()
        for name, pattern in lines.items():
            own = self.script(name, self.recipe).split("\n")  # as users have it
            at = [n for n, line in enumerate(own, 1) if pattern and re.match(pattern, line)]
            file = file_name(network, self.recipe.name, name)
            places += [Place(file, number, own[number - 1].strip()) for number in at[:1]]
        own_lines = (*(divergence.lines[:1] if divergence.path else ()), *places)
        number = self.record.divergences.index(divergence)
        self.record.divergences[number] = replace(divergence, lines=own_lines)

    def _begin(self) -> None:
        """Scale the recipe to the first gradients, and make scripts and models for it."""
        models = self.models
        first = Stated(models, self.recipe, models.weights)
        gradients, _ = first.gradients(*self._batch(0), 0)
        self.small = miniature(self.recipe, models.batch, models.weights, gradients)
        self.total = total_steps(self.small, EPOCH)
        self.stated = Stated(models, self.small, models.weights)
        for name in self.names:
            self.sources[name] = self.script(name, self.small)
            self.trained[name] = self._run(name, partial(self._made, name, self.small))
            self._run(name, partial(self.trained[name].begin, models.file()))

    def _made(self, name: str, recipe: Recipe) -> Trained:
        runner = self.models.runners[name]
        source = self.sources[name] if recipe is self.small else self.script(name, recipe)
        return RUNNERS[name].trained(runner, recipe, source, EPOCH, self.total)

    def _run(self, name: str, action: Callable[[], T]) -> T:
        """Run a script; raise `ScriptFailure` if it fails."""
        try:
            return action()
        except Exception as error:
            raise ScriptFailure(name, error) from error

    def _batch(self, number: int) -> tuple[Array, Array]:
        """Return the input and the labels of a step."""
        models = self.models
        main = models.graph.nodes[next(iter(models.graph.outputs.values()))]
        x = inputs.images(models.graph, models.seed, models.batch, f"batch {number}")
        random = inputs.generator(models.seed, "labels", number)
        return x.astype(models.dtype), random.integers(0, main.shape.channels, models.batch)

    # ------------------------------------------------------------ rates

    def _rates(self) -> None:
        """Compare the rates of whole trainings, by the recipe and by that in miniature."""
        for name in self.names:
            whole = self._run(name, partial(self._made, name, self.recipe))
            for recipe, trained in ((self.recipe, whole), (self.small, self.trained[name])):
                for epoch in EPOCHS:
                    self._rates_of(name, recipe.rate, trained, (epoch, total_steps(recipe, epoch)))

    def _rates_of(self, name: str, rate: Rate, trained: Trained, steps: tuple[int, int]) -> None:
        """Compare the rates of a training of so many steps an epoch, and in all."""
        at = [*_telling(rate, *steps)]
        stated = np.asarray([rate_at(rate, step, *steps) for step in at])
        rates = [self._run(name, partial(trained.rate, step, *steps)) for step in at]
        subject = Subject(5, f"rate with {steps[0]} steps an epoch", ("spec", name + self.suffix))
        self.record.array(subject, "", (stated, np.asarray(rates)))

    # ------------------------------------------------------------ steps

    def _step(self, number: int) -> None:
        """Take a step in every framework; record all of it if it is the last or diverges."""
        x, labels = self._batch(number)
        self.stated.step(x, labels, number)
        states: dict[str, State] = {"spec": self.stated.state()}
        for name in self.names:
            trained = self.trained[name]
            loss = self._run(name, partial(trained.step, x, labels, number))
            held = self._run(name, trained.state)
            states[name] = compared(held, loss, self.models.weights, self.models)
        first = self.names[0]
        pairs = [("spec", name) for name in self.names] + [(first, n) for n in self.names[1:]]
        for kind in KINDS:
            before = len(self.record.comparisons)
            self._keep(kind, number, states, pairs)
            compared_ = self.record.comparisons[before:]
            if number < STEPS - 1 and all(c.verdict == "agrees" for c in compared_):
                del self.record.comparisons[before:]
            if wrong := self.record.wrong(5):
                key, what = wrong[0].path, kind.replace(" ", "_")
                sides = {side: state[kind] for side, state in states.items()}
                self.sides = {n: {what: side[key]} for n, side in sides.items() if key in side}
                return

    def _keep(
        self, kind: str, number: int, states: Mapping[str, State], pairs: list[tuple[str, str]]
    ) -> None:
        """Record the comparisons of a kind."""
        what = f"{kind} after step {number}" if kind != "loss" else f"loss of step {number}"
        for name in self.names:
            for key in sorted(states["spec"][kind].keys() ^ states[name][kind].keys()):
                has = "has a" if key in states[name][kind] else "has no"
                subject = Subject(5, what, ("spec", name + self.suffix))
                self.record.fault(subject, key, f"{what}: {name} {has} {kind} of {key}")
        for one, other in pairs:
            values = states[one][kind]
            limit = Limit(
                measure.TRAJECTORY,
                self._floor(kind, values),
                partial(self._reaction, kind, number, states["spec"]),
            )
            sides = one if one == "spec" else one + self.suffix, other + self.suffix
            self.record.arrays(Subject(5, what, sides), (values, states[other][kind]), limit)

    def _floor(self, kind: str, values: Mapping[str, Array]) -> float:
        """Return the size below which a difference is rounding."""
        floor = measure.gradient_floor(values)
        if kind in ("parameter", "average"):
            floor = max(floor, SMALL_MOVE * measure.largest(self.models.weights.values()))
        return floor

    def _reaction(self, kind: str, number: int, before: State) -> dict[str, float]:
        """Return how far rounding alone moves everything of a kind, up to a step."""
        effects: dict[str, float] = {}
        for trial in range(measure.TRIALS):
            random = inputs.generator(self.models.seed, "reaction", trial)
            weights = {
                key: value * inputs.noise(random, value.shape, measure.ROUNDING)
                for key, value in self.models.weights.items()
            }
            again = Stated(self.models, self.small, weights)
            for step in range(number + 1):
                again.step(*self._batch(step), step, noise=measure.ROUNDING)
            after = again.state()[kind]
            floor = self._floor(kind, before[kind])
            for key, value in before[kind].items():
                apart = measure.difference(value, after[key], floor)[1]
                effects[key] = max(effects.get(key, 0.0), apart)
        return effects


#: What a script calls the part that computes something, by the first word of what it is.
_PARTS = {
    "rate": r"def rate\(",
    "loss": r" *def loss_of\(",
    "mean": r"(class|def) (RMSprop|Adam|make_optimizer)\b",
    "velocity": r"(class|def) (SGD|RMSprop|Adam|make_optimizer)\b",
    "parameter": r"(class|def) (SGD|RMSprop|Adam|make_optimizer)\b",
    "statistic": r" *def train_step\(",
    "average": r"(class Average|def make_average)\b",
}


def _telling(rate: Rate, epoch: int, total: int) -> Iterator[int]:
    """Yield the steps around every change of a rate, and some in between."""
    lengths = {epoch, *(in_steps(duration, epoch) for duration in _durations(rate))}
    changes = {0, total - 1, *(n * length for length in lengths for n in (1, 2, 3))}
    steps = {*range(50), *range(0, total, max(1, total // 50))}
    steps |= {change + apart for change in changes for apart in (-1, 0, 1)}
    yield from sorted(step for step in steps if 0 <= step < total)


def _durations(rate: Rate) -> Iterator[Duration]:
    """Yield the durations in a rate."""
    if rate.warmup is not None:
        yield rate.warmup.length
    match rate.schedule:
        case Exponential(every=every):
            yield every
        case Steps(at=at):
            yield from at
