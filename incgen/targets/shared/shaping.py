"""Shapes as formulas: what comes out of each part of a definition, whatever it is used with.

Nothing is written here; the targets ask while they write. A formula that does not exist raises
`Unknown`, and because heights, widths and some channels are computed only when something asks
for them, most code never meets one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, assert_never

from incgen.base.diagnostics import Code, Diagnostic, SpecError
from incgen.base.source import Span
from incgen.graph.nodes import Graph
from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.resolve import definitions as df
from incgen.targets.shared.symbols import Symbol, Unknown, parameters_of, simplest, values_of
from incgen.targets.shared.values import (
    FALSE,
    ONE,
    TRUE,
    ZERO,
    Args,
    effective,
    expression,
    four_sides,
    half,
    window,
    with_ceil,
)
from incgen.targets.shared.words import Words, by_word

#: Iterations of a repeat that are followed one by one.
_FOLLOWED = 64
#: After so many layers sizes are computed, so that no formula waits for too many others.
SETTLED = 50
#: Stands for a size while the formula of one iteration is sought.
_PROBE = ex.Parameter("size before")

#: The padding of a unit that may be `same`: no size follows from it.
EITHER = ex.Parameter("padding, a word or a number")

Given = Mapping[str, df.ArgumentValue]
Labels = Mapping[str, Symbol]
Carried = Mapping[str, bool]
_NOTHING: Given = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Progress:
    """What a repeat does to a shape.

    Attributes:
        before: the shape in front of the iteration with the index that was given.
        after: the shape behind the last one.
        each: the channels behind an iteration, from `in_channels` in front of it, if `before`
            has no formula for them.
    """

    before: Symbol
    after: Symbol
    each: Expression | None = None


class Shaper:
    """Gives the shape behind an element for a shape in front of it."""

    def __init__(self, graph: Graph, words: Words) -> None:
        """Remember which parameters carry words: sizes cannot be computed with those."""
        self._taken, self._inside = words, graph.program.network
        self._blocks: dict[tuple[df.Definition, bool], Symbol] = {}
        values: list[tuple[str, object]] = list(graph.parameters.items())
        for seen in graph.observed.values():
            values += [(name, value) for name, found in seen.values.items() for value in found]
        for block in graph.program.definitions:
            for formal in block.parameters if block.kind == "block" else ():
                found: list[object] = [*words.cases(block, formal.name)]
                if block not in graph.observed:
                    found += values_of(graph, block, formal.name)
                values += [(formal.name, value) for value in found]
        carried = {name for name, value in values if isinstance(value, str)}
        others = {name for name, value in values if not isinstance(value, str)}
        self._words = {name: name not in others for name in carried}

    def inside(self, definition: df.Definition) -> Shaper:
        """The same for what stands in a definition: its parameters take some words only."""
        own = copy(self)
        own._inside = definition
        return own

    def definition(self, definition: df.Definition, is_map: bool) -> Symbol:
        """The shape behind a block in its own parameters, from a map or a vector."""
        key = definition, is_map
        if key not in self._blocks:
            own = self.inside(definition)
            self._blocks[key] = own.body(definition.body, own_input(is_map), {})
        return self._blocks[key]

    # ------------------------------------------------------------ bodies

    def body(self, body: df.Body, shape: Symbol, labels: Labels, given: Given = _NOTHING) -> Symbol:
        """The shape behind a body.

        Args:
            body: its steps.
            shape: in front of it.
            labels: the shapes of outer values.
            given: the arguments of a unit's head, if this is a unit's body.
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
        """The shape behind a step; a label is added to those that are known."""
        result = known[step.origin] if step.origin is not None else shape
        if step.element is not None:
            result = self.element(step.element, result, known, given)
        if step.label is not None:
            known[step.label] = result
        return result

    def element(
        self, element: df.Element, shape: Symbol, labels: Labels, given: Given = _NOTHING
    ) -> Symbol:
        """The shape behind an element."""
        match element:
            case df.OpCall():
                args = {**element.args, **given} if element.forwards else element.args
                resolved_ = self.resolved_all(args, shape)
                out = op_output(element.op.name, resolved_, shape, self._words)
                return self.possible(out) if isinstance(args.get("pad"), ex.Parameter) else out
            case df.Instance():
                return self.instance(element, shape, given)
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
        """The shapes of the branches of a join."""
        known = dict(labels)
        steps = [step for step in join.body.steps if isinstance(step, df.Step)]
        return [self.step(step, shape, known) for step in steps]

    def conditional(self, element: df.Conditional, shape: Symbol, labels: Labels) -> Symbol:
        """The shape behind one of two bodies."""
        condition = ex.substitute(element.condition, {}, shape.dimensions)
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
        """Arguments with `channels` and the like of a shape."""
        return {name: resolved(value, shape) for name, value in args.items()}

    def instance(self, instance: df.Instance, shape: Symbol, given: Given) -> Symbol:
        """The shape behind a use of a unit or block."""
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
        """A shape without the words that parameters cannot be in this place."""
        return Symbol(
            lambda: self._taken.possible(self._inside, shape.channels),
            shape.is_map,
            lambda: self._taken.possible(self._inside, shape.height()),
            lambda: self._taken.possible(self._inside, shape.width()),
        )

    # ------------------------------------------------------------ repeats

    def progress(
        self, repeat: df.Repeat, shape: Symbol, labels: Labels, index: Expression
    ) -> Progress:
        """What a repeat does to a shape, in front of one iteration and behind all.

        Raises:
            SpecError: the first iteration makes a vector of a map, and there are more.
        """
        count = ex.substitute(repeat.count, {}, shape.dimensions)
        probe = Symbol(lambda: _PROBE, shape.is_map, lambda: _PROBE, lambda: _PROBE)
        times = ex.literal(count)
        if times in (0, 1):
            return Progress(shape, self.body(repeat.body, shape, labels) if times else shape)
        if self.body(repeat.body, probe, labels).is_map != shape.is_map:
            raise vector_in_repeat(repeat.span)

        def behind(axis: str) -> Expression:
            one = shape.replaced(axis, lambda: _PROBE)
            return getattr_size(self.body(repeat.body, one, labels), axis)

        def last(axis: str) -> Expression:
            return _after_all(behind(axis), getattr_size(shape, axis), count, axis)

        before, each = self._channels(behind("channels"), shape, index)
        sizes = [_steady(lambda a=axis: behind(a), shape, axis) for axis in ("height", "width")]  # type: ignore[misc]
        after = Symbol(
            lambda: last("channels"), shape.is_map, lambda: last("height"), lambda: last("width")
        )
        return Progress(Symbol(before, shape.is_map, *sizes), after, each)

    def _channels(
        self, behind: Expression, shape: Symbol, index: Expression
    ) -> tuple[Callable[[], Expression], Expression | None]:
        """The channels in front of an iteration, or how they follow from those before."""
        first = shape.channels
        if ex.substitute(behind, {_PROBE.name: first}, {}) == first:
            return lambda: first, None
        if _free_of_probe(behind):
            return lambda: ex.choice(ex.binary("==", index, ZERO), first, behind), None
        grown = _difference(behind)
        if grown is not None:
            return lambda: first + index * grown, None
        factor = _factor(behind)
        if factor is not None:
            return lambda: first * ex.binary("**", factor, index), None
        return lambda: ex.Parameter("in_channels"), ex.substitute(
            behind, {_PROBE.name: ex.Parameter("in_channels")}, {}
        )


