"""NumPy's `.npz`: a zip of arrays. Arrays of objects, which are pickles, are refused."""

from __future__ import annotations

import zipfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from incgen.weights.checkpoint import Array, Checkpoint, Stored, by_name, check_names, first_line
from incgen.weights.errors import WeightsError
from incgen.weights.readers.libraries import extra


def read(path: Path) -> Checkpoint:
    """Open a file."""
    with ExitStack() as stack:
        try:
            archive = stack.enter_context(zipfile.ZipFile(path))
        except (zipfile.BadZipFile, ValueError) as error:
            raise WeightsError(f"not a zip file: {first_line(error)}") from None
        names = [name for name in archive.namelist() if name.endswith(".npy")]
        check_names(names)
        tensors = by_name((_stored(archive, name) for name in names), "array")
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
    except Exception as error:  # zipfile and numpy raise many kinds; all mean that it is damaged
        raise WeightsError(f"`{key}` is not an array: {first_line(error)}") from error
    if dtype.kind not in "fiu":
        raise WeightsError(f"`{key}` holds {dtype}, not numbers")

    def load() -> Array:
        with archive.open(name) as file:
            return npy.read_array(file, allow_pickle=False)

    return Stored(key, tuple(map(int, shape)), str(dtype), load)
