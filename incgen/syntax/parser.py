"""Text to syntax tree. The only module that knows Lark.

Lark reports a fault in its own terms (terminals, states); here it becomes a diagnostic in the
user's (`slips.py`). After a faulty line whose brackets are balanced, parsing goes on without that
line, so that several slips are reported at once.
"""

from __future__ import annotations

import hashlib
import itertools
import re
import threading
from collections.abc import Iterator
from functools import cache
from typing import Any, cast

from lark import Lark, Token, UnexpectedCharacters, UnexpectedToken, v_args
from lark import __version__ as lark_version
from lark.exceptions import VisitError
from lark.grammar import Rule
from lark.lark import PostLex
from lark.lexer import TerminalDef
from lark.tree import Meta
from lark.visitors import Transformer_NonRecursive

from incgen.base import cache as cache_folder
from incgen.base.diagnostics import Code, Diagnostic, Note, SpecError
from incgen.base.resources import folder
from incgen.base.source import SourceFile, Span
from incgen.language import expressions as ex
from incgen.language.arithmetic import FUNCTIONS, MAX_NUMBER
from incgen.syntax import tree as st
from incgen.syntax.habits import dotted, foreign_line
from incgen.syntax.slips import (
    ITEMS,
    SyntaxFault,
    balanced,
    explain,
    item_in_body,
    refuse_depth,
    refuse_input,
    refuse_order,
    refuse_split_window,
    stray,
    wanted,
    without_line,
)

#: Brackets inside brackets, and operators inside operators, up to this depth.
MAX_NESTING = 50
#: A spec longer than this (characters) is refused before it is read.
MAX_TEXT = 1_000_000
#: Words, numbers, signs and ends of lines of a spec: six for each of the layers that a network can
#: have, `a: conv 3x3 8`. Reading that many takes less than 2 seconds.
MAX_TOKENS = 150_000
#: Those of one element of a pipeline, or of one definition in front of its body.
MAX_ELEMENT = 1_000
#: Longer names would not fit the lines of generated code.
MAX_NAME = 60
#: So many faulty lines are reported at once; the text is parsed again for each, up to so many
#: characters in all.
_MAX_FAULTS = 10
_MAX_READ = 200_000
_MAX_DIGITS = 30

_BETWEEN = frozenset({"_ARROW", "LBRACE", "RBRACE"})
_CLOSING = {"LBRACE": "RBRACE", "LPAR": "RPAR", "LSQB": "RSQB"}
_PART = re.compile(r"[0-9]+|\{[^{}]*\}")


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
    text, faults, read = source.text, list[Diagnostic](), 0
    while True:
        read += len(text)
        try:
            tree = _parse_text(source, text)
        except _TooLong as fault:
            faults.append(fault.diagnostic)
            break
        except SyntaxFault as fault:
            faults.append(fault.diagnostic)
        else:
            break
        rest = without_line(text, faults[-1])
        if rest is None or len(faults) == _MAX_FAULTS or read > _MAX_READ:
            break
        text = rest
    if faults:
        raise SpecError(sorted(faults, key=lambda d: d.span.start if d.span else 0))
    return tree


def parse_value(text: str) -> ex.Expression:
    """Parse an expression given outside of a spec, as in `--set classes=10`.

    Raises:
        SpecError: it is not an expression.
    """
    source = SourceFile("--set", text)
    try:
        with _LOCK:
            return cast(ex.Expression, _run(source, text, "expression", 0))
    except SyntaxFault as fault:
        raise SpecError([fault.diagnostic]) from None


# ---------------------------------------------------------------- lexing


class _TooLong(SyntaxFault):
    """A text has more tokens than one may have; it is not read again without them."""

    def __init__(self, span: Span, what: str, most: int, help_: str) -> None:
        message = f"{what} has more than {most:,} words, numbers and signs"
        super().__init__(Code.TOO_LARGE, span, message, help=help_)


