"""A per-user cache of what would otherwise be recomputed at every start.

The tables of the grammar cost as much as a small build, and so does compiling templates. Both are
cached as plain data under a digest: an entry that is missing, old or damaged is rebuilt, and
nothing fails if none can be stored. Compiled templates are code, like Python's own caches, so a
folder that anybody else can write to is never read.
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
    """Return what is cached under a name, or None if there is nothing or it is damaged."""
    place = _folder()
    if place is None:
        return None
    try:
        entry = (place / name).read_bytes()
        stated, data = entry[:_DIGEST], entry[_DIGEST:]
        if stated != digest(data).encode("ascii"):
            return None
        return marshal.loads(data)
    except (OSError, EOFError, TypeError, ValueError):
        return None


def store(name: str, value: Any) -> None:
    """Cache plain data under a name, if possible."""
    place = _folder()
    if place is None:
        return
    from incgen.base.files import OutputError, replace

    data = marshal.dumps(value, _FORMAT)
    # the disk may be full, or another system's rules may apply
    with suppress(OutputError, OSError):
        replace(place / name, digest(data).encode("ascii") + data)


def store_file(name: str, data: bytes) -> Path | None:
    """Keep a file for other programs to read; return its path, or None if that is impossible."""
    place = _folder()
    if place is None:
        return None
    from incgen.base.files import OutputError, replace

    path = place / name
    with suppress(OutputError, OSError):
        if not path.is_file() or path.read_bytes() != data:
            replace(path, data)
        return path
    return None


def digest(data: bytes) -> str:
    """Return a digest, under which what is made from data is cached."""
    return hashlib.sha256(data).hexdigest()


@cache
def _folder() -> Path | None:
    """Return the folder, creating it if necessary; None if that is impossible.

    `INCGEN_CACHE` names another one, or none if it is empty. A folder that others can write to is
    not used: they could change how a spec is read.
    """
    named = os.environ.get("INCGEN_CACHE")
    if named == "":
        return None
    try:
        place = Path(named) if named else _usual()
        if not place.is_absolute():
            return None  # it would differ between projects, and could belong to one
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = place.stat()
        ours = not hasattr(os, "getuid") or status.st_uid == os.getuid()
        shared = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        return place if ours and not shared else None
    except (OSError, RuntimeError, ValueError):  # there is no home, no space, or a file in the way
        return None


def _usual() -> Path:
    """Return the platform's folder for caches.

    Relative paths are invalid in these variables and to be ignored (XDG Base Directory
    Specification 0.8).
    """
    for variable in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        place = Path(os.environ.get(variable, ""))
        if place.is_absolute():
            return place / "incgen"
    return Path.home() / ".cache" / "incgen"
