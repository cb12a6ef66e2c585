"""A scene as SVG: text that stays text, colours in one style sheet, a tooltip for every box.

Only what every renderer knows is used: shapes, markers and classes.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from incgen.base.diagnostics import plain
from incgen.draw.colours import THEMES as _THEMES
from incgen.draw.colours import WHITE, Theme, class_of, ink_on
from incgen.draw.diagram import Box, Card, counted
from incgen.draw.heat import OfBox
from incgen.draw.layout import COPIES, LINE, TEXT, titles_of
from incgen.draw.pieces import SMALL
from incgen.draw.scene import Edge, Frame, Label, Mark, Patch, Placed, Scene
from incgen.draw.text import times

#: Helvetica first: `text.py` has its widths, and the others have the same or nearly so.
FONTS = "Helvetica, Arial, 'Liberation Sans', sans-serif"


def svg(scene: Scene, theme: Theme, fill: OfBox) -> str:
    """Write a scene as SVG."""
    wide, high = _number(scene.width), _number(scene.height)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" '
        f'viewBox="0 0 {wide} {high}" role="img" aria-labelledby="title description">',
        f'<title id="title">{_escaped(scene.title)}</title>',
        f'<desc id="description">{_escaped(scene.description)}</desc>',
        f"<style>\n{_styles(theme)}</style>",
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7.4" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path class="head" d="M0 0.8L8 4L0 7.2z"/></marker></defs>',
        f'<rect class="page" width="{wide}" height="{high}"/>',
        *_ordered(scene.marks, fill),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _styles(theme: Theme) -> str:
    rules = {
        "text": f"font-family: {FONTS}; font-size: {TEXT:g}px; fill: {theme.ink}",
        ".page": f"fill: {theme.page}",
        ".edge": f"fill: none; stroke: {theme.line}; stroke-width: 1.2",
        ".head": f"fill: {theme.line}",
        ".card": f"fill: {theme.card}; stroke: {theme.rule}",
        ".panel": f"fill: none; stroke: {theme.rule}",
        ".rule": f"fill: {theme.rule}",
        ".title": "font-weight: bold",
        ".middle": "text-anchor: middle",
        ".end": "text-anchor: end",
        ".name": "font-size: 20px; font-weight: bold",
        ".heading": "font-size: 13px; font-weight: bold",
        ".aside": f"font-size: {TEXT:g}px; font-weight: normal; fill: {theme.faint}",
        ".prose": f"font-size: 12px; fill: {theme.faint}",
        ".faint": f"fill: {theme.faint}",
        ".cell, .column": f"font-size: {SMALL:g}px",
        ".on-light": f"fill: {_THEMES['light'].ink}",
        ".on-dark": f"fill: {WHITE}",
        ".column": f"fill: {theme.faint}",
        ".shape, .caption": f"font-size: {SMALL:g}px; fill: {theme.faint}",
        ".caption": "font-style: italic",
    }
    kinds = "".join(
        f".{class_of(kind)} {{ fill: {fill}; stroke: {theme.borders[kind]} }}\n"
        for kind, fill in theme.fills.items()
    )
    return "".join(f"{name} {{ {rule} }}\n" for name, rule in rules.items()) + kinds


def _ordered(marks: Iterable[Mark], fill: OfBox) -> list[str]:
    """Write marks from the back to the front: cards, edges, boxes, texts."""
    layers: dict[type[Mark], list[str]] = {kind: [] for kind in (Patch, Frame, Edge, Placed, Label)}
    for mark in marks:
        layers[type(mark)] += _written(mark, fill)
    return [line for lines in layers.values() for line in lines]


def _written(mark: Mark, fill: OfBox) -> list[str]:
    match mark:
        case Placed():
            return _box(mark, fill(mark.box))
        case Frame():
            return _card(mark)
        case Edge():
            end = ' marker-end="url(#arrow)"' if mark.arrow else ""
            return [f'<path class="edge" d="{_path(mark)}"{end}/>']
        case Label():
            return [_text(mark.x, mark.y, mark.text, mark.style, mark.anchor, more=mark.more)]
        case Patch():
            colour = f' style="fill: {mark.fill}"' if mark.fill else ""
            size = _rectangle(mark.x, mark.y, mark.width, mark.height)
            rounded = ' rx="3"' if mark.style not in ("rule", "cell") else ""
            return [f'<rect class="{class_of(mark.style)}" {size}{rounded}{colour}/>']


def _box(mark: Placed, fill: str) -> list[str]:
    box = mark.box
    style = f' style="fill: {fill}"' if fill else ""
    ink = f"fill: {ink_on(fill)}" if fill else ""
    rounding = {"box": 4.0, "bar": 4.0, "pill": mark.height / 2, "dot": mark.height / 2}
    rx = _number(rounding[mark.shape])
    copies = (2, 1, 0) if box.count else (0,)  # from the back to the front
    lines = [f'<g data-key="{_escaped(box.key)}">', f"<title>{_escaped(_hint(box))}</title>"]
    for copy in copies:
        away = copy * COPIES / 2
        size = _rectangle(mark.x + away, mark.y + away, mark.width, mark.height)
        lines.append(f'<rect class="{class_of(box.kind)}" {size} rx="{rx}"{style}/>')
    x, count = mark.x + mark.width / 2, len(mark.lines)
    first = mark.y + mark.height / 2 - LINE * (count - 1) / 2 + TEXT * 0.36
    for number, text in enumerate(mark.lines):
        bold = number == 0 and bool(box.title or box.folds)
        style = "title" if bold else "column" if mark.shape == "bar" else "word"
        lines.append(_text(x, first + LINE * number, text, style, "middle", ink))
    return [*lines, "</g>"]


def _hint(part: Box | Card) -> str:
    """Return the tooltip of a part: its key, what it is, shape, cost, and its line in the spec."""
    lines = [" · ".join(filter(None, (part.key, counted(part))))]
    facts = part.facts
    if facts is not None:
        lines.append(f"output {times(facts.shape)}")
        if facts.parameters:
            lines.append(f"{facts.parameters:,} parameters")
        if facts.multiply_adds:
            lines.append(f"{facts.multiply_adds:,} multiply-adds")
        lines.append(f"receptive field {times(facts.field)}")
        lines.append(f"{facts.place}  {facts.said}")
    return "\n".join(lines)


def _card(mark: Frame) -> list[str]:
    card, band = mark.card, mark.band
    outer = _rectangle(mark.x, mark.y, mark.width, mark.height)
    top = _rectangle(mark.x, mark.y, mark.width, band)
    lines = [f'<g data-key="{_escaped(card.key)}">', f"<title>{_escaped(_hint(card))}</title>"]
    lines.append(f'<rect class="card" {outer} rx="6"/>')
    lines.append(f'<rect class="{class_of(card.kind)}" {top} rx="6"/>')
    texts = titles_of(card)
    spans = [
        f'<tspan class="title">{_escaped(texts[0])}</tspan>' if texts else "",
        f'<tspan class="faint" dx="6">{_escaped(texts[1])}</tspan>' if len(texts) > 1 else "",
    ]
    x, y = _number(mark.x + mark.width / 2), _number(mark.y + band / 2 + TEXT * 0.36)
    lines.append(f'<text class="middle" x="{x}" y="{y}">{"".join(spans)}</text>')
    return [*lines, "</g>"]


def _text(
    x: float, y: float, text: str, style: str, anchor: str, ink: str = "", more: str = ""
) -> str:
    names = style if anchor == "start" else f"{style} {anchor}"
    colour = f' style="{ink}"' if ink else ""
    behind = f'<tspan class="aside" dx="6">{_escaped(more)}</tspan>' if more else ""
    place = f'x="{_number(x)}" y="{_number(y)}"'
    return f'<text class="{names}" {place}{colour}>{_escaped(text)}{behind}</text>'


def _rectangle(x: float, y: float, wide: float, high: float) -> str:
    places = zip(("x", "y", "width", "height"), (x, y, wide, high), strict=True)
    return " ".join(f'{name}="{_number(value)}"' for name, value in places)


def _path(edge: Edge) -> str:
    """Return the path of an edge: straight lines, and a curve at each corner."""
    points = edge.points
    words = [f"M{_pair(points[0])}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        radius = min(edge.round, _distance(before, corner) / 2, _distance(corner, after) / 2)
        words.append(f"L{_pair(_towards(corner, before, radius))}")
        words.append(f"Q{_pair(corner)} {_pair(_towards(corner, after, radius))}")
    if edge.gap:
        first, last = edge.gap
        words.append(f"L{_pair(first)}M{_pair(last)}")
    words.append(f"L{_pair(points[-1])}")
    return "".join(words)


def _distance(first: tuple[float, float], second: tuple[float, float]) -> float:
    return abs(first[0] - second[0]) + abs(first[1] - second[1])  # all lines are axis-parallel


def _towards(
    place: tuple[float, float], other: tuple[float, float], by: float
) -> tuple[float, float]:
    whole = _distance(place, other) or 1
    x, y = (a + (b - a) * by / whole for a, b in zip(place, other, strict=True))
    return x, y


def _pair(place: tuple[float, float]) -> str:
    return f"{_number(place[0])} {_number(place[1])}"


def _escaped(text: str) -> str:
    """Return a text as XML has it, which knows no control characters."""
    return escape("\n".join(map(plain, text.split("\n"))))


def _number(value: float) -> str:
    """Write a number with at most two decimals."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
