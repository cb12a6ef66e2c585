"""The result of every reader: named tensors with known shapes, whose values are read on demand."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

from incgen.base.diagnostics import clipped
from incgen.graph.nodes import NOTHING
from incgen.weights.errors import WeightsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    #: An array of any type.
    Array: TypeAlias = NDArray[Any]
else:  # numpy is imported where it is needed
    Array = Any


@dataclass(frozen=True, slots=True)
class Stored:
    """One tensor of a file."""

    name: str  #: Its name in the file
    shape: tuple[int, ...]  #: Its shape as stored
    dtype: str  #: Its type as stored, in words
    #: Reads its values, as an array of that shape in a floating-point type of numpy
    load: Callable[[], Array]
    #: Where its values lie in the file as numpy has them; None if they do not, or if the reader has
    #: no use for that
    offset: int | None = None

    def values(self) -> Array:
        """Read the values.

        Raises:
            WeightsError: The file is damaged.
        """
        try:
            values = self.load()
        except WeightsError:
            raise
        # each library has its own errors; all mean that the file is damaged
        except Exception as error:
            raise WeightsError(f"`{self.name}` cannot be read: {first_line(error)}") from error
        if values.shape != self.shape or values.dtype.kind not in "fiu":
            raise WeightsError(f"`{self.name}` is not the array that the file's header describes")
        return values


def plain_values(name: str, path: Path, dtype: str, shape: tuple[int, ...], offset: int) -> Array:
    """Read an array that lies in a file as in NumPy."""
    import numpy as np

    if offset + size_of(shape) * np.dtype(dtype).itemsize > path.stat().st_size:
        raise WeightsError(f"`{name}` is truncated")
    return np.fromfile(path, dtype, size_of(shape), offset=offset).reshape(shape)


#: A weights file with more tensors, or longer names, does not belong to a network.
MAX_TENSORS, MAX_NAME = 50_000, 1_000


def check_names(names: Collection[str]) -> None:
    """Check the size of a file before processing it."""
    if len(names) > MAX_TENSORS:
        raise WeightsError(
            f"it has {len(names):,} tensors, more than the {MAX_TENSORS:,} that are read"
        )
    for name in names:
        if len(name) > MAX_NAME:
            message = f"the name `{clipped(name)}` has {len(name):,} characters, not {MAX_NAME:,}"
            raise WeightsError(f"{message} at most")


def by_name(tensors: Iterable[Stored], what: str) -> dict[str, Stored]:
    """Return tensors by name, none of which may occur twice."""
    named: dict[str, Stored] = {}
    for stored in tensors:
        if named.setdefault(stored.name, stored) is not stored:
            raise WeightsError(f"duplicate {what} `{stored.name}`")
    return named


class Checkpoint:
    """An open weights file; a context manager that closes it."""

    def __init__(
        self,
        format: str,
        tensors: Mapping[str, Stored],
        metadata: Mapping[str, str] | None = None,
        resources: ExitStack | None = None,
        parts: Mapping[str, int] | None = None,
    ) -> None:
        """Store the results of a reader; `resources` are closed with it."""
        check_names(tensors)
        self.format = format  #: The kind of file, for reports
        self.tensors = dict(tensors)  #: The tensors by their names, in the order of the file
        self.metadata = dict(metadata or {})  #: Other metadata in the file
        #: How many tensors are in each container of the file, by what leads to it
        self.parts = dict(parts or {})
        self._resources = resources or ExitStack()

    def __enter__(self) -> Checkpoint:
        """Return the checkpoint, which a reader has opened."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """Close the file."""
        self._resources.close()

    def unfolded(self, path: Path) -> dict[str, Stored]:
        """Return the tensors of a training form.

        Raises:
            WeightsError: They are those of a deployed form, and would be folded twice.
        """
        passes = self.metadata.get("deployed", NOTHING)
        if passes != NOTHING:
            message = f"`{path.as_posix()}` holds weights that were deployed by `{passes}`"
            raise WeightsError(f"{message}: take the file that they were exported from")
        return self.tensors


def size_of(shape: tuple[int, ...]) -> int:
    """Return how many numbers an array has."""
    return math.prod(shape)


def shown(shape: tuple[int, ...]) -> str:
    """Write a shape as `64 x 3 x 7 x 7`; a scalar is `()`."""
    return " x ".join(map(str, shape)) if shape else "()"


def first_line(error: BaseException) -> str:
    """Return the first line of a library's error, short enough for a message."""
    lines = str(error).strip().splitlines()
    return clipped(lines[0].strip() if lines else type(error).__name__, 200)
