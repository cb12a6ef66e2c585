"""Keras files, read in a process of their own: libhdf5 may crash on a damaged one, or find no end.

The library never runs in the process of the caller, which could neither survive the one nor
interrupt the other. `worker.py` is the program that does the reading: it lists the arrays and says
where they lie. Those that are packed or in pieces are asked of it by their numbers, a line each;
its answers are lines of JSON, with the bytes of an array behind its line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack, suppress
from functools import partial
from io import BufferedReader
from pathlib import Path
from threading import Lock, Timer
from typing import TYPE_CHECKING, Any, NoReturn

from incgen.output import reason
from incgen.weights.checkpoint import Checkpoint, Stored, size_of
from incgen.weights.errors import WeightsError
from incgen.weights.readers.libraries import extra

if TYPE_CHECKING:
    from incgen.weights.checkpoint import Array

#: Seconds that the library may work on a file, and how many bytes bring it one more. The largest
#: published file (225 MB) is read in less than one of its 142.
PATIENCE, PACE = 30.0, 2_000_000
#: Seconds after which a program has not started that is no Python, whatever else it does.
_START = 120.0

_PROGRAM = "incgen.weights.readers.worker"
#: The first line of the worker: it has started.
READY = b"incgen reads\n"
#: The exit code of a process that `faulthandler` ends.
_TOO_LATE = 1


def read(path: Path) -> Checkpoint:
    """Open an HDF5 file.

    Raises:
        WeightsError: it is none, not one that Keras writes, or the library fails on it.
    """
    return _opened("read", path)


def read_archive(path: Path) -> Checkpoint:
    """Open a `.keras` archive.

    Raises:
        WeightsError: it is none, not one that Keras writes, or the library fails on it.
    """
    return _opened("read_archive", path)


def _opened(function: str, path: Path) -> Checkpoint:
    with ExitStack() as stack:
        source = _Source(stack.enter_context(path.open("rb")))
        worker = _Worker(function, path)
        stack.callback(worker.close)
        found = worker.listed()
        tensors: dict[str, Stored] = {}
        for number, (name, shape, dtype, offset) in enumerate(found["tensors"]):
            load = partial(worker.values, name, number)
            if offset is not None:
                load = partial(source.values, name, offset, dtype, tuple(shape))
            tensors[name] = Stored(name, tuple(shape), dtype, load)
        return Checkpoint(found["format"], tensors, resources=stack.pop_all())
    raise AssertionError


class _Source:
    """The file itself: most arrays lie in it as they are, and are read without the worker."""

    def __init__(self, file: BufferedReader) -> None:
        self._file, self._lock = file, Lock()

    def values(self, name: str, offset: int, dtype: str, shape: tuple[int, ...]) -> Array:
        """Read an array from its place."""
        with extra("weights", "weights"):
            import numpy as np
        size = size_of(shape) * np.dtype(dtype).itemsize
        if offset + size > os.fstat(self._file.fileno()).st_size:
            raise WeightsError(f"`{name}` is cut off")
        data = np.empty(size, "u1")
        with self._lock:
            self._file.seek(offset)
            self._file.readinto(data.data)
        values: Array = data.view(dtype).reshape(shape)
        return values


class _Worker:
    """The process that reads one file."""

    def __init__(self, function: str, path: Path) -> None:
        """Start it.

        Raises:
            WeightsError: it cannot be started.
        """
        if not sys.executable or hasattr(sys, "frozen"):  # an application that has Python inside
            raise WeightsError(
                "Keras files are read by a Python process of its own, and `sys.executable` does "
                "not say where Python is"
            )
        self._seconds = PATIENCE + path.stat().st_size // PACE
        command = [sys.executable, "-P", "-m", _PROGRAM, function, str(path), str(self._seconds)]
        quiet = subprocess.DEVNULL
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=quiet, env=_same()
            )
        except OSError as error:
            raise WeightsError(f"`{sys.executable}` does not start: {reason(error)}") from error
        assert self._process.stdin is not None
        assert isinstance(self._process.stdout, BufferedReader)
        self._requests, self._answers = self._process.stdin, self._process.stdout
        self._lock = Lock()

    def listed(self) -> dict[str, Any]:
        """What the file holds.

        Raises:
            WeightsError: the library or the reader refuses it.
        """
        starting = Timer(_START, self._process.kill)
        starting.start()
        try:
            started = READY in self._answers  # before it stands what Python prints as it starts
        finally:
            starting.cancel()
        if not started:
            code = self._process.wait()
            raise WeightsError(f"`{sys.executable} -m {_PROGRAM}` ends with {code}")
        return self._answer() or self._fail()

    def values(self, name: str, number: int) -> Array:
        """Read an array."""
        with extra("weights", "weights"):
            import numpy as np
        where = f"`{name}` cannot be read: "
        with self._lock:
            with suppress(OSError):  # it has ended, which its answer shows
                os.write(self._requests.fileno(), b"%d\n" % number)
            found = self._answer() or self._fail(where)
            data = np.empty(found["bytes"], "u1")
            if self._answers.readinto(data.data) < len(data):
                self._fail(where)
        values: Array = data.view(found["dtype"]).reshape(found["shape"])
        return values

    def _answer(self) -> dict[str, Any] | None:
        """The next line that it says; None if it has ended."""
        line = self._answers.readline()
        if not line.endswith(b"\n"):
            return None
        found: dict[str, Any] = json.loads(line)
        if "error" in found:
            raise WeightsError(found["error"])
        return found

    def _fail(self, where: str = "") -> NoReturn:
        """Tell why it has ended."""
        code = self._process.wait()
        if code == _TOO_LATE:
            raise WeightsError(
                f"{where}it is damaged, or its disk is very slow: the HDF5 library has come to no "
                f"end after {self._seconds:g} seconds"
            )
        raise WeightsError(f"{where}it is damaged: the HDF5 library crashes (exit code {code})")

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self._requests.close()
        self._answers.close()


def _same() -> dict[str, str]:
    """An environment in which Python finds the modules that it finds here."""
    path = [os.path.abspath(place) for place in sys.path if isinstance(place, str)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
