"""The commands that document the language in the terminal: `ops` and `explain`."""

from __future__ import annotations

import re
import sys

import click

from incgen.base.diagnostics import Code
from incgen.base.help import near
from incgen.cli import completing
from incgen.cli.options import OK, examples
from incgen.cli.pages import Page
from incgen.cli.reports import coloured
from incgen.cli.terminal import in_colour, painter, print_text, text_width


@click.command(
    "ops",
    cls=Page,
    short_help="Document an op, or all.",
    epilog=examples("incgen ops avg_pool", "incgen ops"),
)
@click.argument("op", metavar="[OP]", required=False, shell_complete=completing.ops)
def show_ops(op: str | None) -> int:
    """Document an op, or list all of them.

    An op is told with its arguments, what each preset sets, its output, and what each target
    writes for it.
    """
    from incgen.manual import ops

    if op is None:
        print_text(ops.listing(text_width()))
        return OK
    known = ops.entries()
    if op not in known:
        raise click.UsageError(f"there is no op `{op}`: {_offer(op, list(known))}")
    print_text(ops.page(known[op], text_width(), painter()))
    return OK


def _offer(op: str, known: list[str]) -> str:
    """Return what to ask for in place of an op that there is not."""
    from incgen.language import elsewhere
    from incgen.syntax.tokens import keywords

    if op in keywords():
        return "that is a word of the language, which docs/language.md describes"
    if called := elsewhere.called_here(op):
        return f"here it is `{called}`"
    return elsewhere.lacking(op) or near(op, known) or "`incgen ops` lists all ops"


@click.command(
    "explain",
    cls=Page,
    short_help="Explain an error.",
    epilog=examples("incgen explain shape-mismatch", "incgen explain"),
)
@click.argument("code", metavar="[CODE]", required=False, shell_complete=completing.codes)
def explain(code: str | None) -> int:
    """Explain an error or warning, or list all.

    CODE is what stands in brackets in a report, such as `shape-mismatch`. It is told with what it
    means, why it is a fault, and an example and its remedy.
    """
    from incgen.manual import errors

    if code is None:
        print_text(errors.listing(text_width()))
        return OK
    known = {member.value: member for member in Code}
    word = re.sub(r"^.*\[(.*)\].*$", r"\1", code).strip().lower().replace("_", "-")
    if word not in known:
        offer = near(word, known) or "`incgen explain` lists all codes"
        raise click.UsageError(f"there is no code `{code}`: {offer}")
    look = coloured if in_colour(sys.stdout) else str
    print_text(errors.page(errors.explanations()[known[word]], text_width(), painter(), look))
    return OK
