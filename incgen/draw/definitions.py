"""The definitions of blocks on an HTML page: each drawn once, beside the table of its uses."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from html import escape

from incgen.draw import panels
from incgen.draw.colours import THEMES
from incgen.draw.diagram import Diagram
from incgen.draw.folding import diagram
from incgen.draw.heat import nothing
from incgen.draw.layout import Layout
from incgen.draw.network import Network
from incgen.draw.pieces import Axes
from incgen.draw.scene import Scene
from incgen.draw.svg import svg
from incgen.draw.uses import Use
from incgen.draw.view import View

_MARGIN = 12.0


def definitions(network: Network) -> str:
    """Return the part of the page with every block of a network; nothing, if there is none."""
    known = panels.definitions(network, diagram(network, View()))
    if not known:
        return ""
    parts = "\n".join("\n".join(_definition(*block)) for block in known)
    return (
        '<details id="definitions" open>\n'
        f"<summary>Definitions of the blocks</summary>\n{parts}\n</details>"
    )


def _definition(inside: Diagram, rows: Sequence[Use]) -> Iterator[str]:
    """Yield the lines of a definition: what it is called, its drawing, its uses."""
    block = rows[0].first.definition
    names = ", ".join(formal.name for formal in block.parameters)
    yield f"<section><h2>{escape(block.name)} <small>{f'({names})' if names else ''}</small></h2>"
    if prose := block.doc.partition("\n\n")[0]:
        yield f"<p>{escape(' '.join(prose.split()))}</p>"
    made = _drawing(inside, block.name)
    for name, theme in THEMES.items():
        data = b64encode(svg(made, theme, nothing).encode("utf-8")).decode("ascii")
        image = f'src="data:image/svg+xml;base64,{data}" width="{made.width:.0f}"'
        yield f'<img class="{name}" {image} alt="The inside of {escape(block.name)}">'
    yield from _table(rows)
    yield "</section>"


def _drawing(inside: Diagram, name: str) -> Scene:
    axes = Axes(down=True)
    part = Layout(inside, axes).whole()
    wide, high = axes.place(part.length, part.before + part.after)
    dx, dy = axes.place(0, part.before)
    marks = tuple(mark.moved(_MARGIN + dx, _MARGIN + dy) for mark in part.marks)
    return Scene(wide + 2 * _MARGIN, high + 2 * _MARGIN, marks, name, f"the inside of {name}")


def _table(rows: Sequence[Use]) -> Iterator[str]:
    """Yield the lines of the table of uses; each leads to its place in the network."""
    columns = panels.columns(rows)
    heads = "".join(f"<th>{escape(name)}</th>" for name, _ in columns)
    yield f'<div class="uses"><table><thead><tr>{heads}</tr></thead><tbody>'
    for number, row in enumerate(panels.table_rows(rows)):
        first, *cells = (escape(column[number]) for _, column in columns)
        place = escape(row.first.path)
        link = f'<button type="button" data-use="{place}">{first}</button>'
        yield f"<tr><td>{link}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
    yield "</tbody></table></div>"
