"""The guides are followed from top to bottom, as a reader would: see `guides.py`."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
#: The pages that are followed.
GUIDES = ("quickstart", "tutorial", "cookbook", "porting", "numerics")
#: Those whose commands `make test` runs too, without the programs, which import frameworks.
QUICK = ("quickstart", "tutorial")

KINDS = ("file", "console", "python", "output", "yaml")
_FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def steps(page: Path) -> Iterator[dict[str, str]]:
    """Yield what a reader of a page does."""
    text = page.read_text("utf-8")
    for match in _FENCE.finditer(text):
        language, (how, _, name) = match[1], match[2].strip().partition(" ")
        place = f"{page.name}:{text.count(chr(10), 0, match.start()) + 1}"
        step = {"kind": language, "text": match[3], "place": place}
        if how == "file":
            step |= {"kind": "file", "name": name.split()[0]}
        elif how == "output":
            step["kind"] = "output"
        elif language not in ("console", "python", "yaml"):
            assert language == "inc", f"{place}: nothing is done with `{language}`"
            continue  # test_docs.py tries it
        yield step


def follow(
    page: Path, folder: Path, kinds: Collection[str] = KINDS
) -> subprocess.CompletedProcess[str]:
    plan = folder / "steps.json"
    plan.write_text(json.dumps([s for s in steps(page) if s["kind"] in kinds]), "utf-8")
    reader = folder / "reader"
    reader.mkdir()
    quiet = {"NO_COLOR": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    return subprocess.run(
        [sys.executable, ROOT / "tests" / "guides.py", plan],
        cwd=reader,
        env={**os.environ, **quiet},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


@pytest.mark.parametrize("name", QUICK)
def test_the_commands_of_a_guide(name: str, tmp_path: Path) -> None:
    done = follow(ROOT / "docs" / f"{name}.md", tmp_path, ("file", "console"))

    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", GUIDES)
def test_a_guide_can_be_followed(name: str, tmp_path: Path) -> None:
    done = follow(ROOT / "docs" / f"{name}.md", tmp_path)

    assert done.returncode == 0, done.stderr


def test_a_wrong_step_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    right = "```console\n$ incgen check bn_inception\nno problems in 1 spec\n```\n"
    right += "```python\nprint(1 + 1)\n```\n```text output\n2\n```\n"
    for number, (old, new) in enumerate([("", ""), ("no prob", "2 prob"), ("\n2\n", "\n3\n")]):
        page.write_text(right.replace(old, new, 1) if old else right, "utf-8")
        folder = tmp_path / str(number)
        folder.mkdir()
        done = follow(page, folder)
        assert (done.returncode == 0) == (number == 0), done.stderr
        shutil.rmtree(folder)
