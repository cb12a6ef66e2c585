"""The table and the JSON of a network, with numbers worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from incgen.compiling import compile_spec
from incgen.graph.nodes import Graph
from incgen.graph.words import described
from incgen.show.as_json import as_json
from incgen.show.columns import COLUMNS, ColumnError
from incgen.show.sheet import View, sheet
from incgen.show.text import as_csv, in_markdown, table

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
# logits 4 x 10 + 10 = 50 and 40. The longest bar is that of `deep`; that of `mixed` is
# 80 x 2112 / 2304 = 73 eighths of a block long.
# Memory, in numbers of 4 bytes: training keeps 192 of the input, 96 + 96 in each conv_bn, 192 of
# the average and of `mixed`, 4 of the head's maximum, 48 between the iterations, 4 behind the
# dropout, and 4 bytes of its mask. While the average is computed, its input, its output and `left`
# are live.
TABLE = """\
small(classes = 10)  from small.inc
A small one.

layer             op                     output      parameters   multiply-adds   % of multiply-adds
----------------------------------------------------------------------------------------------------
input                                    4 x 8 x 6
mixed             pair                   4 x 8 x 6           52           2,112    47.3 █████████▏
  left            conv_bn 1x1            2 x 8 x 6           12             384     8.6 █▋
  right                                  2 x 8 x 6           40           1,728    38.7 ███████▌
    0             avg_pool 3x3           4 x 8 x 6
    1             conv_bn 3x3 groups=2   2 x 8 x 6           40           1,728    38.7 ███████▌
  concat          concat                 4 x 8 x 6
head                                     3                   15              12     0.3 ▏
  0               global_max_pool        4
  1               dense                  3                   15              12     0.3 ▏
deep                                     4 x 2 x 2          296           2,304    51.6 ██████████
  0                                      4 x 4 x 3          148           1,728    38.7 ███████▌
    c             conv 3x3/2             4 x 4 x 3          148           1,728    38.7 ███████▌
  1                                      4 x 2 x 2          148             576    12.9 ██▌
    c             conv 3x3/2             4 x 2 x 2          148             576    12.9 ██▌
global_avg_pool   global_avg_pool        4
dropout           dropout 0.25           4
logits            dense                  10                  50              40     0.9 ▏
----------------------------------------------------------------------------------------------------
total                                                       413           4,468

