"""The command `completion`."""

from __future__ import annotations

import click

from incgen.cli.options import OK, examples
from incgen.cli.pages import Page
from incgen.cli.terminal import print_text

SHELLS = ("bash", "zsh", "fish")
#: What is changed in the scripts of click: what follows a `=` is completed, no blank is put behind
#: `classes=`, and fish keeps what stands behind a comma.
_CHANGES = {
    "bash": (
        (
            "    local response\n",
            """    local response
    local -a words=("${COMP_WORDS[@]}")
    local at=$COMP_CWORD
    if (( at > 1 )) && [[ ${words[at - 1]} == = ]]; then
        unset "words[at - 1]"
        at=$((at - 1))
    fi
""",
        ),
        (
            'COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD',
            'COMP_WORDS="${words[*]}" COMP_CWORD=$at',
        ),
        ("    return 0\n", "    [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace\n    return 0\n"),
    ),
    "zsh": (
        ("    local -a response\n", "    local -a response open\n"),
        (
            "        compadd -U -V unsorted -a completions\n",
            """        local before=${(M)PREFIX#--*=}
        open=(${(M)completions:#*=})
        completions=(${completions:#*=})
        compadd -U -V unsorted -P "$before" -a completions
        compadd -U -V unsorted -P "$before" -S '' -a open
""",
        ),
    ),
    "fish": (
        ('string split ","', 'string split --max 1 ","'),
        (
            "            echo $metadata[2];\n",
            """            set -l before (string match --regex -- '^--[^=]*=' (commandline -t));
            echo "$before$metadata[2]";
""",
        ),
    ),
}


@click.command(
    "completion",
    cls=Page,
    short_help="Complete in a shell.",
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
    recipes, passes, parameters, labels, columns, ops and codes. For zsh, put what the first example
    puts into ~/.bashrc into ~/.zshrc, behind `autoload -Uz compinit && compinit`.
    """
    from click.shell_completion import get_completion_class

    cls = get_completion_class(shell)
    assert cls is not None
    program = context.find_root().command
    script = cls(program, {}, "incgen", "_INCGEN_COMPLETE").source()
    for old, new in _CHANGES[shell]:
        script = script.replace(old, new)
    print_text(f"{script}\n")
    return OK