class _Lines(PostLex):
    """Drops newlines that end nothing, counts brackets, and bounds names."""

    always_accept = ("_NEWLINE",)

    def __init__(self) -> None:
        self.open: list[Token] = []
        self.build: _Build

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        self.open = []
        newline: Token | None = None
        ends = False  # whether it ends a statement whatever follows
        count = element = 0
        for token in stream:
            if token.type == "_NEWLINE":
                if not (self.open and self.open[-1].type != "LBRACE"):
                    newline, ends = newline or token, ends or token == ";"
                elif token == ";":
                    raise self.unclosed(self.open[-1])
                continue
            if newline is not None and (ends or token.type not in ("_ARROW", "ELSE")):
                yield newline
                count, element = count + 1, 0
            newline, ends = None, False
            count += 1
            element = 0 if token.type in _BETWEEN else element + 1
            # The parser makes a tree of everything before anything else can be said against it.
            if count > MAX_TOKENS:
                help_ = "write what repeats as a `repeat`, a `unit` or a `block`"
                raise _TooLong(self.build.span_of(token), "the file", MAX_TOKENS, help_)
            if element > MAX_ELEMENT:
                help_ = "give parts of it names with `let`, or write it as several"
                raise _TooLong(self.build.span_of(token), "this line", MAX_ELEMENT, help_)
            self._check(token)
            yield token
        if self.open:
            raise self.unclosed(self.open[-1])
        if newline is not None:
            yield newline

    def unclosed(self, opened: Token) -> SyntaxFault:
        """The fault of a bracket whose other half is missing."""
        span = self.build.span_of(opened)
        help_ = "close it with `}`" if opened == "{" else "close it on its line"
        return SyntaxFault(Code.MISSING_BRACE, span, f"this `{opened}` is never closed", help=help_)

    def _check(self, token: Token) -> None:
        span = self.build.span_of
        if token.type in _CLOSING:
            self.open.append(token)
            if len(self.open) > MAX_NESTING:
                message = f"brackets are nested more than {MAX_NESTING} deep"
                raise SyntaxFault(Code.NESTING_TOO_DEEP, span(token), message)
        elif token.type in _CLOSING.values():
            if not self.open:
                message = f"this `{token}` closes nothing"
                raise SyntaxFault(Code.MISSING_BRACE, span(token), message)
            opened = self.open.pop()
            if _CLOSING[opened.type] == token.type:
                return
            if opened.line != token.line and opened != "{":
                raise self.unclosed(opened)
            raise SyntaxFault(
                Code.MISSING_BRACE,
                span(token),
                f"`{token}` does not close `{opened}`",
                notes=(Note(f"`{opened}` is opened here", span(opened)),),
            )
        elif token.type == "NAME" and len(token) > MAX_NAME:
            message = f"a name has at most {MAX_NAME} characters, this one has {len(token)}"
            raise SyntaxFault(Code.TOO_LARGE, span(token), message)


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
        line, found, lines = span.line - 1, list[str](), self.source.lines
        text, before = self.source.text, span.start
        while before and text[before - 1] in " \t":
            before -= 1
        if before and text[before - 1] != "\n":
            return ""  # something else begins this line, and the comment is its own
        while line and lines[line - 1].lstrip().startswith("#"):
            if line in self.docs:  # a plain comment between them belongs to neither
                found.append(self.docs.pop(line))
            line -= 1
        return "\n".join(reversed(found)).strip("\n")

    # -- files and definitions

    def start(self, meta: Meta, items: list[st.Item]) -> st.Spec:
        spec = st.Spec(tuple(items), *self._head())
        refuse_depth(spec, MAX_NESTING)
        return spec

    def _head(self) -> tuple[str, str]:
        """The doc comment at the head, if it is not the first item's, and what is in front."""
        docs, header = list[str](), list[str]()
        for number, line in enumerate(self.source.lines, 1):
            text = line.strip()
            if text.startswith("##"):
                if number not in self.docs:
                    break  # an item's
                docs.append(self.docs[number])
            elif docs if not text else not text.startswith("#"):
                break
            elif not docs:
                header.append(_words(text.removeprefix("#")))
        return "\n".join(docs).strip("\n"), "\n".join(header).strip("\n")

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
        refuse_input(self.span_of(window), rest[0] if rest else None)
        channels = rest.pop(0) if rest and not isinstance(rest[0], st.Attribute) else None
        size = self.window(meta, [window])
        span = self._span(meta)
        return st.Input(size, channels, tuple(rest), self._doc(span), span)

    def aux(self, meta: Meta, parts: list[Any]) -> st.Aux:
        span = self._span(meta)
        return st.Aux(parts[0], parts[1], self._doc(span), span)

    def call(self, meta: Meta, parts: list[Any]) -> st.Call:
        attributes = [part for part in parts[1:] if isinstance(part, st.Attribute)]
        positional = [part for part in parts[1:] if not isinstance(part, st.Attribute)]
        refuse_split_window(positional)
        call = st.Call(parts[0], tuple(positional), tuple(attributes), self._span(meta))
        for before, part in itertools.pairwise(parts[1:]):
            if isinstance(before, st.Attribute) and not isinstance(part, st.Attribute):
                refuse_order(call, part)
        return call

    def join(self, meta: Meta, parts: list[Any]) -> st.Join:
        return st.Join(str(parts[0]), parts[1], self._span(meta))

    def group(self, meta: Meta, parts: list[st.Body]) -> st.Group:
        return st.Group(parts[0], self._span(meta))

    def repeat(self, meta: Meta, parts: list[Any]) -> st.Repeat:
        return st.Repeat(parts[0], parts[1], self._span(meta))

    def conditional(self, meta: Meta, parts: list[Any]) -> st.Conditional:
        condition, then, otherwise = parts
        if isinstance(otherwise, st.Conditional):  # `else if` is an `else` with one `if` in it
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
            message = f"operators are nested more than {MAX_NESTING} deep"
            help_ = "give a part of the expression a name with `let`"
            assert node.span is not None
            raise SyntaxFault(Code.NESTING_TOO_DEEP, node.span, message, help=help_)
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

    def function(self, meta: Meta, parts: list[Any]) -> ex.Expression:
        name, span = str(parts[0]), self._span(meta)
        arguments = tuple(parts[1:])
        takes = FUNCTIONS[name][1]
        if len(arguments) not in takes:
            wanted = "one number" if takes.start == 1 else "two numbers or more"
            message = f"`{name}` takes {wanted}, here are {len(arguments)}"
            raise SyntaxFault(Code.ARGUMENT_COUNT, span, message)
        return self._bounded(ex.Call(name, arguments, span))

    def number(self, meta: Meta, parts: list[Token]) -> ex.Expression:
        return self._number(str(parts[0]), self._span(meta))

    def signed(self, meta: Meta, parts: list[Token]) -> ex.Expression:
        sign, digits = parts
        return self._number(str(digits), self._span(meta), -1 if sign == "-" else 1)

    def _number(self, text: str, span: Span, sign: int = 1) -> ex.Literal:
        if len(text) > _MAX_DIGITS:
            message = f"a number has at most {_MAX_DIGITS} characters, this one has {len(text)}"
            raise SyntaxFault(Code.NUMBER_RANGE, span, message)
        value = int(text) if text.isdigit() else float(text)
        if value > MAX_NUMBER:
            raise SyntaxFault(Code.NUMBER_RANGE, span, f"numbers go up to 2**53 = {MAX_NUMBER}")
        return ex.Literal(sign * value, span)

    def truth(self, meta: Meta, parts: list[Token]) -> ex.Expression:
        return ex.Literal(parts[0] == "true", self._span(meta))

    def reference(self, meta: Meta, parts: list[Token]) -> ex.Expression:
        return ex.Name(str(parts[0]), self._span(meta))

    def name(self, meta: Meta, parts: list[Token]) -> st.Identifier:
        return st.Identifier(str(parts[0]), self._span(meta))


