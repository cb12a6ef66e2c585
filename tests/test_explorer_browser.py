"""The page of a network in a browser: blocks open, layers are found, keys move, the address tells.

`make test-browser` runs these: they need playwright, and a Chromium that is installed or that
`playwright install chromium` fetches.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browsing import DESKTOP, browser, page

from incgen.compiling import compile_spec
from incgen.draw.drawing import drawn
from incgen.draw.view import View

pytestmark = pytest.mark.browser
__all__ = ["browser", "page"]  # fixtures that pytest finds here

SMALL = Path(__file__).parent / "drawings" / "small.inc"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the pages of some networks."""
    folder = tmp_path_factory.mktemp("pages")
    for name in ("googlenet", "inception_resnet_v2"):
        (folder / f"{name}.html").write_bytes(drawn(compile_spec(name), View(), "html"))
    (folder / "small.html").write_bytes(drawn(compile_spec(SMALL), View(depth=9), "html"))
    heat = View(heat="parameters", theme="dark", opened=("inception_3a",))
    (folder / "hot.html").write_bytes(drawn(compile_spec("googlenet"), heat, "html"))
    return folder


def visit(page: Any, place: Path, name: str, fragment: str = "") -> None:
    page.goto((place / f"{name}.html").as_uri() + fragment)


def part(page: Any, key: str) -> Any:
    return page.locator(f'.part[data-key="{key}"]')


def keys(page: Any) -> list[str]:
    parts: list[str] = page.locator(".part").evaluate_all("all => all.map(e => e.dataset.key)")
    return parts


def fragment(page: Any) -> str:
    return str(page.evaluate("location.hash"))


def test_blocks_open_and_fold_on_a_click(page: Any, place: Path) -> None:
    visit(page, place, "googlenet")
    assert len(keys(page)) == 24  # as in the drawing

    part(page, "inception_3a").click()

    inside = ["conv1x1", "conv3x3.0", "conv3x3.1", "conv5x5.0", "conv5x5.1", "pool.0", "pool.1"]
    shown = [key for key in keys(page) if key.startswith("inception_3a.")]
    assert shown == [f"inception_3a.{name}" for name in (*inside, "concat")]
    assert part(page, "inception_3a").get_attribute("aria-expanded") == "true"
    assert fragment(page) == "#open=inception_3a&at=inception_3a"

    part(page, "inception_3a").click()

    assert len(keys(page)) == 24
    assert fragment(page) == "#at=inception_3a"


def test_definitions_stand_beside_the_network_and_lead_to_their_uses(
    page: Any, place: Path
) -> None:
    visit(page, place, "inception_resnet_v2")
    definitions = page.locator("#definitions section")

    assert "block35" in definitions.locator("h2").all_inner_texts()[1]
    lines = definitions.nth(1).locator("tbody tr").all_inner_texts()
    assert lines[0].startswith("10 × block35\t48\t64\t320\t320 × 35 × 35\t1.23 M\t")
    wide = "all => all.filter(each => each.scrollWidth > each.clientWidth).length"
    if page.viewport_size == DESKTOP:
        assert page.locator(".uses").evaluate_all(wide) == 0
    uses = page.locator("[data-use]").evaluate_all("all => all.map(e => e.dataset.use)")
    assert all(page.evaluate("key => parts.has(key)", key) for key in uses)
    definitions.nth(1).locator("[data-use]").first.click()
    assert fragment(page) == "#open=block35&at=block35.0"

    page.get_by_text("Definitions of the blocks").click()
    assert not definitions.first.is_visible()


def test_a_unit_opens_to_its_layers_and_a_repeat_to_its_iterations(page: Any, place: Path) -> None:
    visit(page, place, "inception_resnet_v2")

    part(page, "conv_1a").click()
    part(page, "block17").click()
    part(page, "block17.19").click()

    assert {"conv_1a.conv", "conv_1a.bn", "conv_1a.relu"} <= set(keys(page))
    assert "block17.19.up" in keys(page) and "block17.18.up" not in keys(page)


