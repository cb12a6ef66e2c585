"""Text for a terminal: paragraphs filled into lines."""

from __future__ import annotations

import textwrap

#: What examples are indented by.
MARGIN = "    "


def filled(text: str, width: int) -> str:
    """Fill each paragraph of a text into lines of at most so many columns."""
    paragraphs = text.strip().split("\n\n")
    fill = textwrap.TextWrapper(width, break_long_words=False, break_on_hyphens=False).fill
    return "\n\n".join(map(fill, paragraphs))
