"""A network as a file: which formats there are, and what makes each."""

from __future__ import annotations

from pathlib import PurePath

from incgen.base.diagnostics import listed
from incgen.draw.colours import THEMES
from incgen.draw.diagram import boxes
from incgen.draw.folding import diagram
from incgen.draw.heat import OfBox, heat_of, nothing
from incgen.draw.network import Network
from incgen.draw.scene import Scene
from incgen.draw.view import DrawError, View
from incgen.graph.nodes import Graph

#: Every format by the end of its files, and what it is.
FORMATS = {
    "svg": "a figure for documents and web pages",
    "png": "the same in pixels",
    "pdf": "the same for LaTeX",
    "html": "a page to look around in: blocks open on a click",
    "mmd": "Mermaid, which GitHub draws inside Markdown",
    "dot": "DOT, for Graphviz",
}


def format_of(name: str) -> str:
    """Return the format that a file's name asks for.

    Raises:
        DrawError: There is no such format.
    """
    form = PurePath(name).suffix[1:].lower()
    if form not in FORMATS:
        what = f"`.{form}` is not a drawing format" if form else f"`{name}` has no suffix"
        raise DrawError(f"{what}: end its name in {listed([f'.{f}' for f in FORMATS], 'or')}")
    return form


def drawn(graph: Graph, view: View, form: str) -> bytes:
    """Return a drawing of a network as the content of a file: the same bytes for the same spec.

    Raises:
        DrawError: The view opens what is not there, or a library is missing.
    """
    if form == "html":
        from incgen.draw.explorer import html

        return html(graph, view).encode("utf-8")
    if form in ("mmd", "dot"):
        return _text(graph, view, form).encode("utf-8")
    from incgen.draw.page import scene

    made, fill = scene(graph, view)
    return rendered(made, fill, view.theme, form)


def rendered(made: Scene, fill: OfBox, theme: str, form: str) -> bytes:
    """Return a scene as SVG, PNG or PDF.

    Raises:
        DrawError: A library is missing.
    """
    from incgen.draw.svg import svg

    text = svg(made, THEMES[theme], fill)
    if form == "svg":
        return text.encode("utf-8")
    from incgen.draw import raster

    if form == "png":
        return raster.png(text, width=made.width, height=made.height)
    return raster.pdf(text)


def _text(graph: Graph, view: View, form: str) -> str:
    """Return a drawing in a text format."""
    from incgen.draw.dot import dot
    from incgen.draw.mermaid import mermaid

    main, theme = diagram(Network(graph), view), THEMES[view.theme]
    heat = heat_of(view.heat, boxes(main.row), theme) if view.heat else None
    fill = heat.fill if heat is not None else nothing
    if form == "mmd":
        return mermaid(main, theme, fill, down=view.down)
    return dot(main, theme, fill, down=view.down, name=graph.program.network.name)
