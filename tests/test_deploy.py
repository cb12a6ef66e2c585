"""Deployed forms: what each pass does, that it changes no output, and how files load weights.

The proof is in NumPy, by the reference that knows no pass; generated files are run in
`test_deploy_models.py`.
"""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from fuzzing.specs import random_spec
from incgen.base.diagnostics import SpecError
from incgen.compiling import RequestError, compile_spec
from incgen.deploy import fold, fold_norm, project_first
from incgen.deploy.passes import PASSES
from incgen.deploy.show import passes as listed_passes
from incgen.deploy.show import table
from incgen.graph.nodes import Graph
from incgen.inference import deployed, find_passes, passes_of
from incgen.targets import ONNX
from incgen.verify import drawing, inputs, measure, verify
from incgen.verify.reference import Reference
from incgen.weights import folding
from incgen.weights.checkpoint import Array

ROOT = Path(__file__).parent.parent
EVERYTHING = ROOT / "tests" / "deploy" / "everything.inc"


def graph_of(body: str, *, before: str = "", numerics: str = "caffe") -> Graph:
    text = f"numerics {numerics}\n{before}\nnetwork net {{\n    input 7x6 3\n{body}\n}}\n"
    return compile_spec("net.inc", text=text)


def layers(graph: Graph) -> list[str]:
    """Return the layers in order: `path op`."""
    return [f"{node.path} {node.op}" for node in graph.nodes[1:]]


def reasons(graph: Graph) -> dict[str, str]:
    assert graph.deployment is not None
    return {entry.path: entry.reason for entry in graph.deployment.left}


def weights_of(graph: Graph, seed: int = 0) -> dict[str, Array]:
    """Return random weights and statistics, none of which is 0 or 1."""
    return drawing.weights(graph, seed)


def output(graph: Graph, weights: Mapping[str, Array], x: Array) -> Array:
    first = next(iter(graph.outputs.values()))
    with np.errstate(all="ignore"):
        for index, (_, value) in enumerate(Reference(graph, weights).values(x)):
            if index == first:
                return value
    raise AssertionError("the network has no output")


def differences(graph: Graph, seed: int = 0, batch: int = 2) -> dict[str, float]:
    """Return how far each pass alone, and all together, move the output in evaluation."""
    weights, x = weights_of(graph, seed), inputs.images(graph, seed, batch)
    wanted, distances = output(graph, weights, x), {}
    for name, passes in [*((name, [name]) for name in PASSES), ("all", [*PASSES])]:
        made = deployed(graph, passes)
        got = output(made, folding.folded(made, weights), x)
        distances[name] = measure.difference(wanted, got)[1]
    return distances


def assert_equal(graph: Graph, seed: int = 0) -> None:
    far = {name: value for name, value in differences(graph, seed).items() if not value <= 1e-12}
    assert not far


# ---------------------------------------------------------------- what each pass does


def test_heads_are_left_out_with_what_only_they_need() -> None:
    body = """
    a: conv 3x3 4
    side: conv 1x1 2
    aux early { from side -> dense 2 }
    from a -> conv 1x1 3
    """
    made = deployed(graph_of(body), ["heads"])

    assert layers(made) == ["a conv", "conv conv"]
    assert list(made.outputs) == ["output"]
    assert_equal(graph_of(body))


def test_heads_take_a_layer_with_them_whose_label_is_used_again_further_in() -> None:
    body = """
    a: conv 3x3 4
    side: conv 1x1 2
    aux early { from side -> dense 2 }
    from a -> conv 1x1 3
    g: { side: conv 1x1 3; relu; add { identity; from side } }
    """
    made = deployed(graph_of(body), ["heads"])

    assert layers(made) == ["a conv", "conv conv", "g.side conv", "g.relu relu", "g.add add"]
    assert_equal(graph_of(body))


