"""Text to syntax tree. The only module that knows Lark.

Lark reports a fault in its own terms (terminals, states); here it becomes a diagnostic in the
user's. After a faulty line that holds no brace, parsing goes on without that line, so that
several slips are reported at once.
"""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any, cast

from lark import Lark, Token, UnexpectedCharacters, UnexpectedToken, v_args
from lark.exceptions import VisitError
from lark.lark import PostLex
from lark.tree import Meta
from lark.visitors import Transformer_NonRecursive

from incgen import expressions as ex
from incgen import syntax as st
from incgen.diagnostics import Code, Diagnostic, Note, SpecError
from incgen.source import SourceFile, Span

#: Brackets inside brackets, and operators inside operators, up to this depth.
MAX_NESTING = 50
#: A spec longer than this (characters) is refused before it is read.
MAX_TEXT = 20_000_000
#: The largest number a spec may write; beyond it float64 no longer holds whole numbers.
MAX_NUMBER = 2**53
#: Longer names would not fit the lines of generated code.
MAX_NAME = 60
#: So many faulty lines are reported at once.
_MAX_FAULTS = 10

_CLOSING = {"LBRACE": "RBRACE", "LPAR": "RPAR", "LSQB": "RSQB"}
_SIGNS = {
    "LBRACE": "`{`",
    "RBRACE": "`}`",
    "LPAR": "`(`",
    "RPAR": "`)`",
    "LSQB": "`[`",
    "RSQB": "`]`",
    "EQUAL": "`=`",
    "COLON": "`:`",
    "COMMA": "`,`",
    "_ARROW": "`->`",
    "_NEWLINE": "the end of the line",
    "$END": "the end of the file",
    "NAME": "a name",
    "NUMBER": "a number",
    "STRING": 'a "string"',
    "WINDOW": "a window such as `3x3`",
    "COMPARATOR": "a comparison",
    "SIGN": "`+` or `-`",
    "FACTOR": "`*` or `/`",
    "TRUE": "`true`",
    "FALSE": "`false`",
    "JOIN": "`concat`, `add` or `mul`",
}
_ITEMS = {"NUMERICS", "DEFAULT", "LET", "UNIT", "BLOCK", "NETWORK", "USE"}
_JOINS = {"CONCAT", "ADD", "MUL"}
_STATEMENTS = {"FROM", "INPUT", "AUX", "REPEAT", "IF", "ELSE"}
_OPERATORS = {"TRUE", "FALSE", "AND", "OR", "NOT"}
#: The words of the language, which nothing can be called.
KEYWORDS = frozenset(word.lower() for word in _ITEMS | _JOINS | _STATEMENTS | _OPERATORS)
_PART = re.compile(r"\d+|\{[^{}]*\}")


class _Fault(Exception):
    """A fault found while lexing or building; carries its diagnostic."""

    def __init__(self, code: Code, span: Span, message: str, **more: Any) -> None:
        super().__init__(message)
        self.diagnostic = Diagnostic(code, message, span, **more)


def parse(source: SourceFile) -> st.Spec:
    """Parse a file.

    Args:
        source: the file.

    Returns:
        Its syntax tree.

    Raises:
        SpecError: the text does not follow the grammar; every faulty line that can be told
            apart is reported.
    """
    if len(source.text) > MAX_TEXT:
        message = f"the file has {len(source.text)} characters, more than {MAX_TEXT}"
        raise SpecError([Diagnostic(Code.TOO_LARGE, message, None, file=source.name)])
    text, faults = source.text, list[Diagnostic]()
    while True:
        try:
            tree = _parse_text(source, text)
        except _Fault as fault:
            faults.append(fault.diagnostic)
        else:
            if faults:
                raise SpecError(sorted(faults, key=lambda d: d.span.start if d.span else 0))
            return tree
        rest = _without_line(text, faults[-1])
        if rest is None or len(faults) == _MAX_FAULTS:
            raise SpecError(sorted(faults, key=lambda d: d.span.start if d.span else 0))
        text = rest


def parse_value(text: str) -> ex.Expression:
    """Parse an expression given outside of a spec, as in `--set classes=10`.

    Raises:
        SpecError: it is not an expression.
    """
    source = SourceFile("--set", text)
    try:
        with _LOCK:
            return cast(ex.Expression, _run(source, text, "expression", 0))
    except _Fault as fault:
        raise SpecError([fault.diagnostic]) from None