def own_input(is_map: bool) -> Symbol:
    """The shape in front of a class or function in its own terms."""
    return Symbol(
        lambda: ex.Parameter("in_channels"),
        is_map,
        lambda: ex.Parameter("in_height"),
        lambda: ex.Parameter("in_width"),
    )


def getattr_size(shape: Symbol, axis: str) -> Expression:
    """One axis of a shape."""
    match axis:
        case "channels":
            return shape.channels
        case "height":
            return shape.height()
        case _:
            return shape.width()


def resolved(value: df.ArgumentValue, shape: Symbol) -> df.ArgumentValue:
    """An argument with `channels` and the like of a shape."""

    def formula(expression_: Expression) -> Expression:
        return ex.substitute(expression_, {}, shape.dimensions)

    return mapped(value, formula)


def mapped(value: df.ArgumentValue, change: Callable[[Expression], Expression]) -> df.ArgumentValue:
    """An argument with every expression in it changed."""
    match value:
        case df.WindowValue((a, b), (c, d)):
            kernel, stride = (change(a), change(b)), (change(c), change(d))
            return df.WindowValue(kernel, stride, value.span)
        case df.SidesValue(sides):
            return df.SidesValue(tuple(map(change, sides)), value.span)
        case _ if isinstance(value, Expression):
            return change(value)
        case _:
            return value


