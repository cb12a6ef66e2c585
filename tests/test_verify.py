"""`incgen verify`: what it compares, where it reports a divergence, and when it reports none."""

from __future__ import annotations

import json
import re
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import incgen
from fuzzing.search import search
from incgen import RequestError, api, testing
from incgen.base.modules import needs
from incgen.graph.nodes import Graph
from incgen.graph.shapes import Tensor
from incgen.language.initializers import Initializer
from incgen.starting.projects import Project
from incgen.targets import TARGETS
from incgen.verify import Report, beginnings, inputs, measure, verifying
from incgen.verify.places import Places
from incgen.verify.report import Omission
from incgen.verify.resizing import resized
from incgen.verify.runners import RUNNERS, RunnerModule
from incgen.verify.runners.results import Slope
from incgen.verify.show import as_json, text

#: Most of these tests are about the comparison, whatever is compared: two targets are enough.
verify = partial(verifying.verify, targets=("torch", "keras"))

ANOTHER = "it is another network for 11 x 10"
CASES = Path(__file__).parent / "agreement"
SPEC = """\
numerics caffe
unit conv_bn = conv bias=false l2=1e-2 -> bn -> relu

block mix(c) {
    concat {
        left: conv_bn 1x1 c
        right: conv_bn 1x1 c -> conv_bn 3x3 c
    }
}

network small(classes = 3) {
    input 9x8 3  mean=[1, 2, 3]
    stem: conv_bn 3x3/2 4
    one: mix 4
    two: mix 2
    aux side { global_avg_pool -> dense classes }
    global_avg_pool
    drop: dropout 0.4
    logits: dense classes
}
"""
#: One layer of each kind that the forms of rung 6 treat differently, since each is compiled.
FORMS = """\
numerics caffe
unit conv_bn = conv bias=false l2=1e-2 -> bn -> relu

network small(classes = 3) {
    input 6x5 2
    stem: conv_bn 3x3 3
    both: concat {
        identity
        conv 1x1 2
    }
    aux side { global_avg_pool -> dense classes }
    global_avg_pool
    drop: dropout 0.4
    logits: dense classes
}
"""


def graph_of(spec: str = SPEC) -> Graph:
    return incgen.compile_spec("small.inc", text=spec)


@pytest.fixture(scope="module")
def sound() -> Report:
    """Verify the models of the spec, except for their forms."""
    return verify(graph_of(), rungs=range(6))


@pytest.fixture(scope="module")
def other_eps() -> Report:
    """Verify with another eps in one of the generated files."""
    return broken("epsilon=1e-5", "epsilon=1e-3")


def broken(
    old: str, new: str, target: str = "keras", *, spec: str = SPEC, **options: Any
) -> Report:
    """Verify with a fault in one of the generated files."""
    source = incgen.generate("small.inc", target, text=spec)
    assert old in source, source
    options = {"dtypes": ["float64"], "rungs": range(6), **options}
    return verify(graph_of(spec), sources={target: source.replace(old, new)}, **options)


def first(report: Report) -> tuple[int, str, list[str]]:
    """Return the rung, path and places of the first divergence."""
    d = report.divergences[0]
    return d.rung, d.path, [f"{p.file}:{p.line} {p.text}" for p in d.lines]


#: Code in evaluation that must not leave anything behind.
STATE = "self.stem.bn.running_mean.mul_(1.0 if self.training else 0.5)"
#: A layer that claims to be dropout but is not.
OTHER = "{'forward': lambda self, x: x}"
#: All filters of a kernel start equal to the first.
EQUAL = "\n        self.conv.weight.data[1:] = self.conv.weight.data[:1]"
#: Statistics that a file lacks keep their initial values.
KEPT = 'if key not in weights and "run" in key:\n                continue\n            '
#: An initialiser draws the same values for every layer.
FIXED = "kernel_initializer=keras.initializers.GlorotUniform(3),\n"
#: A layer is changed although the file is rejected.
CHANGED = "model.layers[2].set_weights([0 * v for v in model.layers[2].get_weights()])\n        "
#: The same values are dropped in every step.
SEED = "if self.training:\n            torch.manual_seed(0)\n        "
#: A different network when scripted and trained.
SCRIPTED = "2 if torch.jit.is_scripting() and self.training else 1"

# ---------------------------------------------------------------- what agrees


def test_sound_models_pass(sound: Report) -> None:
    assert sound.passed, text(sound, graph_of())
    for dtype in sound.dtypes:
        for rung in sound.asked:
            assert sound.of(rung, dtype), f"nothing is compared on rung {rung} in {dtype}"
    assert sound.omissions == () and sound.ill_conditioned == ()


def test_sound_forms_pass_in_float32() -> None:
    report = verify(graph_of(FORMS), rungs=[6], dtypes=["float32"])

    assert report.passed and report.of(6, "float32"), text(report, graph_of(FORMS))


def test_a_trajectory_begins_with_the_weights_whatever_was_run_before() -> None:
    """Its rate comes from a step, which moves the running statistics of the first target."""
    report = verify(graph_of(), rungs=(5,), dtypes=("float64",), targets=("torch", "keras"))

    assert report.passed, report


def test_every_block_is_compared(sound: Report) -> None:
    paths = {c.path for c in sound.of(1, "float64")}

    # the ends of the units, of both blocks, the head, and what stands alone
    assert {"stem.relu", "one.left.relu", "one.right.0.relu", "one.right.1.relu"} <= paths
    assert {"one.concat", "two.concat", "side.1", "logits"} <= paths


def test_a_network_without_statistics_has_equal_ones() -> None:
    spec = "numerics caffe\nnetwork small { input 5x5 2\n conv 3x3 3 -> relu }"
    report = verify(graph_of(spec), rungs=[4], dtypes=["float64"])

    assert report.passed
    assert [(c.what, c.between) for c in report.of(4, "float64")] == [
        (what, ("spec", name))
        for what in ("statistics", "statistics of many examples")
        for name in ("torch", "keras")
    ]


