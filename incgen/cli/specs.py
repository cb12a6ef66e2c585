"""The commands `check` and `passes`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from incgen.base.diagnostics import Diagnostic, Severity, SpecError, counted
from incgen.cli.inputs import source_of
from incgen.cli.options import OK, examples, one_form, set_values, several_specs
from incgen.cli.pages import Page
from incgen.cli.reports import exit_code_of, report_faults
from incgen.cli.terminal import print_text, say, waiting

if TYPE_CHECKING:
    from incgen.language.arithmetic import Value


@click.command(
    "check",
    cls=Page,
    short_help="Report every problem.",
    epilog=examples(
        "incgen check specs/*.inc", "incgen check net.inc --set classes=10 --format concise"
    ),
)
@several_specs
@one_form(
    "text with excerpts (the default), concise, or json.",
    *("text", "concise", "json"),
)
@set_values
def check(specs: Sequence[str], form: str, parameters: dict[str, Value]) -> int:
    """Report every problem in specs; exit 1 if there are errors."""
    from incgen import api
    from incgen.base.diagnostics import render_json

    faults: list[Diagnostic] = []
    for spec in specs:
        try:
            path, text = source_of(spec)
            with waiting(f"checking {spec}"):
                new = api.check(path, parameters, text=text)
        except SpecError as error:  # standard input is not text
            new = list(error.diagnostics)
        faults += [d for d in new if d not in faults]  # a shared file is reported once
    if form == "json":
        print_text(f"{render_json(faults)}\n")
    elif form == "concise":
        say("\n".join(diagnostic.headline for diagnostic in faults))
    else:
        report_faults(faults)
        say(_counted_faults(faults, len(specs)))
    return exit_code_of(faults)


def _counted_faults(faults: Sequence[Diagnostic], specs: int) -> str:
    """Return the last line of a check."""
    errors = sum(d.severity is Severity.ERROR for d in faults)
    numbers = ((errors, "error"), (len(faults) - errors, "warning"))
    parts = [counted(number, word) for number, word in numbers if number]
    return f"{' and '.join(parts) or 'no problems'} in {counted(specs, 'spec')}"


@click.command(
    "passes",
    cls=Page,
    short_help="List passes of --deploy.",
    epilog=examples("incgen passes", "incgen build net.inc --deploy --no-pass project-first"),
)
def passes() -> int:
    """List the passes of --deploy in order, with the condition under which each applies."""
    from incgen.deploy import show

    print_text(show.passes())
    return OK
