"""The specs that ship with incgen, found by name from anywhere."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from incgen.base.resources import folder

#: The prefix of the path of a shipped file.
PREFIX = "incgen:"


def root() -> Path:
    """Return their folder."""
    return folder("specs")


def names() -> list[str]:
    """Return the names of the networks."""
    return sorted(path.stem for path in root().glob("*.inc"))


def paths() -> list[str]:
    """Return the path of every file, including parts of networks, as `use` takes it."""
    relative = (path.relative_to(root()).as_posix() for path in root().rglob("*.inc"))
    return sorted(f"{PREFIX}{path}" for path in relative)


def address(given: str) -> str | None:
    """Return the path with the prefix of a shipped file; None if there is no such file.

    It is given as that, or by its name, `bn_inception`.
    """
    if given.startswith(PREFIX):
        return given if given in paths() else None
    if PurePosixPath(given).name == given and given in names():
        return f"{PREFIX}{given}.inc"
    return None


def plain_name(path: str) -> str:
    """Return the name of a file without its folders and without the prefix."""
    return PurePosixPath(path.removeprefix(PREFIX)).name


def file_of(path: str) -> Path:
    """Return the file of a path with the prefix."""
    return root() / path.removeprefix(PREFIX)
