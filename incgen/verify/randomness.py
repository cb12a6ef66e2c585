"""What a generated file must leave alone: the random numbers of whoever imports it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from incgen.verify.runners import RunFault

#: A seed that nobody sets: a file that sets one sets another.
UNUSUAL = 20_150_211


@contextmanager
def random_kept(state: Callable[[], Any]) -> Iterator[None]:
    """An import that draws or seeds nothing.

    Args:
        state: gives that of the framework's own random numbers, as an array.

    Raises:
        RunFault: random numbers go on elsewhere after it.
    """

    def states() -> list[Any]:
        return [
            np.asarray(state()),
            np.random.get_state(legacy=False)["state"]["key"],
            np.asarray(random.getstate()[1]),
        ]

    before = states()
    yield
    if not all(map(np.array_equal, before, states())):
        raise RunFault("importing it sets the seed of random numbers, or draws some")
