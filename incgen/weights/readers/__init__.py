"""A file of weights to its tensors, whatever wrote it: the kind is told by its first bytes."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from incgen.base.files import reason
from incgen.weights.checkpoint import Checkpoint
from incgen.weights.errors import WeightsError
from incgen.weights.readers import tensorflow

_HDF5 = b"\x89HDF\r\n\x1a\n"
_PICKLE = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
#: What is no file of weights yet, by its first bytes, and what makes one of it.
_WRAPPED = {
    b"\x1f\x8b": "it is packed: `tar xzf {name}`",
    b"BZh": "it is packed: `tar xjf {name}`",
    b"\xfd7zXZ": "it is packed: `tar xJf {name}`",
    b"version https://git-lfs": "it is only a pointer to the file: `git lfs pull`",
}
#: Where the mark of a tar archive stands.
_TAR = slice(257, 262)
_START = 512


def open_checkpoint(path: Path) -> Checkpoint:
    """Open a file of weights of any kind; TensorFlow's also by their prefix, or by a SavedModel.

    Raises:
        WeightsError: it cannot be read as one; the text names the file.
    """
    name = path.as_posix()
    try:
        return _reader(path)(path)
    except WeightsError as error:
        raise WeightsError(f"`{name}` cannot be read: {error}") from error
    except (OSError, ValueError) as error:
        raise WeightsError(f"`{name}` cannot be read: {reason(error)}") from error
    except MemoryError:
        raise WeightsError(f"`{name}` cannot be read: it needs more memory than there is") from None


def files_of(path: Path) -> list[Path]:
    """The files that make up a checkpoint, in order."""
    return tensorflow.files_of(path) or [path]


def _reader(path: Path) -> Callable[[Path], Checkpoint]:
    files = tensorflow.files_of(path)
    if path.is_dir() and not files:
        raise WeightsError(
            "it is a folder, but no SavedModel; give a file in it, or the prefix of a checkpoint"
        )
    if path.exists() and not (path.is_file() or files):  # a pipe or a device, which may never end
        raise WeightsError("it is not a regular file")
    if len(files) > 1 or (files and files[0] != path):
        return _imported("readers.apart", "read_tensorflow")
    with path.open("rb") as file:
        start = file.read(_START)
        file.seek(0, 2)
        file.seek(max(0, file.tell() - len(tensorflow.MAGIC)))
        end = file.read()
    for mark, message in _WRAPPED.items():
        if start.startswith(mark):
            raise WeightsError(message.format(name=path.name))
    return _imported(*_kind(path, start, end))


def _imported(module: str, function: str) -> Callable[[Path], Checkpoint]:
    reader: Callable[[Path], Checkpoint] = getattr(
        import_module(f"incgen.weights.{module}"), function
    )
    return reader


def _kind(path: Path, start: bytes, end: bytes) -> tuple[str, str]:
    """The module and the function that read a file."""
    suffix = path.suffix.lower()
    if start.startswith(_HDF5):
        return "readers.apart", "read"
    if start.startswith(b"PK\x03\x04"):
        return _zipped(path)
    if start[_TAR] == b"ustar":  # PyTorch's first files are such archives, but pickles inside
        raise WeightsError(f"it is an archive: `tar xf {path.name}`")
    if start.startswith(_PICKLE):
        return "readers.torch", "read"
    if end == tensorflow.MAGIC:
        return "readers.apart", "read_tensorflow"
    if suffix == ".safetensors" or start[8:9] == b"{":
        return "safetensors", "read"
    if suffix == ".caffemodel":
        return "readers.caffe", "read"
    if not start:
        raise WeightsError("it is empty")
    raise WeightsError("it is none of PyTorch, safetensors, Keras, TensorFlow, NumPy and Caffe")


def _zipped(path: Path) -> tuple[str, str]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise WeightsError("it begins like a zip file but is none: perhaps it is cut off") from None
    if "model.weights.h5" in names:
        return "readers.apart", "read_archive"
    if names and all(name.endswith(".npy") for name in names):
        return "readers.npz", "read"
    return "readers.torch", "read"
