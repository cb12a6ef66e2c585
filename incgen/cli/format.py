"""The command `format`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import click

from incgen.base.diagnostics import SpecError
from incgen.cli.inputs import standard_input
from incgen.cli.options import FAULTS, OK, examples, several_specs
from incgen.cli.pages import Page
from incgen.cli.reports import exit_code_of, failed, report_faults
from incgen.cli.terminal import print_text, say, waiting


def _lines(
    context: click.Context, option: click.Parameter, given: str | None
) -> tuple[int, int] | None:
    """Read `--lines FIRST:LAST`."""
    if given is None:
        return None
    match = re.fullmatch(r"([0-9]{1,9})(?::([0-9]{1,9}))?", given)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 0 < first <= last:
        raise click.BadParameter(f"`{given}` is not of the form 10:20, or 10 for one line")
    return first, last


@click.command(
    "format",
    cls=Page,
    short_help="Format specs.",
    epilog=examples("incgen format specs/*.inc", "incgen format --check --diff net.inc"),
)
@several_specs
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if a spec is not formatted.")
@click.option("--diff", is_flag=True, help="Write nothing; print the changes as a diff.")
@click.option(
    "--lines",
    metavar="FIRST:LAST",
    callback=_lines,
    help="Format these lines, and those aligned with them.",
)
def format_specs(
    specs: Sequence[str], check: bool, diff: bool, lines: tuple[int, int] | None
) -> int:
    """Format specs in place; standard input goes to standard output."""
    from incgen.base.files import OutputError

    if lines is not None and len(specs) > 1:
        raise click.UsageError("--lines takes one spec")
    code = OK
    for spec in specs:
        try:
            changed = _format(spec, lines, check=check, diff=diff)
        except SpecError as error:
            report_faults(error.diagnostics)
            code = max(code, exit_code_of(error.diagnostics))
        except OutputError as error:
            code = max(code, failed(str(error)))
        else:
            code = max(code, FAULTS if changed and check else OK)
    return code


def _format(spec: str, lines: tuple[int, int] | None, *, check: bool, diff: bool) -> bool:
    """Format one spec, and return whether that changes it."""
    from incgen.base.files import rewrite
    from incgen.syntax.format import format_lines, format_text
    from incgen.syntax.loader import decoded

    path, name, data = _bytes(spec)
    text = decoded(data, name)
    place = None if spec == "-" else path
    with waiting(f"formatting {name}"):
        result = (
            format_lines(text, *lines, name, place) if lines else format_text(text, name, place)
        )
    if diff:
        from incgen.output import unified_diff

        print_text(unified_diff(text, result, name, name))
    mark = "\ufeff" if data.startswith(b"\xef\xbb\xbf") else ""
    if spec == "-" and not (check or diff):
        print_text(mark + result)
    elif result != text and not (check or diff):
        newline = "\r\n" if b"\r\n" in data else "\n"  # as in the rest of the checkout
        rewrite(path, (mark + result).replace("\n", newline).encode("utf-8"))
        say(f"formatted {name}")
    elif result != text and check:
        say(f"would format {name}")
    return result != text


def _bytes(spec: str) -> tuple[Path, str, bytes]:
    """Return the file of a spec, its name in reports, and its content."""
    from incgen.syntax.loader import STDIN, find, read_spec

    if spec == "-":
        return Path(spec), STDIN, standard_input()
    path, name = find(Path(spec))
    return path, name, read_spec(path, name)
