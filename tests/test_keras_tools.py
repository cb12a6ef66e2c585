"""Generated Keras models work with Keras' own tools, and are initialised as the spec says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras_tools import by_xla, in_tflite, loaded, outputs
from parity import build, precision
from safetensors.numpy import load_file, save_file

import incgen

CASES = Path(__file__).parent / "agreement"
SPECS = Path(__file__).parent.parent / "specs"
#: Together these have every helper class and every way that bodies are written.
NAMES = [
    "activations",
    "adaptive",
    "average_pad",
    "batch_norms",
    "ceil_pad_pool",
    "ceil_pool",
    "conditions",
    "decay",
    "dilation",
    "groups",
    "heads",
    "local_norm",
    "merges",
    "repeats",
    "same_conv",
    "same_pool",
]


def model_of(name: str, size: tuple[int | None, int | None] | None = None) -> tuple[Any, Any]:
    graph = incgen.compile_spec(CASES / f"{name}.inc")
    shape = graph.input
    keras.utils.set_random_seed(0)
    sizes = {} if size is None else {"input_shape": (*size, shape.channels)}
    model = getattr(incgen.load(CASES / f"{name}.inc", "keras"), name)(**sizes)
    random = np.random.default_rng(0)
    x = random.normal(size=(2, shape.height, shape.width, shape.channels)).astype("float32")
    return model, x


def first(result: Any) -> Any:
    return next(iter(outputs(result).values()))


@pytest.mark.parametrize("name", NAMES)
def test_save_and_load(name: str) -> None:
    model, x = model_of(name)

    again = loaded(model)

    np.testing.assert_allclose(first(again(x)), first(model(x)), rtol=1e-5, atol=1e-6)
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]


@pytest.mark.parametrize("name", NAMES)
def test_jit_compile(name: str) -> None:
    model, x = model_of(name)

    np.testing.assert_allclose(first(by_xla(model, x)), first(model(x)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "name", ["adaptive", "ceil_pad_pool", "merges", "same_pool", "repeats", "batch_norms"]
)
def test_any_size(name: str) -> None:
    fixed, x = model_of(name)
    model, _ = model_of(name, (None, None))
    model.set_weights(fixed.get_weights())

    np.testing.assert_allclose(first(model(x)), first(fixed(x)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("sizes", [(2, 3), (None, None)])
def test_an_adaptive_pooling_may_have_a_window_of_all_rows(sizes: tuple[int | None, ...]) -> None:
    spec = "network net { input 2x3 1\n adaptive_avg_pool 1x2 }"
    model = incgen.load("net.inc", "keras", text=spec).net(input_shape=(*sizes, 1))
    x = np.array([[1.0, 2.0, 3.0], [5.0, 6.0, 9.0]], "float32").reshape(1, 2, 3, 1)

    found = model.predict(x, verbose=0)  # in a graph, where Keras' own fails

    # columns 0 and 1: 14 / 4; columns 1 and 2: 20 / 4
    assert found.ravel().tolist() == [3.5, 5.0]


def test_a_square_kernel_of_a_unit_is_a_pair_where_its_sides_are_read() -> None:
    """The initialiser of a depthwise kernel, which is the last layer, reads both sides."""
    spec = """numerics torch
    unit narrow = depthwise_conv
    network net { input 4x4 1; narrow 1x2; narrow 1x1 pad=same }
    """
    model = incgen.load("net.inc", "keras", text=spec).net()

    assert [weight.shape for weight in model.trainable_weights[::2]] == [(1, 2, 1, 1), (1, 1, 1, 1)]


BORDERS = {
    "3x3/2 pad=half": ((3, 3), (2, 2), ((1, 1), (1, 1))),
    "3x3/2 pad=valid ceil=true": ((3, 3), (2, 2), ((0, 1), (0, 1))),
    "3x3/3 pad=valid ceil=true": ((3, 3), (3, 3), ((0, 2), (0, 2))),
    "5x3/2x1 pad=[2, 0, 0, 1]": ((5, 3), (2, 1), ((2, 0), (0, 1))),
}


@pytest.mark.parametrize("sizes", [(7, 8), (6, 9), (5, 3)])
@pytest.mark.parametrize("line", BORDERS)
def test_a_border_of_a_max_pooling_has_no_part_in_it(line: str, sizes: tuple[int, int]) -> None:
    (kh, kw), (sh, sw), ((top, bottom), (left, right)) = BORDERS[line]
    spec = f"numerics torch\nnetwork net {{ input 7x8 2\n max_pool {line} }}"
    make = incgen.load("net.inc", "keras", text=spec).net
    # many are equal, all below zero: the first of equal ones gets the gradient
    x = np.random.default_rng(0).integers(-9, -6, (2, *sizes, 2)).astype("float32")
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=-np.inf)
    rows, columns = (padded.shape[1] - kh) // sh + 1, (padded.shape[2] - kw) // sw + 1
    wanted = np.zeros((2, rows, columns, 2), "float32")
    slope = np.zeros_like(padded)
    for n, row, column, c in np.ndindex(wanted.shape):
        window = padded[n, row * sh :, column * sw :, c][:kh, :kw]
        wanted[n, row, column, c] = window.max()
        i, j = np.unravel_index(window.argmax(), window.shape)
        slope[n, row * sh + i, column * sw + j, c] += 1
    slope = slope[:, top : top + sizes[0], left : left + sizes[1]]

    for shape in ((*sizes, 2), (None, None, 2)):
        with tf.GradientTape() as tape:
            start = tf.Variable(x)
            found = make(input_shape=shape)(start)
            total = tf.reduce_sum(found)

        np.testing.assert_array_equal(np.asarray(found), wanted)
        np.testing.assert_array_equal(np.asarray(tape.gradient(total, start)), slope)


def test_int8_in_tflite() -> None:
    spec = """
    numerics torch
    unit conv_bn = conv bias=false -> bn -> relu
    network net {
        input 33x34 3
        conv_bn 3x3/2 16 pad=half
        max_pool 3x3/2 pad=half
        mixed: concat {
            a: conv_bn 3x3 16
            b: max_pool 3x3/1 -> conv 1x1 16
        }
        max_pool 3x3/2 pad=valid ceil=true
        max_pool 3x3/2 pad=[1, 0, 0, 1]
        global_avg_pool
        logits: dense 10
    }
    """
    keras.utils.set_random_seed(0)
    model = incgen.load("net.inc", "keras", text=spec).net()
    x = np.random.default_rng(0).normal(size=(4, 33, 34, 3)).astype("float32")
    wanted = np.asarray(model(x[:1]))

    found = in_tflite(model, x[:1], x)["output"]

    assert np.abs(found - wanted).max() < 0.05 * np.abs(wanted).max()


@pytest.mark.slow
def test_a_published_network_in_int8_in_tflite() -> None:
    module = incgen.load(SPECS / "googlenet_bn.inc", "keras", {"heads": False})
    model = module.googlenet_bn(input_shape=(75, 75, 3))
    random = np.random.default_rng(0)
    for weight in model.weights:  # weights that keep the scale of maps, as trained ones do
        if weight.name == "kernel":
            fan_in = np.prod(weight.shape[:-1])
            weight.assign(random.normal(0, (2 / fan_in) ** 0.5, weight.shape))
    x = random.uniform(-1, 1, (2, 75, 75, 3)).astype("float32")
    wanted = np.asarray(model(x[:1]))

    found = in_tflite(model, x[:1], x)["output"]

    assert np.abs(found - wanted).max() < 0.05 * np.abs(wanted).max()


def test_fit_with_heads() -> None:
    model, x = model_of("heads")
    losses = dict.fromkeys(("logits", "aux1", "aux2"), "mse")
    model.compile(optimizer="sgd", loss=losses)
    y = {name: np.zeros((2, 5), "float32") for name in losses}

    history = model.fit(x, y, epochs=2, verbose=0)

    assert history.history["loss"][1] < history.history["loss"][0]
    assert set(model.predict(x, verbose=0)) == set(losses)


def test_summary_names_layers_by_their_labels(capsys: pytest.CaptureFixture[str]) -> None:
    model, _ = model_of("merges")
    model.summary(line_length=120)

    assert "mix-b-1-left-conv" in capsys.readouterr().out


def test_faults_of_a_weights_file_are_listed_together(tmp_path: Path) -> None:
    with precision("float32"):
        models = build(CASES / "flatten_dense.inc", tmp_path, dtype="float32")
    weights = dict(models.weights)
    before = [v.copy() for v in models.keras_model.get_weights()]
    weights["logits.weight"] = weights["logits.weight"][:, :3]
    weights["stray.bias"] = weights.pop("conv1.bias")
    weights["logits.bias"] = weights["stray.scale"] = np.array(1, "float32")
    path = tmp_path / "bad.safetensors"
    save_file({k: np.asarray(v, order="C") for k, v in weights.items()}, path)

    with pytest.raises(ValueError) as caught:
        models.keras_module.load_safetensors(models.keras_model, path)

    assert str(caught.value).splitlines() == [
        f"{path} does not fit:",
        "misshapen: logits.bias (), not (5,)",
        "misshapen: logits.weight (3, 5), not (7, 5)",
        "missing: conv1.bias",
        "unexpected: stray.bias",
        "unexpected: stray.scale",
    ]
    for old, new in zip(before, models.keras_model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((4, 1, 3, 3), (3, 3, 1, 4)),
        ((3, 3, 2, 3), (2, 3, 3, 3)),
        ((6, 1, 3), (3, 1, 6)),
        ((18, 3), (3, 18)),
    ],
)
def test_a_depthwise_kernel_that_does_not_fit_is_listed(
    shape: tuple[int, ...], axes: tuple[int, ...], tmp_path: Path
) -> None:
    """Of 2 channels by 3: Keras' own axes, and sizes that the multiplier divides, do not fit."""
    text = "numerics torch\nnetwork net { input 8x8 2\na: depthwise_conv 3x3 multiplier=3 }"
    module = incgen.load("net.inc", "keras", text=text)
    path = tmp_path / "bad.safetensors"
    save_file({"a.weight": np.zeros(shape, "float32")}, path)

    with pytest.raises(ValueError) as caught:
        module.load_safetensors(module.net(), path)

    assert str(caught.value).splitlines()[1:] == [
        f"misshapen: a.weight {axes}, not (3, 3, 1, 6)",
        "missing: a.bias",
    ]


