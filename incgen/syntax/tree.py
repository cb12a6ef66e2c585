"""The syntax tree of one spec file: what was written.

Nothing is resolved or filled in here. Two trees are equal if they say the same, whatever their
locations; a formatter must keep them equal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from incgen.base.source import Span
from incgen.language.expressions import Expression


@dataclass(frozen=True, slots=True)
class Identifier:
    """A name and its location."""

    text: str
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Window:
    """`HxW` or `HxW/SHxSW`; the strides are None if omitted."""

    height: Expression
    width: Expression
    stride_height: Expression | None
    stride_width: Expression | None
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Text:
    """A string in double quotes."""

    value: str
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Items:
    """A list in brackets."""

    values: tuple[Argument, ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Applied:
    """A name with arguments, as in `init=normal(0.01)`."""

    name: str
    arguments: tuple[Expression, ...]
    span: Span = field(compare=False, repr=False)


Argument: TypeAlias = Expression | Window | Text | Items | Applied


@dataclass(frozen=True, slots=True)
class Attribute:
    """`name=value`."""

    name: Identifier
    value: Argument
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Call:
    """An op, unit or block with its arguments."""

    name: Identifier
    positional: tuple[Argument, ...]
    attributes: tuple[Attribute, ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Join:
    """`concat`, `add` or `mul` with its branches."""

    kind: str
    body: Body
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Group:
    """A body in place of an op."""

    body: Body
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Repeat:
    """`repeat count { ... }`."""

    count: Expression
    body: Body
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Conditional:
    """`if condition { ... } else { ... }`."""

    condition: Expression
    then: Body
    otherwise: Body | None
    span: Span = field(compare=False, repr=False)


Element: TypeAlias = Call | Join | Group | Repeat | Conditional


@dataclass(frozen=True, slots=True)
class Statement:
    """`label: from origin -> element -> element`."""

    label: Identifier | None
    origin: Identifier | None
    elements: tuple[Element, ...]
    doc: str
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Input:
    """`input 224x224 3 order=bgr`."""

    size: Window
    channels: Argument | None
    attributes: tuple[Attribute, ...]
    doc: str
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Aux:
    """`aux label { ... }`."""

    label: Identifier
    body: Body
    doc: str
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Body:
    """Statements between braces."""

    statements: tuple[Statement | Input | Aux, ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Numerics:
    """`numerics caffe`."""

    preset: Identifier
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Default:
    """`default op name=value`."""

    op: Identifier
    attributes: tuple[Attribute, ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Constant:
    """`let name = expression`."""

    name: Identifier
    value: Expression
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a block or network, with its default if it has one."""

    name: Identifier
    default: Expression | None
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Unit:
    """`unit name = op -> op`."""

    name: Identifier
    calls: tuple[Call, ...]
    doc: str
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Block:
    """`block name(parameters) { ... }`."""

    name: Identifier
    parameters: tuple[Parameter, ...]
    body: Body
    doc: str
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Network:
    """`network name(parameters) { ... }`."""

    name: Identifier
    parameters: tuple[Parameter, ...]
    body: Body
    doc: str
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Use:
    """`use a, b from "file.inc"`."""

    names: tuple[Identifier, ...]
    path: Text
    span: Span = field(compare=False, repr=False)


Item: TypeAlias = Numerics | Default | Constant | Unit | Block | Network | Use


@dataclass(frozen=True, slots=True)
class Spec:
    """One file."""

    items: tuple[Item, ...]  #: The items of the file, in order
    doc: str  #: The doc comment at the top
    header: str  #: The plain comment before that, such as a licence


def inner_bodies(body: Body) -> list[Body]:
    """Return the bodies directly inside a body."""
    bodies: list[Body] = []
    for statement in body.statements:
        if isinstance(statement, Aux):
            bodies.append(statement.body)
        elif isinstance(statement, Statement):
            for element in statement.elements:
                if isinstance(element, (Join, Group, Repeat)):
                    bodies.append(element.body)
                elif isinstance(element, Conditional):
                    bodies.append(element.then)
                    if element.otherwise is not None:
                        bodies.append(element.otherwise)
    return bodies


def statements(body: Body) -> Iterator[Statement]:
    """Yield the statements of a body and of all bodies inside it."""
    pending = [body]
    while pending:
        current = pending.pop()
        pending.extend(inner_bodies(current))
        yield from (s for s in current.statements if isinstance(s, Statement))


def called(item: Unit | Block | Network) -> Iterator[Identifier]:
    """Yield the names that a definition applies, including ops."""
    if isinstance(item, Unit):
        yield from (call.name for call in item.calls)
        return
    yield from applied(item.body)


def applied(body: Body) -> Iterator[Identifier]:
    """Yield the names that a body applies, including ops."""
    for statement in statements(body):
        yield from (e.name for e in statement.elements if isinstance(e, Call))


def choice_of_heads(statement: Statement | Input | Aux) -> Conditional | None:
    """Return the `if` that makes up a statement, if it or its `else if`s contain heads."""
    if not isinstance(statement, Statement) or statement.label or statement.origin:
        return None
    choice = statement.elements[0] if len(statement.elements) == 1 else None
    if not isinstance(choice, Conditional):
        return None
    inner = [*choice.then.statements, *(choice.otherwise.statements if choice.otherwise else ())]
    found = any(isinstance(each, Aux) or choice_of_heads(each) for each in inner)
    return choice if found else None
