"""Source texts to files, without ever destroying the work of a person.

A generated file begins with a checksum of all lines below it. A file without that line is not
incgen's, and one whose line does not fit was edited since: neither is written over unless that
is forced. A file is replaced in one step, so a reader sees the old or the new one.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

#: Where generated files go if nothing is said.
FOLDER = "generated"

_MARK = "# incgen sha256:"
_FIRST_LINE = re.compile(rf"{_MARK}([0-9a-f]{{16}})\n")


class OutputError(Exception):
    """A file cannot or must not be written; the text says which, why and what to do."""


@dataclass(frozen=True, slots=True)
class GeneratedFile(os.PathLike[str]):
    """A file that incgen generates, against what is, or was, on disk.

    Attributes:
        path: where it is.
        text: what belongs there, checksum included.
        before: what was there; None if there was no file.
    """

    path: Path
    text: str = field(repr=False)
    before: str | None = field(repr=False)

    def __fspath__(self) -> str:
        """The path, so that the object can stand where a path can."""
        return str(self.path)

    @property
    def changed(self) -> bool:
        """Whether the file differs from what belongs there."""
        return self.before != self.text

    def diff(self) -> str:
        """A unified diff from what is there to what belongs there; "" where they are equal."""
        name = self.path.as_posix()
        return unified_diff(self.before, self.text, name, name)


# ---------------------------------------------------------------- checksums


def sealed(source: str) -> str:
    r"""A source text with its checksum line.

    >>> sealed("x = 1\n")
    '# incgen sha256:9e26bf369911c45c\nx = 1\n'
    """
    return f"{_MARK}{_checksum(source)}\n{source}"


def is_untouched(text: str) -> bool:
    """Whether a text is as incgen wrote it."""
    found = _FIRST_LINE.match(text)
    return found is not None and found[1] == _checksum(text[found.end() :])


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


# ---------------------------------------------------------------- places


def places(
    network: str, targets: Sequence[str], output: str | os.PathLike[str] | None
) -> dict[str, Path]:
    """The file of each target.

    Args:
        network: the name of the network.
        targets: names of targets.
        output: a file, a folder (one that exists, or a text with a slash at its end), or None.

    Raises:
        OutputError: one file for several targets.
    """
    given = FOLDER + "/" if output is None else os.fspath(output)
    if not given:
        raise OutputError("the output has no name: give a file, or a folder such as `generated/`")
    slashes = ("/", os.sep)
    if given.endswith(slashes) or os.path.isdir(given):
        return {target: Path(given, f"{network}_{target}.py") for target in targets}
    if len(targets) > 1:
        help_ = f"write `{given}/` for a folder"
        raise OutputError(f"`{given}` is one file for {len(targets)} targets: {help_}")
    return {targets[0]: Path(given)}


# ---------------------------------------------------------------- files


def compared(path: Path, source: str) -> GeneratedFile:
    """A file as it should be, against the one on disk.

    Raises:
        OutputError: there is something that cannot be read.
    """
    text = sealed(source)
    data = _existing(path)
    if data is None:
        return GeneratedFile(path, text, None)
    # A checkout may have other newlines; that is no difference.
    before = data.decode("utf-8", "replace").replace("\r\n", "\n")
    return GeneratedFile(path, text, before)


def write_all(sources: Mapping[Path, str], *, force: bool = False) -> list[GeneratedFile]:
    """Write files, all or, where one must not be written, none.

    Args:
        sources: source texts without their checksum lines, by their places.
        force: also write over files that are not incgen's or were edited since.

    Raises:
        OutputError: a file cannot or must not be written.
    """
    files = [compared(path, source) for path, source in sources.items()]
    for file in files:
        _refuse_links(file.path)
        if file.changed and file.before is not None and not force:
            _check_ours(file)
    for file in files:
        if file.changed:
            make_folder(file.path.parent)
            replace(file.path, file.text.encode("utf-8"))
    return files


def _check_ours(file: GeneratedFile) -> None:
    """Refuse to write over the work of a person."""
    before, name = file.before or "", file.path.as_posix()
    if is_untouched(before):
        return
    if _MARK in before:
        raise OutputError(
            f"`{name}` was edited since incgen wrote it: move your changes into the spec or "
            "another file, or write over it with --force"
        )
    raise OutputError(
        f"`{name}` was not generated by incgen: choose another output with -o, or write over it "
        "with --force"
    )


def _refuse_links(path: Path) -> None:
    if path.is_symlink():
        name = path.as_posix()
        raise OutputError(f"`{name}` is a symbolic link: give the file that it leads to")


def _existing(path: Path) -> bytes | None:
    """The content of a regular file; None if there is nothing."""
    name = path.as_posix()
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            what = "a folder" if path.is_dir() else "no regular file"
            raise OutputError(f"`{name}` is {what}: give a file, or `-` for standard output")
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise OutputError(f"`{name}` cannot be read: {reason(error)}") from None


def make_folder(folder: Path) -> None:
    """Make a folder and those around it, where they are missing.

    Raises:
        OutputError: that is not possible.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        name = folder.as_posix()
        raise OutputError(f"the folder `{name}` cannot be made: {reason(error)}") from None


def replace(path: Path, data: bytes) -> None:
    """Write a file in one step; one that is there keeps its mode.

    Raises:
        OutputError: it cannot be written; nothing has changed then.
    """
    with Replacement(path) as temporary:
        temporary.write(data)


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
        # O_EXCL: never a file or a link that somebody else put there.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        try:
            self._descriptor = os.open(self.temporary, flags, 0o666)
        except (OSError, ValueError) as error:
            raise self._failed(error) from None
        return self

    def write(self, data: bytes | memoryview) -> None:
        """Append to the new file."""
        view = memoryview(data).cast("B")
        while len(view):
            view = view[os.write(self._descriptor, view) :]

    def write_at(self, place: int, data: bytes) -> None:
        """Write over what was written there; what comes next is appended as before."""
        end = os.lseek(self._descriptor, 0, os.SEEK_CUR)
        os.lseek(self._descriptor, place, os.SEEK_SET)
        self.write(data)
        os.lseek(self._descriptor, end, os.SEEK_SET)

    def __exit__(self, kind: type[BaseException] | None, error: object, _: object) -> None:
        """Put the new file in the place of the old one, or remove it."""
        try:
            os.close(self._descriptor)
            if kind is None:
                if self.path.exists():
                    os.chmod(self.temporary, stat.S_IMODE(self.path.stat().st_mode))
                os.replace(self.temporary, self.path)
                return
        except OSError as problem:
            kind, error = OSError, problem
        self.temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise self._failed(error) from None

    def _failed(self, error: Exception) -> OutputError:
        name = self.path.as_posix()
        return OutputError(f"`{name}` cannot be written: {reason(error)}")


# ---------------------------------------------------------------- words


def unified_diff(before: str | None, after: str, old: str, new: str) -> str:
    """A unified diff of two texts, None for no file; "" where they are equal."""
    import difflib

    lines = difflib.unified_diff(
        [] if before is None else before.splitlines(keepends=True),
        after.splitlines(keepends=True),
        "/dev/null" if before is None else old,
        new,
    )
    unended = "\n\\ No newline at end of file\n"
    return "".join(line if line.endswith("\n") else line + unended for line in lines)


def reason(error: Exception) -> str:
    """What the system says of a failure, as the end of a sentence."""
    text = getattr(error, "strerror", None) or str(error)
    return f"{text[:1].lower()}{text[1:]}"
