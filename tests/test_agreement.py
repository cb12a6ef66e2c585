"""The generated models of a spec are the same network, whatever their framework.

One safetensors file goes into the PyTorch and the Keras model. Evaluation agrees to 1e-12 of the
largest element in float64; a pass in training mode to 1e-11, its gradients to 1e-9, running
statistics to 1e-11. In float32 each model stays within 1e-5 of the float64 result.
The Flax model climbs the ladder of `incgen verify` beside the PyTorch model, to the same bars.
Comments in the specs say the expected shapes, worked out by hand from sizes, windows and paddings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from parity import (
    Models,
    build,
    channels_first,
    channels_last,
    difference,
    evaluated,
    images,
    precision,
    train,
)

import incgen
from incgen.language.names import class_name
from incgen.language.ops import OPS
from incgen.verify import verify
from incgen.verify.show import text

CASES = Path(__file__).parent / "agreement"
SPECS = Path(__file__).parent.parent / "specs"

#: The networks.
NAMES = sorted(path.stem for path in CASES.glob("*.inc"))
#: A comment that says what a network gives: for a size of its input, or for parameters.
_GIVES = re.compile(r"^# (\S+(?: \w+=\S+)*) gives (\d+(?: x \d+)*)(?=:|$)", re.MULTILINE)


def read_cases() -> Iterator[tuple[str, tuple[int, int] | dict[str, Any], tuple[int, ...]]]:
    """Yield each network with a size or parameters, and the output worked out by hand."""
    for name in NAMES:
        for when, shape in _GIVES.findall((CASES / f"{name}.inc").read_text("utf-8")):
            given: Any = tuple(map(int, when.split("x"))) if "=" not in when else {}
            for part in when.split() if "=" in when else ():
                parameter, _, value = part.partition("=")
                given[parameter] = json.loads(value)
            yield name, given, tuple(map(int, shape.split(" x ")))


def climbed() -> Iterator[str]:
    """Yield small networks that have every op together: JAX compiles each pass of each of them."""
    graphs = {name: incgen.compile_spec(CASES / f"{name}.inc") for name in NAMES}
    ops = {name: {node.op for node in graph.nodes} & OPS.keys() for name, graph in graphs.items()}
    left = set().union(*ops.values())
    while left:
        fresh = {name: len(ops[name] & left) for name in NAMES if ops[name] & left}
        best = min(fresh, key=lambda name: len(graphs[name].nodes) / fresh[name])
        left -= ops[best]
        yield best


SHAPES = [case for case in read_cases() if isinstance(case[1], tuple)]
SETTINGS = [case for case in read_cases() if isinstance(case[1], dict)]
#: Those that Flax is tried with in every run; all climb in `make test-slow`.
CLIMBED = {*climbed()}
#: Specs that cannot be compared in training, because they are random there.
STEADY = {"drops": {"rate": 0}}


@pytest.fixture
def float64() -> object:
    with precision("float64"):
        yield


def size_of(models: Models) -> tuple[int, int]:
    """Return the height and width of the spec's own input."""
    height, width = models.graph.input.height, models.graph.input.width
    assert height is not None and width is not None
    return height, width


def test_every_spec_says_what_it_gives() -> None:
    missing = {*NAMES} - {name for name, _, _ in SHAPES}
    assert not missing, "say `# HxW gives C x H x W: why` at the end of these specs"


def test_every_parameter_of_a_network_is_set_once() -> None:
    known = {
        (name, parameter)
        for name in NAMES
        for parameter in incgen.compile_spec(CASES / f"{name}.inc").parameters
    }

    assert known == {(name, parameter) for name, given, _ in SETTINGS for parameter in given}


@pytest.mark.parametrize(("name", "size", "shape"), SHAPES)
def test_evaluation_agrees(
    name: str, size: tuple[int, int], shape: tuple[int, ...], tmp_path: Path, float64: None
) -> None:
    models = build(CASES / f"{name}.inc", tmp_path, size=size)

    ours, theirs = models.evaluation(images(models.graph, size))

    assert ours.shape == (2, *shape)
    assert difference(ours, theirs) <= 1e-12


@pytest.mark.parametrize(("name", "parameters", "shape"), SETTINGS, ids=str)
def test_evaluation_agrees_with_other_parameters(
    name: str,
    parameters: dict[str, Any],
    shape: tuple[int, ...],
    tmp_path: Path,
    float64: None,
) -> None:
    models = build(CASES / f"{name}.inc", tmp_path, parameters=parameters)

    ours, theirs = models.evaluation(images(models.graph, size_of(models)))

    assert ours.shape == (2, *shape)
    assert difference(ours, theirs) <= 1e-12


