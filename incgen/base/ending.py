"""Signals as exceptions, so that a command that is ended removes what it has half made.

Python knows an interrupt from the keyboard as an exception, and dies without cleaning up of the
signals by which systems and terminals end a program. Here all are alike.
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
#: Seconds that cleaning up may take: so long, further signals change nothing.
_PATIENCE = 5.0


class Ended(KeyboardInterrupt):
    """A signal has come that ends the program."""

    def __init__(self, number: int) -> None:
        """Keep which."""
        super().__init__(signal.Signals(number).name)
        self.number = number


def exit_code(error: BaseException | None) -> int:
    """Return the exit code for an end by a signal: 128 and its number, as shells have it."""
    while error is not None and not isinstance(error, Ended):
        error = error.__cause__
    return 128 + (error.number if error else signal.SIGINT)


@contextmanager
def as_exceptions() -> Iterator[None]:
    """Raise `Ended` where a signal comes that ends the program.

    Further signals are left out while what was raised cleans up, and end the program at once if
    that does not succeed. What the program was told to ignore (`nohup`) stays ignored.
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
        number = getattr(signal, name, None)  # Windows has fewer
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            try:
                before[number] = signal.signal(number, end)
            except ValueError:  # only the main thread can
                break
    try:
        yield
    finally:
        if first:  # until the program has ended
            before.clear()
        for number, handler in before.items():
            signal.signal(number, handler)


def end_children() -> None:
    """End the processes that `multiprocessing` has started, whatever they do."""
    if "multiprocessing" in sys.modules:
        import multiprocessing

        for child in multiprocessing.active_children():
            child.kill()
