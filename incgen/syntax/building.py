"""Build the syntax tree from what Lark's rules match."""

# ruff: noqa: D102  # a method does what its rule says

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any, cast

from lark import Token

from incgen.base.diagnostics import Code
from incgen.base.source import SourceFile, Span
from incgen.language import expressions as ex
from incgen.language.arithmetic import FUNCTIONS, MAX_NUMBER
from incgen.syntax import tree as st
from incgen.syntax.faults import SyntaxFault
from incgen.syntax.lexing import MAX_NESTING
from incgen.syntax.reducing import Make
from incgen.syntax.refusals import refuse_depth, refuse_input, refuse_order, refuse_split_window

_MAX_DIGITS = 30
_PART = re.compile(r"[0-9]+|\{[^{}]*\}")


class Builder:
    """Makes the node of each rule.

    A method has the name of its rule in grammar/inc.lark.
    """

    def __init__(self) -> None:
        self.source: SourceFile  #: The file
        self.shift = 0  #: The offset of the text in the file
        self.fault: SyntaxFault | None = None  #: The first fault of a node
        #: The doc comments that no definition has claimed yet, by line
        self.docs: dict[int, str] = {}
        #: Parses an expression inside a token, from an offset
        self.expression_in: Callable[[str, int], ex.Expression]

    def span_of(self, token: Token) -> Span:
        """Return the span of a token."""
        start = cast(int, token.start_pos) + self.shift
        return Span(self.source, start, start + len(token))

    def make(self, rule: str) -> Make:
        """Return what makes the node of a rule, until a fault: those of the syntax go first."""
        build = getattr(self, rule)

        def made(parts: list[Any], start: int | None, end: int | None) -> Any:
            if self.fault is not None:
                return None
            span = Span(self.source, (start or 0) + self.shift, (end or 0) + self.shift)
            try:
                return build(span, parts)
            except SyntaxFault as fault:
                self.fault = fault
                return None

        return made

    def _doc(self, span: Span) -> str:
        """Take the doc comment on the lines directly above."""
        if not self.docs:
            return ""
        line, comments, lines = span.line - 1, list[str](), self.source.lines
        text, before = self.source.text, span.start
        while before and text[before - 1] in " \t":
            before -= 1
        if before and text[before - 1] != "\n":
            return ""  # something else begins this line, and the comment belongs to that
        while line and lines[line - 1].lstrip().startswith("#"):
            if line in self.docs:  # a plain comment between them belongs to neither
                comments.append(self.docs.pop(line))
            line -= 1
        return "\n".join(reversed(comments)).strip("\n")

    def start(self, span: Span, items: list[st.Item]) -> st.Spec:
        spec = st.Spec(tuple(items), *self._head())
        refuse_depth(spec, MAX_NESTING)
        return spec

    def _head(self) -> tuple[str, str]:
        """Return the doc comment at the top, unless it is the first item's, and the header."""
        docs, header = list[str](), list[str]()
        for number, line in enumerate(self.source.lines, 1):
            text = line.strip()
            if text.startswith("##"):
                if number not in self.docs:
                    break  # it belongs to an item
                docs.append(self.docs[number])
            elif docs if not text else not text.startswith("#"):
                break
            elif not docs:
                header.append(doc_words(text.removeprefix("#")))
        return "\n".join(docs).strip("\n"), "\n".join(header).strip("\n")

    def numerics(self, span: Span, parts: list[st.Identifier]) -> st.Numerics:
        return st.Numerics(parts[0], span=span)

    def default(self, span: Span, parts: list[Any]) -> st.Default:
        return st.Default(parts[0], tuple(parts[1:]), span=span)

    def constant(self, span: Span, parts: list[Any]) -> st.Constant:
        return st.Constant(parts[0], parts[1], span=span)

    def unit(self, span: Span, parts: list[Any]) -> st.Unit:
        return st.Unit(parts[0], tuple(parts[1:]), self._doc(span), span=span)

    def block(self, span: Span, parts: list[Any]) -> st.Block:
        return st.Block(parts[0], tuple(parts[1:-1]), parts[-1], self._doc(span), span=span)

    def network(self, span: Span, parts: list[Any]) -> st.Network:
        return st.Network(parts[0], tuple(parts[1:-1]), parts[-1], self._doc(span), span=span)

    def use(self, span: Span, parts: list[Any]) -> st.Use:
        return st.Use(tuple(parts[:-1]), self.STRING_node(parts[-1]), span=span)

    def recipe(self, span: Span, parts: list[Any]) -> st.Recipe:
        name, trains, parent, *settings = parts
        return st.Recipe(name, trains, parent, tuple(settings), self._doc(span), span=span)

    def trains(self, span: Span, parts: list[Any]) -> st.Trains:
        return st.Trains(parts[0], tuple(parts[1:]), span=span)

    def parent(self, span: Span, parts: list[st.Identifier]) -> st.Identifier:
        return parts[0]

    def setting(self, span: Span, parts: list[st.Call]) -> st.Setting:
        return st.Setting(tuple(parts), span=span)

    def images(self, span: Span, parts: list[Any]) -> st.Images:
        return st.Images(parts[0], tuple(parts[1:]), span=span)

    def parameter(self, span: Span, parts: list[Any]) -> st.Parameter:
        default = parts[1] if len(parts) > 1 else None
        return st.Parameter(parts[0], default, span=span)

    def body(self, span: Span, statements: list[Any]) -> st.Body:
        return st.Body(tuple(statements), span=span)

    def statement(self, span: Span, parts: list[Any]) -> st.Statement:
        label, *rest = parts
        origin = None
        if rest and isinstance(rest[0], st.Identifier):
            origin, *rest = rest
        return st.Statement(label, origin, tuple(rest), self._doc(span), span=span)

    def origin(self, span: Span, parts: list[st.Identifier]) -> st.Identifier:
        return parts[0]

    def input(self, span: Span, parts: list[Any]) -> st.Input:
        window, *rest = parts
        refuse_input(self.span_of(window), rest[0] if rest else None)
        channels = rest.pop(0) if rest and not isinstance(rest[0], st.Attribute) else None
        size = self.window(span, [window])
        return st.Input(size, channels, tuple(rest), self._doc(span), span=span)

    def aux(self, span: Span, parts: list[Any]) -> st.Aux:
        return st.Aux(parts[0], parts[1], self._doc(span), span=span)

    def call(self, span: Span, parts: list[Any]) -> st.Call:
        attributes = [part for part in parts[1:] if isinstance(part, st.Attribute)]
        positional = [part for part in parts[1:] if not isinstance(part, st.Attribute)]
        refuse_split_window(str(parts[0].text), positional)
        call = st.Call(parts[0], tuple(positional), tuple(attributes), span=span)
        for before, part in itertools.pairwise(parts[1:]):
            if isinstance(before, st.Attribute) and not isinstance(part, st.Attribute):
                refuse_order(call, part)
        return call

    def join(self, span: Span, parts: list[Any]) -> st.Join:
        return st.Join(str(parts[0]), parts[1], span=span)

    def group(self, span: Span, parts: list[st.Body]) -> st.Group:
        return st.Group(parts[0], span=span)

    def repeat(self, span: Span, parts: list[Any]) -> st.Repeat:
        return st.Repeat(parts[0], parts[1], span=span)

    def conditional(self, span: Span, parts: list[Any]) -> st.Conditional:
        condition, then, otherwise = parts
        if isinstance(otherwise, st.Conditional):  # `else if` is an `else` with one `if` in it
            only = st.Statement(None, None, (otherwise,), "", span=otherwise.span)
            otherwise = st.Body((only,), span=otherwise.span)
        return st.Conditional(condition, then, otherwise, span=span)

    def attribute(self, span: Span, parts: list[Any]) -> st.Attribute:
        value = parts[1]
        if isinstance(value, Token):
            value = self.STRING_node(value)
        return st.Attribute(parts[0], value, span=span)

    def items(self, span: Span, parts: list[Any]) -> st.Items:
        values = [self.STRING_node(p) if isinstance(p, Token) else p for p in parts]
        return st.Items(tuple(values), span=span)

    def init(self, span: Span, parts: list[Any]) -> st.Applied:
        return st.Applied(str(parts[0]), tuple(parts[1:]), span=span)

    def STRING_node(self, token: Token) -> st.Text:
        return st.Text(str(token)[1:-1], span=self.span_of(token))

    def window(self, span: Span, parts: list[Token]) -> st.Window:
        token = parts[0]
        base = cast(int, token.start_pos) + self.shift
        sizes: list[ex.Expression | None] = [
            self._part(match, base) for match in _PART.finditer(token)
        ]
        span = Span(self.source, base, base + len(token))
        sizes += [sizes[2]] if len(sizes) == 3 else [None] * (4 - len(sizes))
        height, width, stride_height, stride_width = sizes
        assert height is not None and width is not None
        return st.Window(height, width, stride_height, stride_width, span=span)

    def _part(self, match: re.Match[str], base: int) -> ex.Expression:
        text = match.group()
        start = base + match.start()
        if text[0] != "{":
            return self._number(text, Span(self.source, start, start + len(text)))
        return self.expression_in(text[1:-1], start + 1)

    def expression(self, span: Span, parts: list[ex.Expression]) -> ex.Expression:
        return parts[0]

    def _binary(self, span: Span, parts: list[Any]) -> ex.Expression:
        left, operator, right = parts
        return self._bounded(ex.Binary(str(operator), left, right, span=span))

    disjunction = conjunction = comparison = sum = product = _binary

    def _bounded(self, node: ex.Expression) -> ex.Expression:
        if ex.depth(node) > MAX_NESTING:
            message = f"operators are nested more than {MAX_NESTING} deep"
            help_ = "give a part of the expression a name with `let`"
            assert node.span is not None
            raise SyntaxFault(Code.NESTING_TOO_DEEP, node.span, message, help=help_)
        return node

    def negation(self, span: Span, parts: list[ex.Expression]) -> ex.Expression:
        return self._bounded(ex.Unary("not", parts[0], span=span))

    def negative(self, span: Span, parts: list[Any]) -> ex.Expression:
        sign, operand = parts
        if sign == "+":
            return cast(ex.Expression, operand)
        if isinstance(operand, ex.Literal) and not isinstance(operand.value, (bool, str)):
            return ex.Literal(-operand.value, span=span)
        return self._bounded(ex.Unary("negative", operand, span=span))

    def function(self, span: Span, parts: list[Any]) -> ex.Expression:
        name = str(parts[0])
        arguments = tuple(parts[1:])
        takes = FUNCTIONS[name][1]
        if len(arguments) not in takes:
            wanted = "one number" if takes.start == 1 else "two numbers or more"
            message = f"`{name}` takes {wanted}, not {len(arguments)}"
            raise SyntaxFault(Code.ARGUMENT_COUNT, span, message)
        return self._bounded(ex.Call(name, arguments, span=span))

    def number(self, span: Span, parts: list[Token]) -> ex.Expression:
        return self._number(str(parts[0]), span)

    def signed(self, span: Span, parts: list[Token]) -> ex.Expression:
        sign, digits = parts
        return self._number(str(digits), span, -1 if sign == "-" else 1)

    def _number(self, text: str, span: Span, sign: int = 1) -> ex.Literal:
        if len(text) > _MAX_DIGITS:
            message = f"a number has at most {_MAX_DIGITS} characters, but this one has {len(text)}"
            raise SyntaxFault(Code.NUMBER_RANGE, span, message)
        value = int(text) if text.isdigit() else float(text)
        if value > MAX_NUMBER:
            raise SyntaxFault(Code.NUMBER_RANGE, span, f"numbers go up to 2**53 = {MAX_NUMBER}")
        return ex.Literal(sign * value, span=span)

    def truth(self, span: Span, parts: list[Token]) -> ex.Expression:
        return ex.Literal(parts[0] == "true", span=span)

    def reference(self, span: Span, parts: list[Token]) -> ex.Expression:
        return ex.Name(str(parts[0]), span=span)

    def name(self, span: Span, parts: list[Token]) -> st.Identifier:
        return st.Identifier(str(parts[0]), span=span)


def doc_words(comment: str) -> str:
    """Return the text of a comment after its `#`, without unprintable characters."""
    shown = "".join(c if c.isprintable() else " " for c in comment).rstrip()
    text = shown.lstrip()
    blanks = comment[: len(shown) - len(text)]
    return blanks.removeprefix(" ") + text if blanks.isprintable() else text
