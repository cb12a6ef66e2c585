"""Errors in specs and failures of commands, as standard error and exit codes."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence

import click

from incgen.base.diagnostics import Code, Diagnostic, Severity, render
from incgen.cli.options import FAULTS, OK, USAGE
from incgen.cli.terminal import harmless, in_colour, is_terminal, say

_HEADLINE = re.compile(r"^(.*?: )(error|warning)(\[[a-z0-9-]+\]): (.*)$")
#: A line of a spec or the marks below it: the number and the bar, then the rest.
_EXCERPT = re.compile(r"^( *\d* \|)(.*)$")
_COLOURS = {"error": "red", "warning": "yellow", "note": "green", "help": "cyan"}


def report_faults(diagnostics: Sequence[Diagnostic]) -> None:
    """Print reports with their excerpts."""
    if not diagnostics:
        return
    text = harmless(render(diagnostics))
    if in_colour(sys.stderr):
        text = coloured(text)
    click.echo(f"{text}\n", err=True, color=True)
    if is_terminal(sys.stderr):
        say(_more(diagnostics))


def coloured(text: str) -> str:
    """Return reports with the codes of colours that terminals and notebooks know."""
    shown, colour = [], "red"
    for line in text.split("\n"):
        if headline := _HEADLINE.match(line):
            colour = _COLOURS[headline[2]]
        shown.append(_coloured(line, colour))
    return "\n".join(shown)


def _more(diagnostics: Iterable[Diagnostic]) -> str:
    """Return how to learn more about errors; nothing about warnings, which every build repeats."""
    codes = {d.code.value for d in diagnostics if d.severity is Severity.ERROR}
    if not codes:
        return ""
    if len(codes) == 1:
        return f"`incgen explain {codes.pop()}` says more about this error"
    return "`incgen explain CODE` says more about an error, by its code in brackets"


def _coloured(line: str, colour: str) -> str:
    """Return a line of a report; `colour` is that of its marks."""
    if headline := _HEADLINE.match(line):
        place, severity, code, message = headline.groups()
        kind = click.style(severity + code, fg=colour, bold=True)
        return f"{click.style(place, bold=True)}{kind}{click.style(f': {message}', bold=True)}"
    if excerpt := _EXCERPT.match(line):
        gutter, rest = click.style(excerpt[1], fg="blue", bold=True), excerpt[2]
        of_marks = rest and excerpt[1].endswith(" |") and not excerpt[1][:1].isdigit()
        return gutter + (click.style(rest, fg=colour, bold=True) if of_marks else rest)
    word, colon, rest = line.partition(": ")
    if word in ("note", "help"):
        return click.style(word + colon, fg=_COLOURS[word], bold=True) + rest
    return line


def exit_code_of(diagnostics: Iterable[Diagnostic]) -> int:
    """Return the exit code for these errors: an unreadable spec counts as an invalid command."""
    errors = [d for d in diagnostics if d.severity is Severity.ERROR]
    if any(d.code is Code.UNREADABLE and d.span is None for d in errors):
        return USAGE
    return FAULTS if errors else OK


def failed(message: str) -> int:
    """Report why a command cannot be carried out; return its exit code."""
    say(f"Error: {message}")
    return USAGE
