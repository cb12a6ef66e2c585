"""Trees of expressions to documents: where their lines may break."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import assert_never

from incgen.layout.documents import (
    Doc,
    FitParens,
    Group,
    GroupId,
    GroupIfBroken,
    Indent,
    Line,
    MayExpand,
    When,
)
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
from incgen.layout.parentheses import Need, is_fluent, looseness, need_of, prefers_brackets
from incgen.layout.text import BRACKETS, is_simple, sole_generator

# Where an expression stands: outside all brackets, inside some, or (any other number) inside the
# group of that id, which may still get parentheses.
Place = int
OUTSIDE: Place = -1
INSIDE: Place = -2


class Builder:
    """Makes the documents of one statement."""

    def __init__(self) -> None:
        self._ids: Iterator[GroupId] = itertools.count()

    def value(self, node: Node, need: Need | None = None, *, always_grouped: bool = False) -> Doc:
        """The document of a whole value, with parentheses around it where the rules want them."""
        need = need_of(node) if need is None else need
        if isinstance(node, Tuple) and node.bare:
            return self._parens_if_broken(lambda place: self.items(node.items, place))
        if need is Need.NEVER:
            return self.expression(node, OUTSIDE)
        if need is Need.IF_FITTING and not always_grouped:
            group = next(self._ids)
            return FitParens(self.expression(node, group), group)
        if prefers_brackets(node):
            return self.optional_parens(lambda place: self.expression(node, place))
        return self._parens_if_broken(lambda place: self.expression(node, place))

    def optional_parens(self, content: Callable[[Place], Doc]) -> Doc:
        """Parentheses for content whose own brackets open first."""
        group = next(self._ids)
        return self._parens(content(group), group)

    def _parens_if_broken(self, content: Callable[[Place], Doc]) -> Doc:
        """Parentheses for content that is not on one line."""
        return self._parens(content(INSIDE), next(self._ids))

    def _parens(self, content: Doc, group: GroupId) -> Doc:
        inside = Indent((Line.SOFT, content), group)
        return Group((When("("), inside, Line.SOFT, When(")")), group)

    def pair(self, items: tuple[Node, ...]) -> Doc:
        """Two returned values: brackets in them open first, then parentheses go around both."""
        group = next(self._ids)
        # With its parentheses it would next be read as a tuple that has always had them.
        broken = self.expression(Tuple(items), OUTSIDE)
        return Group((When(broken), When(self.items(items, group), False)), group)

    def items(self, items: Iterable[Node | Keyword], place: Place) -> Doc:
        """Items with commas between them, and one at the end if there are several lines."""
        docs = [self._argument(item, place) for item in items]
        return (joined(docs), When(",")) if len(docs) > 1 else joined(docs)

    def _argument(self, node: Node | Keyword, place: Place) -> Doc:
        if isinstance(node, Keyword):
            return (f"{node.name}=", self.expression(node.value, place))
        return self.expression(node, place)

    def expression(self, node: Node, place: Place) -> Doc:
        """The document of an expression."""
        match node:
            case Name(text):
                return text
            case Parens(value):
                return self._brackets("()", self.expression(value, INSIDE), place)
            case Attribute() | Call() | Subscript():
                return self._link(node, place, None)
            case Starred(value, stars):
                return ("*" * stars, self.expression(value, place))
            case List(items):
                return self._brackets("[]", self.items(items, INSIDE), place) if items else "[]"
            case Tuple(items, _):
                return self._tuple(items, place)
            case Dict(pairs):
                return self._dict(pairs, place)
            case Operation():
                return self._operation(node, place)
            case Unary(operator, operand):
                sign = "not " if operator == "not" else operator
                return (sign, self.expression(operand, place))
            case Ternary():
                return self._group(self._ternary(node, place), place)
            case Comprehension():
                content = Group(self._comprehension(node))
                return self._brackets(BRACKETS[node.kind], content, place)
            case _:
                assert_never(node)

    def _brackets(self, brackets: str, content: Doc, place: Place) -> Doc:
        body: Doc = Group((Indent((Line.SOFT, content)), Line.SOFT))
        if place >= 0:
            body = MayExpand(body, place)
        return (brackets[0], body, brackets[1])

    def _tuple(self, items: tuple[Node, ...], place: Place) -> Doc:
        if not items:
            return "()"
        content = self.items(items, INSIDE)
        return self._brackets("()", (content, ",") if len(items) == 1 else content, place)

    def _dict(self, pairs: tuple[tuple[Node | None, Node], ...], place: Place) -> Doc:
        if not pairs:
            return "{}"
        items = joined([Group(self._pair(key, value)) for key, value in pairs])
        return self._brackets("{}", (items, When(",")) if len(pairs) > 1 else items, place)

    def _pair(self, key: Node | None, value: Node) -> Doc:
        if key is None:
            return ("**", self.expression(value, INSIDE))
        return (self.expression(key, INSIDE), ": ", self.expression(value, INSIDE))

    # Calls, subscripts and dots

    def _link(self, node: Attribute | Call | Subscript, place: Place, chain: bool | None) -> Doc:
        """A link of a chain; ``chain`` says whether the chain is fluent, None for its last link."""
        fluent = (place != OUTSIDE and is_fluent(node)) if chain is None else chain
        match node:
            case Attribute(value, name):
                breaks = fluent and isinstance(value, Parens | Call | Subscript)
                dot: Doc = (Line.SOFT, f".{name}") if breaks else f".{name}"
                doc: Doc = (self._linked(value, place, fluent), dot)
            case Call(func, args):
                doc = (self._linked(func, place, fluent), self._arguments(args, place))
            case Subscript(value, index):
                doc = (self._linked(value, place, fluent), self._index(index, place))
            case _:
                assert_never(node)
        return Group(doc) if fluent and chain is None else doc

    def _linked(self, value: Node, place: Place, fluent: bool) -> Doc:
        if isinstance(value, Attribute | Call | Subscript):
            return self._link(value, place, fluent)
        return self.expression(value, place)

    def _arguments(self, args: tuple[Node | Keyword, ...], place: Place) -> Doc:
        """The arguments of a call with their parentheses: all on one line, or one a line."""
        if not args:
            return "()"
        alone = sole_generator(args)
        content = self.items(args, INSIDE) if alone is None else self._comprehension(alone)
        return self._brackets("()", Group(content), place)

    def _index(self, index: tuple[Node, ...], place: Place) -> Doc:
        content = self.items(index, INSIDE)
        return self._brackets("[]", Group(content) if len(index) > 1 else content, place)

    def _comprehension(self, node: Comprehension) -> Doc:
        """A comprehension without its brackets."""
        iterable = self.expression(node.iterable, INSIDE)
        loop: Doc = (f"for {node.target} in ", iterable)
        conditions = ((Line.SPACE, "if ", self.expression(c, INSIDE)) for c in node.conditions)
        return (Group(self.expression(node.element, INSIDE)), Line.SPACE, loop, *conditions)

    # Operators

    def _group(self, content: Doc, place: Place) -> Doc:
        """A group wherever lines can break at operators."""
        if place == OUTSIDE:
            return content
        return Group(content) if place == INSIDE else GroupIfBroken(content, place)

    def _line(self, line: Line, place: Place) -> Doc:
        """A break wherever lines can break at operators."""
        if place == OUTSIDE:
            return line.value
        if place == INSIDE:
            return line
        return (When(line, True, place), When(line.value, False, place))

    def _ternary(self, node: Ternary, place: Place) -> Doc:
        line = self._line(Line.SPACE, place)
        then, condition = self.expression(node.then, place), self.expression(node.condition, place)
        if isinstance(node.otherwise, Ternary):
            otherwise = self._ternary(node.otherwise, place)
        else:
            otherwise = self._group(self.expression(node.otherwise, place), place)
        return (then, line, "if ", condition, line, "else ", otherwise)

    def _operation(self, node: Operation, place: Place) -> Doc:
        operands: list[Node] = []
        operators: list[str] = []
        _flatten(node, operands, operators)
        return self._group(self._operators(operands, operators, place), place)

    def _operators(self, operands: Sequence[Node], operators: Sequence[str], place: Place) -> Doc:
        """Operands and operators, with breaks before the loosest operators."""
        loosest = max(map(looseness, operators))
        parts: list[Doc] = []
        start = 0
        for index, operator in enumerate(operators):
            if looseness(operator) == loosest:
                parts.append(self._part(operands, operators, start, index, place))
                tight = operator == "**" and all(map(is_simple, operands[index : index + 2]))
                parts.extend(self._operator(operator, tight, place))
                start = index + 1
        parts.append(self._part(operands, operators, start, len(operators), place))
        return tuple(parts)

    def _part(
        self,
        operands: Sequence[Node],
        operators: Sequence[str],
        start: int,
        end: int,
        place: Place,
    ) -> Doc:
        """The operands from ``start`` to ``end`` and the operators between them."""
        if start == end:
            return self.expression(operands[start], place)
        content = self._operators(operands[start : end + 1], operators[start:end], place)
        return self._group(content, place)

    def _operator(self, operator: str, tight: bool, place: Place) -> tuple[Doc, ...]:
        if not tight:
            return (self._line(Line.SPACE, place), f"{operator} ")
        if place == OUTSIDE:
            return (operator,)
        space = When(" ", True, None if place == INSIDE else place)
        return (self._line(Line.SOFT, place), operator, space)


def joined(docs: Sequence[Doc]) -> Doc:
    """Documents with commas between them, after which lines may break."""
    first, *rest = docs
    return (first, *((",", Line.SPACE, doc) for doc in rest))


def _flatten(node: Operation, operands: list[Node], operators: list[str]) -> None:
    """Write out an operation and those directly inside it as one row of operands."""
    for index, operand in enumerate(node.operands):
        if index:
            operators.append(node.operator)
        if isinstance(operand, Operation):
            _flatten(operand, operands, operators)
        else:
            operands.append(operand)
