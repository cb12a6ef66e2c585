"""The playground without a browser: what its Python answers, and what is packed for it."""

from __future__ import annotations

import ast
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

import incgen
from incgen.targets.shared import formatting
from website.packing import pack, write
from website.playground.session import Session

ROOT = Path(__file__).parent.parent
GOOD = """\
numerics torch

network small(classes = 10) {
    input 16x16 3
    conv1: conv 3x3 8
    global_avg_pool
    logits: dense classes
}
"""


def test_a_sound_spec_is_shown() -> None:
    session = Session()

    answer = json.loads(session.check(GOOD))
    assert answer == {"built": True, "faults": [], "recipes": [], "problem": ""}
    for target in ("torch", "keras", "flax"):
        answer = json.loads(session.result(target, "light"))
        source = incgen.generate("network.inc", target, text=GOOD)
        assert answer == {"text": source, "name": f"small_{target}.py"}
    table = json.loads(session.result("table", "light"))["text"]
    assert "conv1" in table and "parameters" in table
    for theme in ("light", "dark"):
        picture = json.loads(session.result("drawing", theme))["text"]
        assert picture.encode() == incgen.drawing("network.inc", text=GOOD, theme=theme)


TRAINED = f"""{GOOD.replace("16x16 3", "16x16 3  range=[0, 1]")}
recipe fast for small classes=4 {{
    batch 8
    epochs 1
    loss cross_entropy
    optimizer sgd
    rate 0.1
    train {{ resize 16 -> center_crop }}
    evaluate {{ resize 16 -> center_crop }}
}}
"""


def test_values_are_set_and_a_recipe_shows_its_scripts(tmp_path: Path) -> None:
    spec = tmp_path / "network.inc"
    spec.write_text(TRAINED, "utf-8")
    session = Session()

    answer = json.loads(session.check(TRAINED, "classes=7", "none"))
    assert answer == {"built": True, "faults": [], "recipes": ["fast"], "problem": ""}
    assert json.loads(session.result("torch", "light"))["text"] == incgen.generate(
        spec, "torch", {"classes": 7}
    )
    session.check(TRAINED, "", "fast")
    for target in ("torch", "keras", "flax"):
        shown = json.loads(session.result(target, "light"))
        model, script = incgen.build(spec, target, f"{tmp_path}/out/", recipe="fast")
        assert shown["name"] == script.path.name and shown["beside"] == model.path.stem
        assert session.seal(shown["text"]) == script.text
    assert "4" in json.loads(session.result("table", "light"))["text"].split("logits")[1]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("classes", "`classes` is not of the form name=value"),
        ("class=7", "no constant `class`: did you mean `classes`?"),
    ],
)
def test_what_cannot_be_set_is_said(given: str, problem: str) -> None:
    session = Session()
    session.check(GOOD)
    before = session.result("torch", "light")

    answer = json.loads(session.check(GOOD, given))
    assert not answer["built"] and problem in answer["problem"]
    assert session.result("torch", "light") == before


def test_a_source_is_sealed_as_build_writes_it(tmp_path: Path) -> None:
    spec = tmp_path / "network.inc"
    spec.write_text(GOOD, "utf-8")
    (file,) = incgen.build(spec, "torch", tmp_path / "small.py")
    session = Session()
    session.check(GOOD)

    assert session.seal(incgen.generate(spec, "torch")) == file.text


def test_faults_have_their_places_in_units_of_the_browser() -> None:
    text = GOOD.replace("numerics torch", "numerics torch  # \U0001f600").replace(
        "conv 3", "conf 3"
    )
    answer = json.loads(Session().check(text))

    (fault,) = answer["faults"]
    start = len(text[: text.index("conf 3")].encode("utf-16-le")) // 2
    assert not answer["built"]
    assert (fault["from"], fault["to"]) == (start, start + 4)
    assert (fault["line"], fault["column"]) == (5, 12)
    assert (fault["severity"], fault["code"]) == ("error", "unknown-op")
    assert fault["help"] and fault["report"].startswith("network.inc:5:12: error[unknown-op]: ")


def test_the_last_sound_spec_stays_shown() -> None:
    session = Session()
    assert json.loads(session.result("torch", "light")) == {"text": "", "name": ""}
    session.check(GOOD)
    session.check(GOOD.replace("conv 3", "conf 3"))

    assert "class Small(" in json.loads(session.result("torch", "light"))["text"]


def test_what_a_target_refuses_is_said() -> None:
    session = Session()
    spec = """\
numerics torch
block grown(n) {
    a: repeat n { conv 1x1 (channels * 2 + 1) }
    c: conv 1x1 8
}
network net {
    input 8x8 3
    x: grown 3
    y: grown 2
}
"""
    assert json.loads(session.check(spec))["built"]

    answer = json.loads(session.result("torch", "light"))
    assert (
        answer["refused"].startswith("network.inc:4:") and "error[unsupported]" in answer["refused"]
    )


def test_help_at_the_cursor() -> None:
    session = Session()
    text = GOOD.replace("conv1: conv 3x3 8", "# \U0001f600\n    conv1: ")
    units = len(text[: text.index("conv1: ") + 7].encode("utf-16-le")) // 2

    offered = {item["label"]: item for item in json.loads(session.complete(text, units))}
    assert offered["max_pool"]["detail"] and "relu" in offered
    said = json.loads(session.hover(GOOD, GOOD.index("conv 3x3")))
    assert "8 x 16 x 16" in said
    assert json.loads(session.hover(GOOD, GOOD.index("{"))) == ""


def test_format_leaves_alone_what_does_not_parse() -> None:
    session = Session()

    assert session.format(GOOD.replace("    conv1: conv 3x3 8", "  conv1:conv 3x3   8")) == GOOD
    assert session.format("network {{{") == "network {{{"


def test_without_processes_source_is_valid_but_not_laid_out(monkeypatch: Any) -> None:
    laid_out = incgen.generate("bn_inception", "keras")
    monkeypatch.setattr(formatting, "PROCESSES", False)
    plain = incgen.generate("bn_inception", "keras")

    ast.parse(plain)
    assert plain != laid_out
    with pytest.raises(SyntaxError):
        formatting.formatted("def", 88)
    monkeypatch.undo()
    assert formatting.formatted(plain, 88) == laid_out


def test_what_is_packed(tmp_path: Path) -> None:
    pack(tmp_path / "sources.zip")

    with zipfile.ZipFile(tmp_path / "sources.zip") as archive:
        names = set(archive.namelist())
    needed = {
        "incgen/api.py",
        "incgen/grammar/inc.lark",
        "incgen/specs/parts/inception.inc",
        "incgen/templates/torch/tables.json",
        "lark/__init__.py",
        "lsprotocol/types.py",
        "markupsafe/_native.py",
        "website/playground/session.py",
    }
    assert needed <= names
    assert not [name for name in names if name.endswith((".so", ".pyc")) or "/verify/" in name]


def test_the_page_holds_the_examples(tmp_path: Path) -> None:
    (tmp_path / "playground.md").write_text("<script>{data}</script>", "utf-8")
    write(tmp_path)

    text = (tmp_path / "playground.md").read_text("utf-8")
    data = json.loads(text.removeprefix("<script>").removesuffix("</script>"))
    specs = sorted(path.stem for path in (ROOT / "specs").glob("*.inc"))
    assert list(data["examples"]) == ["first", *specs]
    for name, example in data["examples"].items():
        faults = incgen.check(f"{name}.inc", text=example)
        assert not [fault for fault in faults if fault.severity == "error"], name
    assert data["patterns"][0] == {"regex": "##.*$", "scopes": ["comment.line.documentation"]}