# ---------------------------------------------------------------- ops


def op_output(op: str, args: Args, shape: Symbol, words: Carried) -> Symbol:
    """The shape behind an op.

    Args:
        op: its name.
        args: its arguments, resolved.
        shape: in front of it.
        words: the parameters that carry words, and whether they carry nothing else.
    """
    match op:
        case "conv" | "separable_conv":
            return _moved(args, shape, lambda: expression(args, "channels"), words)
        case "depthwise_conv":
            return _moved(
                args, shape, lambda: shape.channels * expression(args, "multiplier"), words
            )
        case "max_pool" | "avg_pool" | "pool":
            return _moved(args, shape, lambda: shape.channels, words)
        case "dense":
            return shape.vector(expression(args, "features"))
        case "global_avg_pool" | "global_max_pool":
            return Symbol(lambda: shape.channels, False)
        case "adaptive_avg_pool":
            high, wide = window(args).kernel
            return Symbol(lambda: shape.channels, True, lambda: high, lambda: wide)
        case "flatten" if shape.is_map:
            return Symbol(lambda: flat_size(shape), False)
        case "pad":
            top, bottom, left, right = four_sides(args["border"])
            return Symbol(
                lambda: shape.channels,
                True,
                lambda: shape.height() + top + bottom,
                lambda: shape.width() + left + right,
            )
        case _:
            return shape


def flat_size(shape: Symbol) -> Expression:
    """How many numbers an example has."""
    return shape.channels * shape.height() * shape.width() if shape.is_map else shape.channels


def _moved(args: Args, shape: Symbol, channels: Callable[[], Expression], words: Carried) -> Symbol:
    """The map behind a window that moves over a map."""
    return Symbol(
        channels,
        True,
        lambda: _windows(args, shape.height(), 0, words),
        lambda: _windows(args, shape.width(), 1, words),
    )


def _windows(args: Args, size: Expression, axis: int, words: Carried) -> Expression:
    """How many windows fit along one axis."""
    frame = window(args)
    stride = frame.stride[axis]
    pad = args["pad"]
    if pad == ex.Literal("same"):
        return (size + stride - 1) // stride
    if pad == EITHER or (isinstance(pad, ex.Parameter) and pad.name in words):
        if pad == EITHER or not words[pad.name]:
            name = "pad" if pad == EITHER else pad.name
            what = f"the height and width depend on whether `{name}` is a word or a number"
            raise Unknown(what, "write the padding here, or put a `global_avg_pool` behind it")
        return by_word(
            pad,
            [
                (word, _windows({**args, "pad": ex.Literal(word)}, size, axis, words))
                for word in ("half", "same", "valid")
            ],
        )
    dilation = expression(args, "dilation") if "dilation" in args else ONE
    span = effective(frame.kernel[axis], dilation)
    before, after = _border(pad, frame.kernel, dilation, axis)
    ceil = args.get("ceil", FALSE)
    floored = _gathered(size + before + after - span) // stride + 1
    if ceil in (None, FALSE) or stride == ONE:
        return floored
    rounded_up = _gathered(size + before + with_ceil(after, stride, span) - span) // stride + 1
    assert isinstance(ceil, Expression)
    return rounded_up if ceil == TRUE else ex.choice(ceil, rounded_up, floored)


