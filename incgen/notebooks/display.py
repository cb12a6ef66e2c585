"""Show networks in notebooks: drawings, pages, source, tables."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from incgen.compiling import SpecPath

#: The height of a page in a notebook, in pixels.
_PAGE = 720


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


@dataclass(frozen=True, slots=True)
class Table:
    """A table of layers, as `Network.table` makes it."""

    text: str
    html: str = field(repr=False)

    def __str__(self) -> str:
        """Return the table as text."""
        return self.text

    def __repr__(self) -> str:
        """Return the table as text, which is what a terminal shows."""
        return self.text

    def _repr_html_(self) -> str:
        """Show the table with bars."""
        return self.html


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
