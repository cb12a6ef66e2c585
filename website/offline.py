"""Cut a built site off from elsewhere: whatever it needs is in it.

The theme's program knows where to load libraries for diagrams, galleries and programs in a page,
for pages that have some. Ours have none, and must not be able to ask for them. What lets a page
search without a server comes from npm.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from website.places import ROOT

_ELSEWHERE = re.compile(
    r"https://(?:unpkg\.com|cdn\.jsdelivr\.net|api\.github\.com|\$\{\w+\}/api/)[^\"'`]*"
)
_SHIM = "https://unpkg.com/iframe-worker/shim"


class MissingError(Exception):
    """Something from npm is missing."""


def module(name: str) -> Path:
    """Return the path of a file from npm.

    Raises:
        MissingError: It is not installed.
    """
    path = ROOT / "website" / "node_modules" / name
    if not path.exists():
        raise MissingError(f"{name} is missing: build with `make docs`, which gets it from npm")
    return path


def sever(site: Path) -> None:
    """Take the addresses of other servers out of the theme's pages and programs."""
    for path in (site / "assets" / "javascripts").rglob("*.js"):
        path.write_text(_ELSEWHERE.sub("data:,", path.read_text("utf-8")), "utf-8")
    shim = site / "assets" / "javascripts" / "iframe-worker.js"
    text = module("iframe-worker/shim/index.js").read_text("utf-8")
    shim.write_text(f"window.BrowserWorker = Worker; // that of the playground\n{text}", "utf-8")
    for path in site.rglob("*.html"):
        text = path.read_text("utf-8")
        if _SHIM in text:
            here = Path(os.path.relpath(shim, path.parent)).as_posix()
            path.write_text(text.replace(_SHIM, here), "utf-8")