def _gathered(size: Expression) -> Expression:
    """A sum of whole numbers, its like terms as one: `n + d + d - (2 * d + 1)` is `n - 1`."""
    terms: dict[Expression, int] = {}

    def add(part: Expression, factor: int) -> bool:
        match part:
            case ex.Binary("+" | "-" as sign, left, right):
                apart = add(left, factor)
                return add(right, factor if sign == "+" else -factor) and apart
            case ex.Binary("*", ex.Literal(int(k)), other) | ex.Binary(
                "*", other, ex.Literal(int(k))
            ):
                return add(other, factor * k)
            case ex.Literal(int(number)):
                terms[ONE] = terms.get(ONE, 0) + factor * number
                return True
            case _:
                apart = part not in terms
                terms[part] = terms.get(part, 0) + factor
                return apart

    if add(size, 1):
        return size  # as it was written
    result: Expression = ZERO
    for part, factor in sorted(terms.items(), key=lambda term: (term[0] == ONE, term[1] < 0)):
        if factor:
            result = result + factor * part if factor > 0 else result - -factor * part
    return result


def _border(
    pad: df.ArgumentValue, kernel: tuple[Expression, Expression], dilation: Expression, axis: int
) -> tuple[Expression, Expression]:
    if pad is None or pad == ex.Literal("half"):
        side = half(kernel, dilation)[axis]
        return side, side
    if pad == ex.Literal("valid"):
        return ZERO, ZERO
    sides = four_sides(pad)
    return sides[2 * axis], sides[2 * axis + 1]


# ---------------------------------------------------------------- joins and conditions


def joined(kind: str, shapes: Sequence[Symbol]) -> Symbol:
    """The shape of a join."""
    first = next((shape for shape in shapes if shape.is_map), shapes[0])
    if kind == "concat":
        return first.with_channels(lambda: _total([shape.channels for shape in shapes]))
    return first.with_channels(lambda: simplest([shape.channels for shape in shapes]))


def _total(sizes: list[Expression]) -> Expression:
    result = sizes[0]
    for size in sizes[1:]:
        result = _plus(result, size)
    return result


def _plus(a: Expression, b: Expression) -> Expression:
    """A sum that counts what it has more than once: `in_channels + growth * 3`."""
    if ex.literal(b) is None and (a == b or _is_product(a, b)):
        times = ex.literal(a.right) if _is_product(a, b) else 1  # type: ignore[union-attr]
        if isinstance(times, int):
            return b * (times + 1)
    if isinstance(a, ex.Binary) and a.operator == "+" and ex.literal(b) is None:
        times = ex.literal(a.right.right) if _is_product(a.right, b) else None  # type: ignore[union-attr]
        if a.right == b or isinstance(times, int):
            return a.left + b * (int(times or 1) + 1)
    return a + b


def _is_product(size: Expression, factor: Expression) -> bool:
    return isinstance(size, ex.Binary) and size.operator == "*" and size.left == factor


def _chosen(condition: Expression, then: Symbol, otherwise: Symbol, span: Span) -> Symbol:
    if then.is_map != otherwise.is_map:
        message = "one side of this `if` gives a map and the other a vector"
        help_ = "pool or flatten on both sides, or behind the `if`"
        raise SpecError([Diagnostic(Code.UNDECIDED, message, span, help=help_)])
    return Symbol(
        lambda: ex.choice(condition, then.channels, otherwise.channels),
        then.is_map,
        lambda: ex.choice(condition, then.height(), otherwise.height()),
        lambda: ex.choice(condition, then.width(), otherwise.width()),
    )


# ---------------------------------------------------------------- in the terms of a use


