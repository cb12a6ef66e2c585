"""Set the blanks between the tokens of a line, before anything is aligned."""

from __future__ import annotations

import re

from incgen.language.arithmetic import FUNCTIONS
from incgen.syntax.format.lines import CLOSING, OPENING, Line
from incgen.syntax.tokens import Kind, Token, tokens

_SIGNS = frozenset({"+", "-", "*", "/", "//", "%", "==", "!=", "<", "<=", ">", ">="})
#: What a number's own sign can follow; behind anything else, `-` takes one value from another.
_LEADING = frozenset({"", "(", "[", "{", ",", "=", "->", "and", "or", "not", "if", "repeat"})
_BRACES = re.compile(r"\{([^{}]*)\}")


class Spacing:
    """Sets the blanks of all lines of a text, in order: a bracket may be open over several."""

    def __init__(self) -> None:
        #: The open brackets; "params" stands for one around the parameters of a definition.
        self.open: list[str] = []
        #: The last token of the lines above, if one of their brackets goes on here.
        self.above = ""

    def run(self, lines: list[Line]) -> None:
        """Set the blanks of every line."""
        for line in lines:
            if line.tokens:
                line.tokens = [_neat(token) for token in line.tokens]
                line.gaps = self.gaps(line.tokens)

    def gaps(self, tokens: list[Token]) -> list[int]:
        """Return the number of blanks before each token of a line."""
        gaps = [0]
        start = 0
        self.follow(tokens, 0, start)
        for number in range(1, len(tokens)):
            if tokens[number - 1].text == ";":
                start = number
            gaps.append(self.gap(tokens, number, start))
            self.follow(tokens, number, start)
        self.above = tokens[-1].text if self.open and self.open[-1] != "{" else ""
        return gaps

    def follow(self, tokens: list[Token], number: int, start: int) -> None:
        """Track the brackets."""
        text = tokens[number].text
        if text in OPENING:
            heads = text == "(" and _heads(tokens, number, start)
            self.open.append("params" if heads else text)
        elif text in CLOSING and self.open:
            self.open.pop()

    def gap(self, tokens: list[Token], number: int, start: int) -> int:
        """Return the number of blanks between a token and the one before it on its line."""
        left, right = tokens[number - 1], tokens[number]
        if "=" in (left.text, right.text):
            return 1 if self.defines(tokens, number, start) else 0
        if right.text in (",", ":", ";", ")", "]") or left.text in ("(", "["):
            return 0
        if left.text + right.text == "{}":
            return 0
        if right.text == "(":
            return self.before_parenthesis(tokens, number, start)
        if _is_fraction(tokens, number) or _is_fraction(tokens, number - 1):
            return 0
        if left.text in ("+", "-") and _leads(self.before(tokens, number - 1)):
            return 0
        return 2 if _begins_pixels(tokens, number, start) else 1

    def before(self, tokens: list[Token], number: int) -> str:
        """Return the token before one, which may stand on the line above."""
        return tokens[number - 1].text if number else self.above

    def defines(self, tokens: list[Token], number: int, start: int) -> bool:
        """Return whether the `=` at or before a token is that of a definition."""
        place = number if tokens[number].text == "=" else number - 1
        if self.open[-1:] == ["params"]:
            return True
        return tokens[start].text in ("unit", "let") and place == start + 2

    def before_parenthesis(self, tokens: list[Token], number: int, start: int) -> int:
        """Return the number of blanks between a token and an opening parenthesis."""
        left = tokens[number - 1]
        if left.text in ("+", "-"):
            return 0 if _leads(self.before(tokens, number - 1)) else 1
        if left.text in FUNCTIONS:
            return 0 if left.kind is Kind.KEYWORD else 1  # `min (n)` is two arguments
        if _heads(tokens, number, start):
            return 0
        # `init=normal(0.01)`; elsewhere, a bracket behind a name is an argument of its own.
        assigned = left.kind is Kind.NAME and self.before(tokens, number - 1) == "="
        return 0 if assigned and not self.defines(tokens, number - 1, start) else 1


def _heads(tokens: list[Token], number: int, start: int) -> bool:
    """Return whether a `(` would hold the parameters of a definition."""
    return tokens[start].text in ("block", "network") and number == start + 2


def _begins_pixels(tokens: list[Token], number: int, start: int) -> bool:
    """Return whether a token begins what an `input` says of its pixels, behind its shape."""
    if tokens[start].text != "input" or tokens[number - 1].text == ",":
        return False
    return all(token.text != "=" for token in tokens[start:number]) and any(
        token.text == "=" for token in tokens[number + 1 : number + 2]
    )


def _is_fraction(tokens: list[Token], number: int) -> bool:
    """Return whether a token is the `/` between two plain numbers, as in `3/4`."""
    if tokens[number].text != "/" or not 0 < number < len(tokens) - 1:
        return False
    return tokens[number - 1].kind is tokens[number + 1].kind is Kind.NUMBER


def _leads(before: str) -> bool:
    """Return whether a sign behind this token is that of the number that follows it."""
    return before in _LEADING or before in _SIGNS


def _neat(token: Token) -> Token:
    """Return a token with neat blanks inside it: only a window has any."""
    if token.kind is not Kind.WINDOW or "{" not in token.text:
        return token
    return token._replace(text=_BRACES.sub(_expression, token.text))


def _expression(braces: re.Match[str]) -> str:
    """Return an expression in braces with neat blanks."""
    inside = tokens(braces[1])
    gaps = Spacing().gaps(inside)
    return "{" + "".join(" " * g + t.text for g, t in zip(gaps, inside, strict=True)) + "}"
