"""Trees of expressions, with the parentheses that precedence asks for.

A node puts itself in normal form when it is made: operands that bind less tightly get their
parentheses, and parentheses that the formatter would drop go.
"""

from __future__ import annotations

import re
from typing import Literal, assert_never

from incgen.records import record


@record
class Name:
    """Text that never breaks: an identifier (dotted or not), a number, a string, a slice.

    What has no node of its own, such as a lambda, is text too; it is not ``closed`` if it needs
    parentheses inside other nodes.
    """

    text: str
    closed: bool = True


@record
class Parens:
    """An expression in explicit parentheses; other nodes add those that precedence needs."""

    value: Node

    def __post_init__(self) -> None:
        """Put the value in normal form; a second pair of parentheses would be dropped."""
        value = _child(self.value)
        _put(self, "value", value.value if isinstance(value, Parens) else value)


@record
class Attribute:
    """``value.name``."""

    value: Node
    name: str

    def __post_init__(self) -> None:
        """Parenthesise a value that binds less tightly than the dot."""
        _put(self, "value", _primary(self.value))


@record
class Keyword:
    """``name=value`` in the arguments of a call."""

    name: str
    value: Node

    def __post_init__(self) -> None:
        """Put the value in normal form."""
        _put(self, "value", _child(self.value))


@record
class Starred:
    """``*value`` or, with two stars, ``**value``."""

    value: Node
    stars: Literal[1, 2] = 1

    def __post_init__(self) -> None:
        """Parenthesise a value that binds less tightly than ``|``."""
        _put(self, "value", _at_least(_child(self.value), _BITWISE_OR))


@record
class Call:
    """``func(args...)``."""

    func: Node
    args: tuple[Node | Keyword, ...] = ()

    def __post_init__(self) -> None:
        """Parenthesise a function that is not a primary."""
        _put(self, "func", _primary(self.func))
        args = (arg if isinstance(arg, Keyword) else _child(arg) for arg in self.args)
        _put(self, "args", tuple(args))


@record
class Subscript:
    """``value[index...]``."""

    value: Node
    index: tuple[Node, ...]

    def __post_init__(self) -> None:
        """Parenthesise a value that is not a primary."""
        _put(self, "value", _primary(self.value))
        _put(self, "index", tuple(map(_child, self.index)))


@record
class List:
    """``[items...]``."""

    items: tuple[Node, ...]

    def __post_init__(self) -> None:
        """Put the items in normal form."""
        _put(self, "items", tuple(map(_child, self.items)))


@record
class Tuple:
    """``(items...)``; a bare one has parentheses only where it does not fit on one line.

    Only whole values can be bare (``return x, y``) and only with two items or more: inside
    another node a tuple always has its parentheses.
    """

    items: tuple[Node, ...]
    bare: bool = False

    def __post_init__(self) -> None:
        """Put the items in normal form."""
        _put(self, "items", tuple(map(_child, self.items)))
        _put(self, "bare", self.bare and len(self.items) > 1)


@record
class Dict:
    """``{key: value, ...}``; a key of None unpacks its value (``**value``)."""

    pairs: tuple[tuple[Node | None, Node], ...]

    def __post_init__(self) -> None:
        """Put keys and values in normal form."""
        _put(self, "pairs", tuple(map(_pair, self.pairs)))


@record
class Operation:
    """Operands joined by one binary operator: ``a + b + c``, ``a and b``, ``a < b < c``."""

    operator: str
    operands: tuple[Node, ...]

    def __post_init__(self) -> None:
        """Parenthesise operands by precedence; join a chain of the same operator."""
        operands = _operands(self.operator, tuple(map(_child, self.operands)))
        _put(self, "operands", operands)


@record
class Unary:
    """``not operand``, ``-operand``, ``+operand`` or ``~operand``."""

    operator: Literal["not", "-", "+", "~"]
    operand: Node

    def __post_init__(self) -> None:
        """Parenthesise an operand that binds less tightly, and any power (as ruff does)."""
        operand = _at_least(_child(self.operand), _precedence(self))
        is_power = isinstance(operand, Operation) and operand.operator == "**"
        _put(self, "operand", Parens(operand) if is_power else operand)


@record
class Ternary:
    """``then if condition else otherwise``."""

    then: Node
    condition: Node
    otherwise: Node

    def __post_init__(self) -> None:
        """Parenthesise ternaries in the first two places."""
        _put(self, "then", _at_least(_child(self.then), _OR))
        _put(self, "condition", _at_least(_child(self.condition), _OR))
        _put(self, "otherwise", _at_least(_child(self.otherwise), _TERNARY))


