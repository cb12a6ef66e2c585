"""Shapes as formulas: the output of each part of a definition, whatever its parameters are.

Writers ask for shapes while they write. A size without a formula raises `Unknown`; since sizes are
computed only when something needs them, that seldom happens.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from types import MappingProxyType
from typing import assert_never

from incgen.base.source import Span
from incgen.graph.nodes import Graph
from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.resolve import definitions as df
from incgen.resolve.written import is_fixed, mapped
from incgen.targets.shared.growth import (
    PROBE,
    after_all,
    ranks_differ,
    steady,
    vector_in_repeat,
)
from incgen.targets.shared.outputs import joined, keeps_shape, op_output
from incgen.targets.shared.parameters import (
    values_of,
)
from incgen.targets.shared.symbols import Lookup, Symbol, Unknown, parameters_for, sizes_of
from incgen.targets.shared.values import (
    ZERO,
    Args,
)
from incgen.targets.shared.words import Words

#: Sizes are computed after so many layers, so that no formula waits for too many others.
SETTLED = 50
Given = Mapping[str, df.ArgumentValue]
Labels = Mapping[str, Symbol]
_NOTHING: Given = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Progress:
    """The effect of a repeat on a shape.

    Attributes:
        before: The shape before the iteration with a given index.
        after: The shape after the last iteration.
        change: The channels after an iteration in terms of `in_channels` before it, if `before` has
            no formula for them.
    """

    before: Symbol
    after: Symbol
    change: Expression | None = None


class Shaper:
    """Computes the shape after an element from the shape before it."""

    def __init__(self, graph: Graph, words: Words) -> None:
        """Find the parameters that carry words, which are not numbers to calculate with."""
        self._taken, self._inside = words, graph.program.network
        self._blocks: dict[tuple[df.Definition, bool], Symbol] = {}
        #: The shapes after uses and ops by the shape before: every class target asks for them. The
        #: elements are kept, so that no other gets the identity of one that is gone.
        self._after: dict[tuple[int, Symbol], tuple[df.Element, Symbol]] = {}
        values: list[tuple[str, object]] = list(graph.parameters.items())
        for seen in graph.observed.values():
            values += [
                (name, value) for name, observed in seen.values.items() for value in observed
            ]
        for block in graph.program.definitions:
            for formal in block.parameters if block.kind == "block" else ():
                cases: list[object] = [*words.cases(block, formal.name)]
                if block not in graph.observed:
                    cases += values_of(graph, block, formal.name)
                values += [(formal.name, value) for value in cases]
        carried = {name for name, value in values if isinstance(value, str)}
        others = {name for name, value in values if not isinstance(value, str)}
        self._words = {name: name not in others for name in carried}

    def inside(self, definition: df.Definition) -> Shaper:
        """Return a shaper for the inside of a definition, whose parameters take only some words."""
        own = copy(self)
        own._inside = definition
        return own

    def definition(self, definition: df.Definition, is_map: bool) -> Symbol:
        """Return the output shape of a block in its own parameters, for a map or a vector."""
        key = definition, is_map
        if key not in self._blocks:
            own = self.inside(definition)
            self._blocks[key] = own.body(definition.body, parameters_for("in", is_map), {})
        return self._blocks[key]

    # ------------------------------------------------------------ bodies

    def body(self, body: df.Body, shape: Symbol, labels: Labels, given: Given = _NOTHING) -> Symbol:
        """Return the shape after a body.

        Args:
            body: The body.
            shape: The shape before it.
            labels: The shapes of outer values.
            given: The arguments of a unit's head, if this is a unit's body.
        """
        known = dict(labels)
        for number, step in enumerate(body.steps, 1):
            if isinstance(step, df.Step):
                shape = self.step(step, shape, known, given)
            if number % SETTLED == 0:
                shape.settle()
        return shape

    def step(
        self, step: df.Step, shape: Symbol, known: dict[str, Symbol], given: Given = _NOTHING
    ) -> Symbol:
        """Return the shape after a step, and add its label to the known ones."""
        result = known[step.origin] if step.origin is not None else shape
        if step.element is not None:
            result = self.element(step.element, result, known, given)
        if step.label is not None:
            known[step.label] = result
        return result

    def element(
        self, element: df.Element, shape: Symbol, labels: Labels, given: Given = _NOTHING
    ) -> Symbol:
        """Return the shape after an element."""
        match element:
            case df.OpCall(op=op) if keeps_shape(op):
                return shape  # the most frequent
            case df.OpCall() | df.Instance():
                if element.forwards:
                    return self.applied(element, shape, given)
                key = id(element), shape
                if key not in self._after:
                    self._after[key] = element, self.applied(element, shape, _NOTHING)
                return self._after[key][1]
            case df.Chain():
                for number, child in enumerate(element.elements, 1):
                    shape = self.element(child, shape, labels, given)
                    if number % SETTLED == 0:
                        shape.settle()
                return shape
            case df.Join():
                return joined(element.kind, self.branches(element, shape, labels))
            case df.Group():
                return self.body(element.body, shape, labels)
            case df.Repeat():
                return self.progress(element, shape, labels, ZERO).after
            case df.Conditional():
                return self.conditional(element, shape, labels)
            case _:
                assert_never(element)

    def branches(self, join: df.Join, shape: Symbol, labels: Labels) -> list[Symbol]:
        """Return the shapes of the branches of a join."""
        known = dict(labels)
        steps = [step for step in join.body.steps if isinstance(step, df.Step)]
        return [self.step(step, shape, known) for step in steps]

    def conditional(self, element: df.Conditional, shape: Symbol, labels: Labels) -> Symbol:
        """Return the shape after one of two bodies."""
        condition = shape.formula(element.condition)
        known = ex.literal(condition)
        sides = [
            shape if body is None else self.body(body, shape, labels)
            for body, wanted in ((element.then, True), (element.otherwise, False))
            if known is None or bool(known) is wanted
        ]
        if len(sides) == 1:
            return sides[0]
        return _chosen(condition, sides[0], sides[1], element.span)

    # ------------------------------------------------------------ uses

    def resolved_all(self, args: Args, shape: Symbol) -> dict[str, df.ArgumentValue]:
        """Return arguments with `channels` and the like of a shape."""
        return {name: resolved(value, shape) for name, value in args.items()}

    def applied(self, instance: df.OpCall | df.Instance, shape: Symbol, given: Given) -> Symbol:
        """Return the shape after an op, or after a use of a unit or block."""
        if isinstance(instance, df.OpCall):
            args = {**instance.args, **given}
            out = op_output(instance.op, self.resolved_all(args, shape), shape, self._words)
            return self.possible(out) if isinstance(args.get("pad"), ex.Parameter) else out
        definition = instance.definition
        if definition.kind == "unit":
            passed = self.resolved_all(instance.args, shape)
            if instance.forwards:
                passed.update(given)
            return self.body(definition.body, shape, {}, passed)
        bound: dict[str, Expression] = {}
        for formal in definition.parameters:
            value = resolved(instance.args.get(formal.name, formal.default), shape)
            assert isinstance(value, Expression)
            bound[formal.name] = value
        return self.possible(_in_terms_of(self.definition(definition, shape.is_map), bound, shape))

    def possible(self, shape: Symbol) -> Symbol:
        """Return a shape without comparisons to words that parameters cannot be here."""
        return Symbol(
            shape.is_map, lambda axis: self._taken.possible(self._inside, shape.size(axis))
        )

    # ------------------------------------------------------------ repeats

    def progress(
        self, repeat: df.Repeat, shape: Symbol, labels: Labels, index: Expression
    ) -> Progress:
        """Return what a repeat does to a shape.

        Raises:
            SpecError: The first iteration turns a map into a vector, and there are more.
        """
        count = shape.formula(repeat.count)
        probe = Symbol(shape.is_map, lambda _: PROBE)
        times = ex.literal(count)
        if times in (0, 1):
            return Progress(shape, self.body(repeat.body, shape, labels) if times else shape)
        if self.body(repeat.body, probe, labels).is_map != shape.is_map:
            raise vector_in_repeat(repeat.span)

        def behind(axis: str) -> Expression:
            one = shape.replaced(axis, lambda: PROBE)
            return self.body(repeat.body, one, labels).size(axis)

        def last(axis: str) -> Expression:
            return after_all(behind(axis), shape.size(axis), count, axis)

        first, now, change = shape.channels, behind("channels"), None
        try:
            channels = after_all(now, first, index, "channels")
        except Unknown:
            channels = ex.Parameter("in_channels")
            change = ex.substitute(now, {PROBE.name: channels}, {})

        def before(axis: str) -> Expression:
            if axis == "channels":
                return channels
            return steady(behind(axis), shape.size(axis), axis)

        return Progress(Symbol(shape.is_map, before), Symbol(shape.is_map, last), change)


def resolved(value: df.ArgumentValue, shape: Symbol) -> df.ArgumentValue:
    """Return an argument with `channels` and the like of a shape."""
    return value if is_fixed(value) else mapped(value, shape.formula)


def _chosen(condition: Expression, then: Symbol, otherwise: Symbol, span: Span) -> Symbol:
    if then.is_map != otherwise.is_map:
        raise ranks_differ(span)
    return Symbol(
        then.is_map, lambda axis: ex.choice(condition, then.size(axis), otherwise.size(axis))
    )


def _in_terms_of(out: Symbol, given: Mapping[str, Expression], shape: Symbol) -> Symbol:
    """Return the output shape of a block in terms of its user."""

    def value(name: str) -> Expression | None:
        is_size = name in sizes_of("in")
        return shape.size(name.removeprefix("in_")) if is_size else given.get(name)

    return Symbol(out.is_map, lambda axis: ex.substitute(out.size(axis), Lookup(value), {}))
