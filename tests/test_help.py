"""Help pages: they fit a terminal, end with examples that work, and every command has its place."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from incgen.cli.main import GROUPS, commands

ROOT = Path(__file__).parent.parent
#: The lines and columns of a terminal.
LINES, COLUMNS = 24, 80


def walk(command: click.Command, *words: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command with the words that call it."""
    yield words, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from walk(inner, *words, name)


COMMANDS = [
    pytest.param(words, command, id=" ".join(words) or "incgen")
    for words, command in walk(commands)
]
ALL = [pytest.param(words, id=" ".join(words) or "incgen") for words, _ in walk(commands)]


def page(*words: str, columns: int = COLUMNS) -> str:
    width = columns - 2  # as click has it on a terminal
    call = CliRunner().invoke(
        commands, [*words, "--help"], prog_name="incgen", terminal_width=width
    )
    return call.output


@pytest.mark.parametrize("words", ALL)
def test_a_page_fits_a_terminal_above_the_next_prompt(words: tuple[str, ...]) -> None:
    lines = page(*words).splitlines()

    assert len(lines) < LINES
    assert max(map(len, lines)) <= COLUMNS


@pytest.mark.parametrize("words", ALL)
def test_a_page_ends_with_two_examples_that_parse(words: tuple[str, ...]) -> None:
    match = re.search(r"\n\n  Examples:\n((?:    .*\n)+)\Z", page(*words))

    assert match is not None
    examples = match[1].splitlines()
    assert len(examples) == 2
    own = 0
    for line in examples:
        _, program, call = re.split(r" 2?>|\)", line)[0].partition("incgen ")
        assert program, line
        called = parsed(commands, shlex.split(call))
        own += called[: len(words)] == words
    assert own, "one of them is of the command itself"


def parsed(command: click.Command, arguments: list[str]) -> tuple[str, ...]:
    """Parse a command line without running it; return the words that chose the command."""
    if not isinstance(command, click.Group):
        command.make_context("incgen", arguments)
        return ()
    context = click.Context(command)
    inner = command.get_command(context, arguments[0])
    assert inner is not None, arguments[0]
    return (arguments[0], *parsed(inner, arguments[1:]))


@pytest.mark.parametrize(("words", "command"), COMMANDS)
def test_a_page_tells_every_option(words: tuple[str, ...], command: click.Command) -> None:
    """The words that an option takes, and its default, are told as well."""
    text = " ".join(page(*words).split())

    for option in command.params:
        if not isinstance(option, click.Option):
            continue
        assert option.help and option.help.endswith(".")
        assert re.search(rf"{option.opts[0]}[] /]", text)
        if isinstance(option.type, click.Choice):
            assert all(word in text for word in option.type.choices)
            assert option.required or option.default is None or "(the default)" in text
        elif option.show_default:
            assert f"[default: {option.default}]" in text or f"({option.default})" in text


@pytest.mark.parametrize("words", [(), ("weights",)])
def test_the_list_of_commands_says_whole_sentences(words: tuple[str, ...]) -> None:
    assert "..." not in page(*words).replace("COMMAND [ARGS]...", "")


def test_the_list_of_commands_is_in_one_column_where_there_is_no_room_for_two() -> None:
    narrow = page(columns=60)

    assert max(map(len, narrow.splitlines())) <= 60
    assert re.findall(r"^  (\w+)  ", narrow, re.MULTILINE) == [
        n for g in GROUPS.values() for n in g
    ]


def test_every_command_has_a_place() -> None:
    """A command that `GROUPS` in incgen/cli/main.py does not have cannot be called."""
    placed = {id(command) for _, command in walk(commands)}
    for path in sorted((ROOT / "incgen" / "cli").glob("*.py")):
        module = import_module(f"incgen.cli.{path.stem}".removesuffix(".__init__"))
        for name, value in vars(module).items():
            if isinstance(value, click.Command) and value.callback is not None:
                assert id(value) in placed, f"put `{value.name}` ({name}) into a group"
    names = [name for group in GROUPS.values() for name in group]
    assert len(names) == len(set(names))
    for (name, *_), command in list(walk(commands))[1:]:
        assert name in names and command.name
