"""Read files in a separate process if their libraries may crash or hang on a damaged one.

These are Keras files, because of libhdf5, and TensorFlow's, which aborts on files that it did not
write. The library never runs in the caller's process, which could not survive a crash or interrupt
an endless loop. `worker.py` is the program that reads: it lists the arrays and their locations in
the file. Arrays that are compressed or chunked, and all of TensorFlow's, are requested from it by
number. Requests and answers are lines of JSON; the answer for an array is followed by its bytes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from io import BufferedReader
from pathlib import Path
from threading import Timer
from typing import Any, NoReturn

from incgen.base.files import reason
from incgen.weights.checkpoint import Array, Checkpoint, Stored, plain_values
from incgen.weights.errors import WeightsError
from incgen.weights.readers import tensorflow
from incgen.weights.readers.libraries import extra

#: The seconds that the library may work on a file, and the bytes that add one more. The largest
#: published file (225 MB) is read in less than one of its 142.
PATIENCE, PACE = 30.0, 2_000_000
#: Seconds to wait for the start, after which the program is taken for something other than Python.
_START = 120.0

_PROGRAM = "incgen.weights.readers.worker"
#: The first line of the worker: it has started.
READY = b"incgen reads\n"
#: The exit code of a process that `faulthandler` ends.
_TOO_LATE = 1


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of file: its name, the module that reads it, and that module's library."""

    files: str
    module: str
    library: str


#: The kinds by the module that reads them, beside this one.
KINDS = {
    kind.module: kind
    for kind in (
        _Kind("Keras files", "keras", "the HDF5 library"),
        _Kind("TensorFlow checkpoints", "tensorflow", "TensorFlow"),
    )
}


#: By reading module: a process that waits for another file, or None if there is none yet.
_waiting: dict[str, _Worker | None] = {}


@contextmanager
def reused(module: str) -> Iterator[None]:
    """Reuse one process for all files read inside, until one crashes it.

    For programs that read many files. Otherwise, each file has its own process. The module reads
    the files: `tensorflow`, which takes seconds to start, or `keras`.
    """
    outer = {module: _waiting[module]} if module in _waiting else {}
    _waiting[module] = None
    try:
        yield
    finally:
        if (worker := _waiting.pop(module)) is not None:
            worker.end()
        _waiting.update(outer)


@contextmanager
def started(module: str) -> Iterator[None]:
    """Start the process that `read` will need while something else is done inside of this."""
    if module in _waiting or module not in KINDS:
        yield
        return
    with reused(module):
        with suppress(WeightsError):  # `read` says why it does not start
            _waiting[module] = _Worker(KINDS[module])
        yield


def read(module: str, function: str, path: Path) -> Checkpoint:
    """Open a file with a function of a module, run in another process.

    Raises:
        WeightsError: The module rejects the file, or its library fails on it.
    """
    kind = KINDS[module]
    with ExitStack() as stack:
        worker = _waiting.get(module) or _Worker(kind)
        if module in _waiting:
            _waiting[module] = None
        stack.callback(worker.close)
        listing = worker.listed(function, path, tensorflow.files_of(path) or [path])
        tensors: dict[str, Stored] = {}
        for number, (name, shape, dtype, offset) in enumerate(listing["tensors"]):
            load = partial(worker.values, name, number)
            if offset is not None:  # no need for the library
                load = partial(plain_values, name, path, dtype, tuple(shape), offset)
            tensors[name] = Stored(name, tuple(shape), dtype, load)
        return Checkpoint(listing["format"], tensors, resources=stack.pop_all())
    raise AssertionError


class _Worker:
    """A process that reads one file at a time."""

    def __init__(self, kind: _Kind) -> None:
        if not sys.executable or hasattr(sys, "frozen"):  # an application that embeds Python
            raise WeightsError(
                f"{kind.files} are read by a separate Python process, and `sys.executable` does "
                "not say where Python is"
            )
        command = [sys.executable, "-P", "-m", _PROGRAM, kind.module]
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
        self._kind = kind
        self._started = False
        self._idle = True  # whether every request has been answered
        self._seconds = 0.0

    def listed(self, function: str, path: Path, files: list[Path]) -> dict[str, Any]:
        """Open a file, and return what it holds."""
        if not self._started:
            self._start()
        size = sum(file.stat().st_size for file in files)
        self._seconds = PATIENCE + size // PACE
        return self._asked(open=[function, str(path.absolute()), self._seconds])

    def _start(self) -> None:
        starting = Timer(_START, self._process.kill)
        starting.start()
        try:
            # what Python prints at start-up comes before it
            self._started = READY in self._answers
        finally:
            starting.cancel()
        if not self._started:
            code = self._process.wait()
            raise WeightsError(f"`{sys.executable} -m {_PROGRAM}` ends with {code}")

    def values(self, name: str, number: int) -> Array:
        """Read an array."""
        with extra("weights", "weights"):
            import numpy as np
        where = f"`{name}` cannot be read: "
        answer = self._asked(where, tensor=number)
        self._idle = False
        data = np.empty(answer["bytes"], "u1")
        if self._answers.readinto(data.data) < len(data):
            self._fail(where)
        self._idle = True
        values: Array = data.view(answer["dtype"]).reshape(answer["shape"])
        return values

    def _asked(self, where: str = "", **request: object) -> dict[str, Any]:
        """Send a request, and wait for its answer."""
        self._idle = False
        with suppress(OSError):  # it has ended, which the missing answer shows
            os.write(self._requests.fileno(), json.dumps(request).encode() + b"\n")
        line = self._answers.readline()
        if not line.endswith(b"\n"):
            self._fail(where)
        self._idle = True
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WeightsError(answer["error"])
        return answer

    def _fail(self, where: str = "") -> NoReturn:
        """Describe why the process has ended."""
        code = self._process.wait()
        if code == _TOO_LATE:
            raise WeightsError(
                f"{where}it is damaged, or its disk is very slow: {self._kind.library} has not "
                f"finished after {self._seconds:g} seconds"
            )
        raise WeightsError(f"{where}it is damaged: {self._kind.library} crashes (exit code {code})")

    def close(self) -> None:
        """Release the file: the process ends, or waits for another one."""
        module = self._kind.module
        if self._idle and module in _waiting and _waiting[module] is None:
            _waiting[module] = self
        else:
            self.end()

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        self._requests.close()
        self._answers.close()


def _same() -> dict[str, str]:
    """Return an environment in which Python finds the modules that it finds here."""
    path = [os.path.abspath(place) for place in sys.path if isinstance(place, str)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
