"""The front page: what it shows of generated code and messages is made when the site is built."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from textwrap import indent

import incgen
from incgen.language.names import class_name
from website.gallery import SPECS
from website.places import ROOT

_WRONG = "numerics torch\n\nnetwork net {\n    input 32x32 3\n    stem: conv2d 3x3 32 stride=2\n}\n"


def write(pages: Path) -> None:
    """Fill in the front page of a folder of pages."""
    path = pages / "index.md"
    spec = first()
    made = {
        "spec": spec.rstrip(),
        "fault": _fault(),
        "networks": str(len(SPECS)),
        "faults": _faults(),
    }
    for target in ("torch", "keras", "flax"):
        source = incgen.generate("first.inc", target, text=spec)
        made[target] = indent(_parts(source, _names(target)), "    ")
    text = path.read_text("utf-8")
    for name, value in made.items():
        text = text.replace(f"{{{name}}}", value)
    path.write_text(text, "utf-8")


def first() -> str:
    """Return the spec of the page for beginners."""
    text = (ROOT / "docs" / "quickstart.md").read_text("utf-8")
    found = re.search(r"^```inc file first\.inc\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def _names(target: str) -> list[str]:
    names = ["inception", "first"]
    return names if target == "keras" else [class_name(name) for name in names]


def _parts(source: str, names: list[str]) -> str:
    """Return some classes or functions of a file, as they stand there."""
    lines = source.splitlines()
    found = [
        "\n".join(lines[node.lineno - 1 : node.end_lineno])
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name in names
    ]
    return "\n\n\n".join(found)


def _fault() -> str:
    found = incgen.check("net.inc", text=_WRONG)
    return "\n\n".join(each.render() for each in found)


def _faults() -> str:
    """Return how many faults are planted, as the page on proof says."""
    text = (ROOT / "docs" / "verify.md").read_text("utf-8")
    found = re.search(r"lists (\d+) faults that are planted", text)
    assert found is not None
    return found[1]
