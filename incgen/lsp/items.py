"""One thing to complete with."""

from __future__ import annotations

from lsprotocol import types as lsp


def item(
    label: str,
    kind: lsp.CompletionItemKind,
    detail: str = "",
    doc: str = "",
    *,
    insert: str | None = None,
    rank: int | None = None,
) -> lsp.CompletionItem:
    """Return what is offered.

    Args:
        label: What is shown, and typed.
        kind: The icon.
        detail: A few words beside it.
        doc: More, as Markdown.
        insert: What is typed, if that is something else.
        rank: Lower ones come first; those without one come in alphabetical order.
    """
    return lsp.CompletionItem(
        label,
        kind=kind,
        detail=detail or None,
        documentation=lsp.MarkupContent(lsp.MarkupKind.Markdown, doc) if doc else None,
        insert_text=insert,
        sort_text=None if rank is None else f"{rank:03}{label}",
    )
