"""Draw the initial weights of a network as its spec says, and write their file.

The file is safetensors in PyTorch's layout, with the keys that every target uses; its bytes are
the same everywhere.

Needs numpy, which is an extra: `pip install 'incgen[weights]'`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from incgen.base.diagnostics import Code, Diagnostic, SpecError
from incgen.graph.nodes import Graph
from incgen.graph.shapes import Tensor
from incgen.weights import safetensors

try:
    import numpy as np

    from incgen.weights.sampling import sample
except ModuleNotFoundError as _error:
    if _error.name != "numpy":
        raise
    _message = "weights need numpy: pip install 'incgen[weights]'"
    raise ModuleNotFoundError(_message, name="numpy") from None

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The most numbers in one file: 8 GiB.
MAX_NUMBERS = 2**31


def write(graph: Graph, path: str | os.PathLike[str], seed: int = 0, *, force: bool = False) -> int:
    """Write the initial weights of a network as a safetensors file; return its size in bytes.

    Args:
        graph: The network.
        path: The file; an existing one must also hold initial weights.
        seed: A number from 0 to 2**64 - 1.
        force: Overwrite a file with other weights.

    Raises:
        SpecError: The network has too many parameters.
        OutputError: The file cannot or must not be written.
        ValueError: The seed is out of range.
    """
    place = Path(path)
    if not force:
        safetensors.check_replaceable(place, [safetensors.BY_INIT], safetensors.BY_INIT)
    _check_size(graph)
    metadata = {
        "format": "pt",
        "generator": safetensors.BY_INIT,
        "network": graph.program.network.name,
        "seed": str(seed),
    }
    shapes = {key: tensor.shape for key, tensor in graph.tensors().items()}
    return safetensors.write(
        place, safetensors.header(shapes, "F32", metadata), _bytes(graph, seed)
    )


def _bytes(graph: Graph, seed: int) -> Iterator[bytes]:
    for key, tensor in graph.tensors().items():  # one at a time: networks may be large
        yield np.ascontiguousarray(drawn(seed, key, tensor), dtype="<f4").tobytes()


def drawn(seed: int, key: str, tensor: Tensor) -> NDArray[np.float32]:
    """Return the initial value of the tensor of a key, in float32.

    Each has its own random stream, so that a layer keeps its weights when others come or go.
    """
    initializer = tensor.initializer
    scale = initializer.scale(tensor.fan_in, tensor.fan_out)
    return sample(seed, key, tensor.shape, kind=initializer.kind, scale=scale)


def _check_size(graph: Graph) -> None:
    numbers = sum(tensor.size for tensor in graph.tensors().values())
    if numbers > MAX_NUMBERS:
        message = (
            f"the network has {numbers} numbers, but a weights file can hold at most {MAX_NUMBERS}"
        )
        raise SpecError([Diagnostic(Code.TOO_LARGE, message, graph.program.network.span)])
