"""Random specs as trees, and trees as text.

Expressions are kept as their text: the language's operators are Python's, so that one text is both
what is printed and what `tracking.py` evaluates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

_ATOM = re.compile(r"[\w.]+|\d[\w.]*e-\d+|(int|round|min|max)\([^()]*\)")
_SIGNED = re.compile(r"-[\d.]+")
_WIDTH = 96


@dataclass(frozen=True, slots=True)
class Window:
    """`KHxKW/SHxSW`, where each part is an expression; the stride can be omitted."""

    kernel: tuple[str, str]
    stride: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the text of the call."""
        text = "x".join(map(_part, self.kernel))
        return f"{text}/{'x'.join(map(_part, self.stride))}" if self.stride else text


@dataclass(frozen=True, slots=True)
class Sides:
    """A padding of two (`HxW`) or four numbers (`[top, bottom, left, right]`)."""

    sides: tuple[str, ...]

    def __str__(self) -> str:
        if len(self.sides) == 2:
            return "x".join(map(_part, self.sides))
        return f"[{', '.join(self.sides)}]"


@dataclass(frozen=True, slots=True)
class Initializer:
    """An initialiser, as written."""

    text: str

    def __str__(self) -> str:
        return self.text


#: An argument; a string is an expression.
Value: TypeAlias = str | Window | Sides | Initializer


@dataclass(frozen=True, slots=True)
class Call:
    """A use of an op, unit or block."""

    name: str
    positional: tuple[Value, ...] = ()
    attributes: tuple[tuple[str, Value], ...] = ()

    def __str__(self) -> str:
        parts = [self.name, *(_argument(value) for value in self.positional)]
        parts += [f"{name}={_argument(value, named=True)}" for name, value in self.attributes]
        return " ".join(parts)


@dataclass(frozen=True, slots=True)
class Chain:
    """Consecutive elements."""

    elements: tuple[Element, ...]


@dataclass(frozen=True, slots=True)
class Join:
    """`concat`, `add` or `mul`: every statement of its body is a branch."""

    kind: str
    body: Body


@dataclass(frozen=True, slots=True)
class Group:
    """A body in place of an op."""

    body: Body


@dataclass(frozen=True, slots=True)
class Repeat:
    """A repeated body."""

    count: str
    body: Body


@dataclass(frozen=True, slots=True)
class Conditional:
    """One of two bodies."""

    condition: str
    then: Body
    otherwise: Body | Conditional | None = None


Element: TypeAlias = Call | Chain | Join | Group | Repeat | Conditional


@dataclass(frozen=True, slots=True)
class Statement:
    """An element with its label, origin, doc comment and comment; a lone `from` has no element."""

    element: Element | None
    label: str | None = None
    origin: str | None = None
    doc: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Head:
    """`aux label { ... }`."""

    label: str
    body: Body
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Body:
    """Statements in order."""

    statements: tuple[Statement | Head, ...]


@dataclass(frozen=True, slots=True)
class Unit:
    """`unit name = call -> call ...`."""

    name: str
    calls: tuple[Call, ...]
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Formal:
    """A parameter: its name, what it is for, and its default."""

    name: str
    role: str
    default: str | None = None

    def __str__(self) -> str:
        return self.name if self.default is None else f"{self.name} = {self.default}"


@dataclass(frozen=True, slots=True)
class Block:
    """`block name(parameters) { ... }`."""

    name: str
    formals: tuple[Formal, ...]
    body: Body
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Network:
    """`network name(parameters) { input ... }`."""

    name: str
    formals: tuple[Formal, ...]
    size: tuple[str, str]
    channels: str
    pixels: str
    body: Body
    doc: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Spec:
    """A whole file.

    Attributes:
        doc: The comment at the top.
        preset: The preset of its `numerics` line, if there is one.
        defaults: The `default` lines: op, name, value.
        constants: The `let` lines: name, expression.
        definitions: Units and blocks in the order in which they are written.
        network: The network.
        other: Other values of the network's parameters, for which it may fit too.
    """

    doc: str
    preset: str | None
    defaults: tuple[tuple[str, str, Value], ...]
    constants: tuple[tuple[str, str], ...]
    definitions: tuple[Unit | Block, ...]
    network: Network
    other: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        """Return the text, which hypothesis prints for a failure."""
        return self.text

    @property
    def text(self) -> str:
        """Return the spec, formatted as a person would write it."""
        return "\n".join(_spec(self)) + "\n"


