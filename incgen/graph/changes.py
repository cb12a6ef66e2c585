"""The changes that deployment makes to the weights of the training form, as data.

A change names layers by the paths of their parameters: the kernel of a layer `a.conv` is
`a.conv.weight`, and that of a separable convolution `a.conv.pointwise.weight`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class FoldedNorm:
    """A normalisation that is folded into a layer: kernel * g and (bias - mean) * g + beta.

    g is gamma / sqrt(variance + eps), for each channel. The layer has a bias afterwards.
    """

    layer: str  #: The path of the layer's kernel and bias
    norm: str  #: The path of the normalisation
    eps: float  #: What it adds to the variance
    first: int  #: Which of its channels is the first of the layer
    channels: int  #: The layer's output channels


@dataclass(frozen=True, slots=True)
class FoldedScale:
    """A constant factor that is folded into a layer: kernel * factor and bias * factor."""

    layer: str  #: The path of the layer's kernel and bias
    factor: float


@dataclass(frozen=True, slots=True)
class Dropped:
    """An auxiliary head that is left out, with everything that it alone needs."""

    layer: str  #: The path of a layer, whose tensors are not used


Change: TypeAlias = FoldedNorm | FoldedScale | Dropped