@record
class Comprehension:
    """``[element for target in iterable if condition...]``, or a generator or a set."""

    element: Node
    target: str
    iterable: Node
    conditions: tuple[Node, ...] = ()
    kind: Literal["list", "generator", "set"] = "list"

    def __post_init__(self) -> None:
        """Parenthesise ternaries after ``in`` and ``if``."""
        _put(self, "element", _child(self.element))
        _put(self, "iterable", _at_least(_child(self.iterable), _OR))
        conditions = (_at_least(_child(condition), _OR) for condition in self.conditions)
        _put(self, "conditions", tuple(conditions))


Node = (
    Name
    | Parens
    | Attribute
    | Starred
    | Call
    | Subscript
    | List
    | Tuple
    | Dict
    | Operation
    | Unary
    | Ternary
    | Comprehension
)

# --------------------------------------------------------------------------------------------
# Normal form: precedence and texts


# How tightly things hold together, after the table of precedences in Python's reference.
_LOOSEST, _TERNARY, _OR, _NOT, _BITWISE_OR, _UNARY, _POWER, _ATOM = 0, 1, 2, 4, 6, 12, 13, 15

_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=", "in", "not in", "is", "is not")

OPERATORS = {
    "or": _OR,
    "and": 3,
    **dict.fromkeys(_COMPARISONS, 5),
    "|": _BITWISE_OR,
    "^": 7,
    "&": 8,
    "<<": 9,
    ">>": 9,
    "+": 10,
    "-": 10,
    **dict.fromkeys(("*", "/", "//", "%", "@"), 11),
    "**": _POWER,
}

_NUMBER = re.compile(r"\d[\d_.]*(?:e-?\d+)?")


def _put(node: object, field: str, value: object) -> None:
    """Set a field of a frozen node while it is being made."""
    object.__setattr__(node, field, value)


def _child(node: Node) -> Node:
    """A node inside another: no tuple without parentheses, and none that would be dropped."""
    match node:
        case Tuple(items, True):
            return Tuple(items)
        case Parens(Tuple() | Comprehension(kind="generator") as inside):
            return inside  # It has parentheses itself, and a second pair would be dropped.
        case _:
            return node


def _pair(pair: tuple[Node | None, Node]) -> tuple[Node | None, Node]:
    key, value = pair
    if key is None:
        return None, _at_least(_child(value), _BITWISE_OR)
    return _child(key), _child(value)


def _primary(node: Node) -> Node:
    """A child in front of a dot, a call or a subscript."""
    node = _child(node)
    if isinstance(node, Name) and _NUMBER.fullmatch(node.text):
        return Parens(node)
    return _at_least(node, _ATOM)


def _at_least(node: Node, precedence: int) -> Node:
    return node if _precedence(node) >= precedence else Parens(node)


def _precedence(node: Node) -> int:
    """How tightly a node holds together."""
    match node:
        case Name(_, closed):
            return _ATOM if closed else _LOOSEST
        case Operation(operator, _):
            return OPERATORS[operator]
        case Unary(operator, _):
            return _NOT if operator == "not" else _UNARY
        case Ternary():
            return _TERNARY
        case Starred():
            return _LOOSEST
        case Parens() | Attribute() | Call() | Subscript():
            return _ATOM
        case List() | Tuple() | Dict() | Comprehension():
            return _ATOM
        case _:
            assert_never(node)


def _operands(operator: str, operands: tuple[Node, ...]) -> tuple[Node, ...]:
    """The operands of one operator with the parentheses they need."""
    own = OPERATORS[operator]
    if operator == "**":
        # Groups from the right, and only its last operand may be a unary or a power.
        *bases, last = operands
        tighter = tuple(_at_least(base, own + 1) for base in bases)
        if isinstance(last, Operation) and last.operator == operator:
            return (*tighter, *last.operands)
        return (*tighter, _at_least(last, _UNARY))
    if operator in _COMPARISONS:
        return tuple(_at_least(operand, own + 1) for operand in operands)
    first, *rest = operands
    tighter = tuple(_at_least(operand, own + 1) for operand in rest)
    if isinstance(first, Operation) and first.operator == operator:
        return (*first.operands, *tighter)
    return (_at_least(first, own), *tighter)