def test_weights_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file(inputs.weights(graph_of(), 5), path)

    report = verify(graph_of(), weights=path, rungs=[1], dtypes=["float64"])

    assert report.passed and report.weights == path.as_posix()
    random = verify(graph_of(), seed=6, rungs=[1], dtypes=["float64"])
    assert [c.absolute for c in random.comparisons] != [c.absolute for c in report.comparisons]


def test_weights_that_do_not_fit_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"stem.conv.weight": np.zeros((4, 3, 3, 3), np.float32)}, path)

    with pytest.raises(incgen.MismatchError, match=r"stem\.bn\.weight"):
        verify(graph_of(), weights=path)


def test_of_several_sets_of_weights_one_has_to_be_taken_out(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    sets = [inputs.weights(graph_of(), seed) for seed in (5, 6)]
    both = zip(("raw", "ema"), sets, strict=True)
    save_file({f"{part}.{key}": value for part, one in both for key, value in one.items()}, path)

    with pytest.raises(incgen.WeightsError) as caught:
        verify(graph_of(), weights=path)

    said = str(caught.value).splitlines()
    assert said[-1] == "help: make a file of one with `incgen weights import --part NAME`"


# ---------------------------------------------------------------- what diverges


def test_a_divergence_is_named_where_it_begins(other_eps: Report) -> None:
    rung, path, lines = first(other_eps)
    assert (rung, path) == (1, "stem.bn")
    assert lines[0] == "small.inc:2 unit conv_bn = conv bias=false l2=1e-2 -> bn -> relu"
    assert re.match(r"small_torch\.py:\d+ self\.bn = nn\.BatchNorm2d\(", lines[1])
    assert re.match(r"small_keras\.py:\d+ x = UnbiasedBatchNormalization\(epsilon=1e-3", lines[2])


def test_the_line_of_a_block_is_where_it_is_made() -> None:
    report = broken(
        "Concatenate(name=name)([left, right])", "Concatenate(name=name)([right, left])"
    )

    rung, path, lines = first(report)
    assert (rung, path) == (1, "one.concat")
    assert lines[0] == "small.inc:5 concat {"
    assert re.match(r"small_torch\.py:\d+ self\.one = Mix\(4, 4\)", lines[1])
    assert re.match(r'small_keras\.py:\d+ .*mix\(x, 4, name="one"\)', lines[2])
    assert {o.rung for o in report.omissions} == {2, 3, 4, 5}  # nothing above is climbed


@pytest.mark.parametrize(
    ("rung", "old", "new", "target"),
    [
        (0, "x - ops.convert_to_tensor", "x + ops.convert_to_tensor", "keras"),
        (0, "nn.init.zeros_(self.logits.bias)", "nn.init.ones_(self.logits.bias)", "torch"),
        (0, "def small(classes=3", "def small(classes=4", "keras"),
        (0, "import torch", "import torch\nimport no_such_module", "torch"),
        (1, "if self.training else None", "", "torch"),
        (2, "layers.Dropout(0.4", "layers.Dropout(0.6", "keras"),
        (3, "WeightDecay(0.01)", "WeightDecay(0.005)", "keras"),
        (4, "momentum=0.1", "momentum=0.9", "torch"),
        # users may do this, but a test that only compares two outputs does not
        (0, "nn.Linear(4, classes)", "nn.Linear(4, 3)", "torch"),
        (0, "x = layers.Dense(classes", "x = layers.Dense(3", "keras"),
        (0, "self.stem = ", "torch.manual_seed(0)\n        self.stem = ", "torch"),
        (0, "xavier_uniform_(self.conv.weight)", "xavier_uniform_(self.conv.weight, 0.7)", "torch"),
        (0, "use_bias=False,\n", f"use_bias=False,\n{FIXED}", "keras"),
        (0, "for key in weights if not", "for key in () if not", "keras"),
        (
            0,
            "return x - x.new_tensor([1, 2, 3])[",
            "return x.sub_(x.new_tensor([1, 2, 3])[",
            "torch",
        ),
        (0, "import torch\n", "import torch\ntorch.manual_seed(0)\n", "torch"),
        (0, "import keras\n", "import keras\nkeras.utils.set_random_seed(0)\n", "keras"),
        (0, "zeros_(self.logits.bias)", "zeros_(self.logits.bias)\n        self.eval()", "torch"),
        (
            0,
            "xavier_uniform_(self.conv.weight)",
            f"xavier_uniform_(self.conv.weight){EQUAL}",
            "torch",
        ),
        (0, "if key not in weights:", f"{KEPT}if key not in weights:", "keras"),
        (
            0,
            "raise ValueError(",
            f"{CHANGED}raise ValueError(",
            "keras",
        ),
        (0, "images.to(torch.get", "images.to(torch.uint8).to(torch.get", "torch"),
        (0, "x.new_tensor([1, 2, 3])", "torch.tensor([1, 2, 3])", "torch"),
        (1, "F.relu(self.bn", "F.relu6(self.bn", "torch"),
        (1, "x = self.drop(x)", "x = self.drop(x) if self.training else 2 * x", "torch"),
        (1, "x = self.stem(x)", f"x = self.stem(x)\n        {STATE}", "torch"),
        (1, "x = self.stem(x)", "y = self.stem(x)\n        x.zero_()\n        x = y", "torch"),
        (
            1,
            "x = F.adaptive_avg_pool2d(x, 1).flatten(1)",
            "x = F.adaptive_avg_pool2d(x, 1).squeeze()",
            "torch",
        ),
        (
            2,
            "x = self.one(x)",
            "x = self.one(x) * (1 + (self.one.training and len(x) > 8))",
            "torch",
        ),
        (2, "nn.Dropout(0.4)", f"type('Other', (nn.Dropout,), {OTHER})(0.4)", "torch"),
        (2, "nn.Dropout(0.4)", "nn.Dropout(0.4, inplace=True)", "torch"),
        (1, "x = self.drop(x)", f"{SEED}x = self.drop(x)", "torch"),  # seeds where heads are made
    ],
)
def test_each_rung_catches_its_faults(rung: int, old: str, new: str, target: str) -> None:
    report = broken(old, new, target)

    assert report.divergences and report.divergences[0].rung == rung, text(report, graph_of())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("self.side(x) if", "self.side(x.cpu()) if"),
        ("x = self.stem(x)", f"x = self.stem(x) * ({SCRIPTED})"),
    ],
)
def test_the_last_rung_catches_its_faults(old: str, new: str) -> None:
    report = broken(old, new, "torch", spec=FORMS, rungs=range(7))

    assert report.divergences and report.divergences[0].rung == 6, text(report, graph_of(FORMS))


