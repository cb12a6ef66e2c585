"""Generated code as trees: what Python decides about it, and templates spell.

A node says what is meant (an op with its arguments, a choice, a loop), never how a framework
writes it: the macro of the node's name in `templates/TARGET/` does. So whatever asks something of
code, such as which parameters it reads, asks a tree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import TypeAlias

from incgen.base.records import record
from incgen.language import expressions as ex
from incgen.language.expressions import Expression

#: How tightly code binds, from a choice to a name or call; as `expressions.PRECEDENCE`.
CHOICE, COMPARISON, SUM, PRODUCT, ATOM = 0, 4, 5, 6, 10


class Node:
    """A piece of generated code."""

    __slots__ = ()

    @property
    def macro(self) -> str:
        """Return the name of the macro that prints it: that of the class, in lower case."""
        return type(self).__name__.lower()


#: An expression of generated code.
Code: TypeAlias = Node | Expression


@record
class Name(Node):
    """A variable or attribute, such as `x` or `self.conv`."""

    text: str


@record
class Op(Node):
    """An op of the language, or a form of one that a framework writes in another way.

    Attributes:
        name: of the op and of its macro.
        args: the facts that the macro takes, by name.
        value: what the op is applied to, if it is written as a function of that.
    """

    name: str
    args: Mapping[str, object]
    value: Code | None = None

    @property
    def macro(self) -> str:
        """Return the name of the op; as a function of a value it has a macro of its own."""
        return self.name if self.value is None else f"{self.name}_of"


@record
class Chosen(Node):
    """One of two pieces of code, by a condition."""

    condition: Code
    then: Code
    otherwise: Code


@record
class Construct(Node):
    """A call of a class or function that the file defines for a unit, block or part.

    Attributes:
        name: of the class or function.
        positional: its arguments by place.
        keywords: those by name.
    """

    name: str
    positional: tuple[Code, ...]
    keywords: tuple[tuple[str, Code], ...] = ()


@record
class Applied(Node):
    """A module or layer applied to values."""

    layer: Code
    values: tuple[Code, ...]


@record
class Joined(Node):
    """Values joined by `concat`, `add` or `mul`."""

    kind: str
    values: tuple[Code, ...]


def within(code: object) -> Iterator[Code]:
    """Yield every node and expression in a piece of code, statements included, outermost first."""
    pending: list[object] = [code]
    while pending:
        part = pending.pop()
        if isinstance(part, Expression):
            yield part
            pending += reversed(ex.children(part))
        elif isinstance(part, Node):
            yield part
            assert is_dataclass(part)
            pending += [getattr(part, field.name) for field in reversed(fields(part))]
        elif isinstance(part, Mapping):
            pending += reversed([*part.values()])
        elif isinstance(part, (tuple, list)):
            pending += reversed(part)


def parameters_in(code: object) -> set[str]:
    """Return the parameters that code reads."""
    found = set[str]()
    for part in within(code):
        match part:
            case ex.Parameter(name) | ex.Item(name):
                found.add(name)
            case _:
                pass
    return found
