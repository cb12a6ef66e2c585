"""One broken input: the files that incgen is given, and what is said on the command line."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

#: The file of a kept case that has one setting a line.
_SETTINGS = "settings"


@dataclass(frozen=True)
class Case:
    """One broken input.

    Attributes:
        main: the name of the file that incgen is given.
        files: the content of each file by its name, which can have folders in it.
        settings: what stands behind each `--set`.
        kind: how it was made, in a word.
    """

    main: str
    files: tuple[tuple[str, bytes], ...]
    settings: tuple[str, ...] = ()
    kind: str = "kept"

    @property
    def data(self) -> bytes:
        """The content of the file that incgen is given; empty if that is not there."""
        return dict(self.files).get(self.main, b"")

    def put(self, folder: Path) -> Path:
        """Write the files into an empty folder; the path of the one that incgen is given."""
        for name, data in self.files:
            path = folder / name
            if "/" in name:
                path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return folder / self.main


def single(data: bytes, kind: str = "kept") -> Case:
    """A spec in one file."""
    return Case("spec.inc", (("spec.inc", data),), kind=kind)


def keep(case: Case, folder: Path, name: str) -> Path:
    """Save a case: as a file if it is a spec and nothing else, otherwise as a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    if case.main == "spec.inc" and len(case.files) == 1 and not case.settings:
        path = folder / f"{name}.inc"
        path.write_bytes(case.data)
        return path
    path = folder / name
    shutil.rmtree(path, ignore_errors=True)
    (path / "files").mkdir(parents=True)
    case.put(path / "files")
    (path / "main").write_text(case.main, "utf-8", "surrogateescape")
    settings = "".join(f"{text}\n" for text in case.settings)
    (path / _SETTINGS).write_text(settings, "utf-8", "surrogateescape", newline="\n")
    return path


def kept(path: Path) -> Case:
    """Read a case that was saved."""
    if path.is_file():
        return single(path.read_bytes())
    files = path / "files"
    found = sorted(each for each in files.rglob("*") if each.is_file())
    settings = (path / _SETTINGS).read_bytes().decode("utf-8", "surrogateescape")
    return Case(
        (path / "main").read_text("utf-8", "surrogateescape"),
        tuple((each.relative_to(files).as_posix(), each.read_bytes()) for each in found),
        tuple(settings.split("\n")[:-1]),
    )
