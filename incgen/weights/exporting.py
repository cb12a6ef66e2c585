"""Our file of weights to what a framework loads by itself."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from incgen.api import Parameters, SpecPath, compile_spec
from incgen.api import load as load_module
from incgen.diagnostics import listed
from incgen.graph import Graph
from incgen.output import OutputError, make_folder
from incgen.weights import matching
from incgen.weights.checkpoint import Checkpoint
from incgen.weights.errors import MOST, MismatchError, WeightsError
from incgen.weights.layouts import identity
from incgen.weights.readers import open_checkpoint
from incgen.weights.readers.libraries import extra

if TYPE_CHECKING:
    from incgen.weights.checkpoint import Array

#: Formats, and the ends of the files that they can be.
FORMATS = {"torch": (".pth", ".pt"), "keras": (".weights.h5", ".keras"), "npz": (".npz",)}


def export_weights(
    weights: SpecPath,
    spec: SpecPath,
    output: SpecPath,
    parameters: Parameters | None = None,
    *,
    format: str,
    force: bool = False,
    text: str | None = None,
) -> None:
    """Write weights that have the keys of a spec as a framework's own file.

    Args:
        weights: the file.
        spec: its network.
        output: the file to write.
        parameters: values for parameters of the network, in place of their defaults.
        format: `torch` (a state dict of the generated module, `.pth`), `keras` (weights of the
            generated model, `.weights.h5`, or the model itself, `.keras`) or `npz`.
        force: also write over a file that is there.
        text: the spec itself, if it does not come from the file.

    Raises:
        SpecError: the spec has faults.
        RequestError: there is no such parameter or value.
        MismatchError: weights and network differ.
        WeightsError: the weights cannot be read, or a library is missing.
        OutputError: the file cannot or must not be written.
    """
    parameters, weights = parameters or {}, Path(weights)
    spec, output = Path(spec), Path(output)
    if format not in FORMATS:
        raise WeightsError(f"there is no format `{format}`: there are {listed(list(FORMATS))}")
    if not output.name.endswith(FORMATS[format]):
        ends = listed(FORMATS[format], "or")
        raise OutputError(f"`{output.as_posix()}`: a file of the format {format} ends in {ends}")
    if output.exists() and not force:
        raise OutputError(f"`{output.as_posix()}` is there: write over it with --force")
    graph = compile_spec(spec, parameters, text=text)
    with open_checkpoint(weights) as checkpoint:
        arrays = arrays_of(weights, graph, checkpoint)
    make_folder(output.parent)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".incgen-") as folder:
        temporary = Path(folder, output.name)
        if format == "torch":
            _torch(graph, arrays, temporary)
        elif format == "npz":
            _npz(arrays, temporary)
        else:
            _keras(spec, parameters, text, arrays, temporary)
        try:
            os.replace(temporary, output)
        except OSError as error:
            raise OutputError(f"`{output.as_posix()}` cannot be written: {error}") from None


def arrays_of(path: Path, graph: Graph, checkpoint: Checkpoint) -> dict[str, Array]:
    """The tensors of a file with our keys, in the order of the network.

    Raises:
        MismatchError: the file has other tensors.
    """
    with extra("weights", "weights"):
        import numpy as np
    match = matching.match(graph, checkpoint.tensors, identity("torch"))
    if match.faults:
        name = graph.program.network.name
        title = f"`{path.as_posix()}` does not hold the weights of `{name}`"
        raise MismatchError(title, match.faults, most=MOST)
    # In the order of their axes: safetensors writes the bytes as they lie.
    return {key: np.ascontiguousarray(match.recipes[key].values()) for key in graph.tensors()}


def _torch(graph: Graph, arrays: dict[str, Array], path: Path) -> None:
    with extra("torch", "PyTorch files"):
        import torch
    state = {}
    for node in graph.nodes:
        for tensor in node.tensors:
            key = f"{node.path}.{tensor.name}"
            state[key] = torch.from_numpy(arrays[key])
        if node.op == "bn":  # behind the statistics, where nn.BatchNorm2d has it
            state[f"{node.path}.num_batches_tracked"] = torch.tensor(0)
    torch.save(state, path)


def _npz(arrays: dict[str, Array], path: Path) -> None:
    with extra("weights", "weights"):
        import numpy as np
    np.savez(path, allow_pickle=False, **arrays)


def _keras(
    spec: Path, parameters: Parameters, text: str | None, arrays: dict[str, Array], path: Path
) -> None:
    with extra("keras", "Keras files"):
        from safetensors.numpy import save_file

        module = load_module(spec, "keras", parameters, text=text)
    name = compile_spec(spec, parameters, text=text).program.network.name
    model = getattr(module, name)()
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        weights = Path(folder, "weights.safetensors")
        save_file(arrays, weights)
        module.load_safetensors(model, weights)
    if path.name.endswith(".keras"):
        model.save(path)
    else:
        model.save_weights(path)
