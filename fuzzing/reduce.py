"""Reduce a failing spec: leave parts out for as long as it fails in the same way.

Hypothesis would redraw with fewer choices, and every try builds two models. Here a try is a tree
with a part left out, and most invalid specs are detected without building models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeAlias, TypeVar

from fuzzing import tree

_T = TypeVar("_T")
_OPERATORS = ("and", "or", "not")
_Calls: TypeAlias = Callable[[tree.Call], tree.Call]


def reduced(spec: tree.Spec, fails: Callable[[tree.Spec], bool], tries: int = 600) -> tree.Spec:
    """Return the smallest spec that is found to fail too.

    Args:
        spec: A failing spec.
        fails: Returns whether another spec fails in the same way.
        tries: The maximum number of calls of `fails`.
    """
    tried = {spec.text}
    smaller, place, found = list(_smaller(spec)), 0, False
    while tries > 0:
        if place == len(smaller):
            if not found:
                break
            place, found = 0, False  # parts that were needed before may not be needed now
            continue
        other = _tidied(smaller[place])
        text = other.text
        if text not in tried:
            tried.add(text)
            tries -= 1
            if fails(other):
                # this place now holds what followed the removed part
                spec, smaller, found = other, list(_smaller(other)), True
                place = min(place, len(smaller))
                continue
        place += 1
    return spec


def _smaller(spec: tree.Spec) -> Iterator[tree.Spec]:
    """Yield specs with a part left out, largest parts first."""
    yield _plain(spec)
    for number in range(len(spec.definitions)):
        yield replace(spec, definitions=_without(spec.definitions, number))
    for number in range(len(spec.defaults)):
        yield replace(spec, defaults=_without(spec.defaults, number))
    if spec.other:
        yield replace(spec, other=())
    network = spec.network
    for body in _bodies(network.body):
        yield replace(spec, network=replace(network, body=body))
    for number, definition in enumerate(spec.definitions):
        for other in _definitions(definition):
            yield replace(spec, definitions=_with(spec.definitions, number, other))
        if isinstance(definition, tree.Block):
            for place in range(len(definition.formals)):
                yield _without_formal(spec, number, place)
    for number in range(len(spec.constants)):
        yield replace(spec, constants=_without(spec.constants, number))
    for number, formal in enumerate(network.formals):
        yield replace(spec, network=replace(network, formals=_without(network.formals, number)))
        for short in ("true", "1", "2", "3"):
            if formal.default is not None and len(formal.default) > len(short):
                formals = _with(network.formals, number, replace(formal, default=short))
                yield replace(spec, network=replace(network, formals=formals))
    if network.doc or network.pixels:
        yield replace(spec, network=replace(network, doc="", pixels=""))
    for size in (("4", "4"), ("5", "5"), ("8", "8"), ("9", "8")):
        if not "".join(network.size).isdigit() or sum(map(int, network.size)) > sum(map(int, size)):
            yield replace(spec, network=replace(network, size=size))
    for channels in ("1", "2", "3"):
        if not network.channels.isdigit() or channels < network.channels:
            yield replace(spec, network=replace(network, channels=channels))
    for preset in ("torch", "caffe", "tf"):
        if spec.preset is None:
            yield replace(spec, preset=preset)


def _plain(spec: tree.Spec) -> tree.Spec:
    """Return a spec without comments."""
    definitions: list[tree.Unit | tree.Block] = []
    for each in spec.definitions:
        if isinstance(each, tree.Block):
            each = replace(each, body=_mapped(each.body, comments=False))
        definitions.append(replace(each, doc=""))
    network = replace(spec.network, doc="", body=_mapped(spec.network.body, comments=False))
    return replace(spec, doc="", definitions=tuple(definitions), network=network)


def _tidied(spec: tree.Spec) -> tree.Spec:
    """Remove the parameters of a spec that nothing uses, since they would be errors."""
    for number, block in enumerate(spec.definitions):
        if isinstance(block, tree.Block):
            for place in reversed(_unnamed(block.formals, block.body)):
                spec = _without_formal(spec, number, place)
    network = spec.network
    formals = network.formals
    size = " ".join((*network.size, network.channels))
    for place in reversed(_unnamed(formals, network.body, size)):
        formals = _without(formals, place)
    return replace(spec, network=replace(network, formals=formals))


def _unnamed(formals: tuple[tree.Formal, ...], body: tree.Body, before: str = "") -> list[int]:
    text = f"{before}\n{tree.body_text(body)}"
    return [n for n, formal in enumerate(formals) if not tree.names(formal.name, text)]


def _definitions(definition: tree.Unit | tree.Block) -> Iterator[tree.Unit | tree.Block]:
    if definition.doc:
        yield replace(definition, doc="")
    if isinstance(definition, tree.Block):
        for body in _bodies(definition.body):
            yield replace(definition, body=body)
        return
    for number, call in enumerate(definition.calls):
        if len(definition.calls) > 1:
            yield replace(definition, calls=_without(definition.calls, number))
        for other in _calls(call):
            yield replace(definition, calls=_with(definition.calls, number, other))


def _without_formal(spec: tree.Spec, number: int, place: int) -> tree.Spec:
    """Remove a parameter from a block, and the argument from its uses."""
    block = spec.definitions[number]
    assert isinstance(block, tree.Block)
    formal = block.formals[place]

    def call(use: tree.Call) -> tree.Call:
        if use.name != block.name:
            return use
        named = tuple(each for each in use.attributes if each[0] != formal.name)
        return tree.Call(use.name, _without(use.positional, place), named)

    rest = replace(block, formals=_without(block.formals, place))
    definitions = _with(spec.definitions, number, rest)
    return replace(
        spec,
        definitions=tuple(
            replace(each, body=_mapped(each.body, call)) if isinstance(each, tree.Block) else each
            for each in definitions
        ),
        network=replace(spec.network, body=_mapped(spec.network.body, call)),
    )


def _mapped(
    body: tree.Body, change: _Calls = lambda call: call, *, comments: bool = True
) -> tree.Body:
    """Change every call in a body, and drop its comments if asked to."""

    def inner(each: tree.Body) -> tree.Body:
        return _mapped(each, change, comments=comments)

    def element(each: tree.Element) -> tree.Element:
        match each:
            case tree.Call():
                return change(each)
            case tree.Chain():
                return tree.Chain(tuple(map(element, each.elements)))
            case tree.Conditional():
                return conditional(each)
            case _:
                return replace(each, body=inner(each.body))

    def conditional(each: tree.Conditional) -> tree.Conditional:
        match each.otherwise:
            case tree.Conditional() as otherwise:
                return replace(each, then=inner(each.then), otherwise=conditional(otherwise))
            case tree.Body() as otherwise:
                return replace(each, then=inner(each.then), otherwise=inner(otherwise))
            case None:
                return replace(each, then=inner(each.then))

    def statement(each: tree.Statement | tree.Head) -> tree.Statement | tree.Head:
        if not comments:
            each = replace(each, doc="")
        if isinstance(each, tree.Head):
            return replace(each, body=inner(each.body))
        if not comments:
            each = replace(each, comment="")
        return each if each.element is None else replace(each, element=element(each.element))

    return tree.Body(tuple(map(statement, body.statements)))


def _bodies(body: tree.Body) -> Iterator[tree.Body]:
    statements = body.statements
    if len(statements) > 2:
        yield tree.Body(statements[: len(statements) // 2])
        yield tree.Body(statements[len(statements) // 2 :])
    for number, statement in enumerate(statements):
        if len(statements) > 1:
            yield tree.Body(_without(statements, number))
        for inner in _inside(statement):
            yield tree.Body((*statements[:number], *inner.statements, *statements[number + 1 :]))
        for other in _statements(statement):
            yield tree.Body(_with(statements, number, other))


def _inside(statement: tree.Statement | tree.Head) -> Iterator[tree.Body]:
    """Yield the bodies in a statement, any of which could replace it."""
    if isinstance(statement, tree.Head):
        yield statement.body
        return
    match statement.element:
        case tree.Group() | tree.Repeat() | tree.Join():
            yield statement.element.body
        case tree.Conditional():
            yield statement.element.then
            if isinstance(statement.element.otherwise, tree.Body):
                yield statement.element.otherwise
        case _:
            pass


def _statements(
    statement: tree.Statement | tree.Head,
) -> Iterator[tree.Statement | tree.Head]:
    if isinstance(statement, tree.Head):
        for body in _bodies(statement.body):
            yield replace(statement, body=body, doc="")
        return
    if statement.doc or statement.comment:
        yield replace(statement, doc="", comment="")
    if statement.origin is not None:
        yield replace(statement, origin=None, element=statement.element or tree.Call("identity"))
    if statement.element is not None:
        for element in _elements(statement.element):
            yield replace(statement, element=element)
    if statement.label is not None:
        yield replace(statement, label=None)


def _elements(element: tree.Element) -> Iterator[tree.Element]:
    match element:
        case tree.Call():
            yield from _calls(element)
        case tree.Chain():
            for number, each in enumerate(element.elements):
                rest = _without(element.elements, number)
                yield tree.Chain(rest) if len(rest) > 1 else rest[0]
                for other in _elements(each):
                    yield tree.Chain(_with(element.elements, number, other))
        case tree.Join():
            for body in _bodies(element.body):
                yield tree.Join(element.kind, body)
            if element.kind != "concat":
                yield tree.Join("concat", element.body)
        case tree.Group():
            for body in _bodies(element.body):
                yield tree.Group(body)
        case tree.Repeat():
            yield tree.Group(element.body)
            for body in _bodies(element.body):
                yield replace(element, body=body)
            if len(element.count) > 1:
                yield from (replace(element, count=count) for count in ("2", "1"))
        case tree.Conditional():
            yield tree.Group(element.then)
            if element.otherwise is not None:
                yield replace(element, otherwise=None)
            if isinstance(element.otherwise, tree.Conditional):
                yield element.otherwise
                yield replace(element, otherwise=element.otherwise.then)
            if isinstance(element.otherwise, tree.Body):
                yield tree.Group(element.otherwise)
                for body in _bodies(element.otherwise):
                    yield replace(element, otherwise=body)
            for body in _bodies(element.then):
                yield replace(element, then=body)
            for part in _parts(element.condition):
                yield replace(element, condition=part)


def _calls(call: tree.Call) -> Iterator[tree.Call]:
    if call.positional or call.attributes or call.name not in ("relu", "identity"):
        yield tree.Call("relu")
    for number, (name, value) in enumerate(call.attributes):
        yield replace(call, attributes=_without(call.attributes, number))
        for other in _values(value):
            yield replace(call, attributes=_with(call.attributes, number, (name, other)))
    for number, value in enumerate(call.positional):
        for other in _values(value):
            yield replace(call, positional=_with(call.positional, number, other))


def _values(value: tree.Value) -> Iterator[tree.Value]:
    match value:
        case str():
            yield from _parts(value)
            if not value.isdigit() and value not in ("true", "false"):
                yield from ("1", "2")
            elif value not in ("1", "2", "true", "false"):
                yield from ("1", "2", "4")
        case tree.Window():
            if value.stride:
                yield replace(value, stride=())
            for kernel in (("1", "1"), ("3", "3"), ("2", "2")):
                if kernel != value.kernel and value.kernel != ("1", "1"):
                    yield replace(value, kernel=kernel)
            if len(value.stride) == 2:
                yield from (replace(value, stride=(part,)) for part in value.stride)
        case tree.Sides():
            yield from ("0", "1")
        case tree.Initializer():
            pass


def _parts(expression: str) -> Iterator[str]:
    """Yield the operands of an expression."""
    parts = expression.replace("(", " ").replace(")", " ").split()
    if len(parts) > 1:
        yield from (part for part in parts if part[0].isalnum() and part not in _OPERATORS)


def _without(items: tuple[_T, ...], number: int) -> tuple[_T, ...]:
    return items[:number] + items[number + 1 :]


def _with(items: tuple[_T, ...], number: int, item: _T) -> tuple[_T, ...]:
    return (*items[:number], item, *items[number + 1 :])
