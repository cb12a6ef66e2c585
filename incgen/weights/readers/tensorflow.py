"""TensorFlow checkpoints: variables by scope, in one file (V1) or several (V2).

Since TensorFlow 2 a checkpoint may hold objects, as in every SavedModel: its keys are paths to the
objects, and the names of variables are in a graph beside them. Those of Keras are `layer/variable`.

TensorFlow validates little of what it reads, and aborts its process if an invariant fails: a
negative dimension, an unknown type. So `apart.py` runs `read`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from incgen.weights.checkpoint import Array, Checkpoint, Stored, first_line
from incgen.weights.errors import WeightsError
from incgen.weights.readers.libraries import extra

_PART = re.compile(r"\.(index|data-\d{5}-of-\d{5})$")
#: In an object checkpoint: the key of the graph, and the suffix of every other key.
_OBJECTS, _VALUE = "_CHECKPOINTABLE_OBJECT_GRAPH", "/.ATTRIBUTES/VARIABLE_VALUE"
#: The attributes that identify the scope of a Keras optimizer, and the keys of older ones.
_OPTIMIZERS, _SLOT = ("_iterations", "_learning_rate"), "/.OPTIMIZER_SLOT/"
#: The checkpoint in a SavedModel.
_SAVED_MODEL = Path("variables", "variables")
#: The last bytes of a table file: V1 checkpoints and the indices of V2 ones.
MAGIC = bytes.fromhex("57fb808b247547db")


def prefix_of(path: Path) -> Path:
    """Return TensorFlow's name for the checkpoint of a file or a SavedModel."""
    if path.is_dir():
        return path / _SAVED_MODEL
    return path.with_name(_PART.sub("", path.name))


def files_of(path: Path) -> list[Path]:
    """Return the files of a checkpoint, in order; none if there is no such checkpoint."""
    prefix = prefix_of(path)
    index = prefix.with_name(f"{prefix.name}.index")
    if index.is_file():
        return [index, *sorted(prefix.parent.glob(f"{_escaped(prefix.name)}.data-*-of-*"))]
    return [prefix] if prefix.is_file() else []


def _escaped(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


def library() -> Any:
    """Return the library that reads checkpoints."""
    with extra("keras", "TensorFlow checkpoints"):
        import tensorflow.train
    return tensorflow.train


def read(path: Path) -> Checkpoint:
    """Open a checkpoint by its prefix or by any of its files."""
    train = library()
    try:
        reader = train.load_checkpoint(str(prefix_of(path)))
        shapes, types = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    except Exception as error:  # TensorFlow has its own kinds of errors
        raise WeightsError(f"TensorFlow cannot read it: {first_line(error)}") from error
    numeric = [name for name in sorted(shapes) if types[name].is_floating or types[name].is_integer]
    names = (
        _of_objects(reader, numeric, shapes)
        if _OBJECTS in shapes
        else {key: key for key in numeric}
    )
    tensors = (
        _stored(reader, name, key, shapes[key], types[key].name) for name, key in names.items()
    )
    return Checkpoint("TensorFlow", {tensor.name: tensor for tensor in tensors})


def _of_objects(reader: Any, keys: list[str], shapes: Mapping[str, list[int]]) -> dict[str, str]:
    """Return the keys of models' variables by name, without an optimizer's.

    A variable held by several objects counts once; different ones with the same name keep their
    keys.
    """
    import numpy as np
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

    graph = TrackableObjectGraph()
    try:
        graph.ParseFromString(reader.get_tensor(_OBJECTS))
    except (DecodeError, TypeError) as error:
        raise WeightsError(f"the graph of its objects is damaged: {first_line(error)}") from error
    called = {
        attribute.checkpoint_key: attribute.full_name
        for node in graph.nodes
        for attribute in node.attributes
        if attribute.full_name
    }
    named = {key: called.get(key, key.removesuffix(_VALUE)) for key in keys}
    ends = tuple(f"{name}{_VALUE}" for name in _OPTIMIZERS)
    scopes = tuple(f"{n.rpartition('/')[0]}/" for k, n in named.items() if k.endswith(ends))
    variables: dict[str, str] = {}
    doubled: list[str] = []
    for key, name in named.items():
        if name.startswith(scopes) or _SLOT in key or not shapes[key]:  # counters
            continue
        other = variables.setdefault(name, key)
        if other != key and not np.array_equal(reader.get_tensor(other), reader.get_tensor(key)):
            doubled += [other, key]
    plain = {name: key for name, key in variables.items() if key not in doubled}
    return plain | {key.removesuffix(_VALUE): key for key in doubled}


def _stored(reader: Any, name: str, key: str, shape: list[int], dtype: str) -> Stored:
    def load() -> Array:
        values: Array = reader.get_tensor(key)
        return values.astype("f4") if dtype == "bfloat16" else values

    return Stored(name, tuple(shape), dtype, load)
