"""One broken input: the files and the command line that incgen is given."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from incgen.base import files

#: The name of the file that incgen is given, if it does not matter.
_MAIN = "spec.inc"


@dataclass(frozen=True)
class Case:
    """One broken input.

    Attributes:
        main: The name of the file that incgen is given.
        files: The content of each file by name, which can include folders.
        settings: The argument of each `--set`.
        kind: How it was made, in a word.
    """

    main: str
    files: tuple[tuple[str, bytes], ...]
    settings: tuple[str, ...] = ()
    kind: str = "kept"

    @property
    def data(self) -> bytes:
        """Return the content of the file that incgen is given; empty if there is none."""
        return dict(self.files).get(self.main, b"")

    def put(self, folder: Path) -> Path:
        """Write the files into an empty folder; return the path of the one that incgen is given."""
        for name, data in self.files:
            path = folder / name
            if "/" in name:
                path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return folder / self.main


def single(data: bytes, kind: str = "kept") -> Case:
    """Return a spec in one file."""
    return Case(_MAIN, ((_MAIN, data),), kind=kind)


def keep(case: Case, folder: Path, name: str) -> Path:
    """Save a case in one file: as it is if it is a spec and nothing else, otherwise in JSON.

    In JSON, bytes are written as the characters with those numbers, so that any system can store
    any name and content.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if case.main == _MAIN and len(case.files) == 1 and not case.settings:
        path = folder / f"{name}.inc"
        files.replace(path, case.data)
        return path
    texts = {file: data.decode("latin-1") for file, data in case.files}
    content = {"main": case.main, "settings": case.settings, "files": texts}
    path = folder / f"{name}.json"
    files.replace(path, f"{json.dumps(content, indent=2)}\n".encode())
    return path


def kept(path: Path) -> Case:
    """Read a case that was saved."""
    if path.suffix == ".inc":
        return single(path.read_bytes())
    content = json.loads(path.read_text("utf-8"))
    files = tuple((name, text.encode("latin-1")) for name, text in content["files"].items())
    return Case(content["main"], files, tuple(content["settings"]))
