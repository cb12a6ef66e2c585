"""Climbs the ladder: the same network, rung by rung, in every target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from incgen.verify import around, measure, structure
from incgen.verify.arguments import Another, combinations
from incgen.verify.models import PASSES, STEPS, Failure, Models, Pass
from incgen.verify.record import Record
from incgen.verify.report import RUNGS, Omission
from incgen.verify.runners import GRADIENT

if TYPE_CHECKING:
    from incgen.verify.runners import Array, Facts, Form, Runner

#: Is told what runs now.
Progress = Callable[[str], None]


class _Stop(Exception):
    """Nothing more can be compared."""


class Ladder:
    """The rungs for the models of one floating-point type.

    Attributes:
        record: what was found.
    """

    def __init__(
        self,
        models: Models,
        exact: Models | None,
        dump: Path | None,
        progress: Progress,
        *,
        kept: bool,
    ) -> None:
        """Begin at the ground.

        Args:
            models: the models.
            exact: those in float64, which models of another type are measured by.
            dump: a folder for what is around a divergence.
            progress: is told what runs now.
            kept: whether results are needed when this is done.
        """
        self.kept = kept
        # What has nothing to do with the type is seen once, in float64 if that has been climbed.
        self.first = exact is None or not exact.facts
        self.models, self.exact, self.dump, self.progress = models, exact, dump, progress
        self.record = Record(models)
        self.asked: tuple[int, ...] = ()
        self.last: Pass | None = None
        self.forms: dict[str, dict[str, Array]] = {}
        self.repeated: dict[Pass, bool] = {}

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
            except _Stop:
                pass
            if self.record.divergences and self.dump is not None:
                around.save(
                    self.dump, self.record.divergences[0], self.models, self.last, self.forms
                )
        if self.record.divergences:
            below = self.record.divergences[0].rung
            self.record.omissions += [
                Omission(above, dtype, f"rung {below} diverges") for above in rungs if above > below
            ]

    def _build(self) -> None:
        """Make the models; without the right tensors no weights can be loaded.

        Raises:
            _Stop: they have other tensors.
        """
        self.models.build()
        wanted = {key: tensor.shape for key, tensor in self.models.graph.tensors().items()}
        for facts in self.models.facts.values():
            if {key: value.shape for key, value in facts.tensors.items()} != wanted:
                self._structure()
                self.record.close(0)
                raise _Stop

    def _rung(self, rung: int) -> None:
        if rung == 0:
            self._structure()
        elif rung == 6:
            self._round_trip()
        elif rung > 1 and self._normalised(1):
            reason = "PyTorch does not train with one value for each channel"
            self._omit(rung, f"{reason}: `{self._normalised(1)}` needs a --batch of 2 or more")
        elif rung in (3, 5) and self.exact is not None and self._normalised(2):
            # Two values become 1 and -1, whatever they are: the gradient by them is rounding.
            reason = "no gradient of a normalisation of two values is left in float32"
            self._omit(rung, f"{reason}: `{self._normalised(2)}` needs a --batch of 3 or more")
        elif rung in (3, 5) and len(self.models.names) == 1:
            self._omit(rung, f"{self.models.names[0]} is the only target")
        elif rung in (3, 5) and 3 in (self.exact or self.models).undecided:
            self._omit(rung, "what float64 says of the gradients is not decided")
        else:
            self._passes(rung)
        self.record.close(rung)

    def _omit(self, rung: int, reason: str) -> None:
        self.record.omissions.append(Omission(rung, self.models.dtype, reason))

    def _normalised(self, values: int, batch: int | None = None) -> str:
        """The first normalisation that has so many values for each channel in training, or "".

        There is no unbiased variance of one number; see the language reference, `bn`.
        """
        for node in self.models.graph.nodes:
            pixels = (node.shape.height or 1) * (node.shape.width or 1)
            if node.op == "bn" and (batch or self.models.batch) * pixels == values:
                return node.path
        return ""

    # ------------------------------------------------------------ rungs

    def _structure(self) -> None:
        models = self.models
        others = (self._combinations or [Another({}, models.graph)]) if self.first else []
        other = others[0] if others else None
        for name, facts in models.facts.items():
            more = None
            if other is not None:
                more = other, models.run(name, partial(_another, other))
            found = list(structure.findings(models.graph, facts, models.dtype, more))
            for row in others[1:]:
                again = models.run(name, partial(_another, row))
                found += structure.parts(row.graph, again, f" with {row.given}")
            if other is not None:
                for what, weights in structure.misfits(models.graph):
                    message = models.refusal(name, weights)
                    found.append(structure.Finding(f"weights with {what}", "", message))
            found += models.run(
                name,
                lambda r: list(structure.pixels(models.graph, r, models.dtype, models.seed)),
            )
            for finding in found:
                self.record.fact(name, finding)

    def _passes(self, rung: int) -> None:
        """Run all that belongs to a rung, up to what diverges."""
        for each in PASSES:
            if each.rung == rung and self._applies(each):
                self.last = each
                self._results(each)
                if self.record.wrong(rung):
                    return
        if rung == 1:
            self._repeated_evaluation()
        if rung == min({1, 2} & set(self.asked), default=0) and not self.record.wrong(rung):
            self._with_other_arguments()

    def _applies(self, each: Pass) -> bool:
        """Whether there is such an input, and whether this type has something to say of it."""
        if each.given == "one" and (
            self.models.batch == 1 or (each.rung > 1 and self._normalised(1, 1))
        ):
            return False
        return each.rounded or self.exact is None or each not in self.exact.climbed

    @cached_property
    def _combinations(self) -> list[Another]:
        return combinations(self.models.graph, self.models.names) if self.first else []

    def _with_other_arguments(self) -> None:
        """What other networks of the same files give, in evaluation and in training.

        Models are made once, in float64 where there is such a type, for both rungs.
        """
        rungs = {1: measure.EVALUATION, 2: measure.TRAINING}
        for other in self._combinations:
            models = (self.exact or self.models).with_arguments(other)
            with models.precision():
                for rung in rungs.keys() & set(self.asked):
                    each = Pass(rung, f"value with {other.given}", rungs[rung])
                    self._climb(each, models)
                    self._exactly(each, models)
                    del models.results[each]
                    if self.record.wrong(rung):
                        return

    def _results(self, each: Pass) -> None:
        """Compare the targets with one another, with the spec, and float32 with float64."""
        exact, rung = self.exact, each.rung
        if (rung, each.given) == (3, "large"):
            self._climb(each, self.models)
            self._finite(each)
            return
        if exact is None:
            self._climb(each, self.models)
            self._exactly(each, self.models)
        elif each not in exact.climbed:
            with exact.precision():
                self._climb(each, exact)
                self._exactly(each, exact)
                if not each.rounded:
                    del exact.results[each]
                    return
            if self.record.wrong(rung):
                return
        if exact is not None:
            self._climb(each, self.models, exact.rate if rung == 5 else None)
            self._rounded(each, exact)

    def _climb(self, each: Pass, models: Models, rate: float | None = None) -> None:
        """Run a pass, and look at what can be seen without comparing numbers."""
        models.climb(each, rate)
        if each.rung == 1:
            self._shapes(each, models)
        if each.rung < 3:
            self._types(each, models)
        if each.rung == 3 and each.given == "examples":
            self._penalties(models)
        if each.rung == 4 and each.given == "examples":
            self._counters(models)
        for name in models.names if each.rung > 2 else ():
            found = set(models.results[each][name])
            self.record.keys(each.rung, each.what, name, self._stated(each.rung), found)

    def _exactly(self, each: Pass, models: Models) -> None:
        """Compare the results in float64: of all targets with the first's, and with the spec."""
        found = models.results[each]
        first, *others = models.names
        suffix = "" if models.dtype == self.models.dtype else f" in {models.dtype}"
        sides = [(f"{first}{suffix}", f"{name}{suffix}", found[first], name) for name in others]
        if each.stated:
            stated = models.stated(each)
            sides += [("spec", f"{name}{suffix}", stated, name) for name in models.names]
        for one, other, values, name in sides:
            self.record.arrays(
                each.rung,
                each.what,
                (one, other),
                (values, found[name]),
                bar=each.bar,
                floor=measure.gradient_floor(values) if each.rung == 3 else 0.0,
                reaction=partial(self._reaction, each, models),
            )
        if self.record.doubts(each.rung):
            models.undecided.add(each.rung)

    def _stated(self, rung: int) -> set[str]:
        """The keys of what there is on a rung from 3 to 5."""
        tensors = self.models.graph.tensors()
        match rung:
            case 3:
                return {"input", *(key for key, tensor in tensors.items() if tensor.trained)}
            case 4:
                return {key for key, tensor in tensors.items() if not tensor.trained}
            case _:
                outputs = (f"output {name}" for name in self.models.graph.outputs)
                return {*tensors, *(f"loss {i}" for i in range(STEPS)), *outputs}

    def _rounded(self, each: Pass, exact: Models) -> None:
        """No target is much farther from its float64 result than another is from its own."""
        models, found = self.models, self.models.results[each]
        apart: dict[str, dict[str, float]] = {}
        floors: dict[str, float] = {}
        for name in models.names:
            before = exact.results[each][name]
            floors[name] = measure.gradient_floor(before) if each.rung == 3 else 0.0
            apart[name] = {
                key: measure.difference(before[key], found[name][key], floors[name])[1]
                for key in before.keys() & found[name].keys()
            }
        # A place that only one target lets one look at is held to the farthest of the other's.
        farthest = {
            name: max(filter(np.isfinite, values.values()), default=0.0)
            for name, values in apart.items()
        }
        beyond = {
            key
            for key in {key for values in apart.values() for key in values}
            if all(
                measure.beyond(exact.results[each][name][key], found[name][key])
                for name in models.names
                if key in apart[name]
            )
        }
        for name in models.names:
            sides = f"{name} in {exact.dtype}", f"{name} in {models.dtype}"
            rivals = [other for other in models.names if other != name]
            bars = {
                key: measure.bar_in_float32(
                    max((apart[r].get(key, farthest[r]) for r in rivals), default=0.0)
                )
                for key in apart[name]
            }
            for key in beyond & apart[name].keys():
                message = f"what is finite in {exact.dtype} is not in {models.dtype}"
                self.record.undecided(each.rung, each.what, key, sides, message)
            before = exact.results[each][name]
            self.record.arrays(
                each.rung,
                each.what,
                sides,
                ({k: before[k] for k in before.keys() - beyond}, found[name]),
                bar=bars,
                floor=floors[name],
                reaction=partial(self._jumps, each, exact),
                rounded=True,
                coarse=each.given == "large",
            )

    def _finite(self, each: Pass) -> None:
        """All gradients of large numbers are finite, where those of another target are."""
        models, found = self.models, self.models.results[each]
        for key in sorted({key for values in found.values() for key in values}):
            whole = {name: bool(np.isfinite(found[name].get(key, 0.0)).all()) for name in found}
            if not any(whole.values()):
                sides = (models.names[0], models.names[-1])
                self.record.undecided(3, each.what, key, sides, "it is finite in no target")
                continue
            for name, fine in whole.items():
                if not fine:
                    message = f"{name}: the {each.what} is not finite"
                    self.record.fault(3, each.what, key, (name, name), message)
        for name in models.names:
            self.record.same(3, f"finite {each.what}", name)

    def _reaction(self, each: Pass, models: Models) -> dict[str, float]:
        """What the smallest change does to the results; nothing if they do not even repeat."""
        if self._unrepeated(each, models):
            return {}
        found = models.reaction(each, measure.ROUNDING, measure.TRIALS)
        if each.rung != 3:
            return found
        # Gradients are products of one another and of what the training pass gives: noise in any
        # of them is noise in others, which need not show in so few trials.
        forward = next(every for every in PASSES if every.rung == 2)
        models.climb(forward)
        given = models.reaction(forward, measure.ROUNDING, measure.TRIALS)
        most = max((*found.values(), *given.values()), default=0.0)
        return dict.fromkeys(found, most) if most >= measure.HOPELESS else found

    def _jumps(self, each: Pass, exact: Models) -> dict[str, float]:
        """What moving all numbers by the rounding of float32 does to the results in float64."""
        with exact.precision():
            return exact.reaction(each, measure.LEAST, measure.TRIALS_IN_FLOAT32)

    def _unrepeated(self, each: Pass, models: Models) -> bool:
        """Keep where models do not give the same twice."""
        if each not in self.repeated:
            self.repeated[each] = True
            for name, key in models.unrepeated(each):
                self.repeated[each] = False
                message = f"{name}: the same weights and input give another {each.what} each time"
                self.record.fault(each.rung, each.what, key, (name, name), message)
        return not self.repeated[each]

    def _shapes(self, each: Pass, models: Models) -> None:
        """Outputs have the shapes of the spec.

        Raises:
            _Stop: one has not.
        """
        graph = models.graph_of(each)
        count = len(models.input(each))
        for output, number in graph.outputs.items():
            node = graph.nodes[number]
            sizes = (node.shape.channels, node.shape.height, node.shape.width)
            wanted = (count, *(size for size in sizes if size is not None))
            for name in models.names:
                found = models.results[each][name][node.path].shape
                if found != wanted:
                    message = f"{name}: the output {output} has the shape {found}, not {wanted}"
                    self.record.fault(1, "shape", node.path, ("spec", name), message)
        if self.record.wrong(1):
            self.record.close(1)
            raise _Stop

    def _types(self, each: Pass, models: Models) -> None:
        """Every value is of the type that the model is of."""
        for name in models.names:
            for path, value in models.results[each][name].items():
                if value.dtype != models.dtype:
                    message = f"{name}: the {each.what} is {value.dtype}, not {models.dtype}"
                    self.record.fault(each.rung, "type", path, ("spec", name), message)

    def _repeated_evaluation(self) -> None:
        """Evaluation leaves nothing behind, and is what a model does that is just called."""
        models = self.models
        other = models.batches[0]
        for name in models.names:
            models.load(name)
            before = models.run(name, lambda r: r.evaluate(models.x)).outputs
            models.run(name, lambda r: r.evaluate(other))
            after = models.run(name, lambda r: r.called(models.x))
            for output, value in after.items():
                path = models.graph.nodes[models.graph.outputs[output]].path
                self.record.array(
                    1, "value of a plain call", path, (name, name), before[output], value
                )
            held = models.run(name, lambda r: r.facts()).tensors
            for key, value in models.weights.items():
                if not np.array_equal(held[key], value.astype(models.dtype)):
                    message = f"{name}: it is not as it was loaded, after passes in evaluation"
                    self.record.fault(1, "tensor", key, ("spec", name), message)
                    break
            else:
                self.record.same(1, "tensors", name)

    def _penalties(self, models: Models) -> None:
        """The penalty of the weight decay is half of the sum of l2 * w ** 2."""
        total = 0.0
        for node in models.graph.nodes:
            decay = node.args.get("l2") or 0
            for tensor in node.tensors if decay else ():
                if len(tensor.shape) > 1:
                    value = models.weights[f"{node.path}.{tensor.name}"]
                    total += decay / 2 * float(np.square(value).sum())
        for name in models.names:
            found = models.step(name).penalty
            self.record.number(3, "penalty", ("spec", name), total, found, models.dtype)

    def _counters(self, models: Models) -> None:
        """Where normalisations count the batches of training, a step is one."""
        for name in models.names:
            counted = models.step(name).counted
            for path, count in counted.items():
                if count != 1:
                    key = f"{path}.num_batches_tracked"
                    message = f"{name}: a step of training counts as {count} batches"
                    self.record.fault(4, "counter", key, ("spec", name), message)
            if counted:
                self.record.same(4, "counters", name)

    def _round_trip(self) -> None:
        """Every form of every model gives what the model itself gives."""
        models = self.models
        expected: dict[str, dict[str, Array]] = {}
        for name in models.names:
            models.load(name)
            expected[name] = models.run(name, lambda r: r.called(models.x))
        for name, runner in models.runners.items():
            for form in runner.forms(models.folder, models.x):
                if form.missing:
                    self.record.omissions.append(Omission(6, models.dtype, form.missing))
                    continue
                self.progress(f"{models.dtype}: rung 6, {name}: {form.name}")
                try:
                    own = models.run(name, partial(_own, form, expected[name]))
                    after = models.run(name, partial(_used, form))
                except Failure as failure:
                    self.record.failure(6, failure, form.name)
                else:
                    self._form(form.name, (name, form.name), own, after)
            models.load(name)  # a form may have trained it
        for name in models.names:
            path = models.folder / f"{name}.safetensors"
            if models.run(name, partial(_written, path)):
                models.load(name)
                before = models.run(name, lambda r: r.evaluate(models.x)).outputs
                for other in models.names:
                    models.load(other, path)
                    after = models.run(other, lambda r: r.evaluate(models.x)).outputs
                    self._form(f"safetensors written by {name}", (name, other), before, after)

    def _form(
        self, what: str, sides: tuple[str, str], own: dict[str, Array], after: dict[str, Array]
    ) -> None:
        """Compare all outputs of a form, or what else it is compared by."""
        for key in sorted(own.keys() ^ after.keys()):
            has = "has no" if key in own else "has a"
            self.record.fault(6, what, key, sides, f"{sides[0]}: {what}: it {has} {key}")
        floor = measure.gradient_floor({k: v for k, v in own.items() if k.startswith(GRADIENT)})
        for key in own.keys() & after.keys():
            gradient = key.startswith(GRADIENT)
            self.record.array(
                6,
                what,
                key,
                sides,
                own[key],
                after[key],
                bar=measure.GRADIENTS if gradient else None,
                floor=floor if gradient else 0.0,
            )
        if self.record.wrong(6) and not self.forms:
            form = what.replace(" ", "_")
            self.forms = {sides[0]: own, f"{sides[1]}_{form}" if sides[1] != what else form: after}


def _another(other: Another, runner: Runner) -> Facts:
    return runner.another(1, other.arguments)


def _own(form: Form, evaluated: dict[str, Array], runner: Runner) -> dict[str, Array]:
    return evaluated if form.own is None else form.own()


def _used(form: Form, runner: Runner) -> dict[str, Array]:
    return form.use()


def _written(path: Path, runner: Runner) -> bool:
    return runner.write(path)
