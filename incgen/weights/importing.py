"""A published checkpoint to our file of weights: all of it fits, or nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from incgen.api import Parameters, SpecPath, compile_spec, plain_parameters
from incgen.diagnostics import listed
from incgen.graph import Graph
from incgen.loader import load as load_spec
from incgen.weights import layouts, manifest, matching, safetensors
from incgen.weights.checkpoint import Checkpoint
from incgen.weights.errors import MOST, Fault, MismatchError, WeightsError
from incgen.weights.layouts import Layout
from incgen.weights.matching import Match
from incgen.weights.readers import files_of, open_checkpoint
from incgen.weights.readers.libraries import extra
from incgen.weights.values import fault_of, finite

if TYPE_CHECKING:
    from incgen.weights.checkpoint import Array

#: Types of the numbers that can be written, and what safetensors calls them.
DTYPES = {"float16": "F16", "bfloat16": "BF16", "float32": "F32", "float64": "F64"}
_NUMPY = {"float16": "<f2", "float32": "<f4", "float64": "<f8"}


def import_weights(
    checkpoint: SpecPath,
    spec: SpecPath,
    output: SpecPath,
    parameters: Parameters | None = None,
    *,
    layout: str | None = None,
    dtype: str = "float32",
    force: bool = False,
    text: str | None = None,
) -> dict[str, Any]:
    """Write published weights under the keys of a spec, as one safetensors file.

    All of it fits, or nothing is written.

    Args:
        checkpoint: a file of PyTorch, safetensors, Keras, TensorFlow, NumPy or Caffe; several
            files of TensorFlow by what their names have in common.
        spec: its network.
        output: the file.
        parameters: values for parameters of the network, in place of their defaults.
        layout: the name of a layout file, which says where the checkpoint keeps each layer;
            otherwise the one under which everything fits.
        dtype: `float32`, `float16`, `bfloat16` or `float64`: the type of what is written.
        force: also write over weights that incgen could not make again.
        text: the spec itself, if it does not come from the file.

    Returns:
        The manifest, which stands in the file too: where each tensor comes from.

    Raises:
        SpecError: the spec has faults.
        RequestError: there is no such parameter or value.
        MismatchError: checkpoint and network differ; everything that differs is in it.
        WeightsError: the checkpoint or a layout cannot be read, or a library for it is missing.
        OutputError: the file cannot or must not be written.
    """
    parameters, path = plain_parameters(parameters), Path(checkpoint)
    spec, output = Path(spec), Path(output)
    with extra("weights", "weights"):
        import numpy  # noqa: F401 - every reader gives its arrays
    if dtype not in DTYPES:
        raise WeightsError(f"there is no type `{dtype}`: there are {listed(list(DTYPES))}")
    if not force:
        again = (safetensors.BY_IMPORT, safetensors.BY_INIT)
        safetensors.check_replaceable(output, again, safetensors.BY_IMPORT)
    digest = _in_background(lambda: manifest.sha256(files_of(path)))
    graph = compile_spec(spec, parameters, text=text)
    known_layouts = layouts.find(spec, graph.program.network.name)
    chosen = None if layout is None else layouts.named(layout, known_layouts)
    with open_checkpoint(path) as opened:
        if chosen is None:
            match = _recognised(path, graph, opened, parameters, known_layouts)
        else:
            match = matching.match(graph, opened.tensors, chosen)
            if match.faults:
                help_ = _settings(match.layout, parameters)
                raise MismatchError(_title(path, graph, match), match.faults, help=help_)
        loaded = load_spec(spec, text=text)
        source = manifest.source(files_of(path), opened, digest())
        made = manifest.of_import(graph, parameters, loaded, source, match, dtype)
        shapes = {key: tensor.shape for key, tensor in graph.tensors().items()}
        head = safetensors.header(shapes, DTYPES[dtype], manifest.metadata(made))
        safetensors.write(output, head, _converted(path, graph, match, dtype))
    return made


def _in_background(work: Callable[[], str]) -> Callable[[], str]:
    """Begin to read a large file while other things are done; gives what waits for the result."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(work)
    pool.shutdown(wait=False)
    return future.result


def _recognised(
    path: Path,
    graph: Graph,
    checkpoint: Checkpoint,
    parameters: Parameters,
    known: list[Layout],
) -> Match:
    """The layout under which everything fits.

    Raises:
        MismatchError: there is none; the report is that of the closest.
        WeightsError: there are several that say different things.
    """
    tensors = checkpoint.tensors
    plausible = [layout for layout in known if matching.is_plausible(graph, tensors, layout)]
    matches = [matching.match(graph, tensors, layout) for layout in plausible or known]
    fitting = [match for match in matches if not match.faults]
    for match in fitting[1:]:
        if match.recipes != fitting[0].recipes:
            names = listed([match.layout.name for match in fitting])
            raise WeightsError(
                f"`{path.as_posix()}` fits the layouts {names}, which say different things of it: "
                "choose one with --layout"
            )
    if fitting:
        return fitting[0]
    closest = min(matches, key=lambda match: len(match.faults))
    title = f"{_title(path, graph, closest)}, which is the closest of {len(known)}"
    help_ = _settings(closest.layout, parameters)
    if len(closest.faults) > MOST:
        help_.append(f"`--layout {closest.layout.name}` lists everything")
    raise MismatchError(title, closest.faults, help=help_, most=MOST)


def _settings(layout: Layout, parameters: Parameters) -> list[str]:
    """A line on settings of the published network, where they are not those that were given."""
    settings = {k: v for k, v in layout.settings.items() if parameters.get(k) != v}
    words = [f"--set {name}={str(value).lower()}" for name, value in settings.items()]
    return [f"the published network is that of `{' '.join(words)}`"] if words else []


def _title(path: Path, graph: Graph, match: Match) -> str:
    name = graph.program.network.name
    return f"`{path.as_posix()}` does not fit `{name}` under the layout `{match.layout.name}`"


# ---------------------------------------------------------------- values


def _converted(path: Path, graph: Graph, match: Match, dtype: str) -> Iterator[memoryview]:
    """The bytes of each tensor of ours, in order; one is in memory at a time.

    Raises:
        MismatchError: values that no weights can have; raised behind the last tensor.
    """
    faults: list[Fault] = []
    for check in match.checks:
        if not (check.stored.values() == check.value).all():
            text = f"`{check.stored.name}` is not {check.value:g} everywhere"
            faults.append(Fault("without a place here", check.key, text))
    for key in graph.tensors():
        values = match.recipes[key].values()
        made = _cast(values, dtype)
        if fault := fault_of(key, values):
            faults.append(fault)
        elif not finite(made):
            faults.append(Fault("too large", key, f"it has values that {dtype} cannot hold"))
        data = made if dtype != "bfloat16" else (made.view("<u4") >> 16).astype("<u2")
        yield data.data.cast("B")
    if faults:
        raise MismatchError(f"{_title(path, graph, match)}: its values are damaged", faults)


def _cast(values: Array, dtype: str) -> Array:
    """Values in the type that is written; bfloat16 as the float32 that it is the half of."""
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):
        if dtype != "bfloat16":
            return np.ascontiguousarray(values, _NUMPY[dtype])
        bits = np.ascontiguousarray(values, "<f4").view("<u4")
        even = (bits >> 16) & 1  # to the nearest, and halves to the even one
        rounded: Array = (bits + 0x7FFF + even) & 0xFFFF0000
        return rounded.view("<f4")
