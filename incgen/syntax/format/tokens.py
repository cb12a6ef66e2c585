"""Split a line into its tokens and its comment, each with the place where it was typed."""

from __future__ import annotations

import re
from typing import NamedTuple

BLANKS = " \t\r\f"
#: Functions of expressions; whether a bracket follows one at once is part of the grammar.
FUNCTIONS = frozenset({"int", "round", "min", "max"})

_PART = r'(?:[0-9]+|\{[^{}\n#"]*\})'
# The terminals of grammar/inc.lark, as far as blanks matter; a window is one token.
_TOKEN = re.compile(
    rf"""
      (?P<window>{_PART}x{_PART}(?:/{_PART}(?:x{_PART})?)?)
    | (?P<string>"[^"\n]*")
    | (?P<comment>\#.*)
    | (?P<sign>-> | == | != | <= | >= | //)
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    | (?P<other>[^ \t\r\f])
    """,
    re.VERBOSE,
)


class Token(NamedTuple):
    """A token of a line.

    Attributes:
        kind: `window`, `string`, `name`, `number`, or `sign` for everything else.
        text: What was typed.
        start: The column of its first character, from 0.
        touches: Whether the token before it ends there, without blanks between.
    """

    kind: str
    text: str
    start: int
    touches: bool

    @property
    def end(self) -> int:
        """Return the column behind its last character."""
        return self.start + len(self.text)


def split(line: str) -> tuple[list[Token], str, int]:
    """Return the tokens of a line, its comment or "", and the column of that, from 0."""
    tokens = list[Token]()
    end = 0
    for match in _TOKEN.finditer(line):
        kind, text, start = match.lastgroup or "other", match[0], match.start()
        if kind == "comment":
            return tokens, text.rstrip(BLANKS), start
        kind = "sign" if kind == "other" else kind
        tokens.append(Token(kind, text, start, start == end))
        end = match.end()
    return tokens, "", 0