@pytest.mark.parametrize("where", ["if height > 99", "repeat 0"])
def test_heads_stay_if_a_layer_of_theirs_is_named_where_the_network_does_not_go(where: str) -> None:
    body = f"""
    a: conv 3x3 4
    side: conv 1x1 4
    aux early {{ from side -> dense 2 }}
    from a -> conv 1x1 4
    {where} {{ add {{ identity; from side }} }}
    """
    made = deployed(graph_of(body))

    assert list(made.outputs) == ["output", "early"]
    assert layers(made) == ["a conv", "side conv", "early dense", "conv conv"]
    assert reasons(made) == {"early": "without heads nothing uses `side`: no output depends on it"}
    assert_equal(graph_of(body))


def test_dropout_is_left_out_wherever_it_stands() -> None:
    body = """
    a: conv 3x3 4 -> dropout 0.5 -> conv 1x1 4
    concat { one: dropout 0.1; two: conv 1x1 2 }
    twice
    repeat 2 { dropout 0.2 }
    end: dropout 0.3
    """
    graph = graph_of(body, before="block twice() { dropout 0.4 }")

    # the number of the second convolution of `a` is part of its key, so it stays
    assert layers(deployed(graph)) == ["a.0 conv", "a.2 conv", "two conv", "concat concat"]
    assert list(deployed(graph).outputs) == ["end"]
    assert_equal(graph)


@pytest.mark.parametrize(
    ("layer", "key"),
    [
        ("conv 3x3 4", "a"),
        ("conv 3x3/2 6 groups=3 bias=false", "a"),
        ("depthwise_conv 3x3 multiplier=2", "a"),
        ("separable_conv 3x3 5", "a.pointwise"),
        ("dense 4 bias=false", "a"),
    ],
)
@pytest.mark.parametrize("norm", ["", "scale=false", "shift=false", "scale=false shift=false"])
def test_a_normalisation_is_folded_into_the_layer_in_front(layer: str, key: str, norm: str) -> None:
    graph = graph_of(f"    a: {layer}\n    b: bn {norm}\n    relu")

    made = deployed(graph)

    assert [node.path for node in made.nodes[1:]] == ["a", "relu"]
    assert f"{key}.bias" in made.tensors()
    assert_equal(graph)


def test_folding_is_what_its_formula_says() -> None:
    made = deployed(graph_of("    a: conv 1x1 1\n    b: bn eps=0.25"))
    weights = {
        "a.weight": np.array([[[[3.0]], [[1.0]], [[-2.0]]]]),
        "a.bias": np.array([5.0]),
        "b.weight": np.array([6.0]),
        "b.bias": np.array([7.0]),
        "b.running_mean": np.array([1.0]),
        "b.running_var": np.array([3.75]),
    }

    folded = folding.folded(made, weights)

    # g = 6 / sqrt(3.75 + 0.25) = 3; (5 - 1) * 3 + 7 = 19
    assert folded["a.weight"].ravel().tolist() == [9, 3, -6]
    assert folded["a.bias"].tolist() == [19]


def test_folding_holds_one_layer_in_float64() -> None:
    made = deployed(graph_of("\n".join(f"    {n}: conv 3x3 256 -> bn" for n in "abcdefgh")))
    assert made.deployment is not None

    def single() -> dict[str, Array]:
        double = weights_of(made.deployment.training)
        return {key: values.astype(np.float32) for key, values in double.items()}

    size = sum(values.nbytes for values in single().values())
    tracemalloc.start()
    try:
        # The list keeps nothing: the weights are given away, as when a file is exported.
        arrays = [single()]
        tracemalloc.reset_peak()
        folding.folded(made, arrays.pop())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 1.6 * size  # a seventh of it in float64 is 0.3, and what it becomes 0.14


def test_each_branch_takes_its_channels_of_a_normalisation() -> None:
    body = """
    concat {
        a: conv 3x3 2
        concat { b: conv 1x1 3 bias=false; c: depthwise_conv 3x3 }
    }
    n: bn
    """
    graph = graph_of(body)

    made = deployed(graph)

    assert "bn" not in {node.op for node in made.nodes}
    assert made.deployment is not None
    assert [(c.layer, c.first, c.channels) for c in made.deployment.changes] == [  # type: ignore[union-attr]
        ("a", 0, 2),
        ("b", 2, 3),
        ("c", 5, 3),
    ]
    assert_equal(graph)


