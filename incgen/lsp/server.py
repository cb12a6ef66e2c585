"""The server: it follows the documents of one client, and answers its requests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from incgen.base.diagnostics import Diagnostic
from incgen.base.version import VERSION
from incgen.lsp import diagnostics
from incgen.lsp.documents import Document, Documents
from incgen.lsp.positions import path_of
from incgen.lsp.view import View

_T = TypeVar("_T")
#: A notification of ours: a document has been analysed, so what was made of it may have changed.
ANALYSED = "incgen/analysed"


class Server(LanguageServer):
    """A language server for specs."""

    def __init__(self) -> None:
        # Whole texts: they are short, and pygls splits lines at more characters than editors do.
        kind = lsp.TextDocumentSyncKind.Full
        super().__init__("incgen", VERSION, text_document_sync_kind=kind)
        self.documents = Documents(self._analysed)  #: What is open
        self.shapes = self.parameters = True  #: Whether hints show these

    def begin(self, options: object) -> None:
        """Take what the client says when it starts."""
        encoding = self.workspace.position_encoding
        self.documents.encoding = str(getattr(encoding, "value", encoding) or "utf-16")
        hints = options.get("hints") if isinstance(options, dict) else None
        if isinstance(hints, dict):
            self.shapes = hints.get("shapes") is not False
            self.parameters = hints.get("parameters") is not False

    def _analysed(self, document: Document, refused: list[Diagnostic]) -> None:
        """Publish the faults of a document, and ask for what shows more of it again."""
        assert document.analysis is not None
        faults = diagnostics.published(document.analysis, refused, self.documents.encoding)
        self.text_document_publish_diagnostics(
            lsp.PublishDiagnosticsParams(document.uri, faults, document.version)
        )
        workspace = self.client_capabilities.workspace
        if workspace is not None and workspace.inlay_hint is not None:
            self.workspace_inlay_hint_refresh(None)
        if workspace is not None and workspace.semantic_tokens is not None:
            self.workspace_semantic_tokens_refresh(None)
        self.protocol.notify(ANALYSED, {"uri": document.uri})

    def roots(self) -> list[Path]:
        """Return the folders of the project."""
        folders = [path_of(folder.uri) for folder in self.workspace.folders.values()]
        return folders or ([path_of(self.workspace.root_uri)] if self.workspace.root_uri else [])

    async def at(self, params: Any, answer: Callable[[View, int], _T]) -> _T | None:
        """Answer a request about a position."""
        view = await self.documents.view(params.text_document.uri)
        return answer(view, view.places.offset(params.position)) if view is not None else None

    def answer_at(
        self, method: str, answer: Callable[[View, int], object], options: object = None
    ) -> None:
        """Answer all requests of a kind that are about a position."""

        @self.feature(method, options)
        async def answered(params: Any) -> object:
            return await self.at(params, answer)

    def answer_of(
        self, method: str, answer: Callable[[View], object], options: object = None
    ) -> None:
        """Answer all requests of a kind that are about a document."""

        @self.feature(method, options)
        async def answered(params: Any) -> object:
            view = await self.documents.view(params.text_document.uri)
            return answer(view) if view is not None else None


def refuse(message: str) -> NoReturn:
    """Answer a request with the reason why it cannot be done, which editors show."""
    raise JsonRpcException(message, lsp.LSPErrorCodes.RequestFailed.value)


def follow(server: Server) -> None:
    """Follow the documents of the client."""
    documents = server.documents

    @server.feature(lsp.INITIALIZE)
    def initialize(params: lsp.InitializeParams) -> None:
        server.begin(params.initialization_options)

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
