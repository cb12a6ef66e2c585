"""Find the ops whose input is never negative, whatever the parameters are.

There a border of zeros never exceeds the maximum of a window, nor does it change a gradient: where
it ties with a value, that is the 0 of a ReLU or the like, which passes none on.
"""

from __future__ import annotations

from functools import reduce

from incgen.base.source import Span
from incgen.resolve import definitions as df

_MAKES = frozenset(("relu", "relu6", "hard_sigmoid"))
_POOLS = ("max_pool", "avg_pool", "pool", "global_avg_pool", "global_max_pool", "adaptive_avg_pool")
_KEEPS = frozenset((*_POOLS, "dropout", "flatten", "identity", "lrn", "pad"))


def never_negative(program: df.Program) -> frozenset[Span]:
    """Return the places of the ops whose input is never negative."""
    signs = _Signs()
    signs.body(program.network.body, False)
    for definition in reversed(program.definitions):  # users come before what they use
        signs.body(definition.body, signs.given[definition])
    return frozenset(span for span, sign in signs.ops.items() if sign)


class _Signs:
    """Follow values through bodies; True is said of those that are never negative."""

    def __init__(self) -> None:
        self.ops: dict[Span, bool] = {}  #: What the ops at each place are given
        self.given: dict[df.Definition, bool] = {}  #: What all uses of a definition are given
        self.results: dict[tuple[df.Definition, bool], bool] = {}

    def body(self, body: df.Body, sign: bool) -> bool:
        known = dict[str, bool]()
        for step in body.steps:
            if isinstance(step, df.Head):
                self.body(step.body, sign)
                continue
            sign = self.step(step, sign, known)
            if step.label is not None:
                known[step.label] = sign
        return sign

    def step(self, step: df.Step, sign: bool, known: dict[str, bool]) -> bool:
        start = sign if step.origin is None else known.get(step.origin, False)
        return start if step.element is None else self.element(step.element, start)

    def element(self, element: df.Element, sign: bool) -> bool:
        match element:
            case df.OpCall(op=op):
                self.ops[element.span] = self.ops.get(element.span, True) and sign
                return op.name in _MAKES or (op.name in _KEEPS and sign)
            case df.Instance(definition=used):
                self.given[used] = self.given.get(used, True) and sign
                return self.result(used, sign)
            case df.Chain():
                return reduce(lambda value, part: self.element(part, value), element.elements, sign)
            case df.Join():
                steps = [step for step in element.body.steps if isinstance(step, df.Step)]
                return all([self.step(step, sign, {}) for step in steps])
            case df.Group():
                return self.body(element.body, sign)
            case df.Repeat():
                again = sign and self.body(element.body, sign)
                return self.body(element.body, again) and again
            case df.Conditional():
                otherwise = element.otherwise
                then = self.body(element.then, sign)
                return (self.body(otherwise, sign) if otherwise else sign) and then

    def result(self, used: df.Definition, sign: bool) -> bool:
        """Return what a unit or block makes of a value, without noting it for the ops in it."""
        if (used, sign) not in self.results:
            inner = _Signs()
            inner.results = self.results
            self.results[used, sign] = inner.body(used.body, sign)
        return self.results[used, sign]
