"""A training step in NumPy: by hand, and against the frameworks where they mean exactly that."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import optax
import pytest
import tensorflow as tf
import torch
from numpy.typing import NDArray

import incgen
from incgen.recipes.recipe import (
    Adam,
    Average,
    Clip,
    Duration,
    Loss,
    Optimizer,
    Rate,
    Recipe,
    RmsProp,
    Sgd,
    Shuffle,
)
from incgen.verify.training import (
    Training,
    clipped,
    cross_entropy,
    decay_of,
    decays,
    loss,
    penalty,
)

Array = NDArray[np.float64]


def recipe_of(optimizer: Optimizer, **given: Any) -> Recipe:
    """Return a recipe without anything else."""
    return replace(
        Recipe(
            name="some",
            doc="",
            file="some.inc",
            network="small",
            settings={},
            length=Duration(1, "epochs"),
            batch=4,
            synchronized=False,
            shuffle=Shuffle("full", None),
            loss=Loss(0.0, 0.0),
            l2=None,
            optimizer=optimizer,
            rate=Rate(0.1, None, None, "step"),
            clip=None,
            average=None,
            train=(),
            evaluate=(),
        ),
        **given,
    )


def sgd(momentum: float = 0.0, *, nesterov: bool = False, inside: bool = False) -> Sgd:
    return Sgd(momentum, nesterov, inside)


def steps(
    recipe: Recipe, weight: float, gradients: Sequence[float], rates: Sequence[float]
) -> list[float]:
    """Return a weight after each step."""
    training, values = Training(recipe, {"w": np.array([weight])}), []
    for gradient, rate in zip(gradients, rates, strict=True):
        training.step({"w": np.array([gradient])}, rate, {})
        values.append(float(training.tensors["w"][0]))
    return values


# ---------------------------------------------------------------- by hand


def test_plain_descent() -> None:
    assert steps(recipe_of(sgd()), 1.0, [2.0, 4.0], [0.25, 0.125]) == [0.5, 0.0]


def test_the_velocity_outside_of_the_rate_follows_a_change_of_the_rate_at_once() -> None:
    # v: 2, 5, 6.5
    values = steps(recipe_of(sgd(0.5)), 10.0, [2.0, 4.0, 4.0], [1.0, 1.0, 0.5])

    assert values == [8.0, 3.0, -0.25]


def test_the_velocity_with_the_rate_inside_keeps_the_old_rate() -> None:
    # v: -2, -5, -4.5
    values = steps(recipe_of(sgd(0.5, inside=True)), 10.0, [2.0, 4.0, 4.0], [1.0, 1.0, 0.5])

    assert values == [8.0, 3.0, -1.5]


def test_nesterov_looks_ahead() -> None:
    # outside, v: 2, 5; g + v / 2: 3, 6.5
    outside = recipe_of(sgd(0.5, nesterov=True))
    # inside, v: -2, -3; v / 2 - rate g: -3, -3.5
    inside = recipe_of(sgd(0.5, nesterov=True, inside=True))

    assert steps(outside, 10.0, [2.0, 4.0], [1.0, 0.5]) == [7.0, 3.75]
    assert steps(inside, 10.0, [2.0, 4.0], [1.0, 0.5]) == [7.0, 3.5]


def test_root_mean_squares_in_the_form_of_tensorflow() -> None:
    # s: (1 + 7) / 2 = 4 with g = sqrt(7), then (4 + 2) / 2 = 3; eps = 1 under the root
    form = RmsProp("tf", 0.5, 0.5, 1.0)

    values = steps(recipe_of(form), 1.0, [math.sqrt(7), math.sqrt(2)], [1.0, 0.5])

    first = math.sqrt(7 / 5)
    assert values == pytest.approx(
        [1 - first, 1 - first - (first / 2 + math.sqrt(2) / 4)], rel=1e-15
    )


def test_root_mean_squares_in_the_form_of_keras() -> None:
    # s: 8 / 2 = 4, then (4 + 12) / 2 = 8; eps = 1 under the root: u = sqrt(8 / 5), sqrt(12 / 9)
    form = RmsProp("keras", 0.5, 0.0, 1.0)

    values = steps(recipe_of(form), 0.0, [math.sqrt(8), math.sqrt(12)], [1.0, 1.0])

    assert values == pytest.approx([-math.sqrt(1.6), -math.sqrt(1.6) - math.sqrt(4 / 3)], rel=1e-15)


def test_root_mean_squares_in_the_form_of_pytorch() -> None:
    # s: 8 / 2 = 4, then (4 + 28) / 2 = 16; eps = 2 beside the root: u = 4 / 4 ... 6 / 6
    form = RmsProp("torch", 0.5, 0.5, 2.0)

    values = steps(recipe_of(form), 0.0, [math.sqrt(8), math.sqrt(28)], [1.0, 0.5])

    one, two = math.sqrt(8) / 4, math.sqrt(28) / 6
    assert values == pytest.approx([-one, -one - 0.5 * (one / 2 + two)], rel=1e-15)


def test_adam_corrects_both_moments_and_adds_eps_to_the_root() -> None:
    # m: 1, 1.5, corrected by 1 / 2 and 3 / 4: 2, 2; v: 1, 1.75, by 1 / 4 and 7 / 16: 4, 4; eps 2
    values = steps(recipe_of(Adam(0.5, 0.75, 2.0, None)), 0.0, [2.0, 2.0], [1.0, 1.0])

    assert values == pytest.approx([-0.5, -1.0], rel=1e-15)


def test_the_decay_of_adam_is_for_kernels_and_comes_before_the_step() -> None:
    training = Training(
        recipe_of(Adam(0.5, 0.75, 2.0, 0.5)), {"k": np.array([[8.0]]), "b": np.array([8.0])}
    )

    training.step({"k": np.array([[2.0]]), "b": np.array([2.0])}, 0.5, {})

    # 8 - 0.5 * 0.5 * 8 = 6; the step is 0.5 * 2 / (2 + 2)
    assert training.tensors["k"].tolist() == [[5.75]]
    assert training.tensors["b"].tolist() == [7.75]


def test_the_norm_of_all_gradients_together_is_clipped() -> None:
    given = {"a": np.array([3.0, 0.0]), "b": np.array([[4.0]])}

    cut = clipped(given, Clip("norm", 2.5))

    assert {key: g.tolist() for key, g in cut.items()} == {"a": [1.5, 0.0], "b": [[2.0]]}
    assert clipped(given, Clip("norm", 5.0)).keys() == given.keys()
    assert clipped(given, Clip("norm", 5.0))["a"].tolist() == [3.0, 0.0]
    assert clipped({"a": np.zeros(2)}, Clip("norm", 1.0))["a"].tolist() == [0.0, 0.0]


def test_each_element_is_clipped_by_value() -> None:
    cut = clipped({"a": np.array([-3.0, 0.5, 3.0])}, Clip("value", 1.0))

    assert cut["a"].tolist() == [-1.0, 0.5, 1.0]


def test_clipping_comes_before_the_optimiser() -> None:
    by_value = recipe_of(sgd(0.5), clip=Clip("value", 1.0))

    assert steps(by_value, 0.0, [4.0, 4.0], [1.0, 1.0]) == [-1.0, -2.5]


def test_an_average_begins_with_the_initial_weights_and_follows_everything() -> None:
    averaged = recipe_of(sgd(), average=Average(0.75, ramp=False))
    training = Training(averaged, {"w": np.array([8.0]), "mean": np.array([0.0])})

    for statistic in (4.0, 8.0):
        training.step({"w": np.array([4.0])}, 1.0, {"mean": np.array([statistic])})

    # w: 4, 0: (3 * 8 + 4) / 4 = 7, (3 * 7 + 0) / 4; mean: 4 / 4 = 1, (3 + 8) / 4
    assert training.average["w"].tolist() == [5.25]
    assert training.average["mean"].tolist() == [2.75]
    assert training.tensors["mean"].tolist() == [8.0]


def test_a_ramp_shortens_the_average_at_the_start() -> None:
    ramp = Average(0.5, ramp=True)

    assert [decay_of(ramp, step) for step in (0, 2, 8, 9, 100)] == [0.1, 0.25, 0.5, 0.5, 0.5]
    assert decay_of(Average(0.5, ramp=False), 0) == 0.5


def test_smoothing_spreads_over_all_classes() -> None:
    logits = np.log([[0.5, 0.25, 0.25]])

    plain, _ = cross_entropy(logits, np.array([0]), 0.0)
    smooth, gradient = cross_entropy(logits, np.array([0]), 0.3)

    assert plain == pytest.approx(math.log(2), rel=1e-15)
    # targets 0.8, 0.1, 0.1
    assert smooth == pytest.approx(0.8 * math.log(2) + 0.2 * math.log(4), rel=1e-15)
    assert gradient[0] == pytest.approx([-0.3, 0.15, 0.15], rel=1e-14)


def test_the_loss_is_the_mean_of_the_batch_and_large_logits_do_not_overflow() -> None:
    logits = np.array([[1000.0, 0.0], [0.0, 0.0]])

    mean, gradient = cross_entropy(logits, np.array([0, 1]), 0.0)

    assert mean == pytest.approx(math.log(2) / 2, rel=1e-15)
    assert gradient.tolist() == [[0.0, 0.0], [0.25, -0.25]]


def test_heads_have_a_weight() -> None:
    zeros = np.zeros((1, 2))

    total, gradients = loss(
        {"net": zeros, "one": zeros, "two": zeros}, np.array([0]), Loss(0.0, 0.25)
    )

    assert total == pytest.approx(1.5 * math.log(2), rel=1e-15)
    assert gradients["net"].tolist() == [[-0.5, 0.5]]
    assert gradients["one"].tolist() == gradients["two"].tolist() == [[-0.125, 0.125]]


def test_the_penalty_is_that_of_the_layers_or_of_the_recipe() -> None:
    text = """\
