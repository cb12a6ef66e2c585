"""Rename what a spec defines, in every file, if everything else then means what it did before.

The new texts are read and resolved like any others, so what speaks against a name is what the
resolver says of it; and each name must refer to the same thing as before, which also excludes what
is not an error: a parameter that gets the name of a constant hides it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from lsprotocol import types as lsp

from incgen.base.diagnostics import Severity
from incgen.lsp.analysis import analyse
from incgen.lsp.names import Names, Occurrence, Role, Symbol
from incgen.lsp.navigation import uses_in
from incgen.lsp.positions import Places, file_of
from incgen.lsp.view import View
from incgen.syntax import shipped
from incgen.syntax.parser import terminals
from incgen.syntax.tokens import keywords


class CannotRename(Exception):
    """A name cannot be changed, or not to this; the text says why."""


def renamed_at(view: View, offset: int) -> tuple[Symbol, Occurrence]:
    """Return what the name at an offset stands for.

    Raises:
        CannotRename: It is not defined in a spec, or in one that comes with incgen.
    """
    occurrence = view.at(offset)
    if occurrence is None or occurrence.symbol is None:
        raise CannotRename(
            "only labels, parameters, constants, units, blocks, networks and recipes"
        )
    home = file_of(occurrence.symbol.span.source)
    if home.is_relative_to(shipped.root().resolve()) and home != file_of(view.places.source):
        raise CannotRename(
            f"`{occurrence.symbol.name}` is defined in {home.name}, which comes with incgen"
        )
    return occurrence.symbol, occurrence


def rename(
    symbol: Symbol, name: str, files: Mapping[Path, Names], texts: Mapping[Path, str], encoding: str
) -> lsp.WorkspaceEdit:
    """Return the edits that give a symbol another name.

    Raises:
        CannotRename: The name cannot be one, or would clash with another.
    """
    if not re.fullmatch(dict(terminals())["NAME"], name):
        raise CannotRename(
            f"`{name}` is not a name: letters, digits and _, not beginning with a digit"
        )
    if name in keywords():
        raise CannotRename(f"`{name}` is a keyword")
    uses = {path: uses_in(names, symbol) for path, names in files.items()}
    uses = {path: occurrences for path, occurrences in uses.items() if occurrences}
    new = {path: _replaced(occurrences, name) for path, occurrences in uses.items()}
    for path, occurrences in uses.items():
        _check(path, occurrences[0].span.source.text, new, texts, files[path], symbol)
    changes = {}
    for path, occurrences in uses.items():
        places = Places(occurrences[0].span.source, encoding)
        changes[path.as_uri()] = [lsp.TextEdit(places.of(use.span), name) for use in occurrences]
    return lsp.WorkspaceEdit(changes=dict(changes))


def _replaced(uses: Sequence[Occurrence], name: str) -> str:
    """Return the text of a file with another name at some places."""
    text, end = uses[0].span.source.text, 0
    pieces: list[str] = []
    for span in sorted((use.span for use in uses), key=lambda span: span.start):
        pieces += [text[end : span.start], name]
        end = span.end
    return "".join([*pieces, text[end:]])


def _check(
    path: Path,
    text: str,
    new: Mapping[Path, str],
    texts: Mapping[Path, str],
    before: Names,
    symbol: Symbol,
) -> None:
    """Refuse a name that leads to an error in a file, or changes what another name refers to."""
    expand = symbol.role is Role.LABEL
    after = analyse(path, new[path], {**texts, **new}, expand=expand)
    errors = [fault for fault in after.diagnostics if fault.severity is Severity.ERROR]
    faults = analyse(path, text, texts, expand=expand).diagnostics if errors else ()
    known = Counter(fault.code for fault in faults)
    for fault in errors:
        known[fault.code] -= 1
        if known[fault.code] < 0:
            raise CannotRename(fault.message)
    if _references(before) != _references(after.names):
        raise CannotRename(
            f"another name would then refer to what `{symbol.name}` does, or hide it"
        )


def _references(names: Names) -> list[tuple[object, ...]]:
    """Return what each name refers to, in order, by places that the length of names leaves."""
    defined = {o.symbol: number for number, o in enumerate(names.occurrences) if o.defines}
    targets: list[tuple[object, ...]] = []
    for use in names.occurrences:
        symbol = use.symbol
        if symbol is None:
            targets.append((use.role,))
        elif symbol in defined:
            targets.append((use.role, defined[symbol]))
        else:
            targets.append((use.role, file_of(symbol.span.source), symbol.span.line))
    return targets
