"""Source text of expressions to trees, and trees to text on one line.

Text is taken as it is, so it must already be spelled as the formatter spells it: double quotes,
``1e-05``, ``x[1:]``, no needless parentheses.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, assert_never

from incgen.layout.nodes import (
    Attribute,
    Call,
    Comprehension,
    Dict,
    Keyword,
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

BRACKETS = {"list": "[]", "generator": "()", "set": "{}"}

_IDENTIFIER = r"[^\W\d]\w*"
#: What a power is written of without spaces.
_SIMPLE = re.compile(rf"{_IDENTIFIER}(?:\.{_IDENTIFIER})*|\d[\d_.]*(?:e-?\d+)?j?|0[box]\w+")
_ATOM = re.compile(rf"{_SIMPLE.pattern}|\"[^\"\\]*\"|\.\.\.")

# --------------------------------------------------------------------------------------------
# Text to trees
# --------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def read(text: str) -> Node:
    """The tree of a text, or the text as it is where no tree says exactly the same."""
    if _ATOM.fullmatch(text):
        return Name(text)
    unread = Name(text, closed=False)
    if "\n" in text:
        return unread
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError):
        return unread
    reader = _Reader(text)
    inside = reader.source(tree)
    if text == f"({inside})":
        return Parens(read(inside))
    node = reader.node(tree)
    # Needless parentheses and unusual spacing are the caller's wish: leave such texts alone.
    return node if flat(node) == text else unread


class _Reader:
    """Turns the standard library's tree of a text of one line into ours."""

    def __init__(self, text: str) -> None:
        self._bytes = text.encode()  # in which the parser counts columns

    def source(self, tree: ast.expr) -> str:
        """The text that a tree was parsed from."""
        return self._bytes[tree.col_offset : tree.end_col_offset].decode()

    def node(self, tree: ast.expr) -> Node:
        """Our node for a tree."""
        match tree:
            case ast.Name(name):
                return Name(name)
            case ast.Attribute(value, name):
                owner = self.node(value)
                dotted = isinstance(owner, Name) and owner.text.isidentifier()
                return Name(f"{flat(owner)}.{name}") if dotted else Attribute(owner, name)
            case ast.Call(func, args, keywords):
                given = (*self._nodes(args), *map(self._keyword, keywords))
                return Call(self.node(func), given)
            case ast.Subscript(value, ast.Tuple(items) as index) if _is_bare(index):
                return Subscript(self.node(value), self._nodes(items))
            case ast.Subscript(value, index):
                return Subscript(self.node(value), (self.node(index),))
            case ast.Starred(value):
                return Starred(self.node(value))
            case ast.List(items):
                return List(self._nodes(items))
            case ast.Tuple(items):
                return Tuple(self._nodes(items), bare=_is_bare(tree))
            case ast.Dict(keys, values):
                read_keys = (None if key is None else self.node(key) for key in keys)
                return Dict(tuple(zip(read_keys, self._nodes(values), strict=True)))
            case ast.GeneratorExp(element, [loop]):
                return self._comprehension(element, loop, "generator")
            case ast.ListComp(element, [loop]):
                return self._comprehension(element, loop, "list")
            case ast.SetComp(element, [loop]):
                return self._comprehension(element, loop, "set")
            case ast.IfExp(condition, then, otherwise):
                return Ternary(self.node(then), self.node(condition), self.node(otherwise))
            case ast.UnaryOp(operator, operand):
                return Unary(_UNARY[type(operator)], self.node(operand))
            case ast.BinOp(left, operator, right):
                return Operation(_BINARY[type(operator)], self._nodes([left, right]))
            case ast.BoolOp(operator, operands):
                word = "and" if isinstance(operator, ast.And) else "or"
                return Operation(word, self._nodes(operands))
            case ast.Compare(first, operators, rest) if len(set(map(type, operators))) == 1:
                return Operation(_COMPARE[type(operators[0])], self._nodes([first, *rest]))
            case _:
                return Name(self.source(tree), closed=isinstance(tree, _CLOSED))

    def _nodes(self, trees: Sequence[ast.expr]) -> tuple[Node, ...]:
        return tuple(map(self.node, trees))

    def _keyword(self, keyword: ast.keyword) -> Keyword | Starred:
        value = self.node(keyword.value)
        return Starred(value, 2) if keyword.arg is None else Keyword(keyword.arg, value)

    def _comprehension(
        self,
        element: ast.expr,
        loop: ast.comprehension,
        kind: Literal["list", "generator", "set"],
    ) -> Comprehension:
        target, conditions = self.source(loop.target), self._nodes(loop.ifs)
        return Comprehension(self.node(element), target, self.node(loop.iter), conditions, kind)


