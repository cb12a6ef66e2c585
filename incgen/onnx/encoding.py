"""The bytes of a file: a model, with its weights streamed into it.

A library would hold the weights three times: as arrays, as messages, and as bytes. Here the bytes
around them are written by protobuf, and each tensor follows when it is needed. The parts come in
an order of their own, which the format leaves open: what describes the file is first, then the
graph, and its weights last.

Source: protobuf.dev/programming-guides/encoding, and the field numbers of onnx/onnx.proto.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

import numpy as np
from onnx import ModelProto, TensorProto

from incgen.base.files import OutputError
from incgen.onnx.layers import TYPES
from incgen.onnx.model import Model
from incgen.weights.checkpoint import Array

#: The numbers of the fields that hold the parts of a file.
_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9
#: Protobuf refuses longer messages, so ONNX has no larger files.
MAX_BYTES = 2**31 - 1
#: The entry of a file's digest, and what stands for it while the digest is computed.
DIGEST, NO_DIGEST = "sha256", "0" * 64


def chunks(
    model: Model, arrays: Mapping[str, Array], metadata: Mapping[str, str]
) -> Iterator[bytes | memoryview]:
    """Yield the bytes of a file, in the order in which they are written.

    Weights may have any floating-point type; the metadata is what the file says about itself.

    Raises:
        OutputError: The file would be larger than ONNX allows.
    """
    dtype = np.dtype(_dtype_of(model)).newbyteorder("<")
    skeleton = model.proto.graph.SerializeToString(deterministic=True)
    heads = [_initializer(weight.key, weight.shape, dtype) for weight in model.weights]
    size = len(skeleton) + sum(len(head) + count for head, count in heads)
    start = _described(model, metadata) + _tag(_GRAPH) + _varint(size)
    if len(start) + size > MAX_BYTES:
        raise OutputError(
            f"the file would have {len(start) + size:,} bytes, and ONNX files at most "
            f"{MAX_BYTES:,}: use another target for this network"
        )
    yield start
    yield skeleton
    for weight, (head, _) in zip(model.weights, heads, strict=True):
        yield head
        yield np.ascontiguousarray(arrays[weight.key], dtype).data.cast("B")


def sealed(parts: Iterator[bytes | memoryview]) -> str:
    """Return the digest of a file's bytes, in which there is none yet."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def entry(digest: str) -> bytes:
    """Return the bytes by which a file states its digest."""
    proto = ModelProto()
    proto.metadata_props.add(key=DIGEST, value=digest)
    return bytes(proto.SerializeToString())


def _described(model: Model, metadata: Mapping[str, str]) -> bytes:
    """Return everything except the graph; the digest is the first entry of the metadata."""
    proto = ModelProto()
    proto.CopyFrom(model.proto)
    proto.ClearField("graph")
    for key, value in metadata.items():
        proto.metadata_props.add(key=key, value=value)
    return entry(NO_DIGEST) + bytes(proto.SerializeToString(deterministic=True))


def _initializer(
    key: str, shape: tuple[int, ...], dtype: np.dtype[np.generic]
) -> tuple[bytes, int]:
    """Return the bytes in front of a tensor's numbers in a graph, and how many bytes follow."""
    count = int(np.prod(shape)) * dtype.itemsize
    proto = TensorProto(name=key, dims=shape, data_type=TYPES[dtype.name])
    head = proto.SerializeToString(deterministic=True) + _tag(_RAW_DATA) + _varint(count)
    return _tag(_INITIALIZER) + _varint(len(head) + count) + head, count


def _dtype_of(model: Model) -> str:
    (output, *_) = model.proto.graph.output
    element = output.type.tensor_type.elem_type
    return next(name for name, code in TYPES.items() if code == element)


def _tag(number: int) -> bytes:
    """Return the tag of a field whose length follows."""
    return _varint(number << 3 | 2)


def _varint(value: int) -> bytes:
    """Return a whole number in groups of 7 bits, the lowest first.

    >>> _varint(300).hex()
    'ac02'
    """
    groups = bytearray()
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    groups.append(value)
    return bytes(groups)
