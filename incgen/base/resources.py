"""The folders that ship with incgen: grammar, templates and specs."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import incgen


@cache
def folder(name: str) -> Path:
    """Return one of these folders: inside the installed package, or beside it in a checkout.

    It is found relative to the code, so that the code of one checkout never uses the files of
    another, whichever is installed.
    """
    package = Path(incgen.__file__).resolve().parent
    installed = package / name
    return installed if installed.is_dir() else package.parent / name
