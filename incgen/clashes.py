"""Definitions of a whole program that cannot stand in one generated file."""

from __future__ import annotations

from incgen import definitions as df
from incgen.diagnostics import Code, Note, Reporter


def check_names(found: tuple[df.Definition, ...], report: Reporter) -> None:
    """Two different definitions of one name are a fault: a reader could not tell them apart."""
    seen: dict[str, df.Definition] = {}
    for definition in found:
        first = seen.setdefault(definition.name, definition)
        if first is not definition:
            message = f"the network uses another {first.kind} with the name `{definition.name}`"
            help_ = "rename one of them"
            if first.span == definition.span:
                message = f"`{definition.name}` is used under different `numerics` or `default`s"
                help_ = "let all files that use it have the same, or give its file a `numerics`"
            report.error(
                Code.DUPLICATE,
                definition.span,
                message,
                notes=[Note(f"the other `{first.name}` is here", first.span)],
                help=help_,
            )
