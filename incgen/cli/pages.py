"""Help pages, each of which fits a terminal of 24 lines of 80 columns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import zip_longest

import click

from incgen.cli import hints

#: Options that are told on one line of a page, and in which words. Each has a help of its own too,
#: which a shell shows as it completes.
TOGETHER = {
    ("--pass", "--no-pass"): "Run only, or leave out, this pass. Repeatable.",
    ("--opset", "--batch"): "ONNX: version of the operators; examples (any).",
    ("--any-size", "--heads"): "ONNX: leave the size free; return auxiliary heads.",
    ("--float64", "--float32"): "Compare in this type only.",
    ("--seed", "--batch", "--depth"): "Seed ({seed}), examples ({batch}), levels shown ({depth}).",
    ("--count", "--compare"): "Images for ranges ({count}), to compare ({compare}).",
    ("--batch", "--depth"): "Images at once ({batch}), levels reported ({depth}).",
    ("--set-a", "--set-b"): "Set one of A, or of B, alone. Repeatable.",
}
#: The widest label beside which every text begins in one column.
_LABEL = 21


class Page(click.Command):
    """A command whose page has a line for each option, or for several that belong together."""

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Return `--help`, which its own page does not list."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.hidden = True
        return option

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read a command line; say what was probably meant by what does not fit."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            hint = hints.option(ctx, error.option_name)
            if not hint:
                raise
            message = f"there is no option `{error.option_name}`{hint}"
            near = error.possibilities
            raise click.NoSuchOption(error.option_name, message, near, ctx) from None
        except click.UsageError as error:
            extra = re.fullmatch(r"Got unexpected extra arguments? \((.+)\)", error.message)
            hint = hints.extra(ctx, extra[1].split()) if extra else ""
            if not hint:
                raise
            raise click.UsageError(error.message + hint, ctx) from None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the lines of the options."""
        told = {p.opts[0]: p for p in self.get_params(ctx) if isinstance(p, click.Option)}
        told = {flag: option for flag, option in told.items() if not option.hidden}
        rows = []
        while told:
            flag = next(iter(told))
            flags = _beside(flag, told)
            rows.append(_row(ctx, [told.pop(flag) for flag in flags], TOGETHER.get(flags)))
        if rows:
            with formatter.section("Options"):
                _write(formatter, rows)


class Commands(click.Group):
    """A group that says what was probably meant by a command that it does not have."""

    #: What its commands are called elsewhere, in the words of a command line here
    synonyms: Mapping[str, str] = hints.COMMANDS

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command."""
        name, known = args[0], self.list_commands(ctx)
        if name not in known and not name.startswith("-") and not ctx.resilient_parsing:
            ctx.fail(f"there is no command `{name}`{hints.command(name, known, self.synonyms)}")
        return super().resolve_command(ctx, args)


class Pages(Page, Commands):
    """A group of commands that have pages."""

    command_class = Page
    synonyms = hints.OF_WEIGHTS  # no other commands are in a group of their own

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, and then the commands."""
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


def _beside(flag: str, options: Mapping[str, click.Option]) -> tuple[str, ...]:
    """Return the flags of a line that begins with this one."""
    for flags in TOGETHER:
        if flags[0] == flag and all(other in options for other in flags):
            return flags
    return (flag,)


def _row(
    ctx: click.Context, options: Sequence[click.Option], together: str | None
) -> tuple[str, str]:
    """Return the label of options, with what they take once, and their text."""
    if together is None:
        (option,) = options
        record = option.get_help_record(ctx)
        assert record is not None
        notes = ["[required]"] if option.required else []
        if option.show_default:
            notes.append(f"[default: {option.default}]")
        return record[0], "  ".join([*filter(None, [option.help]), *notes])
    flags = "/".join(option.opts[0] for option in options)
    takes = "" if options[0].is_flag else f" {options[0].make_metavar(ctx)}"
    return flags + takes, together.format_map({o.name: o.default for o in options})


def _write(formatter: click.HelpFormatter, rows: Sequence[tuple[str, str]]) -> None:
    """Write labels and texts in two columns; a text moves right of a label that is too wide."""
    column = max((len(label) for label, _ in rows if len(label) <= _LABEL), default=0)
    for label, text in rows:
        begin = f"{'':{formatter.current_indent}}{label:{column}}  "
        if len(label) > column and len(begin) + len(text) > formatter.width:
            formatter.write(f"{begin.rstrip()}\n")
            begin = " " * (formatter.current_indent + column + 2)
        rest = click.wrap_text(text, formatter.width, begin, " " * (column + 4))
        formatter.write(f"{rest.rstrip()}\n")


def write_beside(formatter: click.HelpFormatter, groups: Sequence[Sequence[str]]) -> None:
    """Write groups of lines in two columns, or in one where the terminal is too narrow."""
    half = len(groups) // 2
    left, right = (_flow(part) for part in (groups[:half], groups[half:]))
    width = (formatter.width - 2) // 2
    if max(map(len, [*left, *right])) > width:
        left, right = _flow(groups), []
    for one, other in zip_longest(left, right, fillvalue=""):
        formatter.write(f"{one:{width}}  {other}".rstrip() + "\n")


def _flow(groups: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of groups, an empty one before each."""
    return [line for group in groups for line in ("", *group)]
