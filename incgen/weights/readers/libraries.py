"""Libraries that only some files need: a missing one names the extra that installs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from incgen.base.modules import needs
from incgen.weights.errors import WeightsError


@contextmanager
def extra(name: str, what: str) -> Iterator[None]:
    """Import libraries in this context, which `what` needs and incgen's extra `name` installs."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise WeightsError(f"{what} {needs(error, name, 'need')}") from None
