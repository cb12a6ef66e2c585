"""A browser for the tests of pages, on a desktop and on a phone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

#: Names under which systems install the browser; playwright's own is used if there is none.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
#: Where what a page asks for may come from: the page itself, and this machine.
HERE = ("file:", "data:", "blob:", "http://127.0.0.1:")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, NAMES)), None)
    sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=sandbox)
        yield chromium
        chromium.close()


@pytest.fixture(params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def page(browser: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Return a page that fails the test if its program fails or asks for anything elsewhere."""
    page = browser.new_page(viewport=request.param)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: said.type != "error" or faults.append(said.text))
    page.on("request", lambda asked: asked.url.startswith(HERE) or faults.append(asked.url))
    yield page
    page.close()
    assert not faults
