"""The table and the JSON of a network, with numbers worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from incgen.compiling import compile_spec
from incgen.graph.nodes import Graph
from incgen.graph.show import as_json, described, table

BN_INCEPTION = Path(__file__).parent.parent / "specs" / "bn_inception.inc"

SMALL = """\
numerics torch
unit conv_bn = conv bias=false -> bn -> relu
block pair(n, kind) {
    concat {
        left: conv_bn 1x1 n
        right: pool kind 3x3/1 -> conv_bn 3x3 n groups=2
    }
}
## A small one.
network small(classes = 10) {
    input 8x6 4
    mixed: pair 2 avg
    aux head { global_max_pool -> dense 3 }
    deep: repeat 2 { c: conv 3x3/2 4 pad=1 }
    global_avg_pool -> dropout 0.25
    logits: dense classes
}
"""

# conv 1x1 on 4 channels: 4 x 2 + 2 x 2 = 12 parameters, 8 x 6 x 2 x 4 = 384 multiply-adds;
# conv 3x3, 2 groups: 2 x 2 x 9 + 2 x 2 = 40 and 48 x 2 x 2 x 9 = 1728; head 4 x 3 + 3 = 15 and 12;
# deep 0: 4 x 4 x 9 + 4 = 148, output 4 x 3, so 12 x 4 x 36 = 1728; deep 1: output 2 x 2, 576;
# logits 4 x 10 + 10 = 50 and 40.
TABLE = """\
small(classes = 10)  from small.inc
A small one.

layer             op                     output      parameters   multiply-adds
-------------------------------------------------------------------------------
input                                    4 x 8 x 6
mixed             pair                   4 x 8 x 6           52           2,112
  left            conv_bn 1x1            2 x 8 x 6           12             384
  right                                  2 x 8 x 6           40           1,728
    0             avg_pool 3x3           4 x 8 x 6
    1             conv_bn 3x3 groups=2   2 x 8 x 6           40           1,728
  concat          concat                 4 x 8 x 6
head                                     3                   15              12
  0               global_max_pool        4
  1               dense                  3                   15              12
deep                                     4 x 2 x 2          296           2,304
  0                                      4 x 4 x 3          148           1,728
    c             conv 3x3/2             4 x 4 x 3          148           1,728
  1                                      4 x 2 x 2          148             576
    c             conv 3x3/2             4 x 2 x 2          148             576
global_avg_pool   global_avg_pool        4
dropout           dropout 0.25           4
logits            dense                  10                  50              40
-------------------------------------------------------------------------------
total                                                       413           4,468

