"""Reduce a failing spec: leave parts out for as long as it fails in the same way.

Hypothesis would redraw with fewer choices, and every try builds two models. Here a try is a tree
with a part left out, and most invalid specs are detected without building models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from fuzzing import tree

_T = TypeVar("_T")
_OPERATORS = ("and", "or", "not")
#: The fields whose text is an expression, not a name.
_EXPRESSIONS = ("channels", "count", "default")


def reduced(spec: tree.Spec, fails: Callable[[tree.Spec], bool], tries: int = 600) -> tree.Spec:
    """Return the smallest spec that is found to fail too.

    Args:
        spec: A failing spec.
        fails: Returns whether another spec fails in the same way.
        tries: The maximum number of calls of `fails`.
    """
    tried = {spec.text}
    smaller, place, shrunk = list(_smaller(spec)), 0, False
    while tries > 0:
        if place == len(smaller):
            if not shrunk:
                break
            place, shrunk = 0, False  # parts that were needed before may not be needed now
            continue
        other = _tidied(smaller[place])
        text = other.text
        if text not in tried:
            tried.add(text)
            tries -= 1
            if fails(other):
                # this place now holds what followed the removed part
                spec, smaller, shrunk = other, list(_smaller(other)), True
                place = min(place, len(smaller))
                continue
        place += 1
    return spec


# ---------------------------------------------------------------- a part less


def _smaller(part: Any) -> Iterator[Any]:
    """Yield what can stand in place of a part of a spec: less of it, the least first."""
    match part:
        case str():
            yield from _of_expression(part)
        case tuple():
            yield from _of_items(part)
        case tree.Body(statements):
            yield from map(tree.Body, _fewer(statements, least=1))
            for number, statement in enumerate(statements):
                for inner in _bodies_in(statement):
                    rest = statements[number + 1 :]
                    yield tree.Body((*statements[:number], *inner.statements, *rest))
        case tree.Chain(elements):
            for left in _fewer(elements, least=1):
                yield tree.Chain(left) if len(left) > 1 else left[0]
        case _:
            yield from _of_node(part)
    if is_dataclass(part) and not isinstance(part, type):
        yield from _inside(part)


def _inside(part: Any) -> Iterator[Any]:
    """Yield a part in which one of its own is smaller."""
    for field in fields(part):
        value = getattr(part, field.name)
        if isinstance(value, str) and field.name not in _EXPRESSIONS:
            continue
        for other in _smaller(value):
            yield replace(part, **{field.name: other})


def _of_node(part: Any) -> Iterator[Any]:
    """Yield what is less than a part of one kind."""
    match part:
        case tree.Spec():
            yield from _of_spec(part)
        case tree.Network(doc=doc, pixels=pixels) if doc or pixels:
            yield replace(part, doc="", pixels="")
        case tree.Unit(calls=calls):
            for less in _fewer(calls, least=1):
                yield replace(part, calls=less)
        case tree.Statement(element, label, origin):
            if origin is not None:
                yield replace(part, origin=None, element=element or tree.Call("identity"))
            if label is not None:
                yield replace(part, label=None)
        case tree.Join(kind, body) if kind != "concat":
            yield tree.Join("concat", body)
        case tree.Repeat(body=body):
            yield tree.Group(body)
        case tree.Conditional(condition, then, otherwise):
            yield from (tree.Group(body) for body in _bodies_in(part))
            if isinstance(otherwise, tree.Conditional):
                yield otherwise
                yield replace(part, otherwise=otherwise.then)
            yield tree.Conditional(condition, then)
            yield from (replace(part, condition=operand) for operand in _operands(condition))
        case tree.Call(name, positional, attributes):
            if positional or attributes or name not in ("relu", "identity"):
                yield tree.Call("relu")
            for fewer in _fewer(attributes):
                yield replace(part, attributes=fewer)
        case tree.Window():
            yield from _of_window(part)
        case tree.Sides():
            yield from ("0", "1")


def _of_spec(spec: tree.Spec) -> Iterator[tree.Spec]:
    yield _changed(spec, _uncommented)
    yield from (replace(spec, definitions=less) for less in _fewer(spec.definitions))
    yield from (replace(spec, defaults=less) for less in _fewer(spec.defaults))
    yield from (replace(spec, other=less) for less in _fewer(spec.other))
    yield from (replace(spec, constants=less) for less in _fewer(spec.constants))
    if spec.preset is None:
        yield from (replace(spec, preset=preset) for preset in ("torch", "caffe", "tf"))


def _of_window(window: tree.Window) -> Iterator[tree.Window]:
    if window.stride:
        yield tree.Window(window.kernel)
    for small in (("1", "1"), ("3", "3"), ("2", "2")):
        if small != window.kernel and window.kernel != ("1", "1"):
            yield replace(window, kernel=small)
    if len(window.stride) == 2:
        yield from (replace(window, stride=(number,)) for number in window.stride)


def _of_items(items: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Yield items of which one is smaller; of one with a name, that is its value."""
    for number, item in enumerate(items):
        head, value = (item[:-1], item[-1]) if isinstance(item, tuple) else (None, item)
        for other in _smaller(value):
            small = other if head is None else (*head, other)
            yield (*items[:number], small, *items[number + 1 :])