class _Bound(dict[str, Expression]):
    """The parameters of a block and what it says of its input, computed when asked for."""

    def __init__(self, given: Mapping[str, Expression], shape: Symbol) -> None:
        super().__init__(given)
        self._shape = shape

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a parameter."""
        if name in ("in_channels", "in_height", "in_width"):
            return getattr_size(self._shape, name.removeprefix("in_"))
        return super().get(name, default)


def _in_terms_of(out: Symbol, given: Mapping[str, Expression], shape: Symbol) -> Symbol:
    """The shape behind a block, in the terms of its user."""
    bound = _Bound(given, shape)
    return Symbol(
        lambda: ex.substitute(out.channels, bound, {}),
        out.is_map,
        lambda: ex.substitute(out.height(), bound, {}),
        lambda: ex.substitute(out.width(), bound, {}),
    )


# ---------------------------------------------------------------- repeats


def vector_in_repeat(span: Span) -> SpecError:
    """The fault of a repeat whose iterations do not all get the same kind of value."""
    message = "the first iteration of this `repeat` makes a vector of a map, the next gets a vector"
    help_ = "put a `global_avg_pool` or `flatten` in front of the `repeat`"
    return SpecError([Diagnostic(Code.UNSUPPORTED, message, span, help=help_)])


def _free_of_probe(formula: Expression) -> bool:
    return _PROBE.name not in parameters_of([formula])


def _difference(behind: Expression) -> Expression | None:
    """What an iteration adds, if it adds the same every time."""
    if behind == _PROBE:
        return ZERO
    if isinstance(behind, ex.Binary) and behind.operator == "+":
        for inner, other in ((behind.left, behind.right), (behind.right, behind.left)):
            grown = _difference(inner)
            if grown is not None and _free_of_probe(other):
                return grown + other
    if isinstance(behind, ex.Binary) and behind.operator == "-" and _free_of_probe(behind.right):
        grown = _difference(behind.left)
        return None if grown is None else grown - behind.right
    return None


def _factor(behind: Expression) -> Expression | None:
    """By what an iteration multiplies, if it is the same every time."""
    if isinstance(behind, ex.Binary) and behind.operator == "*":
        for inner, other in ((behind.left, behind.right), (behind.right, behind.left)):
            if inner == _PROBE and _free_of_probe(other):
                return other
    return None


def _steady(behind: Callable[[], Expression], shape: Symbol, axis: str) -> Callable[[], Expression]:
    """A size that every iteration keeps; otherwise it has no formula inside the repeat."""

    def size() -> Expression:
        first, formula = getattr_size(shape, axis), behind()
        if ex.substitute(formula, {_PROBE.name: first}, {}) != first:
            what = f"the {axis} changes from one iteration of the `repeat` to the next"
            raise Unknown(what, "put a `global_avg_pool` in front, or write the `repeat` out")
        return first

    return size


def _after_all(behind: Expression, first: Expression, count: Expression, axis: str) -> Expression:
    """A size behind the last iteration."""
    if ex.substitute(behind, {_PROBE.name: first}, {}) == first:
        return first
    grown = _difference(behind)
    if grown is not None:
        return first + count * grown
    times = ex.literal(count)
    if isinstance(times, int) and times <= _FOLLOWED and ex.literal(first) is not None:
        size = first
        for _ in range(times):
            size = ex.substitute(behind, {_PROBE.name: size}, {})
        return size
    if _free_of_probe(behind):
        return behind if times else ex.choice(ex.binary("==", count, ZERO), first, behind)
    factor = _factor(behind)
    if factor is not None:
        return first * ex.binary("**", factor, count)
    what = f"the {axis} behind this `repeat` follows no simple formula of its count"
    help_ = "write the `repeat` out, or let it end in a layer that says its channels"
    if axis != "channels":
        help_ = f"write the `repeat` out, or pad its layers so that they keep the {axis}"
    raise Unknown(what, help_)
