"""The width of text in Helvetica, its line breaks, and the formatting of numbers."""

from __future__ import annotations

import unicodedata

#: Widths in thousandths of the font size: Adobe's Helvetica.afm (Core 14 AFM), which Arial and
#: Liberation Sans share. Characters from space to tilde.
_WIDTHS = (
    *(278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278),
    *(556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556),
    *(1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778),
    *(667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556),
    *(333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556),
    *(556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584),
)
#: Of what else drawings contain; other letters count as much as a wide one.
_OTHERS = {"×": 584, "→": 1000, "…": 1000, "·": 278, "–": 556}
_LETTER, _WIDE = 667, 1000
#: Bold letters are wider by a little less than this (Helvetica-Bold.afm).
_BOLD = 1.08


def width(text: str, size: float, *, bold: bool = False) -> float:
    """Return how wide a text is, in pixels.

    >>> width("100", 10), width("a b", 10)
    (16.68, 13.9)
    """
    total = sum(map(_advance, text))
    return round(total * size / 1000 * (_BOLD if bold else 1), 2)


def _advance(letter: str) -> int:
    place = ord(letter) - 32
    if 0 <= place < len(_WIDTHS):
        return _WIDTHS[place]
    wide = unicodedata.east_asian_width(letter) in "WF"
    return _OTHERS.get(letter, _WIDE if wide else _LETTER)


def wrapped(text: str, size: float, limit: float) -> list[str]:
    """Break a text into lines that are at most so wide, at spaces."""
    lines: list[str] = []
    for word in text.split():
        if lines and width(f"{lines[-1]} {word}", size) <= limit:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def cut(text: str, size: float, limit: float, *, bold: bool = False) -> str:
    """Return a text that is at most so wide, with an ellipsis if something is left out."""
    if width(text, size, bold=bold) <= limit:
        return text
    while text and width(f"{text}…", size, bold=bold) > limit:
        text = text[:-1]
    return f"{text}…"


def times(text: object) -> str:
    """Write a product with a multiplication sign: windows and shapes.

    >>> times("3x3/2"), times("64 x 7 x 7")
    ('3×3/2', '64 × 7 × 7')
    """
    words = str(text).split(" ")
    return " ".join("×" if word == "x" else _window(word) for word in words)


def _window(word: str) -> str:
    """Return a word with the x between two numbers as a sign."""
    plain = word.replace("x", "").replace("/", "")
    return word.replace("x", "×") if plain.isdigit() else word