SETTINGS = """
numerics torch
network small(k = 2, rate = 0.3, slope = 0.2, s = 1, kind = max) {
    input 9x8 3
    a: conv 3x3/{s} 8 -> leaky_relu slope
    pool kind 3x3/2 pad=half
    drop: dropout rate
    if k > 2 { c: conv 1x1 6 -> sigmoid } else { d: conv 3x3 8 }
    global_avg_pool
    logits: dense 4
}
"""


@pytest.fixture(scope="module")
def settled() -> Report:
    """Verify the models with nothing broken."""
    return verify(graph_of(SETTINGS), rungs=range(3), dtypes=["float64"])


@pytest.mark.parametrize(
    ("rung", "old", "new", "target"),
    [
        (
            0,
            "k: int = 2,\n        rate: float = 0.3,",
            "rate: float = 0.3,\n        k: int = 2,",
            "torch",
        ),
        (0, "k=2,\n    rate=0.3,", "rate=0.3,\n    k=2,", "keras"),
        (1, "3, 8, 3, s,", "3, 8, 3, 1,", "torch"),
        (1, "nn.Sigmoid()", "nn.Tanh()", "torch"),
        (1, "x = Float32AveragePooling2D(", "x = layers.MaxPooling2D(", "keras"),
        (1, "LeakyReLU(slope", "LeakyReLU(0.2", "keras"),
        (2, "nn.Dropout(rate)", "nn.Dropout(0.3)", "torch"),
    ],
)
def test_other_arguments_are_computed_with(
    rung: int, old: str, new: str, target: str, settled: Report
) -> None:
    assert settled.passed

    report = broken(old, new, target, spec=SETTINGS, rungs=range(3))

    assert report.divergences[0].rung == rung


def test_float32_alone_computes_with_other_arguments_too() -> None:
    fault = "LeakyReLU(slope", "LeakyReLU(0.2", "keras"
    report = broken(*fault, spec=SETTINGS, rungs=[0, 1], dtypes=["float32"])

    assert [d.rung for d in report.divergences] == [1]
    assert "slope=0.1" in report.divergences[0].message


@pytest.mark.parametrize("body", ["l2_normalize", "bn -> l2_normalize"])
def test_gradients_that_nothing_is_left_of_are_no_divergence(body: str) -> None:
    """Over one channel the norm is the value itself, so all gradients are 0 except for rounding."""
    spec = f"numerics torch\nnetwork small {{\n    input 6x6 1\n    a: conv 3x3 1 -> {body}\n}}\n"

    report = verify(graph_of(spec), rungs=range(6))

    assert not report.divergences and not report.passed
    reason = "what float64 says of the gradients is not decided"
    assert report.omissions == (
        Omission(5, "float64", reason),
        Omission(3, "float32", reason),
        Omission(5, "float32", reason),
    )


def test_two_values_for_each_channel_leave_no_gradient_in_float32() -> None:
    spec = """
    numerics torch
    network small { input 6x6 2
        global_avg_pool
        a: dense 4 -> bn -> tanh
        o: dense 1 -> sigmoid }
    """
    report = verify(graph_of(spec), rungs=range(6), batch=2)

    assert not report.divergences
    assert [(omission.rung, omission.dtype) for omission in report.omissions] == [
        (3, "float32"),
        (5, "float32"),
    ]
    assert "`a.1` needs a --batch of 3 or more" in report.omissions[0].reason
    assert verify(graph_of(spec), rungs=range(6), batch=3).passed


def test_a_wrong_gradient_is_found_and_its_framework_named() -> None:
    report = broken(
        'name="drop")(x)',
        'name="drop")(ops.stop_gradient(0.5 * x) + 0.5 * x)',
    )

    # the last tensor in front of the fault: everything behind it has the right gradient
    rung, path, _ = first(report)
    assert (rung, path) == (3, "two.right.1.bn.weight")
    end = "; in keras it is not the slope of the loss itself"
    assert report.divergences[0].message.endswith(end)


@pytest.mark.parametrize(
    ("slope", "wrong"),
    [
        (Slope(2.0, 2.0, 2.0), False),
        (Slope(2.0, 1.0, 1.0), True),
        (Slope(0.0, 1.0, 1.0), True),
        (Slope(2.0, 1.999, 1.999), True),
        (Slope(2.0, 1.0, 1.5), False),  # the loss has a kink there
        (Slope(0.0, 3e-17, -1e-17), False),  # it does not change: all that is left is rounding
        (Slope(0.0, 0.0, 0.0), False),
    ],
)
def test_a_slope_is_wrong_where_the_loss_says_so(slope: Slope, wrong: bool) -> None:
    assert slope.wrong is wrong


