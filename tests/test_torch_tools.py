"""Generated PyTorch models work with PyTorch's own tools, and begin as the spec says."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import incgen
from incgen.names import class_name

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


def first(result: Any) -> torch.Tensor:
    return result[0] if isinstance(result, tuple) else result


@pytest.mark.parametrize("name", NAMES)
def test_script(name: str, tmp_path: Path) -> None:
    model, x = model_of(name)
    for mode in (model.eval(), model.train()):
        scripted = torch.jit.script(copy.deepcopy(mode))
        torch.jit.save(scripted, tmp_path / "model.pt")
        again = torch.jit.load(tmp_path / "model.pt")

        torch.manual_seed(1)
        expected = first(copy.deepcopy(mode)(x))
        torch.manual_seed(1)
        torch.testing.assert_close(first(again(x)), expected)


@pytest.mark.parametrize("name", NAMES)
def test_export(name: str) -> None:
    model, x = model_of(name)
    program = torch.export.export(model.eval(), (x,))

    torch.testing.assert_close(first(program.module()(x)), first(model(x)))


@pytest.mark.parametrize("name", ["conditions", "merges", "same_conv", "heads"])
def test_compile_as_one_graph(name: str) -> None:
    model, x = model_of(name)
    model.eval()
    compiled = torch.compile(model, fullgraph=True, backend="eager")

    torch.testing.assert_close(first(compiled(x)), first(model(x)))


@pytest.mark.parametrize("name", NAMES)
def test_channels_last(name: str) -> None:
    model, x = model_of(name)
    model.eval()
    expected = first(model(x))

    found = first(model.to(memory_format=torch.channels_last)(x))

    torch.testing.assert_close(found, expected)


def test_copies_and_pickles() -> None:
    model, x = model_of("merges")
    model.eval()

    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        torch.testing.assert_close(twin(x), model(x))


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

    found = module.preprocess(image.to(torch.uint8))

    # blue, green, red, each less its mean
    assert found.flatten().tolist() == [30 - 104, 20 - 117, 10 - 128]
    assert found.dtype == torch.float32
