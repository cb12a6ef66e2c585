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

#: Every kind of a box, in the order of the legend: its fill and its border, light and dark.
_COLOURS: Final = {
    "convolution": ("#d6e6f7", "#4a86c5", "#1d3a57", "#6ba6e4"),
    "separable convolution": ("#cdebf2", "#2f93a8", "#15424d", "#4fb6cb"),
    "pooling": ("#fbdcd2", "#d0714f", "#57301f", "#ec9472"),
    "normalisation": ("#d8efdf", "#3f9a68", "#1d4530", "#62bf8c"),
    "activation": ("#fbf0c4", "#b8952a", "#4d4011", "#d8b64c"),
    "dense layer": ("#ecdcf3", "#9561b0", "#432a50", "#b98ad2"),
    "dropout": ("#ededed", "#9a9a9a", "#333333", "#9a9a9a"),
    "join": ("#e6e8ec", "#7d8796", "#2b323c", "#8b95a4"),
    "input": ("#ffffff", "#7d8796", "#14181f", "#8b95a4"),
    "block": ("#e9edf5", "#54688f", "#28334a", "#8ba0cc"),
    "other": ("#f2efe8", "#9a8f78", "#3a362c", "#b3a88f"),
}
KINDS: Final = tuple(_COLOURS)


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
    fills={kind: colours[0] for kind, colours in _COLOURS.items()},
    borders={kind: colours[1] for kind, colours in _COLOURS.items()},
    scale=("#fdf6ee", "#f3a95c", "#b5400f"),
)
_DARK = Theme(
    page="#14181f",
    ink="#e8ecf2",
    faint="#9aa5b4",
    line="#8490a0",
    card="#1b212a",
    rule="#3a4450",
    fills={kind: colours[2] for kind, colours in _COLOURS.items()},
    borders={kind: colours[3] for kind, colours in _COLOURS.items()},
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
