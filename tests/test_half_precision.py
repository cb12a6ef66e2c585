"""Every op in half precision in every framework, on values as large as in trained networks.

float16 ends at 65504: whatever squares values above 256 or adds large ones must do so in float32.
The networks of 2014, without normalisation, have such values after their convolutions.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tensorflow as tf
import torch
from flax import nnx
from keras_tools import policy
from parity import channels_first, channels_last, random_weights
from safetensors.numpy import save_file
from safetensors.torch import load_file
from torch_tools import lowered, under_autocast

import incgen
from incgen.language.ops import OPS
from incgen.manual.ops import entries

#: The lines to try for ops that take several forms; for the others, their example.
LINES = {
    "conv": ["a: conv 3x3 8", "a: conv 3x3/2 8 groups=2 pad=same"],
    "bn": ["a: bn", "a: bn variance=biased"],
    "lrn": ["lrn 5", "lrn 4 alpha=1"],
    "max_pool": ["max_pool 3x3/1 pad=1", "max_pool 3x3/2 pad=valid ceil=true"],
    "avg_pool": [
        "avg_pool 5x5/1 pad=valid",
        "avg_pool 5x5/1 pad=2 count_pad=true",
        "avg_pool 5x5/2 pad=[2, 0, 1, 0] count_pad=false",
        "avg_pool 5x5/2 pad=same",
    ],
    "pool": ["pool avg 5x5/1 pad=valid", "pool max 3x3/1 pad=valid"],
    "adaptive_avg_pool": ["adaptive_avg_pool 1x1", "adaptive_avg_pool 2x1"],
    "gelu": ["gelu erf", "gelu tanh"],
    "softmax": ["global_avg_pool -> softmax"],
    "l2_normalize": ["l2_normalize", "global_avg_pool -> l2_normalize eps=1e-5"],
    "identity": ["add {\nidentity\nrelu\n}"],
}
#: The bars: a few roundings of a half precision number.
BARS = {"float16": 4e-3, "bfloat16": 3e-2}


@pytest.mark.parametrize(
    ("op", "dtype"),
    [
        pytest.param(
            op,
            dtype,
            # a bfloat16 ends where a float32 does
            marks=pytest.mark.slow if dtype == "bfloat16" and OPS[op].elementwise else (),
        )
        for op in OPS
        for dtype in BARS
    ],
)
def test_half_precision(op: str, dtype: str, tmp_path: Path) -> None:
    bar, half = BARS[dtype], getattr(torch, dtype)
    random = np.random.default_rng(0)
    x = random.normal(0, 2e3, (2, 16, 12, 12)).clip(-1e4, 1e4)
    x[0] = np.abs(x[0]) + 6e3  # their sums and squares are large, and do not cancel
    x[1, :, :2] = 0  # vectors of zeros
    x = torch.from_numpy(x).to(half).double().numpy()
    for line in LINES.get(op, [entries()[op].use]):
        spec = f"numerics torch\nnetwork net {{ input 12x12 16\n{line}\n}}"
        wanted = exactly(spec, x, tmp_path)
        factors = random.normal(size=wanted[0].shape)
        results = (wanted[0], wanted[1](factors))
        for name, (value, slope) in halved(spec, x, factors, half, tmp_path):
            for actual, exact in zip((value, slope), results, strict=True):
                # by a vector of zeros the gradient of a norm is 1 / eps
                fits = np.abs(exact) < np.finfo("float16").max
                assert not np.isnan(actual).any(), f"{line}: {name}"
                size = max(np.abs(exact[fits]).max(), 1e-6)
                assert np.abs(actual - exact)[fits].max() < bar * size, f"{line}: {name}"


def test_weight_decay_of_half_precision() -> None:
    """The squares of 300 and of 1e-4 do not fit in a float16."""
    spec = "numerics torch\nnetwork net {input 4x4 2\na: conv 1x1 2 bias=false l2=0.5}"
    network = incgen.load("net.inc", "torch", text=spec).Net()
    with policy("float16"):
        model = incgen.load("net.inc", "keras", text=spec).net()

    for large, wanted in ((300.0, 22500.0), (1e-4, 2.5e-9)):
        kernel = torch.tensor([large, 0, 0, 0]).reshape(2, 2, 1, 1)
        network.half().load_state_dict({"a.weight": kernel})
        model.get_layer("a").kernel.assign(kernel.numpy().transpose(2, 3, 1, 0))

        assert network.regularization_loss().item() == pytest.approx(wanted, rel=1e-2)
        assert float(sum(model.losses)) == pytest.approx(wanted, rel=1e-2)
    assert network.double().regularization_loss().dtype == torch.float64


def exactly(spec: str, x: Any, folder: Path) -> tuple[Any, Any]:
    """Return the float64 output, and a function from output factors to the input's gradient."""
    graph = incgen.compile_spec("net.inc", text=spec)
    save_file(random_weights(graph, 0), folder / "weights.safetensors")
    model = torch_model(spec, folder).double()
    start = torch.from_numpy(x).requires_grad_()
    result = model(start)

    def slope(factors: Any) -> Any:
        return torch.autograd.grad(result, start, torch.from_numpy(factors))[0].numpy()

    return result.detach().numpy(), slope


