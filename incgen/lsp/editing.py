"""Requests that change a text or make something of it: rename, format, mend, generate, draw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lsprotocol import types as lsp

from incgen.api import find_targets
from incgen.base.diagnostics import SpecError, listed
from incgen.base.help import Edit, edits_of
from incgen.base.source import Span
from incgen.graph.nodes import Graph
from incgen.lsp.diagnostics import one
from incgen.lsp.formatting import formatted
from incgen.lsp.navigation import files_with
from incgen.lsp.positions import Places, file_of, path_of
from incgen.lsp.rename import CannotRename, rename, renamed_at
from incgen.lsp.server import Server, refuse
from incgen.lsp.view import View
from incgen.syntax import shipped

#: Our commands: the generated source of a document for a target, and its drawing as SVG.
SOURCE, DRAWING = "incgen.source", "incgen.drawing"


def register(server: Server) -> None:
    """Answer them."""
    _rename(server)
    _format(server)
    _mend(server)
    _make(server)


def _rename(server: Server) -> None:
    documents = server.documents

    @server.feature(lsp.TEXT_DOCUMENT_PREPARE_RENAME)
    async def prepare(params: lsp.PrepareRenameParams) -> lsp.PrepareRenamePlaceholder | None:
        view = await documents.current(params.text_document.uri)
        if view is None:
            return None
        try:
            symbol, occurrence = renamed_at(view, view.places.offset(params.position))
        except CannotRename as reason:
            refuse(str(reason))
        return lsp.PrepareRenamePlaceholder(view.places.of(occurrence.span), symbol.name)

    @server.feature(lsp.TEXT_DOCUMENT_RENAME, lsp.RenameOptions(prepare_provider=True))
    async def renamed(params: lsp.RenameParams) -> lsp.WorkspaceEdit | None:
        view = await documents.current(params.text_document.uri)
        if view is None:
            return None
        own, texts, roots = path_of(params.text_document.uri), documents.texts(), server.roots()
        name, encoding = params.new_name, documents.encoding
        try:
            symbol, _ = renamed_at(view, view.places.offset(params.position))
            return await documents.apart(
                lambda: rename(symbol, name, files_with(symbol, own, texts, roots), texts, encoding)
            )
        except CannotRename as reason:
            refuse(str(reason))


def _format(server: Server) -> None:
    documents = server.documents

    @server.feature(lsp.TEXT_DOCUMENT_FORMATTING)
    async def whole(params: lsp.DocumentFormattingParams) -> list[lsp.TextEdit] | None:
        return await laid_out(params.text_document.uri, None)

    @server.feature(lsp.TEXT_DOCUMENT_RANGE_FORMATTING)
    async def part(params: lsp.DocumentRangeFormattingParams) -> list[lsp.TextEdit] | None:
        first, last = params.range.start.line, params.range.end.line
        if params.range.end.character == 0 and last > first:
            last -= 1  # lines are selected up to the beginning of the next
        return await laid_out(params.text_document.uri, (first + 1, last + 1))

    async def laid_out(uri: str, lines: tuple[int, int] | None) -> list[lsp.TextEdit] | None:
        view = await documents.view(uri)
        if view is None:
            return None
        return await documents.apart(lambda: formatted(view.places, path_of(uri), lines))


def _mend(server: Server) -> None:
    documents = server.documents

    @server.feature(
        lsp.TEXT_DOCUMENT_CODE_ACTION,
        lsp.CodeActionOptions(code_action_kinds=[lsp.CodeActionKind.QuickFix]),
    )
    async def actions(params: lsp.CodeActionParams) -> list[lsp.CodeAction] | None:
        kinds = [str(getattr(kind, "value", kind)) for kind in params.context.only or ()]
        if kinds and lsp.CodeActionKind.QuickFix.value not in kinds:
            return []
        view = await documents.current(params.text_document.uri)
        if view is None:
            return None
        uri, fixes = params.text_document.uri, list[lsp.CodeAction]()
        for fault in view.analysis.diagnostics:
            shown = one(fault, view.analysis, view.places)
            if fault.span is not None and _touch(shown.range, params.range):
                fixes += _actions(edits_of(fault.help), fault.span, shown, view, uri)
        return fixes


def _touch(one: lsp.Range, other: lsp.Range) -> bool:
    """Return whether two ranges have a line in common."""
    return one.start.line <= other.end.line and other.start.line <= one.end.line


def _actions(
    edits: Sequence[Edit], span: Span, fault: lsp.Diagnostic, view: View, uri: str
) -> Iterator[lsp.CodeAction]:
    """Yield the edits of a help, unless they are of a file that comes with incgen."""
    for edit in edits:
        changes = [(change.at(span), change.text) for change in edit.changes]
        sources = {place.source for place, _ in changes}
        if any(source.name.startswith(shipped.PREFIX) for source in sources):
            continue
        others = sorted(file_of(source).name for source in sources - {view.analysis.source})
        edited = dict[str, list[lsp.TextEdit]]()
        for place, text in changes:
            own = place.source == view.analysis.source
            places = view.places if own else Places(place.source, view.places.encoding)
            file = uri if own else file_of(place.source).as_uri()
            edited.setdefault(file, []).append(lsp.TextEdit(places.of(place), text))
        yield lsp.CodeAction(
            edit.called(span) + (f" in {listed(others)}" if others else ""),
            lsp.CodeActionKind.QuickFix,
            diagnostics=[fault],
            is_preferred=len(edits) == 1,
            edit=lsp.WorkspaceEdit(changes=dict(edited)),
        )


def _make(server: Server) -> None:
    documents = server.documents

    async def graph_of(uri: str) -> Graph:
        view = await documents.current(uri)
        if view is None or view.analysis.graph is None:
            refuse("the spec has errors, or no network")
        return view.analysis.graph

    @server.command(SOURCE)
    async def source(uri: str, target: str) -> str:
        graph = await graph_of(uri)

        def emitted() -> str | SpecError:
            try:
                return find_targets([target])[0].emit(graph)
            except SpecError as error:
                return error

        result = await documents.apart(emitted, targets=True)
        return refuse(str(result)) if isinstance(result, SpecError) else result

    @server.command(DRAWING)
    async def drawing(uri: str, theme: str) -> str:
        from incgen.draw import view as drawing
        from incgen.draw.drawing import drawn

        graph = await graph_of(uri)
        shown = drawing.View(theme=theme)
        return await documents.apart(
            lambda: drawn(graph, shown, "svg").decode("utf-8"), targets=True
        )
