"""Definitions to graph: keys, shapes, conventions and parameters of small networks."""

from __future__ import annotations

from pathlib import Path

import pytest

from incgen.base.diagnostics import Reporter, SpecError
from incgen.compiling import compile_spec
from incgen.graph.nodes import Graph, Node
from incgen.graph.shapes import Shape, Window


def graph(body: str, head: str = "numerics torch", size: str = "8x8 3") -> Graph:
    text = f"{head}\nnetwork n {{\n    input {size}\n{body}\n}}\n"
    return compile_spec("n.inc", text=text)


def layers(net: Graph) -> dict[str, Node]:
    return {node.path: node for node in net.nodes[1:]}


def keys(body: str, head: str = "numerics torch") -> list[str]:
    """Return the keys of the layers, in order."""
    return [node.path for node in graph(body, head).nodes[1:]]


# ---------------------------------------------------------------- keys


UNIT = "numerics torch\nunit conv_bn = conv bias=false -> bn -> relu\n"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("a: relu", ["a"]),
        ("a: relu -> tanh", ["a.0", "a.1"]),
        ("relu -> tanh", ["relu", "tanh"]),
        ("relu\nrelu -> relu", ["relu", "relu_2", "relu_3"]),
        ("relu_2: relu\nrelu -> relu", ["relu_2", "relu", "relu_3"]),
        # a unit is one op with names of its own
        ("a: conv_bn 1x1 4", ["a.conv", "a.bn", "a.relu"]),
        ("a: conv_bn 1x1 4 -> tanh", ["a.0.conv", "a.0.bn", "a.0.relu", "a.1"]),
        ("conv_bn 1x1 4", ["conv_bn.conv", "conv_bn.bn", "conv_bn.relu"]),
        # a body under a label
        ("a: { relu }", ["a"]),
        ("a: { b: relu }", ["a.b"]),
        ("a: { b: relu\ntanh }", ["a.b", "a.tanh"]),
        ("a: { relu -> tanh }", ["a.0", "a.1"]),
        ("a: { { relu\ntanh } }", ["a.relu", "a.tanh"]),
        # without a label it adds nothing
        ("{ b: relu\ntanh }\ntanh", ["b", "tanh", "tanh_2"]),
        # joins
        ("concat { a: relu\nb: tanh -> relu }", ["a", "b.0", "b.1", "concat"]),
        ("j: add { a: relu\ntanh }", ["j.a", "j.tanh", "j"]),
        ("j: add { relu\nidentity } -> relu", ["j.0.relu", "j.0", "j.1"]),
        (
            "mul { relu\nrelu }\nadd { relu\nrelu }",
            ["relu", "relu_2", "mul", "relu_3", "relu_4", "add"],
        ),
        # repeats
        ("r: repeat 2 { relu }", ["r.0", "r.1"]),
        ("r: repeat 2 { relu -> tanh }", ["r.0.0", "r.0.1", "r.1.0", "r.1.1"]),
        ("r: repeat 2 { a: relu\ntanh }", ["r.0.a", "r.0.tanh", "r.1.a", "r.1.tanh"]),
        ("repeat 2 { a: relu }", ["repeat.0.a", "repeat.1.a"]),
        ("r: repeat 2 { a: repeat 2 { relu } }", ["r.0.a.0", "r.0.a.1", "r.1.a.0", "r.1.a.1"]),
        ("r: repeat 0 { relu }\ntanh", ["tanh"]),
        # only one side of a condition is built, and both may use a name
        ("if true { a: relu } else { a: tanh }", ["a"]),
        ("if false { relu } else { relu }\nrelu", ["relu", "relu_2"]),
        ("if false { relu }\nrelu", ["relu_2"]),
        ("a: if true { relu } else { tanh -> relu }", ["a"]),
        ("a: if false { relu } else { tanh -> relu }", ["a.0", "a.1"]),
        ("aux side { fc: dense 3 }\nrelu", ["side.fc", "relu"]),
        ("aux side { dense 3 -> relu }\na: relu", ["side.0", "side.1", "a"]),
    ],
)
def test_keys(body: str, expected: list[str]) -> None:
    assert keys(body, UNIT) == expected


def test_keys_inside_blocks() -> None:
    head = """numerics torch
        unit conv_bn = conv -> bn
        block inner(c) { one: conv_bn 1x1 c -> conv_bn 3x3 c }
        block outer(c) {
            concat { a: inner c
                     identity }
            b: relu
        }"""

    assert keys("x1: outer 4\nouter 4", head) == [
        "x1.a.one.0.conv",
        "x1.a.one.0.bn",
        "x1.a.one.1.conv",
        "x1.a.one.1.bn",
        "x1.concat",
        "x1.b",
        "outer.a.one.0.conv",
        "outer.a.one.0.bn",
        "outer.a.one.1.conv",
        "outer.a.one.1.bn",
        "outer.concat",
        "outer.b",
    ]


