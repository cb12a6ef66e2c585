"""The generated models of a spec are the same network, whatever their framework.

One safetensors file goes into the PyTorch and the Keras model. Evaluation agrees to 1e-12 of the
largest element in float64; a pass in training mode to 1e-11, its gradients to 1e-9, running
statistics to 1e-11. In float32 each model stays within 1e-5 of the float64 result.
The Flax model climbs the ladder of `incgen verify` beside the PyTorch model, to the same bars.
The expected shapes below were worked out by hand from the sizes, windows and paddings.
"""

from __future__ import annotations

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

#: Case, height and width, expected output (C, H, W) or (C,), each worked out by hand.
SHAPES = [
    # ceil((13 - 3) / 2) + 1 = 6, ceil(5.5) + 1 = 7; then ceil((6 - 2) / 2) + 1 = 3, ceil(2.5) + 1
    ("ceil_pool", (13, 14), (3, 3, 4)),
    ("ceil_pool", (14, 13), (3, 4, 3)),
    ("ceil_pool", (7, 8), (3, 2, 2)),
    # ceil((13 + 2 - 3) / 2) + 1 = 7; ceil((14 + 2 - 3) / 2) + 1 = 8, its last window begins at 13,
    # before the border at 14 + 1 - 1 = 14, so it counts; four branches of 2 channels
    ("ceil_pad_pool", (13, 14), (8, 7, 8)),
    # 15: ceil(14 / 2) + 1 = 8 both ways
    ("ceil_pad_pool", (15, 15), (8, 8, 8)),
    # ceil(13 / 2) = 7, ceil(14 / 2) = 7; then ceil(7 / 3) = 3; four branches of 2 channels
    ("same_pool", (13, 14), (8, 3, 3)),
    ("same_pool", (19, 20), (8, 4, 4)),
    # ceil(15 / 2) = 8, ceil(14 / 2) = 7; ceil(8 / 2) = 4, ceil(7 / 2) = 4; 4; ceil(4 / 2) = 2
    ("same_conv", (15, 14), (6, 2, 2)),
    ("same_conv", (22, 33), (6, 3, 5)),
    # stride 1 and a border of 2 in all keeps 8 x 9; five branches of 2 channels
    ("average_pad", (8, 9), (10, 8, 9)),
    ("average_pad", (5, 4), (10, 5, 4)),
    # 11 - 2 = 9, 12 - 2 = 10; floor((9 + 2 - 3) / 2) + 1 = 5, floor((10 + 2 - 3) / 2) + 1 = 5
    ("strided_pools", (11, 12), (12, 5, 5)),
    ("strided_pools", (14, 13), (12, 6, 6)),
    ("local_norm", (5, 6), (7, 5, 6)),
    # 17 x 18; floor((17 - 5 + 4) / 2) + 1 = 9, 9; floor((9 - 5 + 4) / 2) + 1 = 5; kept after that
    ("dilation", (17, 18), (4, 5, 5)),
    ("dilation", (20, 21), (4, 5, 6)),
    # 12 -> 6 -> 3 -> 2 -> 1 (strides 2); 13 -> 7 -> 4 -> 4 -> 4; 6 -> 9 -> 18 channels
    ("groups", (12, 13), (18, 1, 4)),
    ("groups", (15, 10), (18, 1, 3)),
    # ceil(15 / 2) = 8, ceil(8 / 2) = 4, 4 - 2 = 2; ceil(16 / 2) = 8, 4, 2
    ("separable", (15, 16), (5, 2, 2)),
    ("separable", (18, 13), (5, 3, 2)),
    ("flatten_dense", (6, 8), (5,)),
    ("flatten_op", (4, 6), (6,)),
    ("batch_norms", (6, 5), (4,)),
    ("activations", (5, 4), (120, 5, 4)),
    # pads [0, 1, 2, 3]: 15 x 20; floor((15 - 3) / 2) + 1 = 7, floor((20 - 3) / 2) + 1 = 9;
    # + 2: 9 x 11; half: 5 x 6; pad 2: 7 x 8; 1x2 around 3x5: 7 x 8; [0, 1, 2, 0]: 3 x 4;
    # pad 0x1: 3 x 6; half of 2x2 adds one: 4 x 7; 1x1/2: 2 x 4; same: 2 x 4
    ("paddings", (14, 15), (2, 2, 4)),
    # 21 x 17; 10 x 8; 12 x 10; 6 x 5; 8 x 7; 8 x 7; 4 x 4; 4 x 6; 5 x 7; 3 x 4; 3 x 4
    ("paddings", (20, 12), (2, 3, 4)),
    ("merges", (9, 8), (8, 9, 8)),
    ("merges", (6, 11), (8, 6, 11)),
    # 8 -> stride 2 -> 4; x1 and x2 have 4 channels, two has 8
    ("skips", (8, 8), (16, 4, 4)),
    ("skips", (9, 7), (16, 5, 4)),
    ("repeats", (7, 8), (5, 7, 8)),
    ("conditions", (9, 10), (6,)),
    ("conditions", (12, 7), (6,)),
    ("heads", (17, 20), (5,)),
    ("units", (31, 33), (5,)),
    ("units", (36, 34), (5,)),
    ("decay", (8, 8), (4,)),
    # 21 -> 21 -> 11 -> 6 -> valid (6 - 3) // 2 + 1 = 2 -> half 1 -> same 1;
    # 22 -> 22 -> 11 -> 6 -> 2 -> 1 -> 1
    ("kinds", (21, 22), (4, 1, 1)),
    # 70 -> 70 -> 35 -> 18 -> 8 -> 4 -> 2; 33 -> 33 -> 17 -> 9 -> 4 -> 2 -> 1
    ("kinds", (70, 33), (4, 2, 1)),
    ("windows", (10, 12), (3,)),
    ("mixed_ranks", (6, 7), (3,)),
    # max without a border: 19 - 2 = 17
    ("words", (19, 19), (3, 17, 17)),
    # same: ceil(85 / 2) = 43, 43; half: floor((43 + 2 - 3) / 2) + 1 = 22; 1 likewise: 11;
    # valid: floor((11 - 3) / 2) + 1 = 5, and its pooling 5 - 2 = 3
    ("word_cases", (85, 86), (3, 3, 3)),
    ("unit_windows", (9, 6), (4, 9, 6)),
    # half of 3x3 keeps 9, valid leaves 7; 3 channels doubled four times
    ("pool_units", (9, 9), (48, 7, 7)),
    ("found", (13, 12), (7,)),
    ("ceil_sizes", (23, 19), (3,)),
    ("chained_if", (6, 7), (4, 6, 7)),
    ("computed", (10, 11), (3,)),
    # the dense layer takes 6 x 4 x 5 whatever comes in
    ("adaptive", (14, 13), (5,)),
    ("adaptive", (3, 21), (5,)),
    ("vectors", (5, 6), (4,)),
    ("vectors", (4, 3), (4,)),
    # `down` rounds up without a border: ceil((13 - 3) / 2) + 1 = 6, ceil((14 - 3) / 2) + 1 = 7;
    # `shrink` is `same`: ceil(6 / 2) = 3, ceil(7 / 2) = 4; then 2, 2
    ("used", (13, 14), (7, 2, 2)),
    # ceil(20 / 2) + 1 = 11, ceil(9 / 2) + 1 = 6; 6, 3; 3, 2
    ("used", (23, 12), (7, 3, 2)),
    ("drops", (8, 9), (4,)),
    ("drops", (5, 6), (4,)),
    # valid: 12 x 11; same: ceil(12 / 2) = 6, ceil(11 / 2) = 6; 2 all around: 8 x 8;
    # 3x5 with 0x1: 6 x 6; [0, 2, 1, 0]: floor((6 + 2 - 3) / 2) + 1 = 3, floor((6 + 1 - 3) / 2) + 1;
    # 2 all around: 5 x 5; 1x2: 5 x 7; [1, 0, 2, 2]: floor(3 / 2) + 1 = 2, floor(8 / 2) + 1 = 5
    ("borders", (14, 13), (4, 2, 5)),
    # 13 x 16; 7 x 8; 9 x 10; 7 x 8; 4 x 4; 6 x 6; 6 x 8; floor(4 / 2) + 1 = 3, floor(9 / 2) + 1 = 5
    ("borders", (15, 18), (4, 3, 5)),
    # up: ceil((19 + 2 - 3) / 2) + 1 = 10, ceil((18 + 2 - 3) / 2) + 1 = 10, whose last window
    # begins at 18 < 18 + 1; down: floor((10 + 2 - 3) / 2) + 1 = 5; same: 3, then 2;
    # 2 channels, three branches, twice
    ("pool_borders", (19, 18), (18, 2, 2)),
    # ceil(13 / 2) + 1 = 8, ceil(20 / 2) + 1 = 11; floor(7 / 2) + 1 = 4, floor(10 / 2) + 1 = 6;
    # 2, 3; 1, 2
    ("pool_borders", (14, 21), (18, 1, 2)),
    # 20 - 2 * 2 * 3 = 8 high, 30 - 2 * 4 * 3 = 6 wide, and a window of all of it
    ("dilated_repeats", (20, 30), (5, 1, 1)),
    # 3 channels behind `four`: 3 * 2 + 7 % 4 = 9
    ("operators", (6, 7), (9, 6, 7)),
    ("elements", (7, 8), (3, 7, 8)),
    ("elements", (5, 4), (3, 5, 4)),
    ("pixels_rgb", (8, 9), (4, 8, 9)),
    ("pixels_bgr", (8, 9), (4, 8, 9)),
    ("initials", (6, 7), (5,)),
]
#: Sizes that are baked into dense layers or windows: only the spec's own.
NAMES = sorted({name for name, _, _ in SHAPES})
#: Other values for the parameters of the networks, and the expected output.
SETTINGS: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    ("ceil_sizes", {"q": 4}, (4,)),
    ("chained_if", {"classes": 7}, (4, 6, 7)),  # of the head alone
    # the pooling is round(4 * 0.25) = 1 high; max(3, 5) features
    ("computed", {"alpha": 0.25, "least": 5}, (5,)),
    ("conditions", {"classes": 3, "large": True}, (3,)),
    ("decay", {"classes": 9}, (9,)),
    ("drops", {"classes": 3, "rate": 0.75}, (3,)),
    ("elements", {"classes": 1}, (3, 7, 8)),
    ("flatten_dense", {"classes": 2}, (2,)),
    ("heads", {"classes": 2}, (2,)),
    # 3 * 2 + 7 % 4, as above
    ("operators", {"n": 6}, (9, 6, 7)),
    ("pixels_rgb", {"size": 10}, (4, 10, 11)),
    ("repeats", {"depth": 0}, (5, 7, 8)),
    ("repeats", {"depth": 3}, (5, 7, 8)),
    ("units", {"classes": 1}, (1,)),
    ("windows", {"n": 5}, (3,)),
]
#: Every op once in Flax: JAX compiles each pass of each spec, so all specs climb in
#: `make test-slow` only.
CLIMBED = (
    *("activations", "adaptive", "batch_norms", "ceil_pool", "drops", "flatten_op", "found"),
    *("groups", "heads", "kinds", "paddings", "vectors"),
)
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