def test_a_file_that_knows_the_size_is_found_at_another_one() -> None:
    spec = "numerics torch\nnetwork small {\n    input 4x4 2\n    pool: global_avg_pool\n}\n"
    whole, corner = "F.adaptive_avg_pool2d(x, 1)", "F.adaptive_avg_pool2d(x[:, :, :4, :4], 1)"

    report = broken(whole, corner, "torch", spec=spec, rungs=[1])

    assert first(report)[:2] == (1, "pool")
    assert report.divergences[0].message.startswith("value of many examples of torch and keras")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("input 8x8 2  a: conv 3x3/2 4", (None, None, 11, 10)),
        ("input 64x80 2  a: conv 3x3/2 4", (None, None, 35, 42)),  # half of it, and 3 and 2
        ("input 64x80 2  avg_pool 40x40/9 pad=valid", (None, None, 67, 82)),
        ("input 8x8 2  global_avg_pool  a: dense 2", (None, None, 11, 10)),
        ("input 9x9 2  max_pool 9x9/9 pad=valid  a: dense 2", (12, 11, 12, 11)),
        ("input 8x8 2  if height > 6 { relu }", (11, 10, 11, 10)),
        ("input 8x8 2  if height > 9 { relu } else { sigmoid }", ANOTHER),
        ("input 8x8 2  a: dense 2", ANOTHER),
        ("input 8x8 2  avg_pool {height}x{width} pad=valid", ANOTHER),
        ("input {n}x8 2  a: conv 1x1 2", "the `input` line uses a parameter"),
    ],
)
def test_another_size_is_one_at_which_it_is_the_same_network(
    body: str, expected: tuple[int | None, ...] | str
) -> None:
    formals = "(n = 8)" if "n}" in body else ""
    graph = graph_of(f"numerics torch\nnetwork small{formals} {{ {body.replace('  ', chr(10))} }}")

    other = resized(graph)

    if isinstance(other, str):
        assert other == expected
    else:
        given = other.graph.input
        assert (other.height, other.width, given.height, given.width) == expected


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        (
            "self.drop(x)",
            "nn.functional.dropout(x, 0.4)",
            (1, "", "torch: evaluation changes `random numbers of PyTorch`"),
        ),
        (
            "nn.Dropout(0.4)",
            "nn.Dropout1d(0.4)",
            (
                2,
                "drop",
                "torch: the same weights and input give another value with classes=4 each time",
            ),
        ),
    ],
)
def test_models_that_do_not_give_the_same_twice(
    old: str, new: str, found: tuple[int, str, str]
) -> None:
    report = broken(old, new, "torch")

    assert (*first(report)[:2], report.divergences[0].message) == found


def test_a_backward_pass_that_fails_belongs_to_the_gradients() -> None:
    spec = "numerics torch\nnetwork small {\n    input 4x4 2\n    a: sigmoid\n    scale 2\n}\n"

    report = broken("x * 2", "x.mul_(2)", "torch", spec=spec)

    assert first(report)[:2] == (3, "")
    assert "modified by an inplace operation" in report.divergences[0].message
    assert {c.verdict for c in report.of(2, "float64")} == {"agrees"}


def test_forms_that_fail_are_all_named() -> None:
    old, new = "return torch.cat(", "return (lambda t, dim: torch.cat(t, dim))("

    report = broken(old, new, "torch", spec=FORMS, rungs=[0, 1, 6])

    assert {d.rung for d in report.divergences} == {6}
    assert report.divergences[0].message.startswith("torch: TorchScript: ")
    agreeing = {c.what for c in report.of(6, "float64") if c.verdict == "agrees"}
    assert {"state dict", "torch.export", ".keras", "tf.function with XLA"} <= agreeing


@pytest.mark.parametrize("alone", [False, True])
def test_float32_is_held_to_float64(alone: bool, sound: Report) -> None:
    report = verify(graph_of(), rungs=range(5), dtypes=["float32"]) if alone else sound

    assert report.passed, text(report, graph_of())
    between = {c.between for c in report.of(1, "float32") if c.what == "value"}
    rounded = {(f"{name} in float64", f"{name} in float32") for name in ("torch", "keras")}
    exact = {(side, f"{name} in float64") for side, name in (("spec", "torch"), ("spec", "keras"))}
    assert between == (
        rounded | exact | {("torch in float64", "keras in float64")} if alone else rounded
    )


def test_float32_alone_compares_the_targets_in_float64() -> None:
    report = broken("epsilon=1e-5", "epsilon=1e-3", dtypes=["float32"])

    assert first(report)[:2] == (1, "stem.bn")
    message = report.divergences[0].message
    assert message.startswith("value of torch in float64 and keras in float64 differ by ")
    assert message.endswith("; keras in float64 is not what the spec says")


HALF = "x = self.logits(x.bfloat16().to(x.dtype) if x.dtype == torch.float32 else x)"
HALF_IN_KERAS = (
    'x = ops.cast(ops.cast(x, "bfloat16"), x.dtype) if x.dtype == "float32" else x\n    '
    "x = layers.Dense(classes"
)


@pytest.mark.parametrize("targets", [["torch"], ["keras"], ["torch", "keras"]])
def test_half_precision_inside_is_found_in_float32(targets: list[str]) -> None:
    sources = {name: incgen.generate("small.inc", name, text=SPEC) for name in targets}
    for name, old, new in (
        ("torch", "x = self.logits(x)", HALF),
        ("keras", "x = layers.Dense(classes", HALF_IN_KERAS),
    ):
        if name in sources:
            assert old in sources[name]
            sources[name] = sources[name].replace(old, new)

    report = verify(graph_of(), sources=sources, rungs=[1])

    assert [(d.rung, d.dtype, d.path) for d in report.divergences] == [(1, "float32", "logits")]


LARGE = """
numerics caffe
network small {
    input 4x4 1
    a: conv 1x1 2
    repeat 3 { scale 1e15 } }
"""


