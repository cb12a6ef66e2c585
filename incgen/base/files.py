"""Files that are written whole or not at all, and what to report if they cannot be."""

from __future__ import annotations

import os
import stat
from pathlib import Path


class OutputError(Exception):
    """A file cannot or must not be written; the text says which, why and what to do."""


def refuse_links(path: Path) -> None:
    """Refuse to write to a symbolic link, whose own place or whose target could be meant.

    Raises:
        OutputError: The path is one.
    """
    if path.is_symlink():
        name = path.as_posix()
        raise OutputError(f"`{name}` is a symbolic link: give the file that it leads to")


def existing(path: Path) -> bytes | None:
    """Return the content of a regular file; None if there is nothing."""
    name = path.as_posix()
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            what = "a folder" if path.is_dir() else "not a regular file"
            raise OutputError(f"`{name}` is {what}: give a file, or `-` for standard output")
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise OutputError(f"`{name}` cannot be read: {reason(error)}") from None


def make_folder(folder: Path) -> None:
    """Make a folder and those around it, where they are missing.

    Raises:
        OutputError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        name = folder.as_posix()
        raise OutputError(f"the folder `{name}` cannot be made: {reason(error)}") from None


def replace(path: Path, data: bytes) -> None:
    """Write a file in one step; one that is there keeps its mode, and a link is not followed.

    Raises:
        OutputError: It cannot be written; nothing has changed then.
    """
    with Replacement(path) as temporary:
        temporary.write(data)


def rewrite(path: Path, data: bytes) -> None:
    """Write other content into a file, which stays the same one: with its owner, mode and links.

    That is for files of people. A reader may see it half written, unlike one that is replaced, but
    a file that is replaced is a new one, of whoever replaces it, and other links keep the old.

    Raises:
        OutputError: It cannot be written; what was in it is in it again.
    """
    _refuse_read_only(path)
    try:
        descriptor = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "r+b") as file:
            before = file.read()
            try:
                _put(descriptor, data)
            except BaseException:  # its room is still there
                _put(descriptor, before)
                raise
    except (OSError, ValueError) as error:
        raise OutputError(f"`{path.as_posix()}` cannot be written: {reason(error)}") from None


def _put(descriptor: int, data: bytes) -> None:
    """Make a file have this content."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    _write(descriptor, data)
    os.ftruncate(descriptor, len(data))


def _write(descriptor: int, data: bytes | memoryview) -> None:
    view = memoryview(data).cast("B")
    while len(view):
        view = view[os.write(descriptor, view) :]


def _refuse_read_only(path: Path) -> None:
    """Refuse to replace a read-only file, even where the folder is writable."""
    try:
        writable = path.stat().st_mode & 0o222
    except (OSError, ValueError):
        return
    if not writable:
        name = path.as_posix()
        raise OutputError(f"`{name}` is read-only: make it writable (chmod u+w), or choose another")


class Replacement:
    """A file beside another, which it replaces when everything has been written.

    As a context manager it removes itself if anything goes wrong.
    """

    def __init__(self, path: Path) -> None:
        """Take the place; nothing is opened yet."""
        self.path = path
        self.temporary = path.with_name(f".{path.name[:100]}.{os.urandom(6).hex()}.tmp")
        self._descriptor = -1

    def __enter__(self) -> Replacement:
        """Open the new file beside the old one."""
        _refuse_read_only(self.path)
        # O_EXCL: never a file or a link that somebody else put there.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        try:
            self._descriptor = os.open(self.temporary, flags, 0o666)
        except (OSError, ValueError) as error:
            raise self._failed(error) from None
        except BaseException:  # a signal, as soon as it was open
            self.temporary.unlink(missing_ok=True)
            raise
        return self

    def write(self, data: bytes | memoryview) -> None:
        """Append to the new file."""
        _write(self._descriptor, data)

    def write_at(self, place: int, data: bytes) -> None:
        """Write over what was written there; what comes next is appended as before."""
        end = os.lseek(self._descriptor, 0, os.SEEK_CUR)
        os.lseek(self._descriptor, place, os.SEEK_SET)
        self.write(data)
        os.lseek(self._descriptor, end, os.SEEK_SET)

    def close(self) -> None:
        """Write no more; of many files, all need not be open until they take their places."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            try:
                os.close(descriptor)
            except OSError as error:  # some file systems tell only now that there is no room
                raise self._failed(error) from None

    def __exit__(self, kind: type[BaseException] | None, error: object, _: object) -> None:
        """Put the new file in the place of the old one, or remove it."""
        try:
            self.close()
            if kind is None:
                if self.path.exists():
                    os.chmod(self.temporary, stat.S_IMODE(self.path.stat().st_mode))
                os.replace(self.temporary, self.path)
        except OSError as problem:
            error = problem
        finally:  # also if a signal comes; where all went well it is there no more
            self.temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise self._failed(error) from None

    def _failed(self, error: Exception) -> OutputError:
        name = self.path.as_posix()
        return OutputError(f"`{name}` cannot be written: {reason(error)}")


def reason(error: Exception) -> str:
    """Return the system's description of a failure, as the end of a sentence."""
    text = getattr(error, "strerror", None) or str(error)
    return f"{text[:1].lower()}{text[1:]}"
