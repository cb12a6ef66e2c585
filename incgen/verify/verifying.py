"""Verify a spec: generate its sources, climb the ladder, and list what was not compared."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from incgen.api import find_with_onnx
from incgen.base.diagnostics import SpecError, listed
from incgen.compiling import Parameters, RequestError, SpecPath, compile_spec
from incgen.graph.nodes import Graph
from incgen.inference import Deploy, passes_of
from incgen.targets import ONNX, TARGETS
from incgen.verify.report import EVALUATED, RUNGS, Omission, Report
from incgen.verify.resizing import resized
from incgen.verify.runners import RUNNERS
from incgen.weights.checkpoint import Array
from incgen.weights.readers.libraries import extra

if TYPE_CHECKING:
    from incgen.recipes.recipe import Recipe
    from incgen.targets.shared.style import Style
    from incgen.verify.by_recipe import ByRecipe
    from incgen.verify.deployed import Forms
    from incgen.verify.ladder import Ladder
    from incgen.verify.models import Models

#: The floating-point types, in the order in which they are compared.
DTYPES = ("float64", "float32")


def verify(
    spec: SpecPath | Graph,
    parameters: Parameters | None = None,
    *,
    targets: Sequence[str] = (),
    rungs: Sequence[int] | None = None,
    dtypes: Sequence[str] = DTYPES,
    weights: SpecPath | None = None,
    seed: int = 0,
    batch: int = 4,
    dump: SpecPath | None = None,
    sources: Mapping[str, str] | None = None,
    style: Style | None = None,
    text: str | None = None,
    progress: Callable[[str], None] | None = None,
    recipe: Recipe | None = None,
    script: Callable[[str, Recipe], str] | None = None,
    deploy: Deploy = False,
    deployed: Mapping[str, str] | None = None,
) -> Report:
    """Prove that the generated models of a spec are the same network, or find where they differ.

    Args:
        spec: The spec's file, or its graph.
        parameters: Values for parameters and constants, which override the spec's; not of a graph.
        targets: The targets to compare, and `onnx`; if omitted, the targets whose libraries are
            installed.
        rungs: The rungs to compare, by number in `RUNGS`; if omitted, all that there are.
        dtypes: `float64`, `float32` or both. Results in float32 are measured against float64.
        weights: A safetensors file with the spec's keys; random weights if omitted.
        seed: Determines the weights, the inputs and the dropout masks.
        batch: The number of examples in an input.
        dump: A folder for the inputs and outputs of the first divergence.
        sources: Source texts by target, instead of generated ones.
        style: The line length and the user's own templates; incgen's if omitted.
        text: The spec itself, if it does not come from the file; not of a graph.
        progress: A callback that receives progress messages.
        recipe: The recipe by which rung 5 trains the models too; the spec has its settings.
        script: Returns the text of the training script of a target for a recipe, instead of a
            generated one.
        deploy: Whether rung 1 compares deployed forms with the training form too, those of each
            pass alone and of all together; or the names of the passes.
        deployed: Source texts of the form that all of them make, by target, instead of generated
            ones.

    Returns:
        All comparisons and omissions; `passed` says whether everything requested was compared and
        agrees.

    Raises:
        SpecError: The spec has errors, or no target can express it.
        RequestError: A target, rung, type, parameter or value does not exist, parameters come
            with a graph, or a recipe or a deployed form without its rung.
        MismatchError: The weights do not fit the spec.
        WeightsError: The weights cannot be read, or a library is missing.
    """
    rungs = _checked(_rungs(rungs, targets, deploy, recipe), dtypes, batch, seed, dump)
    graph = _graph(spec, parameters, text)
    compared, absent = (targets, ()) if targets else _installed()
    texts, omissions = _sources(graph, compared, style, sources or {})
    asked, types = tuple(sorted(set(rungs))), tuple(t for t in DTYPES if t in dtypes)
    ladders: list[Ladder] = []
    if texts:
        values = _weights(graph, weights, seed)
        from incgen.verify.models import Models

        with tempfile.TemporaryDirectory(prefix="incgen-") as folder:
            make = partial(Models, graph, texts, values, seed=seed, batch=batch)
            # float32 is measured against float64
            measured = DTYPES if "float32" in types else types
            made = {dtype: make(dtype=dtype, folder=Path(folder)) for dtype in measured}
            saved = None if dump is None else Path(dump)
            more = _by_recipe(graph, recipe, script, style), _forms(deploy, deployed or {}, style)
            ladders = _climbed(made, asked, types, saved, progress, *more)
    origin = f"random, seed {seed}" if weights is None else Path(weights).as_posix()
    return _report(graph, ladders, omissions, (asked, types), batch, origin, absent, recipe)


def _graph(spec: SpecPath | Graph, parameters: Parameters | None, text: str | None) -> Graph:
    """Return the graph of a spec, with parameters; those of a graph are settled."""
    if not isinstance(spec, Graph):
        return compile_spec(spec, parameters, text=text)
    if parameters or text is not None:
        given = "parameters" if parameters else "text"
        raise RequestError(f"a graph is already expanded: {given} must go to `compile_spec`")
    return spec


def _report(
    graph: Graph,
    ladders: Sequence[Ladder],
    omissions: Sequence[Omission],
    asked: tuple[tuple[int, ...], tuple[str, ...]],
    batch: int,
    weights: str,
    absent: tuple[str, ...],
    recipe: Recipe | None,
) -> Report:
    records = [ladder.record for ladder in ladders]
    other = resized(graph)
    return Report(
        graph.program.network.name,
        graph.program.file,
        {n: r.versions for ladder in ladders[:1] for n, r in ladder.models.runners.items()},
        (batch, graph.input.channels, *_size(graph)),
        other if isinstance(other, str) else _size(other.graph),
        weights,
        tuple(comparison for record in records for comparison in record.comparisons),
        tuple(divergence for record in records for divergence in record.divergences),
        (*omissions, *(omission for record in records for omission in record.omissions)),
        *asked,
        absent,
        recipe.name if recipe is not None else "",
    )


def _installed() -> tuple[list[str], tuple[str, ...]]:
    """Return the targets whose libraries are installed, all if none are, and the others."""
    absent = tuple(name for name in TARGETS if RUNNERS[name].missing())
    return [name for name in TARGETS if name not in absent] or [*TARGETS], absent


def _climbed(
    made: Mapping[str, Models],
    rungs: tuple[int, ...],
    dtypes: tuple[str, ...],
    dump: Path | None,
    progress: Callable[[str], None] | None,
    recipe: ByRecipe | None,
    forms: Forms | None,
) -> list[Ladder]:
    """Climb the ladder for each type; a divergence in float64 ends it."""
    from incgen.verify.ladder import Ladder

    ladders: list[Ladder] = []
    say = progress or (lambda _: None)
    try:
        for dtype in dtypes:
            exact = made["float64"] if dtype != "float64" else None
            kept = dtype != dtypes[-1]
            ladder = Ladder(made[dtype], exact, dump, say, kept=kept, recipe=recipe, forms=forms)
            if ladders and ladders[0].record.divergences:
                ladder.record.omissions.append(Omission(None, dtype, "float64 diverges"))
            else:
                ladder.climb(rungs)
            ladders.append(ladder)
    finally:
        for models in made.values():
            for runner in models.runners.values():
                runner.forget()
    return ladders


def _forms(deploy: Deploy, sources: Mapping[str, str], style: Style | None) -> Forms | None:
    """Return the deployed forms to compare."""
    if deploy is False:
        return None
    from incgen.verify.deployed import Forms

    return Forms(passes_of(deploy), sources, style)


def _by_recipe(
    graph: Graph,
    recipe: Recipe | None,
    script: Callable[[str, Recipe], str] | None,
    style: Style | None,
) -> ByRecipe | None:
    """Return a recipe with its scripts: generated ones, if none are given."""
    if recipe is None:
        return None
    from incgen.targets.shared import training
    from incgen.targets.shared.style import PLAIN
    from incgen.verify.by_recipe import ByRecipe

    def generated(target: str, recipe: Recipe) -> str:
        return training.script(graph, recipe, target, style or PLAIN)

    return ByRecipe(recipe, script or generated)


def _sources(
    graph: Graph, names: Sequence[str], style: Style | None, given: Mapping[str, str]
) -> tuple[dict[str, str], list[Omission]]:
    """Return the source texts of the targets that can be compared, and the omissions.

    An ONNX file has no source text: it is made from the graph.
    """
    targets, known = find_with_onnx(names, style)
    for name in given:
        if name not in known:
            raise RequestError(f"`{name}` is not one of the targets: {listed(known)}")
    check_runners(known)
    texts: dict[str, str] = {}
    omissions: list[Omission] = []
    faults: list[SpecError] = []
    for target in targets:
        try:
            own = target.name in given
            texts[target.name] = given[target.name] if own else target.emit(graph)
        except SpecError as error:
            faults.append(error)
            reason = f"{target.name} cannot express it: {error.diagnostics[0].headline}"
            omissions.append(Omission(None, "", reason))
    if len(faults) == len(known):
        raise SpecError([diagnostic for fault in faults for diagnostic in fault.diagnostics])
    if ONNX in known:
        texts[ONNX] = ""
    for name in [*texts]:
        if missing := RUNNERS[name].missing():
            engine = " onnxruntime" if "onnxruntime" in missing else ""  # several packages have it
            reason = f"{name} needs {listed(missing)}: pip install 'incgen[{name}]'{engine}"
            omissions.append(Omission(None, "", reason))
            del texts[name]
    return texts, omissions


def check_runners(names: Iterable[str]) -> None:
    """Raise `RequestError` for a target whose framework runs on an unsupported backend."""
    for name in names:
        if obstacle := RUNNERS[name].obstacle():
            raise RequestError(obstacle)


def _weights(graph: Graph, file: SpecPath | None, seed: int) -> dict[str, Array]:
    """Return weights by key, in float64: random ones, or those of a file."""
    with extra("verify", "verifications"):
        import numpy as np
        import safetensors  # noqa: F401
    if file is None:
        from incgen.verify import drawing

        return drawing.weights(graph, seed)
    from incgen.weights.choosing import MAKE_ONE
    from incgen.weights.exporting import arrays_of
    from incgen.weights.readers import open_checkpoint

    with open_checkpoint(Path(file)) as checkpoint:
        arrays = arrays_of(Path(file), graph, checkpoint, remedy=MAKE_ONE)
    return {key: np.asarray(value, np.float64) for key, value in arrays.items()}


def _rungs(
    asked: Sequence[int] | None, targets: Sequence[str], deploy: Deploy, recipe: Recipe | None
) -> Sequence[int]:
    """Return the rungs to compare: if none are asked for, all that the targets have."""
    every = EVALUATED if {*targets} == {ONNX} else range(len(RUNGS))
    rungs = every if asked is None else asked
    needed = (1, "deployed forms", deploy is not False), (5, "recipes", recipe is not None)
    for rung, what, given in needed:
        if given and rung not in rungs:
            others = ", ".join(map(str, rungs))
            raise RequestError(f"{what} are compared on rung {rung}: add it to {others}")
    return rungs


def _size(graph: Graph) -> tuple[int, int]:
    assert graph.input.height is not None and graph.input.width is not None
    return graph.input.height, graph.input.width


def _checked(
    rungs: Sequence[int], dtypes: Sequence[str], batch: int, seed: int, dump: SpecPath | None
) -> Sequence[int]:
    """Reject invalid arguments; return the rungs."""
    if dump is not None and Path(dump).exists() and not Path(dump).is_dir():
        raise RequestError(f"{Path(dump).as_posix()} is not a folder")
    wrong = [rung for rung in rungs if rung not in range(len(RUNGS))]
    if wrong or not rungs:
        names = ", ".join(f"{number} ({name})" for number, name in enumerate(RUNGS))
        what = f"there is no rung {wrong[0]}" if wrong else "no rung is given"
        raise RequestError(f"{what}: the rungs are {names}")
    other = [dtype for dtype in dtypes if dtype not in DTYPES]
    if other or not dtypes:
        what = f"there is no type `{other[0]}`" if other else "no type is given"
        raise RequestError(f"{what}: the types are {listed(DTYPES)}")
    if batch < 1 or seed < 0:
        raise RequestError("a batch must have at least 1 example, and a seed must not be negative")
    return rungs
