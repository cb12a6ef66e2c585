"""The command `diff`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from incgen.base.diagnostics import Reporter
from incgen.cli import completing
from incgen.cli.inputs import compiled
from incgen.cli.options import FAULTS, OK, examples, one_form, settings_option
from incgen.cli.pages import Page
from incgen.cli.terminal import print_text, say, waiting

if TYPE_CHECKING:
    from incgen.diff.changes import Comparison
    from incgen.graph.nodes import Graph
    from incgen.language.arithmetic import Value

#: How a spec at a revision is written, as `git:HEAD~1:specs/net.inc`.
_GIT = "git:"


@click.command(
    "diff",
    cls=Page,
    short_help="Compare two networks.",
    epilog=examples(
        "incgen diff bn_inception bn_inception_slim",
        "incgen diff net.inc --rev HEAD --format markdown",
    ),
)
@click.argument("a", metavar="A", shell_complete=completing.specs)
@click.argument("b", metavar="[B]", required=False, shell_complete=completing.specs)
@click.option(
    "--rev",
    metavar="REV[..REV]",
    help="Compare A at a git revision with the file as it is, or at two revisions.",
)
@settings_option("--set", "both", "Set a parameter or `let` constant. Repeatable.")
@settings_option("--set-a", "ours", "Set one of A alone. Repeatable.")
@settings_option("--set-b", "theirs", "Set one of B alone. Repeatable.")
@one_form(
    "text (the default), markdown, or json with everything.",
    *("text", "markdown", "json"),
)
@click.option(
    "--draw",
    "drawing",
    metavar="FILE",
    help="Draw B, what is new or changed in colour: FILE.svg, .png or .pdf.",
)
@click.option("--exit-code", is_flag=True, help="Exit with 1 if the networks differ.")
def diff(
    a: str,
    b: str | None,
    rev: str | None,
    both: dict[str, Value],
    ours: dict[str, Value],
    theirs: dict[str, Value],
    form: str,
    drawing: str | None,
    exit_code: bool,
) -> int:
    """Tell what differs between two networks, and which weights of the first fit the second.

    A and B are specs, or specs at a git revision: git:HEAD~1:specs/net.inc. Without B, the spec is
    compared with itself at --rev or under --set-b.
    """
    from incgen.diff.as_json import as_json
    from incgen.diff.comparing import compare
    from incgen.diff.text import markdown, text

    first, second = _sides(a, b, rev, ours, theirs)
    before = _graph(first, {**both, **ours})
    after = _graph(second, {**both, **theirs})
    with waiting("comparing"):
        comparison = compare(before, after, (_titled(first, ours), _titled(second, theirs)))
    if drawing is not None:
        _draw(comparison, after, drawing)
    print_text({"text": text, "markdown": markdown, "json": as_json}[form](comparison))
    return FAULTS if exit_code and not comparison.same else OK


def _draw(comparison: Comparison, graph: Graph, output: str) -> None:
    """Write the drawing of a comparison."""
    from incgen.base.files import refuse_links, replace
    from incgen.diff.drawing import drawn
    from incgen.draw.drawing import format_of

    path = Path(output)
    with waiting(f"drawing {output}"):
        data = drawn(comparison, graph, format_of(output))
    refuse_links(path)
    replace(path, data)
    say(f"wrote {path.as_posix()}")


def _sides(
    a: str, b: str | None, rev: str | None, ours: dict[str, Value], theirs: dict[str, Value]
) -> tuple[str, str]:
    """Return the two specs to compare."""
    if rev is not None:
        if b is not None:
            raise click.UsageError("--rev compares A with itself: leave out B")
        old, dots, new = rev.partition("..")
        return f"{_GIT}{old}:{a}", f"{_GIT}{new}:{a}" if dots and new else a
    if b is None:
        if not ours and not theirs:
            raise click.UsageError("give a second spec, --rev or --set-b")
        return a, a
    if a == b == "-":
        raise click.UsageError("only one of the specs can be standard input")
    if re.fullmatch(r"(HEAD|main|master)([~^]\d*)*|[0-9a-f]{7,40}", b) and not Path(b).exists():
        raise click.UsageError(f"a revision is given by an option: write `--rev {b}`")
    return a, b


def _graph(spec: str, parameters: dict[str, Value]) -> Graph:
    """Return the graph of a spec, perhaps at a revision."""
    if not spec.startswith(_GIT):
        return compiled(spec, parameters)
    from incgen.compiling import graph_of
    from incgen.diff.revisions import load_at
    from incgen.syntax.loader import find

    revision, colon, path = spec.removeprefix(_GIT).partition(":")
    if not colon:
        raise click.UsageError(f"`{spec}` is not of the form git:REV:path")
    return graph_of(load_at(revision, find(Path(path))[0]), parameters, Reporter())


def _titled(spec: str, given: dict[str, Value]) -> str:
    """Return what a spec is called, with what is set for it alone."""
    from incgen.language.printing import spec_value

    if spec == "-":
        spec = "standard input"
    elif spec.startswith(_GIT):
        revision, _, path = spec.removeprefix(_GIT).partition(":")
        spec = f"{path} at {revision}"
    values = " ".join(f"{name}={spec_value(value)}" for name, value in given.items())
    return f"{spec} with {values}" if values else spec