@pytest.mark.parametrize(
    ("body", "path", "reason"),
    [
        ("conv 3x3 4 -> relu\n    n: bn", "n", "`relu` in front cannot take it"),
        ("a: conv 3x3 4\n    pad 1\n    n: bn", "n", "the border of `pad` in front is 0 before it"),
        (
            "a: conv 3x3 4\n    p: avg_pool 3x3/1\n    n: bn",
            "n",
            "`p` in front counts its border",
        ),
        (
            "a: conv 3x3 4\n    n: bn\n    add { identity; from a }",
            "n",
            "`a` in front is used elsewhere too",
        ),
        (
            "concat { conv 3x3 4; max_pool 3x3/1 }\n    n: bn",
            "n",
            "`max_pool` in front cannot take it",
        ),
    ],
)
def test_what_cannot_be_folded_stays_and_says_why(body: str, path: str, reason: str) -> None:
    graph = graph_of(f"    {body}")

    made = deployed(graph)

    assert path in {node.path for node in made.nodes}
    assert reasons(made)[path] == reason
    assert_equal(graph)


def test_a_normalisation_passes_averages_that_count_no_border() -> None:
    body = """
    a: conv 3x3 4
    avg_pool 3x3/2 pad=half count_pad=false ceil=true
    n: bn
    b: conv 1x1 4
    global_avg_pool
    m: bn
    """
    graph = graph_of(body)

    assert "bn" not in {node.op for node in deployed(graph).nodes}
    assert_equal(graph)


def test_a_factor_is_folded_across_borders_averages_and_joins() -> None:
    body = """
    a: conv 3x3 4
    pad [0, 1, 2, 0]
    avg_pool 3x3/2 count_pad=true pad=half
    s: scale (-0.5)
    concat { b: conv 1x1 2; c: dense_like }
    t: scale 3
    """
    graph = graph_of(body, before="unit dense_like = conv 1x1 3 bias=false")

    assert "scale" not in {node.op for node in deployed(graph).nodes}
    assert_equal(graph)


def test_a_projection_moves_in_front_of_an_average_pooling() -> None:
    body = """
    concat { identity; pool: avg_pool 3x3/1 -> conv_bn 1x1 2 }
    """
    graph = graph_of(body, before="unit conv_bn = conv bias=false -> bn -> relu")

    made = deployed(graph, ["project-first"])

    # what follows the convolution stays behind both
    assert layers(made) == [
        "pool.1.conv conv",
        "pool.1.avg_pool avg_pool",
        "pool.1.bn bn",
        "pool.1.relu relu",
        "concat concat",
    ]
    assert_equal(graph)


@pytest.mark.parametrize("numerics", ["caffe", "torch", "tf"])
@pytest.mark.parametrize("bias", ["true", "false"])
@pytest.mark.parametrize(
    "pool",
    [
        "avg_pool 3x3/1 count_pad=true",
        "avg_pool 3x3/1 count_pad=false",
        "avg_pool 3x3/1 pad=valid",
        "avg_pool 2x3/1 pad=[1, 0, 1, 1] count_pad=true",
        "avg_pool 2x3/1 pad=[1, 0, 1, 1] count_pad=false",
        "pool avg 5x5/1 pad=same count_pad=true",
        "pool avg 5x5/1 pad=same count_pad=false",
    ],
)
def test_poolings_with_any_border_commute_or_stay(numerics: str, bias: str, pool: str) -> None:
    graph = graph_of(f"    {pool}\n    c: conv 1x1 2 bias={bias}", numerics=numerics)

    made = deployed(graph)

    counts = "count_pad=true" in pool or (numerics != "tf" and "valid" not in pool)
    counts = counts and "count_pad=false" not in pool
    moves = bias == "false" or not counts
    assert (made.nodes[1].op == "conv") == moves
    assert_equal(graph)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("p: avg_pool 3x3/2\n    c: conv 1x1 2", "`p` in front has a stride"),
        ("p: avg_pool 3x3/1\n    c: conv 1x1 3", "it has 3 outputs for 3 inputs"),
        ("p: avg_pool 3x3/1\n    c: conv 1x1 2", "`p` in front counts its border"),
        (
            "p: avg_pool 3x3/1\n    concat { c: conv 1x1 2 bias=false; identity }",
            "`p` in front is used elsewhere too",
        ),
        (
            "p: avg_pool 3x3/1\n    chain: conv 1x1 2 bias=false -> conv 1x1 2",
            "the weights of other layers would get other keys",
        ),
    ],
)
def test_what_cannot_move_stays_and_says_why(body: str, reason: str) -> None:
    made = deployed(graph_of(f"    {body}"), ["project-first"])

    (message,) = reasons(made).values()
    assert message.startswith(reason)
    assert made.nodes[1].path == "p"


