"""The foundations of the ladder: weights, combinations of arguments, misfits, settings, figures."""

from __future__ import annotations

import itertools
import os
import random
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch

import incgen
from incgen.graph.nodes import Graph
from incgen.language.ops import WORDS
from incgen.verify import drawing, figures, inputs, structure, surroundings
from incgen.verify.models import Models
from incgen.verify.places import Places
from incgen.verify.record import Record
from incgen.verify.reference import Reference
from incgen.verify.runners import keras as keras_runner
from incgen.verify.runners import torch as torch_runner
from incgen.verify.runners.results import RunFault
from incgen.verify.variants import combinations


def graph_of(body: str, formals: str = "") -> Graph:
    return incgen.compile_spec(
        "net.inc", text=f"numerics torch\nnetwork net{formals} {{ {body} }}\n"
    )


# ---------------------------------------------------------------- weights

DEEP = """
    input 16x16 3
    scale 100
    a: conv 3x3 8 bias=false
    repeat 30 { bn -> relu -> conv 3x3 8 bias=false }
    mul { identity
          gate: { global_avg_pool -> dense 4 -> relu -> dense 8 -> sigmoid } }
    global_avg_pool
    b: dense 5
"""


@pytest.mark.parametrize("scale", [1e-5, 1.0, 1e5])
def test_every_kernel_gives_values_of_the_scale(scale: float) -> None:
    graph = graph_of(DEEP)
    weights = drawing.weights(graph, 3, scale)

    x = scale * inputs.images(graph, 3, drawing.EXAMPLES)
    given = dict(Reference(graph, weights).values(x))

    for node in graph.nodes:
        if node.op in ("conv", "dense"):
            y = given[node.path]
            bias = weights.get(f"{node.path}.bias", np.zeros(node.shape.channels))
            product = y - bias.reshape(1, -1, *(1,) * (y.ndim - 2))
            assert np.sqrt(np.square(product).mean()) == pytest.approx(scale)


def test_what_may_be_rounding_is_not_made_larger() -> None:
    """A mean minus the same mean, computed differently, is about 1e-17; the bias is the rest."""
    graph = graph_of("""
        input 6x7 5
        add { global_avg_pool
              avg_pool 6x7 pad=valid -> flatten -> scale (-1) }
        a: dense 4
    """)

    assert np.abs(drawing.weights(graph, 0)["a.weight"]).max() < 10


def test_weights_are_those_of_their_seed() -> None:
    graph = graph_of("input 8x8 3\n a: conv 3x3 4")
    one, same, other = (drawing.weights(graph, seed)["a.weight"] for seed in (1, 1, 2))

    assert np.array_equal(one, same) and not np.array_equal(one, other)


# ---------------------------------------------------------------- arguments

BODY = """
    input 12x12 3
    a: conv 3x3 n pad=border
    if one { b: conv 1x1 4 }
    if two { c: conv 1x1 4 }
    pool kind 2x2
"""
FORMALS = "(n = 4, one = false, two = true, border = half, kind = max)"


def test_every_pair_of_values_is_tried() -> None:
    graph = graph_of(BODY, FORMALS)
    values = {
        "one": (False, True),
        "two": (False, True),
        "border": ("half", "same", "valid"),
        "kind": ("avg", "max"),
    }

    rows = [graph.parameters, *({**graph.parameters, **r.arguments} for r in made(graph))]

    for first, second in itertools.combinations(values, 2):
        pairs = {(row[first], row[second]) for row in rows}
        assert pairs == {*itertools.product(values[first], values[second])}
    assert {row["n"] for row in rows} == {4, 5}
    assert len(rows) < 3 * 2 * 2 * 2  # not every combination of all


def made(graph: Graph) -> list[Any]:
    return combinations(graph, ["torch", "keras"])


def test_the_first_row_changes_all_that_it_can() -> None:
    assert made(graph_of(BODY, FORMALS))[0].arguments.keys() == {
        "n",
        "one",
        "two",
        "border",
        "kind",
    }


def test_pairs_of_which_there_is_no_network_are_left_out() -> None:
    body = """
        input 4x4 4
        if wide { add { identity
                        a: conv 1x1 n } } else { b: conv 1x1 n }
    """
    graph = graph_of(body, "(n = 4, wide = false)")

    # five channels have no sum with four
    assert sorted(row.given for row in made(graph)) == ["n=5", "wide=True"]


def test_a_network_without_parameters_has_no_other_arguments() -> None:
    assert made(graph_of("input 8x8 3\n a: conv 3x3 4")) == []


