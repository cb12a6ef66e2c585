"""The program that reads one Keras file for another process, and answers in lines of JSON.

`apart.py` starts it. It ends when nothing more is asked, or by itself once reading has taken longer
than it may. A thread of C watches that, because libhdf5 in an endless loop lets no Python run.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from incgen.weights.checkpoint import Checkpoint, Stored, first_line
from incgen.weights.errors import WeightsError
from incgen.weights.readers import keras
from incgen.weights.readers.apart import READY


def main() -> None:
    """Read as the arguments say: a function of `keras.py`, the file, the seconds."""
    function, path, seconds = sys.argv[1:]
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # whatever a library prints does not belong between the answers
        answers.write(READY)
        answers.flush()
        _serve(function, Path(path), _Patience(float(seconds)), answers)


def _serve(function: str, path: Path, patience: _Patience, answers: BinaryIO) -> None:
    try:
        with patience.spent():
            checkpoint: Checkpoint = getattr(keras, function)(path)
    except Exception as error:
        _say(answers, error=_text(error))
        return
    tensors = list(checkpoint.tensors.values())
    listed = [(each.name, each.shape, each.dtype, each.offset) for each in tensors]
    _say(answers, format=checkpoint.format, tensors=listed)
    for line in sys.stdin:
        _send(tensors[int(line)], patience, answers)


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
    """The time that reading may take, all in all."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds

    @contextmanager
    def spent(self) -> Iterator[None]:
        """End this process if what is done inside of this takes longer than what is left."""
        start = time.monotonic()
        faulthandler.dump_traceback_later(max(self._left, 1e-3), exit=True)  # exit code 1
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            self._left -= time.monotonic() - start


if __name__ == "__main__":
    main()