def test_every_case_has_a_shape() -> None:
    assert sorted(path.stem for path in CASES.glob("*.inc")) == NAMES


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
    with precision("float64"):
        exact = build(spec, folder)
        x = images(exact.graph, size_of(exact))
        reference, _ = exact.evaluation(x)
    with precision("float32"):
        models = build(spec, folder, dtype="float32")
        ours, theirs = models.evaluation(x.astype("float32"))

    assert ours.dtype == theirs.dtype == np.float32
    assert difference(reference, ours) <= 1e-5
    assert difference(reference, theirs) <= 1e-5


@pytest.mark.parametrize("name", NAMES)
def test_keys_and_shapes_are_the_graphs(name: str, tmp_path: Path, float64: None) -> None:
    models = build(CASES / f"{name}.inc", tmp_path)
    state = {k: tuple(v.shape) for k, v in models.torch_model.state_dict().items()}
    expected = {key: tensor.shape for key, tensor in models.graph.tensors().items()}

    assert {k: v for k, v in state.items() if "num_batches" not in k} == expected
    trained = sum(p.numel() for p in models.torch_model.parameters())
    assert trained == models.graph.trained
    assert models.keras_model.count_params() == sum(t.size for t in models.graph.tensors().values())


@pytest.mark.parametrize("name", NAMES)
def test_training_agrees(name: str, tmp_path: Path, float64: None) -> None:
    models = build(CASES / f"{name}.inc", tmp_path, parameters=STEADY.get(name))

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


def test_every_op_climbs_in_flax() -> None:
    graphs = [incgen.compile_spec(CASES / f"{name}.inc") for name in CLIMBED]

    assert {node.op for graph in graphs for node in graph.nodes} >= OPS.keys() - {"identity"}


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
    for found in step.statistics:
        mean, variance = found["one.running_mean"], found["one.running_var"]
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


@pytest.mark.parametrize("size", [(224, 224), (225, 160)])
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
    models = build(SPECS / "bn_inception.inc", tmp_path)

    check_training(models, images(models.graph, (224, 224)))


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

    for found in models.evaluation(x):
        np.testing.assert_array_equal(found, x)
    for outputs in (models.torch_outputs(x, training=True), models.keras_outputs(x, training=True)):
        found = array(outputs["output"])
        assert set(np.unique(found)) == {0.0, 1 / (1 - 0.4)}
        assert 0.35 < (found == 0).mean() < 0.45