def test_what_is_known_of_a_part_is_shown(page: Any, place: Path) -> None:
    visit(page, place, "googlenet")

    part(page, "inception_4e").hover()

    text = page.locator("#facts").inner_text()
    # 528 inputs: 867,328 weights on 14 x 14 pixels, and 1,024 biases
    for words in (
        *("inception_4e", "832 × 14 × 14", "868,352", "169,996,288", "427 × 427, stride 16"),
        *("googlenet.inc:58", "inception 256 160 320 32 128 128", "n1x1 = 256, n3x3_reduce = 160"),
    ):
        assert words in text, text


def test_search_finds_what_is_folded(page: Any, place: Path) -> None:
    visit(page, place, "inception_resnet_v2")
    search = page.get_by_role("combobox", name="Find a layer")

    search.fill("block35.7 up")
    assert page.locator("#found li").first.inner_text().startswith("block35.7.up")
    search.press("Enter")

    assert part(page, "block35.7.up").is_visible()
    assert page.evaluate("document.activeElement.dataset.key") == "block35.7.up"
    assert fragment(page) == "#open=block35.7,block35&at=block35.7.up"
    assert part(page, "block35.7.up").evaluate(
        "e => { const b = e.getBoundingClientRect(); return b.top >= 0 && b.bottom <= innerHeight }"
    )

    search.fill("no such layer")
    assert page.locator("#found").inner_text() == "nothing has such a name"


def test_keys_move_and_open(page: Any, place: Path) -> None:
    visit(page, place, "googlenet")
    page.locator(".part").first.focus()
    moves = {
        "ArrowDown": "conv1",
        "Enter": "conv1",
    }
    for key, expected in moves.items():
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.dataset.key") == expected
    assert "conv1.relu" in keys(page)

    visit(page, place, "googlenet", "#open=inception_3a&at=inception_3a.conv1x1")
    page.reload()
    for key, expected in (
        ("ArrowRight", "conv3x3.0"),
        ("ArrowRight", "conv5x5.0"),
        ("ArrowDown", "conv5x5.1"),
        ("ArrowLeft", "conv3x3.1"),
        ("ArrowDown", "concat"),
    ):
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.dataset.key") == f"inception_3a.{expected}"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.dataset.key") == "inception_3a"
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.dataset.key") == "pool2"


def test_the_address_says_what_is_open(page: Any, place: Path) -> None:
    address = "#open=inception_3b,inception_4a,inception_4a.pool.1&at=inception_4a.pool.1.relu"
    visit(page, place, "googlenet", f"{address}&heat=parameters")

    assert "inception_3b.concat" in keys(page)
    assert page.evaluate("document.activeElement.dataset.key") == "inception_4a.pool.1.relu"
    assert page.get_by_label("Colour by").input_value() == "parameters"
    assert fragment(page) == f"{address}&heat=parameters"


def test_an_address_that_was_cut_off_opens_nothing(page: Any, place: Path) -> None:
    visit(page, place, "googlenet", "#open=inception_3b%")
    assert len(keys(page)) == 24


def test_buttons_and_colours(page: Any, place: Path) -> None:
    visit(page, place, "hot")
    assert "inception_3a.concat" in keys(page)
    assert "3,186,136" not in page.locator("#legend").inner_text()
    assert page.locator("#legend").inner_text().replace("\n", "").startswith("0")

    page.get_by_role("button", name="Fold all").click()
    assert len(keys(page)) == 24
    page.get_by_role("button", name="Open blocks").click()
    assert len(keys(page)) > 80
    page.get_by_role("button", name="Dark or light").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.get_by_label("Colour by").select_option("kind")
    assert "pooling" in page.locator("#legend").inner_text()


def test_boxes_do_not_overlap(page: Any, place: Path) -> None:
    """Also where everything is open; boxes in the band of a card lie in it on purpose."""
    visit(page, place, "small")

    overlaps = page.evaluate("""() => {
        const boxes = [...document.querySelectorAll(".part")]
            .map((each) => [each.dataset.key, each.getBoundingClientRect()]);
        const apart = (a, b) => a.left >= b.right - 1 || a.top >= b.bottom - 1;
        const hit = (a, b) => !apart(a, b) && !apart(b, a);
        return boxes.flatMap(([key, box], at) =>
            boxes.slice(at + 1).filter(([, each]) => hit(box, each)).map(([each]) => [key, each]));
    }""")
    assert overlaps == []
