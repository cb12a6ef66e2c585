"""Trees that the grammar allows and the language does not, and what was probably meant."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from incgen.base.diagnostics import Code, clipped
from incgen.base.help import Help, put, write
from incgen.base.source import Span
from incgen.language import expressions as ex
from incgen.syntax import tree as st
from incgen.syntax.faults import SyntaxFault


def hexadecimal(text: str) -> bool:
    """Return whether a text is a number in base 16, which lexes as something else."""
    return re.fullmatch(r"0[xX][0-9A-Fa-f]{1,13}", text) is not None


def decimal(span: Span) -> Help:
    """Return what to type for a number in base 16."""
    return write(str(int(span.text, 16)), over=span, why=": numbers are decimal")


def refuse_split_window(called: str, positional: Sequence[st.Argument]) -> None:
    """Reject `3 x 3`, `3x3x3`, `3x3s2` and `0x1F`, which lex as several arguments of a call."""
    for place, (first, second) in enumerate(itertools.pairwise(positional)):
        if not isinstance(second, ex.Name) or first.span is None or second.span is None:
            continue
        span, side = first.span.until(second.span), re.fullmatch(r"[xX]([0-9]*)", second.text)
        if hexadecimal(span.text):
            message = f"`{span.text}` is not a number here"
            raise SyntaxFault(Code.SYNTAX, span, message, help=decimal(span))
        if isinstance(first, ex.Literal) and side:
            message = "a window is two whole numbers with an `x` between them, without spaces"
            third = (
                positional[place + 2].span if not side[1] and place + 2 < len(positional) else None
            )
            wide = side[1] or (third.text if third else "")
            window = f"{first.span.text}x{wide}" if wide.isdecimal() else "3x3"
            edits = put(window, f"{window}/2", over=_in_parentheses(span.until(third or span)))
            help_ = Help(f"write `{window}`, or `{window}/2` with a stride", *edits)
            raise SyntaxFault(Code.BAD_WINDOW, span, message, help=help_)
        if not isinstance(first, st.Window):
            continue
        if re.fullmatch(r"([xX][0-9]+)+", second.text):
            last = place + 2 == len(positional)
            raise _too_many_sides(called, span, re.findall("[0-9]+", second.text), last)
        if first.span.end == second.span.start:
            message = "a stride stands behind the window and a `/`"
            stride = re.sub(r"[^0-9]", "", second.text)[:3] or "2"
            help_ = write(f"{first.span.text.partition('/')[0]}/{stride}")
            raise SyntaxFault(Code.BAD_WINDOW, span, message, help=help_)


def _too_many_sides(called: str, span: Span, more: Sequence[str], last: bool) -> SyntaxFault:
    """Return the error for a window with more than two sides; it may be the last argument."""
    from incgen.syntax.translation import takes_of

    message = "a window has two sides, height and width"
    window = re.split("[xX]", span.text, maxsplit=2)[:2]
    takes = takes_of(called)
    if last and takes is not None and len(takes.positional) > 1:  # `conv 3x3x64`
        channels = f": the {takes.positional[1].name} follow it"
        help_ = write(f"{'x'.join(window)} {more[-1]}", why=channels)
    else:
        help_ = write("x".join(window))
    return SyntaxFault(Code.BAD_WINDOW, span, message, help=help_)


def _in_parentheses(span: Span) -> Span:
    """Extend a span by the parentheses beside it."""
    text = span.source.text
    before, behind = text[span.start - 1] == "(", text[span.end : span.end + 1] == ")"
    return Span(span.source, span.start - before, span.end + behind)


def refuse_order(call: st.Call, late: st.Argument) -> None:
    """Reject a positional argument after an attribute."""
    # Only a text with this error needs to know how other tools write calls.
    from incgen.syntax.translation import takes_of, translated, written

    shown = clipped(late.span.text) if late.span is not None else "this"
    message = f"`{shown}` comes after an attribute; positional arguments come first"
    positional, attributes = written(call)
    takes = takes_of(call.name.text)
    pairs = [f"{name}={value}" for name, value in attributes]
    instead = " ".join([call.name.text, *positional, *pairs])
    if takes is not None:
        instead = translated(takes, positional, attributes) or instead
    help_ = write(instead, over=call.span)
    raise SyntaxFault(Code.SYNTAX, late.span or call.span, message, help=help_)


def refuse_input(size: Span, channels: st.Argument | None) -> None:
    """Reject `input 3x224x224` and `input 1x3x224x224`, which lex as a window and a name."""
    if isinstance(channels, ex.Name) and re.fullmatch(r"(x[0-9]+)+", channels.text):
        from incgen.syntax.translation import input_line

        assert channels.span is not None
        span = size.until(channels.span)
        message = "an input is written as height x width, then channels"
        line = input_line(span.text)
        help_ = Help(f"write `{line}`", *put(line.removeprefix("input ")))
        raise SyntaxFault(Code.BAD_WINDOW, span, message, help=help_)


def refuse_depth(spec: st.Spec, deepest: int) -> None:
    """Refuse bodies nested more deeply than a bound; later stages walk them by recursion."""
    pending: list[tuple[st.Body, int]] = [
        (item.body, 1) for item in spec.items if isinstance(item, st.Block)
    ]
    while pending:
        body, depth = pending.pop()
        if depth > deepest:
            message = f"bodies are nested more than {deepest} deep, counting each `else if`"
            help_ = "make the inner part a `block`"
            raise SyntaxFault(Code.NESTING_TOO_DEEP, body.span, message, help=help_)
        pending.extend((inner, depth + 1) for inner in st.inner_bodies(body))
