"""Tasks split over processes: frameworks need one each, and can take theirs down with them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

#: Tasks after which a process is replaced: TensorFlow keeps something of every model.
_TASKS = 40
#: One thread for each framework: networks are small, and processes many.
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
    """Do tasks in processes of their own, and give each with its result as it is done.

    Args:
        action: a function of a module.
        tasks: what it is called with.
        processes: how many run at the same time.

    Yields:
        A task and what came of it; None if its process died. An interrupt ends it when the tasks
        that run are done; a second one ends it at once.
    """
    waiting = iter(tasks)
    lost: list[Task] = []
    while True:
        died: list[Task] = []
        for task, result in _round(action, waiting, processes, died):
            yield task, result
        if not died:
            break
        lost += died
    # Whichever process died took the others' tasks with it: each is tried again, alone.
    for task in lost:
        died = []
        yield from _round(action, iter([task]), 1, died)
        if died:
            yield task, None


def _round(
    action: Callable[[Task], Result], waiting: Iterator[Task], processes: int, died: list[Task]
) -> Iterator[tuple[Task, Result]]:
    """Tasks until none is left, or until a process dies: then `died` has those that ran."""
    running: dict[Future[Result], Task] = {}
    executor = ProcessPoolExecutor(
        processes, get_context("spawn"), _begin, max_tasks_per_child=_TASKS
    )
    try:
        while True:
            while len(running) < processes and not died:
                task = next(waiting, None)
                if task is None:
                    break
                running[executor.submit(action, task)] = task
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                task = running.pop(future)
                try:
                    result = future.result()
                except BrokenProcessPool:
                    died.append(task)
                    continue
                yield task, result
    except KeyboardInterrupt:
        for future in wait(running).done:
            if future.exception() is None:
                yield running[future], future.result()
        raise
    finally:
        executor.shutdown(cancel_futures=True)


def _begin() -> None:
    """Prepare a new process; an interrupt is for the one that started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(_QUIET)