outputs        logits (10), head (3)
parameters     413, and 8 running statistics; 1.68 kB as float32
multiply-adds  4.47 k for one 8 x 6 input
"""


@pytest.fixture(scope="module")
def small() -> Graph:
    return compile_spec("small.inc", text=SMALL)


def labels(text: str) -> list[str]:
    rows = text.split("-\n")[1].splitlines()[:-1]
    return [row[:17].rstrip() for row in rows]


def test_the_table(small: Graph) -> None:
    assert table(small) == TABLE


def test_depth_cuts_the_tree_and_keeps_the_sums(small: Graph) -> None:
    text = table(small, depth=1)

    assert labels(text) == [
        "input",
        "mixed",
        "head",
        "deep",
        "global_avg_pool",
        "dropout",
        "logits",
    ]
    assert "mixed             pair" in text
    assert "2,112" in text


def test_all_shows_the_layers_inside_units(small: Graph) -> None:
    found = labels(table(small, everything=True))

    assert found[2:6] == ["  left", "    conv", "    bn", "    relu"]


def test_bn_inception_fits_and_sums_up() -> None:
    graph = compile_spec(BN_INCEPTION)

    for everything in (False, True):
        text = table(graph, everything=everything)
        assert max(map(len, text.splitlines())) <= 100
        assert [line for line in text.splitlines() if line != line.rstrip()] == []
        total = next(line for line in text.splitlines() if line.startswith("total"))
        assert total.split() == ["total", "11,285,224", "2,032,600,064"]


@pytest.mark.parametrize(
    ("op", "words"),
    [
        ("conv 3x3 4 pad=valid", "conv 3x3 pad=0"),
        ("conv 3x3 4 pad=same dilation=2", "conv 3x3 dilation=2"),
        ("conv 4x3/2x1 4 pad=[0, 1, 2, 2]", "conv 4x3/2x1 pad=[0,1,2,2]"),
        ("depthwise_conv 3x3 multiplier=2", "depthwise_conv 3x3 multiplier=2"),
        ("max_pool 3x3/2 pad=half ceil=true", "max_pool 3x3/2 ceil"),
        ("lrn 5", "lrn 5"),
        ("leaky_relu 0.1", "leaky_relu 0.1"),
        ("gelu tanh", "gelu tanh"),
        ("pad 1", "pad 1"),
        ("pad 1x2", "pad 1x2"),
        ("softmax", "softmax"),
    ],
)
def test_a_layer_is_said_in_a_few_words(op: str, words: str) -> None:
    text = f"numerics torch\nnetwork net {{\n input 16x16 4\n x: {op}\n}}\n"

    assert described(compile_spec("net.inc", text=text).nodes[-1]) == words


def test_json_has_everything(small: Graph) -> None:
    data = json.loads(as_json(small))

    assert (data["network"], data["file"], data["arguments"]) == (
        "small",
        "small.inc",
        {"classes": 10},
    )
    assert data["input"] == [4, 8, 6]
    assert data["outputs"] == {
        "logits": {"layer": "logits", "shape": [10]},
        "head": {"layer": "head.1", "shape": [3]},
    }
    assert data["total"] == {"parameters": 413, "statistics": 8, "multiply_adds": 4468}
    assert [layer["path"] for layer in data["layers"]] == [node.path for node in small.nodes]
    layer = next(each for each in data["layers"] if each["path"] == "mixed.right.1.conv")
    assert layer["inputs"] == ["mixed.right.0"]
    assert layer["output"] == [2, 8, 6]
    assert (layer["parameters"], layer["multiply_adds"]) == (36, 1728)
    assert layer["arguments"]["window"] == {"kernel": [3, 3], "stride": [1, 1]}
    assert layer["arguments"]["init"] == {"name": "glorot_uniform", "arguments": []}
    assert layer["arguments"]["borders"] == [[1, 1], [1, 1]]
    assert layer["tensors"] == [
        {"name": "mixed.right.1.conv.weight", "shape": [2, 2, 3, 3], "trained": True}
    ]
    assert layer["part_of"] == [
        {"name": "pair", "kind": "block", "path": "mixed", "line": 12},
        {"name": "conv_bn", "kind": "unit", "path": "mixed.right.1", "line": 6},
    ]
    assert layer["line"] == 2


def test_json_honours_the_depth(small: Graph) -> None:
    """The figures are those of the rows in the table."""
    data = json.loads(as_json(small, depth=1))

    rows = {
        row["path"]: (row["op"], row["inputs"], row["parameters"], row["multiply_adds"])
        for row in data["layers"]
    }
    assert rows == {
        "input": ("input", [], 0, 0),
        "mixed": ("pair", ["input"], 52, 2112),
        "head": (None, ["mixed"], 15, 12),
        "deep": (None, ["mixed"], 296, 2304),
        "global_avg_pool": ("global_avg_pool", ["deep"], 0, 0),
        "dropout": ("dropout", ["global_avg_pool"], 0, 0),
        "logits": ("dense", ["dropout"], 50, 40),
    }
    assert [row.get("layers") for row in data["layers"]] == [None, 8, 2, 2, None, None, None]
    assert data["outputs"]["head"]["layer"] == "head"
    assert data["total"] == json.loads(as_json(small))["total"]


def test_json_of_all_levels_is_that_without_a_depth(small: Graph) -> None:
    assert as_json(small, depth=9) == as_json(small)
    two = [row["path"] for row in json.loads(as_json(small, depth=2))["layers"]]
    assert two[1:5] == ["mixed.left", "mixed.right", "mixed.concat", "head.0"]
