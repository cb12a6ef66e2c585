"""The safetensors format: a header in JSON, then the tensors, one after the other.

It is written here and not by the safetensors package, whose header is laid out differently from
version to version and lists its metadata in a random order: these bytes are the same everywhere.
What is written carries a digest of itself, `sha256` in its metadata: that of all of its bytes, with
zeros in the place of the digest. Trained weights that were saved with our metadata do not have it.
It is read here because that package knows no bfloat16 in numpy, and because what a header says
is checked against the file before anything is believed.

Source: the format's description in the README of huggingface/safetensors.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from incgen.base.diagnostics import clipped
from incgen.base.files import OutputError, Replacement, make_folder, refuse_links
from incgen.weights.checkpoint import Checkpoint, Stored, check_names, size_of
from incgen.weights.errors import WeightsError

if TYPE_CHECKING:
    from incgen.weights.checkpoint import Array

#: What files say they were written by: the commands, whose files can be made again.
BY_INIT, BY_IMPORT = "incgen weights init", "incgen weights import"
#: Where a digest will stand, until it is known.
_NO_DIGEST = "0" * 64
#: The longest header that is read, in bytes: twice what the most tensors that a file can have need.
#: The format allows four times as much.
MAX_HEADER = 25_000_000
#: Bytes of one number.
SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1}
_NUMPY = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U8": "|u1",
}


# ---------------------------------------------------------------- writing


def header(shapes: Mapping[str, tuple[int, ...]], dtype: str, metadata: Mapping[str, str]) -> bytes:
    """The header of a file whose tensors all have one type.

    Args:
        shapes: of the tensors by their keys, in the order in which they will be written.
        dtype: a name of the format, as in `SIZES`.
        metadata: what the file says of itself, besides its digest.
    """
    entries: dict[str, Any] = {"__metadata__": {**metadata, "sha256": _NO_DIGEST}}
    end = 0
    for key, shape in shapes.items():
        start, end = end, end + SIZES[dtype] * size_of(shape)
        entries[key] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(entries, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 8)  # aligns what follows
    return len(text).to_bytes(8, "little") + text


def write(path: Path, head: bytes, chunks: Iterable[bytes | memoryview]) -> int:
    """Write a file in one step: a header, the tensors as they come, and the digest of both.

    Returns:
        The size of the file in bytes.

    Raises:
        OutputError: the file cannot be written; nothing has changed then.
    """
    size = len(head)
    digest = hashlib.sha256(head)
    make_folder(path.parent)
    with Replacement(path) as file:
        file.write(head)
        for chunk in chunks:
            file.write(chunk)
            digest.update(chunk)
            size += len(chunk) if isinstance(chunk, bytes) else chunk.nbytes
        file.write_at(head.index(_sealed(_NO_DIGEST)), _sealed(digest.hexdigest()))
    return size


def check_replaceable(path: Path, generators: Collection[str], command: str) -> None:
    """Refuse to write over weights that nobody could make again, such as trained ones.

    Args:
        path: the file to be written.
        generators: what may be written over.
        command: what wants to write, for the message.

    Raises:
        OutputError: the file is another's.
    """
    name = path.as_posix()
    refuse_links(path)
    if path.exists() and not path.is_file():
        raise OutputError(f"`{name}` is not a regular file: choose another")
    if not path.exists():
        return
    found = generator(path)
    if found not in generators:
        fault = f"was not written by `{command}`"
    elif not is_untouched(path):
        fault = f"has changed since `{found}` wrote it"
    else:
        return
    raise OutputError(
        f"`{name}` {fault}: choose another output with -o, or write over it with --force"
    )


# ---------------------------------------------------------------- reading


def generator(path: Path) -> str | None:
    """What the header of a file says it was written by; None for any other file."""
    try:
        entries, _, _ = _header_of(path)
        return str(entries["__metadata__"]["generator"])
    except (OSError, KeyError, WeightsError):
        return None


def is_untouched(path: Path) -> bool:
    """Whether a file is as incgen wrote it, byte for byte."""
    try:
        entries, start, _ = _header_of(path)
        found = str(entries["__metadata__"]["sha256"])
        with path.open("rb") as file:
            head = file.read(start).replace(_sealed(found), _sealed(_NO_DIGEST), 1)
            digest = hashlib.sha256(head)
            while data := file.read(1 << 20):
                digest.update(data)
    except (OSError, KeyError, WeightsError):
        return False
    return digest.hexdigest() == found


def _sealed(digest: str) -> bytes:
    """The entry of a digest as it stands in a header."""
    return f'"sha256":"{digest}"'.encode("ascii", "replace")


def read(path: Path) -> Checkpoint:
    """Open a file.

    Raises:
        WeightsError: it is none, or its header does not fit it.
    """
    entries, start, end = _header_of(path)
    metadata = entries.pop("__metadata__", {})
    check_names(entries)
    tensors, places = {}, []
    for key, entry in entries.items():
        dtype, shape, offset = _checked(key, entry, end - start)
        tensors[key] = _stored(path, key, dtype, shape, start + offset)
        places.append((offset, offset + SIZES[dtype] * size_of(shape), key))
    _check_places(places, end - start)
    return Checkpoint("safetensors", tensors, metadata)


def _header_of(path: Path) -> tuple[dict[str, Any], int, int]:
    """The header as JSON, where the data begins, and where the file ends."""
    with path.open("rb") as file:
        end = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if length > end - 8:
            raise WeightsError("its header is longer than the file")
        if length > MAX_HEADER:
            raise WeightsError(f"its header has {length:,} bytes, more than {MAX_HEADER:,}")
        text = file.read(length)
    try:
        entries = json.loads(text, object_pairs_hook=_table)
    except (ValueError, RecursionError):
        raise WeightsError("its header is not JSON") from None
    metadata = entries.get("__metadata__", {}) if isinstance(entries, dict) else None
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise WeightsError("its header is not a table of tensors")
    return entries, 8 + length, end


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; what stands in it twice could mean either."""
    found = dict(pairs)
    if len(found) < len(pairs):
        name, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise WeightsError(f"its header has `{clipped(name)}` twice")
    return found