# ---------------------------------------------------------------- definitions


def test_uses_that_are_edited_alike_share_a_definition() -> None:
    made = deployed(compile_spec(EVERYTHING))

    names = [definition.name for definition in made.program.definitions]
    first = ["conv_bn", "conv_bn_pooled", "inception", "inception_max"]
    assert names == [*first, "residual", "residual_last"]


def test_a_normalisation_outside_of_a_unit_is_folded_into_its_head() -> None:
    before = "unit plain = conv bias=false\nblock deep() { plain 3x3 4 }"
    graph = graph_of("    deep\n    n: bn\n    plain 1x1 2", before=before)

    made = deployed(graph)

    assert [node.op for node in made.nodes[1:]] == ["conv", "conv"]
    assert [node.args["bias"] for node in made.nodes[1:]] == [True, False]
    assert_equal(graph)


def test_iterations_of_a_repeat_are_edited_alike_or_not_at_all() -> None:
    body = """
    a: conv 3x3 4
    r: repeat 2 { b: bn -> relu -> conv 3x3 4 bias=BIAS }
    """
    lone, both = (graph_of(body.replace("BIAS", bias)) for bias in ("false", "true"))

    # The first normalisation follows `a`, the second a convolution of the iteration before. The
    # convolution of the last iteration takes none: it would get a bias that has no value.
    assert [node.op for node in deployed(lone).nodes].count("bn") == 2
    assert set(reasons(deployed(lone))) == {"r.0.b.0", "r.1.b.0"}
    assert [node.op for node in deployed(both).nodes].count("bn") == 0
    assert_equal(lone)
    assert_equal(both)


def test_parameters_of_the_network_become_numbers() -> None:
    text = EVERYTHING.read_text("utf-8")
    made = deployed(compile_spec("everything.inc", {"classes": 9}, text=text))

    assert made.parameters == {}
    assert made.program.network.parameters == ()
    assert made.nodes[next(iter(made.outputs.values()))].shape.channels == 9


@pytest.mark.parametrize(
    "element",
    [
        "relu",
        "{ relu }",
        "{ { relu } }",
        "if channels > 2 { relu }",
        "if channels < 2 { tanh } else { relu }",
    ],
)
def test_the_elements_of_a_chain_are_numbered_anew_at_any_depth(element: str) -> None:
    graph = graph_of(f"    a: conv 1x1 3 -> bn -> {element} -> softmax")

    assert layers(deployed(graph)) == ["a.0 conv", "a.1 relu", "a.2 softmax"]
    assert_equal(graph)


def test_only_the_passes_that_are_named_run() -> None:
    graph = compile_spec(EVERYTHING)

    assert layers(deployed(graph, [])) == layers(graph)
    assert "dropout" not in {node.op for node in deployed(graph, ["dropout"]).nodes}
    assert find_passes(without=["heads", "fold-norm"]) == (
        "dropout",
        "fold-scale",
        "project-first",
    )
    assert find_passes(["fold-norm", "heads"]) == ("heads", "fold-norm")
    assert passes_of(True) == tuple(PASSES)
    assert passes_of(find_passes(["heads"], ["heads"])) == ()
    with pytest.raises(RequestError, match="no pass `fold-nrm`: did you mean `fold-norm`"):
        find_passes(["fold-nrm"])