def test_squares_beyond_float32_are_undecided_and_so_is_what_depends_on_them() -> None:
    """1e20 is a number of float32, and its square is none: the result of `lrn` is 0 there."""
    network = "huge: scale 1e15; concat { { norm: lrn 3; twice: scale 2 }; beside: scale 0.5 }"
    text = f"numerics torch\nnetwork net {{ input 4x4 3; {network} }}"
    report = verify("net.inc", text=text, targets=["torch"], rungs=[1], dtypes=["float32"])

    messages = {c.path: c.message for c in report.ill_conditioned}
    assert messages == {
        "norm": "what is finite in float64 has squares that are not in float32",
        "twice": "rounding alone makes what goes into it",
    }
    assert {"huge", "beside"} <= {c.path for c in report.comparisons if c.verdict == "agrees"}


def test_numbers_beyond_float32_are_undecided() -> None:
    report = verify(graph_of(LARGE), rungs=[1])

    assert not report.divergences and not report.passed
    assert {c.dtype for c in report.ill_conditioned} == {"float32"}
    messages = {c.message for c in report.ill_conditioned if c.what == "value"}
    assert messages == {"what is finite in float64 is not in float32"}
    assert "Infinity" not in as_json(report)


def test_numbers_that_only_one_target_cannot_hold_diverge() -> None:
    spec = LARGE.replace("1e15", "1e11")
    report = broken(
        "x * self.factor", "x * (self.factor * 1e6) / 1e6", "torch", spec=spec, dtypes=["float32"]
    )

    assert first(report)[:2] == (1, "repeat.2")


@pytest.mark.parametrize("target", ["torch", "keras"])
def test_the_same_fault_in_both_targets_is_not_the_spec(target: str) -> None:
    """A single target is compared with the spec; two do not excuse each other."""
    both = {name: incgen.generate("small.inc", name, text=SPEC) for name in ("torch", "keras")}
    faulty = {
        "torch": both["torch"].replace("eps=1e-5", "eps=1e-3"),
        "keras": both["keras"].replace("epsilon=1e-5", "epsilon=1e-3"),
    }
    assert all(faulty[name] != both[name] for name in both)

    together = verify(graph_of(), sources=faulty, rungs=[1], dtypes=["float64"])
    alone = verify(
        graph_of(),
        sources={target: faulty[target]},
        targets=[target],
        rungs=[1],
        dtypes=["float64"],
    )

    assert together.divergences[0].message.startswith("value of spec and torch differ by ")
    assert alone.divergences[0].message.startswith(f"value of spec and {target} differ by ")
    assert {report.divergences[0].path for report in (together, alone)} == {"stem.bn"}


# ---------------------------------------------------------------- what is not compared


def test_one_target_proves_no_parity() -> None:
    report = verify(graph_of(), targets=["torch"], rungs=range(6), dtypes=["float64"])

    assert not report.passed and not report.divergences
    reason = "torch is the only target"
    assert report.omissions == tuple(Omission(rung, "float64", reason) for rung in (3, 5))


@pytest.mark.parametrize("target", list(TARGETS))
def test_one_target_is_as_the_spec_says(target: str) -> None:
    graph = graph_of(FORMS)
    report = verify(graph, targets=[target], rungs=[0, 1, 2, 4, 6], dtypes=["float64"])

    assert report.passed
    shown = text(report, graph)
    assert re.search(f"\nas the spec says: .* comparisons of {target} agree", shown)


def test_one_value_for_each_channel_is_not_trained_with() -> None:
    spec = """
    numerics caffe
    network small { input 4x4 2
        global_avg_pool
        norm: bn }
    """
    single = verify(graph_of(spec), rungs=range(6), batch=1, dtypes=["float64"])
    several = verify(graph_of(spec), rungs=range(6), batch=2, dtypes=["float64"])

    reason = (
        "PyTorch does not train with one value per channel: `norm` needs a --batch of 2 or more"
    )
    assert single.omissions == tuple(Omission(n, "float64", reason) for n in range(2, 6))
    assert not single.divergences and several.passed


@pytest.mark.parametrize("loaded", [True, False])
def test_keras_on_something_else_is_refused(monkeypatch: pytest.MonkeyPatch, loaded: bool) -> None:
    """This happens before the import, since the chosen backend need not be installed."""
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    if loaded:
        config = SimpleNamespace(backend=lambda: "jax")
        monkeypatch.setitem(sys.modules, "keras", SimpleNamespace(config=config))
    else:
        monkeypatch.setenv("KERAS_BACKEND", "jax")
    message = "Keras is set to run on jax, .*: set KERAS_BACKEND=tensorflow$"

    with pytest.raises(RequestError, match=message):
        verify("net.inc", text=SPEC)
    with pytest.raises(RequestError, match=message):
        search(1)


def test_what_keras_is_set_to_run_on_is_no_part_of_an_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")

    end = "which KERAS_BACKEND names: install it, or unset KERAS_BACKEND"
    assert needs(ModuleNotFoundError(name="jax.numpy"), "keras") == f"needs jax, {end}"
    assert needs(ModuleNotFoundError(name="h5py"), "keras") == (
        "needs h5py: pip install 'incgen[keras]'"
    )


def test_a_target_that_is_not_installed_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = RunnerModule("Keras", ("no_such_library",))
    monkeypatch.setitem(RUNNERS, "keras", missing)

    report = verify(graph_of(), targets=["torch", "keras"], rungs=[0], dtypes=["float64"])

    assert not report.passed
    assert report.omissions == (
        Omission(None, "", "keras needs `no_such_library`: pip install 'incgen[keras]'"),
    )


def test_a_target_that_nobody_asked_for_need_not_be_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("keras", "flax"):
        missing = RunnerModule(name.title(), ("no_such_library",))
        monkeypatch.setitem(RUNNERS, name, missing)

    graph = graph_of()
    report = verifying.verify(graph, rungs=[0], dtypes=["float64"])

    assert report.passed
    assert list(report.targets) == ["torch"]
    assert "\nkeras    not installed: pip install 'incgen[keras]'\n" in text(report, graph)


