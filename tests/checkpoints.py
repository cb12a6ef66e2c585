"""Write given arrays as checkpoints in other tools' formats, for the tests of weights.

Nothing here uses incgen, but for the initial weights of its networks. Each file is written by its
format's own library, and Caffe's from a protobuf message whose fields are copied from caffe.proto.
Only checkpoints that TensorFlow would never write are assembled by hand.
"""

from __future__ import annotations

import csv
import os
import struct
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from numpy.typing import NDArray

from incgen.graph.nodes import Graph
from incgen.weights.first import drawn

Array: TypeAlias = NDArray[Any]
Arrays: TypeAlias = Mapping[str, Array]

LISTS = Path(__file__).parent / "published"


def random_arrays(shapes: Mapping[str, tuple[int, ...]], seed: int = 0) -> dict[str, Array]:
    """Return float32 numbers above 0, so that they can be variances."""
    random, half = np.random.default_rng(seed), np.float32(0.5)
    return {name: random.random(shape, "float32") + half for name, shape in shapes.items()}


def initial(graph: Graph, seed: int = 0) -> dict[str, Array]:
    """Return the weights that `incgen weights init` writes."""
    return {key: drawn(seed, key, tensor) for key, tensor in graph.tensors().items()}


def listed(name: str) -> dict[str, tuple[int, ...]]:
    """List the layers of a published checkpoint and the shapes of their kernels, in order."""
    with (LISTS / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return {
            row["name"]: tuple(map(int, row["shape"].split("x"))) for row in csv.DictReader(file)
        }


def listed_slim(name: str) -> dict[str, tuple[int, ...]]:
    """List the variables of a TF-slim checkpoint: a layer without a bias has a normalisation."""
    shapes: dict[str, tuple[int, ...]] = {}
    kernels = listed(name)
    for variable, shape in kernels.items():
        shapes[variable] = shape
        scope, _, kind = variable.rpartition("/")
        if kind == "weights" and f"{scope}/biases" not in kernels:
            for end in ("beta", "moving_mean", "moving_variance"):
                shapes[f"{scope}/BatchNorm/{end}"] = shape[-1:]
    return shapes


# ---------------------------------------------------------------- writers


def write_torch(path: Path, arrays: Arrays) -> None:
    import torch

    torch.save({name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}, path)


def write_old_torch(path: Path, arrays: Arrays) -> None:
    """Write a file as PyTorch did before 1.6: a pickle, not a zip."""
    import torch

    state = {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}
    torch.save(state, path, _use_new_zipfile_serialization=False)


def write_safetensors(path: Path, arrays: Arrays) -> None:
    from safetensors.numpy import save_file

    save_file({name: np.ascontiguousarray(value) for name, value in arrays.items()}, path)


def write_npz(path: Path, arrays: Arrays) -> None:
    np.savez(path, **arrays)  # type: ignore[arg-type]


def write_packed_npz(path: Path, arrays: Arrays) -> None:
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


def write_tensorflow(path: Path, arrays: Arrays) -> None:
    """Write a checkpoint of several files (V2); the path is their prefix."""
    import tensorflow as tf

    names, values = list(arrays), [tf.constant(value) for value in arrays.values()]
    shapes = [""] * len(names)
    prefix = str(path)
    tf.raw_ops.SaveV2(prefix=prefix, tensor_names=names, shape_and_slices=shapes, tensors=values)


def write_old_tensorflow(path: Path, arrays: Arrays) -> None:
    """Write a checkpoint of one file (V1), as in 2016."""
    import tensorflow as tf

    values = [tf.constant(value) for value in arrays.values()]
    tf.raw_ops.Save(filename=str(path), tensor_names=list(arrays), data=values)


def write_tensorflow_entry(path: Path, entry: bytes, data: bytes) -> None:
    """Write a checkpoint of one variable `v`, whose index entry can be anything.

    Args:
        path: The path of the checkpoint.
        entry: A serialised `BundleEntryProto`.
        data: The data of its only shard.
    """
    header = b"\x08\x01\x1a\x02\x08\x01"  # one shard, version 1
    Path(f"{path}.data-00000-of-00001").write_bytes(data)
    Path(f"{path}.index").write_bytes(_table([(b"", header), (b"v", entry)]))


def _table(entries: list[tuple[bytes, bytes]]) -> bytes:
    """Return a LevelDB table file: a block, an empty one, the index, the footer."""

    def block(pairs: list[tuple[bytes, bytes]]) -> bytes:
        parts = [b"\0" + _varint(len(k)) + _varint(len(v)) + k + v for k, v in pairs]
        starts = [sum(map(len, parts[:n])) for n in range(len(parts))] or [0]
        return b"".join(parts) + struct.pack(f"<{len(starts) + 1}I", *starts, len(starts))

    file, handles = b"", []
    for content in (block(entries), block([])):
        handles.append(_varint(len(file)) + _varint(len(content)))
        file += content + b"\0" + struct.pack("<I", masked_crc32c(content + b"\0"))
    index = block([(entries[-1][0] + b"\xff", handles[0])])
    footer = handles[1] + _varint(len(file)) + _varint(len(index))
    file += index + b"\0" + struct.pack("<I", masked_crc32c(index + b"\0"))
    return file + footer.ljust(40, b"\0") + bytes.fromhex("57fb808b247547db")


def _varint(number: int) -> bytes:
    encoded = b""
    while number >= 128:
        encoded += bytes([number & 127 | 128])
        number >>= 7
    return encoded + bytes([number])


def masked_crc32c(data: bytes) -> int:
    """Return the checksum of LevelDB files: CRC-32C, rotated and offset (its `crc32c::Mask`)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def write_legacy_keras(path: Path, arrays: Arrays) -> None:
    """Return Keras 2 weights: `layer/variable` becomes `layer/layer/variable:0`."""
    import h5py

    with h5py.File(path, "w") as file:
        _legacy_layers(file, arrays, "{layer}/{variable}:0")


def write_old_keras(path: Path, arrays: Arrays) -> None:
    """Return Keras 1 weights, which named variables differently."""
    import h5py

    old = {
        "kernel": "W",
        "bias": "b",
        "moving_mean": "running_mean",
        "moving_variance": "running_std",
    }
    renamed = {}
    for name, value in arrays.items():
        layer, _, variable = name.partition("/")
        renamed[f"{layer}/{layer}_{old.get(variable, variable)}"] = value
    with h5py.File(path, "w") as file:
        _legacy_layers(file, renamed, "{variable}:0")


def _legacy_layers(group: Any, arrays: Arrays, form: str) -> None:
    layers: dict[str, list[tuple[str, Array]]] = {}
    for name, value in arrays.items():
        layer, _, variable = name.partition("/")
        layers.setdefault(layer, []).append((variable, value))
    group.attrs["layer_names"] = [layer.encode() for layer in layers]
    for layer, variables in layers.items():
        part = group.create_group(layer)
        names = [form.format(layer=layer, variable=variable) for variable, _ in variables]
        part.attrs["weight_names"] = [name.encode() for name in names]
        for name, (_, value) in zip(names, variables, strict=True):
            part[name] = value


def write_flax(path: Path, arrays: Arrays) -> None:
    """Write the arrays of `layer/variable` as a dictionary of dictionaries."""
    from flax.serialization import to_bytes
    from flax.traverse_util import unflatten_dict

    path.write_bytes(to_bytes(unflatten_dict(dict(arrays), "/")))


# ---------------------------------------------------------------- Caffe

#: From caffe.proto: message, field, number, type, repeated, packed.
_FIELDS = [
    ("BlobShape", "dim", 1, "INT64", True, True),
    ("BlobProto", "num", 1, "INT32", False, False),
    ("BlobProto", "channels", 2, "INT32", False, False),
    ("BlobProto", "height", 3, "INT32", False, False),
    ("BlobProto", "width", 4, "INT32", False, False),
    ("BlobProto", "data", 5, "FLOAT", True, True),
    ("BlobProto", "diff", 6, "FLOAT", True, True),
    ("BlobProto", "shape", 7, "BlobShape", False, False),
    ("BlobProto", "double_data", 8, "DOUBLE", True, True),
    ("LayerParameter", "name", 1, "STRING", False, False),
    ("LayerParameter", "type", 2, "STRING", False, False),
    ("LayerParameter", "bottom", 3, "STRING", True, False),
    ("LayerParameter", "blobs", 7, "BlobProto", True, False),
    ("V1LayerParameter", "bottom", 2, "STRING", True, False),
    ("V1LayerParameter", "name", 4, "STRING", False, False),
    ("V1LayerParameter", "type", 5, "INT32", False, False),  # an enum, the same on the wire
    ("V1LayerParameter", "blobs", 6, "BlobProto", True, False),
    ("NetParameter", "name", 1, "STRING", False, False),
    ("NetParameter", "layers", 2, "V1LayerParameter", True, False),
    ("NetParameter", "layer", 100, "LayerParameter", True, False),
]


def caffe_message(name: str) -> Any:
    """Return a class of caffe.proto, made by protobuf from a description."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    pool = descriptor_pool.DescriptorPool()
    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
    field_type = descriptor_pb2.FieldDescriptorProto
    messages: dict[str, Any] = {}
    for message, field, number, kind, repeated, packed in _FIELDS:
        if message not in messages:
            messages[message] = file.message_type.add(name=message)
        made = messages[message].field.add(name=field, number=number)
        made.label = field_type.LABEL_REPEATED if repeated else field_type.LABEL_OPTIONAL
        if kind.isupper():
            made.type = getattr(field_type, f"TYPE_{kind}")
        else:
            made.type, made.type_name = field_type.TYPE_MESSAGE, f".caffe.{kind}"
        if packed:
            made.options.packed = True
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"caffe.{name}"))


