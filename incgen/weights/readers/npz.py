"""NumPy's `.npz`: a zip of arrays. Arrays of objects, which are pickles, are refused."""

from __future__ import annotations

import zipfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from incgen.weights.checkpoint import Checkpoint, Stored, check_names, first_line
from incgen.weights.errors import WeightsError
from incgen.weights.readers.libraries import extra

if TYPE_CHECKING:
    from incgen.weights.checkpoint import Array


def read(path: Path) -> Checkpoint:
    """Open a file.

    Raises:
        WeightsError: it is none, or not all in it are arrays of numbers.
    """
    with ExitStack() as stack:
        try:
            archive = stack.enter_context(zipfile.ZipFile(path))
        except (zipfile.BadZipFile, ValueError) as error:
            raise WeightsError(f"it is no zip file: {first_line(error)}") from None
        names = [name for name in archive.namelist() if name.endswith(".npy")]
        check_names(names)
        tensors = {name[:-4]: _stored(archive, name) for name in names}
        if len(tensors) < len(names):
            name, _ = Counter(names).most_common(1)[0]
            raise WeightsError(f"it has two arrays `{name[:-4]}`")
        return Checkpoint("NumPy", tensors, resources=stack.pop_all())
    raise AssertionError


def _stored(archive: zipfile.ZipFile, name: str) -> Stored:
    with extra("weights", "weights"):
        from numpy.lib import format as npy
    key = name[:-4]
    try:
        with archive.open(name) as file:
            version = npy.read_magic(file)
            reader: Any = npy.read_array_header_1_0
            if version != (1, 0):
                reader = npy.read_array_header_2_0
            shape, _, dtype = reader(file)
    except Exception as error:  # zipfile and numpy have many; all mean that it is damaged
        raise WeightsError(f"`{key}` is no array: {first_line(error)}") from error
    if dtype.kind not in "fiu":
        raise WeightsError(f"`{key}` holds no numbers but {dtype}")

    def load() -> Array:
        with archive.open(name) as file:
            return npy.read_array(file, allow_pickle=False)

    return Stored(key, tuple(map(int, shape)), str(dtype), load)
