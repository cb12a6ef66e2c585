"""The command `verify`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from incgen.cli.inputs import compiled, compiled_recipe
from incgen.cli.options import (
    FAULTS,
    OK,
    examples,
    for_deployment,
    one_form,
    one_spec,
    own_templates,
    recipe_option,
    set_values,
    several_targets,
    style_of,
)
from incgen.cli.pages import Page
from incgen.cli.terminal import frameworks_silent, harmless, print_text, progress_line

if TYPE_CHECKING:
    from incgen.language.arithmetic import Value


def _rungs(context: click.Context, option: click.Parameter, given: Sequence[str]) -> list[int]:
    """Read `--rung 3` and `--rung 0-4`."""
    from incgen.verify.report import RUNGS

    rungs: list[int] = []
    for text in given:
        first, dash, last = (part.strip() for part in text.partition("-"))
        if not (first.isdecimal() and (last.isdecimal() or not dash)):
            raise click.BadParameter(f"`{text}` is not a number or a range such as 0-4")
        low, high = int(first), int(last if dash else first)
        if low > high:
            raise click.BadParameter(f"`{text}` is descending: write {high}-{low}")
        most = min(high, len(RUNGS))  # an invalid one is reported later; no more are listed
        rungs += [low, *range(low + 1, most + 1)]
    return rungs


@click.command(
    "verify",
    cls=Page,
    short_help="Prove models the same.",
    epilog=examples(
        "incgen verify net.inc", "incgen verify net.inc -t torch -t keras --rung 0-3 --float64"
    ),
)
@one_spec
@several_targets("A target. Default: all installed.")
@click.option(
    "--rung",
    "rungs",
    metavar="N",
    multiple=True,
    callback=_rungs,
    help="structure (0), evaluation (1), training forward (2), gradients (3), statistics (4), "
    "steps (5), saved and compiled forms (6), or a range such as 0-4.",
)
@click.option(
    "--float64", "dtypes", flag_value="float64", multiple=True, help="Compare in this type only."
)
@click.option(
    "--float32", "dtypes", flag_value="float32", multiple=True, help="Compare in this type only."
)
@click.option("--weights", metavar="FILE", help="Weights to use. Default: random ones.")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    metavar="N",
    default=0,
    help="The seed of all random numbers.",
)
@click.option(
    "--batch",
    type=click.IntRange(1),
    metavar="N",
    default=4,
    show_default=True,
    help="The number of examples in an input.",
)
@click.option(
    "--depth",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Show so many levels of labels.",
)
@click.option(
    "--dump",
    metavar="DIR",
    help="Save both sides of the first divergence here.",
)
@one_form("text (the default), or json with every comparison.", "text", "json")
@recipe_option("In rung 5, train by this recipe's scripts too.")
@set_values
@own_templates
@for_deployment
def verify(
    spec: str,
    recipe: str | None,
    rungs: list[int],
    dtypes: Sequence[str],
    depth: int,
    form: str,
    parameters: dict[str, Value],
    templates: str | None,
    **options: Any,
) -> int:
    """Prove that the generated models are the same network."""
    # NumPy multiplies many small matrices here, whose threads would mostly wait for one another.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        from incgen import verify as proof
        from incgen.verify.show import as_json, text
    except ModuleNotFoundError as error:
        message = f"this needs {error.name}: pip install 'incgen[verify]'"
        raise click.ClickException(message) from None
    if recipe is None:
        graph, trained = compiled(spec, parameters, warn=True), None
    else:
        graph, trained = compiled_recipe(spec, recipe, parameters, warn=True)
    with frameworks_silent(), progress_line() as progress:
        report = proof.verify(
            graph,
            style=style_of(templates),
            recipe=trained,
            rungs=rungs or None,
            dtypes=dtypes or proof.DTYPES,
            progress=progress,
            **options,
        )
    print_text(as_json(report) if form == "json" else harmless(text(report, graph, depth=depth)))
    return OK if report.passed else FAULTS
