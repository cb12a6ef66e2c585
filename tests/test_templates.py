"""User templates: the examples of the page, and the messages about faulty ones."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import incgen
from incgen.targets.shared import render, templates
from incgen.targets.shared.style import TemplateError
from incgen.verify import verify

PAGE = (Path(__file__).parent.parent / "docs" / "templates.md").read_text("utf-8")
SPEC = """\
numerics torch
unit conv_bn = conv bias=false -> bn -> relu
network net(classes = 5) {
    input 8x8 3
    a: conv_bn 3x3 4
    global_avg_pool
    logits: dense classes
}
"""


def example(folder: Path, number: int) -> incgen.Style:
    """Write the templates of an example of the page into a folder."""
    titled = PAGE.split("\n### ")[number]
    for name, text in re.findall(
        r"^```(?:jinja|json) (\S+)\n(.*?)^```", titled, re.MULTILINE | re.DOTALL
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    return incgen.Style(templates=folder)


def code(style: incgen.Style | None = None, target: str = "torch") -> str:
    return incgen.generate("net.inc", target, text=SPEC, style=style)


def test_a_licence_heads_the_file(tmp_path: Path) -> None:
    source = code(example(tmp_path, 1))

    licence = "# Copyright 2026 Example Ltd. SPDX-License-Identifier: MIT\n"
    assert source == f"{licence}\n{code()}"


def test_a_base_class_of_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    style = example(tmp_path, 2)
    (tmp_path / "example").mkdir()
    (tmp_path / "example" / "layers.py").write_text(
        "from torch import nn\n\n\nclass Module(nn.Module):\n    pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))

    source = code(style)

    line = "from example.layers import Module\n"
    assert line in source
    assert source.replace(line, "") == code().replace("(nn.Module)", "(Module)")
    report = verify(
        incgen.compile_spec("net.inc", text=SPEC),
        sources={"torch": source},
        targets=["torch"],
        rungs=[0, 1],
        dtypes=["float64"],
    )
    assert report.passed
    sys.modules.pop("example.layers", None)


def test_batch_normalisation_over_processes(tmp_path: Path) -> None:
    source = code(example(tmp_path, 3))

    layer = "nn.BatchNorm2d(channels, eps=1e-5, momentum=0.1)"
    assert layer in code()
    assert source == code().replace(layer, layer.replace("BatchNorm2d", "SyncBatchNorm"))
    report = verify(
        incgen.compile_spec("net.inc", text=SPEC),
        sources={"torch": source},
        targets=["torch"],
        rungs=[0, 1, 2, 4],
        dtypes=["float64"],
    )
    assert report.passed


def test_templates_of_one_target_leave_the_others_alone(tmp_path: Path) -> None:
    assert code(example(tmp_path, 3), "keras") == code(target="keras")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ call( }}", "macros/own.jinja:2: unexpected '}', expected ')'"),
        ("{{ a.nothing }}", "macros/own.jinja:2: 'dict object' has no attribute 'nothing'"),
        ("{{ helper('Nothing') }}", "helpers/Nothing.py.jinja"),
        ("nn.BatchNorm2d((", "what they give is not Python: '(' was never closed"),
    ],
)
def test_a_faulty_template_is_told_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "torch" / "macros" / "own.jinja"
    file.parent.mkdir(parents=True)
    file.write_text(f"{{% macro bn(a) %}}\n{text}\n{{% endmacro %}}\n")

    with pytest.raises(TemplateError) as caught:
        code(incgen.Style(templates=tmp_path))

    assert str(caught.value).startswith(f"the templates in `{(tmp_path / 'torch').as_posix()}`: ")
    assert message in str(caught.value)


def test_a_faulty_table_is_told(tmp_path: Path) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "tables.json").write_text("{")

    with pytest.raises(TemplateError, match=r"torch`: tables.json: Expecting property name"):
        code(incgen.Style(templates=tmp_path))


def test_a_folder_without_templates_is_refused(tmp_path: Path) -> None:
    with pytest.raises(incgen.RequestError, match="there are no templates: none of"):
        code(incgen.Style(templates=tmp_path))


def test_macros_of_a_target_replace_the_shared_ones_whatever_their_files_are_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [tmp_path / "target", tmp_path / "shared"]
    for place, name in zip(places, ("a", "b"), strict=True):
        (place / "macros").mkdir(parents=True)
        (place / "macros" / f"{name}.jinja").write_text(
            "{% macro pair() %}" + place.name + "{% endmacro %}"
        )
    monkeypatch.setattr(templates, "places_of", lambda target: places)

    assert templates.Templates("new", None).macros({})["pair"]() == "target"


def test_lines_are_as_long_as_is_asked() -> None:
    short, long = code(incgen.Style(line_length=60)), code(incgen.Style(line_length=120))

    assert max(map(len, short.split("\n"))) <= 60
    assert 88 < max(map(len, long.split("\n"))) <= 120


def test_what_only_asks_whether_there_is_code_lays_nothing_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(render, "formatted", lambda *arguments: pytest.fail("ruff is run"))

    assert incgen.check("net.inc", text=SPEC) == []
