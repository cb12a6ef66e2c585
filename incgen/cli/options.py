"""Options and arguments that commands share, and the exit codes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from incgen.cli import completing
from incgen.cli.configuration import COLUMNS, configuration

if TYPE_CHECKING:
    from incgen.inference import Deploy
    from incgen.language.arithmetic import Value
    from incgen.targets.shared.style import Style

#: A function with options, or a command.
Command = TypeVar("Command", bound=Callable[..., Any])

OK, FAULTS, USAGE = 0, 1, 2
HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def _settings(
    context: click.Context, option: click.Parameter, given: Sequence[str]
) -> dict[str, Value]:
    """Read `--set name=value`."""
    if not given:
        return {}
    from incgen.syntax.settings import settings

    try:
        return settings(given)
    except ValueError as error:
        alone = next((text for text in given if "=" not in text), None)
        how = f": write `{option.opts[0]} {alone}=VALUE`, without blanks" if alone else ""
        raise click.BadParameter(f"{error}{how}") from None


def _specs(
    context: click.Context, argument: click.Parameter, given: tuple[str, ...]
) -> tuple[str, ...]:
    """Refuse the name of a target, or the value of a parameter, among the specs."""
    for spec in given:
        if re.fullmatch(r"\w+=[\w.]+", spec) and not Path(spec).exists():
            raise click.UsageError(f"`{spec}` is no spec: write `--set {spec}`")
        if len(given) > 1 and spec.isalpha() and not Path(spec).exists():
            from incgen.targets import ONNX, target_named

            if spec == ONNX or target_named(spec) is not None:
                raise click.UsageError(f"`{spec}` is no spec: write `--target {spec}`")
    return given


def examples(*lines: str) -> str:
    """Return the end of a help page: two lines to type."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


one_spec = click.argument("spec", metavar="SPEC", shell_complete=completing.specs)
several_specs = click.argument(
    "specs",
    metavar="SPEC...",
    nargs=-1,
    required=True,
    callback=_specs,
    shell_complete=completing.specs,
)


def recipe_option(about: str) -> Callable[[Command], Command]:
    """Return the option that takes the name of a recipe."""
    return click.option("--recipe", metavar="NAME", help=about, shell_complete=completing.recipes)


def several_targets(about: str, default: Sequence[str] = ()) -> Callable[[Command], Command]:
    """Return an option that takes a target as often as it is given."""
    return click.option(
        "--target",
        "-t",
        "targets",
        metavar="TARGET",
        multiple=True,
        default=default,
        help=f"{about} Repeatable.",
        shell_complete=completing.targets,
    )


def one_form(about: str, *forms: str) -> Callable[[Command], Command]:
    """Return the option that says in which form something is printed, the first if not given."""
    return click.option(
        "--format",
        "form",
        metavar="FORM",
        type=click.Choice(forms),
        default=forms[0],
        help=about,
    )


def settings_option(flag: str, name: str, about: str) -> Callable[[Command], Command]:
    """Return an option that takes `name=value` as often as it is given."""
    return click.option(
        flag,
        name,
        metavar="NAME=VALUE",
        multiple=True,
        callback=_settings,
        help=about,
        shell_complete=completing.settings,
    )


set_values = settings_option(
    "--set", "parameters", "Set a parameter or `let` constant. Repeatable."
)


def style_of(templates: str | None, line_length: int | None = None) -> Style | None:
    """Return the style set by options or the project; None if neither sets one."""
    project = configuration()
    own = templates or project.get("templates")
    columns = line_length or project.get("line-length")
    if own is None and columns is None:
        return None
    from incgen.targets.shared.style import PLAIN, Style

    return Style(columns or PLAIN.line_length, own)


line_length = click.option(
    "--line-length",
    metavar="COLUMNS",
    type=click.IntRange(*COLUMNS),
    help="Default: that of pyproject.toml, or 88.",
)
own_templates = click.option(
    "--templates",
    metavar="DIR",
    help="Templates that override incgen's, file by file.",
)


def for_deployment(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options that choose a deployed form, and hand over the names of its passes.

    The command gets `deploy`: False for the training form.
    """

    @click.option("--deploy", is_flag=True, help="The form for inference; see `incgen passes`.")
    @click.option(
        "--pass",
        "only",
        metavar="NAME",
        multiple=True,
        help="With --deploy: run only this pass. Repeatable.",
        shell_complete=completing.passes,
    )
    @click.option(
        "--no-pass",
        "without",
        metavar="NAME",
        multiple=True,
        help="With --deploy: leave out this pass. Repeatable.",
        shell_complete=completing.passes,
    )
    @wraps(command)
    def chosen(*, deploy: bool, only: Sequence[str], without: Sequence[str], **options: Any) -> int:
        if not deploy and (only or without):
            raise click.UsageError(f"--{'pass' if only else 'no-pass'} belongs to --deploy")
        passes: Deploy = False
        if deploy:
            from incgen.inference import find_passes

            passes = find_passes(only, without)
        return command(deploy=passes, **options)

    return chosen
