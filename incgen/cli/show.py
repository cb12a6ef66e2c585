"""The command `show`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from incgen.cli import completing
from incgen.cli.inputs import compiled, compiled_recipe
from incgen.cli.options import (
    OK,
    examples,
    for_deployment,
    one_form,
    one_spec,
    recipe_option,
    set_values,
    several_targets,
)
from incgen.cli.pages import Page
from incgen.cli.terminal import painter, print_text, terminal_width, waiting

if TYPE_CHECKING:
    from incgen.graph.calls import Calls
    from incgen.graph.nodes import Graph
    from incgen.inference import Deploy
    from incgen.language.arithmetic import Value
    from incgen.show.sheet import View


@click.command(
    "show",
    cls=Page,
    short_help="Print layers and costs.",
    epilog=examples(
        "incgen show bn_inception --depth 1 --sort parameters",
        "incgen show net.inc --columns +field,stride --target torch",
    ),
)
@one_spec
@one_form(
    "table (the default), markdown, csv, or json.",
    *("table", "markdown", "csv", "json"),
)
@click.option(
    "--columns",
    metavar="NAMES",
    help="The columns, `+` and more of them, or `all`.",
    shell_complete=completing.columns,
)
@click.option(
    "--sort",
    metavar="COLUMN",
    help="Sort layers, the largest first.",
    shell_complete=completing.columns,
)
@several_targets("Add what this framework calls each layer.")
@click.option("--depth", type=click.IntRange(1), metavar="N", help="Show so many levels of labels.")
@click.option("--all", "everything", is_flag=True, help="Show the layers inside units too.")
@click.option("--numerics", "conventions", is_flag=True, help="Show what sets each convention.")
@recipe_option("Show this recipe instead.")
@click.option(
    "--examples",
    metavar="N",
    type=click.IntRange(min=1),
    help="With --recipe: training examples, if not ImageNet's.",
)
@set_values
@for_deployment
def show(
    spec: str,
    form: str,
    columns: str | None,
    sort: str | None,
    targets: Sequence[str],
    depth: int | None,
    everything: bool,
    conventions: bool,
    recipe: str | None,
    examples: int | None,
    parameters: dict[str, Value],
    deploy: Deploy,
) -> int:
    """Print a network as a table of layers, shapes and costs; or a recipe.

    With --deploy, print the form for inference, and what each pass has done.
    """
    from incgen.show.sheet import View

    view = View(depth, everything, columns, sort)
    _check(view, targets, form, conventions=conventions, recipe=recipe, deploy=deploy)
    if recipe is not None:
        return _show_recipe(spec, recipe, parameters, form, examples)
    if examples is not None:
        raise click.UsageError("--examples belongs to --recipe")
    graph = compiled(spec, parameters)
    if conventions:
        print_text(_numerics(graph, form))
        return OK
    with waiting(f"making the table of {spec}"):
        if deploy is not False:
            from incgen.inference import deployed

            graph = deployed(graph, deploy)
        from incgen.calling import calls_of

        text = _network(graph, view, form, calls_of(graph, targets))
    print_text(text)
    return OK


def _check(
    view: View,
    targets: Sequence[str],
    form: str,
    *,
    conventions: bool,
    recipe: str | None,
    deploy: Deploy,
) -> None:
    """Refuse options that do not go together."""
    from incgen.show.sheet import View

    if deploy is not False and (conventions or recipe is not None):
        other = "--numerics" if conventions else "--recipe"
        raise click.UsageError(f"--deploy and {other} show different things: leave one out")
    of_layers = view != View() or bool(targets)
    if conventions and (of_layers or recipe is not None):
        raise click.UsageError("--numerics shows no layers: leave out the options for them")
    if recipe is not None and of_layers:
        raise click.UsageError("--recipe shows a recipe: leave out the options for networks")
    if recipe is not None and form not in ("table", "json"):
        raise click.UsageError(f"a recipe has no form {form}: use --format json, or leave it out")
    if form == "json" and (view.columns or view.sort):
        raise click.UsageError("JSON has every column, in order: leave out --columns and --sort")


def _network(graph: Graph, view: View, form: str, calls: Mapping[str, Calls]) -> str:
    """Return a network in a form; with what passes have done, if it is a deployed one."""
    from incgen.deploy import show as passes
    from incgen.show.as_json import as_json
    from incgen.show.columns import ColumnError
    from incgen.show.sheet import sheet
    from incgen.show.text import as_csv, in_markdown, table

    done = graph.deployment is not None
    if form == "json":
        more = {"deployment": passes.as_json(graph)} if done else {}
        return as_json(graph, depth=view.depth, calls=calls, more=more)
    try:
        shown = sheet(graph, view, calls)
    except ColumnError as error:
        raise click.UsageError(str(error)) from None
    if form == "csv":
        return as_csv(shown)
    if form == "markdown":
        return in_markdown(shown) + (f"\n{passes.in_markdown(graph)}" if done else "")
    text = table(shown, width=terminal_width(), paint=painter())
    return text + (f"\n{passes.table(graph)}" if done else "")


def _numerics(graph: Graph, form: str) -> str:
    """Return the conventions of a network in a form."""
    from incgen.base.tables import comma_separated, markdown
    from incgen.graph import numerics

    if form == "table":
        return numerics.table(graph)
    if form == "json":
        return numerics.as_json(graph)
    head, *rows = numerics.cells(graph)
    return markdown(head, rows, (4,)) if form == "markdown" else comma_separated(head, rows)


def _show_recipe(
    spec: str, recipe: str, parameters: dict[str, Value], form: str, examples: int | None
) -> int:
    """Print a recipe with its schedule."""
    from incgen.recipes import show

    given = compiled_recipe(spec, recipe, parameters)
    form_of = show.as_json if form == "json" else show.page
    print_text(form_of(*given, examples or show.IMAGENET))
    return OK