#: A layer of Caffe: its name, its type, its blobs.
CaffeLayer: TypeAlias = tuple[str, str, list[Array]]


def write_caffe(path: Path, layers: Iterable[CaffeLayer], *, old: bool = False) -> None:
    """Write a `.caffemodel`; an old one has numeric layer types and shapes with four axes."""
    net = caffe_message("NetParameter")(name="net")
    types = {"Convolution": 4, "InnerProduct": 14}
    for name, kind, blobs in layers:
        layer = net.layers.add(type=types[kind]) if old else net.layer.add(type=kind)
        layer.name = name
        layer.bottom.append("data")
        for value in blobs:
            blob = layer.blobs.add()
            if old:
                axes = (1,) * (4 - value.ndim) + value.shape
                blob.num, blob.channels, blob.height, blob.width = axes
            else:
                blob.shape.dim.extend(value.shape)
            data = blob.double_data if value.dtype == np.float64 else blob.data
            data.extend(value.ravel().tolist())
    path.write_bytes(net.SerializeToString())


#: Formats that take any names: their suffix, and the function that writes them.
WRITERS: dict[str, tuple[str, Callable[[Path, Arrays], None]]] = {
    "torch": (".pth", write_torch),
    "old torch": (".pth", write_old_torch),
    "safetensors": (".safetensors", write_safetensors),
    "npz": (".npz", write_npz),
    "packed npz": (".npz", write_packed_npz),
    "tensorflow": (".ckpt", write_tensorflow),
    "old tensorflow": (".ckpt", write_old_tensorflow),
    "legacy keras": (".h5", write_legacy_keras),
    "old keras": (".h5", write_old_keras),
    "flax": (".msgpack", write_flax),
}
