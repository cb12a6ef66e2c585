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
    _about_uses(server)
    _about_files(server)


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

    @server.feature(lsp.TEXT_DOCUMENT_HOVER)
    async def hovered(params: lsp.HoverParams) -> lsp.Hover | None:
        return await server.at(params, hover)

    @server.feature(
        lsp.TEXT_DOCUMENT_SIGNATURE_HELP, lsp.SignatureHelpOptions(trigger_characters=[" ", "="])
    )
    async def signed(params: lsp.SignatureHelpParams) -> lsp.SignatureHelp | None:
        return await server.at(params, signature)


def _about_uses(server: Server) -> None:
    documents = server.documents

    @server.feature(lsp.TEXT_DOCUMENT_DEFINITION)
    async def defined(params: lsp.DefinitionParams) -> lsp.Location | None:
        return await server.at(params, definition)

    @server.feature(lsp.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT)
    async def marked(params: lsp.DocumentHighlightParams) -> list[lsp.DocumentHighlight] | None:
        return await server.at(params, highlights)

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


def _about_files(server: Server) -> None:
    documents = server.documents

    @server.feature(lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    async def outline(params: lsp.DocumentSymbolParams) -> list[lsp.DocumentSymbol] | None:
        view = await documents.view(params.text_document.uri)
        return symbols(view) if view is not None else None

    @server.feature(lsp.TEXT_DOCUMENT_FOLDING_RANGE)
    async def folded(params: lsp.FoldingRangeParams) -> list[lsp.FoldingRange] | None:
        view = await documents.view(params.text_document.uri)
        return folds(view) if view is not None else None

    @server.feature(lsp.TEXT_DOCUMENT_INLAY_HINT)
    async def hinted(params: lsp.InlayHintParams) -> list[lsp.InlayHint] | None:
        view = await documents.view(params.text_document.uri)
        if view is None:
            return None
        inlays = hints(view, params.range.start.line, params.range.end.line)
        wanted = {None: server.shapes, lsp.InlayHintKind.Parameter: server.parameters}
        return [hint for hint in inlays if wanted.get(hint.kind, True)]

    @server.feature(lsp.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL, LEGEND)
    async def coloured(params: lsp.SemanticTokensParams) -> lsp.SemanticTokens | None:
        view = await documents.view(params.text_document.uri)
        return highlighted(view) if view is not None else None
