"""The first weights of a network, as its spec says, and their file.

The file is safetensors in PyTorch's layout, with the keys that every target uses. It is written
here and not by the safetensors package, whose header is laid out differently from version to
version and lists its metadata in a random order: these bytes are the same everywhere.

Needs numpy, which is an extra: `pip install 'incgen[weights]'`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from incgen.diagnostics import Code, Diagnostic, SpecError
from incgen.graph import Graph
from incgen.output import OutputError, Replacement, make_folder
from incgen.shapes import Tensor

try:
    import numpy as np

    from incgen.sampling import sample
except ModuleNotFoundError as _error:
    if _error.name != "numpy":
        raise
    _message = "weights need numpy: pip install 'incgen[weights]'"
    raise ModuleNotFoundError(_message, name="numpy") from None

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Numbers in one file: 8 GiB.
MAX_NUMBERS = 2**31

_GENERATOR = "incgen weights init"
#: The longest header that the format allows.
_MAX_HEADER = 100_000_000


def init(graph: Graph, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """The first value of every parameter and running statistic of a network.

    Args:
        graph: the network.
        seed: from 0 to 2**64 - 1; each tensor has a stream of its own, so that a layer keeps its
            weights when others come or go.

    Returns:
        Arrays in float32 by their keys, in the order of the network.

    Raises:
        SpecError: the network has too many parameters.
        ValueError: the seed is out of range.
    """
    return dict(_tensors(graph, seed))


def write(graph: Graph, path: str | os.PathLike[str], seed: int = 0, *, force: bool = False) -> int:
    """Write the first weights of a network as a safetensors file.

    Args:
        graph: the network.
        path: the file; one that is there must be a file of first weights too.
        seed: from 0 to 2**64 - 1.
        force: also write over a file with other weights.

    Returns:
        The size of the file in bytes.

    Raises:
        SpecError: the network has too many parameters.
        OutputError: the file cannot or must not be written.
        ValueError: the seed is out of range.
    """
    place = Path(path)
    if not force:
        _check_ours(place)
    _check_size(graph)
    header = _header(graph, seed)
    size = len(header)
    make_folder(place.parent)
    with Replacement(place) as file:
        file.write(header)
        for _, values in _tensors(graph, seed):  # one at a time: networks may be large
            data = np.ascontiguousarray(values, dtype="<f4").tobytes()
            file.write(data)
            size += len(data)
    return size


def _tensors(graph: Graph, seed: int) -> Iterator[tuple[str, NDArray[np.float32]]]:
    _check_size(graph)
    for key, tensor in graph.tensors().items():
        yield key, _drawn(seed, key, tensor)


def _drawn(seed: int, key: str, tensor: Tensor) -> NDArray[np.float32]:
    initializer = tensor.initializer
    scale = initializer.scale(tensor.fan_in, tensor.fan_out)
    return sample(seed, key, tensor.shape, kind=initializer.kind, scale=scale)


def _check_size(graph: Graph) -> None:
    numbers = sum(tensor.size for tensor in graph.tensors().values())
    if numbers > MAX_NUMBERS:
        message = f"the network has {numbers} numbers, and a weights file at most {MAX_NUMBERS}"
        raise SpecError([Diagnostic(Code.TOO_LARGE, message, graph.program.network.span)])


# ---------------------------------------------------------------- the file


def _header(graph: Graph, seed: int) -> bytes:
    """The header of the file: where each tensor lies, and how this file came about.

    Source: the format's description in the README of huggingface/safetensors. The length comes
    first, in 8 bytes; spaces at the end align what follows to 8 bytes.
    """
    metadata = {
        "format": "pt",
        "generator": _GENERATOR,
        "network": graph.program.network.name,
        "seed": str(seed),
    }
    entries: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    for key, tensor in graph.tensors().items():
        start, end = end, end + 4 * tensor.size
        entries[key] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(entries, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _check_ours(path: Path) -> None:
    """Refuse to write over weights that may have been trained."""
    name = path.as_posix()
    if path.is_symlink():
        raise OutputError(f"`{name}` is a symbolic link: give the file that it leads to")
    if path.exists() and not path.is_file():
        raise OutputError(f"`{name}` is no regular file: choose another")
    if path.exists() and _generator(path) != _GENERATOR:
        raise OutputError(
            f"`{name}` was not written by `incgen weights init`: choose another output with -o, "
            "or write over it with --force"
        )


def _generator(path: Path) -> str | None:
    """What the header of a file says it was written by."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header: Any = json.loads(file.read(length)) if length <= _MAX_HEADER else None
        return str(header["__metadata__"]["generator"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
