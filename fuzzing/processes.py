"""Split tasks over processes: each framework needs its own, and may crash it."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

#: Tasks after which a process is replaced, because TensorFlow leaks memory with every model.
_TASKS = 40
#: One thread per framework: networks are small, and there are many processes.
_QUIET = {
    "OMP_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "",
}


def spread(
    action: Callable[[Task], Result], tasks: Iterable[Task], processes: int
) -> Iterator[tuple[Task, Result | None]]:
    """Run tasks in separate processes, and yield each with its result when it is done.

    Args:
        action: A module-level function.
        tasks: Its arguments; none of them is None.
        processes: How many run at the same time.

    Yields:
        A task and its result; None if its process died.

    Whatever ends the iteration early, such as an interrupt, ends the processes at once.
    """
    waiting = iter(tasks)
    workers: list[_Worker[Task, Result]] = []
    # a process that dies leaves files behind
    with tempfile.TemporaryDirectory(prefix="incgen-") as folder:
        try:
            while True:
                while len(workers) < processes and (task := next(waiting, None)) is not None:
                    workers.append(_Worker(action, folder, task))
                if not workers:
                    return
                ready = wait([worker.connection for worker in workers])
                for worker in [candidate for candidate in workers if candidate.connection in ready]:
                    task, result = worker.task, worker.result()
                    following = next(waiting, None) if worker.can_go_on else None
                    if following is None:
                        workers.remove(worker)
                        worker.end()
                    else:
                        worker.give(following)
                    yield task, result
        finally:
            for worker in workers:
                worker.end()


class _Worker(Generic[Task, Result]):
    """A process that does one task after another."""

    def __init__(self, action: Callable[[Task], Result], folder: str, task: Task) -> None:
        """Start it with its first task."""
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(folder, theirs), daemon=True)
        self.process.start()
        theirs.close()
        self.action, self.done, self.can_go_on = action, 0, True
        self.give(task)

    def give(self, task: Task) -> None:
        """Hand over a task."""
        self.task = task
        with suppress(OSError):  # it has died, which shows when its result is requested
            self.connection.send((self.action, task))

    def result(self) -> Result | None:
        """Return the result of the task; None if the process died. Raise what the task raised."""
        self.done += 1
        try:
            result, error = self.connection.recv()
        except (EOFError, OSError):
            self.can_go_on = False
            return None
        if error is not None:
            raise error
        self.can_go_on = self.done < _TASKS
        return result  # type: ignore[no-any-return]

    def end(self) -> None:
        """End it, whatever it is doing."""
        self.process.kill()
        self.process.join()
        self.connection.close()


def _work(folder: str, tasks: Connection) -> None:
    """Run as a worker until the parent process ends, which also handles interrupts."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(_QUIET)  # before the first task imports a framework
    tempfile.tempdir = folder
    with suppress(EOFError):
        while True:
            action, task = tasks.recv()
            answer: tuple[Any, Exception | None]
            try:
                answer = action(task), None
            except Exception as error:
                answer = None, error
            tasks.send(answer)