def _of_expression(text: str) -> Iterator[str]:
    yield from _operands(text)
    if text not in ("true", "false"):
        numbers = ("1", "2", "4", "8") if text.isdigit() else ("1", "2")
        yield from (number for number in numbers if not text.isdigit() or int(number) < int(text))


def _operands(expression: str) -> Iterator[str]:
    """Yield the operands of an expression."""
    parts = expression.replace("(", " ").replace(")", " ").split()
    if len(parts) > 1:
        yield from (part for part in parts if part[0].isalnum() and part not in _OPERATORS)


def _fewer(items: Sequence[_T], least: int = 0) -> Iterator[tuple[_T, ...]]:
    """Yield half of the items, then all but one."""
    half = len(items) // 2
    if half > 1:
        yield from (tuple(items[:half]), tuple(items[half:]))
    if len(items) > least:
        yield from ((*items[:n], *items[n + 1 :]) for n in range(len(items)))


def _bodies_in(part: Any) -> list[tree.Body]:
    """Return the bodies in a statement or its element, any of which could stand there."""
    part = part.element if isinstance(part, tree.Statement) else part
    values = [getattr(part, field.name) for field in fields(part)] if part is not None else []
    return [value for value in values if isinstance(value, tree.Body)]


# ---------------------------------------------------------------- the whole


def _changed(part: _T, change: Callable[[Any], Any]) -> _T:
    """Change every node of a tree, the innermost first."""
    made: Any = part
    if isinstance(part, tuple):
        made = tuple(_changed(item, change) for item in part)
    elif is_dataclass(part) and not isinstance(part, type):
        inner = {field.name: _changed(getattr(part, field.name), change) for field in fields(part)}
        made = change(replace(part, **inner))
    return made  # type: ignore[no-any-return]


def _uncommented(node: Any) -> Any:
    comments = (field.name for field in fields(node) if field.name in ("doc", "comment"))
    return replace(node, **dict.fromkeys(comments, ""))


def _tidied(spec: tree.Spec) -> tree.Spec:
    """Remove the parameters of a spec that nothing uses, since they would be errors."""
    for number, block in enumerate(spec.definitions):
        if isinstance(block, tree.Block):
            for place in reversed(_unnamed(block.formals, block.body)):
                spec = _without_formal(spec, number, place)
    network = spec.network
    size = " ".join((*network.size, network.channels))
    unused = _unnamed(network.formals, network.body, size)
    formals = tuple(formal for n, formal in enumerate(network.formals) if n not in unused)
    return replace(spec, network=replace(network, formals=formals))


def _unnamed(formals: tuple[tree.Formal, ...], body: tree.Body, before: str = "") -> list[int]:
    text = f"{before}\n{tree.body_text(body)}"
    return [n for n, formal in enumerate(formals) if not tree.names(formal.name, text)]


def _without_formal(spec: tree.Spec, number: int, place: int) -> tree.Spec:
    """Remove a parameter from a block, and the argument from its uses."""
    block = spec.definitions[number]
    assert isinstance(block, tree.Block)
    gone = block.formals[place].name

    def used(node: Any) -> Any:
        if node == block:
            return replace(node, formals=(*node.formals[:place], *node.formals[place + 1 :]))
        if not isinstance(node, tree.Call) or node.name != block.name:
            return node
        named = tuple(attribute for attribute in node.attributes if attribute[0] != gone)
        return tree.Call(
            node.name, (*node.positional[:place], *node.positional[place + 1 :]), named
        )

    return _changed(spec, used)
