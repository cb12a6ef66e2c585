"""The command `build`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from incgen.base.suffixes import Kind, kind_of
from incgen.cli.inputs import all_compiled, compiled_recipe
from incgen.cli.onnx import onnx_file, onnx_options, options_of
from incgen.cli.options import (
    FAULTS,
    OK,
    examples,
    for_deployment,
    line_length,
    own_templates,
    recipe_option,
    set_values,
    several_specs,
    several_targets,
    style_of,
)
from incgen.cli.pages import Page
from incgen.cli.terminal import print_text, say, waiting

if TYPE_CHECKING:
    from incgen.graph.nodes import Graph
    from incgen.inference import Deploy
    from incgen.language.arithmetic import Value
    from incgen.onnx.files import OnnxFile
    from incgen.output import GeneratedFile
    from incgen.recipes.recipe import Recipe
    from incgen.targets import Target


@click.command(
    "build",
    cls=Page,
    short_help="Write source, scripts.",
    epilog=examples(
        "incgen build net.inc --target torch --target keras -o models/",
        "incgen build bn_inception -t onnx --weights bn.safetensors --deploy",
    ),
)
@several_specs
@several_targets(
    "torch (the default), keras, flax or onnx.",
    default=("torch",),
)
@click.option(
    "--output",
    "-o",
    metavar="PATH",
    help="A file, a folder/, or -. Default: generated/.",
)
@recipe_option("Also write a script that trains by this recipe.")
@set_values
@for_deployment
@own_templates
@line_length
@onnx_options
@click.option("--check", is_flag=True, help="Write nothing; print a diff, exit 1 if there is one.")
@click.option("--force", is_flag=True, help="Overwrite files that incgen did not write.")
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
    deploy: Deploy,
    **given: Any,
) -> int:
    """Write the source of networks for one or more frameworks."""
    from incgen import api
    from incgen.output import sealed
    from incgen.targets import ONNX

    chosen, names = api.find_with_onnx(targets, style_of(templates, line_length))
    of_onnx = options_of(given, specs, ONNX in names)
    _check_output(specs, len(names), output, recipe, of_onnx, check=check)
    graphs, trained = _compiled(specs, recipe, parameters, deploy)
    if graphs is None:
        return FAULTS
    if output == "-":
        (graph,) = graphs
        print_text(sealed(api.emit_all(graph, chosen)[chosen[0].name], graph.digest()))
        return OK
    sources, file = _written(graphs, chosen, output, trained, of_onnx, check=check, force=force)
    files: list[GeneratedFile | OnnxFile] = [*sources, *([] if file is None else [file])]
    for result in files:
        if not check:
            say(f"{'wrote' if result.changed else 'unchanged'} {result.path}")
        elif result.changed:
            say(f"{result.path} {result.difference()}")
    if check:
        print_text("".join(r.diff() for r in files))
    _say_left_over(graphs, sources, file)
    return FAULTS if check and any(r.changed for r in files) else OK


def _written(
    graphs: Sequence[Graph],
    targets: Sequence[Target],
    output: str | None,
    recipe: Recipe | None,
    of_onnx: dict[str, Any],
    *,
    check: bool,
    force: bool,
) -> tuple[list[GeneratedFile], OnnxFile | None]:
    """Write the sources of targets and the ONNX file, all or none."""
    from incgen import api
    from incgen.inference import stem_of
    from incgen.output import places
    from incgen.targets import ONNX

    with ExitStack() as stack:
        file = None
        if of_onnx:
            (graph,) = graphs
            names = [*(target.name for target in targets), ONNX]
            place = places(stem_of(graph), names, output)[ONNX]
            made = onnx_file(graph, place, of_onnx, check=check, force=force)
            file = stack.enter_context(made)
        stack.enter_context(waiting("writing the source"))
        sources = (
            api.build_graphs(graphs, targets, output, recipe=recipe, force=force, check=check)
            if targets
            else []
        )
    return sources, file


def _check_output(
    specs: Sequence[str],
    targets: int,
    output: str | None,
    recipe: str | None,
    of_onnx: dict[str, Any],
    *,
    check: bool,
) -> None:
    """Refuse standard output for what needs files, and the name of another kind of file.

    Raises:
        UsageError: It does.
    """
    kind = None if output is None or Path(output).is_dir() else kind_of(Path(output))
    if kind not in (None, Kind.SOURCE) and not of_onnx:
        onnx = ": for an ONNX file, write `--target onnx`" if kind is Kind.ONNX else ""
        raise click.UsageError(f"`{output}` is no name of a source file, which ends in .py{onnx}")
    if output == "-" and (check or targets > 1 or len(specs) > 1 or of_onnx):
        what = "--check needs files"
        if len(specs) > 1:
            what = f"{len(specs)} specs need files"
        elif targets > 1:
            what = f"{targets} targets need files"
        elif of_onnx:
            what = "ONNX is not text"
        raise click.UsageError(f"{what}: give another output than `-`")
    if recipe is not None and (len(specs) > 1 or output == "-"):
        what = "one spec" if len(specs) > 1 else "files"
        raise click.UsageError(f"--recipe needs {what}, since its script imports the model")


def _compiled(
    specs: Sequence[str],
    recipe: str | None,
    parameters: dict[str, Value],
    deploy: Deploy,
) -> tuple[Sequence[Graph] | None, Recipe | None]:
    """Return the graphs of specs, or of one with its recipe; None after reporting errors.

    They are deployed forms if that is asked for.
    """
    if recipe is not None:
        if deploy is not False:
            message = "--recipe trains a network, and one built with --deploy cannot be"
            raise click.UsageError(message)
        graph, trained = compiled_recipe(specs[0], recipe, parameters, warn=True)
        return [graph], trained
    graphs = all_compiled(specs, parameters)
    if graphs is None:
        return None, None
    from incgen.inference import formed

    return [formed(graph, deploy) for graph in graphs], None


def _say_left_over(
    graphs: Sequence[Graph], files: Sequence[GeneratedFile], of_onnx: OnnxFile | None
) -> None:
    """Report files that may be left over from networks or recipes that were renamed."""
    from incgen.output import Made, left_over
    from incgen.syntax.loader import STDIN
    from incgen.targets import TARGETS

    programs = [graph.program for graph in graphs if graph.program.file != STDIN]
    made = [Made(program.file, program.network.name, program.recipes) for program in programs]
    for path, what in left_over(made, [file.path for file in files], TARGETS).items():
        say(f"{path} {what}")
    if of_onnx is not None and made:
        from incgen.onnx.files import left_over as left_over_files

        (spec,) = made
        renamed = f"the network of {spec.file} is called `{spec.network}` now; if so, remove it"
        for path in left_over_files(of_onnx.path, spec.file, spec.network):
            say(f"{path} may be left over: {renamed}")
