"""Read the lines of a spec: their tokens, how deep they stand, and the body that they stand in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from incgen.syntax.tokens import Kind, Token, joins, tokens_of_line

INDENT = 4
OPENING, CLOSING = ("{", "(", "["), ("}", ")", "]")


@dataclass(frozen=True, eq=False)
class Bracket:
    """An open bracket."""

    sign: str  #: The bracket itself
    level: int  #: The level of the lines inside
    kind: str  #: What opens it: a word such as `concat`, `network` or `recipe`, or ""


@dataclass(slots=True)
class Line:
    """A line of a spec, whose layout the passes of the formatter fill in."""

    number: int  #: Its number in the text, from 1; 0 for a blank line that was put in
    tokens: list[Token]  #: Its tokens without its comment; without any, it is a comment or blank
    comment: str  #: Its comment, or ""
    column: int  #: The column where the comment was typed, from 0
    level: int = 0  #: How many times it is indented
    inside: Bracket | None = None  #: The innermost bracket that is open where it begins
    whole: bool = True  #: Whether it closes every bracket that it opens, and no other
    #: The number of blanks before each token; that of the first is 0
    gaps: list[int] = field(default_factory=list)
    comment_gap: int = 2  #: The number of blanks before the comment, if there are tokens

    @property
    def text(self) -> str:
        """Return the line as it is laid out, without a newline."""
        code = self.code
        if not self.comment:
            return code
        if not code:
            return " " * (self.level * INDENT) + self.comment
        return f"{code}{' ' * self.comment_gap}{self.comment}"

    @property
    def code(self) -> str:
        """Return the line without its comment."""
        if not self.tokens:
            return ""
        pieces = [" " * (self.level * INDENT)]
        for gap, token in zip(self.gaps, self.tokens, strict=True):
            pieces += (" " * gap, token.text)
        return "".join(pieces)

    @property
    def is_blank(self) -> bool:
        """Return whether there is nothing on the line."""
        return not self.tokens and not self.comment

    @property
    def first(self) -> str:
        """Return the first token, or "" if there is none."""
        return self.tokens[0].text if self.tokens else ""

    def place(self, index: int) -> int:
        """Return the column of a token as it is laid out; of the end of the line for none."""
        words = sum([len(token.text) for token in self.tokens[:index]])
        return self.level * INDENT + sum(self.gaps[: index + 1]) + words

    def move(self, index: int, place: int) -> None:
        """Set the blanks before a token so that it begins at a column."""
        self.gaps[index] += place - self.place(index)


class Ending(NamedTuple):
    """A token that says nothing where it stands: a `;` or `,` in front of what ends there too."""

    sign: str
    before: tuple[str, ...]


#: What the grammar ignores between tokens; a comment may end with some.
_BLANKS = " \t\r\f"
#: What is left out; "" is the end of a line.
_NEEDLESS = (Ending(";", ("", "}")), Ending(",", (")", "]")))
_MARKS = frozenset(each.sign for each in _NEEDLESS)


def _needed(tokens: list[Token]) -> list[Token]:
    """Return the tokens without those that say nothing."""
    if _MARKS.isdisjoint([token.text for token in tokens]):
        return tokens  # as nearly always
    kept = list[Token]()
    after = ""
    for token in reversed(tokens):
        if not any(token.text == sign and after in before for sign, before in _NEEDLESS):
            kept.append(token)
            after = token.text
    return kept[::-1]


def _typed(line: str) -> tuple[list[Token], str, int]:
    """Return the tokens of a line, its comment, and the column of that."""
    tokens = [*tokens_of_line(line)]
    if tokens and tokens[-1].kind is Kind.COMMENT:
        last = tokens.pop()
        return _needed(tokens), last.text.rstrip(_BLANKS), last.start
    return _needed(tokens), "", 0


class Reader:
    """Reads the lines of a text in one pass."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.open: list[Bracket] = []
        #: The level of a `->` at the beginning of a line, if a block was closed before it.
        self.after_block: int | None = None
        #: The comments since the last code: those above a `->` are indented like it.
        self.comments: list[Line] = []

    def run(self, text: str) -> list[Line]:
        """Return the lines of a text with their levels."""
        for number, typed in enumerate(text.split("\n"), 1):
            tokens, comment, column = _typed(typed)
            line = Line(number, tokens, comment, column)
            line.level = self.level
            line.inside = self.open[-1] if self.open else None
            self.lines.append(line)
            if line.tokens:
                self.code(line)
            elif line.comment:
                self.comments.append(line)
        return self.lines

    @property
    def level(self) -> int:
        """Return the level of a statement that begins here."""
        return self.open[-1].level if self.open else 0

    def code(self, line: Line) -> None:
        """Read a line that is not only a comment."""
        line.level = self.level_of(line.tokens)
        if line.first == "->":
            for comment in self.comments:
                comment.level = line.level
        else:
            self.after_block = line.level if line.first == "}" else None
        self.comments.clear()
        depth = len(self.open)
        lowest = self.follow(line.tokens, line.level)
        line.whole = len(self.open) == depth == lowest

    def level_of(self, tokens: list[Token]) -> int:
        """Return the level of a line; a closing bracket is level with the line that opened it."""
        closing = 0
        for token in tokens:
            if token.text not in CLOSING:
                break
            closing += 1
        if closing:
            return self.open[-closing].level - 1
        if tokens[0].text == "->":
            return self.level + 1 if self.after_block is None else self.after_block
        return self.level

    def follow(self, tokens: list[Token], level: int) -> int:
        """Track the brackets of a line, and return how few were open at any time."""
        untouched = len(self.open)  # brackets of the lines above that are still open
        statement = before = ""
        for token in tokens:
            text = token.text
            if text in OPENING:
                around = self.level if len(self.open) > untouched else level
                self.open.append(Bracket(text, around + 1, self.kind(before, statement)))
            elif text in CLOSING:
                inside = self.open.pop().level
                if len(self.open) < untouched:
                    untouched, level = len(self.open), inside - 1
            statement = "" if text == ";" else statement or text
            before = text
        return untouched

    def kind(self, before: str, statement: str) -> str:
        """Return what opens a bracket, given the token before and the first of its statement."""
        if self.open and self.open[-1].kind == "recipe":
            return "recipe"
        return before if before in joins() else statement