@cache
def generated(spec: str, target: str) -> ModuleType:
    """Return what is generated from a spec."""
    return incgen.load("net.inc", target, text=spec)


def torch_model(spec: str, folder: Path) -> Any:
    """Return the PyTorch model in evaluation mode."""
    model = generated(spec, "torch").Net()
    model.load_state_dict(load_file(folder / "weights.safetensors"))
    return model.eval()


def flax_model(spec: str, folder: Path, dtype: str) -> Any:
    """Return the Flax model in evaluation mode, with weights and statistics of a type."""
    module = generated(spec, "flax")
    model = module.Net(rngs=nnx.Rngs(0))
    module.load_safetensors(model, folder / "weights.safetensors")
    model.eval()
    state = nnx.state(model, (nnx.Param, nnx.BatchStat))
    nnx.update(model, jax.tree.map(lambda value: value.astype(dtype), state))
    return model


def halved(spec: str, x: Any, factors: Any, half: Any, folder: Path) -> Iterator[Any]:
    """Yield the output and the input's gradient in half precision, by how they were computed."""
    name = str(half).removeprefix("torch.")
    start = torch.from_numpy(x).to(half).requires_grad_()
    result = lowered(torch_model(spec, folder), half)(start)
    slope = torch.autograd.grad(result, start, torch.from_numpy(factors).to(half))[0]
    yield f"torch, {name}", (result.detach().double().numpy(), slope.double().numpy())

    result = under_autocast(torch_model(spec, folder), half)(start)
    slope = torch.autograd.grad(result, start, torch.from_numpy(factors).to(result.dtype))[0]
    yield f"torch, autocast to {name}", (result.detach().double().numpy(), slope.double().numpy())

    with policy(f"mixed_{name}"):
        module = generated(spec, "keras")
        model = module.net()
    module.load_safetensors(model, folder / "weights.safetensors")
    variable = tf.Variable(channels_last(x), dtype="float32")
    with tf.GradientTape() as tape:
        output = tf.cast(model(variable, training=False), "float64")
        total = tf.reduce_sum(output * channels_last(factors))
    slope = np.asarray(tape.gradient(total, variable), "float64")
    yield f"keras, mixed_{name}", (channels_first(np.asarray(output)), channels_first(slope))

    evaluate = jax.jit(flax_model(spec, folder, name))
    output, back = jax.vjp(evaluate, jnp.asarray(channels_last(x), name))
    assert output.dtype == name
    (slope,) = back(jnp.asarray(channels_last(factors), name))
    yield f"flax, {name}", tuple(channels_first(np.asarray(v, float)) for v in (output, slope))