def test_what_a_target_cannot_express_is_not_compared() -> None:
    spec = """
    numerics caffe
    unit shrink = max_pool
    network small { input 9x9 2
        one: shrink 3x3/2 pad=same
        two: shrink 2x2 pad=same }
    """
    report = verify(graph_of(spec), rungs=[0], dtypes=["float64"])

    assert not report.passed
    assert [o.reason.partition(":")[0] for o in report.omissions] == ["keras cannot express it"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rungs": [7]}, "there is no rung 7: the rungs are 0 (structure), "),
        ({"rungs": []}, "no rung is given"),
        ({"dtypes": ["float16"]}, "there is no type `float16`"),
        ({"targets": ["caffe"]}, "there is no target `caffe`"),
        ({"batch": 0}, "a batch must have at least 1 example"),
        (
            {"deploy": True, "rungs": [0, 2]},
            "deployed forms are compared on rung 1: add it to 0, 2",
        ),
    ],
)
def test_what_does_not_exist_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(incgen.RequestError, match=re.escape(message)):
        verify(graph_of(), **options)


def test_sources_are_those_of_targets() -> None:
    with pytest.raises(incgen.RequestError, match="`pytorch` is not one of the targets"):
        verify(graph_of(), sources={"pytorch": "raise SystemExit"}, rungs=[0])


def test_parameters_cannot_come_with_a_graph() -> None:
    """They would be ignored, since it is expanded already."""
    with pytest.raises(RequestError, match="parameters must go to `compile_spec`"):
        verify(graph_of(), {"classes": 3})
    with pytest.raises(RequestError, match="text must go to `compile_spec`"):
        verify(graph_of(), text=SPEC)


def test_tensors_of_no_device_but_the_first_are_found() -> None:
    """A model on another device fails if a forward pass creates a tensor on the CPU."""
    old, new = "x = self.drop(x)", "x = self.drop(x) + torch.zeros(1)"

    report = broken(old, new, "torch", spec=FORMS, rungs=[6])

    assert report.divergences[0].message.startswith("torch: meta device: ")


def test_results_of_another_type_are_found() -> None:
    options: dict[str, Any] = {"target": "torch", "dtypes": ["float32"]}
    value = broken("x = self.logits(x)", "x = self.logits(x).double()", **options)
    pixels = broken("images.to(torch.get_default_dtype())", "images.double()", **options)

    assert value.divergences[0].message == "torch: the value is float64, not float32"
    assert pixels.divergences[0].message == "torch: preprocess gives float64, not float32"


def test_an_empty_file_is_no_network() -> None:
    report = verify(graph_of(), sources={"torch": ""}, rungs=[0], dtypes=["float64"])

    assert report.divergences and not report.passed


def test_numbers_of_which_none_is_finite_prove_nothing() -> None:
    spec = """
    numerics caffe
    network small { input 4x4 1
        repeat 25 { scale 9e15 }
        a: conv 3x3 2 } """
    report = verify(graph_of(spec), rungs=[1], dtypes=["float64"])

    assert not report.passed and not report.divergences
    assert {c.message for c in report.ill_conditioned} == {"no number in it is finite"}


@pytest.mark.parametrize("dropout", ["noise_shape=(None, 1), ", "seed=1, "])
def test_dropout_of_another_kind_is_no_dropout(dropout: str) -> None:
    report = broken('name="drop")', f'{dropout}name="drop")')

    assert report.divergences
    assert "keras: the same weights and input give another" in report.divergences[0].message


def test_ill_conditioned_numbers_are_not_passed() -> None:
    # a mean minus the same mean, summed differently: only rounding is left
    spec = """
    numerics caffe
    network small { input 6x7 5
        add { global_avg_pool
              avg_pool 6x7 pad=valid -> flatten -> scale (-1) } }
    """
    report = verify(graph_of(spec), rungs=[1], dtypes=["float64"])

    assert report.ill_conditioned, [c.relative for c in report.comparisons]
    assert not report.passed and not report.divergences
    assert "cannot be decided with these weights" in text(report, graph_of(spec))


#: A millionth of the values is left, and normalised over two of them. A program that takes
#: gradients adds and multiplies at once, so it rounds otherwise than one that does not.
TWO_VALUES = """\
numerics torch
network small(classes = 5) {
    input 1x1 8
    a: conv 1x1 16
    left: add { identity
                scale (-0.999999) }
    norm: bn eps=1e-12
    logits: dense classes
}
"""


def test_rounding_of_another_program_is_not_taken_for_randomness() -> None:
    options: dict[str, Any] = {"targets": ["flax"], "rungs": [2], "dtypes": ["float64"], "batch": 2}
    report = verify(graph_of(TWO_VALUES), **options)

    unclear = {(c.what, c.path) for c in report.ill_conditioned}
    assert not report.divergences and not report.passed
    assert {("value", "norm"), ("value with classes=6", "norm")} <= unclear

    options["spec"] = TWO_VALUES
    for old, new, path in (("-0.999999", "-0.999998", "left"), ("1e-12", "1.001e-12", "norm")):
        found = broken(old, new, "flax", **options)
        assert first(found)[:2] == (2, path)
        assert "differ by" in found.divergences[0].message


def test_the_gradient_of_a_maximum_has_its_place() -> None:
    """That of `jnp.max` had none here, as JAX compiles it: the map was computed twice."""
    spec = """
    numerics caffe

    block gated() {
        path1: max_pool 1x1 pad=same -> relu
        mix1: add {
            identity
            right1: relu -> dense channels -> tanh
        }
        add {
            identity
            global_max_pool -> hard_sigmoid
        }
        relu6
    }

    network net {
        input 8x6 1
        body1: gated
        global_max_pool
        logits: dense 3
    }
    """
    options: dict[str, Any] = {"targets": ("torch", "flax"), "dtypes": ["float64"]}

    assert verify(graph_of(spec), rungs=[3], seed=5, batch=2, **options).passed


