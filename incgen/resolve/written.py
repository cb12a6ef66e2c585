"""The expressions that definitions contain, and the labels that a part takes from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.language.initializers import Initializer
from incgen.resolve import definitions as df


def _values(element: df.Element) -> Iterator[df.ArgumentValue]:
    match element:
        case df.OpCall() | df.Instance():
            yield from element.args.values()
        case df.Repeat():
            yield element.count
        case df.Conditional():
            yield element.condition
        case _:
            pass


def expressions_of(value: df.ArgumentValue) -> tuple[Expression, ...]:
    """Return the expressions that an argument consists of."""
    match value:
        case df.WindowValue():
            return *value.kernel, *value.stride
        case df.SidesValue():
            return value.sides
        case _ if isinstance(value, Expression):
            return (value,)
        case _:
            return ()


def mapped(value: df.ArgumentValue, change: Callable[[Expression], Expression]) -> df.ArgumentValue:
    """Return an argument, each of whose expressions is changed by a function."""
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


def is_fixed(value: df.ArgumentValue) -> bool:
    """Return whether an argument has the same value in every use."""
    if value is None or isinstance(value, ex.Literal):
        return True  # the most frequent
    if isinstance(value, df.WindowValue | df.SidesValue):
        return all(isinstance(part, ex.Literal) for part in expressions_of(value))
    return isinstance(value, Initializer)


def axes_in(expression: Expression) -> set[str]:
    """Return which of `channels`, `height` and `width` an expression names."""
    return {part.axis for part in ex.within(expression) if isinstance(part, ex.Dimension)}


def written_in(body: df.Body) -> list[Expression]:
    """Return every expression in a body."""
    return [
        expression
        for element in df.elements(body)
        for value in _values(element)
        for expression in expressions_of(value)
    ]


def bodies(element: df.Element) -> list[df.Body]:
    """Return the bodies directly inside an element."""
    match element:
        case df.Join() | df.Group() | df.Repeat():
            return [element.body]
        case df.Conditional():
            return [element.then] + ([element.otherwise] if element.otherwise else [])
        case _:
            return []


def outer_labels(element: df.Element) -> frozenset[str]:
    """Return the outer labels that a `from` inside an element names."""
    match element:
        case df.Chain():
            return frozenset[str]().union(*map(outer_labels, element.elements))
        case _:
            return frozenset[str]().union(*map(outer_labels_of_body, bodies(element)))


def outer_labels_of_body(body: df.Body) -> frozenset[str]:
    """Return the outer labels that a `from` inside a body names."""
    labels: set[str] = set()
    known: set[str] = set()
    for step in body.steps:
        if isinstance(step, df.Head):
            labels |= outer_labels_of_body(step.body) - known
            continue
        if step.origin is not None and step.origin not in known:
            labels.add(step.origin)
        if step.element is not None:
            labels |= outer_labels(step.element) - known
        if step.label is not None:
            known.add(step.label)
    return frozenset(labels)
