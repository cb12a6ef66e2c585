"""Check a built site: every link leads somewhere, and nothing is loaded from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: What a browser loads at once, by element, and where its address stands.
_LOADS = {
    ("script", "src"),
    ("img", "src"),
    ("img", "srcset"),
    ("source", "src"),
    ("source", "srcset"),
    ("iframe", "src"),
    ("video", "src"),
    ("audio", "src"),
    ("embed", "src"),
    ("object", "data"),
    ("use", "href"),
    ("image", "href"),
    ("link", "href"),
}
_LINKS = {("a", "href"), ("form", "action"), *_LOADS}
#: Names in programs that look like addresses, and are never asked for.
_NAMESPACE = re.compile(r"https?://www\.w3\.org/[\w/]*$")
_ADDRESS = re.compile(r"https?://[^\s\"'`)<>\\]+")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_CSS_LOAD = re.compile(r"(?:url\(|@import\s+)[\"']?((?:https?:)?//[^\"')\s]+)")


class _Page(HTMLParser):
    """Collect the links, what is loaded, and the anchors of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[tuple[str, str, str]] = []
        self.anchors: set[str] = set()
        self.styles: list[str] = []
        self._style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect what an element refers to, and its anchors."""
        self._style = tag == "style"
        for name, value in attrs:
            if value is None:
                continue
            if name == "id" or (tag == "a" and name == "name"):
                self.anchors.add(value)
            elif name == "style":
                self.styles.append(value)
            elif (tag, name) in _LINKS:
                self.links.append((tag, name, value))

    def handle_data(self, data: str) -> None:
        """Collect styles."""
        if self._style:
            self.styles.append(data)
            self._style = False


@cache
def _read(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text("utf-8"))
    return page


def _anchors(path: Path) -> set[str]:
    return _read(path).anchors


def faults(site: Path) -> list[str]:
    """Return what is wrong with a built site, a line each."""
    _read.cache_clear()
    found: list[str] = []
    for path in sorted(site.rglob("*")):
        name = path.relative_to(site)
        if path.suffix == ".html":
            found += (f"{name}: {fault}" for fault in _faults_of_page(site, path))
        elif path.suffix in (".css", ".svg"):
            found += (f"{name} loads {url}" for url in _styles(path.read_text("utf-8")))
        elif path.suffix in (".js", ".mjs") and path.name != "search.js":  # which is data
            found += (f"{name} may load {url}" for url in _addresses(path.read_text("utf-8")))
    return found


def _faults_of_page(site: Path, path: Path) -> Iterator[str]:
    page = _read(path)
    for tag, name, value in page.links:
        parts = urlsplit(value)
        if parts.scheme in ("http", "https") or parts.netloc:
            if (tag, name) in _LOADS:
                yield f"<{tag}> loads {value}"
        elif parts.scheme not in ("data", "mailto", "javascript"):
            yield from _faults_of_link(site, path, value)
    for style in page.styles:
        yield from (f"a style loads {url}" for url in _styles(style))


def _faults_of_link(site: Path, path: Path, value: str) -> Iterator[str]:
    parts = urlsplit(value)
    place, fragment = unquote(parts.path), unquote(parts.fragment)
    base = site if place.startswith("/") else path.parent
    target = (base / place.lstrip("/")).resolve() if place else path
    if target.is_dir():
        target /= "index.html"
    if not target.is_file() or not target.is_relative_to(site.resolve()):
        yield f"the link {value} leads nowhere"
    elif target.suffix == ".html" and _is_anchor(fragment) and fragment not in _anchors(target):
        yield f"the link {value} has no anchor"


def _is_anchor(fragment: str) -> bool:
    """Return whether a fragment names a place in a page, and is not read by its program."""
    return fragment != "" and "=" not in fragment and fragment != "__skip"


def _styles(text: str) -> Iterator[str]:
    for found in _CSS_LOAD.finditer(text):
        yield found[1]


def _addresses(text: str) -> Iterator[str]:
    for found in _ADDRESS.finditer(_COMMENT.sub("", text)):
        if not _NAMESPACE.fullmatch(found[0]):
            yield found[0]