@pytest.mark.parametrize("name", ["pixels_rgb", "pixels_bgr"])
def test_preprocessing_agrees(name: str, tmp_path: Path, float64: None) -> None:
    models = build(CASES / f"{name}.inc", tmp_path)
    pixels = models.graph.program.network.pixels
    assert pixels is not None and pixels.range is not None
    x = np.random.default_rng(0).uniform(0, 255, (2, 3, 4, 5))

    ours = models.torch_module.preprocess(torch.from_numpy(x)).numpy()
    theirs = channels_first(np.asarray(models.keras_module.preprocess(channels_last(x))))

    low, high = pixels.range
    expected = (x[:, ::-1] if pixels.order == "bgr" else x) / 255 * (high - low) + low
    expected = expected - np.reshape(pixels.mean, (-1, 1, 1))
    expected = expected / np.reshape(pixels.std, (-1, 1, 1))
    assert difference(expected, ours) <= 1e-14
    assert difference(expected, theirs) <= 1e-14


@pytest.mark.parametrize("name", NAMES)
def test_evaluation_agrees_in_float32(name: str, tmp_path: Path) -> None:
    check_float32(CASES / f"{name}.inc", tmp_path)


def check_float32(spec: Path, folder: Path) -> None:
    """Check that each model computes in float32 and differs from float64 by rounding alone.

    A sum of k products in float32 is off by about sqrt(k) * 2**-24 of its size: 7e-7 for the 150
    terms of the widest windows of the small specs. 15 such layers give 1e-5 if all errors add up.
    The largest seen is 8e-7, for BN-Inception too, because errors of either sign cancel. An `eps`
    of 1e-3 for 1e-5 in one model is found in every spec that has one.
    """
    with precision("float32"):
        models = build(spec, folder, dtype="float32")
        x = images(models.graph, size_of(models))
        ours, theirs = models.evaluation(x.astype("float32"))
    with precision("float64"):
        reference = evaluated(spec, x)

    assert ours.dtype == theirs.dtype == np.float32
    assert difference(reference, ours) <= 1e-5
    assert difference(reference, theirs) <= 1e-5


@pytest.mark.parametrize("name", NAMES)
def test_keys_and_training_agree(name: str, tmp_path: Path, float64: None) -> None:
    models = build(CASES / f"{name}.inc", tmp_path, parameters=STEADY.get(name))
    state = {k: tuple(v.shape) for k, v in models.torch_model.state_dict().items()}
    expected = {key: tensor.shape for key, tensor in models.graph.tensors().items()}

    assert {k: v for k, v in state.items() if "num_batches" not in k} == expected
    trained = sum(p.numel() for p in models.torch_model.parameters())
    assert trained == models.graph.trained
    assert models.keras_model.count_params() == sum(t.size for t in models.graph.tensors().values())
    check_training(models, images(models.graph, size_of(models), batch=4))


@pytest.mark.parametrize(
    "name", [n if n in CLIMBED else pytest.param(n, marks=pytest.mark.slow) for n in NAMES]
)
def test_flax_agrees(name: str) -> None:
    graph = incgen.compile_spec(CASES / f"{name}.inc")

    report = verify(graph, targets=["torch", "flax"], rungs=range(5), dtypes=["float64"])

    assert report.passed, text(report, graph)


@pytest.mark.slow  # a minute of compilation; the small specs have all that it has
def test_bn_inception_agrees_in_flax() -> None:
    graph = incgen.compile_spec(SPECS / "bn_inception.inc")

    report = verify(graph, targets=["torch", "flax"], rungs=range(5), dtypes=["float64"], batch=2)

    assert report.passed, text(report, graph)


def check_training(models: Models, x: np.ndarray) -> None:
    decays = any(node.args.get("l2") for node in models.graph.nodes)
    step = train(models, x, penalty=decays)

    ours, theirs = step.outputs
    assert ours.keys() == theirs.keys()
    for key in ours:
        assert difference(ours[key], theirs[key]) <= 1e-11, key
    ours, theirs = step.gradients
    assert ours.keys() == theirs.keys()
    # A bias in front of a batch normalisation has no gradient but rounding, so what is far
    # below the largest gradient of the network is compared with that.
    floor = 1e-3 * max(np.abs(value).max() for value in ours.values())
    for key in ours:
        scale = max(np.abs(ours[key]).max(), floor)
        assert np.abs(ours[key] - theirs[key]).max() <= 1e-9 * scale, key
    ours, theirs = step.statistics
    assert ours.keys() == theirs.keys()
    for key in ours:
        assert difference(ours[key], theirs[key]) <= 1e-11, key


