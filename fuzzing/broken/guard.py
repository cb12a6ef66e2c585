"""Bound the time of a piece of work and the memory of its process. Needs Linux."""

from __future__ import annotations

import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType


@dataclass(frozen=True)
class Bounds:
    """The limits of one input.

    Attributes:
        seconds: Processor time in the process itself.
        waiting: Wall-clock seconds; more than the above, since other programs run too.
        memory: Bytes that the process may use beyond those it has at its start.
    """

    seconds: float = 2.0
    waiting: float = 60.0
    memory: int = 1 << 30


class Hang(BaseException):
    """Something takes too long. Not an `Exception`, so that no code under test can catch it."""


@contextmanager
def bounded(bounds: Bounds) -> Iterator[None]:
    """Interrupt the code inside when its time is up.

    Raises:
        Hang: The time is up.
    """
    start = time.process_time()

    def interrupt(number: int, frame: FrameType | None) -> None:
        left = bounds.seconds - (time.process_time() - start)
        if number == signal.SIGPROF and left > 0:  # the timer has the resolution of system ticks
            signal.setitimer(signal.ITIMER_PROF, max(left, 0.01))
            return
        limit = bounds.seconds if number == signal.SIGPROF else bounds.waiting
        place = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "somewhere"
        raise Hang(f"more than {limit:g} seconds, at {place}")

    signals = (signal.SIGPROF, signal.SIGALRM)
    before = [signal.signal(number, interrupt) for number in signals]
    try:
        signal.setitimer(signal.ITIMER_PROF, bounds.seconds)
        signal.setitimer(signal.ITIMER_REAL, bounds.waiting)
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


def limit_memory(bounds: Bounds) -> None:
    """Limit this process to this much additional memory; beyond it, a MemoryError is raised."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + bounds.memory
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def peak_memory() -> int:
    """Return the peak memory of this process, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def spent() -> float:
    """Return the processor time so far of this process and those it has waited for, in seconds."""
    theirs = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + theirs.ru_utime + theirs.ru_stime