def test_loaded_weights_are_those_of_the_file(tmp_path: Path) -> None:
    with precision("float32"):
        models = build(CASES / "groups.inc", tmp_path, dtype="float32")
    path = tmp_path / "groups_float32_0.safetensors"
    stored = load_file(path)
    kernel = models.keras_model.get_layer("wide").kernel

    # (kh, kw, C, multiplier) from (C * multiplier, 1, kh, kw): output channel c * multiplier + j
    assert kernel.shape == (3, 3, 9, 2)
    for channel, copy_ in ((0, 0), (0, 1), (4, 1), (8, 0)):
        np.testing.assert_array_equal(
            np.asarray(kernel)[:, :, channel, copy_], stored["wide.weight"][2 * channel + copy_, 0]
        )


def test_the_model_begins_as_the_spec_says() -> None:
    keras.utils.set_random_seed(0)
    spec = """
    numerics caffe
    unit conv_relu = conv init=he_normal -> relu
    network start {
        input 8x8 64
        a: conv 3x3 64 init=normal(0.02)
        b: conv 3x3 64 init=truncated_normal(0.1) bias_init=0.2
        c: conv_relu 3x3 64
        d: conv_relu 3x3 64 init=lecun_uniform
        e: depthwise_conv 9x9 multiplier=8
        f: conv 3x3 64 init=truncated_he_normal groups=8
        g: conv 1x1 64
    }
    """
    model = incgen.load("start.inc", "keras", text=spec).start()
    kernels = {layer.name: np.asarray(layer.kernel) for layer in model.layers if layer.weights}

    assert kernels["a"].std() == pytest.approx(0.02, rel=0.03)
    assert kernels["b"].std() == pytest.approx(0.1 * 0.8796, rel=0.03)
    assert np.abs(kernels["b"]).max() <= 0.2
    assert (np.asarray(model.get_layer("b").bias) == np.float32(0.2)).all()
    assert kernels["c-conv"].std() == pytest.approx((2 / 576) ** 0.5, rel=0.03)
    assert np.abs(kernels["d-conv"]).max() <= (3 / 576) ** 0.5
    assert kernels["e"].std() == pytest.approx((2 / (81 + 648)) ** 0.5, rel=0.03)
    assert kernels["f"].std() == pytest.approx(0.8796 * (2.6 / 576) ** 0.5, rel=0.03)
    assert kernels["g"].std() == pytest.approx((2 / 128) ** 0.5, rel=0.03)


def test_preprocess_makes_what_the_weights_expect() -> None:
    module = incgen.load(SPECS / "bn_inception.inc", "keras")
    image = np.array([10, 20, 30], "uint8").reshape(1, 1, 1, 3)  # red, green, blue

    pixels = np.asarray(module.preprocess(image))

    assert pixels.ravel().tolist() == [30 - 104, 20 - 117, 10 - 128]