@pytest.mark.parametrize(
    ("uses", "others"),
    [
        ("if never { bn variance=word }", {"unbiased"}),
        ("if never { u variance=word }", {"unbiased"}),
        ("if never { part word }", {"unbiased"}),
        ("if never { bn variance=word -> part word }", {"unbiased"}),
        ("if word == max { relu } else { if never { bn variance=word } }", {"unbiased", "max"}),
        ("if never { bn variance=word }\n bn scale=(word == tanh)", {"unbiased", "tanh"}),
        ("if never { relu }\n if word == max { relu }", WORDS - {"biased"}),
    ],
)
def test_words_are_those_of_all_ops_that_a_parameter_goes_to(uses: str, others: set[str]) -> None:
    graph = incgen.compile_spec(
        "net.inc",
        text="numerics torch\nunit u = bn\nblock part(kind) { inner kind }\n"
        "block inner(form) { a: bn variance=form }\n"
        f"network net(never = false, word = biased) {{\n input 8x8 3\n {uses}\n}}\n",
    )

    rows = [row.arguments.get("word") for row in made(graph)]

    assert set(rows) - {None} == others


# ---------------------------------------------------------------- files that do not fit


def test_misfits_are_of_every_kind() -> None:
    graph = graph_of("input 8x8 3\n a: conv 3x3 4 bias=false -> bn\n b: conv 3x3 4")
    shapes = {key: tensor.shape for key, tensor in graph.tensors().items()}

    misfits = dict(structure.misfits(graph))

    for what, other in misfits.items():
        assert other != shapes, what
    assert misfits["a missing running_var of bn"].keys() == shapes.keys() - {"a.1.running_var"}
    assert misfits["a weight of conv of another shape, (5, 3, 3, 3)"]["a.0.weight"] == (5, 3, 3, 3)
    assert misfits["a weight of conv of another shape, (3, 4, 3, 3)"]["a.0.weight"] == (3, 4, 3, 3)
    assert misfits["a bias of conv of another shape, (1,)"]["b.bias"] == (1,)
    assert misfits["a bias of conv too many"]["a.0.bias"] == (4,)


# ---------------------------------------------------------------- settings of the process

#: Code that changes each setting, and code that restores it.
SETTINGS: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
    "numpy.seterr": (lambda: np.seterr(over="raise"), lambda: np.seterr(over="warn")),
    "warnings.filters": (lambda: warnings.simplefilter("ignore"), lambda: warnings.filters.pop(0)),
    "os.environ": (
        lambda: os.environ.update(INCGEN_TESTED="1"),
        lambda: os.environ.pop("INCGEN_TESTED"),
    ),
    "sys.path": (lambda: sys.path.append("nowhere"), lambda: sys.path.remove("nowhere")),
    "random numbers of Python": (random.random, lambda: None),
    "random numbers of NumPy": (lambda: np.random.seed(123), lambda: None),
    "random numbers of PyTorch": (lambda: torch.rand(1), lambda: None),
    "random numbers of TensorFlow": (lambda: tf.random.set_seed(123), lambda: None),
    "flushing of denormal numbers": (
        lambda: torch.set_flush_denormal(True),
        lambda: torch.set_flush_denormal(False),
    ),
    "torch.set_default_dtype": (
        lambda: torch.set_default_dtype(torch.float16),
        lambda: torch.set_default_dtype(torch.float32),
    ),
    "torch.set_grad_enabled": (
        lambda: torch.set_grad_enabled(False),
        lambda: torch.set_grad_enabled(True),
    ),
    "torch.use_deterministic_algorithms": (
        lambda: torch.use_deterministic_algorithms(True),
        lambda: torch.use_deterministic_algorithms(False),
    ),
    "torch.autograd.set_detect_anomaly": (
        lambda: torch.autograd.set_detect_anomaly(True),
        lambda: torch.autograd.set_detect_anomaly(False),
    ),
    "torch.set_float32_matmul_precision": (
        lambda: torch.set_float32_matmul_precision("medium"),
        lambda: torch.set_float32_matmul_precision("highest"),
    ),
    "keras.config.set_floatx": (
        lambda: keras.config.set_floatx("float64"),
        lambda: keras.config.set_floatx("float32"),
    ),
    "keras.config.set_image_data_format": (
        lambda: keras.config.set_image_data_format("channels_first"),
        lambda: keras.config.set_image_data_format("channels_last"),
    ),
    "keras.config.set_dtype_policy": (
        lambda: keras.config.set_dtype_policy("mixed_float16"),
        lambda: keras.config.set_dtype_policy("float32"),
    ),
    "tf.config.run_functions_eagerly": (
        lambda: tf.config.run_functions_eagerly(True),
        lambda: tf.config.run_functions_eagerly(False),
    ),
    "tf.config.experimental.enable_tensor_float_32_execution": (
        lambda: tf.config.experimental.enable_tensor_float_32_execution(False),
        lambda: tf.config.experimental.enable_tensor_float_32_execution(True),
    ),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_that_changes_is_named(name: str) -> None:
    change, undo = SETTINGS[name]

    with pytest.raises(RunFault) as caught:
        try:
            with surroundings.kept("importing it", settings_of_both):
                change()
        finally:
            undo()

    assert str(caught.value).startswith("importing it changes ")
    assert f"`{name}`" in str(caught.value)


