"""The command `lsp`."""

from __future__ import annotations

import click

from incgen.cli.options import OK, examples
from incgen.cli.pages import Page
from incgen.cli.reports import failed


@click.command(
    "lsp",
    cls=Page,
    short_help="Serve an editor.",
    epilog=examples("incgen lsp", "incgen lsp 2> incgen-lsp.log"),
)
def serve() -> int:
    """Start the language server, for an editor, on standard input and output.

    It needs more than other commands: pip install 'incgen[lsp]'
    """
    from importlib.util import find_spec

    if find_spec("pygls") is None:
        return failed("the language server needs pygls: pip install 'incgen[lsp]'")
    from incgen.lsp.starting import run

    run()
    return OK
