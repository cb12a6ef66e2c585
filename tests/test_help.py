"""Help pages: they fit a screen, end with examples that work, and every command has its place."""

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
#: The lines and columns of a page.
LINES, COLUMNS = 40, 80


def walk(command: click.Command, *words: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command with the words that call it."""
    yield words, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from walk(inner, *words, name)


ALL = [pytest.param(words, id=" ".join(words) or "incgen") for words, _ in walk(commands)]


def page(*words: str) -> str:
    environment = {"COLUMNS": str(COLUMNS), "LINES": str(LINES)}
    return CliRunner(env=environment).invoke(commands, [*words, "--help"]).output


@pytest.mark.parametrize("words", ALL)
def test_a_page_fits_a_screen(words: tuple[str, ...]) -> None:
    lines = page(*words).splitlines()

    assert len(lines) <= LINES
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


def test_the_list_of_commands_says_whole_sentences() -> None:
    _, *groups = page().partition(next(iter(GROUPS)))
    assert groups[0] and "..." not in groups[1]


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
