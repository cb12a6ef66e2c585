"""Rungs 1 to 5: compare targets with each other and the spec in float64, then float32 with that."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial

import numpy as np

from incgen.verify import checks, measure
from incgen.verify.models import STEPS, Models
from incgen.verify.passes import PASSES, Pass
from incgen.verify.reactions import reaction, unrepeated
from incgen.verify.record import Limit, Record, Subject
from incgen.verify.variants import Another
from incgen.weights.checkpoint import Array

#: What is or takes squares: a result is lost long before it or the input is.
_SQUARING, _VARIANCE = ("lrn", "l2_normalize"), ".running_var"


class Comparer:
    """Compares the results of the models of one floating-point type, pass by pass."""

    def __init__(self, models: Models, exact: Models | None, record: Record) -> None:
        """Store the models, the float64 ones that they are measured against, and the record."""
        self.models, self.exact, self.record = models, exact, record
        self.repeated: dict[Pass, bool] = {}

    def compare(self, pass_: Pass) -> None:
        """Compare the targets with each other and with the spec, and float32 with float64."""
        exact, rung = self.exact, pass_.rung
        if (rung, pass_.given) == (3, "large"):
            self._climb(pass_, self.models)
            self._finite(pass_)
            return
        if exact is None:
            self._climb(pass_, self.models)
            self._exactly(pass_, self.models)
        elif pass_ not in exact.climbed:
            with exact.precision():
                self._climb(pass_, exact)
                self._exactly(pass_, exact)
                if not pass_.rounded:
                    del exact.results[pass_]
                    return
            if self.record.wrong(rung):
                return
        if exact is not None:
            self._climb(pass_, self.models, exact.rate if rung == 5 else None)
            self._rounded(pass_, exact)

    def with_arguments(self, others: Sequence[Another], rungs: Collection[int]) -> None:
        """Compare the results of the same files with other arguments.

        Models are made once for both rungs, in float64 if that is compared.
        """
        bars = {1: measure.EVALUATION, 2: measure.TRAINING}
        for other in others:
            models = (self.exact or self.models).with_arguments(other)
            with models.precision():
                for rung in sorted(rungs):
                    pass_ = Pass(rung, f"value with {other.given}", bars[rung])
                    self._climb(pass_, models)
                    self._exactly(pass_, models)
                    del models.results[pass_]
                    if self.record.wrong(rung):
                        return

    def _climb(self, pass_: Pass, models: Models, rate: float | None = None) -> None:
        """Run a pass, and make the checks that compare no numbers."""
        models.climb(pass_, rate)
        checks.of_pass(pass_, models, self.record)
        for name in models.names_on(pass_.rung) if pass_.rung > 2 else ():
            keys = set(models.results[pass_][name])
            self.record.keys(pass_.rung, pass_.what, name, self._stated(pass_.rung), keys)

    def _stated(self, rung: int) -> set[str]:
        """Return the keys that exist on a rung from 3 to 5."""
        tensors = self.models.graph.tensors()
        match rung:
            case 3:
                return {"input", *(key for key, tensor in tensors.items() if tensor.trained)}
            case 4:
                return {key for key, tensor in tensors.items() if not tensor.trained}
            case _:
                outputs = (f"output {name}" for name in self.models.graph.outputs)
                return {*tensors, *(f"loss {i}" for i in range(STEPS)), *outputs}

    # ------------------------------------------------------------ in float64

    def _exactly(self, pass_: Pass, models: Models) -> None:
        """Compare the results of all targets with those of the first, and with the spec."""
        results = models.results[pass_]
        first, *others = models.names_on(pass_.rung)
        suffix = "" if models.dtype == self.models.dtype else f" in {models.dtype}"
        sides = [(f"{first}{suffix}", results[first], name) for name in others]
        if pass_.stated:
            stated = models.stated(pass_)
            sides += [("spec", stated, name) for name in [first, *others]]
        for one, values, name in sides:
            floor = measure.gradient_floor(values) if pass_.rung == 3 else 0.0
            self.record.arrays(
                Subject(pass_.rung, pass_.what, (one, f"{name}{suffix}")),
                (values, results[name]),
                Limit(pass_.bar, floor, partial(self._reaction, pass_, models)),
            )
        if self.record.doubts(pass_.rung):
            models.undecided.add(pass_.rung)

    def _reaction(self, pass_: Pass, models: Models) -> dict[str, float]:
        """Return the effect of the smallest change; nothing if results do not even repeat."""
        if self._unrepeated(pass_, models):
            return {}
        effects = reaction(models, pass_, measure.ROUNDING, measure.TRIALS)
        if pass_.rung != 3:
            return effects
        # Gradients are products of each other and of values of the training pass: noise in one is
        # noise in others, which need not show in so few trials.
        forward = next(p for p in PASSES if p.rung == 2)
        models.climb(forward)
        given = reaction(models, forward, measure.ROUNDING, measure.TRIALS)
        most = max((*effects.values(), *given.values()), default=0.0)
        return dict.fromkeys(effects, most) if most >= measure.HOPELESS else effects

    def _unrepeated(self, pass_: Pass, models: Models) -> bool:
        """Record where models do not give the same result twice."""
        if pass_ not in self.repeated:
            self.repeated[pass_] = True
            for name, key in unrepeated(models, pass_):
                self.repeated[pass_] = False
                message = f"{name}: the same weights and input give another {pass_.what} each time"
                self.record.fault(Subject(pass_.rung, pass_.what, (name, name)), key, message)
        return not self.repeated[pass_]

    # ------------------------------------------------------------ in float32

    def _rounded(self, pass_: Pass, exact: Models) -> None:
        """Compare each target's distance from its float64 result with those of the others."""
        models, after = self.models, self.models.results[pass_]
        before, names = exact.results[pass_], self.models.names_on(pass_.rung)
        floors = {
            name: measure.gradient_floor(before[name]) if pass_.rung == 3 else 0.0 for name in names
        }
        apart = {
            name: {
                key: measure.difference(before[name][key], after[name][key], floors[name])[1]
                for key in before[name].keys() & after[name].keys()
            }
            for name in names
        }
        lost = dict.fromkeys(_beyond(before, after, apart), f"is not in {models.dtype}")
        lost |= dict.fromkeys(
            self._squares_beyond(pass_, exact), f"has squares that are not in {models.dtype}"
        )
        bars = _bars_in_float32(apart)
        for name in names:
            sides = f"{name} in {exact.dtype}", f"{name} in {models.dtype}"
            subject = Subject(pass_.rung, pass_.what, sides)
            for key in lost.keys() & apart[name].keys():
                message = f"what is finite in {exact.dtype} {lost[key]}"
                self.record.undecided(subject, key, message)
            jumps, large = partial(self._jumps, pass_, exact), pass_.given == "large"
            limit = Limit(bars[name], floors[name], jumps, True, large, frozenset(lost))
            self.record.arrays(subject, (before[name], after[name]), limit)

    def _squares_beyond(self, pass_: Pass, exact: Models) -> set[str]:
        """Return the layers that need squares, or a variance, too large for this type."""
        if pass_.rung != 1:
            return set()
        nodes, values = self.models.graph.nodes, exact.stated(pass_)
        weights = exact.weights_of(pass_)
        squares = {
            key.removesuffix(_VARIANCE): weights[key] for key in weights if key.endswith(_VARIANCE)
        }
        for node in nodes:
            given = [values[path] for i in node.inputs if (path := nodes[i].path) in values]
            if node.op in _SQUARING:
                squares[node.path] = np.square(measure.largest(given))
        most = np.finfo(self.models.dtype).max
        return {path for path, square in squares.items() if (square > most).any()}

    def _jumps(self, pass_: Pass, exact: Models) -> dict[str, float]:
        """Return the effect in float64 of moving all numbers by the rounding of float32."""
        with exact.precision():
            return reaction(exact, pass_, measure.LEAST, measure.TRIALS_IN_FLOAT32)

    def _finite(self, pass_: Pass) -> None:
        """Check that gradients for large numbers are finite if those of another target are."""
        results, names = self.models.results[pass_], self.models.names_on(3)
        for key in sorted({key for values in results.values() for key in values}):
            whole = {name: bool(np.isfinite(results[name].get(key, 0.0)).all()) for name in results}
            if not any(whole.values()):
                sides = (names[0], names[-1])
                self.record.undecided(
                    Subject(3, pass_.what, sides), key, "it is finite in no target"
                )
                continue
            for name, fine in whole.items():
                if not fine:
                    message = f"{name}: the {pass_.what} is not finite"
                    self.record.fault(Subject(3, pass_.what, (name, name)), key, message)
        for name in names:
            self.record.same(3, f"finite {pass_.what}", name)


def _beyond(
    before: Mapping[str, Mapping[str, Array]],
    after: Mapping[str, Mapping[str, Array]],
    apart: Mapping[str, Mapping[str, float]],
) -> set[str]:
    """Return the keys whose numbers are finite in float64 but in no target's float32."""
    return {
        key
        for key in {key for values in apart.values() for key in values}
        if all(
            measure.beyond(before[name][key], after[name][key])
            for name, values in apart.items()
            if key in values
        )
    }


def _bars_in_float32(apart: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Return the bars of each target, from the distance of the others to their float64 results.

    A place that only one target exposes is held to the largest distance of the other.
    """
    farthest = {
        name: max(filter(np.isfinite, values.values()), default=0.0)
        for name, values in apart.items()
    }
    return {
        name: {
            key: measure.bar_in_float32(
                max((apart[r].get(key, farthest[r]) for r in apart if r != name), default=0.0)
            )
            for key in values
        }
        for name, values in apart.items()
    }
