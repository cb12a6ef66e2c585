"""Read the tensors of a weights file, whatever wrote it: its first bytes identify the format."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path

from incgen.base.files import reason
from incgen.base.suffixes import Kind, kind_of
from incgen.weights.checkpoint import Checkpoint
from incgen.weights.errors import WeightsError
from incgen.weights.readers import apart, tensorflow

_HDF5 = b"\x89HDF\r\n\x1a\n"
_PICKLE = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
#: Files that must be converted first, by their first bytes, and the command that does it.
_WRAPPED = {
    b"\x1f\x8b": "it is a compressed archive: `tar xzf {name}`",
    b"BZh": "it is a compressed archive: `tar xjf {name}`",
    b"\xfd7zXZ": "it is a compressed archive: `tar xJf {name}`",
    b"version https://git-lfs": "it is only a Git LFS pointer: `git lfs pull`",
}
#: The offset of the magic bytes of a tar archive.
_TAR = slice(257, 262)
_START = 512


def open_checkpoint(path: Path) -> Checkpoint:
    """Open a weights file of any kind; TensorFlow's also by prefix or SavedModel.

    Raises:
        WeightsError: The file cannot be read; the message names it.
    """
    try:
        module, function = _reader(path)
        if module in apart.KINDS:
            return apart.read(module, function, path)
        opened: Checkpoint = import_module(f"incgen.weights.{module}").read(path)
        return opened
    except WeightsError as error:
        why = str(error)
    except (OSError, ValueError) as error:
        why = reason(error)
    except MemoryError:
        why = "there is not enough memory"
    raise WeightsError(f"`{path.as_posix()}` cannot be read: {why}")


@contextmanager
def started(path: Path) -> Iterator[None]:
    """Let the process that reads a file, if one does, start while other things are done.

    What is wrong with the file is said when it is opened, inside of this.
    """
    module = ""
    with suppress(WeightsError, OSError, ValueError):
        module, _ = _reader(path)
    with apart.started(module):
        yield


def files_of(path: Path) -> list[Path]:
    """Return the files that make up a checkpoint, in order."""
    return tensorflow.files_of(path) or [path]


def _reader(path: Path) -> tuple[str, str]:
    """Return the module that reads a file, and the function in it."""
    files = tensorflow.files_of(path)
    if path.is_dir() and not files:
        raise WeightsError(
            "it is a folder but not a SavedModel: name a file in it, or the prefix of a checkpoint"
        )
    if path.exists() and not (path.is_file() or files):  # a pipe or a device, which may be endless
        raise WeightsError("it is not a regular file")
    if len(files) > 1 or (files and files[0] != path):
        return "tensorflow", "read"
    with path.open("rb") as file:
        start = file.read(_START)
        file.seek(0, 2)
        file.seek(max(0, file.tell() - len(tensorflow.MAGIC)))
        end = file.read()
    if not start:
        raise WeightsError("it is empty")
    for mark, message in _WRAPPED.items():
        if start.startswith(mark):
            raise WeightsError(message.format(name=path.name))
    if start.startswith(_HDF5):
        return "keras", "read"
    if start.startswith(b"PK\x03\x04"):
        return _zipped(path)
    if start[_TAR] == b"ustar":  # early PyTorch files are tar archives of pickles
        raise WeightsError(f"it is an archive: `tar xf {path.name}`")
    if start.startswith(_PICKLE):
        return "readers.torch", "read"
    if end == tensorflow.MAGIC:
        return "tensorflow", "read"
    return _by_name(path, start)


def _by_name(path: Path, start: bytes) -> tuple[str, str]:
    """Return what reads a file that its beginning does not tell."""
    if path.suffix.lower() == ".msgpack":
        return "readers.flax", "read"
    if path.suffix.lower() == ".safetensors" or start[8:9] == b"{":
        return "safetensors", "read"
    if path.suffix.lower() == ".caffemodel":
        return "readers.caffe", "read"
    kind = kind_of(path)
    if kind is not None and kind is not Kind.WEIGHTS:
        raise WeightsError(f"it is {kind.value} by its name, not a weights file")
    raise WeightsError(
        "not a file of PyTorch, safetensors, Keras, TensorFlow, Flax, NumPy or Caffe"
    )


def _zipped(path: Path) -> tuple[str, str]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        what = "begins like a zip file but is not one: it may be truncated"
        raise WeightsError(what) from None
    if "model.weights.h5" in names:
        return "keras", "read_archive"
    whole = names and all(name.endswith(".npy") for name in names)
    return ("readers.npz" if whole else "readers.torch"), "read"
