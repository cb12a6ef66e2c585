"""The commands that read specs and write nothing: `check` and `show`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from incgen.base.diagnostics import Diagnostic, Severity, SpecError, counted
from incgen.cli.inputs import compiled, compiled_recipe, source_of
from incgen.cli.options import (
    OK,
    for_deployment,
    one_recipe,
    one_spec,
    set_values,
    several_specs,
)
from incgen.cli.reports import exit_code_of, report_faults
from incgen.cli.terminal import print_text, say

if TYPE_CHECKING:
    from incgen.graph.nodes import Graph
    from incgen.inference import Deploy
    from incgen.language.arithmetic import Value


@click.command("check")
@several_specs
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "concise", "json"]),
    default="text",
    help="Reports with excerpts, one line per report, or JSON on standard output.",
)
@set_values
def check(specs: Sequence[str], form: str, parameters: dict[str, Value]) -> int:
    """Report every problem in specs; exit 1 if there are errors."""
    from incgen import api
    from incgen.base.diagnostics import render_json

    found: list[Diagnostic] = []
    for spec in specs:
        try:
            path, text = source_of(spec)
            new = api.check(path, parameters, text=text)
        except SpecError as error:  # standard input is not text
            new = list(error.diagnostics)
        found += [d for d in new if d not in found]  # a shared file is reported once
    if form == "json":
        print_text(f"{render_json(found)}\n")
    elif form == "concise":
        say("\n".join(diagnostic.headline for diagnostic in found))
    else:
        report_faults(found)
        say(_counted_faults(found, len(specs)))
    return exit_code_of(found)


def _counted_faults(found: Sequence[Diagnostic], specs: int) -> str:
    """Return the last line of a check."""
    errors = sum(d.severity is Severity.ERROR for d in found)
    numbers = ((errors, "error"), (len(found) - errors, "warning"))
    parts = [counted(number, word) for number, word in numbers if number]
    return f"{' and '.join(parts) or 'no problems'} in {counted(specs, 'spec')}"


@click.command("show")
@one_spec
@click.option(
    "--json", "as_json", is_flag=True, help="Print everything as JSON, with exact numbers."
)
@click.option(
    "--depth", type=click.IntRange(min=1), help="Show at most this many levels of labels."
)
@click.option("--all", "everything", is_flag=True, help="Show the layers inside units too.")
@click.option(
    "--numerics",
    "conventions",
    is_flag=True,
    help="Show the conventions and the line that sets each.",
)
@one_recipe
@click.option(
    "--examples",
    metavar="N",
    type=click.IntRange(min=1),
    help="With --recipe: how many training examples there are. Default: ImageNet's 1,281,167.",
)
@set_values
@for_deployment
def show(
    spec: str,
    as_json: bool,
    depth: int | None,
    everything: bool,
    conventions: bool,
    recipe: str | None,
    examples: int | None,
    parameters: dict[str, Value],
    deploy: Deploy,
) -> int:
    """Print a network as a table: layers, shapes, parameters, multiply-adds; or a recipe.

    With --deploy, print the form for inference, and what each pass has done.
    """
    from incgen.graph import numerics
    from incgen.graph.show import as_json as in_json
    from incgen.graph.show import table

    if deploy is not False and (conventions or recipe is not None):
        other = "--numerics" if conventions else "--recipe"
        raise click.UsageError(f"--deploy and {other} show different things: leave one out")
    if conventions and (depth or everything):
        raise click.UsageError("--numerics shows no layers: leave out --depth and --all")
    if recipe is not None:
        if conventions or depth or everything:
            raise click.UsageError("--recipe shows a recipe: leave out the options for networks")
        return _show_recipe(spec, recipe, parameters, as_json, examples)
    if examples is not None:
        raise click.UsageError("--examples belongs to --recipe")
    graph = compiled(spec, parameters)
    if deploy is not False:
        return _show_deployed(graph, deploy, as_json, depth, everything)
    if conventions:
        print_text(numerics.as_json(graph) if as_json else numerics.table(graph))
    elif as_json:
        print_text(in_json(graph, depth=depth))
    else:
        print_text(table(graph, depth=depth, everything=everything))
    return OK


def _show_deployed(
    graph: Graph, deploy: Deploy, as_json: bool, depth: int | None, everything: bool
) -> int:
    """Print a deployed network, with what each pass has done."""
    from incgen.deploy import show
    from incgen.graph.show import as_json as in_json
    from incgen.graph.show import table
    from incgen.inference import deployed

    made = deployed(graph, deploy)
    if as_json:
        print_text(in_json(made, depth=depth, more={"deployment": show.as_json(made)}))
    else:
        print_text(f"{table(made, depth=depth, everything=everything)}\n{show.table(made)}")
    return OK


@click.command("passes")
def passes() -> int:
    """List the passes of --deploy in order, with the condition under which each applies."""
    from incgen.deploy import show

    print_text(show.passes())
    return OK


def _show_recipe(
    spec: str, recipe: str, parameters: dict[str, Value], as_json: bool, examples: int | None
) -> int:
    """Print a recipe with its schedule."""
    from incgen.recipes import show

    given = compiled_recipe(spec, recipe, parameters)
    form = show.as_json if as_json else show.page
    print_text(form(*given, examples or show.IMAGENET))
    return OK
