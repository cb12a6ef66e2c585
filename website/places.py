"""Find the place of a file of the repository on the site, and the link to it from a page."""

from __future__ import annotations

import posixpath
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
#: Pages of the top folder, by the names that they have on the site.
TOP = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
#: The page of a folder, and the folder of pages that show files which are no pages themselves.
INDEX = "index.md"
SOURCE = "source"


def place(path: str) -> str:
    """Return the page on the site that shows a file or folder of the repository."""
    pure = PurePosixPath(path)
    if path in TOP:
        return TOP[path]
    if pure.parts[0] == "docs":
        return str(pure.relative_to("docs"))
    if path == "specs":
        return f"gallery/{INDEX}"
    if pure.parent == PurePosixPath("specs") and pure.suffix == ".inc":
        return f"gallery/{pure.stem}.md"
    if (ROOT / path).is_dir():
        return f"{SOURCE}/{path}/{INDEX}"
    return f"{SOURCE}/{path}.md"


def from_page(page: str, target: str) -> str:
    """Return the relative link from a page of the site to another."""
    return posixpath.relpath(target, posixpath.dirname(page) or ".")


def linked(origin: str, target: str) -> str:
    """Return the file of the repository that a relative link in one of its files leads to.

    Raises:
        FileNotFoundError: There is no such file, or it is outside of the repository.
    """
    found = posixpath.normpath(posixpath.join(posixpath.dirname(origin), target))
    if found.startswith("..") or not (ROOT / found).exists():
        raise FileNotFoundError(f"{origin} links to {target}, which does not exist")
    return found
