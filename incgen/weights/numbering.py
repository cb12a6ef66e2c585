"""Layers that Keras numbered because nobody named them: only their order identifies them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")

_NUMBERED = re.compile(
    r"(conv2d|convolution2d|separable_conv2d|separableconvolution2d|depthwise_conv2d|dense"
    r"|batch_normalization|batchnormalization)(?:_(\d+))?"
)
#: The names of Keras 1.
_OLD_KINDS = {
    "convolution2d": "conv2d",
    "separableconvolution2d": "separable_conv2d",
    "batchnormalization": "batch_normalization",
}


def renumbered(layers: Iterable[str]) -> dict[str, str]:
    """Count layers that Keras numbered from 0: `conv2d_7` and `conv2d_9` become 0 and 1.

    Numbers continue from model to model in one program, and Keras 1 and 2 started at 1. In Keras 3
    the first of a program has no number; here it is `conv2d_0`.

    >>> renumbered(["conv2d", "conv2d_1", "block1_conv1"])
    {'conv2d': 'conv2d_0', 'conv2d_1': 'conv2d_1', 'block1_conv1': 'block1_conv1'}
    """
    names = {layer: layer for layer in layers}
    kinds: dict[str, list[tuple[int, str]]] = {}
    for layer in names:
        if numbered := _NUMBERED.fullmatch(layer):
            kind = _OLD_KINDS.get(numbered[1], numbered[1])
            kinds.setdefault(kind, []).append((int(numbered[2] or 0), layer))
    for kind, members in kinds.items():
        names |= {layer: f"{kind}_{place}" for place, (_, layer) in enumerate(sorted(members))}
    return names


def with_numbers(tensors: Mapping[str, T]) -> dict[str, T]:
    """Return Keras tensors under names that are numbered from 0."""
    layers = renumbered(name.partition("/")[0] for name in tensors)
    parts = (name.partition("/") for name in tensors)
    names = (f"{layers[layer]}{slash}{rest}" for layer, slash, rest in parts)
    return dict(zip(names, tensors.values(), strict=True))