def test_a_unit_of_a_unit_passes_its_arguments_on() -> None:
    head = UNIT + "unit twice = conv_bn groups=2 -> dropout 0.5"
    net = graph("start: conv 1x1 4\na: twice 3x3/2 6 dilation=2", head)
    conv = layers(net)["a.conv_bn.conv"]

    assert (conv.args["window"], conv.args["groups"]) == (Window((3, 3), (2, 2)), 2)
    assert (conv.args["dilation"], conv.args["bias"]) == (2, False)
    assert conv.tensors[0].shape == (6, 2, 3, 3)
    assert conv.shape == Shape(6, 4, 4)


# ---------------------------------------------------------------- values


def test_branches_start_from_one_value_and_from_goes_back() -> None:
    net = graph(
        "a: conv 1x1 4\nb: conv 1x1 5\nc: add { from a\nfrom a -> relu }\n"
        "concat { from c\nfrom b -> tanh }"
    )
    indices = {node.path: i for i, node in enumerate(net.nodes)}

    assert layers(net)["c"].inputs == (indices["a"], indices["c.relu"])
    assert layers(net)["c.relu"].inputs == (indices["a"],)
    assert layers(net)["tanh"].inputs == (indices["b"],)
    assert layers(net)["tanh"].shape.channels == 5


def test_from_reaches_the_bodies_around_and_inner_labels_hide_outer_ones() -> None:
    net = graph(
        "a: conv 1x1 4\nb: conv 1x1 5\nc: { a: conv 1x1 6\nt: tanh\n"
        "add { from a -> relu\nfrom t } }\nd: concat { from a\nfrom c }"
    )
    indices = {node.path: i for i, node in enumerate(net.nodes)}

    assert layers(net)["c.relu"].shape.channels == 6
    assert layers(net)["d"].inputs == (indices["a"], indices["c.add"])


def test_sizes_of_the_current_value_inside_branches() -> None:
    net = graph(
        "a: conv 3x3/2 6\nconcat { b: conv 1x1 (channels // 2)\n"
        "c: conv 1x1 (channels * 2) -> conv 1x1 (channels + height * width) }"
    )

    assert layers(net)["b"].shape == Shape(3, 4, 4)
    assert layers(net)["c.1"].shape == Shape(12 + 16, 4, 4)
    assert layers(net)["concat"].shape == Shape(31, 4, 4)


def test_conditions_of_sizes_and_words() -> None:
    head = """numerics torch
        block b(kind, stride = 1) {
            if stride != 1 or channels != 4 { p: conv 1x1/{stride} 4 }
            else if kind == avg { p: avg_pool 3x3 }
            else { p: max_pool 3x3 }
        }"""
    net = graph("a: b avg\nb1: b avg\nc: b max\nd: b max stride=2", head)

    assert [(n.path, n.op) for n in net.nodes[1:]] == [
        ("a.p", "conv"),
        ("b1.p", "avg_pool"),
        ("c.p", "max_pool"),
        ("d.p", "conv"),
    ]
    assert net.nodes[-1].shape == Shape(4, 4, 4)


def test_parameters_of_a_network_and_settings() -> None:
    text = (
        "network n(size = 8, classes = 10, deep = true) {\n    input {size}x{size * 2} 3\n"
        "    if deep { c: conv 3x3 4 pad=1 }\n    logits: dense classes\n}\n"
    )
    plain = compile_spec("n.inc", text=text)
    other = compile_spec("n.inc", {"size": 4, "deep": False}, text=text)

    assert plain.input == Shape(3, 8, 16)
    assert layers(plain)["logits"].tensors[0].shape == (10, 4 * 8 * 16)
    assert [node.path for node in other.nodes] == ["input", "logits"]
    assert layers(other)["logits"].tensors[0].shape == (10, 3 * 4 * 8)
    assert other.parameters == {"size": 4, "classes": 10, "deep": False}


def test_outputs() -> None:
    net = graph("a: relu\naux h1 { fc: dense 3 }\nb: tanh\naux h2 { dense 4 }\nlogits: dense 5")

    assert {name: net.nodes[i].path for name, i in net.outputs.items()} == {
        "logits": "logits",
        "h1": "h1.fc",
        "h2": "h2",
    }
    assert list(graph("a: relu\ntanh").outputs) == ["output"]


