"""Format a spec: indentation, blank lines and spacing, but never a token.

The formatter works on the text of the lines and keeps what a person arranged: comments, line
breaks, and columns aligned by two or more spaces. A text whose tree would change is left as it is,
so a bug here can at worst do nothing.
"""

from __future__ import annotations

import re

from incgen.base.diagnostics import SpecError
from incgen.base.source import SourceFile
from incgen.syntax.parser import parse
from incgen.syntax.tree import Spec

INDENT = "    "

_BLANKS = " \t\r\f"
_PART = r'(?:[0-9]+|\{[^{}\n#"]*\})'
# The terminals of grammar/inc.lark, as far as spaces matter; a window is one token.
_TOKEN = re.compile(
    rf"""
    (?P<gap>[ \t\r\f]*)
    (?P<text>
        {_PART}x{_PART}(?:/{_PART}(?:x{_PART})?)?
        | "[^"\n]*" | \#[^\n]* | -> | == | != | <= | >= | //
        | [A-Za-z_][A-Za-z0-9_]* | (?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)? | [^\n]
    )
    """,
    re.VERBOSE,
)
_OPENING, _CLOSING = ("{", "(", "["), ("}", ")", "]")


def format_text(text: str, name: str = "<text>") -> str:
    """Format a spec, or raise `SpecError`; formatting it again changes nothing."""
    tree = parse(SourceFile(name, text))
    result = _Layout().run(text)
    return result if result == text or _is_safe(result, tree) else text


def _is_safe(result: str, tree: Spec) -> bool:
    """Return whether a layout has the same tree and is stable."""
    try:
        return parse(SourceFile("", result)) == tree and _Layout().run(result) == result
    except SpecError:
        return False


def _tokens(line: str) -> list[tuple[str, str]]:
    """Split a line into its tokens, each with the blanks before it."""
    return [(match["gap"], match["text"]) for match in _TOKEN.finditer(line.strip(_BLANKS))]


class _Layout:
    """Formats the lines of a text in one pass."""

    def __init__(self) -> None:
        self.result: list[str] = []
        #: The open brackets, each with the level of the lines inside.
        self.open: list[tuple[str, int]] = []
        #: The level of a `->` at the beginning of a line, if a block was closed before it.
        self.after_block: int | None = None
        #: The comment lines since the last code: those above a `->` are indented like it.
        self.comments: list[int] = []

    def run(self, text: str) -> str:
        """Format a text."""
        for line in text.split("\n"):
            tokens = _tokens(line)
            if not tokens:
                self.blank()
            elif tokens[0][1].startswith("#"):
                self.comments.append(len(self.result))
                self.result.append(INDENT * self.level + tokens[0][1])
            else:
                self.code(tokens)
        while self.result and not self.result[-1]:
            self.result.pop()
        return "".join(f"{line}\n" for line in self.result)

    @property
    def level(self) -> int:
        """Return the level of a statement that begins here."""
        return self.open[-1][1] if self.open else 0

    def blank(self) -> None:
        """Keep one blank line, but none at the top of a file or body."""
        if not self.result or not self.result[-1]:
            return
        code = [text for _, text in _tokens(self.result[-1]) if not text.startswith("#")]
        if not code or code[-1] != "{":
            self.result.append("")

    def code(self, tokens: list[tuple[str, str]]) -> None:
        """Format a line that is not only a comment."""
        first = tokens[0][1]
        if first == "}" and self.result and not self.result[-1]:
            self.result.pop()
        level = self.level_of([text for _, text in tokens])
        if first == "->":
            for index in self.comments:
                self.result[index] = INDENT * level + self.result[index].strip(_BLANKS)
        else:
            self.after_block = level if first == "}" else None
        self.comments.clear()
        self.result.append(INDENT * level + self.spaced(tokens))
        self.follow([text for _, text in tokens], level)

    def level_of(self, texts: list[str]) -> int:
        """Return the level of a line; a closing bracket is level with the line that opened it."""
        closing = next((n for n, text in enumerate(texts) if text not in _CLOSING), len(texts))
        if closing:
            return self.open[-closing][1] - 1
        if texts[0] == "->":
            return self.level + 1 if self.after_block is None else self.after_block
        return self.level

    def follow(self, texts: list[str], level: int) -> None:
        """Track the brackets of a line."""
        untouched = len(self.open)  # brackets of the lines above that are still open
        for text in texts:
            if text in _OPENING:
                around = self.level if len(self.open) > untouched else level
                self.open.append((text, around + 1))
            elif text in _CLOSING:
                inside = self.open.pop()[1]
                if len(self.open) < untouched:
                    untouched, level = len(self.open), inside - 1

    def spaced(self, tokens: list[tuple[str, str]]) -> str:
        """Return a line without indentation and with the gaps between its tokens set."""
        inside = [sign for sign, _ in self.open]
        pieces = list[str]()
        left, start = "", 0
        for number, (gap, text) in enumerate(tokens):
            if left == ";":
                start = number
            begins = number - start in (2, 3) and tokens[start][1] in _DEFINING
            defines = inside[-1:] == ["("] or begins
            if left:
                pieces.append(_gap(left, gap, text, defines=defines))
            pieces.append(text)
            if text in _OPENING:
                inside.append(text)
            elif text in _CLOSING:
                inside.pop()
            left = text
        return "".join(pieces).rstrip(_BLANKS)


#: Definitions with a spaced equals sign as their third word; elsewhere it belongs to an attribute.
_DEFINING = ("unit", "let")


def _gap(left: str, gap: str, right: str, *, defines: bool) -> str:
    """Return the blanks between two tokens; `defines` marks the `=` of a definition."""
    if "=" in (left, right) and not defines:
        return ""
    if len(gap) > 1 and not gap.strip(" "):
        return gap  # a column
    if right.startswith("#"):
        return "  "
    if right in (",", ":", ";", ")", "]") or left in ("(", "[") or left + right == "{}":
        return ""
    if {left, right} & {"->", "=", "{", "}"} or left in (",", ":", ";"):
        return " "
    return " " if gap else ""
