"""The server: which request is answered by which module."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

from lsprotocol import types as lsp
from pygls.lsp.server import LanguageServer

from incgen import __version__
from incgen.base.diagnostics import Diagnostic
from incgen.lsp import diagnostics
from incgen.lsp.completion import completion
from incgen.lsp.documents import Document, Documents
from incgen.lsp.hover import hover
from incgen.lsp.signatures import signature
from incgen.lsp.symbols import folds, symbols
from incgen.lsp.view import View

_T = TypeVar("_T")
_AtPosition = lsp.CompletionParams | lsp.HoverParams | lsp.SignatureHelpParams
#: How long a thread keeps Python to itself (seconds): an analysis must not hold up an answer.
_SWITCH = 0.0005


class Server(LanguageServer):
    """A language server for specs.

    Attributes:
        documents: What is open.
    """

    def __init__(self) -> None:
        """Start without documents."""
        # Whole texts: they are short, and pygls splits lines at more characters than editors do.
        kind = lsp.TextDocumentSyncKind.Full
        super().__init__("incgen", __version__, text_document_sync_kind=kind)
        self.documents = Documents(self._analysed)

    def _analysed(self, document: Document, refused: list[Diagnostic]) -> None:
        """Publish the faults of a document."""
        assert document.analysis is not None
        found = diagnostics.published(document.analysis, refused, self.documents.encoding)
        self.text_document_publish_diagnostics(
            lsp.PublishDiagnosticsParams(document.uri, found, document.version)
        )

    async def at(self, params: _AtPosition, answer: Callable[[View, int], _T]) -> _T | None:
        """Answer a request about a position."""
        view = await self.documents.view(params.text_document.uri)
        return answer(view, view.places.offset(params.position)) if view is not None else None


def make() -> Server:
    """Return a server that answers everything that it can."""
    server = Server()
    _follow_documents(server)
    _answer(server)
    return server


def run() -> None:
    """Serve one client over standard input and output."""
    sys.setswitchinterval(_SWITCH)
    make().start_io()


def _follow_documents(server: Server) -> None:
    documents = server.documents

    @server.feature(lsp.INITIALIZED)
    def initialized(params: lsp.InitializedParams) -> None:
        documents.encoding = str(getattr(server.workspace.position_encoding, "value", "utf-16"))

    @server.feature(lsp.TEXT_DOCUMENT_DID_OPEN)
    def opened(params: lsp.DidOpenTextDocumentParams) -> None:
        document = params.text_document
        documents.change(document.uri, document.text, document.version)

    @server.feature(lsp.TEXT_DOCUMENT_DID_CHANGE)
    def changed(params: lsp.DidChangeTextDocumentParams) -> None:
        document = server.workspace.get_text_document(params.text_document.uri)
        documents.change(document.uri, document.source, params.text_document.version)

    @server.feature(lsp.TEXT_DOCUMENT_DID_CLOSE)
    def closed(params: lsp.DidCloseTextDocumentParams) -> None:
        uri = params.text_document.uri
        documents.close(uri)
        server.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(uri, []))

    @server.feature(lsp.TEXT_DOCUMENT_DID_SAVE)
    def saved(params: lsp.DidSaveTextDocumentParams) -> None:
        documents.again()

    @server.feature(lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def watched(params: lsp.DidChangeWatchedFilesParams) -> None:
        documents.again()


def _answer(server: Server) -> None:
    documents = server.documents

    @server.feature(
        lsp.TEXT_DOCUMENT_COMPLETION, lsp.CompletionOptions(trigger_characters=["=", '"', "/"])
    )
    async def complete(params: lsp.CompletionParams) -> lsp.CompletionList | None:
        document = documents.get(params.text_document.uri)
        if document is None:
            return None
        folder = document.path.resolve().parent
        found = await server.at(params, lambda view, at: completion(view, at, folder))
        return lsp.CompletionList(is_incomplete=False, items=found or [])

    @server.feature(lsp.TEXT_DOCUMENT_HOVER)
    async def hovered(params: lsp.HoverParams) -> lsp.Hover | None:
        return await server.at(params, hover)

    @server.feature(
        lsp.TEXT_DOCUMENT_SIGNATURE_HELP, lsp.SignatureHelpOptions(trigger_characters=[" ", "="])
    )
    async def signed(params: lsp.SignatureHelpParams) -> lsp.SignatureHelp | None:
        return await server.at(params, signature)

    @server.feature(lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    async def outline(params: lsp.DocumentSymbolParams) -> list[lsp.DocumentSymbol] | None:
        view = await documents.view(params.text_document.uri)
        return symbols(view) if view is not None else None

    @server.feature(lsp.TEXT_DOCUMENT_FOLDING_RANGE)
    async def folded(params: lsp.FoldingRangeParams) -> list[lsp.FoldingRange] | None:
        view = await documents.view(params.text_document.uri)
        return folds(view) if view is not None else None
