"""Measure how reliable results are: whether they repeat, and how far rounding moves them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from incgen.verify import inputs, measure
from incgen.verify.models import Models
from incgen.verify.passes import Pass
from incgen.verify.runners.base import Runner
from incgen.weights.checkpoint import Array


def unrepeated(models: Models, pass_: Pass) -> Iterator[tuple[str, str]]:
    """Yield targets and keys whose result changes when the same pass is run again.

    A model does that if it is random where it must not be, or has state beyond its tensors.
    """
    bar = pass_.bar if models.dtype == "float64" else measure.LEAST
    for name, before in models.results[pass_].items():
        after = models.run(name, partial(models.computed, pass_))
        floor = measure.gradient_floor(before) if pass_.rung == 3 else 0.0
        for key in before.keys() & after.keys():
            if measure.difference(before[key], after[key], floor)[1] > bar:
                yield name, key


def reaction(models: Models, pass_: Pass, size: float, trials: int) -> dict[str, float]:
    """Return how far rounding alone moves each number of a pass, relative to the largest element.

    Everything that is rounded is moved by this relative size: the weights, the input and each
    layer's output. Zero does not move, so what is exact stays exact.
    """
    if (pass_, size) not in models.reactions:
        models.reactions[pass_, size] = _measured(models, pass_, size, trials)
    return models.reactions[pass_, size]


def _measured(models: Models, pass_: Pass, size: float, trials: int) -> dict[str, float]:
    # layers of what cannot be trained cannot be moved either; then the spec's own side tells
    name = next(iter(models.names_on(3)), None)
    exact = {} if name is None else models.results[pass_][name]
    floor = measure.gradient_floor(exact) if pass_.rung == 3 else 0.0
    effects: dict[str, float] = {}
    stated = models.stated(pass_) if pass_.stated else {}
    for number in range(trials):
        trial = _Trial(models, pass_, size, number)
        pairs = [] if name is None else [(exact, models.run_trained(name, trial.computed))]
        if pass_.stated:  # it has places that the target does not expose
            pairs.append((stated, trial.said()))
        for before, after in pairs:
            for key, value in before.items():
                apart = measure.difference(value, after[key], floor)[1]
                effects[key] = max(effects.get(key, 0.0), apart)
    return effects


class _Trial:
    """A pass in which all numbers are moved up or down."""

    def __init__(self, models: Models, pass_: Pass, size: float, number: int) -> None:
        self.models, self.pass_, self.size, self.number = models, pass_, size, number
        random = inputs.generator(models.seed, "reaction", number)
        self.weights = {
            key: value * inputs.noise(random, value.shape, size)
            for key, value in models.weights_of(pass_).items()
        }
        x = models.input(pass_)
        self.x = x * inputs.noise(random, x.shape, size)

    def said(self) -> dict[str, Array]:
        """Return the spec's result."""
        random = inputs.generator(self.models.seed, "layers", self.number)

        def moved(y: Array) -> Array:
            return y * inputs.noise(random, y.shape, self.size)

        values, statistics = self.models.said(self.pass_, self.weights, self.x, moved)
        return statistics if self.pass_.rung == 4 else values

    def computed(self, runner: Runner) -> dict[str, Array]:
        """Return a model's result."""
        path = self.models.folder / "moved.safetensors"
        self.models.save(path, self.weights)
        with self.models.sized(self.pass_, runner):
            runner.load(path)
            with runner.noise(self.number, self.size):
                rate = self.models.rate if self.pass_.rung == 5 else None
                return self.models.given(self.pass_, runner, self.x, rate)