def _without_line(text: str, fault: Diagnostic) -> str | None:
    """The text with the faulty line blanked, or None if that would unbalance it."""
    if fault.span is None or fault.code in (Code.MISSING_BRACE, Code.NESTING_TOO_DEEP):
        return None
    start = text.rfind("\n", 0, fault.span.start) + 1
    end = text.find("\n", fault.span.start)
    end = len(text) if end < 0 else end
    line = text[start:end]
    if not line.strip() or any(bracket in line for bracket in "{}()[]"):
        return None
    return text[:start] + " " * len(line) + text[end:]


# ---------------------------------------------------------------- lexing


class _Lines(PostLex):
    """Drops newlines that end nothing, counts brackets, and bounds numbers and names."""

    always_accept = ("_NEWLINE",)

    def __init__(self) -> None:
        self.open: list[Token] = []
        self.build: _Build

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        self.open = []
        newline: Token | None = None
        for token in stream:
            if token.type == "_NEWLINE":
                if not (self.open and self.open[-1].type != "LBRACE"):
                    newline = newline or token
                continue
            if newline is not None and token.type not in ("_ARROW", "ELSE"):
                yield newline
            newline = None
            self._check(token)
            yield token
        if self.open:
            opened = self.open[-1]
            raise _Fault(
                Code.MISSING_BRACE,
                self.build.span_of(opened),
                f"this `{opened}` is never closed",
            )
        if newline is not None:
            yield newline

    def _check(self, token: Token) -> None:
        span = self.build.span_of
        if token.type in _CLOSING:
            self.open.append(token)
            if len(self.open) > MAX_NESTING:
                message = f"brackets are nested more than {MAX_NESTING} deep"
                raise _Fault(Code.NESTING_TOO_DEEP, span(token), message)
        elif token.type in _CLOSING.values():
            if not self.open:
                raise _Fault(Code.MISSING_BRACE, span(token), f"this `{token}` closes nothing")
            opened = self.open.pop()
            if _CLOSING[opened.type] != token.type:
                raise _Fault(
                    Code.MISSING_BRACE,
                    span(token),
                    f"`{token}` does not close `{opened}`",
                    notes=(Note(f"`{opened}` is opened here", span(opened)),),
                )
        elif token.type == "NAME" and len(token) > MAX_NAME:
            message = f"a name has at most {MAX_NAME} characters, this one has {len(token)}"
            raise _Fault(Code.NUMBER_RANGE, span(token), message)


# ---------------------------------------------------------------- building


