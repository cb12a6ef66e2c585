"""Rung 6: every form of a model gives the same results as the model itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from incgen.verify import measure
from incgen.verify.models import Failure, Models
from incgen.verify.record import Limit, Record, Subject
from incgen.verify.runners import RUNNERS
from incgen.verify.runners.inference import InferenceRunner
from incgen.verify.runners.results import GRADIENT
from incgen.weights.checkpoint import Array


class RoundTrip:
    """The forms of the models of one floating-point type."""

    def __init__(self, models: Models, record: Record, progress: Callable[[str], None]) -> None:
        self.models, self.record, self.progress = models, record, progress
        #: The results of the first form that differs, and of the model itself
        self.outputs: dict[str, dict[str, Array]] = {}

    def climb(self) -> None:
        """Make all forms, one after the other."""
        models = self.models
        expected: dict[str, dict[str, Array]] = {}
        for name in models.names:
            models.load(name)
            expected[name] = models.run(name, lambda r: r.called(models.x))
        for name, runner in models.runners.items():
            for form in RUNNERS[name].forms(runner, models.folder, models.x):
                if form.missing:
                    self.record.omit(6, form.missing)
                    continue
                self.progress(f"{models.dtype}: rung 6, {name}: {form.name}")
                try:
                    own = expected[name]
                    if form.own is not None:
                        own = models.run(name, partial(_given, form.own))
                    after = models.run(name, partial(_given, form.use))
                except Failure as failure:
                    self.record.failure(6, failure, form.name)
                else:
                    self._compare(form.name, (name, form.name), own, after)
            models.load(name)  # a form may have trained the model
        self._written()

    def _written(self) -> None:
        """Load the file that each target writes in every target."""
        models = self.models
        for name in models.names:
            path = models.folder / f"{name}.safetensors"
            if models.run(name, partial(_write, path)):
                models.load(name)
                before = models.run(name, lambda r: r.evaluate(models.x)).outputs
                for other in models.names:
                    models.load(other, path)
                    after = models.run(other, lambda r: r.evaluate(models.x)).outputs
                    self._compare(f"safetensors written by {name}", (name, other), before, after)

    def _compare(
        self, what: str, sides: tuple[str, str], own: dict[str, Array], after: dict[str, Array]
    ) -> None:
        """Compare all outputs of a form, or its other results."""
        subject = Subject(6, what, sides)
        for key in sorted(own.keys() ^ after.keys()):
            has = "has no" if key in own else "has a"
            self.record.fault(subject, key, f"{sides[0]}: {what}: it {has} {key}")
        floor = measure.gradient_floor({k: v for k, v in own.items() if k.startswith(GRADIENT)})
        for key in (key for key in own if key in after):
            gradient = Limit(measure.GRADIENTS, floor) if key.startswith(GRADIENT) else None
            self.record.array(subject, key, (own[key], after[key]), gradient)
        if self.record.wrong(6) and not self.outputs:
            form = what.replace(" ", "_")
            other = f"{sides[1]}_{form}" if sides[1] != what else form
            self.outputs = {sides[0]: own, other: after}


def _given(use: Callable[[], dict[str, Array]], runner: InferenceRunner) -> dict[str, Array]:
    return use()


def _write(path: Path, runner: InferenceRunner) -> bool:
    return runner.write(path)
