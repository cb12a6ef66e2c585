"""The site in a browser: pages load what they need and nothing else, and the playground works.

`make test-browser` builds the site first.
"""

from __future__ import annotations

import json
import shutil
import threading
import tomllib
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from browsing import DESKTOP, browser, page

import incgen

pytestmark = pytest.mark.browser
__all__ = ["browser", "page"]  # fixtures that pytest finds here

ROOT = Path(__file__).parent.parent
SITE = ROOT / "build" / "site"
#: How long Python may take to start, on a machine that does much else.
START = 120_000


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def place() -> Iterator[str]:
    """Serve the site as `python -m http.server` would, and return its address."""
    assert (SITE / "index.html").is_file(), "the site is not built: run `make docs`"
    handler = partial(_Quiet, directory=str(SITE))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def pages() -> Iterator[str]:
    """Yield the pages of the navigation, and one of the gallery."""
    configuration = tomllib.loads((ROOT / "website" / "zensical.toml").read_text("utf-8"))
    pending: list[Any] = list(configuration["project"]["nav"])
    while pending:
        match pending.pop(0):
            case dict() as entry:
                pending += entry.values()
            case list() as entries:
                pending += entries
            case str() as name:
                yield name.removesuffix(".md") + ".html"
    yield "gallery/bn_inception.html"


def test_pages_fit_the_screen(page: Any) -> None:
    width = page.viewport_size["width"]
    for name in pages():
        page.goto((SITE / name).as_uri())
        assert page.locator("h1").first.inner_text()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name


def test_search_works_without_a_server(page: Any) -> None:
    page.goto((SITE / "index.html").as_uri())
    page.keyboard.press("/")
    page.keyboard.type("dropout")
    page.get_by_role("link", name="language").or_(page.get_by_text("dropout")).nth(1).wait_for()


# ---------------------------------------------------------------- the playground


def opened(page: Any, address: str) -> Any:
    """Open the playground, and wait until it shows what it makes of the spec."""
    page.goto(address)
    page.locator("#workbench[data-read]").wait_for(timeout=START)
    return page


def source(page: Any) -> str:
    return str(page.locator("[data-part=save]").get_attribute("data-text"))


def status(page: Any) -> Any:
    return page.locator("[data-part=status]")


def after(page: Any, action: Any) -> None:
    """Do something, and wait until the spec has been read again."""
    page.evaluate("delete document.querySelector('#workbench').dataset.read")
    action()
    page.locator("#workbench[data-read]").wait_for(timeout=START)


def test_type_break_mend_see(page: Any, place: str, tmp_path: Path) -> None:
    opened(page, f"{place}playground.html#example=bn_inception")
    assert "no problems" in status(page).inner_text()
    spec = tmp_path / "network.inc"
    shutil.copy(ROOT / "specs" / "bn_inception.inc", spec)

    # what the page shows is what the command writes
    for target in ("torch", "keras", "flax"):
        page.locator(f"[data-tab={target}]").click()
        page.locator(f"#workbench[data-showing={target}]").wait_for(timeout=START)
        (file,) = incgen.build(spec, target, tmp_path / f"{target}.py")
        assert source(page) == file.text
    page.locator("[data-tab=table]").click()
    page.get_by_text("2,032,600,064").wait_for(timeout=START)
    page.locator("[data-tab=drawing]").click()
    page.locator("[data-part=picture] svg").wait_for(timeout=START)

    # type: something that is wrong at the end
    editor = page.locator("[data-part=editor] .cm-content")
    editor.click()
    page.keyboard.press("Control+End")
    after(page, lambda: page.keyboard.type("\nunit wrong = convv"))
    assert "1 error: what you see is the last version without errors" in status(page).inner_text()
    fault = page.locator(".fault")
    assert "no op, unit or block named convv" in fault.first.inner_text()
    assert page.locator("[data-part=editor] .cm-lintRange-error").count() == 1

    # mend it
    for _ in range(len("\nunit wrong = convv") - 1):
        page.keyboard.press("Backspace")
    after(page, lambda: page.keyboard.press("Backspace"))
    assert "no problems" in status(page).inner_text()
    assert fault.count() == 0