def test_what_rounding_does_is_known_where_only_one_target_lets_one_look() -> None:
    # a millionth of a value is left, and the pooling of it is a layer in Keras, a line in PyTorch
    spec = """
    numerics caffe
    network small { input 6x7 5
        noise: add {
            avg_pool 3x1/1 pad=valid -> avg_pool 1x3/1 pad=valid
            avg_pool 3x3/1 pad=valid -> scale (-0.999999)
        }
        most: global_max_pool
        relu
        last: dense 2 }
    """
    report = verify(graph_of(spec), rungs=[1], dtypes=["float64"])

    pairs = {(c.path, c.between) for c in report.ill_conditioned}
    assert not report.divergences
    assert {("most", ("spec", "keras")), ("relu", ("spec", "keras"))} <= pairs


# ---------------------------------------------------------------- dumps and texts


def test_what_is_around_a_divergence_is_saved(tmp_path: Path) -> None:
    precious = tmp_path.with_name("precious")
    precious.write_bytes(b"precious")
    (tmp_path / "float64_rung1_stem.bn_keras.npz").symlink_to(precious)

    broken("epsilon=1e-5", "epsilon=1e-3", dump=tmp_path)

    assert precious.read_bytes() == b"precious"  # a link is replaced, not followed
    sides = ("keras", "spec", "torch")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"float64_rung1_stem.bn_{side}.npz" for side in sides]
    keras, spec, torch = (np.load(tmp_path / name) for name in names)
    # (9 + 2 - 3) // 2 + 1 = 5, (8 + 2 - 3) // 2 + 1 = 4
    assert keras["input_0"].shape == torch["input_0"].shape == (4, 4, 5, 4)
    np.testing.assert_allclose(keras["input_0"], torch["input_0"], rtol=1e-12)
    assert np.abs(keras["output"] - torch["output"]).max() > 1e-6
    np.testing.assert_allclose(spec["output"], torch["output"], rtol=1e-12)


@pytest.mark.parametrize(
    ("rung", "old", "new", "files"),
    [
        (
            0,
            "kernel_regularizer=",
            'kernel_initializer="he_normal", kernel_regularizer=',
            {"keras": "initial_value", "torch": "initial_value"},
        ),
        (
            3,
            "WeightDecay(0.01)",
            "WeightDecay(0.005)",
            {"keras": "gradient input_0", "torch": "gradient input_0"},
        ),
        (
            4,
            "momentum=0.9",
            "momentum=0.1",
            {"keras": "statistic input_0", "torch": "statistic input_0", "spec": "statistic"},
        ),
        (6, "self.rate}", "self.rate / 2}", {"keras": "penalty", ".keras,_training": "penalty"}),
    ],
)
def test_what_is_saved_of_each_rung(
    rung: int, old: str, new: str, files: dict[str, str], tmp_path: Path
) -> None:
    report = broken(old, new, spec=FORMS, rungs=range(7), dump=tmp_path)

    place = report.divergences[0].path
    assert report.divergences[0].rung == rung
    assert {path.name for path in tmp_path.iterdir()} == {
        f"float64_rung{rung}_{place}_{side}.npz" for side in files
    }
    for side, names in files.items():
        arrays = np.load(tmp_path / f"float64_rung{rung}_{place}_{side}.npz")
        assert {*names.split()} <= {*arrays}


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "dump"
    file.touch()

    with pytest.raises(incgen.RequestError, match="dump is not a folder"):
        verify(graph_of(), rungs=[0], dump=file)


def test_the_report_as_text(other_eps: Report) -> None:
    # numbers depend on the machine, lines of generated files on their layout
    printed = re.sub(r"\d\.\de[-+]\d\d", "0.0e-00", text(other_eps, graph_of()))
    printed = re.sub(r"(PyTorch|Keras|TensorFlow) [\d.]+", r"\1 0.0", printed)

    assert "stem" in printed and "not the same network\n" in printed
    assert "\nnot compared:\n  rung 2 (training forward), float64: rung 1 diverges\n" in printed
    assert "rung 1 (evaluation), float64: `stem.bn`: value of torch and keras differ by " in printed


def test_the_report_as_json(other_eps: Report) -> None:
    data = json.loads(as_json(other_eps))

    assert data["passed"] is False
    assert data["divergences"][0]["path"] == "stem.bn"
    assert data["divergences"][0]["lines"][0]["line"] == 2
    assert len(data["comparisons"]) == len(other_eps.comparisons)


# ---------------------------------------------------------------- parts


def test_places_of_modules_are_those_of_their_last_node() -> None:
    places = Places(graph_of())

    assert places.name_of("one") == "one.concat"
    assert places.name_of("one.right") == "one.right.1.relu"
    assert places.name_of("stem.bn") == "stem.bn"
    assert places.name_of("no.such") is None
    assert places.inputs_of("one") == ["stem.relu"]
    assert places.inputs_of("one.concat") == ["one.left.relu", "one.right.1.relu"]


def test_places_of_a_body_whose_values_leave_it_twice() -> None:
    spec = """
    numerics caffe
    network small { input 4x4 2
        body: { first: conv 1x1 2
                second: conv 1x1 2 }
        add { from body
              identity } }
    """
    places = Places(graph_of(spec))

    assert places.name_of("body") == "body.second"


