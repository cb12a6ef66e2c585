"""Files that are written whole or not at all, and what to report if they cannot be."""

from __future__ import annotations

import os
import stat
from pathlib import Path


class OutputError(Exception):
    """A file cannot or must not be written; the message says which, why and what to do."""


def refuse_links(path: Path) -> None:
    """Raise `OutputError` for a symbolic link, since the link or its target could be meant."""
    if path.is_symlink():
        name = path.as_posix()
        raise OutputError(f"`{name}` is a symbolic link: give the file that it leads to")


def check_new(path: Path, *, force: bool) -> None:
    """Raise `OutputError` for a symbolic link, and for a file that exists unless forced."""
    refuse_links(path)
    if path.exists() and not force:
        raise OutputError(f"`{path.as_posix()}` exists: overwrite it with --force")


def existing(path: Path) -> bytes | None:
    """Return the content of a regular file; None if it does not exist."""
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
    """Create a folder and its parents, if they are missing; raise `OutputError` if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        name = folder.as_posix()
        raise OutputError(f"the folder `{name}` cannot be made: {reason(error)}") from None


def replace(path: Path, data: bytes) -> None:
    """Write a file in one step; an existing one keeps its mode, and links are not followed.

    Raises:
        OutputError: It cannot be written; nothing has changed.
    """
    with Replacement(path) as temporary:
        temporary.write(data)


def rewrite(path: Path, data: bytes) -> None:
    """Overwrite the content of a file in place, keeping its owner, mode and links.

    This is for files that people write. Unlike with a replacement, a reader may see it half
    written; but a replacement would be a new file with a new owner, and other links would keep the
    old one.

    Raises:
        OutputError: It cannot be written; its old content has been restored.
    """
    _refuse_read_only(path)
    try:
        descriptor = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "r+b") as file:
            before = file.read()
            try:
                _put(descriptor, data)
            except BaseException:  # its space is still allocated
                _put(descriptor, before)
                raise
    except (OSError, ValueError) as error:
        raise OutputError(f"`{path.as_posix()}` cannot be written: {reason(error)}") from None


def _put(descriptor: int, data: bytes) -> None:
    """Set the content of a file."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    _write(descriptor, data)
    os.ftruncate(descriptor, len(data))


def _write(descriptor: int, data: bytes | memoryview) -> None:
    view = memoryview(data).cast("B")
    while len(view):
        view = view[os.write(descriptor, view) :]


def _refuse_read_only(path: Path) -> None:
    """Refuse to replace a read-only file, even if the folder is writable."""
    try:
        writable = path.stat().st_mode & 0o222
    except (OSError, ValueError):
        return
    if not writable:
        name = path.as_posix()
        raise OutputError(f"`{name}` is read-only: make it writable (chmod u+w), or choose another")


class Replacement:
    """A file beside another that replaces it once everything has been written.

    As a context manager, it removes itself if anything goes wrong.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.temporary = path.with_name(f".{path.name[:100]}.{os.urandom(6).hex()}.tmp")
        self._descriptor = -1

    def __enter__(self) -> Replacement:
        """Open the new file beside the old one, in a folder that is made if it is missing."""
        _refuse_read_only(self.path)
        make_folder(self.path.parent)
        # O_EXCL: never a file or a link that somebody else put there.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        try:
            self._descriptor = os.open(self.temporary, flags, 0o666)
        except (OSError, ValueError) as error:
            raise self._failed(error) from None
        except BaseException:  # a signal may arrive as soon as it is open
            self.temporary.unlink(missing_ok=True)
            raise
        return self

    def write(self, data: bytes | memoryview) -> None:
        """Append to the new file."""
        _write(self._descriptor, data)

    def write_at(self, place: int, data: bytes) -> None:
        """Overwrite what was written at an offset; then append as before."""
        end = os.lseek(self._descriptor, 0, os.SEEK_CUR)
        os.lseek(self._descriptor, place, os.SEEK_SET)
        self.write(data)
        os.lseek(self._descriptor, end, os.SEEK_SET)

    def close(self) -> None:
        """Close the file, so that many files need not be open until they are moved into place."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            try:
                os.close(descriptor)
            except OSError as error:  # some file systems only report now that they are full
                raise self._failed(error) from None

    def __exit__(self, kind: type[BaseException] | None, error: object, _: object) -> None:
        """Move the new file into the place of the old one, or remove it."""
        try:
            self.close()
            if kind is None:
                if self.path.exists():
                    os.chmod(self.temporary, stat.S_IMODE(self.path.stat().st_mode))
                os.replace(self.temporary, self.path)
        except OSError as problem:
            error = problem
        finally:  # also after a signal; if all went well, it no longer exists
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
