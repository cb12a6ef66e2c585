"""The outline of a file, and what of it folds."""

from __future__ import annotations

from collections.abc import Iterator

from lsprotocol import types as lsp

from incgen.base.source import Located, Span
from incgen.lsp.view import View
from incgen.syntax import tree as st
from incgen.syntax.tokens import Kind, tokens

_KINDS: dict[type[Located], lsp.SymbolKind] = {
    st.Constant: lsp.SymbolKind.Constant,
    st.Unit: lsp.SymbolKind.Function,
    st.Block: lsp.SymbolKind.Class,
    st.Network: lsp.SymbolKind.Module,
    st.Recipe: lsp.SymbolKind.Event,
}


def symbols(view: View) -> list[lsp.DocumentSymbol]:
    """Return the definitions of a file, with the labels inside them."""
    outline = []
    for item in view.tree.items if view.tree is not None else ():
        if isinstance(item, (st.Constant, st.Unit, st.Block, st.Recipe)):
            inside = _labels(item.body, view) if isinstance(item, st.Block) else ()
            kind = _KINDS[type(item)]
            outline += _symbol(item.name, kind, item.span, _detail(item), list(inside), view)
    return outline


def _symbol(
    name: st.Identifier,
    kind: lsp.SymbolKind,
    whole: Span,
    detail: str,
    children: list[lsp.DocumentSymbol],
    view: View,
) -> list[lsp.DocumentSymbol]:
    """Return one symbol, or none if its name is being changed."""
    own = view.range(name.span)
    if own is None:
        return []
    first, last = view.now(whole.start), view.now(whole.end)
    around = view.places.range(first, last) if first is not None and last is not None else own
    return [lsp.DocumentSymbol(name.text, kind, around, own, detail, children=children)]


def _detail(item: st.Item) -> str:
    """Return what stands beside a name: its parameters, its value, or what a unit is made of."""
    match item:
        case st.Constant():
            return f"= {item.value.span.text}" if item.value.span is not None else ""
        case st.Unit():
            return " -> ".join(call.name.text for call in item.calls)
        case st.Block(parameters=parameters):
            return f"({', '.join(p.name.text for p in parameters)})" if parameters else ""
        case st.Recipe(trains=st.Trains() as trains):
            return f"for {trains.network.text}"
        case _:
            return ""


def _labels(body: st.Body, view: View) -> Iterator[lsp.DocumentSymbol]:
    """Yield the labels of a body, and under each those inside; bodies without one are open."""
    for statement in body.statements:
        if isinstance(statement, st.Input):
            continue
        inside = st.Body((statement,), span=body.span)
        bodies = [statement.body] if isinstance(statement, st.Aux) else st.inner_bodies(inside)
        children = [label for inner in bodies for label in _labels(inner, view)]
        if statement.label is None:
            yield from children
            continue
        kind = lsp.SymbolKind.Interface if isinstance(statement, st.Aux) else lsp.SymbolKind.Field
        detail = _told(statement)
        yield from _symbol(statement.label, kind, statement.span, detail, children, view)


def _told(statement: st.Statement | st.Aux) -> str:
    """Return what a statement does, as it is written, with what has a body by its first word."""
    if isinstance(statement, st.Aux):
        return "aux"
    words = []
    for element in statement.elements:
        match element:
            case st.Call():
                words.append(" ".join(element.span.text.split()))
            case st.Join():
                words.append(element.kind)
            case st.Repeat():
                words.append("repeat")
            case st.Conditional():
                words.append("if")
            case _:
                words.append("{ }")
    return " -> ".join(words)


def folds(view: View) -> list[lsp.FoldingRange]:
    """Return the brackets and comments of several lines, from the text of now."""
    ranges, opened = list[lsp.FoldingRange](), list[int]()
    comments = list[int]()
    source = view.places.source
    alone = True  # whether nothing but blanks precedes on the line
    for token in tokens(view.text):
        if token.kind is Kind.NEWLINE:
            alone = alone or token.text == "\n"
            continue
        line = source.position(token.start)[0] - 1
        if token.kind is Kind.COMMENT and alone:
            if comments and comments[-1] != line - 1:
                ranges += _comment(comments)
                comments = []
            comments.append(line)
        elif token.text in ("{", "["):
            opened.append(line)
        elif token.text in ("}", "]") and opened:
            first = opened.pop()
            if line - 1 > first:
                ranges.append(lsp.FoldingRange(first, line - 1))
        alone = False
    ranges += _comment(comments)
    return sorted(ranges, key=lambda fold: (fold.start_line, fold.end_line))


def _comment(lines: list[int]) -> list[lsp.FoldingRange]:
    if len(lines) < 2:
        return []
    return [lsp.FoldingRange(lines[0], lines[-1], kind=lsp.FoldingRangeKind.Comment)]
