"""Try one input: how it ends, what it took, and what is wrong with that."""

from __future__ import annotations

import shutil
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fuzzing.broken.cases import Case
from fuzzing.broken.guard import Bounds, Hang, bounded, spent


class Failure(Exception):
    """An input does not end as every input should."""

    def __init__(self, kind: str, detail: str) -> None:
        """Store what is wrong.

        Args:
            kind: A few words; two failures of one kind probably have the same cause.
            detail: The rest of the message.
        """
        super().__init__(f"{kind}: {detail}")
        self.kind = kind


class Subject(Protocol):
    """The subject of a fuzzing run, as it is sent to other processes."""

    @property
    def bounds(self) -> Bounds:
        """Return the bounds for one input."""

    def prepare(self) -> None:
        """Prepare a process before its memory is limited."""

    def make(self, number: int) -> Case:
        """Return an input; the same number always gives the same one."""

    def examine(self, case: Case, folder: Path, number: int) -> tuple[str, ...]:
        """Return how an input ends, in words to be counted; anything raised is a failure.

        Args:
            case: The input.
            folder: An empty folder.
            number: The number of the input; some may be examined more closely than others.
        """


@dataclass(frozen=True)
class Outcome:
    """The outcome of an input.

    Attributes:
        ends: Words to be counted, the worst first.
        seconds: Processor time in seconds.
        failure: What is wrong, in a few words; None if nothing is.
        detail: The rest of the message.
    """

    ends: tuple[str, ...]
    seconds: float
    failure: str | None = None
    detail: str = ""


def tried(subject: Subject, case: Case, folder: Path, number: int) -> Outcome:
    """Try an input in a temporary folder."""
    folder.mkdir()
    start = spent()
    failure, detail, ends = None, "", tuple[str, ...]()
    try:
        with bounded(subject.bounds):
            ends = subject.examine(case, folder, number)
    except Hang as error:
        failure, detail = "hang", str(error)
    except MemoryError as error:
        failure, detail = "memory", _last_lines(error)
    except Failure as error:
        failure, detail = error.kind, str(error)
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        failure = f"{type(error).__name__} in {Path(frame.filename).name}, {frame.name}"
        detail = _last_lines(error)
    seconds = spent() - start
    shutil.rmtree(folder, ignore_errors=True)
    return Outcome(ends or ("failed",), seconds, failure, detail)


def _last_lines(error: BaseException) -> str:
    lines = "".join(traceback.format_exception(error)).splitlines()
    return "\n".join(line[:300] for line in lines[-12:])
