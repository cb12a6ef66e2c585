"""The folders that ship with incgen: grammar, templates and specs."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import incgen


@cache
def folder(name: str) -> Path:
    """Return one of them: inside the installed package, or beside it in a checkout.

    It is found by where the code lies, so that the code of one checkout never meets the files of
    another, whichever of them is installed.
    """
    package = Path(incgen.__file__).resolve().parent
    installed = package / name
    return installed if installed.is_dir() else package.parent / name