# ---------------------------------------------------------------- proof


@pytest.mark.parametrize(
    "case", sorted((ROOT / "tests").glob("agreement/*.inc")), ids=lambda p: p.stem
)
def test_no_pass_changes_what_a_case_computes(case: Path) -> None:
    assert_equal(compile_spec(case))


def test_no_pass_changes_what_everything_computes() -> None:
    assert_equal(compile_spec(EVERYTHING))


#: The smallest input, in pixels, that each network takes; see `small`.
SMALLEST = (32, 64, 75, 96, 107, 139, 192, 224, 299)


def small(spec: Path) -> Graph:
    """Return a network of `specs` with the smallest input that it takes."""
    text = spec.read_text("utf-8")
    for size in SMALLEST:
        smaller = re.sub(r"(\n    input )\d+x\d+", rf"\g<1>{size}x{size}", text)
        try:
            return compile_spec(spec, text=smaller)
        except SpecError:
            continue
    raise AssertionError(spec)


SPECS = sorted((ROOT / "specs").glob("*.inc"))


@pytest.mark.parametrize("name", ["bn_inception", "inception_v1_block"])
def test_no_pass_changes_what_a_network_computes(name: str) -> None:
    assert_equal(small(ROOT / "specs" / f"{name}.inc"))


@pytest.mark.slow
@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.stem)
def test_no_pass_changes_what_any_network_computes(spec: Path) -> None:
    """In NumPy, and in the files of PyTorch and ONNX, for one image: four take over 22 GB."""
    report = verify(
        small(spec), targets=("torch", ONNX), rungs=(1,), dtypes=("float64",), batch=1, deploy=True
    )

    assert report.passed, report


def random_graphs(numbers: Sequence[int]) -> list[Graph]:
    graphs = []
    for number in numbers:
        try:
            graphs.append(compile_spec("random.inc", text=random_spec(7, number).text))
        except SpecError:
            continue
    return graphs


def test_no_pass_changes_what_random_networks_compute() -> None:
    for number, graph in enumerate(random_graphs(range(60))):
        assert_equal(graph, number)


# ---------------------------------------------------------------- the proof sees faults


def test_a_proof_sees_an_epsilon_that_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = graph_of("    a: conv 3x3 4\n    b: bn eps=1e-3")
    changed = fold_norm.FoldedNorm
    monkeypatch.setattr(fold_norm, "FoldedNorm", lambda a, b, eps, c, d: changed(a, b, 0.0, c, d))

    assert differences(graph)["fold-norm"] > 1e-6