@v_args(meta=True)
class _Build(Transformer_NonRecursive):  # type: ignore[type-arg]  # not generic at run time
    """Turns each rule of the tree into its node, without recursion: specs may be long."""

    def __init__(self) -> None:
        super().__init__()
        self.source: SourceFile
        self.shift = 0
        self.docs: dict[int, str] = {}

    # -- places

    def span_of(self, token: Token) -> Span:
        start = cast(int, token.start_pos) + self.shift
        return Span(self.source, start, start + len(token))

    def _span(self, meta: Meta) -> Span:
        if meta.empty:
            return Span(self.source, self.shift, self.shift)
        return Span(self.source, meta.start_pos + self.shift, meta.end_pos + self.shift)

    def _doc(self, span: Span) -> str:
        """The doc comment on the lines directly above."""
        if not self.docs:
            return ""
        line, found = span.line - 1, list[str]()
        if self.source.lines[line][: span.column - 1].strip():
            return ""  # something else begins this line, and the comment is its own
        while line in self.docs:
            found.append(self.docs.pop(line))
            line -= 1
        return "\n".join(reversed(found))

    # -- files and definitions

    def start(self, meta: Meta, items: list[st.Item]) -> st.Spec:
        return st.Spec(tuple(items), self._file_doc())

    def _file_doc(self) -> str:
        """The doc comment at the head, if it is not the first item's."""
        lines, number = self.source.lines, 1
        while number <= len(lines) and not lines[number - 1].strip():
            number += 1
        found = []
        while number in self.docs:
            found.append(self.docs[number])
            number += 1
        return "\n".join(found)

    def numerics(self, meta: Meta, parts: list[st.Identifier]) -> st.Numerics:
        return st.Numerics(parts[0], self._span(meta))

    def default(self, meta: Meta, parts: list[Any]) -> st.Default:
        return st.Default(parts[0], tuple(parts[1:]), self._span(meta))

    def constant(self, meta: Meta, parts: list[Any]) -> st.Constant:
        return st.Constant(parts[0], parts[1], self._span(meta))

    def unit(self, meta: Meta, parts: list[Any]) -> st.Unit:
        span = self._span(meta)
        return st.Unit(parts[0], tuple(parts[1:]), self._doc(span), span)

    def block(self, meta: Meta, parts: list[Any]) -> st.Block:
        span = self._span(meta)
        return st.Block(parts[0], tuple(parts[1:-1]), parts[-1], self._doc(span), span)

    def network(self, meta: Meta, parts: list[Any]) -> st.Network:
        span = self._span(meta)
        return st.Network(parts[0], tuple(parts[1:-1]), parts[-1], self._doc(span), span)

    def use(self, meta: Meta, parts: list[Any]) -> st.Use:
        return st.Use(tuple(parts[:-1]), self.STRING_node(parts[-1]), self._span(meta))

    def parameter(self, meta: Meta, parts: list[Any]) -> st.Parameter:
        default = parts[1] if len(parts) > 1 else None
        return st.Parameter(parts[0], default, self._span(meta))

    # -- bodies

    def body(self, meta: Meta, statements: list[Any]) -> st.Body:
        return st.Body(tuple(statements), self._span(meta))

    def statement(self, meta: Meta, parts: list[Any]) -> st.Statement:
        label, *rest = parts
        origin = None
        if rest and isinstance(rest[0], st.Identifier):
            origin, *rest = rest
        span = self._span(meta)
        return st.Statement(label, origin, tuple(rest), self._doc(span), span)

    def origin(self, meta: Meta, parts: list[st.Identifier]) -> st.Identifier:
        return parts[0]

    def input(self, meta: Meta, parts: list[Any]) -> st.Input:
        window, *rest = parts
        channels = rest.pop(0) if rest and not isinstance(rest[0], st.Attribute) else None
        size = self.window(meta, [window])
        span = self._span(meta)
        return st.Input(size, channels, tuple(rest), self._doc(span), span)

    def aux(self, meta: Meta, parts: list[Any]) -> st.Aux:
        span = self._span(meta)
        return st.Aux(parts[0], parts[1], self._doc(span), span)

    def call(self, meta: Meta, parts: list[Any]) -> st.Call:
        attributes = [part for part in parts if isinstance(part, st.Attribute)]
        positional = parts[1 : len(parts) - len(attributes)]
        _refuse_split_window(positional)
        return st.Call(parts[0], tuple(positional), tuple(attributes), self._span(meta))

    def join(self, meta: Meta, parts: list[Any]) -> st.Join:
        return st.Join(str(parts[0]), parts[1], self._span(meta))

    def group(self, meta: Meta, parts: list[st.Body]) -> st.Group:
        return st.Group(parts[0], self._span(meta))

    def repeat(self, meta: Meta, parts: list[Any]) -> st.Repeat:
        return st.Repeat(parts[0], parts[1], self._span(meta))

    def conditional(self, meta: Meta, parts: list[Any]) -> st.Conditional:
        condition, then, otherwise = parts
        if isinstance(otherwise, st.Conditional):  # `else if` is an `else` with one `if` in it
            inner, depth = otherwise, 1
            while inner.otherwise is not None:
                first = inner.otherwise.statements[:1]
                if not (first and isinstance(first[0], st.Statement) and first[0].elements):
                    break
                following = first[0].elements[0]
                if not isinstance(following, st.Conditional):
                    break
                inner, depth = following, depth + 1
            if depth > MAX_NESTING:
                message = f"more than {MAX_NESTING} `else if` in a row"
                raise _Fault(Code.NESTING_TOO_DEEP, self._span(meta), message)
            only = st.Statement(None, None, (otherwise,), "", otherwise.span)
            otherwise = st.Body((only,), otherwise.span)
        return st.Conditional(condition, then, otherwise, self._span(meta))

    # -- arguments

    def attribute(self, meta: Meta, parts: list[Any]) -> st.Attribute:
        value = parts[1]
        if isinstance(value, Token):
            value = self.STRING_node(value)
        return st.Attribute(parts[0], value, self._span(meta))

    def items(self, meta: Meta, parts: list[Any]) -> st.Items:
        values = [self.STRING_node(p) if isinstance(p, Token) else p for p in parts]
        return st.Items(tuple(values), self._span(meta))

    def init(self, meta: Meta, parts: list[Any]) -> st.Applied:
        return st.Applied(str(parts[0]), tuple(parts[1:]), self._span(meta))

    def STRING_node(self, token: Token) -> st.Text:
        return st.Text(str(token)[1:-1], self.span_of(token))

    def window(self, meta: Meta, parts: list[Token]) -> st.Window:
        token = parts[0]
        base = cast(int, token.start_pos) + self.shift
        sizes: list[ex.Expression | None] = [
            self._part(match, base) for match in _PART.finditer(token)
        ]
        span = Span(self.source, base, base + len(token))
        sizes += [sizes[2]] if len(sizes) == 3 else [None] * (4 - len(sizes))
        height, width, stride_height, stride_width = sizes
        assert height is not None and width is not None
        return st.Window(height, width, stride_height, stride_width, span)

    def _part(self, match: re.Match[str], base: int) -> ex.Expression:
        text = match.group()
        start = base + match.start()
        if text[0] != "{":
            return self._number(text, Span(self.source, start, start + len(text)))
        return cast(ex.Expression, _run(self.source, text[1:-1], "expression", start + 1))

    # -- expressions

    def expression(self, meta: Meta, parts: list[ex.Expression]) -> ex.Expression:
        return parts[0]

    def _binary(self, meta: Meta, parts: list[Any]) -> ex.Expression:
        left, operator, right = parts if len(parts) == 3 else (parts[0], None, parts[1])
        node = ex.Binary(str(operator), left, right, self._span(meta))
        return self._bounded(node)

    sum = product = comparison = _binary

    def _bounded(self, node: ex.Expression) -> ex.Expression:
        if ex.depth(node) > MAX_NESTING:
            message = f"more than {MAX_NESTING} operators in one expression"
            assert node.span is not None
            raise _Fault(Code.NESTING_TOO_DEEP, node.span, message)
        return node

    def and_(self, meta: Meta, parts: list[ex.Expression]) -> ex.Expression:
        return self._bounded(ex.Binary("and", parts[0], parts[1], self._span(meta)))

    def or_(self, meta: Meta, parts: list[ex.Expression]) -> ex.Expression:
        return self._bounded(ex.Binary("or", parts[0], parts[1], self._span(meta)))

    def not_(self, meta: Meta, parts: list[ex.Expression]) -> ex.Expression:
        return self._bounded(ex.Unary("not", parts[0], self._span(meta)))

    def negative(self, meta: Meta, parts: list[Any]) -> ex.Expression:
        sign, operand = parts
        if sign == "+":
            return cast(ex.Expression, operand)
        if isinstance(operand, ex.Literal) and not isinstance(operand.value, (bool, str)):
            return ex.Literal(-operand.value, self._span(meta))
        return self._bounded(ex.Unary("negative", operand, self._span(meta)))

    def number(self, meta: Meta, parts: list[Token]) -> ex.Expression:
        return self._number(str(parts[0]), self._span(meta))

    def _number(self, text: str, span: Span) -> ex.Literal:
        if len(text) > 30:
            raise _Fault(Code.NUMBER_RANGE, span, "a number has at most 30 characters")
        value = int(text) if text.isdigit() else float(text)
        if value > MAX_NUMBER:
            raise _Fault(Code.NUMBER_RANGE, span, f"numbers go up to 2**53 = {MAX_NUMBER}")
        return ex.Literal(value, span)

    def truth(self, meta: Meta, parts: list[Token]) -> ex.Expression:
        return ex.Literal(parts[0] == "true", self._span(meta))

    def reference(self, meta: Meta, parts: list[Token]) -> ex.Expression:
        return ex.Name(str(parts[0]), self._span(meta))

    def name(self, meta: Meta, parts: list[Token]) -> st.Identifier:
        return st.Identifier(str(parts[0]), self._span(meta))


