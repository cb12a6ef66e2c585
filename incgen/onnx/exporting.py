"""Export a network with its weights to an ONNX file."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from incgen.base.files import OutputError
from incgen.compiling import Parameters, SpecPath, compile_spec, plain_parameters
from incgen.graph.nodes import Graph
from incgen.inference import Deploy, formed
from incgen.onnx import SUFFIX
from incgen.onnx.options import Options
from incgen.weights import manifest
from incgen.weights.checkpoint import Checkpoint
from incgen.weights.choosing import MAKE_ONE
from incgen.weights.exporting import arrays_of
from incgen.weights.readers import files_of, open_checkpoint
from incgen.weights.readers.libraries import extra

if TYPE_CHECKING:
    from incgen.onnx.files import OnnxFile


def export_onnx(
    spec: SpecPath | Graph,
    weights: SpecPath,
    output: SpecPath,
    parameters: Parameters | None = None,
    *,
    deploy: Deploy = False,
    part: str | None = None,
    force: bool = False,
    check: bool = False,
    text: str | None = None,
    **options: Any,
) -> OnnxFile:
    """Write a network with its weights as an ONNX file.

    Args:
        spec: The spec's file, or its graph.
        weights: A weights file with the spec's keys.
        output: The file to write, `*.onnx`.
        parameters: Values for parameters and constants, which override the spec's.
        deploy: Whether to write the form for inference, or the passes that make it.
        part: Which tensors to use if the file holds several sets that fit, as for `import_weights`.
        force: Overwrite a file even if incgen did not write it or it was edited since.
        check: Write nothing.
        text: The spec itself, if it does not come from the file.
        options: Those of `Options`: `opset`, `batch`, `any_size`, `heads`, `preprocess`.

    Returns:
        The file; `changed` says whether it differed from what was there.

    Raises:
        SpecError: The spec has faults, or ONNX cannot express it.
        RequestError: A parameter, a value, a pass or an option does not exist.
        MismatchError: Weights and network differ, or weights cannot have such values.
        WeightsError: The weights cannot be read, or a library is missing.
        OutputError: The file cannot or must not be written.
    """
    chosen = Options(**options)
    if not isinstance(spec, Graph):
        spec = compile_spec(spec, plain_parameters(parameters), text=text)
    with exported(
        formed(spec, deploy),
        Path(weights),
        Path(output),
        chosen,
        part=part,
        force=force,
        check=check,
    ) as file:
        return file


@contextmanager
def exported(
    graph: Graph,
    weights: Path,
    output: Path,
    options: Options,
    *,
    part: str | None = None,
    force: bool = False,
    check: bool = False,
) -> Iterator[OnnxFile]:
    """Write a file beside its place, which it takes when the context ends without an error.

    The arguments and errors are those of `export_onnx`.
    """
    if output.suffix != SUFFIX:
        raise OutputError(f"`{output.as_posix()}`: an ONNX file ends in {SUFFIX}")
    with extra("onnx", "ONNX files"):
        import onnx  # noqa: F401

        from incgen.onnx import files, model
    made = model.model_of(graph, options)
    with open_checkpoint(weights) as checkpoint:
        metadata = _metadata(graph, weights, checkpoint, options)
        arrays = arrays_of(weights, graph, checkpoint, part, remedy=MAKE_ONE)
    with ExitStack() as stack:
        file = files.compared(output, made, arrays, metadata)
        if not check:
            files.written(file, made, arrays, metadata, stack, force=force)
        yield file


def _metadata(
    graph: Graph, weights: Path, checkpoint: Checkpoint, options: Options
) -> Mapping[str, str]:
    """Return what a file says about itself: the spec, the weights, and how pixels are treated."""
    program, made = graph.program, graph.deployment
    metadata = {
        "network": program.network.name,
        "parameters": _json(graph.arguments | dict(program.settings)),
        "spec": program.file,
        "spec_text": program.network.span.source.text,
        "spec_sha256": graph.digest(),
        "weights": weights.name,
        "weights_sha256": manifest.sha256(files_of(weights), threading.Event()),
    }
    if made is not None:
        metadata["deployed"] = " ".join(done.name for done in made.passes)
    if (held := manifest.of_file(checkpoint)) is not None:
        metadata["weights_manifest"] = _json(held)
    pixels = program.network.pixels
    if pixels is not None and pixels.described:
        treatment = {
            "order": pixels.order,
            "range": pixels.range,
            "mean": pixels.mean,
            "std": pixels.std,
        }
        stated: dict[str, Any] = {name: value for name, value in treatment.items() if value}
        metadata["pixels"] = _json({**stated, "in_the_graph": options.preprocess})
    return metadata


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
