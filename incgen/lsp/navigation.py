"""Find the definition and the uses of a name, in this file and in those that use it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from lsprotocol import types as lsp

from incgen.base.diagnostics import Reporter, SpecError
from incgen.base.source import Span
from incgen.lsp.names import Names, Occurrence, Role, Symbol
from incgen.lsp.positions import Places, file_of
from incgen.lsp.view import View
from incgen.syntax import tree as st
from incgen.syntax.loader import decoded, load_around_faults, read

#: The most files of a project that are searched for uses.
_MAX_FILES = 1000


def definition(view: View, offset: int) -> lsp.Location | None:
    """Return where the name at an offset is defined."""
    occurrence = view.at(offset)
    if occurrence is None:
        return None
    if occurrence.role is Role.FILE and isinstance(occurrence.around, st.Use):
        loaded = view.analysis.loaded
        used = loaded.uses.get(occurrence.around.path.value) if loaded is not None else None
        if used is None:
            return None
        return _location(Span(used.source, 0, 0), view)
    return _location(occurrence.symbol.span, view) if occurrence.symbol is not None else None


def _location(span: Span, view: View) -> lsp.Location | None:
    own = span.source.name == view.places.source.name
    place = view.range(span) if own else Places(span.source, view.places.encoding).of(span)
    return lsp.Location(file_of(span.source).as_uri(), place) if place is not None else None


def highlights(view: View, offset: int) -> list[lsp.DocumentHighlight]:
    """Return the places in this file that refer to the same thing as the name at an offset."""
    occurrence = view.at(offset)
    if occurrence is None or occurrence.symbol is None:
        return []
    kinds = lsp.DocumentHighlightKind
    return [
        lsp.DocumentHighlight(place, kinds.Write if use.defines else kinds.Read)
        for use in view.names.of(occurrence.symbol)
        if (place := view.range(use.span)) is not None
    ]


def references(
    symbol: Symbol, files: Mapping[Path, Names], encoding: str, *, definitions: bool
) -> list[lsp.Location]:
    """Return the places in some files that refer to a symbol."""
    locations = []
    for path, names in files.items():
        for use in uses_in(names, symbol):
            if definitions or not use.defines:
                places = Places(use.span.source, encoding)
                locations.append(lsp.Location(path.as_uri(), places.of(use.span)))
    return locations


def uses_in(names: Names, symbol: Symbol) -> list[Occurrence]:
    """Return the places in a file that refer to a symbol, which another reading may have found."""
    place = place_of(symbol)
    return [
        occurrence
        for occurrence in names.occurrences
        if occurrence.symbol is not None
        and occurrence.symbol.name == symbol.name
        and place_of(occurrence.symbol) == place
    ]


def place_of(symbol: Symbol) -> tuple[Path, int]:
    """Return the file and the offset of a symbol."""
    return file_of(symbol.span.source), symbol.span.start


def files_with(
    symbol: Symbol, own: Path, texts: Mapping[Path, str], roots: Iterable[Path]
) -> dict[Path, Names]:
    """Read the files that may refer to a symbol, the given one and its own included.

    Args:
        symbol: What is looked for.
        own: The file that is looked at.
        texts: The texts of open files.
        roots: The folders of the project.
    """
    home = file_of(symbol.span.source)
    files: dict[Path, Names] = {}
    for path in dict.fromkeys((own.resolve(), home, *_specs(own, texts, roots))):
        text = texts.get(path)
        if text is None:
            try:
                text = decoded(read(path, path.name), path.name)
            except SpecError:
                continue
        if symbol.name in text and (path in (own.resolve(), home) or home.name in text):
            files[path] = names_of(path, text, texts)
    return files


def names_of(path: Path, text: str, texts: Mapping[Path, str]) -> Names:
    """Read the names of a text."""
    loaded = load_around_faults(path, text, texts, Reporter())
    return Names(loaded)


def _specs(own: Path, texts: Mapping[Path, str], roots: Iterable[Path]) -> Iterator[Path]:
    """Yield the specs of a project; what does not belong to one has its own folder."""
    yield from texts
    folder = own.resolve().parent
    bases = [root.resolve() for root in roots if folder.is_relative_to(root.resolve())] or [folder]
    specs = (path for root in bases for path in sorted(root.rglob("*.inc")))
    yield from (path.resolve() for path in islice(specs, _MAX_FILES))