def settings_of_both() -> dict[str, Any]:
    return {**torch_runner.settings(), **keras_runner.settings()}


def test_a_run_may_draw_random_numbers() -> None:
    with surroundings.kept("training", settings_of_both, drawn=True):
        torch.rand(1)
    with surroundings.kept("evaluation", settings_of_both):
        pass


# ---------------------------------------------------------------- figures

MODULE = """net

Input       (N, 3, 8, 6)
Output      (N, classes), b
Parameters  1,234, and 45 in the heads
Cost        18.05 k multiply-adds for one 8 x 6 image
"""
#: 112 parameters of `a` and 5 of each output of `b`, 9 * 3 * 4 * 48 multiply-adds of `a` and 20 of
#: `b`; the head has 4 * 2 + 2.
FIGURES = """
    input 8x6 3
    a: conv 3x3 4
    aux side { global_avg_pool -> dense 2 }
    global_avg_pool
    b: dense classes
"""


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ("", "", set()),
        ("(N, 3, 8, 6)", "(N, 3, 6, 8)", {"Input"}),
        ("classes), b", "classes + 1), b", {"Output"}),
        ("137", "138", {"Parameters"}),
        ("10 in", "9 in", {"Parameters"}),
        ("5.21 k", "5.22 k", {"Cost"}),
        ("8 x 6 image", "8 x 8 image", {"Cost"}),
        ("Cost ", "Price", {"Cost"}),
        ("(N, classes), b", '{"b": (N, classes), "side": (N, 2)}', set()),
        ("(N, classes), b", '{"b": (N, classes), "side": (N, 3)}', {"Output"}),
        ("(N, classes), b", '{"b": (N, 2), "side": (N, 2)}', {"Output"}),
    ],
)
def test_figures_are_those_of_the_graph(old: str, new: str, wrong: set[str]) -> None:
    graph = graph_of(FIGURES, "(classes = 5)")
    module = MODULE.replace("1,234, and 45", "137, and 10").replace("18.05 k", "5.21 k")
    assert old in module

    messages = figures.messages(graph, figures.Docs(module.replace(old, new, 1), {}), Places(graph))

    assert {name.partition(" ")[0] for name, _, message in messages if message} == wrong


@pytest.mark.parametrize(
    ("shape", "right"),
    [
        ("(N, in_channels, H, W) to (N, c * 2, H', W')", True),
        ("(N, in_channels, H, W) to (N, max(c, 8) + 2, H', W')", True),
        ("(N, in_channels, H, W) to (N, c, H', W')", False),
        ("(N, c, H, W) to (N, c * 2, H', W')", False),
        ("(N, in_channels, H, W) to (N, c * 2)", False),
    ],
)
def test_shapes_of_blocks_are_those_of_the_graph(shape: str, right: bool) -> None:
    text = "numerics torch\nblock wide(c) {\n conv 3x3/2 (c * 2)\n relu\n}\n"
    text += "network net {\n input 8x8 3\n a: wide 5\n}\n"
    graph = incgen.compile_spec("net.inc", text=text)
    doc = f"Wider.\n\n    Shape: {shape}\n    "
    docs = figures.Docs("", {"a": (doc, {"in_channels": 3, "c": 5})})

    messages = {path: message for _, path, message in figures.messages(graph, docs, Places(graph))}

    assert (messages["a"] == "") is right


@pytest.mark.parametrize(
    ("shape", "right"),
    [("(N, in_channels) to (N, c).", True), ("(N, in_channels, H, W) to (N, c).", False)],
)
def test_shapes_of_blocks_on_vectors(shape: str, right: bool) -> None:
    text = "numerics torch\nblock score(c) {\n dense c\n}\n"
    text += "network net {\n input 8x8 3\n global_avg_pool\n a: score 5\n}\n"
    graph = incgen.compile_spec("net.inc", text=text)
    docs = figures.Docs("", {"a": (f"Maps {shape}", {"in_channels": 3, "c": 5})})

    messages = {path: message for _, path, message in figures.messages(graph, docs, Places(graph))}

    assert (messages["a"] == "") is right


def test_what_lies_in_front_of_many_residual_blocks_is_found_once(tmp_path: Path) -> None:
    """A million ways lead from the last of twenty additions to the first."""
    adds = "\n".join(f"    a{n}: add {{ identity; relu -> tanh }}" for n in range(20))
    spec = f"network n {{\n    input 2x2 1\n    stem: relu\n{adds}\n}}"
    graph = incgen.compile_spec("n.inc", text=spec)
    models = Models(graph, {}, {}, dtype="float64", seed=0, batch=1, folder=tmp_path)
    record = Record(models)

    assert [*record._before("a19", {"stem"})] == ["stem"]
