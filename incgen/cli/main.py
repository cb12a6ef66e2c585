"""The program: its commands, each imported on first use, and how a run ends.

Exit codes: 0 is success; 1 means that a spec has errors, that weights do not fit it or that
`--check` found a difference; 2 that the command is invalid; 130 is an interrupt, and 128 plus its
number any other signal. Output goes to standard output, in UTF-8 on every system, and all messages
to standard error.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

import click

from incgen.base.diagnostics import SpecError
from incgen.base.ending import as_exceptions, exit_code
from incgen.base.version import VERSION
from incgen.cli.options import FAULTS, HELP, OK, USAGE, examples
from incgen.cli.pages import Commands, write_beside
from incgen.cli.reports import exit_code_of, failed, report_faults
from incgen.cli.terminal import close_output, say

#: The commands by what they are for, each with its module and its name there.
GROUPS = {
    "Check and build": {
        "check": ("incgen.cli.specs", "check"),
        "build": ("incgen.cli.build", "build"),
        "verify": ("incgen.cli.verify", "verify"),
        "passes": ("incgen.cli.specs", "passes"),
        "templates": ("incgen.cli.templates", "templates"),
    },
    "Weights": {
        "weights": ("incgen.cli.weights", "weights"),
        "quantize": ("incgen.cli.quantize", "quantize"),
    },
    "Look": {
        "show": ("incgen.cli.show", "show"),
        "draw": ("incgen.cli.draw", "draw"),
        "diff": ("incgen.cli.diff", "diff"),
        "ops": ("incgen.cli.manual", "show_ops"),
        "explain": ("incgen.cli.manual", "explain"),
    },
    "Write": {
        "new": ("incgen.cli.new", "new"),
        "format": ("incgen.cli.format", "format_specs"),
        "lsp": ("incgen.cli.lsp", "serve"),
        "completion": ("incgen.cli.completion", "completion"),
    },
}
_COMMANDS = {name: place for group in GROUPS.values() for name, place in group.items()}


class _Commands(Commands):
    """A group that imports commands on demand, because start-up is most of the time of a build."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; return None if there is none of that name."""
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by what they are for; the options are in the line of the usage."""
        width = max(map(len, _COMMANDS))
        groups = []
        for title, names in GROUPS.items():
            entries = [(name, self.get_command(ctx, name)) for name in names]
            told = [(name, command.get_short_help_str()) for name, command in entries if command]
            groups.append([f"{title}:", *(f"  {name:{width}}  {text}" for name, text in told)])
        write_beside(formatter, groups)


def _print_version(context: click.Context, option: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"incgen {VERSION}")
        context.exit()


@click.group(
    cls=_Commands,
    context_settings=HELP,
    options_metavar="[--version]",
    epilog=examples("incgen show bn_inception --depth 1", "incgen build net.inc --target torch"),
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version and exit.",
)
def commands() -> None:
    """Compile network specs to readable PyTorch, Keras and Flax source.

    A SPEC is a file, the name of one that ships with incgen, or - for standard input.
    `incgen COMMAND --help` shows the options of a command.
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run an incgen command and exit with its code."""
    run(commands, arguments, "incgen")


def run(command: click.Command, arguments: Sequence[str] | None, program: str) -> NoReturn:
    """Run a command and exit with its code; report a user's mistake in one line."""
    # A command is short and nearly everything it allocates lives until its end, so frequent garbage
    # collection would only cost time: a tenth of a build.
    gc.set_threshold(300_000, 50, 50)
    with as_exceptions():
        code = _run(command, arguments, program)
        gc.freeze()  # the process is ending, so a final collection would be wasted
        sys.exit(code)


def _run(command: click.Command, arguments: Sequence[str] | None, program: str) -> int:
    try:
        code: Any = command.main(arguments, prog_name=program, standalone_mode=False)
        if sys.stdout is not None and not sys.stdout.closed:  # the language server closes it
            sys.stdout.flush()
        return int(code or OK)
    except SpecError as error:
        report_faults(error.diagnostics)
        return exit_code_of(error.diagnostics)
    except click.ClickException as error:
        error.show()
        return USAGE
    except (click.Abort, KeyboardInterrupt) as error:
        say(f"{program}: interrupted")
        return exit_code(error)
    except BrokenPipeError:
        close_output()
        return FAULTS
    except OSError as error:
        close_output()
        what = f"`{error.filename}`" if error.filename else "the output"
        return failed(f"{what} cannot be read or written: {error.strerror or error}")
    except Exception as error:
        from incgen.base.files import OutputError
        from incgen.compiling import RequestError  # whatever failed has already imported them
        from incgen.draw.view import DrawError
        from incgen.quantization.errors import QuantizeError
        from incgen.targets.shared.formatting import FormatterError
        from incgen.targets.shared.style import TemplateError
        from incgen.weights.errors import MismatchError, WeightsError

        if isinstance(error, MismatchError):
            failed(str(error))
            return FAULTS
        ours = (DrawError, FormatterError, OutputError, QuantizeError, RequestError)
        if isinstance(error, (*ours, TemplateError, WeightsError)):
            return failed(str(error))
        raise  # a bug in incgen
