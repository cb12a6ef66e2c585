"""Weights of a deployed network from those of its training form."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from incgen.graph.changes import Change, Dropped, FoldedNorm, FoldedScale
from incgen.graph.nodes import Graph
from incgen.weights.checkpoint import Array


def folded(graph: Graph, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return the weights of a deployed network from those of its training form, by key.

    They are computed in float64, and have the types of the given ones, but at least float32 where
    something is folded: rounded to 16 bits again, they would differ from the training form.
    """
    assert graph.deployment is not None
    changes = graph.deployment.changes
    types = {key: values.dtype for key, values in arrays.items()}
    kernel = next(iter(types.values()), np.dtype(np.float32))
    last = {change.layer: number for number, change in enumerate(changes)}
    for key in (f"{layer}.{name}" for layer in last for name in ("weight", "bias")):
        types[key] = np.promote_types(types.get(key, kernel), np.float32)
    weights = dict(arrays)
    del arrays  # unless the caller keeps them, memory holds no more than one layer in float64
    for number, change in enumerate(changes):
        _apply(change, weights)
        if last[change.layer] == number:
            for key in (f"{change.layer}.weight", f"{change.layer}.bias"):
                if key in weights:
                    weights[key] = weights[key].astype(types[key], copy=False)
    return {key: weights[key].astype(types[key], copy=False) for key in graph.tensors()}


def _apply(change: Change, weights: dict[str, Array]) -> None:
    match change:
        case FoldedNorm(layer, norm, eps, first, channels):
            span = slice(first, first + channels)
            mean, variance = (
                weights[f"{norm}.running_{name}"][span].astype(np.float64)
                for name in ("mean", "var")
            )
            one, none = np.ones(channels), np.zeros(channels)
            gamma = weights[f"{norm}.weight"][span] if f"{norm}.weight" in weights else one
            beta = weights[f"{norm}.bias"][span] if f"{norm}.bias" in weights else none
            gain = gamma / np.sqrt(variance + eps)
            kernel, bias = weights[f"{layer}.weight"], weights.get(f"{layer}.bias", none)
            weights[f"{layer}.weight"] = kernel * gain.reshape(-1, *(1,) * (kernel.ndim - 1))
            weights[f"{layer}.bias"] = (bias - mean) * gain + beta
        case FoldedScale(layer, factor):
            for key in (f"{layer}.weight", f"{layer}.bias"):
                if key in weights:
                    weights[key] = weights[key].astype(np.float64) * factor
        case Dropped():
            pass
