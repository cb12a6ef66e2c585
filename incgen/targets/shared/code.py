"""Generated code as trees: Python decides what they say, templates how it is written.

A node says what is meant (an op with its arguments, a choice, a loop), never how a framework
writes it; the macro of its name in `templates/TARGET/` does. So a question about code, such as
which parameters it reads, is answered by a tree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, TypeAlias, cast

from incgen.language import expressions as ex
from incgen.language.expressions import Expression

#: The precedence of a name or call: above any operator of `arithmetic.PRECEDENCE`.
ATOM = 10


class Node:
    """A piece of generated code."""

    __slots__ = ()
    __match_args__: ClassVar[tuple[str, ...]] = ()  # the fields of a dataclass

    @property
    def macro(self) -> str:
        """Return the name of the macro that prints it: that of the class, in lower case."""
        return type(self).__name__.lower()

    @property
    def given(self) -> tuple[object, ...]:
        """Return the arguments of its macro."""
        return (self,)


#: An expression of generated code.
Code: TypeAlias = Node | Expression


@dataclass(frozen=True, slots=True)
class Op(Node):
    """An op, a variant that a framework writes differently, or anything else with a macro.

    Attributes:
        name: The name of the op and of its macro.
        args: The facts that the macro takes, by name.
        value: The value that the op is applied to, if it is written as a function.
    """

    name: str
    args: Mapping[str, object]
    value: Code | None = None

    @property
    def macro(self) -> str:
        """Return the name of the op; a function of a value has a macro of its own."""
        return self.name if self.value is None else f"{self.name}_of"

    @property
    def given(self) -> tuple[object, ...]:
        """Return the arguments of the op, after the value if there is one."""
        return (self.args,) if self.value is None else (self.value, self.args)


@dataclass(frozen=True, slots=True)
class Chosen(Node):
    """One of two pieces of code, by a condition."""

    condition: Code
    then: Code
    otherwise: Code


@dataclass(frozen=True, slots=True)
class Construct(Node):
    """A call of a class or function that the file defines for a unit, block or part.

    Attributes:
        name: The name of the class or function.
        positional: Its positional arguments.
        keywords: Its keyword arguments.
    """

    name: str
    positional: tuple[Code, ...]
    keywords: tuple[tuple[str, Code], ...] = ()


@dataclass(frozen=True, slots=True)
class Applied(Node):
    """A module or layer applied to values."""

    layer: Code
    values: tuple[Code, ...]


@dataclass(frozen=True, slots=True)
class Joined(Node):
    """Values joined by `concat`, `add` or `mul`."""

    kind: str
    values: tuple[Code, ...]

    @property
    def macro(self) -> str:
        """Return `concat_of` and the like."""
        return f"{self.kind}_of"


# ---------------------------------------------------------------- parameters


@dataclass(frozen=True, slots=True)
class Type(Node):
    """The type of a parameter: one of several.

    Attributes:
        kinds: The names of Python's own types.
        numbers: The length of a tuple of numbers; 0 for no tuple.
        words: The words that it takes.
    """

    kinds: tuple[str, ...] = ()
    numbers: int = 0
    words: tuple[str, ...] = ()


INT, FLOAT, BOOL, STR = (Type((kind,)) for kind in ("int", "float", "bool", "str"))


@dataclass(frozen=True, slots=True)
class Formal(Node):
    """A parameter of a function: its name, its type if it has one, and its default."""

    name: str
    type: Type | None = None
    default: Code | None = None


# ---------------------------------------------------------------- statements


@dataclass(frozen=True, slots=True)
class Bind(Node):
    """An assignment to a variable or attribute.

    Attributes:
        target: The variable or attribute, as in `self.conv`.
        value: Its value.
        hint: The word for its type in the templates' table of `hints`; empty for none.
        comment: The comment on it.
    """

    target: str
    value: Code
    hint: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Return(Node):
    """A return statement.

    Attributes:
        value: The value.
        comment: The comment on it.
    """

    value: Code
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Run(Node):
    """An expression as a statement."""

    value: Code


@dataclass(frozen=True, slots=True)
class Branches(Node):
    """An `if` statement: conditions and their statements; one without a condition is the `else`."""

    sides: tuple[tuple[Code | None, tuple[Node, ...]], ...]


@dataclass(frozen=True, slots=True)
class Loop(Node):
    """A `for` statement."""

    variable: str
    values: Code
    body: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Comment(Node):
    """A comment on lines of its own."""

    text: str


@dataclass(frozen=True, slots=True)
class Gap(Node):
    """An empty line."""


@dataclass(frozen=True, slots=True)
class Refusal(Node):
    """A statement that refuses values of a parameter for which there is no code."""

    parameter: str
    values: tuple[ex.Literal, ...]


def opposite(condition: Expression) -> Expression:
    """Return the opposite of a condition."""
    match condition:
        case ex.Unary("not", operand):
            return operand
        case _:
            return ex.unary("not", condition)


def branches(sides: Sequence[tuple[Code | None, Sequence[Node]]]) -> tuple[Node, ...]:
    """Return an `if` statement; an empty side is left out if possible.

    Args:
        sides: The conditions and their statements; None is the `else`.
    """
    if sides[-1][0] is None and is_same_everywhere([body for _, body in sides]):
        return tuple(map(_unhinted, sides[0][1])) if len(sides) > 1 else tuple(sides[0][1])
    kept = [(condition, tuple(body)) for condition, body in sides]
    while kept and not kept[-1][1]:
        kept.pop()
    if len(kept) == 2 and not kept[0][1] and kept[1][0] is None:
        condition = kept[0][0]
        assert isinstance(condition, Expression)
        kept = [(opposite(condition), kept[1][1])]
    return (Branches(tuple(kept)),) if kept else ()


def is_same_everywhere(sides: Sequence[Sequence[Node]]) -> bool:
    """Return whether all sides of a condition are the same."""
    first, *others = ([*map(_unhinted, side)] for side in sides)
    return all(other == first for other in others)


def _unhinted(statement: Node) -> Node:
    """Return a statement without a type hint, which only the first of several has."""
    return replace(statement, hint="") if isinstance(statement, Bind) else statement


# ---------------------------------------------------------------- what is in code


def within(code: object) -> Iterator[Code]:
    """Yield the nodes and expressions in a piece of code, outermost first, but no literals."""
    pending: list[object] = [code]
    while pending:
        part = pending.pop()
        if part is None or isinstance(part, (str, int, ex.Literal)):
            continue  # the most frequent
        if isinstance(part, (tuple, list)):
            pending += part[::-1]
        elif isinstance(part, (Node, ex.Arithmetic)):
            yield cast("Code", part)
            pending += [getattr(part, name) for name in part.__match_args__[::-1]]
        elif isinstance(part, dict):
            pending += reversed(part.values())


def parameters_in(code: object) -> dict[str, None]:
    """Return the parameters that code reads, in order."""
    names = dict[str, None]()
    for part in within(code):
        match part:
            case ex.Parameter(name) | ex.Item(name):
                names[name] = None
            case _:
                pass
    return names


def names_in(code: object) -> set[str]:
    """Return the variables that code reads, such as that of a loop."""
    return {part.text for part in within(code) if isinstance(part, ex.Name)}
