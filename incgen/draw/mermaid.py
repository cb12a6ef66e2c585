"""A diagram as Mermaid text, which GitHub and many editors draw inside Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from incgen.draw.colours import Theme, class_of, ink_on
from incgen.draw.diagram import SIGNS, Box, Diagram, boxes
from incgen.draw.heat import OfBox
from incgen.draw.outline import Group, Outline, outline, text_of

_SHAPES = {"input": ("([", "])"), "block": ("[[", "]]")}


def mermaid(diagram: Diagram, theme: Theme, fill: OfBox, *, down: bool) -> str:
    """Write a diagram as a Mermaid flowchart."""
    outlined = outline(diagram)
    lines = [f"flowchart {'TB' if down else 'LR'}"]
    lines += _group(outlined.whole, outlined, 1)
    for source, target, text in outlined.edges:
        said = f'|"{_escaped(text)}"|' if text else ""
        lines.append(f"    {source} -->{said} {target}")
    kinds = dict.fromkeys(box.kind for box in boxes(diagram.row))
    for kind in kinds:
        style = f"fill:{theme.fills[kind]},stroke:{theme.borders[kind]},color:{theme.ink}"
        lines.append(f"    classDef {class_of(kind)} {style}")
    for kind in kinds:
        named = [outlined.names[box.key] for box in boxes(diagram.row) if box.kind == kind]
        lines.append(f"    class {','.join(named)} {class_of(kind)}")
    for box in boxes(diagram.row):
        if colour := fill(box):
            style = f"fill:{colour},color:{ink_on(colour)}"
            lines.append(f"    style {outlined.names[box.key]} {style}")
    for name in _names(outlined.whole):
        lines.append(f"    style {name} fill:{theme.card},stroke:{theme.rule},color:{theme.ink}")
    return "\n".join(lines) + "\n"


def _group(group: Group, outlined: Outline, level: int) -> Iterator[str]:
    indent = "    " * level
    for box in group.boxes:
        yield f"{indent}{outlined.names[box.key]}{_shaped(box)}"
    for inner in group.groups:
        yield f'{indent}subgraph {inner.name}["{_escaped(inner.title)}"]'
        yield from _group(inner, outlined, level + 1)
        yield f"{indent}end"


def _names(group: Group) -> Iterator[str]:
    """Yield the names of all groups inside one."""
    for inner in group.groups:
        yield inner.name
        yield from _names(inner)


def _shaped(box: Box) -> str:
    if box.text in SIGNS and box.kind == "join":
        return f'(("{SIGNS[box.text]}"))'
    opening, closing = _SHAPES.get(box.kind, ("[", "]"))
    return f'{opening}"{_escaped(text_of(box))}"{closing}'


def _escaped(text: str) -> str:
    """Return a text in the form that is safe between quotes."""
    for sign, entity in (("&", "&amp;"), ('"', "#quot;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(sign, entity)
    return text.replace("\n", "<br>")