# ---------------------------------------------------------------- running Lark

_LOCK = threading.RLock()
_OPTIONS: dict[str, Any] = {
    "parser": "lalr",
    "lexer": "basic",
    "start": ["start", "expression"],
    "propagate_positions": True,
}


@cache
def _parser() -> tuple[Lark, _Build, _Lines]:
    build, lines = _Build(), _Lines()
    lines.build = build
    for keyword in ("and", "or", "not"):
        setattr(build, keyword, getattr(build, f"{keyword}_"))
    for rule in [name for name in vars(_Build) if not name.startswith("_")]:
        setattr(build, rule, getattr(build, rule))  # `v_args` makes a function at each look-up
    return _tables(lines), build, lines


def _tables(lines: _Lines) -> Lark:
    """The parser of the grammar, from tables that were kept or anew."""
    grammar = (folder("grammar") / "inc.lark").read_text("utf-8")
    digest = hashlib.sha256(f"{_OPTIONS}\n{grammar}".encode()).hexdigest()[:16]
    name = f"grammar-{digest}-lark{lark_version}.json"
    tables = cache_folder.load(name)
    if tables is not None:
        try:
            tables["data"]["options"]["postlex"] = lines
            return Lark.load(tables)
        except Exception:  # whatever Lark makes of tables that are not its own
            pass
    parser = Lark(grammar, postlex=lines, **_OPTIONS)
    data, memo = parser.memo_serialize([TerminalDef, Rule])
    data["options"]["postlex"] = None
    cache_folder.store(name, {"data": data, "memo": memo})
    return parser


