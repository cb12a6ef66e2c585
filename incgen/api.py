"""The Python API: check a spec, generate its source text, write it, import it.

Targets and their dependencies are imported where they are needed, so that a check does not pay for
them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from incgen.base.diagnostics import (
    Code,
    Diagnostic,
    Reporter,
    SpecError,
    listed,
)
from incgen.base.help import near
from incgen.base.modules import import_source
from incgen.compiling import (
    Parameters,
    RequestError,
    SpecPath,
    compile_recipe,
    compile_spec,
    faults_of_recipes,
    graph_of,
)
from incgen.graph.nodes import Graph
from incgen.inference import Deploy, formed, stem_of
from incgen.syntax.loader import LoadedFile
from incgen.syntax.loader import load as load_file

if TYPE_CHECKING:
    from incgen.output import GeneratedFile
    from incgen.recipes.recipe import Recipe
    from incgen.targets import Target
    from incgen.targets.shared.style import Style


def check(
    spec: SpecPath, parameters: Parameters | None = None, *, text: str | None = None
) -> list[Diagnostic]:
    """Return all errors and warnings in a spec; a file of units and blocks needs no network.

    The arguments are those of `compile_spec`.

    Raises:
        RequestError: The spec has no such parameter, or no parameter has such a value.
    """
    try:
        loaded = load_file(Path(spec), text=text)
    except SpecError as error:
        return list(error.diagnostics)
    graph, faults = check_loaded(loaded, parameters)
    if graph is None:
        return faults
    *_, refused = refusals(graph)
    return [*refused, *faults]


def check_loaded(
    loaded: LoadedFile, parameters: Parameters | None = None
) -> tuple[Graph | None, list[Diagnostic]]:
    """Return the graph of a file, and what is wrong with the file, apart from what targets refuse.

    There is no graph if the file has errors, or no network.

    Raises:
        RequestError: The spec has no such parameter, or no parameter has such a value.
    """
    report, graph = Reporter(), None
    try:
        graph = graph_of(loaded, parameters or {}, report)
    except SpecError as error:
        lone = error.diagnostics[0]
        if not (lone.code is Code.NO_NETWORK and lone.span is None):
            return None, list(error.diagnostics)
    faults = report.diagnostics
    recipes = faults_of_recipes(loaded, parameters, graph)
    return graph, faults + [fault for fault in recipes if fault not in faults]


def refusals(graph: Graph) -> Iterator[list[Diagnostic]]:
    """Yield what targets cannot express, each once, after every target: what is known so far."""
    from incgen.targets import TARGETS
    from incgen.targets.shared.analysis import Analysis

    refused: dict[Diagnostic, None] = {}
    analysis = Analysis(graph)
    for target in TARGETS.values():
        try:
            target.check(graph, analysis)
        except SpecError as error:
            refused |= dict.fromkeys(error.diagnostics)
        yield list(refused)


def generate(
    spec: SpecPath,
    target: str = "torch",
    parameters: Parameters | None = None,
    *,
    text: str | None = None,
    style: Style | None = None,
    deploy: Deploy = False,
) -> str:
    """Return the source text of a spec for one target.

    Args:
        spec: The spec's file.
        target: `torch`, `keras` or `flax`.
        parameters: Values for parameters and constants, which override the spec's.
        text: The spec itself, if it does not come from the file.
        style: The line length and the user's own templates; incgen's if omitted.
        deploy: The form for inference, by all passes or by those of these names, instead of the
            training form.

    Raises:
        SpecError: The spec has faults, or the target cannot express it.
        RequestError: There is no such target, parameter, value or pass.
        TemplateError: A template of the user's is faulty.
    """
    (chosen,) = find_targets([target], style)
    return chosen.emit(formed(compile_spec(spec, parameters, text=text), deploy))


def drawing(
    spec: SpecPath,
    form: str = "svg",
    parameters: Parameters | None = None,
    *,
    text: str | None = None,
    depth: int = 1,
    opened: Sequence[str] = (),
    heat: str | None = None,
    theme: str = "light",
    direction: str = "down",
    definitions: bool = True,
) -> bytes:
    """Return a drawing of a network as the content of a file.

    Args:
        spec: The spec's file.
        form: `svg`, `png`, `pdf`, `html`, `mmd` (Mermaid) or `dot`.
        parameters: Values for parameters and constants, which override the spec's.
        text: The spec itself, if it does not come from the file.
        depth: How many levels of blocks are shown; with 1 all blocks are folded.
        opened: Keys, and names of units and blocks, that are open too.
        heat: What boxes are coloured by instead of their kind: `multiply-adds`, `parameters` or
            `receptive-field`.
        theme: `light` or `dark`.
        direction: `down` or `right`: where the data goes.
        definitions: Whether the definitions of folded blocks stand beside the network.

    Raises:
        SpecError: The spec has faults.
        RequestError: There is no such parameter or value.
        DrawError: There is no such format, option or part, or a library is missing.
    """
    from incgen.draw.drawing import drawn, format_of
    from incgen.draw.view import View

    view = View(depth, tuple(opened), heat, theme, direction, definitions)
    form = format_of(f"network.{form}")
    return drawn(compile_spec(spec, parameters, text=text), view, form)


def build(
    spec: SpecPath,
    target: str | Sequence[str] = "torch",
    output: SpecPath | None = None,
    parameters: Parameters | None = None,
    *,
    recipe: str | None = None,
    force: bool = False,
    check: bool = False,
    style: Style | None = None,
    deploy: Deploy = False,
) -> list[GeneratedFile]:
    """Write the source files of a spec, one for each target, and with a recipe one to train each.

    Nothing is written until everything has been generated; a file that is up to date is left alone.

    Args:
        spec: The file of the spec, or the name of a shipped one.
        target: A target or several.
        output: A file, for one target; or a folder: an existing one, or a path with a trailing
            slash. The default is the folder `generated`.
        parameters: Values for parameters and constants, in place of what the spec says.
        recipe: The name of a recipe; its script is written beside the file of the model.
        force: Overwrite files even if incgen did not write them or they were edited since.
        check: Write nothing.
        style: The length of lines, and templates of the user's; otherwise incgen's own.
        deploy: The form for inference, by all passes or by those of these names, instead of the
            training form.

    Returns:
        The files in the order of the targets; `changed` says which differed from what is there.

    Raises:
        SpecError: The spec has faults, or a target cannot express it.
        RequestError: There is no such target, recipe, parameter, value or pass, or the form that
            a recipe trains is not the training form.
        OutputError: A file cannot or must not be written.
        TemplateError: A template of the user's is faulty.
    """
    targets = find_targets([target] if isinstance(target, str) else target, style)
    if recipe is None:
        graph, trained = formed(compile_spec(spec, parameters), deploy), None
    elif deploy is not False:
        raise RequestError("a recipe trains a network, and a deployed one cannot be trained")
    else:
        graph, trained = compile_recipe(spec, recipe, parameters)
    return build_graphs([graph], targets, output, recipe=trained, force=force, check=check)


def build_graphs(
    graphs: Sequence[Graph],
    targets: Sequence[Target],
    output: SpecPath | None,
    *,
    recipe: Recipe | None = None,
    force: bool = False,
    check: bool = False,
) -> list[GeneratedFile]:
    """Write the source files of several networks, all or none, as `build` does for one.

    A recipe is that of all of them.

    Raises:
        SpecError: A target cannot express a network.
        OutputError: A file cannot or must not be written, or two networks would share one.
    """
    from incgen.base.files import OutputError
    from incgen.output import compared, places, sealed, write_all

    texts: dict[Path, str] = {}
    for graph in graphs:
        sources = emit_all(graph, targets)
        for name, path in places(stem_of(graph), tuple(sources), output).items():
            if path in texts:
                help_ = "give a folder as the output, and networks of different names"
                raise OutputError(f"two specs would be written to `{path.as_posix()}`: {help_}")
            texts[path] = sealed(sources[name], graph.digest())
            if recipe is not None:
                target = next(t for t in targets if t.name == name)
                texts |= _script(graph, recipe, target, path)
    if check:
        return [compared(path, text) for path, text in texts.items()]
    return write_all(texts, force=force)


def _script(graph: Graph, recipe: Recipe, target: Target, model: Path) -> dict[Path, str]:
    """Return the script that trains a network, by its path beside the file of the model.

    Raises:
        OutputError: The file of the model cannot be imported by its name.
    """
    from incgen.base.files import OutputError
    from incgen.output import sealed
    from incgen.targets.shared import training

    if not model.stem.isidentifier():
        message = f"`{model.name}` is not the name of a module, and the script imports it"
        raise OutputError(f"{message}: give a name of letters, digits and `_`, or a folder")
    text = training.script(graph, recipe, target.name, target.style, module=model.stem)
    name = training.file_name(recipe.network, recipe.name, target.name)
    return {model.with_name(name): sealed(text, recipe.digest(graph.digest()))}


def load(
    spec: SpecPath,
    target: str = "torch",
    parameters: Parameters | None = None,
    *,
    text: str | None = None,
    style: Style | None = None,
    deploy: Deploy = False,
) -> ModuleType:
    """Generate the source of a spec and import it, without a file.

    As with an import, the same source gives the same module again. Its classes can be pickled;
    tracebacks and `inspect.getsource` show its lines. The target's framework must be installed.

    Args:
        spec: The spec's file.
        target: `torch`, `keras` or `flax`.
        parameters: Values for parameters and constants, which override the spec's.
        text: The spec itself, if it does not come from the file.
        style: The line length and the user's own templates; incgen's if omitted.
        deploy: The form for inference, by all passes or by those of these names, instead of the
            training form.

    Raises:
        SpecError: The spec has faults, or the target cannot express it.
        RequestError: There is no such target, parameter, value or pass.
        TemplateError: A template of the user's is faulty.
        ImportError: The framework is not installed.
    """
    (chosen,) = find_targets([target], style)
    return imported(formed(compile_spec(spec, parameters, text=text), deploy), chosen)


def imported(graph: Graph, target: Target) -> ModuleType:
    """Import the code of a network for one target, as `load` does for a spec."""
    program = graph.program
    return import_source(program.network.name, program.file, target.name, target.emit(graph))


def find_targets(names: Sequence[str], style: Style | None = None) -> list[Target]:
    """Look up targets by name; return each one once, in order.

    Args:
        names: Names or aliases of targets.
        style: The style of the code; incgen's own if omitted.

    Raises:
        RequestError: There is no such target or folder of templates, or no name is given.
    """
    from incgen.targets import ONNX, TARGETS, target_named

    own = style.templates if style is not None else None
    if own is not None and not any(Path(own, name).is_dir() for name in TARGETS):
        places = listed([Path(own, name).as_posix() for name in TARGETS])
        raise RequestError(f"there are no templates: none of {places} is a folder")

    targets: dict[str, Target] = {}
    for name in names:
        target = target_named(name)
        if name == ONNX:
            raise RequestError("an ONNX file holds weights: call `incgen.export_onnx`")
        if target is None:
            known = [*TARGETS, ONNX, *(a for t in TARGETS.values() for a in t.aliases)]
            offer = near(name, known) or f"the targets are {listed(sorted([*TARGETS, ONNX]))}"
            raise RequestError(f"there is no target `{name}`: {offer}")
        targets[target.name] = target if style is None else target.styled(style)
    if not targets:
        all_ = listed(sorted([*TARGETS, ONNX]))
        raise RequestError(f"no target is given: the targets are {all_}")
    return list(targets.values())


def find_with_onnx(
    names: Sequence[str], style: Style | None = None
) -> tuple[list[Target], list[str]]:
    """Look up targets by name where `onnx`, which is none of them, may be among the names.

    The arguments and errors are those of `find_targets`.

    Returns:
        The targets; and the names of all, without aliases, with `onnx` as the last.
    """
    from incgen.targets import ONNX

    code = [name for name in names if name != ONNX]
    targets = find_targets(code, style) if code or not names else []
    return targets, [*(target.name for target in targets), *([ONNX] if ONNX in names else [])]


def emit_all(graph: Graph, targets: Sequence[Target]) -> dict[str, str]:
    """Return the source text for each target by the target's name.

    Raises:
        SpecError: Some target cannot express the network; the error holds the reasons of all of
            them.
    """
    sources: dict[str, str] = {}
    faults: list[Diagnostic] = []
    for target in targets:
        try:
            sources[target.name] = target.emit(graph)
        except SpecError as error:
            faults.extend(error.diagnostics)
    if faults:
        raise SpecError(faults)
    return sources
