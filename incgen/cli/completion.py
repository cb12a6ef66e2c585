"""The command `completion`."""

from __future__ import annotations

import click

from incgen.cli.options import OK, examples
from incgen.cli.terminal import print_text

SHELLS = ("bash", "zsh", "fish")


@click.command(
    "completion",
    short_help="Print a script for completion in a shell.",
    epilog=examples(
        """echo 'eval "$(incgen completion bash)"' >> ~/.bashrc""",
        "incgen completion fish > ~/.config/fish/completions/incgen.fish",
    ),
)
@click.argument("shell", type=click.Choice(SHELLS), metavar="SHELL")
@click.pass_context
def completion(context: click.Context, shell: str) -> int:
    """Print a script that lets a shell complete commands, options and names.

    SHELL is bash (from 4.4), zsh or fish. Completed are files and the names of specs, targets,
    recipes, passes, parameters, labels, columns, ops and codes.
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    program = context.find_root().command
    print_text(f"{found(program, {}, 'incgen', '_INCGEN_COMPLETE').source()}\n")
    return OK
