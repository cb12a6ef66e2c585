"""Definitions of a program that cannot share one generated file."""

from __future__ import annotations

from incgen.base.diagnostics import Code, Note, Reporter
from incgen.base.source import Span
from incgen.resolve import definitions as df


def check_names(definitions: tuple[df.Definition, ...], report: Reporter) -> None:
    """Report different definitions with the same name, which no reader could tell apart."""
    seen: dict[str, df.Definition] = {}
    for definition in definitions:
        first = seen.setdefault(definition.name, definition)
        if first is not definition:
            report_different(first, definition, report, definition.span)


def report_different(
    first: df.Definition, second: df.Definition, report: Reporter, span: Span
) -> None:
    """Report two different definitions with the same name, at a place that shows the second."""
    kinds = f"{first.kind} `{first.name}`", f"{second.kind} `{second.name}`"
    message = f"another {kinds[0]} exists and differs from this {second.kind}"
    help_ = "rename one of them, or let both files use it from a third"
    if first.span == second.span:
        message = f"`{first.name}` is used under different `numerics` or `default`s"
        help_ = "make all files that use it agree, or give its own file a `numerics`"
    notes: tuple[Note, ...] = (Note(f"the {kinds[0]} is here", first.span),)
    if second.span not in (span, first.span):
        notes += (Note(f"the {kinds[1]} that differs from it is here", second.span),)
    report.error(Code.DUPLICATE, span, message, notes=notes, help=help_)
