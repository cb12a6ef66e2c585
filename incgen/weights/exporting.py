"""Export our weights file to formats that frameworks load themselves."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from incgen.api import find_targets
from incgen.base.diagnostics import listed
from incgen.base.files import OutputError, check_new, make_folder, reason
from incgen.base.modules import import_source
from incgen.compiling import Parameters, SpecPath, compile_spec, plain_parameters
from incgen.graph.nodes import Graph
from incgen.inference import Deploy, formed
from incgen.weights import finding
from incgen.weights.checkpoint import Array, Checkpoint, first_line
from incgen.weights.choosing import TAKE_PART, Request, choose
from incgen.weights.conventions import CONVENTIONS
from incgen.weights.damage import fault_of
from incgen.weights.errors import MOST, MismatchError, WeightsError
from incgen.weights.layout import identity
from incgen.weights.matching import unplaced
from incgen.weights.readers import open_checkpoint
from incgen.weights.readers.libraries import extra

#: Writes a file, and does nothing else that could fail.
Writer: TypeAlias = Callable[[Path], object]

#: Formats, and the suffixes of their files.
FORMATS = {
    "torch": (".pth", ".pt"),
    "keras": (".weights.h5", ".keras"),
    "flax": (".msgpack",),
    "npz": (".npz",),
    "safetensors": (".safetensors",),
}


def export_weights(
    weights: SpecPath,
    spec: SpecPath,
    output: SpecPath,
    parameters: Parameters | None = None,
    *,
    format: str,
    part: str | None = None,
    force: bool = False,
    text: str | None = None,
    deploy: Deploy = False,
) -> None:
    """Export weights with the keys of a spec to a framework's own format.

    Args:
        weights: The weights file.
        spec: The spec of its network.
        output: The file to write.
        parameters: Values for parameters of the network, in place of their defaults.
        format: `torch` (a state dict of the generated module, `.pth`), `keras` (weights of the
            generated model, `.weights.h5`, or the model itself, `.keras`), `flax` (the nested
            dictionary of the generated module, `.msgpack`), `npz` or `safetensors`.
        part: Which tensors to use if the file holds several sets that fit, as for `import_weights`.
        force: Overwrite an existing file.
        text: The spec itself, if it does not come from the file.
        deploy: Write the weights of the form for inference, by all passes or by those of these
            names.

    Raises:
        SpecError: The spec has faults.
        RequestError: A parameter, value or pass does not exist.
        MismatchError: Weights and network differ, or weights cannot have such values.
        WeightsError: The weights cannot be read, or a library is missing.
        OutputError: The file cannot or must not be written.
    """
    parameters, weights = plain_parameters(parameters), Path(weights)
    spec, output = Path(spec), Path(output)
    if format not in FORMATS:
        raise WeightsError(f"there is no format `{format}`: choose from {listed(list(FORMATS))}")
    if not output.name.endswith(FORMATS[format]):
        ends = listed(FORMATS[format], "or")
        raise OutputError(f"`{output.as_posix()}`: a file of the format {format} ends in {ends}")
    check_new(output, force=force)
    graph = formed(compile_spec(spec, parameters, text=text), deploy)
    if graph.mark() and not output.name.endswith(_MARKED):
        raise WeightsError(_UNMARKED.format(output.as_posix()))
    with open_checkpoint(weights) as checkpoint:
        arrays = arrays_of(weights, graph, checkpoint, part)
    write = _WRITERS[format](graph, arrays)
    make_folder(output.parent)
    with _put(output) as temporary:
        write(temporary)


#: Files that say what is folded, or cannot be loaded by another model.
_MARKED = (".safetensors", ".keras")
_UNMARKED = (
    "`{}` would have the keys of the training form, which would load it: only factors are folded; "
    "take `--format safetensors`, which says so"
)


@contextmanager
def _put(output: Path) -> Iterator[Path]:
    """Yield a file beside the output, which replaces it once it has been written."""
    try:
        with tempfile.TemporaryDirectory(dir=output.parent, prefix=".incgen-") as folder:
            temporary = Path(folder, output.name)
            yield temporary
            os.replace(temporary, output)
    except Exception as error:  # each library has its own error for a full disk
        why = reason(error) if isinstance(error, OSError) else first_line(error)
        raise OutputError(f"`{output.as_posix()}` cannot be written: {why}") from error


def arrays_of(
    path: Path,
    graph: Graph,
    checkpoint: Checkpoint,
    part: str | None = None,
    *,
    remedy: str = TAKE_PART,
) -> dict[str, Array]:
    """Return the tensors of a file with our keys, in the order of the network.

    For a deployed form the file is that of the training form, whose weights are folded.

    Raises:
        MismatchError: The file has other tensors, or values that weights cannot have.
        WeightsError: They are folded already; or the file has several sets of them, and no part is
            given; the report says what the remedy does.
    """
    with extra("weights", "weights"):
        import numpy as np
    if graph.deployment is not None:
        from incgen.weights.folding import folded

        training = graph.deployment.training
        return folded(graph, arrays_of(path, training, checkpoint, part, remedy=remedy))
    own, tensors = [identity("torch")], checkpoint.unfolded(path)
    name = graph.program.network.name
    sets = finding.search(graph, tensors, own, part=part)
    request = Request(path, graph, {}, part, len(own), lambda _: graph, remedy)
    try:
        match = choose(request, sets, tensors).match
        if faults := unplaced(match):
            raise MismatchError(name, faults)
    except MismatchError as error:
        title = f"`{path.as_posix()}` does not hold the weights of `{name}`"
        raise MismatchError(title, error.faults, most=MOST) from None
    # Contiguous, because safetensors writes the bytes as they are in memory.
    arrays = {key: np.ascontiguousarray(match.recipes[key].values()) for key in graph.tensors()}
    damaged = [fault for key, values in arrays.items() if (fault := fault_of(key, values))]
    if damaged:
        raise MismatchError(f"`{path.as_posix()}` holds values that weights cannot have", damaged)
    return arrays


def _torch(graph: Graph, arrays: dict[str, Array]) -> Writer:
    with extra("torch", "PyTorch files"):
        import torch
    state = {}
    for node in graph.nodes:
        for tensor in node.tensors:
            key = f"{node.path}.{tensor.name}"
            state[key] = torch.from_numpy(arrays[key])
        if node.op == "bn":  # after the statistics, as in nn.BatchNorm2d
            state[f"{node.path}.num_batches_tracked"] = torch.tensor(0)

    def write(path: Path) -> None:
        with path.open("wb") as file:  # torch itself does not say why it cannot write
            torch.save(state, file)

    return write


def _flax(graph: Graph, arrays: dict[str, Array]) -> Writer:
    with extra("flax", "Flax files"):
        from flax.serialization import msgpack_serialize
    slots = CONVENTIONS["flax"].slots
    state: dict[str, Any] = {}
    for node in graph.nodes:
        for tensor in node.tensors:
            values = arrays[f"{node.path}.{tensor.name}"]
            *path, name = *node.path.split("."), *slots[node.op][tensor.name].names[0].split("/")
            layer = state
            for part in path:  # positions in a list are keys in words, as Flax writes them
                layer = layer.setdefault(part, {})
            # (O, I, kh, kw) becomes (kh, kw, I, O), and (O, I) becomes (I, O)
            layer[name] = values.transpose(2, 3, 1, 0) if values.ndim == 4 else values.T
    return lambda path: path.write_bytes(msgpack_serialize(state, in_place=True))


def _npz(_: Graph, arrays: dict[str, Array]) -> Writer:
    with extra("weights", "weights"):
        import numpy as np
    return lambda path: np.savez(path, **arrays)  # type: ignore[arg-type]


def _safetensors(graph: Graph, arrays: dict[str, Array]) -> Writer:
    with extra("weights", "weights"):
        import numpy as np
        from safetensors.numpy import save
    metadata = {"format": "pt", "network": graph.program.network.name}
    if graph.deployment is not None:  # its loader would fold them again
        metadata["deployed"] = graph.deployment.label
    if mark := graph.mark():
        arrays = {**arrays, mark: np.zeros(0, np.float32)}
    # `save_file` makes a file for its owner only.
    return lambda path: path.write_bytes(save(arrays, metadata))


def _keras(graph: Graph, arrays: dict[str, Array]) -> Writer:
    with extra("keras", "Keras files"):
        import safetensors  # noqa: F401 - the generated file needs it

        (target,) = find_targets(["keras"])
        name = graph.program.network.name
        module = import_source(name, graph.program.file, target.name, target.emit(graph))
    model = getattr(module, name)()

    def write(path: Path) -> None:
        weights = path.with_name("weights.safetensors")
        _safetensors(graph, arrays)(weights)
        module.load_safetensors(model, weights)
        weights.unlink()
        if path.name.endswith(".keras"):
            model.save(path)
        else:
            model.save_weights(path)

    return write


#: What makes the writer of each format.
_WRITERS: dict[str, Callable[[Graph, dict[str, Array]], Writer]] = {
    "torch": _torch,
    "keras": _keras,
    "flax": _flax,
    "npz": _npz,
    "safetensors": _safetensors,
}
