"""The site of the documentation: what is gathered for it, and the check of what was built."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from markdown import Markdown
from markdown_it import MarkdownIt

import incgen
from incgen import testing
from website import gallery, landing, reference, sources
from website.checking import faults
from website.markdown import Conversion
from website.places import place

ROOT = Path(__file__).parent.parent
CONFIGURATION = tomllib.loads((ROOT / "website" / "zensical.toml").read_text("utf-8"))["project"]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
#: What is made when the site is built.
MADE = {"index.md", "gallery/index.md", "api.md", "playground.md"}


def navigated(entries: list[dict[str, Any]]) -> list[str]:
    """Return the pages that a navigation leads to."""
    pages: list[str] = []
    for entry in entries:
        for value in entry.values():
            pages += navigated(value) if isinstance(value, list) else [value]
    return pages


def test_every_page_is_in_the_navigation_once() -> None:
    counts = Counter(navigated(CONFIGURATION["nav"]))
    pages = [place(page.relative_to(ROOT).as_posix()) for page in PAGES]

    missing = [page for page in pages if counts[page] != 1]
    assert not missing, f"add to `nav` in website/zensical.toml: {', '.join(missing)}"
    assert set(counts) == {*pages, *MADE}


# ---------------------------------------------------------------- pages for the site


def converted(text: str, origin: str = "docs/page.md") -> str:
    return Conversion(origin, place(origin)).text(text)


def test_links_lead_to_pages_of_the_site() -> None:
    text = """\
