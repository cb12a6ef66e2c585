"""Requests that ask: about a name, a call, a file."""

from __future__ import annotations

from lsprotocol import types as lsp

from incgen.lsp.completion import completion
from incgen.lsp.highlighting import LEGEND, highlighted
from incgen.lsp.hints import hints
from incgen.lsp.hover import hover
from incgen.lsp.navigation import definition, files_with, highlights, references
from incgen.lsp.positions import path_of
from incgen.lsp.server import Server
from incgen.lsp.signatures import signature
from incgen.lsp.symbols import folds, symbols


def register(server: Server) -> None:
    """Answer them."""
    _about_names(server)
    server.answer_at(lsp.TEXT_DOCUMENT_HOVER, hover)
    signing = lsp.SignatureHelpOptions(trigger_characters=[" ", "="])
    server.answer_at(lsp.TEXT_DOCUMENT_SIGNATURE_HELP, signature, signing)
    server.answer_at(lsp.TEXT_DOCUMENT_DEFINITION, definition)
    server.answer_at(lsp.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT, highlights)
    server.answer_of(lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL, symbols)
    server.answer_of(lsp.TEXT_DOCUMENT_FOLDING_RANGE, folds)
    server.answer_of(lsp.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL, highlighted, LEGEND)

    @server.feature(lsp.TEXT_DOCUMENT_INLAY_HINT)
    async def hinted(params: lsp.InlayHintParams) -> list[lsp.InlayHint] | None:
        view = await server.documents.view(params.text_document.uri)
        if view is None:
            return None
        inlays = hints(view, params.range.start.line, params.range.end.line)
        wanted = {None: server.shapes, lsp.InlayHintKind.Parameter: server.parameters}
        return [hint for hint in inlays if wanted.get(hint.kind, True)]


def _about_names(server: Server) -> None:
    documents = server.documents

    @server.feature(
        lsp.TEXT_DOCUMENT_COMPLETION, lsp.CompletionOptions(trigger_characters=["=", '"', "/"])
    )
    async def complete(params: lsp.CompletionParams) -> lsp.CompletionList | None:
        document = documents.get(params.text_document.uri)
        if document is None:
            return None
        folder = document.path.resolve().parent
        items = await server.at(params, lambda view, at: completion(view, at, folder))
        return lsp.CompletionList(is_incomplete=False, items=items or [])

    @server.feature(lsp.TEXT_DOCUMENT_REFERENCES)
    async def referred(params: lsp.ReferenceParams) -> list[lsp.Location] | None:
        view = await documents.current(params.text_document.uri)
        occurrence = view.at(view.places.offset(params.position)) if view is not None else None
        if view is None or occurrence is None or occurrence.symbol is None:
            return None
        symbol, own = occurrence.symbol, path_of(params.text_document.uri)
        texts, roots = documents.texts(), server.roots()
        files = await documents.apart(lambda: files_with(symbol, own, texts, roots))
        defines = params.context.include_declaration
        return references(symbol, files, documents.encoding, definitions=defines)