def test_totals_are_those_of_the_layers() -> None:
    net = graph("a: conv 3x3 4\nb: bn\nfc: dense 5")

    assert net.trained == (4 * 3 * 9 + 4) + 8 + (5 * 256 + 5)
    assert net.multiply_adds == 64 * 4 * 3 * 9 + 5 * 256
    assert list(net.tensors()) == [
        "a.weight",
        "a.bias",
        "b.weight",
        "b.bias",
        "b.running_mean",
        "b.running_var",
        "fc.weight",
        "fc.bias",
    ]


# ---------------------------------------------------------------- conventions


@pytest.mark.parametrize(
    ("preset", "conv", "plain", "even", "ceil", "bn"),
    [
        ("caffe", ((1, 1), (1, 1)), 1, ((0, 0), (0, 0)), True, (1e-5, 0.9, "unbiased")),
        ("torch", ((1, 1), (1, 1)), 1, ((0, 0), (0, 0)), False, (1e-5, 0.9, "unbiased")),
        ("tf", ((0, 1), (0, 1)), 1, ((0, 0), (0, 0)), False, (1e-3, 0.99, "biased")),
    ],
)
def test_presets(
    preset: str, conv: object, plain: int, even: object, ceil: bool, bn: object
) -> None:
    body = "a: conv 3x3/2 4\nfrom a -> bn\nb: max_pool 2x2/2\nc: max_pool 3x3"
    nodes = layers(graph(body, f"numerics {preset}"))

    assert nodes["a"].args["borders"] == conv
    assert (nodes["b"].args["borders"], nodes["b"].args["ceil"]) == (even, ceil)
    assert nodes["c"].args["borders"] == ((plain, plain), (plain, plain))
    assert tuple(nodes["bn"].args[k] for k in ("eps", "decay", "variance")) == bn


@pytest.mark.parametrize(("preset", "pool"), [("caffe", (0, 0)), ("tf", (0, 1))])
def test_a_strided_pooling_of_an_odd_window(preset: str, pool: tuple[int, int]) -> None:
    nodes = layers(graph("a: max_pool 3x3/2", f"numerics {preset}"))

    assert nodes["a"].args["borders"] == (pool, pool)
    with pytest.raises(SpecError, match="must state `pad`"):
        graph("a: max_pool 3x3/2", "numerics torch")


@pytest.mark.parametrize(
    ("use", "pad"),
    [
        ("pooled 3x3", 1),
        ("pooled 2x2/2", 0),
        ("pooled 3x3/2 pad=half", 1),
        ("fixed", 1),
        ("fixed window=2x2/2", 0),
        ("outer", 2),
        ("outer window=4x4/3", 0),
        ("bare", 0),
        ("bare window=3x3/2", 0),
    ],
)
def test_the_border_of_a_unit_that_begins_with_a_pooling(use: str, pad: int) -> None:
    head = """numerics torch
        unit pooled = max_pool -> relu
        unit fixed = max_pool 3x3
        unit outer = pooled 5x5 -> tanh
        unit bare = max_pool 3x3 pad=valid"""
    nodes = graph(f"a: {use}", head).nodes

    assert nodes[1].args["borders"] == ((pad, pad), (pad, pad))


def test_a_default_acts_from_where_it_stands() -> None:
    head = """numerics caffe
        block before() { a: conv 1x1 4 -> bn }
        default conv bias=false l2=1e-4
        default bn eps=0.01
        block after() { a: conv 1x1 4 -> bn
                        b: conv 1x1 4 bias=true
                        c: depthwise_conv 3x3 }"""
    nodes = layers(graph("x1: before\nx2: after", head))

    assert nodes["x1.a.0"].args["bias"] is True
    assert nodes["x1.a.1"].args["eps"] == 1e-5
    assert (nodes["x2.a.0"].args["bias"], nodes["x2.a.0"].args["l2"]) == (False, 1e-4)
    assert nodes["x2.a.1"].args["eps"] == 0.01
    assert nodes["x2.b"].args["bias"] is True
    assert nodes["x2.c"].args["bias"] is False  # `depthwise_conv` is of the family of `conv`


def spec_with(tmp_path: Path, main: str, **files: str) -> dict[str, Node]:
    for name, text in files.items():
        (tmp_path / f"{name}.inc").write_text(text, "utf-8")
    spec = tmp_path / "main.inc"
    spec.write_text(main, "utf-8")
    return layers(compile_spec(spec))


NETWORK = "network n {\n    input 8x8 3\n    a: conv_bn 3x3/2 4\n}\n"


