"""Definitions of a whole program that cannot stand in one generated file."""

from __future__ import annotations

from incgen import definitions as df
from incgen.diagnostics import Code, Note, Reporter
from incgen.names import class_name


def check_class_names(found: tuple[df.Definition, ...], report: Reporter) -> None:
    """Two definitions that would become one class are a fault, not a renaming."""
    seen: dict[str, df.Definition] = {}
    for definition in found:
        first = seen.setdefault(class_name(definition.name), definition)
        if first is not definition:
            help_ = "rename one of them"
            message = f"the network uses another {first.kind} with the name `{definition.name}`"
            if first.name != definition.name:
                both = class_name(definition.name)
                message = f"`{definition.name}` and `{first.name}` would both become `{both}`"
            elif first.span == definition.span:
                message = f"`{definition.name}` is used under different `numerics` or `default`s"
                help_ = "let all files that use it have the same, or give its file a `numerics`"
            report.error(
                Code.DUPLICATE,
                definition.span,
                message,
                notes=[Note(f"the other `{first.name}` is here", first.span)],
                help=help_,
            )
