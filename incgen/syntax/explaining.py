"""Explain Lark's errors in the user's terms."""

from __future__ import annotations

import re
from dataclasses import replace

from lark import Token, UnexpectedToken

from incgen.base.diagnostics import Code, Note
from incgen.base.help import Change, Edit, Help
from incgen.base.source import SourceFile, Span, line_end
from incgen.syntax.building import Builder
from incgen.syntax.edits import (
    above,
    arrow_below,
    as_block,
    brace_above,
    moved,
    new_line,
    parameter,
    whole,
)
from incgen.syntax.faults import SyntaxFault
from incgen.syntax.lexing import Lines
from incgen.syntax.recovery import balanced
from incgen.syntax.slips import ITEMS, Misfit, Slip, explain, wanted


def bad_character(source: SourceFile, text: str, at: int, shift: int) -> SyntaxFault:
    """Return the error for a character that begins no token."""
    line = text[text.rfind("\n", 0, at) + 1 :][:200].split("\n")[0]
    column = at - (text.rfind("\n", 0, at) + 1)
    slip = explain(Misfit("CHARACTER", text[at], set(), line[:column], line[column + 1 :]))
    return _slipped(replace(slip, code=Code.BAD_CHARACTER), source, at + shift)


def _slipped(slip: Slip, source: SourceFile, start: int) -> SyntaxFault:
    """Return the error for a slip at a token that starts somewhere."""
    about, over = (
        Span(source, start + first, start + last) for first, last in (slip.about, slip.over)
    )
    help_ = slip.help and slip.help.of(over)
    if help_ is not None and slip.edit:
        help_ = Help(help_, *help_.edits, _EDITS[slip.edit](about))
    return SyntaxFault(slip.code, about, slip.message, help=help_)


#: The edits that rows of the table name.
_EDITS = {
    "new_line": new_line,
    "arrow_below": arrow_below,
    "as_block": as_block,
    "brace_above": brace_above,
}


def _definition_in_body(build: Builder, token: Token, opened: Token) -> SyntaxFault:
    """Return the error for a definition inside another one's braces."""
    span, outer = build.span_of(token), build.span_of(opened)
    notes = (Note("the body begins here", outer),)
    message = f"`{token}` belongs between definitions, not inside one"
    return SyntaxFault(Code.MISPLACED, span, message, notes=notes, help=_moved(span, outer))


def _moved(item: Span, opened: Span) -> Help:
    """Return what to do with a definition in a body that a brace opens."""
    text = item.source.text
    line = text[item.start : line_end(text, item.start)]
    head = re.match(r"(block|network)\s+[A-Za-z_]\w*", item.source.lines[opened.line - 1].strip())
    constant = re.match(r"let\s+([A-Za-z_]\w*)\s*=\s*([^#;{}]+)", line)
    if constant and re.search(r"\b(channels|height|width)\b", constant[2]):
        name, value = constant[1], constant[2].strip()
        if head and head[1] == "network":
            return Help(f"write `({value})` in the place of `{name}`")
        edit = parameter(f"{name} = {value}", opened, item)
        default = f"`({name} = {value})`"
        help_ = f"make it a parameter with a default: {default} after the block's name"
        return Help(help_, edit)
    where = f"`{head.group()}`" if head else "the definition it stands in"
    edit = moved(whole(item), above(opened))
    return Help(f"move it out of the braces, above {where}", edit)


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
    text = build.source.text
    before = text[text.rfind("\n", 0, span.start) + 1 : span.start]
    after = "" if token.type == "_NEWLINE" else text[span.end : line_end(text, span.end)]
    applied = token.type == "USE" and not re.search(r"\bfrom\b", after)
    if token.type in ITEMS and lines.open and not applied:
        if balanced(build.source.text):
            return _definition_in_body(build, token, lines.open[0])
        return SyntaxFault(
            Code.MISSING_BRACE,
            span,
            f"`{token}` begins a new definition, but a `{lines.open[-1]}` is still open",
            notes=(Note("it is opened here", build.span_of(lines.open[-1])),),
            help=Help(
                "close it with `}`",
                Edit((Change("}\n" * len(lines.open), above(span)),), "Close it with `}`"),
            ),
        )
    slip = explain(Misfit(token.type, str(token), accepts, before, after))
    return _slipped(slip, build.source, span.start)
