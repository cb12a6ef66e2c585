"""Signals as exceptions, so that a command that is ended removes what it has half made.

Python raises an exception for an interrupt from the keyboard, but dies without cleaning up on the
signals that systems and terminals end programs with. Here, all of them are exceptions.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

#: Ctrl-C; `kill`, `timeout` and whatever ends services; a terminal that is closed.
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
#: Seconds that cleaning up may take, during which further signals are ignored.
_PATIENCE = 5.0


class Ended(KeyboardInterrupt):
    """A signal that ends the program was received."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def exit_code(error: BaseException | None) -> int:
    """Return the exit code for an end by a signal: 128 and its number, as shells do."""
    while error is not None and not isinstance(error, Ended):
        error = error.__cause__
    return 128 + (error.number if error else signal.SIGINT)


@contextmanager
def as_exceptions() -> Iterator[None]:
    """Raise `Ended` when a signal that ends the program arrives.

    Further signals are ignored during cleanup, and end the program at once if that takes too long.
    Signals that the program was told to ignore (`nohup`) stay ignored.
    """
    first: list[float] = []

    def end(number: int, frame: FrameType | None) -> None:
        if not first:
            first.append(time.monotonic())
            raise Ended(number)
        if time.monotonic() - first[0] > _PATIENCE:
            end_children()
            os._exit(128 + number)

    before = {}
    for name in _SIGNALS:
        number = getattr(signal, name, None)  # Windows has fewer signals
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            try:
                before[number] = signal.signal(number, end)
            except ValueError:  # only the main thread can set handlers
                break
    try:
        yield
    finally:
        if first:  # until the program has ended
            before.clear()
        for number, handler in before.items():
            signal.signal(number, handler)


def end_children() -> None:
    """End the processes that `multiprocessing` has started, whatever they are doing."""
    if "multiprocessing" in sys.modules:
        import multiprocessing

        for child in multiprocessing.active_children():
            child.kill()
