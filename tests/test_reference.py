"""The independent implementation in NumPy: ops checked by hand against the language reference."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random

import numpy as np
import pytest
from numpy.typing import NDArray

import incgen
from incgen.language.ops import OPS
from incgen.language.signatures import Kind, Op
from incgen.manual.ops import entries
from incgen.verify.reference import Reference


def given(
    body: str, x: NDArray[np.float64], weights: dict[str, list[float]] | None = None
) -> Reference:
    """Return a network of some ops for an input of this shape."""
    channels, high, wide = x.shape[1:]
    head = f"numerics torch\nnetwork small {{\n    input {high}x{wide} {channels}\n"
    graph = incgen.compile_spec("small.inc", text=f"{head}    {body}\n}}\n")
    shapes = {key: tensor.shape for key, tensor in graph.tensors().items()}
    values: Mapping[str, Sequence[float] | NDArray[np.float64]] = weights or {
        key: np.ones(shape) for key, shape in shapes.items()
    }
    numbers = {key: np.reshape(values[key], shape) for key, shape in shapes.items()}
    return Reference(graph, {key: value.astype(np.float64) for key, value in numbers.items()})


def last(
    body: str, x: NDArray[np.float64], weights: dict[str, list[float]] | None = None
) -> object:
    """Return the result of the last op in evaluation."""
    *_, (_, value) = given(body, x, weights).values(x)
    return value.tolist()


def one_map(*rows: list[float]) -> NDArray[np.float64]:
    return np.array([[rows]], np.float64)


def row(*values: float) -> NDArray[np.float64]:
    """Return the channels of one pixel."""
    return np.reshape(values, (1, -1, 1, 1)).astype(np.float64)


SQUARE = one_map([1, 2, 3], [4, 5, 6], [7, 8, 9])


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("max_pool 2x2/2 pad=valid ceil=false", [[5]]),
        ("max_pool 2x2/2 pad=valid ceil=true", [[5, 6], [8, 9]]),
        ("max_pool 2x2/2 pad=[1, 0, 0, 0] ceil=false", [[2], [8]]),
        ("avg_pool 2x2/2 pad=valid ceil=true", [[3, 4.5], [7.5, 9]]),
        # the corner has one pixel of the input and three of the border
        ("avg_pool 2x2/2 pad=1 ceil=false count_pad=true", [[0.25, 1.25], [2.75, 7]]),
        ("avg_pool 2x2/2 pad=1 ceil=false count_pad=false", [[1, 2.5], [5.5, 7]]),
        # the last window has one row of the input, one of the border, and one beyond, not counted
        ("avg_pool 3x1/2x1 pad=[0, 1, 0, 0] ceil=true count_pad=true", [[4, 5, 6], [3.5, 4, 4.5]]),
        ("pool max 2x2/2 pad=valid ceil=false", [[5]]),
        ("pool avg 2x2/2 pad=valid ceil=false", [[3]]),
        ("adaptive_avg_pool 2x1", [[3.5], [6.5]]),
        ("pad [1, 0, 0, 2]", [[0] * 5, [1, 2, 3, 0, 0], [4, 5, 6, 0, 0], [7, 8, 9, 0, 0]]),
    ],
)
def test_windows(body: str, expected: list[list[float]]) -> None:
    assert last(body, SQUARE) == [[expected]]


@pytest.mark.parametrize(
    ("body", "kernel", "expected"),
    [
        # a correlation: the kernel is not flipped
        ("a: conv 1x2 1 pad=valid bias=false", [1, 10], [[21, 32], [54, 65], [87, 98]]),
        ("a: conv 2x1/2 1 pad=[1, 0, 0, 0] bias=false", [1, 10], [[10, 30], [74, 96]]),
        ("a: conv 2x2 1 pad=valid dilation=2 bias=false", [1, 0, 0, 10], [[91]]),
    ],
)
def test_convolutions(body: str, kernel: list[float], expected: list[list[float]]) -> None:
    assert last(body, SQUARE, {"a.weight": kernel}) == [[expected]]


def test_channels_of_groups_and_multipliers() -> None:
    x = row(1, 10)

    assert last("a: conv 1x1 2 groups=2", x, {"a.weight": [2, 3], "a.bias": [5, 7]}) == [
        [[[7]], [[37]]]
    ]
    assert last("a: depthwise_conv 1x1 multiplier=2 bias=false", x, {"a.weight": [1, 2, 3, 4]}) == [
        [[[1]], [[2]], [[30]], [[40]]]
    ]
    weights = {"a.depthwise.weight": [2, 3], "a.pointwise.weight": [1, 10], "a.pointwise.bias": [4]}
    assert last("a: separable_conv 1x1 1", x, weights) == [[[[2 + 300 + 4]]]]


def test_a_dense_layer_takes_channels_first() -> None:
    x = np.arange(1.0, 5.0).reshape(1, 2, 1, 2)  # channel 0: 1 2, channel 1: 3 4

    weights: dict[str, list[float]] = {"a.weight": [1, 10, 100, 1000], "a.bias": [0.5]}
    assert last("a: dense 1", x, weights) == [[4321.5]]
    assert last("flatten", x) == [[1, 2, 3, 4]]


def test_batch_normalisation_in_both_modes() -> None:
    x = np.array([[[[1.0, 3.0]]], [[[5.0, 7.0]]]])  # mean 4, variance 5, of n - 1: 20 / 3
    weights: dict[str, list[float]] = {
        "a.weight": [2],
        "a.bias": [1],
        "a.running_mean": [3],
        "a.running_var": [8],
    }
    reference = given("a: bn eps=1 decay=0.9", x, weights)

    evaluated = dict(reference.values(x))["a"]
    assert evaluated.ravel().tolist() == pytest.approx([1 + 2 * (v - 3) / 3 for v in (1, 3, 5, 7)])
    assert reference.statistics["a.running_mean"].tolist() == [3]

    trained = dict(reference.values(x, seed=0))["a"]
    root = math.sqrt(6)
    assert trained.ravel().tolist() == pytest.approx([1 + 2 * (v - 4) / root for v in (1, 3, 5, 7)])
    assert reference.statistics["a.running_mean"].tolist() == pytest.approx([0.9 * 3 + 0.1 * 4])
    assert reference.statistics["a.running_var"].tolist() == pytest.approx([7.2 + 0.1 * 20 / 3])

    biased = given("a: bn eps=1 decay=0.9 variance=biased", x, weights)
    assert dict(biased.values(x, seed=0))
    assert biased.statistics["a.running_var"].tolist() == pytest.approx([7.2 + 0.1 * 5])


def test_response_normalisation_of_even_and_odd_sizes() -> None:
    x = row(1, 2, 3)

    # 3 channels: 1 + 4, 1 + 4 + 9, 4 + 9
    odd = [1 / (2 + 5), 2 / (2 + 14), 3 / (2 + 13)]
    # 2 channels, one before: 1, 1 + 4, 4 + 9
    even = [1 / (2 + 1), 2 / (2 + 5), 3 / (2 + 13)]
    for size, expected in ((3, odd), (2, even)):
        actual = last(f"lrn {size} alpha={size} beta=1 k=2", x)
        assert np.ravel(actual).tolist() == pytest.approx(expected)  # type: ignore[arg-type]


def test_joins() -> None:
    x = np.array([[[[1.0, 2.0]], [[3.0, 5.0]]]])

    gate = "{ identity \n side: global_max_pool }"
    assert last(f"mul {gate}", x) == [[[[2, 4]], [[15, 25]]]]
    assert last(f"add {gate}", x) == [[[[3, 4]], [[8, 10]]]]
    assert last("global_avg_pool", x) == [[1.5, 4]]
    concat = "concat { identity \n scale 10 }"
    assert last(concat, x) == [[[[1, 2]], [[3, 5]], [[10, 20]], [[30, 50]]]]


@pytest.mark.parametrize(
    ("op", "x", "expected"),
    [
        ("relu", -2, 0),
        ("relu6", 7, 6),
        ("leaky_relu 0.2", -2, -0.4),
        ("sigmoid", math.log(3), 0.75),
        ("tanh", math.log(3), 0.8),
        ("silu", math.log(3), 0.75 * math.log(3)),
        ("hard_sigmoid", 1, 4 / 6),
        ("hard_swish", 1, 4 / 6),
        ("gelu erf", 1, 0.8413447460685429),  # the normal distribution's CDF at 1
        ("gelu tanh", 1, 0.8411919906082768),  # 0.5 (1 + tanh(0.7978845608 * 1.044715))
        ("scale (-3)", 2, -6),
        ("identity", 2, 2),
        ("l2_normalize eps=8", 4, 0.5),
        ("l2_normalize", -4, -1),
        ("softmax", 3, 1),
        ("dropout 0.5", 3, 3),
    ],
)
def test_one_number(op: str, x: float, expected: float) -> None:
    assert np.ravel(last(op, row(x))).tolist() == pytest.approx([expected])  # type: ignore[arg-type]


def test_a_softmax_is_over_the_channels() -> None:
    values = np.ravel(last("softmax", row(0, math.log(3), 1000)))  # type: ignore[arg-type]

    assert values.tolist() == [0, 0, 1]
    half = np.ravel(last("softmax", row(0, math.log(3))))  # type: ignore[arg-type]
    assert half.tolist() == pytest.approx([0.25, 0.75])


def test_every_op_is_tried_here() -> None:
    """A new op needs a row: nothing else in the ladder is independent of the targets."""
    source = Path(__file__).read_text("utf-8")
    words = {
        word
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for word in node.value.replace(":", " ").split()
    }
    missing = OPS.keys() - words
    assert not missing


#: Values of every kind of argument; not all of them fit a map of 8x6 with 5 or 6 channels.
VALUES = {
    Kind.COUNT: ("1", "2", "3", "4", "7"),
    Kind.FACTOR: ("0.5", "0.25"),
    Kind.FLAG: ("true", "false"),
    Kind.WINDOW: ("1x1", "3x3", "2x3/2", "5x1/3x1", "9x9"),
    Kind.PADDING: ("half", "same", "valid", "1", "0x1", "[0, 1, 2, 0]"),
    Kind.INITIALIZER: ("zeros",),
}


def calls_of(op: Op, number: int) -> Iterator[str]:
    """Yield random calls of an op, whether its arguments fit or not."""
    dice = Random(op.name)
    for _ in range(number):
        words = [op.name]
        for argument in op.arguments:
            value = dice.choice(argument.words or VALUES[argument.kind])
            if argument.positional:
                words.append(value)
            elif dice.random() < 0.5:
                words.append(f"{argument.name}={value}")
        yield " ".join(words)


@pytest.mark.parametrize("name", OPS)
def test_what_an_op_accepts_can_be_computed(name: str) -> None:
    """The row of an op has to refuse the rest: vectors, or groups that divide no channels."""
    accepted = 0
    for call in calls_of(OPS[name], 25):
        for channels, before in ((5, ""), (6, ""), (6, "global_avg_pool -> ")):
            x = np.ones((2, channels, 8, 6))
            try:
                network = given(before + call, x)
            except incgen.SpecError:
                continue
            *_, (_, value) = network.values(x)
            assert value.shape[1:] == network.graph.nodes[-1].shape.sizes, before + call
            accepted += 1
    assert accepted


@pytest.mark.parametrize("name", [name for name in OPS if name != "identity"])
def test_what_acts_on_each_value_by_itself_does_so_in_any_order(name: str) -> None:
    dice = np.random.default_rng(0)
    x = dice.normal(size=(1, 4, 12, 12))
    order = dice.permutation(x.size)
    network = given(entries()[name].use.replace("classes", "2"), x)
    keys = network.weights
    network = Reference(network.graph, {k: dice.uniform(1, 2, v.shape) for k, v in keys.items()})

    *_, (_, first) = network.values(x)
    *_, (_, second) = network.values(x.ravel()[order].reshape(x.shape))

    same = first.shape == x.shape and np.array_equal(first.ravel()[order], second.ravel())
    assert same is OPS[name].elementwise
