"""Find the context of the cursor from the tokens in front of it.

The text there is being typed and rarely parses, so no tree is needed: only which definition and
which statement the cursor is in, and what of that statement is there already.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field

from incgen.syntax.tokens import Kind, Token, joins, tokens

_PART = r"(?:[0-9]+|\{[^{}\n#\"]*\})"
#: The beginning of a window whose last brace is still open.
_IN_WINDOW = re.compile(rf"(?:{_PART}x|{_PART}x{_PART}/|{_PART}x{_PART}/{_PART}x)\{{[^{{}}\n#\"]*$")


@dataclass
class Frame:
    """A file, or a body that is open at the cursor."""

    #: `file`, `body`, `join`, `recipe` or `images`
    kind: str
    name: str = ""  #: The definition, the recipe, or what images are for
    network: bool = False  #: Whether it is the body of a network itself
    parameters: tuple[str, ...] = ()  #: Those of the definition
    labels: list[str] = field(default_factory=list)  #: The labels before the cursor, in order
    statements: int = 0  #: How many statements are complete


@dataclass(frozen=True)
class Context:
    """The context of the cursor."""

    frames: tuple[Frame, ...]  #: The file, and the bodies inside it
    #: The statement up to the word at the cursor; a closed body is only its last brace
    statement: tuple[Token, ...]
    prefix: str  #: What of the word at the cursor stands in front of it
    start: int  #: The offset of that word
    string: bool = False  #: Whether it is inside a string
    comment: bool = False  #: Whether it is inside a comment
    expression: bool = (
        False  #: Whether it is inside parentheses, brackets or the braces of a window
    )

    @property
    def frame(self) -> Frame:
        """Return the innermost body."""
        return self.frames[-1]

    @property
    def parameters(self) -> tuple[str, ...]:
        """Return the parameters of the definition around the cursor."""
        return next((f.parameters for f in self.frames if f.parameters), ())

    @property
    def labels(self) -> list[str]:
        """Return the labels that a `from` can name here, the nearest first."""
        return [label for frame in reversed(self.frames) for label in reversed(frame.labels)]

    @property
    def unlabelled(self) -> tuple[Token, ...]:
        """Return the statement without its label."""
        labelled = len(self.statement) > 1 and self.statement[1].text == ":"
        return self.statement[2:] if labelled else self.statement

    @property
    def element(self) -> tuple[Token, ...]:
        """Return the statement behind its last arrow, behind its label, or behind `unit NAME =`."""
        arrows = [n for n, token in enumerate(self.statement) if token.text == "->"]
        if arrows:
            return self.statement[arrows[-1] + 1 :]
        if self.frame.kind == "file" and self.statement and self.statement[0].text == "unit":
            return self.statement[3:]
        return self.unlabelled


def context_at(text: str, offset: int) -> Context:
    """Return what stands around an offset of a text."""
    line = text[text.rfind("\n", 0, offset) + 1 : offset]
    window = _IN_WINDOW.search(line)
    end = offset
    if window is not None:  # up to the window, as an unfinished one is not a token
        end = offset - len(line) + window.start()
    reader = _Reader()
    written = tokens(text, end)
    last = written[-1] if written else None
    prefix = ""
    if last is not None and last.end == offset and last.kind in (Kind.NAME, Kind.KEYWORD):
        written.pop()
        prefix = last.text
    for number, token in enumerate(written):
        if token.kind is Kind.FAULT and token.text == '"' and "\n" not in text[token.start : end]:
            inner = text[token.start + 1 : offset]
            return reader.context(inner, token.start + 1, string=True)
        following = written[number + 1] if number + 1 < len(written) else None
        reader.read(token, following)
    if last is not None and last.kind is Kind.COMMENT and last.end == offset:
        return reader.context("", offset, comment=True)
    if window is not None:
        word = re.search(r"[A-Za-z0-9_]*$", line)
        prefix = word.group() if word else ""
        return reader.context(prefix, offset - len(prefix), expression=True)
    return reader.context(prefix, offset - len(prefix))


class _Reader:
    """Follows tokens through statements and bodies."""

    def __init__(self) -> None:
        self.frames = [Frame("file")]
        self.statement: list[Token] = []
        self.outer: list[list[Token]] = []  #: The statements that the open bodies are part of
        self.brackets = 0
        self.newline = False

    def read(self, token: Token, following: Token | None) -> None:
        """Take one token."""
        if token.kind is Kind.COMMENT:
            return
        if token.kind is Kind.NEWLINE:
            self.newline = self.newline or self.brackets == 0
            if token.text == ";":
                self.end()
            return
        if self.newline and token.text not in ("->", "else"):
            self.end()
        self.newline = False
        if token.text in ("(", "["):
            self.brackets += 1
        elif token.text in (")", "]"):
            self.brackets = max(0, self.brackets - 1)
        elif token.text == "{":
            self.open()
            return
        elif token.text == "}":
            self.close(token)
            return
        self.statement.append(token)

    def end(self) -> None:
        """End a statement."""
        frame, statement = self.frames[-1], self.statement
        if statement:
            frame.statements += 1
            if frame.kind != "file" and len(statement) > 1 and statement[1].text == ":":
                frame.labels.append(statement[0].text)
        self.statement, self.newline = [], False

    def open(self) -> None:
        """Enter a body."""
        self.frames.append(_opened(self.frames[-1], self.statement))
        self.outer.append(self.statement)
        self.statement, self.brackets = [], 0

    def close(self, token: Token) -> None:
        """Leave a body; what follows still belongs to the statement around it."""
        if len(self.frames) == 1:
            return
        self.end()
        self.frames.pop()
        self.statement = [*self.outer.pop(), token]

    def context(self, prefix: str, start: int, **inside: bool) -> Context:
        """Return what was found."""
        if self.newline:
            self.end()
        inside.setdefault("expression", self.brackets > 0)
        return Context(tuple(self.frames), tuple(self.statement), prefix, start, **inside)


def _opened(around: Frame, statement: list[Token]) -> Frame:
    """Return the body that begins behind a statement."""
    words = [token.text for token in statement]
    first = words[0] if words else ""
    if around.kind == "file":
        name = words[1] if len(words) > 1 else ""
        if first == "recipe":
            return Frame("recipe", name)
        return Frame("body", name, first == "network", _parameters(statement))
    if around.kind in ("recipe", "images"):
        return Frame("images", first)
    return Frame("join" if words and words[-1] in joins() else "body")


def _parameters(statement: list[Token]) -> tuple[str, ...]:
    """Return the parameters in the head of a definition."""
    return tuple(
        token.text
        for before, token in itertools.pairwise(statement[2:])
        if before.text in ("(", ",") and token.kind is Kind.NAME
    )
