"""The command `build`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from incgen.cli.inputs import all_compiled, compiled_recipe
from incgen.cli.options import (
    FAULTS,
    OK,
    line_length,
    one_recipe,
    own_templates,
    set_values,
    several_specs,
    style_of,
)
from incgen.cli.terminal import print_text, say

if TYPE_CHECKING:
    from incgen.graph.nodes import Graph
    from incgen.language.arithmetic import Value
    from incgen.output import GeneratedFile
    from incgen.recipes.recipe import Recipe


@click.command("build")
@several_specs
@click.option(
    "--target",
    "-t",
    "targets",
    metavar="TARGET",
    multiple=True,
    default=("torch",),
    help="torch (the default), keras (aliases: tf, tensorflow) or flax (aliases: jax, nnx). "
    "Repeatable.",
)
@click.option(
    "--output",
    "-o",
    metavar="PATH",
    help="A file, a folder (with a trailing slash), or - for standard output. "
    "Default: generated/NETWORK_TARGET.py.",
)
@one_recipe
@set_values
@own_templates
@line_length
@click.option(
    "--check", is_flag=True, help="Write nothing; print a diff and exit 1 if files are out of date."
)
@click.option("--force", is_flag=True, help="Overwrite files even if incgen did not write them.")
def build(
    specs: Sequence[str],
    targets: Sequence[str],
    output: str | None,
    recipe: str | None,
    parameters: dict[str, Value],
    templates: str | None,
    line_length: int | None,
    check: bool,
    force: bool,
) -> int:
    """Write the source of one or more networks for one or more targets.

    With --recipe, also a script that trains the network. All files are written, or none. Specs
    without a network are skipped if there are several.
    """
    from incgen import api
    from incgen.output import sealed

    found = api.find_targets(targets, style_of(templates, line_length))
    if output == "-" and (check or len(found) > 1 or len(specs) > 1):
        what = f"{len(specs)} specs need files" if len(specs) > 1 else "--check needs files"
        what = f"{len(found)} targets need files" if len(found) > 1 else what
        raise click.UsageError(f"{what}: give another output than `-`")
    if recipe is not None and (len(specs) > 1 or output == "-"):
        what = "one spec" if len(specs) > 1 else "files"
        raise click.UsageError(f"--recipe needs {what}, since its script imports the model")
    graphs, trained = _compiled(specs, recipe, parameters)
    if graphs is None:
        return FAULTS
    if output == "-":
        (graph,) = graphs
        print_text(sealed(api.emit_all(graph, found)[found[0].name], graph.digest()))
        return OK
    files = api.build_graphs(graphs, found, output, recipe=trained, force=force, check=check)
    for file in files:
        if not check:
            say(f"{'wrote' if file.changed else 'unchanged'} {file.path}")
        elif file.changed:
            say(f"{file.path} {file.difference()}")
    if check:
        print_text("".join(file.diff() for file in files))
    _say_left_over(graphs, files)
    return FAULTS if check and any(file.changed for file in files) else OK


def _compiled(
    specs: Sequence[str], recipe: str | None, parameters: dict[str, Value]
) -> tuple[Sequence[Graph] | None, Recipe | None]:
    """Return the graphs of specs, or of one with its recipe; None after reporting errors."""
    if recipe is None:
        return all_compiled(specs, parameters), None
    graph, found = compiled_recipe(specs[0], recipe, parameters, warn=True)
    return [graph], found


def _say_left_over(graphs: Sequence[Graph], files: Sequence[GeneratedFile]) -> None:
    """Report files that may be left over from networks that were renamed."""
    from incgen.output import left_over
    from incgen.syntax.loader import STDIN
    from incgen.targets import TARGETS

    programs = [graph.program for graph in graphs if graph.program.file != STDIN]
    made = [(program.file, program.network.name) for program in programs]
    for path, what in left_over(made, [file.path for file in files], TARGETS).items():
        say(f"{path} {what}")