[a](weights.md#commands) [b](../README.md) [c](../CHANGELOG.md) [d](../specs/xception.inc)
[e](https://example.org/a.md) [f](#here) ![g](figures/googlenet.svg) [h](../grammar)
[i](../science/forms.inc)
"""
    assert (
        converted(text)
        == """\
[a](weights.md#commands) [b](index.md) [c](changelog.md) [d](gallery/xception.md)
[e](https://example.org/a.md) [f](#here) ![g](figures/googlenet.svg) [h](source/grammar/index.md)
[i](source/science/forms.inc.md)
"""
    )
    assert converted("[a](docs/weights.md)\n", "CONTRIBUTING.md") == "[a](weights.md)\n"


def test_a_link_into_nothing_is_an_error() -> None:
    with pytest.raises(FileNotFoundError, match=r"^docs/page\.md links to gone\.md, which"):
        converted("[a](gone.md)")


def test_fences_keep_what_readers_need() -> None:
    text = """\
```inc body error: must-say, warning: unnamed
[a](b.md)
```
```inc file a/b.inc
```
```inc block part 3
```
```text output
```
"""
    assert (
        converted(text)
        == """\
```inc title="error: must-say, warning: unnamed"
[a](b.md)
```
```inc title="a/b.inc"
```
```inc
```
```text
```
"""
    )


def structure(html: str) -> Counter[str]:
    """Count the elements of a page that a misread list, table or fence would change."""
    names = re.findall(r"<(li|ul|ol|pre|table|tr|h[1-6]|blockquote|em|strong)\b", html)
    code = re.sub(r"<pre.*?</pre>", "", html, flags=re.DOTALL)
    return Counter(names) + Counter({"code": len(re.findall(r"<code\b", code))})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))
def test_the_site_shows_what_the_repository_shows(page: Path) -> None:
    text = page.read_text("utf-8")
    origin = page.relative_to(ROOT).as_posix()
    mine = Markdown(extensions=["tables", "pymdownx.superfences"]).convert(converted(text, origin))
    theirs = MarkdownIt("commonmark").enable("table").render(re.sub(r"<!-- .*? -->\n", "", text))

    assert structure(mine) == structure(theirs)


def test_files_and_folders_that_pages_link_to_have_pages(tmp_path: Path) -> None:
    sources.write(tmp_path, {"grammar", "docs/weights.md", "specs"})

    folder = tmp_path / "source" / "grammar"
    assert (
        (folder / "index.md")
        .read_text("utf-8")
        .startswith("# grammar\n\n- [`elsewhere.toml`](elsewhere.toml.md)\n")
    )
    assert (
        (folder / "slips.toml.md")
        .read_text("utf-8")
        .startswith("# grammar/slips.toml\n\n```toml\n")
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]


def test_the_page_on_python_has_every_public_name(tmp_path: Path) -> None:
    reference.write(tmp_path)

    text = (tmp_path / "api.md").read_text("utf-8")
    found = re.findall(r"^### `incgen\.([\w.]+)`$", text, re.MULTILINE)
    wanted = {*incgen.__all__, *(f"testing.{name}" for name in testing.__all__)}
    assert set(found) == wanted - {"__version__"} and len(found) == len(set(found))
    assert "| `target` | `str \\| Sequence[str]` | A target or several. |" in text
    assert "| `SpecError` | The spec has faults, or a target cannot express it. |" in text


def test_the_front_page_shows_generated_code(tmp_path: Path) -> None:
    page = tmp_path / "index.md"
    page.write_text("{spec}\n{torch}\n{keras}\n{flax}\n{fault}\n{networks} {faults}\n", "utf-8")
    landing.write(tmp_path)

    text = page.read_text("utf-8")
    assert "    class Inception(nn.Module):" in text and "    class Inception(nnx.Module):" in text
    assert "    def inception(x, n1x1, reduce, n3x3, proj, *, name):" in text
    assert "error[unknown-op]: no op, unit or block named `conv2d`" in text
    assert text.splitlines()[-1].split()[0] == str(len(list((ROOT / "specs").glob("*.inc"))))


def test_the_gallery_says_what_a_spec_costs(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(gallery, "SPECS", (ROOT / "specs" / "inception_v1_block.inc",))
    gallery.write(tmp_path)

    folder = tmp_path / "gallery"
    assert sorted(path.name for path in folder.iterdir()) == [
        "inception_v1_block-dark.svg",
        "inception_v1_block-light.svg",
        "inception_v1_block.explorer.html",
        "inception_v1_block.md",
        "index.md",
    ]
    row = (folder / "index.md").read_text("utf-8").splitlines()[-1]
    assert row.endswith('| 164 k | 128 M | <span class="size">192 x 56 x 56</span> |')
    assert 'title="164,208"' in (folder / "inception_v1_block.md").read_text("utf-8")


# ---------------------------------------------------------------- the check of a built site


def site(folder: Path, files: dict[str, str]) -> list[str]:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return faults(folder)


SOUND = {
    "index.html": '<a href="a/b.html#c"></a><a href="#d"></a><h1 id="d"></h1><img src="x.svg">'
    '<a href="https://example.org/"></a><a href="a/"></a><link href="s.css">',
    "a/index.html": '<a href="../index.html"></a>',
    "a/b.html": '<p id="c"></p><a href="../x.svg"></a><a href="/index.html"></a>',
    "x.svg": '<svg xmlns="http://www.w3.org/2000/svg"></svg>',
    "s.css": "a { background: url(x.svg) } /* https://example.org */",
    "p.js": 'const space = "http://www.w3.org/2000/svg"; /* https://example.org */',
}


def test_a_sound_site_has_no_faults(tmp_path: Path) -> None:
    assert site(tmp_path, SOUND) == []


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("c.html", '<a href="gone.html"></a>', "c.html: the link gone.html leads nowhere"),
        ("c.html", '<a href="../c.html"></a>', "c.html: the link ../c.html leads nowhere"),
        ("c.html", '<img src="gone.png">', "c.html: the link gone.png leads nowhere"),
        ("c.html", '<a href="a/b.html#z"></a>', "c.html: the link a/b.html#z has no anchor"),
        ("c.html", '<a href="#z"></a>', "c.html: the link #z has no anchor"),
        ("c.html", '<script src="https://e.org/x.js"></script>', "https://e.org/x.js"),
        ("c.html", '<script src="//e.org/x.js"></script>', "c.html: <script> loads //e.org/x.js"),
        ("c.html", '<link href="http://e.org/x.css">', "c.html: <link> loads http://e.org/x.css"),
        ("c.html", '<p style="background:url(https://e.org)">', "a style loads https://e.org"),
        ("c.html", "<style>@import 'https://e.org'</style>", "a style loads https://e.org"),
        ("c.css", "a { src: url('https://e.org/f') }", "c.css loads https://e.org/f"),
        ("c.js", "fetch(`https://e.org/${x}`)", "c.js may load https://e.org/${x}"),
    ],
)
def test_a_fault_of_a_site_is_found(tmp_path: Path, name: str, text: str, fault: str) -> None:
    (message,) = site(tmp_path, {**SOUND, name: text})

    assert message.startswith(name) and message.endswith(fault)


@pytest.mark.slow
def test_the_site_is_built() -> None:
    if not (ROOT / "website" / "node_modules").is_dir():
        pytest.skip("`make docs` has not been run: what comes from npm is missing")
    done = subprocess.run(
        [sys.executable, "-m", "website"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == "wrote build/site/: open index.html\n"
