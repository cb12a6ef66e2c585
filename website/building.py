"""Gather the pages of the site, write those that are made from incgen itself, run zensical."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from website import gallery, landing, packing, reference, sources
from website.markdown import Conversion
from website.offline import sever
from website.places import ROOT, TOP, place

#: What is made from incgen itself: each writes its pages into a folder.
MADE: tuple[Callable[[Path], None], ...] = (
    gallery.write,
    landing.write,
    packing.write,
    reference.write,
)


class BuildError(Exception):
    """The site cannot be built; the text says why."""


def build(folder: Path) -> Path:
    """Build the site in a folder, and return the path of the site: `site` in it."""
    work = folder / "website"
    shutil.rmtree(work, ignore_errors=True)
    gather(work / "pages")
    shutil.copy(ROOT / "website" / "zensical.toml", work)
    _generate(work)
    sever(work / "site")
    packing.add(work / "site")
    site = folder / "site"
    shutil.rmtree(site, ignore_errors=True)
    return Path(shutil.move(work / "site", site))


def gather(pages: Path) -> None:
    """Write all pages of the site, and what they show, into a folder."""
    shutil.copytree(ROOT / "website" / "pages", pages)
    shutil.copytree(ROOT / "docs", pages, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.md"))
    links: set[str] = set()
    for path in [*sorted((ROOT / "docs").glob("*.md")), *(ROOT / name for name in TOP)]:
        origin = path.relative_to(ROOT).as_posix()
        if origin == "README.md":
            continue  # the site has a front page of its own
        conversion = Conversion(origin, place(origin))
        (pages / conversion.page).write_text(conversion.text(path.read_text("utf-8")), "utf-8")
        links |= conversion.links
    for write in MADE:
        write(pages)
    sources.write(pages, links)


def _generate(work: Path) -> None:
    """Run zensical.

    Raises:
        BuildError: It has failed or warned.
    """
    done = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--clean", "--strict"],
        cwd=work,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode or "warning" in done.stdout.lower():
        raise BuildError(done.stdout)