def test_a_proof_sees_a_border_that_is_counted_wrongly(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = graph_of("    avg_pool 3x3/1\n    c: conv 1x1 2")
    monkeypatch.setattr(project_first, "counts_border", lambda pool: False)

    assert differences(graph)["project-first"] > 1e-6


def test_a_proof_sees_a_normalisation_behind_a_border(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = graph_of("    a: conv 3x3 4\n    pad 1\n    b: bn")
    monkeypatch.setattr(fold_norm, "_obstacle", lambda node: "")

    assert differences(graph)["fold-norm"] > 1e-6


def test_a_proof_sees_channels_of_another_branch(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = graph_of("    concat { a: conv 3x3 4; b: conv 1x1 4 }\n    n: bn")
    changed = fold_norm.FoldedNorm
    monkeypatch.setattr(fold_norm, "FoldedNorm", lambda a, b, eps, c, d: changed(a, b, eps, 0, d))

    assert differences(graph)["fold-norm"] > 1e-6


def test_a_proof_sees_a_value_that_is_used_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    body = "    a: conv 3x3 4\n    n: bn\n    add { identity; from a }"
    monkeypatch.setattr(fold, "consumers", lambda graph: _alone(graph))

    assert differences(graph_of(body))["fold-norm"] > 1e-6


def _alone(graph: Graph) -> list[list[int]]:
    """Return consumers as if each value had its first one only."""
    consumers: list[list[int]] = [[] for _ in graph.nodes]
    for index, node in enumerate(graph.nodes):
        for taken in node.inputs:
            consumers[taken] = consumers[taken] or [index]
    return consumers


@pytest.mark.parametrize("twice", ["weight", "bias"])
def test_a_proof_sees_what_is_folded_twice(monkeypatch: pytest.MonkeyPatch, twice: str) -> None:
    graph = graph_of("    a: conv 3x3 4\n    s: scale 0.5")

    made = deployed(graph)
    weights, x = weights_of(graph), inputs.images(graph, 0, 2)
    wrong = folding.folded(made, weights)
    wrong[f"a.{twice}"] = wrong[f"a.{twice}"] * 0.5

    assert measure.difference(output(graph, weights, x), output(made, wrong, x))[1] > 1e-6


# ---------------------------------------------------------------- tables


def test_passes_are_listed_with_their_conditions() -> None:
    lines = listed_passes().splitlines()

    assert [line.split()[0] for line in lines if not line.startswith(" ")] == [*PASSES]
    assert all(len(line) <= 100 for line in lines)
    assert "counts no border if the convolution has a bias" in " ".join(listed_passes().split())


def test_a_table_says_what_each_pass_did_and_what_is_left() -> None:
    graph = graph_of(
        "    a: conv 1x1 2 bias=false\n    b: bn\n    relu\n    c: bn\n    dropout 0.5"
    )

    # 7 * 6 = 42 pixels: a has 3 * 2 = 6 weights, and 6 * 42 = 252 multiply-adds. It reads 126
    # numbers and writes 84, with 6 weights; each of the others reads and writes 84, and a
    # normalisation has 8 numbers: 4 * (216 + 4 * 168 + 2 * 8) = 3616 bytes. Without dropout
    # 4 * 168 less, and with b folded into a 4 * (168 + 8 - 2) less.
    assert (
        table(deployed(graph))
        == """\
pass            places   layers   parameters   multiply-adds   bytes moved
--------------------------------------------------------------------------
training form                 5           14             252         3,616
heads                0        5           14             252         3,616
dropout              1        4           14             252         2,944
fold-scale           0        4           14             252         2,944
project-first        0        4           14             252         2,944
fold-norm            1        3           12             252         2,248

left as they are
  c   fold-norm   `relu` in front cannot take it
"""
    )


def test_branches_that_are_not_taken_cost_nothing() -> None:
    """The uses in them double with each block, and none of them becomes a layer."""
    blocks = ["block b0() { conv 1x1 4 }"]
    for number in range(1, 18):
        inner = f"if channels > 1000 {{ b{number - 1} -> b{number - 1} }}"
        blocks.append(f"block b{number}() {{ {inner}; relu }}")
    graph = graph_of("    b17\n    a: conv 1x1 2\n    bn", before="\n".join(blocks))

    assert layers(deployed(graph)) == ["b17.relu relu", "a conv"]


def test_few_steps_that_cannot_be_taken_leave_the_others() -> None:
    lines = [f"    p{n}: avg_pool 3x3/1\n    c{n}: conv 1x1 {40 - n} bias=false" for n in range(9)]
    lines[4] += " -> conv 1x1 36"
    body = "\n".join(["    first: conv 1x1 41", *lines])

    made = deployed(graph_of(body), ["project-first"])

    assert [entry.path for entry in made.deployment.left] == ["c4.0"]  # type: ignore[union-attr]
    # those in front of it move to the first convolution, past all poolings in between
    ops = [node.op for node in made.nodes[1:]]
    assert ops[:6] == ["conv", "conv", "conv", "conv", "conv", "avg_pool"]
    assert len({node.path for node in made.nodes}) == len(made.nodes)
