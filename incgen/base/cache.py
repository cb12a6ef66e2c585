"""A per-user cache of what would otherwise be recomputed at every start.

The tables of the grammar cost as much as a small build, and so does compiling templates. Both are
kept as plain data under a digest: an entry that is missing, old or damaged is made again, and
nothing fails where none can be kept. What templates are compiled to is code, as Python's own caches
are, so a folder that anybody else can write to is never read.
"""

from __future__ import annotations

import hashlib
import marshal
import os
import stat
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

_DIGEST = 64  # hexadecimal digits in front of the data
_FORMAT = 4  # of `marshal`: all versions of Python that incgen runs on read it


def load(name: str) -> Any:
    """Return what was kept under a name, or None if there is nothing or it is damaged."""
    place = _folder()
    if place is None:
        return None
    try:
        entry = (place / name).read_bytes()
        digest, data = entry[:_DIGEST], entry[_DIGEST:]
        if digest != _digest(data):
            return None
        return marshal.loads(data)
    except (OSError, EOFError, TypeError, ValueError):
        return None


def store(name: str, value: Any) -> None:
    """Keep plain data under a name, if that is possible."""
    place = _folder()
    if place is None:
        return
    from incgen.base.files import OutputError, replace

    data = marshal.dumps(value, _FORMAT)
    with suppress(OutputError, OSError):  # a full disk, another system's rules
        replace(place / name, _digest(data) + data)


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode("ascii")


@cache
def _folder() -> Path | None:
    """Return the folder, made if need be; None if there can be none.

    `INCGEN_CACHE` names another one, or none if it is empty. A folder that others can write to is
    not used: they could change what a spec is taken for.
    """
    named = os.environ.get("INCGEN_CACHE")
    if named == "":
        return None
    try:
        place = Path(named) if named else _usual()
        if not place.is_absolute():
            return None  # it would be another one in each project, and could be a project's own
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = place.stat()
        ours = not hasattr(os, "getuid") or status.st_uid == os.getuid()
        shared = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        return place if ours and not shared else None
    except (OSError, RuntimeError, ValueError):  # no home, no room, a file in the way
        return None


def _usual() -> Path:
    """Return where the platform keeps caches.

    Relative paths are invalid in these variables and to be ignored (XDG Base Directory
    Specification 0.8).
    """
    for variable in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        place = Path(os.environ.get(variable, ""))
        if place.is_absolute():
            return place / "incgen"
    return Path.home() / ".cache" / "incgen"
