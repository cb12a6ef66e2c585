"""Generated Keras models are the same network on every backend, whatever keras.json says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras_backend import run
from parity import difference, precision, random_weights
from safetensors.numpy import save_file

import incgen

PROGRAM = Path(__file__).parent / "keras_backend.py"
SPECS = Path(__file__).parent.parent / "specs"
#: Every helper of Keras and every layer that has to know where the channels are.
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
    """A generated file, weights and an input."""
    folder = tmp_path_factory.mktemp("given")
    graph = incgen.compile_spec("every.inc", text=SPEC)
    (folder / "every.py").write_text(incgen.generate("every.inc", "keras", text=SPEC))
    save_file(random_weights(graph, 0), folder / "every.safetensors")
    np.save(folder / "every.npy", np.random.default_rng(0).normal(size=(2, 19, 20, 3)))
    return folder


def here(given: Path) -> dict[str, np.ndarray]:
    """What the model gives in this process, on TensorFlow."""
    module = incgen.load("every.inc", "keras", text=SPEC)
    with precision("float64"):
        return run(module, "every", given)


@pytest.fixture(scope="session")
def wanted(given: Path) -> dict[str, np.ndarray]:
    """What it gives on TensorFlow, where nothing is set."""
    return here(given)


def test_channels_first_makes_the_same_network(given: Path, wanted: dict[str, np.ndarray]) -> None:
    keras.config.set_image_data_format("channels_first")
    try:
        found = here(given)
    finally:
        keras.config.set_image_data_format("channels_last")

    assert list(found) == list(wanted)
    for name, value in wanted.items():
        assert difference(value, found[name]) < 1e-10, name


@pytest.mark.parametrize("backend", ["torch", pytest.param("jax", marks=pytest.mark.slow)])
def test_backends_agree(
    backend: str, given: Path, wanted: dict[str, np.ndarray], tmp_path: Path
) -> None:
    for path in given.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    settings = {"image_data_format": "channels_first", "floatx": "float32", "epsilon": 1e-7}
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    environment = {**os.environ, "KERAS_HOME": str(tmp_path), "KERAS_BACKEND": backend}
    program = [sys.executable, PROGRAM, tmp_path]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]

    with np.load(tmp_path / "every.npz") as found:
        assert list(found) == list(wanted)
        for name, value in wanted.items():
            # there Keras' own batch normalisation computes in float32
            assert difference(value, found[name]) < 1e-5, name
