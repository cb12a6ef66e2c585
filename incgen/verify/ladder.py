"""Climb the ladder: compare the network in every target, rung by rung."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path

from incgen.verify import around, checks, structure
from incgen.verify.by_recipe import ByRecipe, RecipeClimb
from incgen.verify.comparing import Comparer
from incgen.verify.deployed import Deployed, Forms
from incgen.verify.models import Failure, Models
from incgen.verify.passes import PASSES, Pass
from incgen.verify.record import Record
from incgen.verify.report import RUNGS, Omission
from incgen.verify.round_trip import RoundTrip
from incgen.verify.runners.inference import InferenceRunner
from incgen.verify.runners.results import Facts
from incgen.verify.variants import Another, combinations
from incgen.weights.checkpoint import Array

#: A callback that receives progress messages.
Progress = Callable[[str], None]


class Ladder:
    """The rungs for the models of one floating-point type."""

    def __init__(
        self,
        models: Models,
        exact: Models | None,
        dump: Path | None,
        progress: Progress,
        *,
        kept: bool,
        recipe: ByRecipe | None = None,
        forms: Forms | None = None,
    ) -> None:
        """Start below the first rung.

        Models in float32 are measured against `exact` ones in float64. The inputs and outputs of a
        divergence are saved in the folder `dump`; `kept` says whether results are needed
        afterwards. With a recipe, rung 5 climbs that too; with deployed forms, rung 1 those.
        """
        self.kept, self.recipe, self.forms = kept, recipe, forms
        # What does not depend on the type is checked once, in float64 if that is compared.
        self.first = exact is None or not exact.facts
        self.models, self.exact, self.dump, self.progress = models, exact, dump, progress
        self.record = Record(models)  #: The results
        self.comparer = Comparer(models, exact, self.record)
        self.round_trip = RoundTrip(models, self.record, progress)
        self.asked: tuple[int, ...] = ()
        self.last: Pass | None = None
        self.steps: Mapping[str, dict[str, Array]] = {}

    def climb(self, rungs: Sequence[int]) -> None:
        """Compare rung by rung, up to the first that diverges."""
        dtype, rung = self.models.dtype, 0
        self.asked = tuple(rungs)
        with self.models.precision():
            try:
                self.progress(f"{dtype}: making the models")
                self._build()
                for rung in rungs:
                    self.progress(f"{dtype}: rung {rung}, {RUNGS[rung]}")
                    self._rung(rung)
                    if self.record.divergences:
                        break
                    self.models.drop(rung, keep=self.kept)
            except Failure as failure:
                self.record.failure(rung, failure)
            except checks.Incomparable as error:
                self.record.close(error.rung)
            if self.record.divergences and self.dump is not None:
                first, forms = self.record.divergences[0], self.steps or self.round_trip.outputs
                around.save(self.dump, first, self.models, self.last, forms)
        if self.record.divergences:
            below = self.record.divergences[0].rung
            self.record.omissions += [
                Omission(above, dtype, f"rung {below} diverges") for above in rungs if above > below
            ]

    def _build(self) -> None:
        """Make the models; without the right tensors, no weights can be loaded."""
        self.models.build()
        wanted = {key: tensor.shape for key, tensor in self.models.graph.tensors().items()}
        for facts in self.models.facts.values():
            if {key: value.shape for key, value in facts.tensors.items()} != wanted:
                self._structure()
                raise checks.Incomparable(0)

    def _rung(self, rung: int) -> None:
        if rung == 0:
            self._structure()
        elif rung == 6:
            self.round_trip.climb()
        elif reason := self._omitted(rung):
            self.record.omit(rung, reason)
        else:
            if rung != 5 or len(self.models.names_on(rung)) > 1:
                self._passes(rung)
            if rung == 1 and not self.record.wrong(rung):
                self._deployed()
            if rung == 5 and not self.record.wrong(rung):
                self._by_recipe()
        self.record.close(rung)

    def _omitted(self, rung: int) -> str:
        """Return why a rung from 1 to 5 cannot be compared; "" if it can."""
        models, measured = self.models, self.exact is not None
        names = models.names_on(rung)
        if not names:
            return f"{models.names[0]} cannot be trained"
        if rung > 1 and (path := checks.normalised(models, 1)):
            reason = "PyTorch does not train with one value per channel"
            return f"{reason}: `{path}` needs a --batch of 2 or more"
        if rung not in (3, 5):
            return ""
        # Two values always become 1 and -1, so their gradient is rounding.
        if measured and (path := checks.normalised(models, 2)):
            reason = "no gradient of a normalisation of two values is left in float32"
            return f"{reason}: `{path}` needs a --batch of 3 or more"
        if len(names) == 1 and (rung == 3 or self.recipe is None):
            than = "" if len(models.names) == 1 else " that can be trained"
            return f"{names[0]} is the only target{than}"
        undecided = 3 in (self.exact or models).undecided
        return "what float64 says of the gradients is not decided" if undecided else ""

    # ------------------------------------------------------------ rungs

    def _structure(self) -> None:
        """Check the structure of every model, also with other arguments and weights files."""
        models = self.models
        others = (self._combinations or [Another({}, models.graph)]) if self.first else []
        for name, facts in models.facts.items():
            runner, rows = models.runners[name], list(others)
            if not runner.trainable:
                messages = models.run(name, lambda r: list(r.checked()))
                findings = list(structure.of_file(models.graph, facts, models.dtype, messages))
            else:
                more = [(row, models.run(name, partial(_another, row))) for row in rows[:1]]
                rows = rows[1:]
                findings = list(
                    structure.findings(models.graph, facts, models.dtype, more[0] if more else None)
                )
            for row in rows:
                again = models.run(name, partial(_another, row))
                findings += structure.parts(row.graph, again, f" with {row.given}")
            for what, weights in structure.misfits(models.graph) if others else ():
                message = models.refusal(name, weights)
                findings.append(structure.Finding(f"weights with {what}", "", message))
            findings += models.run(
                name,
                lambda r: list(structure.pixels(models.graph, r, models.dtype, models.seed)),
            )
            for finding in findings:
                self.record.fact(name, finding)

    def _passes(self, rung: int) -> None:
        """Run everything on a rung, up to the first divergence."""
        for pass_ in PASSES:
            if pass_.rung == rung and self._applies(pass_):
                self.last = pass_
                self.comparer.compare(pass_)
                if self.record.wrong(rung):
                    return
        if rung == 1:
            checks.repeated_evaluation(self.models, self.record)
        if rung == min({1, 2} & set(self.asked), default=0) and not self.record.wrong(rung):
            self.comparer.with_arguments(self._combinations, {1, 2} & set(self.asked))

    def _deployed(self) -> None:
        """Compare the deployed forms with the training form, if any are asked for."""
        if self.forms is not None and self.first:
            models = self.exact or self.models
            with models.precision():
                Deployed(models, self.record, self.forms).climb()

    def _by_recipe(self) -> None:
        """Train the models by the recipe, if there is one."""
        if self.recipe is not None and self.first:
            models = self.exact or self.models
            with models.precision():
                climb = RecipeClimb(models, self.recipe, self.record)
                climb.climb()
                self.steps = climb.sides

    def _applies(self, pass_: Pass) -> bool:
        """Return whether such an input exists, and this type says anything new about it."""
        if pass_.given == "one" and (
            self.models.batch == 1 or (pass_.rung > 1 and checks.normalised(self.models, 1, 1))
        ):
            return False
        return pass_.rounded or self.exact is None or pass_ not in self.exact.climbed

    @cached_property
    def _combinations(self) -> list[Another]:
        return combinations(self.models.graph, self.models.names) if self.first else []


def _another(other: Another, runner: InferenceRunner) -> Facts:
    return runner.another(1, other.arguments)
