"""Inlay hints: shapes at the ends of lines, and names of parameters."""

from __future__ import annotations

from collections.abc import Iterator

from lsprotocol import types as lsp

from incgen.language import expressions as ex
from incgen.lsp.hover import shaped
from incgen.lsp.view import View
from incgen.syntax import tree as st


def hints(view: View, first: int, last: int) -> list[lsp.InlayHint]:
    """Return the hints between two lines, counted from 0; both are included."""
    every = []
    for item in view.tree.items if view.tree is not None else ():
        calls = item.calls if isinstance(item, st.Unit) else ()
        for call in calls:
            every += list(_parameters(call, view))
        if isinstance(item, st.Block):
            for statement in st.statements(item.body):
                every += list(_of(statement, view))
    inside = [hint for hint in every if first <= hint.position.line <= last]
    return sorted(inside, key=lambda hint: (hint.position.line, hint.position.character))


def _of(statement: st.Statement, view: View) -> Iterator[lsp.InlayHint]:
    for element in statement.elements:
        if isinstance(element, st.Call):
            yield from _parameters(element, view)
    shapes = {after for _, after in view.passed(shaped(statement))} if statement.elements else ()
    if len(shapes) == 1:  # a block that is used with several has none that is true of all
        yield from _hint(view, statement.span.end, f"{next(iter(shapes))}", None)


def _parameters(call: st.Call, view: View) -> Iterator[lsp.InlayHint]:
    """Yield the names of the parameters that a use of a block gives by position."""
    symbol = view.names.definitions.get(call.name.text)
    if symbol is None or not isinstance(symbol.item, st.Block):
        return
    for parameter, value in zip(symbol.item.parameters, call.positional, strict=False):
        name = parameter.name.text
        if value.span is not None and not (isinstance(value, ex.Name) and value.text == name):
            kind = lsp.InlayHintKind.Parameter
            yield from _hint(view, value.span.start, f"{name}:", kind)


def _hint(
    view: View, offset: int, label: str, kind: lsp.InlayHintKind | None
) -> Iterator[lsp.InlayHint]:
    now = view.now(offset)
    if now is None:
        return
    behind = kind is lsp.InlayHintKind.Parameter
    place = view.places.position(now)
    yield lsp.InlayHint(place, label, kind, padding_left=not behind, padding_right=behind)
