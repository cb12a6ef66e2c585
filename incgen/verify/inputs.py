"""The random numbers of a verification, all derived from one seed and a key."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import numpy as np

from incgen.graph.nodes import Graph
from incgen.weights.checkpoint import Array


def generator(seed: int, *keys: str | int) -> np.random.Generator:
    """Return a separate stream of random numbers for each key."""
    return np.random.default_rng([seed, *(zlib.crc32(str(key).encode()) for key in keys)])


def weights(graph: Graph, seed: int) -> dict[str, Array]:
    """Return float64 weights that hide no error: none are 0 or 1.

    Kernels have the deviation sqrt(2 / fan_in), so that values keep their size through a ReLU
    (He et al. 2015, equation 10).
    """
    arrays: dict[str, Array] = {}
    for key, tensor in graph.tensors().items():
        random = generator(seed, "weights", key)
        if tensor.name == "running_var":
            arrays[key] = random.uniform(0.5, 2.0, tensor.shape)
        elif len(tensor.shape) > 1:
            arrays[key] = random.normal(0, (2 / tensor.fan_in) ** 0.5, tensor.shape)
        elif tensor.name == "weight":
            arrays[key] = random.uniform(0.5, 1.5, tensor.shape)
        else:
            arrays[key] = random.normal(0, 0.3, tensor.shape)
    return arrays


def images(graph: Graph, seed: int, batch: int, which: str = "x") -> Array:
    """Return random float64 input (N, C, H, W), including negative values."""
    shape = graph.input
    assert shape.height is not None and shape.width is not None
    size = (batch, shape.channels, shape.height, shape.width)
    return generator(seed, "input", which).normal(0, 1, size)


def factors(name: str, shape: tuple[int, ...], seed: int) -> Array:
    """Return the weight of each output element in a loss (channels first)."""
    return generator(seed, "factors", name).normal(0, 1, shape)


def aims(name: str, shape: tuple[int, ...], number: int) -> Array:
    """Return the target of an output in a step of descent (channels first)."""
    return generator(number, "aims", name).normal(0, 1, shape)


def kept(path: str, shape: tuple[int, ...], rate: float, seed: int) -> Array:
    """Return the factors of dropout: 0, or 1 / (1 - rate) where a value is kept."""
    keep = generator(seed, "dropout", path).uniform(0, 1, shape) >= rate
    return keep / (1 - rate) if rate < 1 else np.zeros(shape)


def noise(random: np.random.Generator, shape: tuple[int, ...], size: float) -> Array:
    """Return factors that move a value up or down by a relative amount."""
    return 1 + size * random.choice([-1.0, 1.0], shape)


def directions(shapes: Iterable[Iterable[int]], seed: int) -> list[Array]:
    """Return a small random step for each array: 1e-6 of the scale of images."""
    return [
        1e-6 * generator(seed, "direction", number).normal(0, 1, tuple(shape))
        for number, shape in enumerate(shapes)
    ]
