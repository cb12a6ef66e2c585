"""The safetensors format: a JSON header, then the tensors one after another.

The library `safetensors` checks headers that are read. This module does what it does not: its
headers differ between versions and list metadata in random order, while these bytes are the same
everywhere; tensors are streamed into the file; and bfloat16 is read, which NumPy lacks. Written
files contain a digest of themselves, `sha256` in the metadata: that of all bytes, with zeros in
place of the digest. Trained weights that were saved with our metadata do not have it.

Source: the format's description in the README of huggingface/safetensors.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from incgen.base.files import OutputError, Replacement, refuse_links
from incgen.weights.checkpoint import (
    Array,
    Checkpoint,
    Stored,
    check_names,
    first_line,
    plain_values,
    size_of,
)
from incgen.weights.errors import WeightsError
from incgen.weights.readers.libraries import extra

#: The values of `generator` in our files: commands whose files can be recreated.
BY_INIT, BY_IMPORT = "incgen weights init", "incgen weights import"
#: The placeholder of a digest until it is known.
_NO_DIGEST = "0" * 64
#: The longest header that is read, in bytes: twice what the most tensors that a file may have need.
#: The format allows four times as much.
MAX_HEADER = 25_000_000
#: Bytes per number.
SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1}
#: The names of these types in NumPy; the bits of a bfloat16 are read as integers.
_NUMPY = {name: f"<{name[0].lower()}{size}" for name, size in SIZES.items()} | {"BF16": "<u2"}


# ---------------------------------------------------------------- writing


def header(shapes: Mapping[str, tuple[int, ...]], dtype: str, metadata: Mapping[str, str]) -> bytes:
    """Return the header of a file whose tensors, in this order, all have one type of `SIZES`."""
    entries: dict[str, Any] = {"__metadata__": {**metadata, "sha256": _NO_DIGEST}}
    end = 0
    for key, shape in shapes.items():
        start, end = end, end + SIZES[dtype] * size_of(shape)
        entries[key] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(entries, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 8)  # aligns the data that follows
    return len(text).to_bytes(8, "little") + text


def write(path: Path, head: bytes, chunks: Iterable[bytes | memoryview]) -> int:
    """Write a header, the tensors as they come, and the digest of both; return the size in bytes.

    Raises:
        OutputError: The file cannot be written; nothing has changed.
    """
    size = len(head)
    digest = hashlib.sha256(head)
    with Replacement(path) as file:
        file.write(head)
        for chunk in chunks:
            file.write(chunk)
            digest.update(chunk)
            size += len(chunk) if isinstance(chunk, bytes) else chunk.nbytes
        file.write_at(head.index(_sealed(_NO_DIGEST)), _sealed(digest.hexdigest()))
    return size


def check_replaceable(path: Path, generators: Collection[str], command: str) -> None:
    """Refuse to overwrite weights that nobody could recreate, such as trained ones.

    Only files of these generators may be overwritten.

    Raises:
        OutputError: The file may not be overwritten.
    """
    name = path.as_posix()
    refuse_links(path)
    if path.exists() and not path.is_file():
        raise OutputError(f"`{name}` is not a regular file: choose another")
    if not path.exists():
        return
    generator, untouched = _origin(path)
    if generator in generators and untouched:
        return
    fault = f"was not written by `{command}`"
    if generator in generators:
        fault = f"has changed since `{generator}` wrote it"
    raise OutputError(
        f"`{name}` {fault}: choose another output with -o, or overwrite it with --force"
    )


def _origin(path: Path) -> tuple[str, bool]:
    """Return the generator of a file, and whether it is as incgen wrote it, byte for byte."""
    try:
        entries, start = _header_of(path)
        metadata = entries["__metadata__"]
        generator, recorded = str(metadata["generator"]), str(metadata.get("sha256"))
        with path.open("rb") as file:
            head = file.read(start).replace(_sealed(recorded), _sealed(_NO_DIGEST), 1)
            digest = hashlib.sha256(head)
            hashlib.file_digest(file, lambda: digest)
    except (OSError, KeyError, WeightsError):
        return "", False
    return generator, digest.hexdigest() == recorded


def _sealed(digest: str) -> bytes:
    """Return the entry of a digest as written in a header."""
    return f'"sha256":"{digest}"'.encode("ascii", "replace")


# ---------------------------------------------------------------- reading


def read(path: Path) -> Checkpoint:
    """Open a file, whose header the library checks."""
    entries, start = _header_of(path)
    metadata = entries.pop("__metadata__", {})
    check_names(entries)
    with extra("weights", "weights"):
        from safetensors import SafetensorError, safe_open
    try:
        with safe_open(path, "numpy"):
            pass
    except SafetensorError as error:
        what = first_line(error).removeprefix("Error while deserializing header: ")
        raise WeightsError(f"the header does not describe the file: {what}") from None
    return Checkpoint(
        "safetensors", {key: _stored(path, key, entries[key], start) for key in entries}, metadata
    )


def _header_of(path: Path) -> tuple[dict[str, Any], int]:
    """Return the header as JSON, and where the data begins."""
    with path.open("rb") as file:
        end = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if length > end - 8:
            raise WeightsError("its header is longer than the file")
        if length > MAX_HEADER:
            raise WeightsError(f"its header has {length:,} bytes, more than {MAX_HEADER:,}")
        text = file.read(length)
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError):
        raise WeightsError("its header is not JSON") from None
    metadata = entries.get("__metadata__", {}) if isinstance(entries, dict) else None
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise WeightsError("its header is not a table of tensors")
    return entries, 8 + length


def _stored(path: Path, key: str, entry: Mapping[str, Any], start: int) -> Stored:
    dtype, shape, offset = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"][0]
    if dtype not in SIZES:
        raise WeightsError(f"`{key}` has the type {dtype}, which is not supported for weights")
    if len(shape) > 32:
        raise WeightsError(f"`{key}` has more than 32 axes")

    def load() -> Array:
        values = plain_values(key, path, _NUMPY[dtype], shape, start + offset)
        if dtype == "BF16":  # the upper half of a float32
            values = (values.astype("<u4") << 16).view("<f4")
        return values

    return Stored(key, shape, dtype, load)