def test_statistics_move_by_algorithm_2(tmp_path: Path, float64: None) -> None:
    models = build(CASES / "batch_norms.inc", tmp_path)
    x = images(models.graph, (6, 5), batch=4)
    before = models.weights

    step = train(models, x)

    flat = x.transpose(1, 0, 2, 3).reshape(3, -1)
    for statistics in step.statistics:
        mean, variance = statistics["one.running_mean"], statistics["one.running_var"]
        np.testing.assert_allclose(
            mean, 0.9 * before["one.running_mean"] + 0.1 * flat.mean(1), rtol=1e-12
        )
        unbiased = flat.var(1, ddof=1)  # n / (n - 1), as algorithm 2 has it
        np.testing.assert_allclose(
            variance, 0.9 * before["one.running_var"] + 0.1 * unbiased, rtol=1e-12
        )


def test_the_penalty_is_half_the_sum_of_squares(tmp_path: Path, float64: None) -> None:
    models = build(CASES / "decay.inc", tmp_path)
    rates = {
        "stem.conv.weight": 1e-3,
        "body.one.weight": 2e-3,
        "body.two.0.conv.weight": 1e-3,
        "body.three.0.weight": 5e-4,
        "body.three.1.weight": 5e-4,
        "sep.depthwise.weight": 1e-2,
        "sep.pointwise.weight": 1e-2,
        "logits.weight": 4e-5,
    }

    expected = sum(rate / 2 * np.square(models.weights[key]).sum() for key, rate in rates.items())

    assert models.torch_model.regularization_loss().item() == pytest.approx(expected, rel=1e-14)
    assert float(sum(models.keras_model.losses)) == pytest.approx(expected, rel=1e-14)


def test_each_head_is_its_own_output(tmp_path: Path, float64: None) -> None:
    models = build(CASES / "heads.inc", tmp_path)
    x = images(models.graph, (17, 20))
    assert models.outputs == ["logits", "aux1", "aux2"]
    assert list(models.torch_outputs(x)) == ["logits"]  # no heads outside of training
    before = models.torch_outputs(x, training=True), models.keras_outputs(x, training=True)

    models.torch_model.aux1.fc2.bias.data += 1.0
    layer = models.keras_model.get_layer("aux1-fc2")
    layer.bias.assign(layer.bias + 1.0)
    after = models.torch_outputs(x, training=True), models.keras_outputs(x, training=True)

    for old, new in zip(before, after, strict=True):
        moved = {
            name: float(np.abs(array(new[name]) - array(old[name])).max())
            for name in models.outputs
        }
        assert moved == {"logits": 0.0, "aux1": pytest.approx(1.0), "aux2": 0.0}


def array(value: object) -> np.ndarray:
    """Convert a tensor of either framework to an array."""
    return value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


@pytest.mark.parametrize(
    "size", [pytest.param((224, 224), marks=pytest.mark.slow), (225, 160)], ids=str
)
def test_bn_inception_agrees(size: tuple[int, int], tmp_path: Path, float64: None) -> None:
    models = build(SPECS / "bn_inception.inc", tmp_path, size=size)

    ours, theirs = models.evaluation(images(models.graph, size))

    assert ours.shape == (2, 1000)
    assert difference(ours, theirs) <= 1e-12


def test_bn_inception_takes_any_size_in_one_keras_model(tmp_path: Path, float64: None) -> None:
    models = build(SPECS / "bn_inception.inc", tmp_path, size=(None, None))

    # 95 and 96 become 48 after the stem, so the grids stay even down to 3
    for size in ((96, 128), (95, 64)):
        assert difference(*models.evaluation(images(models.graph, size))) <= 1e-12


def test_bn_inception_agrees_in_training(tmp_path: Path, float64: None) -> None:
    models = build(SPECS / "bn_inception.inc", tmp_path, size=(None, None))

    check_training(models, images(models.graph, (96, 128), batch=4))


@pytest.mark.slow  # the small specs have all that it has
def test_bn_inception_agrees_in_float32(tmp_path: Path) -> None:
    check_float32(SPECS / "bn_inception.inc", tmp_path)


def test_a_parameter_of_the_network_is_one_of_both_models(float64: None) -> None:
    spec = SPECS / "bn_inception.inc"
    torch_model = incgen.load(spec, "torch").BNInception(classes=7)
    keras_model = incgen.load(spec, "keras").bn_inception(classes=7)

    assert class_name("bn_inception") == "BNInception"
    assert torch_model.logits.out_features == 7
    assert keras_model.output_shape == (None, 7)


def test_dropout_drops_in_training_only(tmp_path: Path, float64: None) -> None:
    spec = tmp_path / "drop.inc"
    spec.write_text("network drop {\n    input 50x40 3\n    dropout 0.4\n}\n")
    models = build(spec, tmp_path)
    x = np.ones((2, 3, 50, 40))

    for values in models.evaluation(x):
        np.testing.assert_array_equal(values, x)
    for outputs in (models.torch_outputs(x, training=True), models.keras_outputs(x, training=True)):
        values = array(outputs["output"])
        assert set(np.unique(values)) == {0.0, 1 / (1 - 0.4)}
        assert 0.35 < (values == 0).mean() < 0.45
