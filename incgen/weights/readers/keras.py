"""Keras files: `.h5` of every version, `.weights.h5` and `.keras`, as `layer/variable`.

Layers have the names of their model. A Keras 3 file stores variables by their position in their
layer; their names follow from the kind of the layer.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from operator import itemgetter
from pathlib import Path
from typing import Any

from incgen.weights.checkpoint import Array, Checkpoint, Stored, by_name, first_line
from incgen.weights.errors import WeightsError
from incgen.weights.likeness import natural
from incgen.weights.readers.libraries import extra

#: The file of weights in a `.keras` archive.
MEMBER = "model.weights.h5"

#: The names of variables in Keras 1.
_OLD_VARIABLES = {
    "W": "kernel",
    "b": "bias",
    "gamma": "gamma",
    "beta": "beta",
    "running_mean": "moving_mean",
    "running_std": "moving_variance",  # the variance, despite its name
    "depthwise_kernel": "depthwise_kernel",
    "pointwise_kernel": "pointwise_kernel",
}
#: The variables of a layer in order, by the kind of the layer and their number.
_VARIABLES = {
    ("conv2d", 1): ("kernel",),
    ("conv2d", 2): ("kernel", "bias"),
    ("dense", 1): ("kernel",),
    ("dense", 2): ("kernel", "bias"),
    ("depthwise_conv2d", 1): ("kernel",),
    ("depthwise_conv2d", 2): ("kernel", "bias"),
    ("separable_conv2d", 2): ("depthwise_kernel", "pointwise_kernel"),
    ("separable_conv2d", 3): ("depthwise_kernel", "pointwise_kernel", "bias"),
    ("batch_normalization", 2): ("moving_mean", "moving_variance"),
    ("batch_normalization", 3): ("gamma_or_beta", "moving_mean", "moving_variance"),
    ("batch_normalization", 4): ("gamma", "beta", "moving_mean", "moving_variance"),
}


def library() -> Any:
    """Return the library that reads HDF5 files."""
    with extra("keras", "Keras files"):
        import h5py
    return h5py


def read(path: Path) -> Checkpoint:
    """Open an HDF5 file."""
    with ExitStack() as stack:
        file = stack.enter_context(path.open("rb"))
        return _opened(file, 0, stack)
    raise AssertionError


def read_archive(path: Path) -> Checkpoint:
    """Open a `.keras` archive."""
    with ExitStack() as stack:
        file = stack.enter_context(path.open("rb"))
        member = _Member(file, path)
        return _opened(io.BufferedReader(member), member.start, stack)
    raise AssertionError


def _opened(file: Any, start: int, stack: ExitStack) -> Checkpoint:
    h5py = library()
    try:
        root = stack.enter_context(h5py.File(file, "r"))
        variables = list(_new(root) if "layers" in root else _old(root))
    except WeightsError:
        raise
    except Exception as error:  # h5py raises many kinds of errors for a damaged file
        raise WeightsError(f"not an HDF5 file written by Keras: {first_line(error)}") from error
    every = (_stored(name, data, start) for name, data in variables)
    return Checkpoint("Keras", by_name(every, "variable"), resources=stack.pop_all())


def _old(root: Any) -> Iterator[tuple[str, Any]]:
    """Yield the variables of a legacy file: groups of layers, which hold variables by name.

    A model inside a model is such a group too, with the variables of several layers.
    """
    places = [(path.split("/"), data) for path, data in _datasets(root.get("model_weights", root))]
    inner: dict[str, set[str]] = {}
    for parts, _ in places:
        inner.setdefault(parts[0], set()).add(parts[-2:][0])
    for parts, data in places:
        group = parts[0]
        if group == "optimizer_weights":
            continue
        layer = parts[-2:][0] if len(inner[group]) > 1 else group
        leaf = parts[-1].partition(":")[0]
        old = leaf.removeprefix(f"{layer}_")
        yield f"{layer}/{_OLD_VARIABLES.get(old, leaf)}", data


def _new(root: Any) -> Iterator[tuple[str, Any]]:
    """Yield the variables of a Keras 3 file: numbered, in layers whose names are attributes."""
    groups: dict[str, list[tuple[int, Any]]] = {}
    for path, data in _datasets(root["layers"]):
        place, _, leaf = path.rpartition("/")
        if not place.endswith("vars") or not leaf.isdecimal():
            raise WeightsError(f"`layers/{path}` is not a variable of a Keras layer")
        groups.setdefault(place, []).append((int(leaf), data))
    for place in sorted(groups, key=natural):  # `conv2d_10` behind `conv2d_9`, as in the model
        numbered = groups[place]
        name = root["layers"][place].attrs.get("name")
        if not isinstance(name, str):
            raise WeightsError(
                "its layers have no names, because an early Keras 3 wrote it: "
                "load it into its model and save the model again"
            )
        kind = re.sub(r"_\d+$", "", place.removesuffix("/vars").rpartition("/")[2])
        numbered.sort(key=itemgetter(0))
        plain = tuple(str(number) for number, _ in numbered)
        variables = _variables(kind, len(numbered)) or plain
        for variable, (_, data) in zip(variables, numbered, strict=True):
            yield f"{name}/{variable}", data


def _variables(kind: str, count: int) -> tuple[str, ...] | None:
    """Return the variables of a layer; a class derived from a stock one ends in its name."""
    words = kind.split("_")
    for start in range(len(words)):
        if variables := _VARIABLES.get(("_".join(words[start:]), count)):
            return variables
    return None


def _datasets(group: Any) -> list[tuple[str, Any]]:
    """Return the arrays below a group by path; links out of the file are not followed."""
    import h5py

    names: list[bytes] = []

    def visit(name: bytes, info: Any) -> None:
        if info.type == h5py.h5o.TYPE_DATASET:
            names.append(name)

    h5py.h5o.visit(group.id, visit, info=True)  # `visititems` makes an object of each thing
    datasets = [(name.decode("utf-8"), group[name]) for name in names]
    for path, item in datasets:
        if item.external or item.is_virtual:
            raise WeightsError(f"`{path}` is stored in another file")
        if item.dtype.kind not in "fiu" and not _is_bfloat16(item):
            raise WeightsError(f"`{path}` does not hold numbers")
    return datasets


def _is_bfloat16(data: Any) -> bool:
    """Return whether an array has the type that HDF5 lacks: bytes with an attribute."""
    dtype = data.dtype
    opaque = dtype.kind == "V" and dtype.itemsize == 2
    return bool(opaque and data.attrs.get("dtype") == "bfloat16")


def _stored(name: str, data: Any, start: int) -> Stored:
    half = _is_bfloat16(data)

    def load() -> Array:
        values: Array = data[()]
        if half:  # kept as the bytes of its numbers
            values = (values.view("<u2").astype("<u4") << 16).view("<f4")
        return values

    dtype = "bfloat16" if half else str(data.dtype)
    return Stored(name, tuple(data.shape), dtype, load, None if half else _offset(data, start))


def _offset(data: Any, start: int) -> int | None:
    """Return the offset of an array's numbers, if they are stored as in NumPy."""
    import h5py

    offset: int | None = data.id.get_offset()  # None if chunked, and perhaps compressed
    if offset is None or data.id.get_type() != h5py.h5t.py_create(data.dtype):
        return None
    return start + offset


class _Member(io.RawIOBase):
    """The weights file in an archive, read in place: it is not compressed, and may be large."""

    def __init__(self, file: Any, path: Path) -> None:
        """Find the weights file in the open archive."""
        try:
            info = zipfile.ZipFile(file).getinfo(MEMBER)
            file.seek(info.header_offset)
            head = struct.unpack("<4s5H3I2H", file.read(30))
        except (zipfile.BadZipFile, KeyError, struct.error, ValueError) as error:
            raise WeightsError(f"not a Keras archive: {first_line(error)}") from None
        if info.compress_type != zipfile.ZIP_STORED:
            raise WeightsError(
                f"`{MEMBER}` is compressed, which Keras never does: save the model again"
            )
        self._file = file
        self.start = info.header_offset + 30 + head[9] + head[10]
        self._size = max(0, min(info.file_size, path.stat().st_size - self.start))
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = (0, self._at, self._size)[whence]
        self._at = max(0, origin + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        self._file.seek(self.start + self._at)
        count: int = self._file.readinto(view[: max(0, self._size - self._at)])
        self._at += count
        return count