# ---------------------------------------------------------------- text


def body_text(body: Body) -> str:
    """Return the statements of a body as text."""
    return "\n".join(_statements(body))


def names(parameter: str, text: str) -> bool:
    """Return whether a text uses a parameter, rather than only passing one of that name."""
    return re.search(rf"\b{parameter}\b(?!=[\w(-])", text) is not None


def _part(text: str) -> str:
    """Return one number of a window as text."""
    return text if text.isdigit() else f"{{{text}}}"


def _argument(value: Value, *, named: bool = False) -> str:
    if not isinstance(value, str) or _ATOM.fullmatch(value):
        return str(value)
    if named and _SIGNED.fullmatch(value):
        return value
    return f"({value})"


def _spec(spec: Spec) -> Iterator[str]:
    if spec.doc:
        yield from _doc(spec.doc)
        yield ""
    if spec.preset:
        yield f"numerics {spec.preset}"
    for name, expression in spec.constants:
        yield f"let {name} = {expression}"
    for op, name, value in spec.defaults:
        yield f"default {op} {name}={_argument(value, named=True)}"
    for definition in spec.definitions:
        if isinstance(definition, Block):
            yield ""
        yield from _doc(definition.doc)
        if isinstance(definition, Unit):
            yield f"unit {definition.name} = {' -> '.join(map(str, definition.calls))}"
        else:
            formals = ", ".join(map(str, definition.formals))
            yield from _braced(f"block {definition.name}({formals})", definition.body)
    network = spec.network
    yield ""
    yield from _doc(network.doc)
    formals = f"({', '.join(map(str, network.formals))})" if network.formals else ""
    yield f"network {network.name}{formals} {{"
    size = "x".join(map(_part, network.size))
    yield f"    input {size} {_argument(network.channels)}  {network.pixels}".rstrip()
    yield from _indented(_statements(network.body))
    yield "}"


def _doc(text: str) -> Iterator[str]:
    return (f"## {line}".rstrip() for line in text.split("\n")) if text else iter(())


def _indented(lines: Iterator[str]) -> Iterator[str]:
    return (f"    {line}" if line else line for line in lines)


def _statements(body: Body) -> Iterator[str]:
    for statement in body.statements:
        yield from _doc(statement.doc)
        if isinstance(statement, Head):
            yield from _braced(f"aux {statement.label}", statement.body)
            continue
        label = f"{statement.label}: " if statement.label else ""
        origin = f"from {statement.origin}" if statement.origin else ""
        first, *rest = _element(statement.element) if statement.element else [""]
        arrow = " -> " if origin and first else ""
        lines = [f"{label}{origin}{arrow}{first}", *rest]
        if statement.comment:
            lines[-1] = f"{lines[-1]}  # {statement.comment}"
        yield from lines


def _element(element: Element) -> list[str]:
    """Return the lines of an element, the first of which follows a label."""
    match element:
        case Call():
            return [str(element)]
        case Chain():
            return _chain([_element(inner) for inner in element.elements])
        case Join():
            return list(_braced(element.kind, element.body))
        case Group():
            return list(_braced("", element.body))
        case Repeat():
            return list(_braced(f"repeat {element.count}", element.body))
        case Conditional():
            return list(_conditional(element))


def _chain(parts: list[list[str]]) -> list[str]:
    """Return short chains on one line, and others with one arrow per line."""
    if all(len(part) == 1 for part in parts):
        line = " -> ".join(part[0] for part in parts)
        if len(line) <= _WIDTH:
            return [line]
    lines = list(parts[0])
    for part in parts[1:]:
        lines += [f"-> {part[0]}", *part[1:]]
    return lines


def _braced(title: str, body: Body) -> Iterator[str]:
    """Yield a body on one line if it is one short statement, otherwise on several."""
    lines = list(_statements(body))
    before = f"{title} " if title else ""
    inline = len(lines) == 1 and "#" not in lines[0]
    if inline and len(lines[0]) + len(before) < 60 and not title.startswith(("block", "add")):
        yield f"{before}{{ {lines[0]} }}"
        return
    yield f"{before}{{"
    yield from _indented(iter(lines))
    yield "}"


def _conditional(element: Conditional) -> Iterator[str]:
    yield from _braced(f"if {element.condition}", element.then)
    match element.otherwise:
        case Conditional():
            first, *rest = _conditional(element.otherwise)
            yield f"else {first}"
            yield from rest
        case Body():
            yield from _braced("else", element.otherwise)
