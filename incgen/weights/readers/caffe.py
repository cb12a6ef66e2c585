"""Caffe's `.caffemodel`: the blobs of each layer, as `layer/name`.

The file is one protobuf message. Only the fields that lead to blobs matter, so a few lines can read
them; every length is checked against its enclosing message.

Source: BVLC/caffe, src/caffe/proto/caffe.proto. What the blobs of a layer are: base_conv_layer.cpp,
inner_product_layer.cpp, batch_norm_layer.cpp, scale_layer.cpp; `BN` is the layer of the fork with
which BN-Inception was published (yjxiong/caffe, bn_layer.cpp). A `BatchNorm` of five blobs is one
that scales too, in batch_norm_layer.cpp of NVIDIA/caffe and intel/caffe.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TypeAlias

from incgen.weights.checkpoint import Array, Checkpoint, Stored, by_name
from incgen.weights.errors import WeightsError
from incgen.weights.readers.libraries import extra

# Field numbers: those of NetParameter that hold layers, by version, and in each kind of layer its
# name, type and blobs; then those of BlobProto and BlobShape.
_LAYERS = {100: (1, 2, 7), 2: (4, 5, 6)}
_OLD_SHAPE, _DATA, _SHAPE, _DOUBLES = (1, 2, 3, 4), 5, 7, 8
_DIM = 1

#: Of V1LayerParameter.LayerType.
_TYPES_V1 = {4: "Convolution", 14: "InnerProduct"}
_BLOB_NAMES = {
    "Convolution": ("weight", "bias"),
    "InnerProduct": ("weight", "bias"),
    "BatchNorm": ("mean", "variance", "factor"),
    "Scale": ("scale", "shift"),
    "BN": ("scale", "shift", "mean", "variance"),
}
#: Those of a `BatchNorm` that scales too: as Intel has them and NVIDIA since 0.16, and as both had
#: them before. Which it is shows in the blob that is one number.
_FUSED = ("mean", "variance", "factor", "scale", "shift")
_OLD_FUSED = ("scale", "shift", "mean", "variance", "factor")
#: Wire types of protobuf; for fixed-length numbers, their bytes.
_VARINT, _BYTES, _FIXED = 0, 2, {1: 8, 5: 4}

#: The range of a message or a run of numbers in the file: from, to.
Range: TypeAlias = tuple[int, int]


def read(path: Path) -> Checkpoint:
    """Open a file."""
    with ExitStack() as stack:
        file = stack.enter_context(path.open("rb"))
        try:
            data = stack.enter_context(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except ValueError:
            raise WeightsError("the file is empty") from None
        every = (stored for layer in _layers(data) for stored in _of_layer(data, *layer))
        tensors = by_name(every, "blob")
        if not tensors:
            raise WeightsError("not a Caffe model with weights")
        return Checkpoint("Caffe", tensors, resources=stack.pop_all())
    raise AssertionError


def _of_layer(data: mmap.mmap, layer: str, kind: str, places: list[Range]) -> Iterator[Stored]:
    """Yield the tensors of a layer; without a factor of 0, if it also scales.

    The factor is 0 in NVIDIA's averages, which are not multiplied by it.
    """
    blobs = [_blob(data, place) for place in places]
    names = _BLOB_NAMES.get(kind, ())
    fused = kind == "BatchNorm" and len(blobs) == len(_FUSED)
    if fused:
        old = math.prod(blobs[-1][0]) == 1 < math.prod(blobs[0][0])
        names = _OLD_FUSED if old else _FUSED
    for number, (shape, runs, dtype) in enumerate(blobs):
        name = names[number] if number < len(names) else str(number)
        load = partial(_values, data, shape, runs, dtype)
        if not (fused and name == "factor" and not load().any()):
            yield Stored(f"{layer}/{name}", shape, dtype, load)


def _layers(data: mmap.mmap) -> Iterator[tuple[str, str, list[Range]]]:
    """Yield the name and the type of each layer, and its blobs."""
    for number, wire, value in _fields(data, (0, len(data))):
        if wire != _BYTES or number not in _LAYERS:
            continue
        of_name, of_type, of_blobs = _LAYERS[number]
        name, kind, blobs = "", "", list[Range]()
        for field, form, inner in _fields(data, value):
            if field == of_name and form == _BYTES:
                name = _text(data, inner)
            elif field == of_type and form == _BYTES:
                kind = _text(data, inner)
            elif field == of_type and form == _VARINT:
                kind = _TYPES_V1.get(inner[0], "")
            elif field == of_blobs and form == _BYTES:
                blobs.append(inner)
        if blobs:
            yield name, kind, blobs


def _blob(data: mmap.mmap, where: Range) -> tuple[tuple[int, ...], list[Range], str]:
    """Return the shape of a blob, the runs of its numbers, and their type."""
    old: dict[int, int] = {}
    dims: list[int] | None = None
    runs: dict[int, list[Range]] = {_DATA: [], _DOUBLES: []}
    for number, wire, value in _fields(data, where):
        if number in _OLD_SHAPE and wire == _VARINT:
            old[number] = value[0]
        elif number == _SHAPE and wire == _BYTES:
            dims = _dims(data, value)
        elif number in runs and wire != _VARINT:
            runs[number].append(value)
    shape = tuple(dims) if dims is not None else tuple(old.get(number, 1) for number in _OLD_SHAPE)
    width, ranges = (8, runs[_DOUBLES]) if runs[_DOUBLES] else (4, runs[_DATA])
    if sum(end - start for start, end in ranges) != width * math.prod(shape):
        raise WeightsError(f"the size of a blob does not match its shape {list(shape)}")
    return shape, ranges, f"float{8 * width}"


def _dims(data: mmap.mmap, where: Range) -> list[int]:
    dims: list[int] = []
    for number, wire, value in _fields(data, where):
        if number == _DIM and wire == _VARINT:
            dims.append(value[0])
        elif number == _DIM and wire == _BYTES:
            at, end = value
            while at < end:
                size, at = _varint(data, at, end)
                dims.append(size)
        if len(dims) > 32:  # kMaxBlobAxes
            raise WeightsError("a blob has more than 32 axes")
    return dims


def _values(data: mmap.mmap, shape: tuple[int, ...], runs: list[Range], dtype: str) -> Array:
    with extra("weights", "weights"):
        import numpy as np
    little = np.dtype(dtype).newbyteorder("<")
    parts = [np.frombuffer(data[start:end], little) for start, end in runs]
    return (parts[0] if len(parts) == 1 else np.concatenate(parts)).reshape(shape)


# ---------------------------------------------------------------- protobuf


def _fields(data: mmap.mmap, where: Range) -> Iterator[tuple[int, int, Range]]:
    """Yield the fields of a message: number, wire type, and the range of the value.

    For a variable-length number, both ends of the range are the value itself.
    """
    at, end = where
    while at < end:
        tag, at = _varint(data, at, end)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(data, at, end)
            yield number, wire, (value, value)
            continue
        if wire == _BYTES:
            length, at = _varint(data, at, end)
        elif wire in _FIXED:
            length = _FIXED[wire]
        else:
            raise WeightsError("not a Caffe model: not a protobuf message")
        if length > end - at:
            raise WeightsError(
                "not a Caffe model, or corrupted: a field is longer than its message"
            )
        yield number, wire, (at, at + length)
        at += length


def _varint(data: mmap.mmap, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 64:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise WeightsError("not a Caffe model, or corrupted: truncated varint")


def _text(data: mmap.mmap, where: Range) -> str:
    start, end = where
    if end - start > 1000:
        raise WeightsError("the name of a layer is longer than 1000 bytes")
    return data[start:end].decode("utf-8", "replace")