def test_values_and_recipes(page: Any, place: str, tmp_path: Path) -> None:
    opened(page, f"{place}playground.html#example=bn_inception")
    given, recipes = page.get_by_label("Set"), page.get_by_label("Recipe")
    after(page, lambda: given.fill("classes=10 act=sigmoid"))
    spec = tmp_path / "network.inc"
    shutil.copy(ROOT / "specs" / "bn_inception.inc", spec)
    values = {"classes": 10, "act": "sigmoid"}
    assert source(page).partition("\n")[2] == incgen.generate(spec, "torch", values)

    after(page, lambda: given.fill("class=10"))
    assert "did you mean `classes`?" in status(page).inner_text()
    assert given.get_attribute("aria-invalid") == "true"
    after(page, lambda: given.fill(""))
    after(page, lambda: recipes.select_option("x5"))
    for target in ("torch", "keras", "flax"):
        page.locator(f"[data-tab={target}]").click()
        page.locator(f"#workbench[data-showing={target}]").wait_for(timeout=START)
        _, script = incgen.build(spec, target, f"{tmp_path}/out/", recipe="x5")
        assert source(page) == script.text
        assert page.locator("[data-part=save]").get_attribute("data-name") == script.path.name

    page.get_by_role("button", name="Link").click()
    page.wait_for_function("location.hash.includes('recipe=x5')")
    link = page.url
    page.goto("about:blank")
    opened(page, link)
    assert recipes.input_value() == "x5" and "Train bn_inception by the recipe" in source(page)


def test_completion_hover_and_format(page: Any, place: str) -> None:
    opened(page, f"{place}playground.html")
    editor = page.locator("[data-part=editor] .cm-content")
    editor.click()
    page.keyboard.press("Control+End")
    page.keyboard.type("\nblock more() {\n  a: max_p")
    page.keyboard.press("Control+Space")
    offered = page.locator(".cm-completionLabel").get_by_text("max_pool", exact=True)
    offered.wait_for(timeout=START)
    page.wait_for_timeout(500)  # before, Enter would be for the text: the list is too new
    page.keyboard.press("Enter")
    page.keyboard.type(" 2x2/2")
    after(page, page.get_by_role("button", name="Format").click)
    page.locator(".cm-line", has_text="    a: max_pool 2x2/2").wait_for(timeout=START)

    page.locator(".cm-line", has_text="stem:").get_by_text("stem").hover()
    page.locator(".cm-tooltip-hover").get_by_text("32 x 32 x 32").first.wait_for(timeout=START)


def test_a_link_holds_the_spec(page: Any, place: str) -> None:
    opened(page, f"{place}playground.html#example=xception")
    editor = page.locator("[data-part=editor] .cm-content")
    editor.click()
    page.keyboard.press("Control+Home")
    after(page, lambda: page.keyboard.type("# gr\u00fc\u00dfe \U0001f600\n"))
    page.get_by_role("button", name="Link").click()
    page.wait_for_function("location.hash.startsWith('#spec=')")
    link = page.url
    expected = source(page)

    page.goto("about:blank")
    opened(page, link)
    assert page.locator(".cm-line").first.inner_text() == "# gr\u00fc\u00dfe \U0001f600"
    assert source(page) == expected


def test_every_example_is_built(browser: Any, place: str) -> None:
    page = opened(browser.new_page(viewport=DESKTOP), f"{place}playground.html")
    data = json.loads(page.locator("#playground-data").text_content())
    for name in data["examples"]:
        if name == "first":
            continue
        after(page, partial(page.locator("[data-part=examples]").select_option, name))
        assert "error" not in status(page).inner_text(), name
        expected = incgen.generate("network.inc", "torch", text=data["examples"][name])
        assert source(page).partition("\n")[2] == expected
    page.close()


def test_it_works_from_a_folder(page: Any) -> None:
    """A page that is opened by a double click may fetch nothing and start no worker from a file."""
    opened(page, f"{(SITE / 'playground.html').as_uri()}#example=bn_inception")
    assert "no problems" in status(page).inner_text()
    for target in ("torch", "keras", "flax"):
        page.locator(f"[data-tab={target}]").click()
        page.locator(f"#workbench[data-showing={target}]").wait_for(timeout=START)
        text = json.loads(page.locator("#playground-data").text_content())["examples"]
        expected = incgen.generate("network.inc", target, text=text["bn_inception"])
        assert source(page).partition("\n")[2] == expected

    after(page, lambda: page.get_by_label("Set").fill("classes=10"))
    page.get_by_role("button", name="Link").click()
    page.wait_for_function("location.hash.startsWith('#spec=')")
    link = page.url
    page.goto("about:blank")
    opened(page, link)
    assert page.get_by_label("Set").input_value() == "classes=10"
