"""The formatter's rules for a whole value: when it gets parentheses, and what breaks first."""

from __future__ import annotations

from enum import Enum
from typing import assert_never

from incgen.layout.nodes import (
    OPERATORS,
    Attribute,
    Call,
    Comprehension,
    Dict,
    List,
    Name,
    Node,
    Operation,
    Parens,
    Starred,
    Subscript,
    Ternary,
    Tuple,
    Unary,
)


class Need(Enum):
    """When a value that does not fit on its line is put in parentheses."""

    NEVER = 1  # It has brackets of its own.
    IF_BROKEN = 2  # It cannot break without them.
    IF_FITTING = 3  # It has nothing to break in front of its first bracket.


def need_of(node: Node) -> Need:
    """When a node that is a whole value is put in parentheses."""
    match node:
        case Name():
            return Need.IF_FITTING
        case Operation() | Ternary() | Starred():
            return Need.IF_BROKEN
        case Parens() | List() | Tuple() | Dict() | Comprehension():
            return Need.NEVER
        case Unary(_, operand):
            return need_of(operand)
        case Attribute(value, _) | Call(value, _) | Subscript(value, _):
            return Need.IF_BROKEN if is_fluent(node) else need_of(value)
        case _:
            assert_never(node)


def is_fluent(node: Node) -> bool:
    """Whether a chain breaks before its dots: two dots or more that follow a bracket."""
    dots = 0
    while True:
        match node:
            case Attribute(Parens(), _):
                return dots + 1 >= 2
            case Attribute(value, _):
                dots += isinstance(value, Call | Subscript)
                node = value
            case Call(value, _) | Subscript(value, _):
                node = value
            case _:
                return dots >= 2


def has_brackets(node: Node) -> bool | None:
    """Whether a node has brackets with something in them; None if it has no brackets."""
    match node:
        case Parens() | Subscript() | Comprehension():
            return True
        case Call(_, items) | List(items) | Tuple(items) | Dict(items):
            return bool(items)
        case Name() | Attribute() | Starred() | Operation() | Unary() | Ternary():
            return None
        case _:
            assert_never(node)


# How loosely operators hold their operands together when a line is broken: a line breaks at the
# loosest ones first. Unlike in precedence, "and" and "or" are on a par.
_LOOSE_DOT, _LOOSE_INVERT, _LOOSE_TERNARY = 1, 3, 100


def looseness(operator: str) -> int:
    """How loosely a binary operator holds its operands together."""
    if operator in ("and", "or"):
        return 50
    if operator == "**":
        return 2
    return 20 - OPERATORS[operator]


def prefers_brackets(node: Node) -> bool:
    """Whether opening brackets of a value comes before adding parentheses around it."""
    return _Shape(node).prefers_brackets()


def _opens_well(end: Node | None) -> bool:
    """Whether the first or last operand has brackets that are good to open."""
    value = end.value if isinstance(end, Parens) else end
    # A subscript would look odd, in parentheses or not.
    return end is not None and not isinstance(value, Subscript) and has_brackets(end) is True


class _Shape:
    """What a value shows outside of its brackets: its loosest operators and its two ends."""

    def __init__(self, node: Node) -> None:
        self.loosest = 0
        self.count = 0
        self.has_brackets = False
        self.last: Node | None = None
        self.first: Node | None = None
        self._has_first = False
        self._look(node)

    def prefers_brackets(self) -> bool:
        """Whether there are brackets to open, and no place where a break would read better."""
        if not self.has_brackets or self.count > 1:
            return False
        if self.loosest <= _LOOSE_DOT:
            return True
        return any(_opens_well(end) for end in (self.last, self.first))

    def _visit(self, node: Node) -> None:
        self.last = node
        if isinstance(node, Parens):
            self.has_brackets = True
        else:
            self._look(node)
        self._begin(node)

    def _begin(self, node: Node | None) -> None:
        if not self._has_first:
            self._has_first = True
            self.first = node

    def _operator(self, loose: int, count: int = 1) -> None:
        if loose > self.loosest:
            self.loosest, self.count = loose, count
        elif loose == self.loosest:
            self.count += count

    def _look(self, node: Node) -> None:
        match node:
            case List() | Tuple() | Dict() | Comprehension() | Parens():
                self.has_brackets = True
            case Operation(operator, operands):
                self._operator(looseness(operator), len(operands) - 1)
                for operand in operands:
                    self._visit(operand)
            case Ternary(then, condition, otherwise):
                self._operator(_LOOSE_TERNARY, 2)
                for part in (then, condition, otherwise):
                    self._visit(part)
            case Call(value, _) | Subscript(value, _):
                self.has_brackets = True
                self._visit(value)
                self.last = node
            case Attribute(value, _):
                self._visit(value)
                if has_brackets(value) is not None:
                    self._operator(_LOOSE_DOT)
                self.last = node
            case Unary(operator, operand):
                if operator == "~":
                    self._operator(_LOOSE_INVERT)
                self._begin(None)
                self._visit(operand)
            case Starred(value, _):
                self._begin(None)
                self._visit(value)
            case Name():
                pass
            case _:
                assert_never(node)
