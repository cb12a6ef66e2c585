"""Generated PyTorch models work with PyTorch's own tools, and are initialised as the spec says."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch_tools import (
    compiled,
    copied,
    exported_file,
    extracted,
    first,
    fx_traced,
    hooked,
    int8_fx,
    int8_pt2e,
    jit_traced,
    scripted,
)

import incgen
from incgen.language.names import class_name

CASES = Path(__file__).parent / "agreement"
SPECS = Path(__file__).parent.parent / "specs"
#: Together these have every helper class and every way that bodies are written.
NAMES = [
    "activations",
    "batch_norms",
    "ceil_pad_pool",
    "conditions",
    "heads",
    "local_norm",
    "merges",
    "paddings",
    "repeats",
    "same_conv",
    "same_pool",
    "separable",
    "skips",
]


def model_of(name: str) -> tuple[Any, torch.Tensor]:
    graph = incgen.compile_spec(CASES / f"{name}.inc")
    shape = graph.input
    assert shape.height and shape.width
    torch.manual_seed(0)
    model = getattr(incgen.load(CASES / f"{name}.inc", "torch"), class_name(name))()
    return model, torch.randn(2, shape.channels, shape.height, shape.width)


@pytest.mark.parametrize("name", NAMES)
def test_script(name: str) -> None:
    model, x = model_of(name)
    for mode in (model.eval(), model.train()):
        again = scripted(mode, x)

        torch.manual_seed(1)
        expected = first(copied(mode, x)(x))
        torch.manual_seed(1)
        torch.testing.assert_close(first(again(x)), expected)


@pytest.mark.parametrize("name", NAMES)
def test_export(name: str) -> None:
    model, x = model_of(name)
    made = exported_file(model.eval(), x)

    for images in (x, torch.cat([x, x[:1]])):
        torch.testing.assert_close(first(made(images)), first(model(images)))


@pytest.mark.parametrize("name", ["conditions", "merges", "same_conv", "heads"])
def test_compile_as_one_graph(name: str) -> None:
    model, x = model_of(name)
    made = compiled(model.eval(), x)

    torch.testing.assert_close(first(made(x)), first(model(x)))


@pytest.mark.parametrize("name", NAMES)
def test_fx_traces_it(name: str) -> None:
    model, x = model_of(name)

    traced = fx_traced(model.eval(), x)

    torch.testing.assert_close(traced(x), model(x))


@pytest.mark.parametrize("name", NAMES)
def test_it_can_be_traced_by_running_it(name: str) -> None:
    model, x = model_of(name)

    traced = jit_traced(model.eval(), x)

    torch.testing.assert_close(traced(x), model(x))


def test_whole_numbers_are_floats_where_torchscript_takes_no_others() -> None:
    text = """network net {
        input 2x2 2
        leaky_relu 3
        a: leaky_relu 2
        b: bn eps=1 decay=0
        c: bn eps=1 decay=1 variance=biased
        d: dropout 0
        e: lrn 3 alpha=1 beta=2 k=1
        l2_normalize eps=1
        scale 2
    }"""
    model = incgen.load("net.inc", "torch", text=text).Net()
    x = torch.randn(2, 2, 2, 2)
    for mode in (model.eval(), model.train()):
        torch.testing.assert_close(scripted(mode, x)(x), copied(mode, x)(x))


SAMES = """
numerics tf
network sames {
    input 16x16 3
    a: conv 3x3/2 4
    b: max_pool 3x3/2
}
"""


def other_sizes(model: nn.Module) -> list[tuple[torch.Tensor, torch.Tensor]]:
    inputs = [torch.randn(2, 3, height, width) for height, width in ((31, 18), (26, 33), (9, 12))]
    return [(x, model(x).detach()) for x in inputs]


def test_whatever_traces_same_takes_other_sizes() -> None:
    model = incgen.load("sames.inc", "torch", text=SAMES).Sames().eval()
    x = torch.randn(2, 3, 16, 16)
    sizes = {0: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    forms = [
        torch.fx.symbolic_trace(model),
        torch.jit.trace(model, x),
        torch.jit.script(model),
        torch.export.export(model, (x,), dynamic_shapes=(sizes,)).module(),
        torch.compile(model, dynamic=True, fullgraph=True, backend="eager"),
    ]

    for y, expected in other_sizes(model):
        for form in forms:
            torch.testing.assert_close(form(y), expected)


def test_same_takes_other_sizes_in_onnx_where_windows_skip_pixels(tmp_path: Path) -> None:
    text = "network net { input 13x14 1\n max_pool 2x4/3 pad=same ceil=false }"
    model = incgen.load("net.inc", "torch", text=text).Net()
    x = torch.randn(2, 1, 13, 14)
    sizes = dict.fromkeys((0, 2, 3), torch.export.Dim.DYNAMIC)
    path = tmp_path / "net.onnx"

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model, (x,), path, input_names=["x"], dynamic_shapes=(sizes,), verbose=False
        )

    session = onnxruntime.InferenceSession(path)
    for y in (x, torch.randn(1, 1, 15, 18), torch.randn(1, 1, 16, 16)):
        np.testing.assert_array_equal(session.run(None, {"x": y.numpy()})[0], model(y).numpy())


def test_same_pads_as_its_definition() -> None:
    same_pad = incgen.load("sames.inc", "torch", text=SAMES).same_pad

    for size in range(1, 30):
        for kernel in range(1, 7):
            for stride in range(1, 7):
                for dilation in (1, 2, 3):
                    span, steps = dilation * (kernel - 1) + 1, -(-size // stride)
                    total = max((steps - 1) * stride + span - size, 0)
                    pads = same_pad(size, kernel, stride, dilation)
                    assert pads == (total // 2, total - total // 2)


@pytest.mark.parametrize("pad", ["same", "[0, 1, 2, 1]", "2"])
@pytest.mark.parametrize("window", ["3x3", "3x3/2", "4x3/3", "3x4/4"])
def test_the_border_of_a_max_pooling_never_wins(pad: str, window: str) -> None:
    """In values and gradients, for numbers of either sign with many ties."""
    spec = f"""
    network border {{
        input 9x8 2
        pool: max_pool {window} pad={pad} ceil=false
    }}
    """
    model = incgen.load("border.inc", "torch", text=spec).Border()
    kernel, stride = window.partition("/")[0].split("x"), int(window.partition("/")[2] or 1)
    high, wide = map(int, kernel)
    sides = {"2": (2, 2, 2, 2), "[0, 1, 2, 1]": (2, 1, 0, 1)}.get(pad)
    if sides is None:
        rows, columns = (
            max((-(-size // stride) - 1) * stride + span - size, 0)
            for size, span in ((9, high), (8, wide))
        )
        sides = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
    random = torch.Generator().manual_seed(0)
    x = torch.randint(-3, 1, (2, 2, 9, 8), generator=random).double().requires_grad_()
    padded = F.pad(x, sides, value=float("-inf"))
    expected = F.max_pool2d(padded, (high, wide), stride)
    factors = torch.rand(expected.shape, generator=random).double()

    actual = model(x)

    assert torch.equal(actual, expected)
    (wanted,) = torch.autograd.grad((expected * factors).sum(), x)
    (gradient,) = torch.autograd.grad((actual * factors).sum(), x)
    assert torch.equal(gradient, wanted)


def test_no_constant_is_infinite() -> None:
    for spec in (*CASES.glob("*.inc"), SPECS / "xception.inc"):
        source = incgen.generate(spec, "torch")
        assert not re.search(r"\binf\b", source), spec.name


def test_int8_of_onnx_runtime_is_near_float(tmp_path: Path) -> None:
    """With Xception, with one middle block instead of eight."""
    spec = (SPECS / "xception.inc").read_text("utf-8").replace("repeat 8 {", "repeat 1 {")
    torch.manual_seed(0)
    model = incgen.load(SPECS / "xception.inc", "torch", text=spec).Xception().eval()
    images = torch.rand(4, 3, 75, 75) * 2 - 1
    with torch.no_grad():
        expected = model(images).numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        actual = int8(model, images, tmp_path)

    assert np.abs(actual - expected).max() < 0.05 * np.abs(expected).max()


def int8(model: nn.Module, images: torch.Tensor, folder: Path) -> Any:
    """Return the output of a model that ONNX Runtime has quantised to 8-bit integers."""
    import onnxruntime
    from onnxruntime import quantization

    class Images(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = [{"x": image[None].numpy()} for image in images]

        def get_next(self) -> Any:
            return self.left.pop() if self.left else None

    full, small = folder / "full.onnx", folder / "small.onnx"
    torch.onnx.export(model, (images[:1],), full, dynamo=False, input_names=["x"])
    # Full ranges overflow on processors without VNNI.
    quantization.quantize_static(full, small, Images(), reduce_range=True)
    session = onnxruntime.InferenceSession(small)
    return np.concatenate([session.run(None, {"x": image[None].numpy()})[0] for image in images])


def test_a_global_average_of_one_pixel_can_be_quantised() -> None:
    # PyTorch has no mean of integers over maps of 1 x 1, which `inception_v3` has in its head.
    spec = """
        numerics torch
        network pixel {
            input 4x4 2
            a: conv 4x4 3
            global_avg_pool
            b: dense 2
        }
    """
    model = incgen.load("pixel.inc", "torch", text=spec).Pixel().eval()
    x = torch.linspace(-1, 1, 64).view(2, 2, 4, 4)

    with torch.no_grad():
        torch.testing.assert_close(int8_fx(model, x)(x), model(x), rtol=0, atol=0.02)


@pytest.mark.filterwarnings("ignore:All inputs of this cat operator")
@pytest.mark.parametrize("quantised", [int8_fx, int8_pt2e])
@pytest.mark.parametrize("name", ["merges", "paddings", "separable"])
def test_convolutions_with_any_border_can_be_quantised(name: str, quantised: Any) -> None:
    model, x = model_of(name)

    with torch.no_grad():
        wanted = model.eval()(x)
        found = quantised(model, x)(x)

    assert (found - wanted).abs().max() < 0.1 * wanted.abs().max()


def test_heads_are_of_training_only() -> None:
    model, x = model_of("heads")

    trained = model.train()(x)
    evaluated = model.eval()(x)

    assert type(trained).__name__ == "HeadsOutput" and isinstance(trained.aux1, torch.Tensor)
    assert isinstance(evaluated, torch.Tensor)
    assert evaluated.shape == trained[0].shape


def test_a_label_is_the_name_of_a_module() -> None:
    spec = """
    numerics tf
    block gate(r) { squeeze: global_avg_pool; down: dense r; halved: scale 0.5; g: hard_sigmoid }
    network labels {
        input 8x8 3
        conv: conv 3x3 4
        kept: identity
        mul { gate 4; identity }
        border: pad 1
        pooled: global_avg_pool
        flat: flatten
        unit_norm: l2_normalize
    }
    """
    spec = spec.replace("; ", "\n")
    model = incgen.load("labels.inc", "torch", text=spec).Labels().eval()
    x = torch.randn(2, 3, 8, 8)
    labels = ["kept", "gate.squeeze", "gate.halved", "gate.g", "border", "pooled", "flat"]
    seen = hooked(model, labels, x)

    features = extracted(model, labels)(x)

    assert seen.keys() == features.keys() == set(labels)
    for label, value in seen.items():
        torch.testing.assert_close(features[label], value)


@pytest.mark.parametrize("name", NAMES)
def test_channels_last(name: str) -> None:
    model, x = model_of(name)
    model.eval()
    expected = first(model(x))

    actual = first(model.to(memory_format=torch.channels_last)(x))

    torch.testing.assert_close(actual, expected)


def test_copies_and_pickles() -> None:
    model, x = model_of("merges")
    model.eval()

    torch.testing.assert_close(copied(model, x)(x), model(x))


def test_state_dict_round_trip(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    model, x = model_of("repeats")
    other, _ = model_of("repeats")
    nn.init.normal_(model.stem.conv.weight)
    save_file(model.state_dict(), tmp_path / "model.safetensors")

    other.load_state_dict(load_file(tmp_path / "model.safetensors"))

    torch.testing.assert_close(other.eval()(x), model.eval()(x))


def test_the_model_begins_as_the_spec_says() -> None:
    torch.manual_seed(0)
    model = incgen.load(SPECS / "bn_inception.inc", "torch").BNInception()
    tensors = incgen.compile_spec(SPECS / "bn_inception.inc").tensors()

    for key, value in model.state_dict().items():
        if key.endswith("num_batches_tracked"):
            continue
        tensor = tensors[key]
        scale = tensor.initializer.scale(tensor.fan_in, tensor.fan_out)
        if tensor.initializer.kind == "constant":
            assert (value == scale).all(), key
            continue
        assert value.abs().max() <= scale, key
        if value.numel() > 10_000:
            # the deviation of U(-a, a) is a / sqrt(3)
            np.testing.assert_allclose(value.std(), scale / 3**0.5, rtol=0.03)


def test_initialisers_of_single_layers() -> None:
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
        g: conv 1x1 64 init=constant(0.5)
    }
    """
    torch.manual_seed(0)
    model = incgen.load("start.inc", "torch", text=spec).Start()
    state = model.state_dict()

    def deviation(key: str) -> float:
        return float(state[key].std())

    assert deviation("a.weight") == pytest.approx(0.02, rel=0.03)
    assert deviation("b.weight") == pytest.approx(0.1 * 0.8796, rel=0.03)
    assert state["b.weight"].abs().max() <= 0.2
    assert (state["b.bias"] == 0.2).all() and (state["a.bias"] == 0).all()
    assert deviation("c.conv.weight") == pytest.approx((2 / 576) ** 0.5, rel=0.03)
    assert state["d.conv.weight"].abs().max() <= (3 / 576) ** 0.5
    assert deviation("d.conv.weight") == pytest.approx((1 / 576) ** 0.5, rel=0.03)
    # fan_in 81, fan_out 8 * 81: our rule for depthwise kernels
    assert deviation("e.weight") == pytest.approx((2 / (81 + 648)) ** 0.5, rel=0.03)
    assert deviation("f.weight") == pytest.approx(0.8796 * (2.6 / 576) ** 0.5, rel=0.03)
    assert (state["g.weight"] == 0.5).all()


def test_preprocess_makes_what_the_weights_expect() -> None:
    module = incgen.load(SPECS / "bn_inception.inc", "torch")
    image = torch.tensor([10.0, 20.0, 30.0]).reshape(1, 3, 1, 1)  # red, green, blue

    pixels = module.preprocess(image.to(torch.uint8))

    # blue, green, red, each less its mean
    assert pixels.flatten().tolist() == [30 - 104, 20 - 117, 10 - 128]
    assert pixels.dtype == torch.float32
