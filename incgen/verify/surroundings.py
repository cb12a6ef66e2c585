"""Settings of the process that importing and running a generated file must not change.

Random state, threads, types, warnings, the environment: whatever a file changes there changes for
the rest of the program too.
"""

from __future__ import annotations

import gc
import locale
import logging
import os
import random
import signal
import socket
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from incgen.base.diagnostics import listed
from incgen.verify.runners.results import RunFault

#: A seed that nobody sets: a file that sets a seed sets a different one.
UNUSUAL = 20_150_211
#: The loggers whose level and handlers are checked; "" is the root.
_LOGGERS = ("", "absl", "jax", "keras", "tensorflow", "torch")
#: The random generators: only making a model and training may draw from them.
RANDOM = "random numbers"


def of_process() -> dict[str, Any]:
    """Return the settings of Python and NumPy, by names that can be looked up."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    drawn = np.random.get_state(legacy=False)["state"]
    return {
        f"{RANDOM} of NumPy": (drawn["key"].tobytes(), drawn["pos"]),
        f"{RANDOM} of Python": random.getstate(),
        "numpy.seterr": np.geterr(),
        "numpy.set_printoptions": {k: str(v) for k, v in np.get_printoptions().items()},
        "numpy.setbufsize": np.getbufsize(),
        "flushing of denormal numbers": 5e-310 * float(len(_LOGGERS)) == 0,
        "warnings.filters": list(warnings.filters),
        "warnings.showwarning": warnings.showwarning,
        "logging.disable": logging.root.manager.disable,
        "levels of loggers": [logger.level for logger in loggers],
        "handlers of loggers": [list(logger.handlers) for logger in loggers],
        "os.environ": dict(os.environ),
        "the working directory": os.getcwd(),
        "sys.path": list(sys.path),
        "sys.meta_path": list(sys.meta_path),
        "sys.stdout and sys.stderr": (sys.stdout, sys.stderr),
        "sys.excepthook": sys.excepthook,
        "sys.setrecursionlimit": sys.getrecursionlimit(),
        "sys.setswitchinterval": sys.getswitchinterval(),
        "gc": (gc.isenabled(), gc.get_threshold()),
        "locale": locale.setlocale(locale.LC_ALL),
        "signal handlers": [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)],
        "socket.setdefaulttimeout": socket.getdefaulttimeout(),
    }


@contextmanager
def kept(
    doing: str, settings: Callable[[], Mapping[str, Any]], *, drawn: bool = False
) -> Iterator[None]:
    """Check that an action changes no setting, and draws random numbers only if allowed.

    Raises:
        RunFault: A setting has changed.
    """
    before = {**of_process(), **settings()}
    yield
    after = {**of_process(), **settings()}
    changed = [
        name
        for name, value in before.items()
        if not _same(value, after[name]) and not (drawn and name.startswith(RANDOM))
    ]
    if changed:
        raise RunFault(f"{doing} changes {listed(changed)}")


def _same(before: Any, after: Any) -> bool:
    return (
        bool(np.array_equal(before, after)) if isinstance(before, np.ndarray) else before == after
    )