outputs        logits (10), head (3)
parameters     413, and 8 running statistics; 1.68 kB as float32
multiply-adds  4.47 k for one 8 x 6 input
activations    4.07 kB kept in training, 1.92 kB at once in inference, for one input
"""


@pytest.fixture(scope="module")
def small() -> Graph:
    return compile_spec("small.inc", text=SMALL)


def shown(graph: Graph, **view: Any) -> str:
    return table(sheet(graph, View(**view)))


def labels(text: str) -> list[str]:
    rows = text.split("-\n")[1].splitlines()[:-1]
    return [row[:17].rstrip() for row in rows]


def test_the_table(small: Graph) -> None:
    assert shown(small) == TABLE


def test_depth_cuts_the_tree_and_keeps_the_sums(small: Graph) -> None:
    text = shown(small, depth=1)

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


def test_a_repeat_says_what_it_stacks_however_often() -> None:
    text = "numerics torch\nblock part { a: conv 3x3 3 }\nnetwork net {\n input 4x4 3\n"
    text += " one: repeat 1 { part }\n two: repeat 2 { part }\n}\n"

    table = shown(compile_spec("net.inc", text=text), depth=1)

    assert "one     1 x part" in table and "two     2 x part" in table


def test_all_shows_the_layers_inside_units(small: Graph) -> None:
    names = labels(shown(small, everything=True))

    assert names[2:6] == ["  left", "    conv", "    bn", "    relu"]


def test_bn_inception_fits_and_sums_up() -> None:
    graph = compile_spec(BN_INCEPTION)

    for everything in (False, True):
        text = shown(graph, everything=everything)
        assert max(map(len, text.splitlines())) <= 120
        assert [line for line in text.splitlines() if line != line.rstrip()] == []
        total = next(line for line in text.splitlines() if line.startswith("total"))
        assert total.split() == ["total", "11,285,224", "2,032,600,064"]


def csv_rows(graph: Graph, **view: Any) -> list[str]:
    return as_csv(sheet(graph, View(**view))).splitlines()


def test_columns_are_chosen(small: Graph) -> None:
    assert csv_rows(small, columns="field, stride,key,tensors,line", depth=1) == [
        "layer,field,stride,key,tensors,line",
        "input,1 x 1,1,input,,small.inc:11",
        "mixed,5 x 5,1,mixed,,small.inc:12",
        "head,12 x 10,,head,,",
        "deep,11 x 11,4,deep,,",
        "global_avg_pool,15 x 15,,global_avg_pool,,small.inc:15",
        "dropout,15 x 15,,dropout,,small.inc:15",
        'logits,15 x 15,,logits,"weight 10x4, bias 10",small.inc:16',
    ]
    assert csv_rows(small, columns="+line")[0] == (
        "layer,op,output,parameters,multiply-adds,share,line"
    )
    assert csv_rows(small, columns="all")[0] == ",".join(["layer", *COLUMNS])


def test_rows_of_csv_add_up(small: Graph) -> None:
    for depth, everything in ((1, False), (2, False), (None, False), (None, True)):
        columns = "parameters,multiply-adds,training-memory,share"
        _, *rows = csv_rows(small, columns=columns, depth=depth, everything=everything)
        numbers = [[float(cell) for cell in row.split(",")[1:]] for row in rows]
        sums = [sum(column) for column in zip(*numbers, strict=True)]
        assert sums == pytest.approx([413, 4468, 4068, 1], abs=1e-5)


def test_sorted_rows_are_not_nested(small: Graph) -> None:
    text = shown(small, columns="parameters,share", sort="parameters")

    assert text.split("\n")[3:8] == [
        "layer             parameters   % of parameters",
        "-----------------------------------------------",
        "deep.0.c                 148    35.8 ██████████",
        "deep.1.c                 148    35.8 ██████████",
        "logits                    50    12.1 ███▍",
    ]
    names = [row.split(",")[0] for row in csv_rows(small, sort="key", depth=1)]
    assert names[1:4] == ["deep", "dropout", "global_avg_pool"]
    sizes = [row.split(",")[0] for row in csv_rows(small, sort="output", depth=1)]
    assert sizes[1:3] == ["input", "mixed"]
    fields = [row.split(",")[1] for row in csv_rows(small, columns="field", sort="field", depth=1)]
    assert fields[1:5] == ["15 x 15", "15 x 15", "15 x 15", "11 x 11"]


def test_an_unknown_column(small: Graph) -> None:
    with pytest.raises(ColumnError, match="no column `paramters`: did you mean `parameters`"):
        sheet(small, View(columns="op,paramters"))
    with pytest.raises(ColumnError, match="no column `x`: use `op`, `output`,"):
        sheet(small, View(sort="x"))


def test_markdown(small: Graph) -> None:
    markdown = in_markdown(sheet(small, View(depth=1, columns="op,multiply-adds,share")))

    assert markdown.split("\n")[:4] + markdown.split("\n")[-3:] == [
        "| layer | op | multiply-adds | % of multiply-adds |",
        "| --- | --- | ---: | ---: |",
        "| `input` |  |  |  |",
        "| `mixed` | pair | 2,112 | 47.3 █████████▏ |",
        "| `logits` | dense | 40 | 0.9 ▏ |",
        "| **total** |  | 4,468 |  |",
        "",
    ]


def test_a_table_fits_into_a_terminal(small: Graph) -> None:
    """The bars go first, then the ends of what layers are, then of their names."""
    grid = sheet(small, View())
    assert table(grid, width=100) == TABLE

    def lines(width: int) -> list[str]:
        return table(grid, width=width).split("\n")[3:-6]

    mixed = (
        "mixed            pair                  4 x 8 x 6          52          2,112   47.3 ████▋"
    )
    assert lines(99)[3] == mixed
    assert max(map(len, lines(99))) == 88
    assert max(map(len, lines(85))) == 79
    assert max(map(len, lines(78))) == 75
    cut = "    1            conv_bn 3x3 g...  2 x 8 x 6          40          1,728"
    assert cut in lines(71)
    assert max(map(len, lines(60))) == 64  # as narrow as it gets
    assert "global_av...  global_av...  4" in lines(60)


def test_bars_are_painted_by_their_length(small: Graph) -> None:
    painted = table(sheet(small, View(depth=1)), paint=lambda text, style: f"<{style}>{text}</>")

    assert painted.startswith("<heading>small(classes = 10)  from small.inc</>\n")
    assert "<long> 47.3 █████████▏</>\n" in painted
    assert "15              12   <short>  0.3 ▏</>" in painted
    assert "<total>total" in painted


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
    assert data["total"] == {
        "parameters": 413,
        "statistics": 8,
        "multiply_adds": 4468,
        "training_memory": 4 * (192 + 4 * 96 + 2 * 192 + 4 + 48 + 4) + 4,
        "inference_memory": 4 * (192 + 192 + 96),
    }
    assert [layer["path"] for layer in data["layers"]] == [node.path for node in small.nodes]
    layer = next(entry for entry in data["layers"] if entry["path"] == "mixed.right.1.conv")
    assert layer["inputs"] == ["mixed.right.0"]
    assert layer["output"] == [2, 8, 6]
    assert (layer["parameters"], layer["multiply_adds"]) == (36, 1728)
    assert (layer["training_memory"], layer["inference_memory"]) == (4 * 96, 4 * (96 + 192 + 96))
    assert layer["receptive_field"] == {"size": [5, 5], "stride": [1, 1]}
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
