"""What notebooks show of a network: drawings, pages, source, tables."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from incgen.compiling import SpecPath
from incgen.graph.nodes import Graph

#: The height of a page in a notebook, in pixels.
_PAGE = 720
#: Inline, because a notebook has no file beside it; frames of pages are transparent otherwise.
_TABLE = "border-collapse: collapse; font-variant-numeric: tabular-nums"
_CELL = "padding: 1px 16px 1px 0; text-align:"
_LEFT, _RIGHT = f"{_CELL} left", f"{_CELL} right"
_HEADINGS = (
    *(("layer", _LEFT), ("op", _LEFT), ("output", _LEFT)),
    *(("parameters", _RIGHT), ("multiply-adds", _RIGHT)),
)


@dataclass(frozen=True, slots=True)
class Drawing:
    """A drawing that a notebook shows, as `Network.draw` makes it."""

    svg: str = field(repr=False)
    title: str

    def save(self, path: SpecPath) -> Path:
        """Write the drawing as a file of SVG, and return its path."""
        Path(path).write_text(self.svg, "utf-8")
        return Path(path)

    def _repr_html_(self) -> str:
        """Show the drawing as an image, apart from the styles and names of other drawings."""
        return image(self.svg, self.title)


@dataclass(frozen=True, slots=True)
class Page:
    """A page to look around in, as `Network.explore` makes it."""

    html: str = field(repr=False)
    title: str

    def save(self, path: SpecPath) -> Path:
        """Write the page as a file of HTML, and return its path."""
        Path(path).write_text(self.html, "utf-8")
        return Path(path)

    def _repr_html_(self) -> str:
        """Show the page in a frame of its own."""
        style = f"width: 100%; height: {_PAGE}px; border: 1px solid #c9ced6; background: white"
        title, page = escape(self.title), escape(self.html)
        return f'<iframe title="{title}" style="{style}" srcdoc="{page}"></iframe>'


class Source(str):
    """Generated source: a string that notebooks show in colours."""

    __slots__ = ()

    def _repr_markdown_(self) -> str:
        """Show the source as Python."""
        return f"```python\n{self.rstrip()}\n```"

    def _repr_pretty_(self, printer: object, cycle: bool) -> None:
        """Show the source as it is where there is no Markdown."""
        write = getattr(printer, "text", print)
        write(str(self))


def image(svg: str, title: str) -> str:
    """Return an image of HTML; inline, the styles of several drawings would mix."""
    data = b64encode(svg.encode("utf-8")).decode("ascii")
    style = "max-width: 100%; height: auto; background: white"
    return f'<img alt="{escape(title)}" style="{style}" src="data:image/svg+xml;base64,{data}">'


def table(graph: Graph) -> str:
    """Return the layers at the top level as a table of HTML, with their sums."""
    from incgen.show.tree import tree

    rows = []
    for part in tree(graph).children:
        output = " × ".join(map(str, part.shape.sizes if part.shape else ()))
        costs = [f"{count:,}" if count else "" for count in (part.parameters, part.multiply_adds)]
        rows.append((part.name, part.described, output, *costs))
    rows.append(("total", "", "", f"{graph.trained:,}", f"{graph.multiply_adds:,}"))
    head = _row("th", [name for name, _ in _HEADINGS])
    lines = "\n".join(_row("td", row) for row in rows)
    return f'<table style="{_TABLE}">\n<thead>{head}</thead>\n<tbody>\n{lines}\n</tbody>\n</table>'


def _row(cell: str, texts: tuple[str, ...] | list[str]) -> str:
    pairs = zip(texts, _HEADINGS, strict=True)
    cells = (f'<{cell} style="{style}">{escape(text)}</{cell}>' for text, (_, style) in pairs)
    return f"<tr>{''.join(cells)}</tr>"
