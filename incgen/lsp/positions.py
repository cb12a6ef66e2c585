"""Places in a text: offsets here, lines and units of an encoding in the protocol."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lsprotocol import types as lsp

from incgen.base.source import SourceFile, Span
from incgen.syntax import shipped

#: How many units a character takes, by the encoding that the client and the server agreed on.
_UNITS: dict[str, Callable[[str], int]] = {
    "utf-8": lambda text: len(text.encode("utf-8", "surrogatepass")),
    "utf-16": lambda text: len(text.encode("utf-16-le", "surrogatepass")) // 2,
    "utf-32": len,
}


class Places:
    """The places of one text."""

    def __init__(self, source: SourceFile, encoding: str = "utf-16") -> None:
        """Take a text and the encoding in which columns are counted."""
        self.source = source
        self.encoding = encoding
        self._units = _UNITS[encoding]

    def position(self, offset: int) -> lsp.Position:
        """Return the position of an offset."""
        line, column = self.source.position(offset)
        return lsp.Position(line - 1, self.units(self.source.lines[line - 1][: column - 1]))

    def units(self, text: str) -> int:
        """Return how many columns a piece of a line takes."""
        return len(text) if text.isascii() else self._units(text)

    def range(self, start: int, end: int) -> lsp.Range:
        """Return the range between two offsets."""
        return lsp.Range(self.position(start), self.position(end))

    def of(self, span: Span) -> lsp.Range:
        """Return the range of a span of this text."""
        return self.range(span.start, span.end)

    def offset(self, position: lsp.Position) -> int:
        """Return the offset of a position; one behind the end of a line is its end."""
        if position.line >= len(self.source.lines):
            return len(self.source.text)
        line = self.source.lines[position.line]
        column = position.character
        if not line.isascii() and self.encoding != "utf-32":
            column = self._column(line, position.character)
        return self.source.offset(position.line + 1) + min(column, len(line))

    def _column(self, line: str, units: int) -> int:
        """Return how many characters of a line take so many units."""
        taken = 0
        for number, char in enumerate(line):
            if taken >= units:
                return number
            taken += self._units(char)
        return len(line)


def path_of(uri: str) -> Path:
    """Return the path of a document; one that is not a file gets the name that it has."""
    parts = urlsplit(uri)
    path = unquote(parts.path)
    if parts.scheme != "file":
        return Path(path.rpartition("/")[2] or "untitled.inc")
    if len(path) > 2 and path[0] == "/" and path[2] == ":":  # /C:/specs/net.inc
        path = path[1:]
    return Path(path)


def file_of(source: SourceFile) -> Path:
    """Return the path of a file that was read for a spec."""
    return _resolved(source.name)


@lru_cache(maxsize=100)
def _resolved(name: str) -> Path:
    """Return the path of a file by its name; each of its spans asks for it."""
    return (shipped.file_of(name) if name.startswith(shipped.PREFIX) else Path(name)).resolve()
