"""Import a published checkpoint into our weights file: all of it fits, or nothing is written."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from incgen.base.diagnostics import Reporter, listed
from incgen.compiling import Parameters, SpecPath, graph_of, plain_parameters
from incgen.graph.nodes import Graph
from incgen.syntax.loader import LoadedFile
from incgen.syntax.loader import load as load_spec
from incgen.weights import finding, layouts, manifest, safetensors
from incgen.weights.checkpoint import Array
from incgen.weights.choosing import Request, checked_rules, choose, layers_anew, title_of
from incgen.weights.damage import fault_of, finite
from incgen.weights.errors import Fault, MismatchError, WeightsError
from incgen.weights.finding import Candidate
from incgen.weights.layout import Layout
from incgen.weights.matching import unplaced
from incgen.weights.readers import files_of, open_checkpoint, started
from incgen.weights.readers.libraries import extra

#: The types that can be written, and their names in safetensors.
DTYPES = {"float16": "F16", "bfloat16": "BF16", "float32": "F32", "float64": "F64"}
_NUMPY = {"float16": "<f2", "float32": "<f4", "float64": "<f8"}


def import_weights(
    checkpoint: SpecPath,
    spec: SpecPath,
    output: SpecPath,
    parameters: Parameters | None = None,
    *,
    layout: str | None = None,
    part: str | None = None,
    fresh: Sequence[str] = (),
    seed: int = 0,
    rules: Mapping[str, str] | None = None,
    ignore: Sequence[str] = (),
    dtype: str = "float32",
    force: bool = False,
    text: str | None = None,
) -> dict[str, Any]:
    """Import published weights under the keys of a spec, as one safetensors file.

    Everything fits, or nothing is written.

    Args:
        checkpoint: A PyTorch, safetensors, Keras, TensorFlow, Flax, NumPy or Caffe file;
            several TensorFlow files by their common prefix.
        spec: The spec of its network.
        output: The file to write.
        parameters: Values for parameters of the network, in place of their defaults.
        layout: The name of a layout file, which says where the checkpoint keeps each layer;
            otherwise the one under which everything fits.
        part: Which tensors are meant, if the file holds several sets that fit, such as weights and
            their moving averages: what their names begin with in the file, or the slot that they
            end in; `.` are those without.
        fresh: Labels, or wildcards of labels, of layers to reinitialise, by the initialisation
            of the spec.
        seed: A number from 0 to 2**64 - 1, for what is drawn.
        rules: Rules for layers that the file calls otherwise than the layout, ours and theirs, as
            in ``{"logits": "new_fc"}``.
        ignore: Wildcards of tensors in the file that are not part of the network.
        dtype: The type of what is written: `float32`, `float16`, `bfloat16` or `float64`.
        force: Overwrite weights even if incgen could not recreate them.
        text: The spec itself, if it does not come from the file.

    Returns:
        The manifest, which stands in the file too: where each tensor comes from.

    Raises:
        SpecError: The spec has faults.
        RequestError: A parameter or value does not exist.
        MismatchError: Checkpoint and network differ; everything that differs is listed.
        WeightsError: The checkpoint or a layout cannot be read, or a library is missing.
        OutputError: The file cannot or must not be written.
        ValueError: The seed is out of range.
    """
    parameters, path = plain_parameters(parameters), Path(checkpoint)
    spec, output = Path(spec), Path(output)
    _check(output, dtype, force=force)
    with started(path):
        loaded = load_spec(spec, text=text)
        graph = _graph(loaded, parameters)
        anew = layers_anew(graph, fresh, seed)
        known = _layouts(spec, graph, layout)
        others = partial(_graph, loaded)
        request = Request(path, graph, parameters, part, len(known), others)
        opened = open_checkpoint(path)
    with opened, _hashed(files_of(path)) as digest:
        tensors = opened.unfolded(path)
        rules = checked_rules(graph, rules or {}, tensors)
        sets = finding.search(
            graph, tensors, known, part=part, anew=anew, rules=rules, ignore=ignore
        )
        chosen = choose(request, sets, tensors)
        source = manifest.source(files_of(path), opened, digest())
        made = manifest.of_import(graph, parameters, loaded, source, chosen, anew, dtype)
        shapes = {key: tensor.shape for key, tensor in graph.tensors().items()}
        head = safetensors.header(shapes, DTYPES[dtype], manifest.metadata(made))
        safetensors.write(output, head, _converted(request, chosen, dtype))
    return made


def _graph(loaded: LoadedFile, parameters: Parameters) -> Graph:
    """Expand the network of a spec that has been read."""
    return graph_of(loaded, parameters, Reporter())


def _layouts(spec: Path, graph: Graph, name: str | None) -> list[Layout]:
    """Return the layouts of a network, or only the one with a name."""
    layers = [node.path for node in graph.nodes if node.tensors]
    known = layouts.find(spec, graph.program.network.name, layers)
    return known if name is None else [layouts.named(name, known)]


def _check(output: Path, dtype: str, *, force: bool) -> None:
    with extra("weights", "weights"):
        import numpy  # noqa: F401 - every reader returns its arrays
    if dtype not in DTYPES:
        raise WeightsError(f"there is no type `{dtype}`: there are {listed(list(DTYPES))}")
    if not force:
        again = (safetensors.BY_IMPORT, safetensors.BY_INIT)
        safetensors.check_replaceable(output, again, safetensors.BY_IMPORT)


@contextmanager
def _hashed(files: list[Path]) -> Iterator[Callable[[], str]]:
    """Hash large files in the background; yield a function that waits for the SHA-256.

    Whatever ends the block early, such as an error or an interrupt, ends the hashing too.
    """
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(manifest.sha256, files, stop)
        try:
            yield future.result
        finally:
            stop.set()


# ---------------------------------------------------------------- values


def _converted(request: Request, chosen: Candidate, dtype: str) -> Iterator[memoryview]:
    """Yield the bytes of each tensor of ours, in order; only one is in memory at a time."""
    match = chosen.match
    faults = unplaced(match)
    for key in request.graph.tensors():
        values = match.recipes[key].values()
        made = _cast(values, dtype)
        if fault := fault_of(key, values):
            faults.append(fault)
        elif (values.itemsize > 4 or dtype in ("float16", "bfloat16")) and not finite(made):
            faults.append(Fault("too large", key, f"it has values that {dtype} cannot hold"))
        data = made if dtype != "bfloat16" else (made.view("<u4") >> 16).astype("<u2")
        yield data.data.cast("B")
    if faults:
        raise MismatchError(f"{title_of(request, chosen)}: its values are invalid", faults)


def _cast(values: Array, dtype: str) -> Array:
    """Return values in the type to write; bfloat16 as float32 numbers, whose upper half it is."""
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):
        if dtype != "bfloat16":
            return np.ascontiguousarray(values, _NUMPY[dtype])
        bits = np.ascontiguousarray(values, "<f4").view("<u4")
        even = (bits >> 16) & 1  # round to nearest, ties to even
        rounded: Array = (bits + 0x7FFF + even) & 0xFFFF0000
        return rounded.view("<f4")
