"""The stream of tokens: drops newlines that end nothing, counts brackets, bounds lengths."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lark import Token, UnexpectedToken
from lark.lark import PostLex

from incgen.base.diagnostics import Code, Note
from incgen.base.help import Help
from incgen.base.source import Span
from incgen.syntax.edits import closed, closed_on_line
from incgen.syntax.faults import SyntaxFault

#: The deepest nesting of brackets, and of operators.
MAX_NESTING = 50
#: The most tokens of a spec, newlines included: six for each layer that a network can have, `a:
#: conv 3x3 8`. Reading that many takes less than 2 seconds.
MAX_TOKENS = 150_000
#: The most tokens of one element of a pipeline, or of one definition before its body.
MAX_ELEMENT = 1_000
#: Longer names would not fit the lines of generated code.
MAX_NAME = 60

_BETWEEN = frozenset({"_ARROW", "LBRACE", "RBRACE"})
_CLOSING = {"LBRACE": "RBRACE", "LPAR": "RPAR", "LSQB": "RSQB"}
_CLOSED = frozenset(_CLOSING.values())


class TooLong(SyntaxFault):
    """A text has too many tokens; parsing is not resumed without them."""

    def __init__(self, span: Span, what: str, most: int, help_: str) -> None:
        """Report what is too long, and how to shorten it."""
        message = f"{what} has more than {most:,} words, numbers and signs"
        super().__init__(Code.TOO_LARGE, span, message, help=help_)


class Lines(PostLex):
    """Drops newlines that end nothing, counts brackets, limits names, and keeps numbers apart."""

    always_accept = ("_NEWLINE",)

    def __init__(self, span_of: Callable[[Token], Span]) -> None:
        self.open: list[Token] = []  #: The open brackets
        self.span_of = span_of  #: Returns the span of a token
        self.number: int | None = None  #: Where the last number ends

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        """Yield the tokens that the grammar sees."""
        self.open, self.number = [], None
        newline: Token | None = None
        ends = False  # whether it ends a statement regardless of what follows
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
            if count > MAX_TOKENS or element > MAX_ELEMENT:
                raise self._too_long(token, count)
            self._check(token)
            yield token
        if self.open:
            raise self.unclosed(self.open[-1])
        if newline is not None:
            yield newline

    def unclosed(self, opened: Token) -> SyntaxFault:
        """Return the error for a bracket whose other half is missing."""
        span = self.span_of(opened)
        if opened == "{":
            help_ = Help(
                "close it with `}`", closed(span, sum(token == "{" for token in self.open))
            )
        else:
            help_ = Help("close it on its line", closed_on_line(span))
        message = f"this `{opened}` is never closed"
        return SyntaxFault(Code.MISSING_BRACE, span, message, help=help_)

    def _too_long(self, token: Token, count: int) -> TooLong:
        """Return the error for a text that is too long, of which the parser makes no tree."""
        if count > MAX_TOKENS:
            help_ = "write what repeats as a `repeat`, a `unit` or a `block`"
            return TooLong(self.span_of(token), "the file", MAX_TOKENS, help_)
        help_ = "give parts of it names with `let`, or write it as several"
        return TooLong(self.span_of(token), "this line", MAX_ELEMENT, help_)

    def _check(self, token: Token) -> None:
        """Track brackets, limit names, and reject a word that a number runs into, as in `3y3`."""
        if token.type == "NUMBER":
            self.number = token.end_pos
        elif token.start_pos == self.number and (token[0].isalpha() or token[0] == "_"):
            run = Token.new_borrow_pos("RUN", token, token)
            raise UnexpectedToken(run, set())  # type: ignore[no-untyped-call]  # Lark's own
        elif token.type in _CLOSING:
            self.open.append(token)
            if len(self.open) > MAX_NESTING:
                message = f"brackets are nested more than {MAX_NESTING} deep"
                raise SyntaxFault(Code.NESTING_TOO_DEEP, self.span_of(token), message)
        elif token.type in _CLOSED:
            self._close(token)
        elif len(token) > MAX_NAME and token.type == "NAME":
            message = f"a name has at most {MAX_NAME} characters, but this one has {len(token)}"
            raise SyntaxFault(Code.TOO_LARGE, self.span_of(token), message)

    def _close(self, token: Token) -> None:
        if not self.open:
            message = f"this `{token}` closes nothing"
            raise SyntaxFault(Code.MISSING_BRACE, self.span_of(token), message)
        opened = self.open.pop()
        if _CLOSING[opened.type] == token.type:
            return
        if opened.line != token.line and opened != "{":
            raise self.unclosed(opened)
        message = f"`{token}` does not close `{opened}`"
        notes = (Note(f"`{opened}` is opened here", self.span_of(opened)),)
        raise SyntaxFault(Code.MISSING_BRACE, self.span_of(token), message, notes=notes)
