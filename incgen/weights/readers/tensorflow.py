"""TensorFlow checkpoints: variables by their scopes, of one file (V1) or of several (V2).

TensorFlow checks little of what it reads, and aborts its process where that breaks a rule of its
own: a dimension below 0, a type that it does not know. So `apart.py` runs `read`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from incgen.weights.checkpoint import Checkpoint, Stored, first_line
from incgen.weights.errors import WeightsError
from incgen.weights.readers.libraries import extra

if TYPE_CHECKING:
    from incgen.weights.checkpoint import Array

_PART = re.compile(r"\.(index|data-\d{5}-of-\d{5})$")
#: The last bytes of a table file, which V1 checkpoints and the indices of V2 ones are.
MAGIC = bytes.fromhex("57fb808b247547db")


def prefix_of(path: Path) -> Path:
    """What TensorFlow calls the checkpoint that a file is a part of."""
    return path.with_name(_PART.sub("", path.name))


def files_of(path: Path) -> list[Path]:
    """The files of a checkpoint, in order; empty if there is none of that name."""
    prefix = prefix_of(path)
    index = prefix.with_name(f"{prefix.name}.index")
    if index.is_file():
        return [index, *sorted(prefix.parent.glob(f"{_escaped(prefix.name)}.data-*-of-*"))]
    return [prefix] if prefix.is_file() else []


def _escaped(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


def library() -> Any:
    """The library that reads checkpoints.

    Raises:
        WeightsError: it is not installed.
    """
    with extra("keras", "TensorFlow checkpoints"):
        import tensorflow.train
    return tensorflow.train


def read(path: Path) -> Checkpoint:
    """Open a checkpoint by its prefix or by any of its files.

    Raises:
        WeightsError: it is none.
    """
    train = library()
    try:
        reader = train.load_checkpoint(str(prefix_of(path)))
        shapes, types = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    except Exception as error:  # TensorFlow's own kinds
        raise WeightsError(f"TensorFlow cannot read it: {first_line(error)}") from error
    numeric = [name for name in sorted(shapes) if types[name].is_floating or types[name].is_integer]
    stored = (_stored(reader, name, shapes[name], types[name].name) for name in numeric)
    return Checkpoint("TensorFlow", {tensor.name: tensor for tensor in stored})


def _stored(reader: Any, name: str, shape: list[int], dtype: str) -> Stored:
    def load() -> Array:
        values: Array = reader.get_tensor(name)
        return values.astype("f4") if dtype == "bfloat16" else values

    return Stored(name, tuple(shape), dtype, load)
