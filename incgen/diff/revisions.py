"""Read a spec as it is at a revision of a git repository, with the files that it uses."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from incgen.compiling import RequestError
from incgen.syntax.loader import LoadedFile, load


def load_at(revision: str, spec: Path) -> LoadedFile:
    """Read a spec of a revision; it may use the files that are beside and below it there.

    Args:
        revision: What git understands: `HEAD~1`, a branch, a tag, a hash.
        spec: The path of the spec, which need not exist now.

    Raises:
        RequestError: Git does not have it.
        SpecError: The spec has faults in its syntax.
    """
    if not revision or revision.startswith("-"):
        raise RequestError(f"`{revision}` is not a revision")
    place = spec.resolve()
    existing = next(path for path in place.parents if path.is_dir())
    shown = _git(existing, "rev-parse", "--show-toplevel")
    top = Path(os.fsdecode(shown.removesuffix(b"\n")))
    folder, name = place.parent.relative_to(top.resolve()).as_posix(), place.name
    inside = "" if folder == "." else f"{folder}/"
    commit = (
        _git(top, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}").decode().strip()
    )
    listed = _git(top, "ls-tree", "-r", "-z", "--name-only", commit, "--", inside or ".")
    files = [path for path in os.fsdecode(listed).split("\0") if path.endswith(".inc")]
    if f"{inside}{name}" not in files:
        raise RequestError(f"there is no `{inside}{name}` at `{revision}`")
    with tempfile.TemporaryDirectory() as temporary:
        for path in files:
            target = Path(temporary, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(_git(top, "cat-file", "blob", f"{commit}:{path}"))
        return load(Path(temporary, inside, name), name=f"{revision}:{inside}{name}")


def _git(folder: Path, *arguments: str) -> bytes:
    """Run git in a folder, and return what it prints."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        raise RequestError("comparing revisions needs git, which is not installed") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().removeprefix("fatal: ")
        what = arguments[-1].removesuffix("^{commit}")
        raise RequestError(f"git: {said}" if said else f"git knows no revision `{what}`")
    return done.stdout