def _is_bare(tree: ast.Tuple) -> bool:
    """Whether a tuple is without parentheses: it then ends where its last item does."""
    return bool(tree.elts) and tree.end_col_offset == tree.elts[-1].end_col_offset


#: Trees without a node of their own that need no parentheses inside others.
_CLOSED = ast.Constant | ast.JoinedStr | ast.Set | ast.SetComp | ast.DictComp | ast.ListComp

_UNARY: dict[type[ast.unaryop], Literal["not", "-", "+", "~"]] = {
    ast.Not: "not",
    ast.USub: "-",
    ast.UAdd: "+",
    ast.Invert: "~",
}
_BINARY: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.MatMult: "@",
    ast.Pow: "**",
    ast.BitOr: "|",
    ast.BitXor: "^",
    ast.BitAnd: "&",
    ast.LShift: "<<",
    ast.RShift: ">>",
}
_COMPARE: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
    ast.Is: "is",
    ast.IsNot: "is not",
}

# --------------------------------------------------------------------------------------------
# Trees to text
# --------------------------------------------------------------------------------------------


def flat(node: Node | Keyword) -> str:
    """A tree on one line."""
    match node:
        case Name(text):
            return text
        case Parens(value):
            return f"({flat(value)})"
        case Attribute(value, name):
            return f"{flat(value)}.{name}"
        case Keyword(name, value):
            return f"{name}={flat(value)}"
        case Starred(value, stars):
            return "*" * stars + flat(value)
        case Call(func, args):
            return f"{flat(func)}({flat_arguments(args)})"
        case Subscript(value, index):
            return f"{flat(value)}[{_flat_items(index)}]"
        case List(items):
            return f"[{_flat_items(items)}]"
        case Tuple(items, bare):
            inside = _flat_items(items) + ("," if len(items) == 1 else "")
            return inside if bare else f"({inside})"
        case Dict(pairs):
            return "{" + ", ".join(_flat_pair(key, value) for key, value in pairs) + "}"
        case Operation():
            return _flat_operation(node)
        case Unary(operator, operand):
            return operator + (" " if operator == "not" else "") + flat(operand)
        case Ternary(then, condition, otherwise):
            return f"{flat(then)} if {flat(condition)} else {flat(otherwise)}"
        case Comprehension():
            brackets = BRACKETS[node.kind]
            return f"{brackets[0]}{_flat_comprehension(node)}{brackets[1]}"
        case _:
            assert_never(node)


def _flat_items(items: tuple[Node, ...]) -> str:
    return ", ".join(map(flat, items))


def flat_arguments(args: tuple[Node | Keyword, ...]) -> str:
    """The arguments of a call on one line."""
    generator = sole_generator(args)
    return ", ".join(map(flat, args)) if generator is None else _flat_comprehension(generator)


def _flat_pair(key: Node | None, value: Node) -> str:
    return f"**{flat(value)}" if key is None else f"{flat(key)}: {flat(value)}"


def _flat_operation(node: Operation) -> str:
    operands = node.operands
    text = flat(operands[0])
    for left, right in itertools.pairwise(operands):
        tight = node.operator == "**" and is_simple(left) and is_simple(right)
        text += f"**{flat(right)}" if tight else f" {node.operator} {flat(right)}"
    return text


def _flat_comprehension(node: Comprehension) -> str:
    conditions = "".join(f" if {flat(condition)}" for condition in node.conditions)
    return f"{flat(node.element)} for {node.target} in {flat(node.iterable)}{conditions}"


def sole_generator(args: tuple[Node | Keyword, ...]) -> Comprehension | None:
    """The generator that is the only argument of a call and so goes without parentheses."""
    match args:
        case (Comprehension(kind="generator") as generator,):
            return generator
        case _:
            return None


def is_simple(operand: Node) -> bool:
    """Whether a power of this operand is written without spaces."""
    match operand:
        case Name(text):
            return _SIMPLE.fullmatch(text) is not None
        case Attribute(value, _):
            return is_simple(value)
        case Unary(operator, value):
            return operator != "not" and is_simple(value)
        case _:
            return False