numerics torch
network small {
    input 2x2 1
    a: conv 1x1 1 l2=0.5
    b: separable_conv 1x1 1
    global_avg_pool
    c: dense 2 l2=0.25
}
"""
    graph = incgen.compile_spec("small.inc", text=text)

    assert decays(graph, None) == {"a.weight": 0.5, "c.weight": 0.25}
    assert decays(graph, 2.0) == {
        "a.weight": 2.0,
        "b.depthwise.weight": 2.0,
        "b.pointwise.weight": 2.0,
        "c.weight": 2.0,
    }
    total, gradients = penalty({"a.weight": np.array([[3.0, 1.0]])}, {"a.weight": 0.5})
    assert total == 2.5
    assert gradients["a.weight"].tolist() == [[1.5, 0.5]]


# ---------------------------------------------------------------- against the frameworks

#: Exact in float32, which Keras stores hyperparameters in.
MOMENTUM, DECAY, EPS, BETA2 = 0.875, 0.75, 2.0**-10, 0.9375
RATES = [0.125] * 5 + [0.03125] * 5
SHAPES = {"kernel": (3, 2), "bias": (3,)}

Update = Callable[[Mapping[str, Array], float], dict[str, Array]]


def in_torch(make: Callable[[list[dict[str, Any]]], torch.optim.Optimizer]) -> Update:
    """Return the steps of an optimiser of PyTorch, given its groups: kernel, then bias."""
    parameters = {key: torch.nn.Parameter(torch.tensor(value)) for key, value in START.items()}
    optimizer = make([{"params": [parameter]} for parameter in parameters.values()])

    def update(gradients: Mapping[str, Array], rate: float) -> dict[str, Array]:
        for group in optimizer.param_groups:
            group["lr"] = rate
        for key, parameter in parameters.items():
            parameter.grad = torch.tensor(gradients[key])
        optimizer.step()
        return {key: p.detach().numpy().copy() for key, p in parameters.items()}

    return update


def in_keras(make: Callable[[], Any]) -> Update:
    """Return the steps of an optimiser of Keras."""
    variables = {key: keras.Variable(value, name=key) for key, value in START.items()}
    optimizer = make()

    def update(gradients: Mapping[str, Array], rate: float) -> dict[str, Array]:
        optimizer.learning_rate = rate
        pairs = [(tf.constant(gradients[key]), variable) for key, variable in variables.items()]
        optimizer.apply_gradients(pairs)
        return {key: np.asarray(variable) for key, variable in variables.items()}

    return update


def in_optax(make: Callable[[float], optax.GradientTransformation]) -> Update:
    """Return the steps of an optimiser of optax, whose state survives a change of the rate."""
    import jax

    held: dict[str, Any] = {"weights": dict(START), "state": None}

    def update(gradients: Mapping[str, Array], rate: float) -> dict[str, Array]:
        with jax.enable_x64(True):
            transform = make(rate)
            if held["state"] is None:
                held["state"] = transform.init(held["weights"])
            moves, held["state"] = transform.update(dict(gradients), held["state"], held["weights"])
            held["weights"] = optax.apply_updates(held["weights"], moves)
            return {key: np.asarray(value) for key, value in held["weights"].items()}

    return update


@contextmanager
def floatx(dtype: str) -> Iterator[None]:
    """Set the type that Keras makes variables in."""
    before = keras.config.floatx()
    keras.config.set_floatx(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(before)


RANDOM = np.random.default_rng(3)
START = {key: RANDOM.normal(size=shape) for key, shape in SHAPES.items()}
GRADIENTS = [{key: RANDOM.normal(size=shape) for key, shape in SHAPES.items()} for _ in RATES]

SAME: dict[str, tuple[Optimizer, Callable[[], Update]]] = {
    "torch sgd": (
        sgd(MOMENTUM),
        lambda: in_torch(lambda groups: torch.optim.SGD(groups, 1.0, MOMENTUM)),
    ),
    "torch nesterov": (
        sgd(MOMENTUM, nesterov=True),
        lambda: in_torch(lambda groups: torch.optim.SGD(groups, 1.0, MOMENTUM, nesterov=True)),
    ),
    "torch rmsprop": (
        RmsProp("torch", DECAY, MOMENTUM, EPS),
        lambda: in_torch(
            lambda groups: torch.optim.RMSprop(groups, 1.0, DECAY, EPS, momentum=MOMENTUM)
        ),
    ),
    "torch adam": (
        Adam(MOMENTUM, BETA2, EPS, None),
        lambda: in_torch(lambda groups: torch.optim.Adam(groups, 1.0, (MOMENTUM, BETA2), EPS)),
    ),
    "torch adamw": (
        Adam(MOMENTUM, BETA2, EPS, 0.5),
        lambda: in_torch(
            lambda groups: torch.optim.AdamW(
                [{**groups[0], "weight_decay": 0.5}, {**groups[1], "weight_decay": 0.0}],
                1.0,
                (MOMENTUM, BETA2),
                EPS,
            )
        ),
    ),
    "keras sgd": (
        sgd(MOMENTUM, inside=True),
        lambda: in_keras(lambda: keras.optimizers.SGD(1.0, MOMENTUM)),
    ),
    "keras nesterov": (
        sgd(MOMENTUM, nesterov=True, inside=True),
        lambda: in_keras(lambda: keras.optimizers.SGD(1.0, MOMENTUM, nesterov=True)),
    ),
    "keras rmsprop": (
        RmsProp("keras", DECAY, MOMENTUM, EPS),
        lambda: in_keras(
            lambda: keras.optimizers.RMSprop(1.0, DECAY, momentum=MOMENTUM, epsilon=EPS)
        ),
    ),
    "keras rmsprop without momentum": (
        RmsProp("keras", DECAY, 0.0, EPS),
        lambda: in_keras(lambda: keras.optimizers.RMSprop(1.0, DECAY, epsilon=EPS)),
    ),
    "optax sgd": (sgd(MOMENTUM), lambda: in_optax(lambda rate: optax.sgd(rate, MOMENTUM))),
    "optax nesterov": (
        sgd(MOMENTUM, nesterov=True),
        lambda: in_optax(lambda rate: optax.sgd(rate, MOMENTUM, nesterov=True)),
    ),
    "optax rmsprop from 1": (  # TensorFlow's but for the velocity, which the rate is outside of
        RmsProp("tf", DECAY, 0.0, EPS),
        lambda: in_optax(
            lambda rate: optax.rmsprop(rate, DECAY, EPS, initial_scale=1.0, eps_in_sqrt=True)
        ),
    ),
    "optax adam": (
        Adam(MOMENTUM, BETA2, EPS, None),
        lambda: in_optax(lambda rate: optax.adam(rate, MOMENTUM, BETA2, EPS)),
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_an_optimiser_is_that_of_a_framework(name: str) -> None:
    optimizer, make = SAME[name]
    training = Training(recipe_of(optimizer), START)

    with floatx("float64"):
        update = make()
        for gradients, rate in zip(GRADIENTS, RATES, strict=True):
            training.step(gradients, rate, {})
            for key, value in update(gradients, rate).items():
                assert np.abs(training.tensors[key] - value).max() < 1e-13, key


@pytest.mark.parametrize(
    ("optimizer", "make"),
    [
        # the rate inside of a velocity is not PyTorch's
        (sgd(MOMENTUM, inside=True), SAME["torch sgd"][1]),
        (sgd(MOMENTUM), SAME["keras sgd"][1]),
        (RmsProp("keras", DECAY, MOMENTUM, EPS), SAME["torch rmsprop"][1]),
        # Keras adds eps before it corrects the mean square
        (
            Adam(MOMENTUM, BETA2, EPS, None),
            lambda: in_keras(lambda: keras.optimizers.Adam(1.0, MOMENTUM, BETA2, EPS)),
        ),
    ],
)
def test_another_convention_is_told_apart(optimizer: Optimizer, make: Callable[[], Update]) -> None:
    training = Training(recipe_of(optimizer), START)

    with floatx("float64"):
        update = make()
        for gradients, rate in zip(GRADIENTS, RATES, strict=True):
            training.step(gradients, rate, {})
            updated = update(gradients, rate)

    assert np.abs(training.tensors["kernel"] - updated["kernel"]).max() > 1e-4


def test_clipping_is_that_of_tensorflow_and_without_the_constant_of_pytorch() -> None:
    gradients = GRADIENTS[0]

    cut = clipped(gradients, Clip("norm", 0.5))

    theirs, _ = tf.clip_by_global_norm([tf.constant(g) for g in gradients.values()], 0.5)
    for ours, value in zip(cut.values(), theirs, strict=True):
        assert np.abs(ours - value.numpy()).max() < 1e-15
    parameters = [torch.nn.Parameter(torch.tensor(g)) for g in gradients.values()]
    for parameter in parameters:
        parameter.grad = parameter.detach().clone()
    torch.nn.utils.clip_grad_norm_(parameters, 0.5)
    apart = np.abs(cut["kernel"] - parameters[0].grad.numpy()).max()  # type: ignore[union-attr]
    assert 1e-8 < apart < 1e-6


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_and_its_gradient_are_those_of_both_frameworks(smoothing: float) -> None:
    logits, labels = RANDOM.normal(size=(5, 4)), np.array([3, 0, 1, 1, 2])

    value, gradient = cross_entropy(logits, labels, smoothing)

    x = torch.tensor(logits, requires_grad=True)
    in_torch = torch.nn.functional.cross_entropy(x, torch.tensor(labels), label_smoothing=smoothing)
    in_torch.backward()  # type: ignore[no-untyped-call]
    assert value == pytest.approx(in_torch.item(), rel=1e-14)
    assert np.abs(gradient - x.grad.numpy()).max() < 1e-15  # type: ignore[union-attr]
    with floatx("float64"):
        in_keras = keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=smoothing
        )(np.eye(4)[labels], logits)
        assert value == pytest.approx(float(in_keras), rel=1e-7)  # smoothing is cast to float32


def test_an_average_with_a_ramp_is_that_of_tensorflow() -> None:
    averaged = recipe_of(sgd(), average=Average(0.5, ramp=True))
    training, variable = Training(averaged, START), tf.Variable(START["kernel"])
    count = tf.Variable(0.0)
    theirs = tf.train.ExponentialMovingAverage(0.5, num_updates=count)
    theirs.apply([variable])  # begins with the initial weights

    for step, (gradients, rate) in enumerate(zip(GRADIENTS, RATES, strict=True)):
        training.step(gradients, rate, {})
        variable.assign(training.tensors["kernel"])
        count.assign(step)
        theirs.apply([variable])

    # TensorFlow computes the decay in float32
    assert training.average["kernel"] == pytest.approx(theirs.average(variable).numpy(), rel=1e-6)
    assert training.average["kernel"] != pytest.approx(training.tensors["kernel"], rel=1e-3)