def _checked(key: str, entry: object, room: int) -> tuple[str, tuple[int, ...], int]:
    """Type, shape and place of a tensor, held against the file."""
    match entry:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [int(start), int(end)]}:
            whole = len(shape) <= 32 and all(type(n) is int and n >= 0 for n in shape)
            whole = whole and type(start) is int and type(end) is int  # `true` is none
        case _:
            raise WeightsError(f"the header's entry of `{key}` is malformed")
    if dtype not in SIZES:
        raise WeightsError(f"`{key}` has the type {dtype}, which weights here cannot have")
    size = SIZES[dtype] * size_of(tuple(shape)) if whole else -1
    if not (whole and 0 <= start <= end <= room and end - start == size):
        raise WeightsError(f"the header's entry of `{key}` does not fit the file")
    return dtype, tuple(shape), start


def _check_places(places: list[tuple[int, int, str]], room: int) -> None:
    """Tensors lie one behind the other, as the format has it: a file that has them otherwise lies.

    Args:
        places: from where to where each lies, with its key.
        room: bytes for all of them.
    """
    at, before = 0, "the header"
    for start, end, key in sorted(places):
        if start < at:
            raise WeightsError(f"`{key}` overlaps {before}")
        if start > at:
            raise WeightsError(f"{start - at} bytes between {before} and `{key}` are no tensor's")
        at, before = end, f"`{key}`"
    if at < room:
        raise WeightsError(f"{room - at} bytes at its end are no tensor's")


def _stored(path: Path, key: str, dtype: str, shape: tuple[int, ...], offset: int) -> Stored:
    def load() -> Array:
        import numpy as np

        values = np.fromfile(path, _NUMPY[dtype], size_of(shape), offset=offset)
        if dtype == "BF16":  # the upper half of a float32
            values = (values.astype("<u4") << 16).view("<f4")
        return values.reshape(shape)

    return Stored(key, shape, dtype, load)
