"""Prove that a layout changes blanks only: the same tokens, and each doc comment where it was."""

from __future__ import annotations

import re
from bisect import bisect_left

from incgen.base.source import SourceFile
from incgen.syntax.parser import lex

_BLANKS = re.compile(r"\s+")


def same_tree(one: str, other: str) -> bool:
    """Return whether two texts have the same tree; the first is known to have one.

    A tree follows from the tokens and from what each comment stands above. Both are compared rather
    than the trees, because making a tree takes far longer than reading the tokens.
    """
    return _facts(one) == _facts(other)


def _facts(text: str) -> object:
    """Return what the tree of a text depends on."""
    kinds, words, lines = list[str](), list[str](), list[int]()
    for kind, word, line in lex(SourceFile("", text)):
        if kind == "_NEWLINE" and (not kinds or kinds[-1] in ("LBRACE", "_NEWLINE")):
            continue  # it ends nothing
        while kinds and (
            (kind == "RBRACE" and kinds[-1] == "_NEWLINE")
            or (kind in ("RPAR", "RSQB") and kinds[-1] == "COMMA")
        ):
            kinds.pop(), words.pop(), lines.pop()
        kinds.append(kind)
        words.append("" if kind == "_NEWLINE" else _BLANKS.sub("", word))
        lines.append(line)
    while kinds and kinds[-1] == "_NEWLINE":
        kinds.pop(), words.pop(), lines.pop()
    return kinds, words, _comments(text, kinds, lines)


def _comments(text: str, kinds: list[str], lines: list[int]) -> list[tuple[str, int, bool]]:
    """Return each line of comment, the token below it, and whether a blank line is between.

    At the end of a body it makes no difference whether there is one.

    Args:
        text: The text.
        kinds: The kind of each token.
        lines: The line of each token.
    """
    typed = [line.strip() for line in text.split("\n")]
    found = list[tuple[str, int, bool]]()
    for number, line in enumerate(typed, 1):
        if line.startswith("#"):
            below = bisect_left(lines, number)
            ends = kinds[below : below + 1] in ([], ["RBRACE"])
            blank = not ends and not typed[number]
            words = line if line.startswith("##") else _BLANKS.sub(" ", line)
            found.append((words, below, blank))
    return found
