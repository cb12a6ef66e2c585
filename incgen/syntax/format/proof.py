"""Prove that a layout changes blanks only: the same tokens, and each doc comment where it was."""

from __future__ import annotations

import re
from bisect import bisect_left

from incgen.syntax.tokens import Kind, Token, tokens_of_line

_BLANKS = re.compile(r"\s+")
_END = Token(Kind.NEWLINE, "\n", 0)


def same_tree(one: str, other: str) -> bool:
    """Return whether two texts have the same tree; the first is known to have one.

    A tree follows from the tokens and from what each comment stands above. Both are compared rather
    than the trees, because making a tree takes far longer than reading the tokens.
    """
    return _facts(one) == _facts(other)


def _facts(text: str) -> object:
    """Return what the tree of a text depends on: its words, with "" for the end of a statement."""
    words, lines = list[str](), list[int]()
    for number, line in enumerate(text.split("\n"), 1):
        for kind, word, _ in (*tokens_of_line(line), _END):
            if kind is Kind.COMMENT:
                continue
            if kind is Kind.NEWLINE:
                if not words or words[-1] in ("{", ""):
                    continue  # it ends nothing
                word = ""
            while words and (
                (word == "}" and not words[-1]) or (word in (")", "]") and words[-1] == ",")
            ):
                words.pop(), lines.pop()
            words.append(_BLANKS.sub("", word) if kind is Kind.WINDOW else word)
            lines.append(number)
    while words and not words[-1]:
        words.pop(), lines.pop()
    return words, _comments(text, words, lines)


def _comments(text: str, words: list[str], lines: list[int]) -> list[tuple[str, int, bool]]:
    """Return each line of comment, the word below it, and whether a blank line is between.

    At the end of a body it makes no difference whether there is one. Each word has its line.
    """
    typed = [line.strip() for line in text.split("\n")]
    comments = list[tuple[str, int, bool]]()
    for number, line in enumerate(typed, 1):
        if line.startswith("#"):
            below = bisect_left(lines, number)
            ends = words[below : below + 1] in ([], ["}"])
            blank = not ends and not typed[number]
            said = line if line.startswith("##") else _BLANKS.sub(" ", line)
            comments.append((said, below, blank))
    return comments