def _refuse_split_window(positional: list[Any]) -> None:
    """`3 x 3` and `3x` lex as a number and a name; say what was meant."""
    for first, second in itertools.pairwise(positional):
        if (
            isinstance(first, ex.Literal)
            and isinstance(second, ex.Name)
            and re.fullmatch(r"x\d*", second.text)
            and first.span
            and second.span
        ):
            raise _Fault(
                Code.BAD_WINDOW,
                first.span.until(second.span),
                "a window is written without spaces and with both sides",
                help="write `3x3`, or `3x3/2` with a stride",
            )


# ---------------------------------------------------------------- running Lark

_LOCK = threading.RLock()


@cache
def _parser() -> tuple[Lark, _Build, _Lines]:
    grammar = resources.files("incgen.grammar").joinpath("inc.lark").read_text("utf-8")
    build, lines = _Build(), _Lines()
    lines.build = build
    for keyword in ("and", "or", "not"):
        setattr(build, keyword, getattr(build, f"{keyword}_"))
    parser = Lark(
        grammar,
        parser="lalr",
        lexer="basic",
        start=["start", "expression"],
        postlex=lines,
        propagate_positions=True,
    )
    return parser, build, lines


def _parse_text(source: SourceFile, text: str) -> st.Spec:
    docs = {}
    if "##" in text:
        for number, line in enumerate(source.lines, 1):
            stripped = line.lstrip()
            if stripped.startswith("##"):
                docs[number] = stripped[2:].removeprefix(" ").rstrip()
    with _LOCK:
        _parser()[1].docs = docs
        return cast(st.Spec, _run(source, text, "start", 0))


