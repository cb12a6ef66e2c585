"""Python source laid out as ``ruff format`` does, without a formatter: flat text to lines.

In goes the text of a statement on one line; out come finished lines, of at most 88 columns wherever
the formatter would manage that. A statement that fits is its text. Any other goes three steps:

1. `text` reads it into a tree of `nodes`.
2. `builder` turns the tree into a document, text with places where a line may break.
3. `documents` prints that: a printer in the manner of Wadler and Prettier decides what breaks.

The documents follow the formatter's own rules, which is what makes the result the same: which
brackets may open, where parentheses are added (`parentheses`), and what is tried first.
`statements` are what is called, and `prose` fills the text of docstrings and comments.
"""

from __future__ import annotations

from incgen.layout.documents import LINE_LENGTH
from incgen.layout.prose import comment_lines, wrap
from incgen.layout.statements import (
    assign,
    def_header,
    expression,
    for_header,
    if_header,
    returns,
)

__all__ = [
    "LINE_LENGTH",
    "assign",
    "comment_lines",
    "def_header",
    "expression",
    "for_header",
    "if_header",
    "returns",
    "wrap",
]
