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
    """What one input may take.

    Attributes:
        seconds: of the processor's time in the process itself.
        waiting: seconds by the clock; more than the above, since other programs run too.
        memory: bytes that the process may take beyond what it has at its beginning.
    """

    seconds: float = 2.0
    waiting: float = 60.0
    memory: int = 1 << 30


class Hang(BaseException):
    """Something takes too long. No `Exception`: nothing that is examined may catch it."""


@contextmanager
def bounded(bounds: Bounds) -> Iterator[None]:
    """Interrupt what is done inside of this when its time is over.

    Raises:
        Hang: it is.
    """
    start = time.process_time()

    def interrupt(number: int, frame: FrameType | None) -> None:
        left = bounds.seconds - (time.process_time() - start)
        if number == signal.SIGPROF and left > 0:  # the timer counts in ticks of the system
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
    """Let this process have so much memory more and no more; what is beyond is a MemoryError."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + bounds.memory
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def peak_memory() -> int:
    """Return the peak memory of this process, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def spent() -> float:
    """Seconds of the processor's time so far, of this process and of those it has waited for."""
    theirs = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + theirs.ru_utime + theirs.ru_stime