def _run(source: SourceFile, text: str, start: str, shift: int) -> Any:
    """Run Lark on a text that begins at an offset of the file."""
    parser, build, lines = _parser()
    before = (getattr(build, "source", source), build.shift, lines.open)
    build.source, build.shift = source, shift
    try:
        return build.transform(parser.parse(text, start=start))
    except VisitError as error:
        raise error.orig_exc from None
    except UnexpectedCharacters as error:
        raise _bad_character(source, text, error.pos_in_stream or 0, shift) from None
    except UnexpectedToken as error:
        raise _unexpected(build, lines, error, len(text)) from None
    finally:
        build.source, build.shift, lines.open = before


def _bad_character(source: SourceFile, text: str, at: int, shift: int) -> _Fault:
    span = Span(source, at + shift, at + shift + 1)
    char = text[at]
    if char == '"':
        message, help_ = "this string has no closing quote on its line", 'close it with `"`'
        return _Fault(Code.BAD_CHARACTER, span, message, help=help_)
    shown = f"`{char}`" if char.isprintable() else f"U+{ord(char):04X}"
    return _Fault(Code.BAD_CHARACTER, span, f"the language does not use the character {shown}")


def _unexpected(build: _Build, lines: _Lines, error: UnexpectedToken, length: int) -> _Fault:
    token, accepts = error.token, error.accepts or set[str]()
    if token.type == "$END":
        span = Span(build.source, build.shift + max(0, length - 1), build.shift + length)
        return _Fault(Code.SYNTAX, span, f"the text ends too early{_wanted(accepts)}")
    span = build.span_of(token)
    if token.type in _ITEMS and lines.open:
        opened = build.span_of(lines.open[-1])
        return _Fault(
            Code.MISSING_BRACE,
            span,
            f"`{token}` begins a new definition, but a `{lines.open[-1]}` is still open",
            notes=(Note("it is opened here", opened),),
            help="close it with `}`",
        )
    return _explain(build, token, accepts, span)


def _explain(build: _Build, token: Token, accepts: set[str], span: Span) -> _Fault:
    text = build.source.text
    before = text[: span.start].rstrip(" \t")
    shown = "the end of the line" if token.type == "_NEWLINE" else f"`{token}`"
    if token.type == "FACTOR" and re.search(r"(\d|\})x(\d+|\{[^{}\n]*\})$", before):
        return _Fault(
            Code.BAD_WINDOW, span, "a stride follows the `/` of a window", help="write `3x3/2`"
        )
    if token.type in ("FACTOR", "SIGN", "COMPARATOR") and "_ARROW" in accepts:
        if token.type == "SIGN" and text.startswith("- >", span.start):
            return _Fault(Code.MISSING_ARROW, span, "the arrow is written `->`")
        return _Fault(
            Code.SYNTAX,
            span,
            f"an operator in an argument needs parentheses around the expression, before {shown}",
            help="write `(channels * 2)`",
        )
    if "NAME" in accepts and str(token) in KEYWORDS:
        return _Fault(
            Code.RESERVED_NAME,
            span,
            f"`{token}` is a word of the language and cannot be a name here",
            help=f"choose another name, for instance `{token}_1`",
        )
    starts = {"NAME", "JOIN", "REPEAT", "IF"}
    if token.type in starts | {"LBRACE"} and "_ARROW" in accepts and "_NEWLINE" in accepts:
        return _Fault(
            Code.MISSING_ARROW,
            span,
            f"{shown} follows without an arrow",
            help="put `->` between two ops, or begin a new line",
        )
    return _Fault(Code.SYNTAX, span, f"unexpected {shown}{_wanted(accepts)}")


def _wanted(accepts: set[str]) -> str:
    """What could stand here, in the user's words."""
    words = sorted({_SIGNS.get(name, f"`{name.lower()}`") for name in accepts})
    if not words or len(words) > 6:
        return ""
    if len(words) == 1:
        return f"; expected {words[0]}"
    return f"; expected {', '.join(words[:-1])} or {words[-1]}"
