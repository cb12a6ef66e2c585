"""Text to tokens and comments, whatever is wrong with it: for the formatter and for editors.

The parser has a lexer of its own, which drops comments and stops at a character that it does not
know. Both follow the terminals of the grammar; a test compares them.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import cache, lru_cache
from typing import NamedTuple

from incgen.syntax.parser import terminals


class Kind(Enum):
    """The kind of a token."""

    COMMENT = "comment"
    FAULT = "fault"  #: A character that is not part of the language
    KEYWORD = "keyword"
    NAME = "name"
    NEWLINE = "newline"  #: A newline or `;`
    NUMBER = "number"
    SIGN = "sign"  #: An operator, a bracket or another mark
    STRING = "string"
    WINDOW = "window"


#: The kinds of the terminals that are not signs or keywords.
_KINDS = {
    "COMMENT": Kind.COMMENT,
    "FUNCTION": Kind.KEYWORD,
    "JOIN": Kind.KEYWORD,
    "NAME": Kind.NAME,
    "NUMBER": Kind.NUMBER,
    "STRING": Kind.STRING,
    "WINDOW": Kind.WINDOW,
    "_NEWLINE": Kind.NEWLINE,
}
_WORD = re.compile(r"[a-z]+")


class Token(NamedTuple):
    """A piece of a text."""

    kind: Kind
    text: str
    start: int  #: The offset of its first character

    @property
    def end(self) -> int:
        """Return the offset behind its last character."""
        return self.start + len(self.text)


@cache
def keywords() -> frozenset[str]:
    """Return the words that cannot be names."""
    words = {pattern for _, pattern in terminals() if _WORD.fullmatch(pattern)}
    return frozenset(words) | joins()


@cache
def joins() -> frozenset[str]:
    """Return the words that join branches."""
    pattern = dict(terminals())["JOIN"]
    return frozenset(_WORD.findall(pattern.partition(")")[0]))


@cache
def _scanner() -> tuple[re.Pattern[str], dict[str, Kind]]:
    """Return a pattern with a group for each terminal, and the kinds of all but blanks."""
    pairs = [pair for pair in terminals() if not _WORD.fullmatch(pair[1])]
    kinds = {n: _KINDS.get(n, Kind.SIGN) for n, _ in pairs if not n.startswith("__IGNORE")}
    groups = [f"(?P<{name}>{pattern})" for name, pattern in pairs]
    return re.compile("|".join([*groups, "(?P<FAULT>.)"]), re.DOTALL), kinds | {"FAULT": Kind.FAULT}


def tokens(text: str, end: int | None = None) -> list[Token]:
    """Return the tokens of a text up to an offset, comments included and blanks omitted.

    >>> [(token.kind.value, token.text) for token in tokens("a: conv 3x3  # c")]
    [('name', 'a'), ('sign', ':'), ('name', 'conv'), ('window', '3x3'), ('comment', '# c')]
    """
    pattern, kinds = _scanner()
    words = keywords()
    result = []
    for match in pattern.finditer(text, 0, len(text) if end is None else end):
        kind, word = kinds.get(match.lastgroup or ""), match.group()
        if kind is None:
            continue
        if kind is Kind.NAME and word in words:
            kind = Kind.KEYWORD
        result.append(Token(kind, word, match.start()))
    return result


@lru_cache(maxsize=10_000)
def tokens_of_line(line: str) -> tuple[Token, ...]:
    """Return the tokens of a line, which none goes beyond; most are asked for again."""
    return tuple(tokens(line))