def test_a_used_file_inherits_the_conventions_at_the_use(tmp_path: Path) -> None:
    head = 'numerics tf\ndefault bn eps=0.5\nuse conv_bn from "lib.inc"\ndefault bn eps=0.25\n'
    main = f"{head}{NETWORK}"
    nodes = spec_with(tmp_path, main, lib="unit conv_bn = conv -> bn\n")

    assert nodes["a.conv"].args["borders"] == ((0, 1), (0, 1))
    assert (nodes["a.bn"].args["eps"], nodes["a.bn"].args["decay"]) == (0.5, 0.99)


def test_a_word_that_is_also_an_op_is_an_argument() -> None:
    nodes = layers(graph("one: b tanh", "numerics torch\nblock b(form) { gelu form }"))

    assert nodes["one.gelu"].args["form"] == "tanh"


SAME = "unit conv_bn = conv bias=false -> bn\nblock {}() {{\n    c: conv_bn 3x3 4\n}}\n"


@pytest.mark.parametrize(
    "uses",
    [
        'use one from "one.inc"\nuse two from "two.inc"',
        'use one, conv_bn from "one.inc"\nuse conv_bn, two from "two.inc"',
        'use one from "one.inc"\nuse two from "two.inc"\nunit conv_bn = conv bias=false -> bn',
    ],
)
def test_what_files_define_alike_is_one(tmp_path: Path, uses: str) -> None:
    own = "    d: conv_bn 1x1 4\n" if "conv_bn" in uses else ""
    main = f"numerics torch\n{uses}\nnetwork n {{\n input 8x8 3\n a: one\n b: two\n{own}}}\n"
    (tmp_path / "one.inc").write_text(SAME.format("one"))
    (tmp_path / "two.inc").write_text("## Comments differ.\n\n" + SAME.format("two"))
    (tmp_path / "n.inc").write_text(main)

    names = [d.name for d in compile_spec(tmp_path / "n.inc").program.definitions]

    assert sorted(names) == ["conv_bn", "one", "two"]


def test_a_used_file_with_its_own_numerics_keeps_them(tmp_path: Path) -> None:
    main = f'numerics tf\ndefault bn eps=0.5\nuse conv_bn from "lib.inc"\n{NETWORK}'
    nodes = spec_with(tmp_path, main, lib="numerics caffe\nunit conv_bn = conv -> bn\n")

    assert nodes["a.conv"].args["borders"] == ((1, 1), (1, 1))
    assert (nodes["a.bn"].args["eps"], nodes["a.bn"].args["decay"]) == (1e-5, 0.9)


def test_a_file_reached_on_two_ways_gives_one_definition(tmp_path: Path) -> None:
    main = (
        'numerics caffe\nuse conv_bn from "lib.inc"\nuse other from "more.inc"\n'
        "network n {\n    input 8x8 3\n    a: conv_bn 3x3 4\n    b: other\n}\n"
    )
    more = 'use conv_bn from "lib.inc"\nblock other() {\n    c: conv_bn 1x1 4\n}\n'
    nodes = spec_with(tmp_path, main, lib="unit conv_bn = conv -> bn\n", more=more)

    assert list(nodes) == ["a.conv", "a.bn", "b.c.conv", "b.c.bn"]
    used, inner = nodes["a.conv"].use, nodes["b.c.conv"].use
    assert used is not None and inner is not None
    assert used.definition is inner.definition


# ---------------------------------------------------------------- faults


def test_faults_of_all_branches_are_told() -> None:
    body = "concat { a: max_pool 9x9 pad=valid\nb: conv 3x3 5 groups=3 bias=false -> tanh\nrelu }"
    with pytest.raises(SpecError) as caught:
        graph(f"{body}\nmax_pool 99x99")

    assert [d.code.value for d in caught.value.diagnostics] == ["window-too-large", "groups"]


def test_what_follows_a_fault_is_not_told_but_other_values_are() -> None:
    body = (
        "a: conv 1x1 4\nb: conv 3x3 5 groups=3\nc: max_pool 99x99\nfrom a -> conv 9x9 3 pad=valid\n"
    )
    report = Reporter()
    with pytest.raises(SpecError) as caught:
        compile_spec(
            "n.inc", text=f"numerics torch\nnetwork n {{\ninput 8x8 3\n{body}}}", report=report
        )

    codes = [d.code.value for d in caught.value.diagnostics if d.severity == "error"]
    assert codes == ["groups", "window-too-large"]


def test_one_fault_of_a_block_is_told_once() -> None:
    head = "numerics torch\nblock b() { a: conv 3x3 5 groups=2 }"
    with pytest.raises(SpecError) as caught:
        graph("concat { x1: b\nx2: b\nx3: b }", head)

    (only,) = caught.value.diagnostics
    assert "used here as `x1`" in only.notes[0].message
