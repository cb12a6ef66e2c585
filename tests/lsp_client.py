"""A client of the language server, for tests: documents that are open and edited in it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from lsprotocol import types as lsp
from pygls.protocol import default_converter
from pytest_lsp import LanguageClient

#: How long a test waits for faults (seconds).
_LONGEST = 60.0


class Client(LanguageClient):
    """A client that knows of which version the published faults are."""

    def __init__(self) -> None:
        """Start without documents."""
        super().__init__(converter_factory=default_converter)
        self.published: dict[str, lsp.PublishDiagnosticsParams] = {}
        self.news = asyncio.Event()  # set whenever something is published

        @self.feature(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def take(params: lsp.PublishDiagnosticsParams) -> None:
            self.published[params.uri] = params
            self.news.set()


class Editor:
    """A document that is open in the client."""

    def __init__(self, client: Client, path: Path, text: str) -> None:
        """Open a text as a file."""
        self.client, self.path, self.version, self.text = client, path, 1, text
        self.uri = path.as_uri()
        self.document = lsp.TextDocumentIdentifier(self.uri)
        item = lsp.TextDocumentItem(self.uri, "inc", 1, text)
        client.text_document_did_open(lsp.DidOpenTextDocumentParams(item))

    def type(self, old: str, new: str) -> None:
        """Replace a piece of the text that occurs once."""
        assert self.text.count(old) == 1, old
        self.text = self.text.replace(old, new)
        self.version += 1
        document = lsp.VersionedTextDocumentIdentifier(self.version, self.uri)
        change = lsp.TextDocumentContentChangeWholeDocument(self.text)
        self.client.text_document_did_change(lsp.DidChangeTextDocumentParams(document, [change]))

    def at(self, mark: str, shift: int = 0) -> lsp.Position:
        """Return a position in the first occurrence of a piece of text."""
        return position(self.text, self.text.index(mark) + shift)

    async def faults(self) -> list[str]:
        """Return the faults of this version, as `line:column-column code: message`."""
        return [f"{where(fault.range)} {fault.code}: {fault.message}" for fault in await self.raw()]

    async def news(self) -> None:
        """Wait until something new is published of the document."""
        known = self.client.published.get(self.uri)
        while self.client.published.get(self.uri) is known:
            self.client.news.clear()
            await asyncio.wait_for(self.client.news.wait(), _LONGEST)

    async def raw(self) -> Sequence[lsp.Diagnostic]:
        """Return the faults of this version as they are sent."""
        while True:
            report = self.client.published.get(self.uri)
            if report is not None and report.version == self.version:
                return report.diagnostics
            self.client.news.clear()
            await asyncio.wait_for(self.client.news.wait(), _LONGEST)

    async def hover(self, mark: str, shift: int = 0) -> str | None:
        """Return what a hover over a piece of text shows."""
        params = lsp.HoverParams(self.document, self.at(mark, shift))
        hover = await self.client.text_document_hover_async(params)
        if hover is None:
            return None
        assert isinstance(hover.contents, lsp.MarkupContent)
        return hover.contents.value

    async def offered(self, mark: str, shift: int | None = None) -> list[str]:
        """Return what can be typed behind a piece of text, in the order of an editor."""
        place = self.at(mark, len(mark) if shift is None else shift)
        params = lsp.CompletionParams(self.document, place)
        completions = await self.client.text_document_completion_async(params)
        assert isinstance(completions, lsp.CompletionList)
        ordered = sorted(completions.items, key=lambda item: item.sort_text or item.label)
        return [item.insert_text or item.label for item in ordered]


def position(text: str, offset: int) -> lsp.Position:
    """Return the position of an offset, in units of UTF-16."""
    start = text.rfind("\n", 0, offset) + 1
    units = len(text[start:offset].encode("utf-16-le")) // 2
    return lsp.Position(text.count("\n", 0, offset), units)


def where(place: lsp.Range) -> str:
    """Return a range as `line:column-column`, counted from 1 like in reports."""
    start, end = place.start, place.end
    line = "" if start.line == end.line else f"{end.line + 1}:"
    return f"{start.line + 1}:{start.character + 1}-{line}{end.character + 1}"