def _parse_text(source: SourceFile, text: str) -> st.Spec:
    docs = {}
    if "##" in text:
        for number, line in enumerate(source.lines, 1):
            stripped = line.lstrip()
            if stripped.startswith("##"):
                docs[number] = _words(stripped[2:])
    with _LOCK:
        _parser()[1].docs = docs
        return cast(st.Spec, _run(source, text, "start", 0))


def _words(comment: str) -> str:
    """What a comment says behind its `#`: nothing of it that cannot be shown goes further."""
    shown = "".join(c if c.isprintable() else " " for c in comment).rstrip()
    text = shown.lstrip()
    blanks = comment[: len(shown) - len(text)]
    return blanks.removeprefix(" ") + text if blanks.isprintable() else text


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


def _bad_character(source: SourceFile, text: str, at: int, shift: int) -> SyntaxFault:
    line = text[text.rfind("\n", 0, at) + 1 :][:200].split("\n")[0]
    column = at - (text.rfind("\n", 0, at) + 1)
    slip = stray(text[at], line[column + 1 :])
    help_ = dotted(line[:column], line[column + 1 :]) if text[at] == "." else None
    span = Span(source, at + shift, at + shift + 1)
    return SyntaxFault(slip.code, span, slip.message, help=help_ or slip.help)


def _definition_in_body(build: _Build, token: Token, opened: Token) -> SyntaxFault:
    """The fault of a definition that stands inside of another one's braces."""
    span, outer = build.span_of(token), build.span_of(opened)
    line = build.source.lines[span.line - 1][span.column - 1 :]
    message, help_ = item_in_body(str(token), line, build.source.lines[outer.line - 1])
    notes = (Note("the body begins here", outer),)
    return SyntaxFault(Code.MISPLACED, span, message, notes=notes, help=help_)


def _unexpected(build: _Build, lines: _Lines, error: UnexpectedToken, length: int) -> SyntaxFault:
    token, accepts = error.token, error.accepts or set[str]()
    if token.type == "$END":
        start = build.shift + max(0, length - 1)
        span = Span(build.source, start, build.shift + length)
        what = "text" if build.shift == 0 else "expression"
        message = f"the {what} ends too early{wanted(accepts)}"
        if length == 0 and build.shift:
            message = "there is no expression in these braces"
            span = Span(build.source, start - 1, start + 1)
        return SyntaxFault(Code.SYNTAX, span, message)
    span = build.span_of(token)
    if lines.open and lines.open[-1] != "{" and lines.open[-1].line != token.line:
        return lines.unclosed(lines.open[-1])
    if token.type in ITEMS and lines.open:
        if balanced(build.source.text):
            return _definition_in_body(build, token, lines.open[0])
        return SyntaxFault(
            Code.MISSING_BRACE,
            span,
            f"`{token}` begins a new definition, but a `{lines.open[-1]}` is still open",
            notes=(Note("it is opened here", build.span_of(lines.open[-1])),),
            help="close it with `}`",
        )
    text = build.source.text
    before = text[text.rfind("\n", 0, span.start) + 1 : span.start]
    newline = text.find("\n", span.end)
    after = "" if token.type == "_NEWLINE" else text[span.end : None if newline < 0 else newline]
    slip = foreign_line(str(token), before, after)
    slip = slip or explain(token.type, str(token), accepts, before, after)
    start = span.start - slip.back
    span = Span(span.source, start, span.end if slip.width is None else start + slip.width)
    return SyntaxFault(slip.code, span, slip.message, help=slip.help)
