"""Faults as an editor shows them."""

from __future__ import annotations

from collections.abc import Iterable

from lsprotocol import types as lsp

from incgen.base.diagnostics import Code, Diagnostic, Severity
from incgen.base.source import Span
from incgen.lsp.analysis import Analysis
from incgen.lsp.positions import Places, file_of
from incgen.syntax import tree as st
from incgen.syntax.loader import LoadedFile

_SEVERITIES = {
    Severity.ERROR: lsp.DiagnosticSeverity.Error,
    Severity.WARNING: lsp.DiagnosticSeverity.Warning,
}
#: The name of incgen among the tools that report on a file.
SOURCE = "incgen"


def published(
    analysis: Analysis, refused: Iterable[Diagnostic], encoding: str
) -> list[lsp.Diagnostic]:
    """Return the faults of a file and of those that it uses."""
    places = Places(analysis.source, encoding)
    return [one(fault, analysis, places) for fault in (*refused, *analysis.diagnostics)]


def one(fault: Diagnostic, analysis: Analysis, places: Places) -> lsp.Diagnostic:
    """Return one fault, at the place in the file itself that leads to it."""
    span, message = fault.span, fault.message
    if span is not None and span.source.name != analysis.source.name:
        message = f"{span.source.name.rpartition('/')[2]}:{span.line}: {message}"
        span = _use_of(span, analysis.loaded)
    related = [
        lsp.DiagnosticRelatedInformation(
            lsp.Location(
                file_of(place.source).as_uri(), Places(place.source, places.encoding).of(place)
            ),
            about,
        )
        for about, place in _elsewhere(fault, analysis)
    ]
    facts = [note.message for note in fault.notes if note.span is None]
    lines = [message, *facts, *([f"help: {fault.help}"] if fault.help else [])]
    unused = fault.code is Code.UNUSED and fault.severity is Severity.WARNING
    return lsp.Diagnostic(
        places.of(_visible(span)) if span is not None else places.range(0, 0),
        "\n".join(lines),
        _SEVERITIES[fault.severity],
        fault.code.value,
        source=SOURCE,
        tags=[lsp.DiagnosticTag.Unnecessary] if unused else None,
        related_information=related or None,
    )


def _visible(span: Span) -> Span:
    """Return at least one character, and no more than a line of many."""
    text = span.source.text
    end = span.end
    if span.end == span.start and not text[span.start : span.start + 1].isspace():
        end = min(len(text), span.start + 1)
    newline = text.find("\n", span.start, span.end)
    return Span(span.source, span.start, end if newline < 0 else newline)


def _elsewhere(fault: Diagnostic, analysis: Analysis) -> Iterable[tuple[str, Span]]:
    """Yield the places that explain a fault."""
    if fault.span is not None and fault.span.source.name != analysis.source.name:
        yield fault.message, fault.span
    for note in fault.notes:
        if note.span is not None:
            yield note.message, note.span


def _use_of(span: Span, loaded: LoadedFile | None) -> Span | None:
    """Return the `use` that leads to the file of a place."""
    if loaded is None:
        return None
    for item in loaded.spec.of(st.Use):
        used = loaded.uses.get(item.path.value)
        if used is not None and any(f.source.name == span.source.name for f in used.files()):
            return item.path.span
    return None