def test_differences_are_relative_to_the_largest_element() -> None:
    a, b = np.array([1.0, -8.0]), np.array([1.5, -8.0])

    assert measure.difference(a, b) == (0.5, 0.0625)
    assert measure.difference(a, b, floor=50.0) == (0.5, 0.01)
    assert measure.difference(a, a) == (0.0, 0.0)
    assert measure.difference(a, b[:1]) == (np.inf, np.inf)
    infinite = np.array([np.inf, -8.0])
    assert measure.difference(infinite, infinite) == (0.0, 0.0)
    assert measure.difference(infinite, -infinite) == (np.inf, np.inf)
    assert measure.difference(a, infinite) == (np.inf, np.inf)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("he_normal", lambda r, s: r.normal(0, s, 4000), ""),
        ("he_normal", lambda r, s: r.normal(0, 1.1 * s, 4000), "deviation"),
        ("he_normal", lambda r, s: r.normal(s / 5, s, 4000), "deviation|mean"),
        ("he_normal", lambda r, s: r.uniform(-(3**0.5) * s, 3**0.5 * s, 4000), "another"),
        ("he_uniform", lambda r, s: r.uniform(-s, s, 4000), ""),
        ("he_uniform", lambda r, s: r.normal(0, s / 3**0.5, 4000), "outside of he_uniform"),
        ("he_uniform", lambda r, s: np.zeros(4000), "from 0 to 0"),
        ("truncated_he_normal", lambda r, s: cut(r, s), ""),
        ("truncated_he_normal", lambda r, s: r.normal(0, 0.8796 * s, 4000), "outside"),
        ("ones", lambda r, s: np.ones(4000), ""),
        ("ones", lambda r, s: np.zeros(4000), "from 0 to 0, not 1"),
    ],
)
def test_initial_values_are_of_their_distribution(name: str, values: Any, message: str) -> None:
    tensor = Tensor("weight", (4000,), True, Initializer(name=name), 8, 4)
    scale = tensor.initializer.scale(8, 4)
    x = values(np.random.default_rng(0), scale)

    fault = beginnings.message(x, tensor)

    assert bool(fault) == bool(message) and re.search(message, fault), fault


def cut(random: np.random.Generator, scale: float) -> Any:
    values = random.normal(0, 1, 20_000)
    return scale * values[np.abs(values) <= 2][:4000]


def test_moments_of_the_cut_normal_distribution() -> None:
    # by numerical integration of x^n exp(-x^2 / 2) over -2..2
    x = np.linspace(-2, 2, 2_000_001)
    density = np.exp(-(x**2) / 2)
    for number, power in enumerate((0, 2, 4, 6, 8)):
        expected = float((x**power * density).sum() / density.sum())
        assert beginnings._CUT[number] == pytest.approx(expected, rel=1e-5)


# ---------------------------------------------------------------- helpers for other projects


def test_a_file_that_is_up_to_date(tmp_path: Path) -> None:
    spec = tmp_path / "small.inc"
    spec.write_text(SPEC, "utf-8")
    (file,) = incgen.build(spec, "torch", tmp_path / "small_torch.py")

    testing.assert_up_to_date(spec, file.path)

    with file.path.open("a", encoding="utf-8") as stream:
        stream.write("x = 1\n")
    with pytest.raises(AssertionError) as caught:
        testing.assert_up_to_date(spec, file.path)
    message = str(caught.value)
    assert f"run `incgen build {spec} --target torch -o {file.path}`" in message
    assert "-x = 1" in message


def test_files_that_are_the_same_network(tmp_path: Path) -> None:
    spec = tmp_path / "small.inc"
    spec.write_text(SPEC, "utf-8")
    file = tmp_path / "small_keras.py"
    incgen.build(spec, "keras", file)
    two = ["torch", "keras"]
    options: dict[str, Any] = {"targets": two, "rungs": [0, 1], "dtypes": ["float64"]}

    testing.assert_same_network(spec, files={"keras": file}, **options)

    file.write_text(file.read_text("utf-8").replace("epsilon=1e-5", "epsilon=1e-3"), "utf-8")
    with pytest.raises(AssertionError, match=r"`stem\.bn`: value of torch and keras differ"):
        testing.assert_same_network(spec, files={"keras": file}, **options)


def test_a_new_project_passes_its_own_tests(tmp_path: Path) -> None:
    """Those that `incgen new` writes, on one rung; tests/test_new.py runs all."""
    for name, content in Project("net", "small", api.find_targets(["torch"])).files().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, "utf-8")
    file = tmp_path / "tests" / "test_net.py"
    tests: dict[str, Any] = {}

    exec(compile(file.read_text("utf-8"), str(file), "exec"), tests)

    tests["RUNGS"] = [1]
    tests["test_the_generated_file_is_up_to_date"]("torch")
    tests["test_the_models_compute_what_the_spec_says"]()


def test_helpers_look_beside_the_file_that_calls_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They do not look in the working directory, where a file of the same name may lie."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for folder in ("tests", "elsewhere"):
        (tmp_path / folder / "net.inc").write_text(SPEC if folder == "tests" else "", "utf-8")
    incgen.build("../tests/net.inc", "torch", "../tests/net_torch.py")
    incgen.build("bn_inception", "torch", "../tests/bn_torch.py")
    program = (
        "from incgen.testing import assert_same_network, assert_up_to_date\n"
        "assert_up_to_date('net.inc', 'net_torch.py')\n"
        "assert_up_to_date('../tests/net.inc', '../tests/net_torch.py')\n"
        "assert_up_to_date('bn_inception', 'bn_torch.py')\n"
        "files = {'torch': 'net_torch.py'}\n"
        "options = {'rungs': [0], 'targets': ['torch'], 'dtypes': ['float64']}\n"
        "assert_same_network('net.inc', files=files, **options)\n"
    )
    file = tmp_path / "tests" / "test_net.py"
    file.write_text(program, "utf-8")

    exec(compile(program, str(file), "exec"), {})

    (tmp_path / "tests/net_torch.py").unlink()
    with pytest.raises(AssertionError, match=r"tests/net_torch\.py is not .*: it does not exist; "):
        exec(compile(program, str(file), "exec"), {})
