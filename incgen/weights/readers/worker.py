"""The program that reads files for another process, and answers in lines of JSON.

`apart.py` starts it. It ends when there are no more requests, or once reading exceeds its time
limit. A thread in C watches the time, because libhdf5 in an endless loop lets no Python run.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

from incgen.weights.checkpoint import Stored, first_line
from incgen.weights.errors import WeightsError
from incgen.weights.readers.apart import READY


def main() -> None:
    """Answer requests, using the module beside this one that the argument names."""
    # TensorFlow works without them, and importing them takes as long as everything else.
    for name in ("keras", "jax"):
        sys.modules[name] = None  # type: ignore[assignment]
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # keep a library's output out of the answers
        answers.write(READY)
        answers.flush()
        reader = import_module(f"incgen.weights.readers.{sys.argv[1]}")
        with suppress(Exception):  # if it is missing, opening a file says so
            reader.library()
        _serve(reader, answers)


def _serve(reader: Any, answers: BinaryIO) -> None:
    tensors: list[Stored] = []
    patience = _Patience(0)
    with ExitStack() as opened:
        for line in sys.stdin:
            match json.loads(line):
                case {"open": [str(function), str(path), seconds]}:
                    opened.close()
                    patience = _Patience(seconds)
                    try:
                        reader.library()  # which may take its time
                        with patience.spent():
                            checkpoint = getattr(reader, function)(Path(path))
                    except Exception as error:
                        _say(answers, error=_text(error))
                        continue
                    opened.enter_context(checkpoint)
                    tensors = list(checkpoint.tensors.values())
                    listed = [(t.name, t.shape, t.dtype, t.offset) for t in tensors]
                    _say(answers, format=checkpoint.format, tensors=listed)
                case {"tensor": int(number)}:
                    _send(tensors[number], patience, answers)


def _send(stored: Stored, patience: _Patience, answers: BinaryIO) -> None:
    import numpy as np

    try:
        with patience.spent():
            values = np.ascontiguousarray(stored.values())
    except Exception as error:
        _say(answers, error=_text(error))
        return
    _say(answers, shape=stored.shape, dtype=values.dtype.str, bytes=values.nbytes)
    answers.write(values.reshape(-1).view("u1").data)
    answers.flush()


def _say(answers: BinaryIO, **content: object) -> None:
    answers.write(json.dumps(content).encode() + b"\n")
    answers.flush()


def _text(error: Exception) -> str:
    return str(error) if isinstance(error, WeightsError) else first_line(error)


class _Patience:
    """The total time that reading may take."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds

    @contextmanager
    def spent(self) -> Iterator[None]:
        """End this process if the code inside takes longer than the remaining time."""
        start = time.monotonic()
        faulthandler.dump_traceback_later(max(self._left, 1e-3), exit=True)  # exit code 1
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            self._left -= time.monotonic() - start


if __name__ == "__main__":
    main()
