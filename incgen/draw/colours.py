"""The colours of a drawing, for a light and a dark page: by kind of op, and by a number.

The kinds have pale fills and a border of the same hue, so that text stays readable and neighbours
can be told apart in print and by people who see fewer colours: hues as in the palette of Okabe and
Ito ("Color Universal Design", 2008). The scale of heat is one hue of rising strength.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from incgen.language.ops import OPS

#: Every kind of a box, in the order of the legend.
KINDS: Final = (
    *("convolution", "separable convolution", "pooling", "normalisation", "activation"),
    *("dense layer", "dropout", "join", "input", "block", "other"),
)


def kind_of(op: str) -> str:
    """Return the kind of an op, a join or the input.

    >>> kind_of("max_pool"), kind_of("flatten"), kind_of("concat")
    ('pooling', 'other', 'join')
    """
    return OPS[op].kind if op in OPS else "input" if op == "input" else "join"


def class_of(kind: str) -> str:
    """Return the name of a kind in style sheets.

    >>> class_of("dense layer")
    'dense-layer'
    """
    return kind.replace(" ", "-")


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of a page."""

    page: str  #: The background
    ink: str  #: Text
    faint: str  #: Text beside the point: captions, what edges say
    line: str  #: Edges
    card: str  #: The background of what is open
    rule: str  #: Borders of cards and tables
    fills: dict[str, str]  #: By kind
    borders: dict[str, str]  #: By kind
    scale: tuple[str, str, str]  #: Heat: none, half, all


_LIGHT = Theme(
    page="#ffffff",
    ink="#1b2330",
    faint="#5b6675",
    line="#76808e",
    card="#f6f7f9",
    rule="#c9ced6",
    fills={
        "convolution": "#d6e6f7",
        "separable convolution": "#cdebf2",
        "pooling": "#fbdcd2",
        "normalisation": "#d8efdf",
        "activation": "#fbf0c4",
        "dense layer": "#ecdcf3",
        "dropout": "#ededed",
        "join": "#e6e8ec",
        "input": "#ffffff",
        "block": "#e9edf5",
        "other": "#f2efe8",
    },
    borders={
        "convolution": "#4a86c5",
        "separable convolution": "#2f93a8",
        "pooling": "#d0714f",
        "normalisation": "#3f9a68",
        "activation": "#b8952a",
        "dense layer": "#9561b0",
        "dropout": "#9a9a9a",
        "join": "#7d8796",
        "input": "#7d8796",
        "block": "#54688f",
        "other": "#9a8f78",
    },
    scale=("#fdf6ee", "#f3a95c", "#b5400f"),
)
_DARK = Theme(
    page="#14181f",
    ink="#e8ecf2",
    faint="#9aa5b4",
    line="#8490a0",
    card="#1b212a",
    rule="#3a4450",
    fills={
        "convolution": "#1d3a57",
        "separable convolution": "#15424d",
        "pooling": "#57301f",
        "normalisation": "#1d4530",
        "activation": "#4d4011",
        "dense layer": "#432a50",
        "dropout": "#333333",
        "join": "#2b323c",
        "input": "#14181f",
        "block": "#28334a",
        "other": "#3a362c",
    },
    borders={
        "convolution": "#6ba6e4",
        "separable convolution": "#4fb6cb",
        "pooling": "#ec9472",
        "normalisation": "#62bf8c",
        "activation": "#d8b64c",
        "dense layer": "#b98ad2",
        "dropout": "#9a9a9a",
        "join": "#8b95a4",
        "input": "#8b95a4",
        "block": "#8ba0cc",
        "other": "#b3a88f",
    },
    scale=("#231d18", "#9c5618", "#ffb066"),
)
WHITE: Final = "#ffffff"
THEMES: Final = MappingProxyType({"light": _LIGHT, "dark": _DARK})


def heat(theme: Theme, share: float) -> str:
    """Return the colour of a share from 0 to 1.

    >>> heat(_LIGHT, 0), heat(_LIGHT, 0.5)
    ('#fdf6ee', '#f3a95c')
    """
    low, middle, high = theme.scale
    if share <= 0.5:
        return _between(low, middle, share * 2)
    return _between(middle, high, share * 2 - 1)


def _between(first: str, last: str, share: float) -> str:
    pairs = zip(_rgb(first), _rgb(last), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return red, green, blue


def ink_on(colour: str) -> str:
    """Return black or white, whichever is easier to read on a colour.

    The relative luminance at which both have the same contrast is 0.179 (WCAG 2.2, "contrast
    ratio").

    >>> ink_on("#ffffff"), ink_on("#000000")
    ('#1b2330', '#ffffff')
    """
    red, green, blue = (_linear(part / 255) for part in _rgb(colour))
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return _LIGHT.ink if luminance > 0.179 else WHITE


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)
