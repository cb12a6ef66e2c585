"""Explain Lark's errors in the user's terms."""

from __future__ import annotations

from lark import Token, UnexpectedToken

from incgen.base.diagnostics import Code, Note
from incgen.base.source import SourceFile, Span, line_end
from incgen.syntax.building import Builder
from incgen.syntax.faults import SyntaxFault
from incgen.syntax.lexing import Lines
from incgen.syntax.recovery import balanced
from incgen.syntax.slips import ITEMS, Misfit, explain, item_in_body, wanted


def bad_character(source: SourceFile, text: str, at: int, shift: int) -> SyntaxFault:
    """Return the error for a character that begins no token."""
    line = text[text.rfind("\n", 0, at) + 1 :][:200].split("\n")[0]
    column = at - (text.rfind("\n", 0, at) + 1)
    slip = explain(Misfit("CHARACTER", text[at], set(), line[:column], line[column + 1 :]))
    span = Span(source, at + shift, at + shift + 1)
    return SyntaxFault(Code.BAD_CHARACTER, span, slip.message, help=slip.help)


def _definition_in_body(build: Builder, token: Token, opened: Token) -> SyntaxFault:
    """Return the error for a definition inside another one's braces."""
    span, outer = build.span_of(token), build.span_of(opened)
    line = build.source.lines[span.line - 1][span.column - 1 :]
    message, help_ = item_in_body(str(token), line, build.source.lines[outer.line - 1])
    notes = (Note("the body begins here", outer),)
    return SyntaxFault(Code.MISPLACED, span, message, notes=notes, help=help_)


def unexpected(build: Builder, lines: Lines, error: UnexpectedToken, length: int) -> SyntaxFault:
    """Return the error for a token that does not fit, or a text that ends too early."""
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
    after = "" if token.type == "_NEWLINE" else text[span.end : line_end(text, span.end)]
    slip = explain(Misfit(token.type, str(token), accepts, before, after))
    start = span.start - slip.back
    span = Span(span.source, start, span.end if slip.width is None else start + slip.width)
    return SyntaxFault(slip.code, span, slip.message, help=slip.help)
