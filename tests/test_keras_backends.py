"""Generated Keras models are the same network on every backend, whatever keras.json says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from keras_backend import run
from keras_tools import channels_first, on_backend
from parity import difference, precision, random_weights
from safetensors.numpy import save_file

import incgen

#: Every helper of the Keras target, and every layer that must know where the channels are.
SPEC = """
numerics torch
unit conv_bn = conv bias=false l2=0.01 -> bn -> leaky_relu 0.2

block mixed(c, kind) {
    concat {
        a: conv_bn 3x3/2 c pad=same
        b: {
            wide: conv 3x3/2 c pad=same dilation=2
            deep: depthwise_conv 3x3
            pad [1, 1, 1, 1]
            apart: separable_conv 3x3 c pad=valid
        }
        d: pool kind 3x3/2 pad=half count_pad=false
    }
}

network every {
    input 19x20 3
    stem: conv_bn 3x3/2 8 pad=half
    mixed: mixed 4 max
    max_pool 2x2/2 pad=valid ceil=true
    lrn 5 alpha=0.1
    grouped: conv 3x3 8 groups=2
    gelu erf
    skip: mul {
        max_pool 3x3/1 pad=1
        avg_pool 3x3/1 pad=1 count_pad=true
        gate: {
            global_avg_pool
            fc: dense 8
            sigmoid
        }
    }
    avg_pool 2x2/1 pad=[1, 0, 0, 1] count_pad=false
    aux side {
        adaptive_avg_pool 2x3
        fc: dense 3
    }
    l2_normalize
    flatten
    norm: bn
    gelu tanh
    logits: dense 5
}
"""


@pytest.fixture(scope="session")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a generated file, weights and an input."""
    folder = tmp_path_factory.mktemp("given")
    graph = incgen.compile_spec("every.inc", text=SPEC)
    (folder / "every.py").write_text(incgen.generate("every.inc", "keras", text=SPEC))
    save_file(random_weights(graph, 0), folder / "every.safetensors")
    np.save(folder / "every.npy", np.random.default_rng(0).normal(size=(2, 19, 20, 3)))
    return folder


def here(given: Path) -> dict[str, np.ndarray]:
    """Return the results of the model in this process, on TensorFlow."""
    module = incgen.load("every.inc", "keras", text=SPEC)
    with precision("float64"):
        return run(module, "every", given)


@pytest.fixture(scope="session")
def wanted(given: Path) -> dict[str, np.ndarray]:
    """Return the results on TensorFlow, where nothing is set."""
    return here(given)


def test_channels_first_makes_the_same_network(given: Path, wanted: dict[str, np.ndarray]) -> None:
    with channels_first():
        found = here(given)

    assert list(found) == list(wanted)
    for name, value in wanted.items():
        assert difference(value, found[name]) < 1e-10, name


@pytest.mark.parametrize("backend", ["torch", pytest.param("jax", marks=pytest.mark.slow)])
def test_backends_agree(
    backend: str, given: Path, wanted: dict[str, np.ndarray], tmp_path: Path
) -> None:
    for path in given.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    on_backend(backend, tmp_path)

    with np.load(tmp_path / "every.npz") as found:
        assert list(found) == list(wanted)
        for name, value in wanted.items():
            # there Keras' own batch normalisation computes in float32
            assert difference(value, found[name]) < 1e-5, name
