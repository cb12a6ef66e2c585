"""The axes of inputs and maps: ours are (N, C, H, W), those of Keras and Flax (N, H, W, C)."""

from __future__ import annotations

from incgen.weights.checkpoint import Array


def channels_last(value: Array) -> Array:
    """Return (N, C, H, W) as (N, H, W, C), and vectors as they are."""
    return value.transpose(0, 2, 3, 1) if value.ndim == 4 else value


def channels_first(value: Array) -> Array:
    """Return (N, H, W, C) as (N, C, H, W), and vectors as they are."""
    return value.transpose(0, 3, 1, 2) if value.ndim == 4 else value
