"""The command `draw`: what it writes and prints, and its exit codes."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from incgen.cli import main as cli

SPEC = """\
numerics torch
block pair(n) {
    a: conv 3x3 n
    b: conv 1x1 n
}
network net(classes = 10) {
    input 8x8 3
    one: pair 4
    global_avg_pool
    logits: dense classes
}
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def draw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Run:
    """Return a function that runs `incgen draw` in a folder with a spec."""
    monkeypatch.chdir(tmp_path)
    Path("net.inc").write_text(SPEC)

    def run(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        with pytest.raises(SystemExit) as caught:
            cli.main(["draw", *arguments])
        out, err = capfdbinary.readouterr()
        assert isinstance(caught.value.code, int)
        return caught.value.code, out.decode("utf-8"), err.decode("utf-8")

    return run


def test_the_file_has_the_name_of_the_network(draw: Run) -> None:
    assert draw("net.inc") == (0, "", "wrote net.svg\n")
    assert draw("net.inc") == (0, "", "unchanged net.svg\n")
    assert draw("net.inc", "--depth", "2") == (0, "", "wrote net.svg\n")


def test_folders_are_made_and_endings_tell_the_format(draw: Run) -> None:
    beginnings = {
        "a/net.svg": b"<svg ",
        "a/net.SVG": b"<svg ",
        "a/net.html": b"<!doctype html>",
        "a/net.mmd": b"flowchart TB\n",
        "a/net.dot": b'digraph "net" {\n',
        "a/net.png": b"\x89PNG",
        "a/net.pdf": b"%PDF-",
    }
    for name, begin in beginnings.items():
        assert draw("net.inc", "-o", name) == (0, "", f"wrote {name}\n")
        assert Path(name).read_bytes().startswith(begin)


def test_standard_input_to_standard_output(draw: Run) -> None:
    code, out, err = draw("-", "-o", "-", "--set", "classes=7", stdin=SPEC)

    assert (code, err) == (0, "")
    assert out.startswith("<svg ") and out.endswith("</svg>\n")
    assert ">7</text>" in out and ">10</text>" not in out


def test_options_change_what_they_say(draw: Run) -> None:
    alone = draw("net.inc", "-o", "-", "--no-definitions")[1]
    assert 'data-key="one.a"' not in alone and 'class="heading"' not in alone
    assert 'class="heading"' in draw("net.inc", "-o", "-")[1]

    assert 'data-key="one.a"' in draw("net.inc", "-o", "-", "--open", "one")[1]
    assert 'data-key="one.a"' in draw("net.inc", "-o", "-", "--open", "pair")[1]
    assert ".page { fill: #14181f }" in draw("net.inc", "-o", "-", "--theme", "dark")[1]
    # 27 * 4 + 4 parameters in `a`, 4 * 4 + 4 in `b`, 4 * 10 + 10 in `logits`
    heat = draw("net.inc", "-o", "-", "--heat", "parameters", "--open", "one")[1]
    assert [text in heat for text in (">112</text>", ">20</text>", ">50</text>")] == [True] * 3
    draw("net.inc", "-o", "net.mmd", "--direction", "right")
    assert Path("net.mmd").read_text("utf-8").startswith("flowchart LR\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-o", "net.gif"), "`.gif` is not a drawing format: end its name in `.svg`, `.png`"),
        (("--open", "pairs"), "the network has no unit or block `pairs`: did you mean `pair`?"),
        (("-o", "net.html", "--direction", "right"), "leave out --direction, or draw an SVG"),
        (("-o", "net.inc/net.svg"), "cannot be made: "),
        (("--depth", "0"), "0 is not in the range x>=1"),
        (("--heat", "cost"), "'cost' is not one of 'multiply-adds', 'parameters'"),
    ],
)
def test_what_cannot_be_drawn_is_said(draw: Run, arguments: tuple[str, ...], message: str) -> None:
    code, out, err = draw("net.inc", *arguments)

    assert (code, out) == (2, "")
    assert message in err
    assert sorted(path.name for path in Path().iterdir()) == ["net.inc"]


def test_links_are_not_followed(draw: Run) -> None:
    Path("net.svg").symlink_to("net.inc")

    code, _, err = draw("net.inc")

    assert code == 2 and "`net.svg` is a symbolic link" in err
    assert Path("net.inc").read_text() == SPEC


def test_faults_of_a_spec_are_reported(draw: Run) -> None:
    code, _, err = draw("-", stdin=SPEC.replace("dense", "dens"))

    assert code == 1 and "error[unknown-op]" in err
