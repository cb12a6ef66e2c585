"""A diagram in the DOT language, for Graphviz and what reads its files."""

from __future__ import annotations

from collections.abc import Iterator

from incgen.draw.colours import Theme, ink_on
from incgen.draw.diagram import SIGNS, Box, Diagram
from incgen.draw.heat import OfBox
from incgen.draw.outline import Group, Outline, outline, text_of


def dot(diagram: Diagram, theme: Theme, fill: OfBox, *, down: bool, name: str) -> str:
    """Write a diagram of a network of this name as a directed graph."""
    outlined = outline(diagram)
    style = f'fontname="Helvetica", fontcolor="{theme.ink}"'
    lines = [
        f"digraph {_quoted(name)} {{",
        f'    rankdir={"TB" if down else "LR"}; bgcolor="{theme.page}"; compound=true;',
        f'    graph [{style}, color="{theme.rule}"];',
        f'    node [shape=box, style="rounded,filled", fontsize=11, {style}];',
        f'    edge [color="{theme.line}", fontname="Helvetica", fontsize=10, '
        f'fontcolor="{theme.faint}"];',
        *_group(outlined.whole, outlined, theme, fill, 1),
    ]
    for source, target, text in outlined.edges:
        said = f" [label={_quoted(text)}]" if text else ""
        lines.append(f"    {source} -> {target}{said};")
    return "\n".join([*lines, "}"]) + "\n"


def _group(group: Group, outlined: Outline, theme: Theme, fill: OfBox, level: int) -> Iterator[str]:
    indent = "    " * level
    for box in group.boxes:
        yield f"{indent}{outlined.names[box.key]} [{_attributes(box, theme, fill(box))}];"
    for inner in group.groups:
        yield f"{indent}subgraph cluster_{inner.name} {{"
        yield f"{indent}    label={_quoted(inner.title)};"
        yield from _group(inner, outlined, theme, fill, level + 1)
        yield f"{indent}}}"


def _attributes(box: Box, theme: Theme, fill: str) -> str:
    sign = SIGNS.get(box.text) if box.kind == "join" else None
    words = [f"label={_quoted(sign or text_of(box))}"]
    words.append(f'fillcolor="{fill or theme.fills[box.kind]}"')
    words.append(f'color="{theme.borders[box.kind]}"')
    if fill:
        words.append(f'fontcolor="{ink_on(fill)}"')
    if sign:
        words.append("shape=circle")
    if box.folds:
        words.append("peripheries=2")
    return ", ".join(words)


def _quoted(text: str) -> str:
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"'
