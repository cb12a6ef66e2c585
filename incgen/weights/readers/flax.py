"""Flax's `.msgpack`: nested dictionaries of arrays, as `layer/variable`.

Whatever else a file holds, such as the number of a step, is not an array and is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from incgen.weights.checkpoint import Array, Checkpoint, Stored, by_name, check_names, first_line
from incgen.weights.errors import WeightsError
from incgen.weights.readers.libraries import extra


def read(path: Path) -> Checkpoint:
    """Open a file."""
    tensors = by_name((_stored(*entry) for entry in _arrays(_loaded(path))), "array")
    if not tensors:
        raise WeightsError("it holds no arrays by name")
    return Checkpoint("Flax", tensors)


def _loaded(path: Path) -> Any:
    with extra("flax", "Flax files"):
        from flax.serialization import msgpack_restore
    try:
        return msgpack_restore(path.read_bytes())
    except (MemoryError, OSError):
        raise
    except Exception as error:  # msgpack, numpy and Flax have their own for a damaged file
        raise WeightsError(f"not a file written by Flax: {first_line(error)}") from error


def _arrays(content: Any) -> Iterator[tuple[str, Array]]:
    """Yield all arrays by the keys that lead to them.

    Not by recursion: a file may be nested as deeply as msgpack allows, deeper than Python does.
    """
    import numpy as np

    waiting = [("", content)]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, dict):
            inner = [(f"{name}/{key}" if name else str(key), value[key]) for key in reversed(value)]
            check_names([key for key, _ in inner])  # here, or a long key might be copied too often
            waiting += inner
        elif isinstance(value, np.ndarray) and name:
            yield name, value


def _stored(name: str, value: Array) -> Stored:
    dtype = value.dtype.name
    if value.dtype.kind not in "fiu" and dtype != "bfloat16":
        raise WeightsError(f"`{name}` holds {dtype}, not numbers")
    return Stored(name, value.shape, dtype, partial(_values, value))


def _values(value: Array) -> Array:
    return value.astype("float32") if value.dtype.name == "bfloat16" else value
