"""Climbs the ladder: the same network, rung by rung, in every target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from incgen.verify import measure, structure
from incgen.verify.models import PASSES, STEPS, Failure, Models, Pass
from incgen.verify.record import Record
from incgen.verify.report import RUNGS, Omission

if TYPE_CHECKING:
    from incgen.verify.runners import Array, Form, Runner

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
        self.models, self.exact, self.dump, self.progress = models, exact, dump, progress
        self.record = Record(models)
        self.last: Pass | None = None
        self.repeated: dict[Pass, bool] = {}

    def climb(self, rungs: Sequence[int]) -> None:
        """Compare rung by rung, up to the first that diverges."""
        dtype, rung = self.models.dtype, 0
        with self.models.precision():
            try:
                self.progress(f"{dtype}: making the models")
                self._build()
                for rung in rungs:
                    self.progress(f"{dtype}: rung {rung}, {RUNGS[rung]}")
                    self._rung(rung)
                    if self.record.divergences:
                        break
                    if not self.kept:
                        self.models.drop(rung)
            except Failure as failure:
                self.record.failure(rung, failure)
            except _Stop:
                pass
            if self.record.divergences and self.dump is not None:
                self._save(self.dump)
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
        elif len(self.models.names) == 1:
            reason = f"{self.models.names[0]} is the only target"
            self.record.omissions.append(Omission(rung, self.models.dtype, reason))
        else:
            self._passes(rung)
        self.record.close(rung)

    # ------------------------------------------------------------ rungs

    def _structure(self) -> None:
        models = self.models
        for name, facts in models.facts.items():
            for finding in structure.findings(models.graph, facts, models.dtype):
                self.record.fact(name, finding)
            for finding in models.run(
                name,
                lambda r: list(structure.pixels(models.graph, r, models.dtype, models.seed)),
            ):
                self.record.fact(name, finding)

    def _passes(self, rung: int) -> None:
        """Run all that belongs to a rung, up to what diverges."""
        for each in PASSES:
            if each.rung == rung and not (each.resized and isinstance(self.models.resized, str)):
                self.last = each
                self._results(each)
                if self.record.wrong(rung):
                    break

    def _results(self, each: Pass) -> None:
        """Compare the results of every other target with the first's."""
        models = self.models
        first, *others = models.names
        exact, rung = self.exact, each.rung
        models.climb(each, self._rate(each))
        if exact is not None and each in exact.results:
            self.repeated[each] = True  # float64 has been climbed, where chance would show
        elif exact is not None:
            with exact.precision():
                exact.climb(each)
        if rung == 1:
            self._shapes(each)
        if rung == 3:
            self._penalties()
        found = models.results[each]
        for name in models.names if rung > 2 else ():
            self.record.keys(rung, each.what, name, self._stated(rung), set(found[name]))
        for other in others:
            if exact is None:
                pair = found[first], found[other]
                self.record.arrays(
                    rung,
                    each.what,
                    (first, other),
                    pair,
                    bar=each.bar,
                    floor=measure.gradient_floor(pair[0]) if rung == 3 else 0.0,
                    reaction=partial(self._reaction, each),
                )
            else:
                self._rounded(each, first, other, exact)

    def _rate(self, each: Pass) -> float | None:
        """The learning rate: that of float64 for every type."""
        return self.exact.rate if self.exact is not None and each.rung == 5 else None

    def _stated(self, rung: int) -> set[str]:
        """The keys of what there is on a rung from 3 to 5."""
        tensors = self.models.graph.tensors()
        match rung:
            case 3:
                return {"input", *(key for key, tensor in tensors.items() if tensor.trained)}
            case 4:
                return {key for key, tensor in tensors.items() if not tensor.trained}
            case _:
                return {*tensors, *(f"loss {i}" for i in range(STEPS))}

    def _rounded(self, each: Pass, first: str, other: str, exact: Models) -> None:
        """No target is much farther from its float64 result than the other is from its own."""
        apart: dict[str, dict[str, float]] = {}
        floors: dict[str, float] = {}
        for name in (first, other):
            before, after = exact.results[each][name], self.models.results[each][name]
            floors[name] = measure.gradient_floor(before) if each.rung == 3 else 0.0
            apart[name] = {
                key: measure.difference(before[key], after[key], floors[name])[1]
                for key in before.keys() & after.keys()
            }
        for name, rival in ((first, other), (other, first)):
            least = measure.LEAST
            bars = {
                key: max(measure.MULTIPLE * apart[rival].get(key, 0.0), least)
                for key in apart[name]
            }
            before, after = exact.results[each][name], self.models.results[each][name]
            shared = apart[name].keys() & apart[rival].keys()
            pair = {k: before[k] for k in shared}, {k: after[k] for k in shared}
            self.record.arrays(
                each.rung,
                each.what,
                (f"{name} in float64", f"{name} in {self.models.dtype}"),
                pair,
                bar=bars,
                floor=floors[name],
                reaction=partial(self._jumps, each, exact),
            )

    def _reaction(self, each: Pass) -> dict[str, float]:
        """What the smallest change does to the results; nothing if they do not even repeat."""
        if self._unrepeated(each):
            return {}
        found = self.models.reaction(each, measure.ROUNDING, measure.TRIALS)
        if each.rung != 3:
            return found
        # Gradients are products of one another and of what the training pass gives: noise in any
        # of them is noise in others, which need not show in so few trials.
        forward = next(every for every in PASSES if every.rung == 2)
        self.models.climb(forward)
        given = self.models.reaction(forward, measure.ROUNDING, measure.TRIALS)
        most = max((*found.values(), *given.values()), default=0.0)
        return dict.fromkeys(found, most) if most >= measure.HOPELESS else found

    def _jumps(self, each: Pass, exact: Models) -> dict[str, float]:
        """What moving all numbers by the rounding of float32 does to the results in float64."""
        if self._unrepeated(each):
            return {}
        with exact.precision():
            return exact.reaction(each, measure.LEAST, measure.TRIALS_IN_FLOAT32)

    def _unrepeated(self, each: Pass) -> bool:
        """Keep where models do not give the same twice."""
        if each not in self.repeated:
            self.repeated[each] = True
            for name, key in self.models.unrepeated(each, self._rate(each)):
                self.repeated[each] = False
                message = f"{name}: the same weights and input give another {each.what} each time"
                self.record.fault(each.rung, each.what, key, (name, name), message)
        return not self.repeated[each]

    def _shapes(self, each: Pass) -> None:
        """Outputs have the shapes of the spec.

        Raises:
            _Stop: one has not.
        """
        models = self.models
        graph = models.graph
        if each.resized and not isinstance(models.resized, str):
            graph = models.resized.graph
        for output, number in graph.outputs.items():
            node = graph.nodes[number]
            sizes = (node.shape.channels, node.shape.height, node.shape.width)
            wanted = (models.batch, *(size for size in sizes if size is not None))
            for name in models.names:
                found = models.results[each][name][node.path].shape
                if found != wanted:
                    message = f"{name}: the output {output} has the shape {found}, not {wanted}"
                    self.record.fault(1, "shape", node.path, ("spec", name), message)
        if self.record.wrong(1):
            self.record.close(1)
            raise _Stop

    def _penalties(self) -> None:
        """The penalty of the weight decay is half of the sum of l2 * w ** 2."""
        models, total = self.models, 0.0
        for node in models.graph.nodes:
            decay = node.args.get("l2") or 0
            for tensor in node.tensors if decay else ():
                if len(tensor.shape) > 1:
                    value = models.weights[f"{node.path}.{tensor.name}"]
                    total += decay / 2 * float(np.square(value).sum())
        for name in models.names:
            found = models.steps[name].penalty
            self.record.number(3, "penalty", ("spec", name), total, found)

    def _round_trip(self) -> None:
        """Every form of every model gives what the model itself gives."""
        models, main = self.models, next(iter(self.models.graph.outputs))
        expected: dict[str, Array] = {}
        for name in models.names:
            models.load(name)
            expected[name] = models.run(name, lambda r: r.evaluate(models.x)).outputs[main]
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
                    self.record.array(6, form.name, "", (name, form.name), own, after)
            models.load(name)  # a form may have trained it
        for name in models.names:
            path = models.folder / f"{name}.safetensors"
            if models.run(name, partial(_written, path)):
                for other in models.names:
                    models.load(other, path)
                    after = models.run(other, lambda r: r.evaluate(models.x)).outputs[main]
                    what = f"safetensors written by {name}"
                    self.record.array(6, what, "", (name, other), expected[name], after)

    # ------------------------------------------------------------ what is around a divergence

    def _save(self, folder: Path) -> None:
        """Keep what goes into a diverging place, and what comes out of it."""
        folder.mkdir(parents=True, exist_ok=True)
        models, found, each = self.models, self.record.divergences[0], self.last
        if each is None or each.rung != found.rung:
            return
        for name in models.names:
            arrays: dict[str, Array] = {}
            result = models.results.get(each, {}).get(name, {})
            if found.path in result:
                arrays["output" if each.rung < 3 else each.what] = result[found.path]
                taken = models.taken(each, name, found.path)
                arrays |= {f"input_{number}": value for number, value in enumerate(taken)}
            if arrays:
                place = found.path or "network"
                file = folder / f"{models.dtype}_rung{found.rung}_{place}_{name}.npz"
                with file.open("wb") as stream:
                    np.savez(stream, allow_pickle=False, **arrays)


def _own(form: Form, evaluated: Array, runner: Runner) -> Array:
    return evaluated if form.own is None else form.own()


def _used(form: Form, runner: Runner) -> Array:
    return form.use()


def _written(path: Path, runner: Runner) -> bool:
    return runner.write(path)
