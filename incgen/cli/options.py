"""Options and arguments that several commands share, and the exit codes of all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from incgen.base.diagnostics import SpecError

if TYPE_CHECKING:
    from incgen.language.arithmetic import Value
    from incgen.targets.shared.style import Style

OK, FAULTS, USAGE = 0, 1, 2
HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def _settings(
    context: click.Context, option: click.Parameter, given: Sequence[str]
) -> dict[str, Value]:
    """Read `--set name=value`."""
    from incgen.language.expressions import Literal, Name
    from incgen.syntax.parser import parse_value

    found: dict[str, Value] = {}
    for text in given:
        name, equals, written = (part.strip() for part in text.partition("="))
        if not (name and equals and written):
            raise click.BadParameter(f"`{text}` is not of the form name=value")
        try:
            value = parse_value(written)
        except SpecError as error:
            message = error.diagnostics[0].message
            raise click.BadParameter(f"`{text}`: {message}") from None
        match value:
            case Literal(constant) | Name(constant):
                found[name] = constant
            case _:
                raise click.BadParameter(
                    f"`{text}`: a value is a number, `true`, `false` or a word of the language"
                )
    return found


one_spec = click.argument("spec", metavar="SPEC")
several_specs = click.argument("specs", metavar="SPEC...", nargs=-1, required=True)
set_values = click.option(
    "--set",
    "parameters",
    metavar="NAME=VALUE",
    multiple=True,
    callback=_settings,
    help="Set a parameter of the network, or a `let`. Repeatable.",
)


def _style(context: click.Context, option: click.Parameter, given: Any) -> Any:
    """Take what is not said from the project's pyproject.toml."""
    if given is not None:
        return given
    from incgen.cli.configuration import configured

    return configured(str(option.name).replace("_", "-"))


def style_of(templates: str | None, line_length: int | None = None) -> Style | None:
    """Return the style that options ask for; None if they say nothing."""
    if templates is None and line_length is None:
        return None
    from incgen.targets.shared.style import PLAIN, Style

    return Style(line_length or PLAIN.line_length, templates)


line_length = click.option(
    "--line-length",
    metavar="COLUMNS",
    type=click.IntRange(40, 320),
    callback=_style,
    help="Columns of a line of generated code; otherwise 88, or what pyproject.toml says.",
)
own_templates = click.option(
    "--templates",
    metavar="DIR",
    callback=_style,
    help="A folder of templates that go in front of incgen's, file by file.",
)
