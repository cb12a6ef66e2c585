"""Names in other tools: the tables cover exactly what the language has."""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from types import ModuleType

import pytest

from incgen.api import check
from incgen.base.diagnostics import render
from incgen.language import elsewhere
from incgen.language.elsewhere import JOINS, called, called_here, lacked, lacking
from incgen.language.ops import OPS
from incgen.resolve import advice
from incgen.syntax import parser, slips, translation
from incgen.syntax.translation import takes_of, translated

#: Text in backticks in help lines that is part of a statement, or belongs elsewhere.
PARTS = {"mean=", "std=", "input", "repeat 3 { ... }", "else if", "}", "let name = 8", "from label"}
PARTS |= {"concat { ... }", "aux name { ... }", "add", "block", "conv", "mul", "incgen templates"}


def faults(statements: str, *, width: str = "32x32 64") -> str:
    """Return the errors of statements in a network of their own, including those of targets."""
    text = f"numerics caffe\nnetwork n {{\ninput {width}\nlabel: relu\n{statements}\n}}\n"
    errors = [fault for fault in check("n.inc", text=text) if fault.severity == "error"]
    return render(errors)


@pytest.mark.parametrize("module", [advice, elsewhere, slips, translation])
def test_the_examples_of_docstrings_hold(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0


def test_what_is_called_otherwise_is_there() -> None:
    for word, ours in called().items():
        name, *given = ours.split()
        assert name in OPS or name in JOINS, word
        assert not given or not faults(f"a: {ours} 8"), word
        assert called_here(word) == ours, word


def test_every_row_on_lines_explains_one_of_the_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    explain, used = slips._Row.explain, list[slips._Row]()

    def noted(row: slips._Row, misfit: slips.Misfit) -> slips.Slip | None:
        slip = explain(row, misfit)
        if slip is not None:
            used.append(row)
        return slip

    monkeypatch.setattr(slips._Row, "explain", noted)
    monkeypatch.setattr(parser, "_KNOWN", {})  # a text that another test had read is explained too
    for path in (Path(__file__).parent / "errors").glob("*.inc"):
        check(path)

    assert [row for row in slips._rows() if row not in used] == []


def test_no_word_is_in_both_tables_or_an_op() -> None:
    ours = {name.replace("_", "") for name in (*OPS, *JOINS)}

    assert not called().keys() & lacked().keys()
    assert not (called().keys() | lacked().keys()) & ours
    for word in (*called(), *lacked()):
        assert re.fullmatch(r"[a-z0-9]+", word), word


@pytest.mark.parametrize("help_", sorted(set(lacked().values()) - {""}))
def test_what_is_offered_in_place_of_a_missing_op_compiles(help_: str) -> None:
    offers = [offer for offer in re.findall(r"`([^`]+)`", help_) if offer not in PARTS]

    assert offers or set(re.findall(r"`([^`]+)`", help_)) <= PARTS
    for offer in offers:
        needed = {"bn": "a: bn", "lrn": "lrn"}.get(offer, offer)
        assert not faults(needed), offer


@pytest.mark.parametrize(
    ("word", "here"),
    [
        *(("BatchNorm2d", "bn"), ("BatchNorm1d", "bn"), ("MaxPool2d", "max_pool")),
        *(("GlobalAveragePooling2D", "global_avg_pool"), ("Conv2D", "conv"), ("ReLU", "relu")),
        *(("ZeroPadding2D", "pad"), ("fully_connected", "dense"), ("Add", "add")),
        *(("pointwise_conv", "conv 1x1"), ("DepthwiseConv2D", "depthwise_conv"), ("cat", "concat")),
        *(("Conv3d", None), ("conv1d", None), ("Dropout2d", None), ("Conv2DTranspose", None)),
        *(("softplus", None), ("conv3", None), ("wide", None)),
    ],
)
def test_a_name_of_another_tool(word: str, here: str | None) -> None:
    assert called_here(word) == here


@pytest.mark.parametrize(
    "word",
    ["transpose", "tile", "RoIAlign", "deform_conv", "matmul", "LPPool", "Conv3d", "sqrt"],
)
def test_an_op_that_nothing_is_like(word: str) -> None:
    assert lacking(word) == ""
    report = faults(f"{word} 3")
    assert f"the language has no op `{word}`, and no equivalent" in report
    assert "help: " not in report


def test_a_missing_op_is_never_offered_as_a_near_name() -> None:
    words = sorted(lacked())
    for start in range(0, len(words), 20):  # as many as are shown
        report = faults("\n".join(words[start : start + 20]))
        assert report.count("error[unknown-op]: the language has no op") == len(words[start:][:20])
        assert "did you mean" not in report


@pytest.mark.parametrize(
    ("name", "positional", "attributes", "here"),
    [
        ("conv", ["3", "8"], {}, "conv 3x3 8"),
        ("conv", ["8", "3x3"], {}, "conv 3x3 8"),
        ("conv", ["8"], {"kernel_size": "3"}, "conv 3x3 8"),
        ("conv", ["3x3"], {"filters": "8", "stride": "2"}, "conv 3x3/2 8"),
        ("conv", ["3x3", "8"], {"strides": "[2, 1]"}, "conv 3x3/2x1 8"),
        ("conv", ["3x3", "c"], {"stride": "s", "use_bias": "False"}, "conv 3x3/{s} c bias=false"),
        ("conv", ["3x3/2", "8"], {"stride": "2"}, None),  # said twice
        ("conv", ["3x3", "8"], {"padding": "(1, 2)"}, "conv 3x3 8 pad=1x2"),
        ("conv", ["3x3", "8"], {"padding": "none"}, "conv 3x3 8 pad=valid"),
        ("conv", ["3x3", "8"], {"foo": "2"}, None),
        ("conv", ["3x3", "8"], {"activation": "mish"}, None),
        ("conv", ["3x3", "8"], {"kernel_initializer": "he_normal"}, "conv 3x3 8 init=he_normal"),
        ("conv", ["3x3"], {"padding": "1"}, None),  # no channels
        ("conv", ["kxk", "c"], {}, "conv {k}x{k} c"),
        ("conv", ["64"], {"kernel_size": "k", "in_channels": "3"}, "conv {k}x{k} 64"),
        ("max_pool", ["2"], {}, "max_pool 2x2/2"),
        ("max_pool", ["2x2"], {}, "max_pool 2x2"),
        ("MaxPool2d", [], {"kernel_size": "3", "stride": "1"}, "max_pool 3x3 pad=valid"),
        ("MaxPool2d", ["3", "2", "1"], {}, "max_pool 3x3/2 pad=1"),
        ("Conv2d", ["3", "64", "3"], {}, "conv 3x3 64 pad=valid"),
        ("Conv2d", ["3", "64", "1"], {}, "conv 1x1 64"),
        ("Conv2d", ["3", "64", "7", "2", "3"], {"bias": "False"}, "conv 7x7/2 64 bias=false pad=3"),
        ("Conv2d", ["3", "64"], {"kernel_size": "3", "padding": "1"}, "conv 3x3 64 pad=1"),
        ("Conv2D", ["64", "3"], {}, "conv 3x3 64 pad=valid"),
        ("Linear", ["512", "10"], {}, "dense 10"),
        ("BatchNorm2d", ["64"], {}, "bn"),
        ("pool", ["2", "max"], {}, "pool max 2x2/2"),
        ("adaptive_avg_pool", ["1"], {}, "adaptive_avg_pool 1x1"),
        ("dropout", [], {"p": "0.5"}, "dropout 0.5"),
        ("dropout", [], {"keep_prob": "0.8"}, "dropout 0.2"),
        ("bn", [], {"momentum": "0.1", "eps": "1e-3"}, "bn decay=0.9 eps=1e-3"),
        ("bn", [], {"momentum": "0.99"}, "bn decay=0.99"),
        ("bn", [], {"affine": "False"}, "bn scale=false shift=false"),
        ("dense", ["8"], {"activation": "relu", "batch_norm": "True"}, "dense 8 -> bn -> relu"),
        ("dense", ["8"], {"activation": "None"}, "dense 8"),
        ("dense", ["8"], {"name": "fc1"}, "fc1: dense 8"),
        ("LeakyReLU", [], {"negative_slope": "0.1"}, "leaky_relu 0.1"),
        ("gelu", [], {"approximate": "tanh"}, "gelu tanh"),
        ("gelu", [], {"approximate": "False"}, "gelu erf"),
        ("lrn", [], {"depth_radius": "2"}, "lrn 5"),
        ("softmax", [], {"axis": "1"}, "softmax"),
        ("scale", ["2"], {"trainable": "true"}, None),
    ],
)
def test_a_call_as_another_tool_writes_it(
    name: str, positional: list[str], attributes: dict[str, str], here: str | None
) -> None:
    takes = takes_of(name)
    assert takes is not None

    call = translated(takes, positional, list(attributes.items()), name)

    assert call == here
    if call is not None and not re.search(r"\b[sck]\b", call):
        assert not faults(call), call
