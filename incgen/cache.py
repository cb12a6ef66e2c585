"""A folder of the user's for what would be computed again at every start.

The tables of the grammar and the compiled templates cost more than a whole build. They are kept
like Python's own bytecode: a missing, old or damaged file is made again, and without a folder
nothing is kept.
"""

from __future__ import annotations

import os
import stat
from functools import cache
from pathlib import Path


@cache
def folder() -> Path | None:
    """The folder, made if need be; None if there can be none.

    `INCGEN_CACHE` names another one, or none if it is empty. What lies in it is executed, so a
    folder that others can write to is not used.
    """
    named = os.environ.get("INCGEN_CACHE")
    if named == "":
        return None
    try:
        place = Path(named) if named else _usual()
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = place.stat()
        ours = not hasattr(os, "getuid") or status.st_uid == os.getuid()
        shared = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        return place if ours and not shared and os.access(place, os.W_OK) else None
    except (OSError, RuntimeError, ValueError):  # no home, no room, a file in the way
        return None


def _usual() -> Path:
    """Where the platform keeps caches."""
    for variable in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        if os.environ.get(variable):
            return Path(os.environ[variable]) / "incgen"
    return Path.home() / ".cache" / "incgen"
