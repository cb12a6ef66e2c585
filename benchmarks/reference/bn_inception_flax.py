"""BN-Inception ("Inception v2").

Ioffe & Szegedy, 2015, figure 5 (arXiv:1502.03167).

Input       (N, 224, 224, 3)
Output      (N, classes), logits
Parameters  11,285,224
Cost        2.03 G multiply-adds for one 224 x 224 image
"""

import warnings
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array


class BatchNorm(nnx.BatchNorm):
    """Batch normalisation that keeps the unbiased variance.

    Ioffe & Szegedy, 2015, algorithm 2. The stock layer keeps the biased one, so
    what it accumulates is corrected by n / (n - 1), n = values per channel.
    """

    def __call__(self, x: Array) -> Array:
        if self.use_running_average:
            return super().__call__(x)
        kept = self.momentum * self.var[...]
        y = super().__call__(x)
        n = x.size // x.shape[-1]
        self.var[...] = kept + (self.var[...] - kept) * n / (n - 1)
        return y


class ConvBN(nnx.Module):
    """Convolution without bias, batch normalisation, ReLU."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel: int,
        stride: int = 1,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        self.conv = nnx.Conv(
            in_channels,
            channels,
            (kernel, kernel),
            stride,
            padding=kernel // 2,
            use_bias=False,
            rngs=rngs,
        )
        self.bn = BatchNorm(channels, momentum=0.9, epsilon=1e-5, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        return nnx.relu(self.bn(self.conv(x)))


class Inception(nnx.Module):
    """Four branches on one input, joined along the channels.

    Args:
        in_channels: channels of the input.
        n1x1: channels of the 1x1 branch.
        n3x3_reduce, n3x3: channels of the 3x3 branch, in front of and after its 3x3.
        ndouble_reduce, ndouble: the same for the branch with two 3x3.
        kind: the pooling that the last branch starts with.
        proj: channels of the 1x1 convolution behind the pooling.
        rngs: the generators of the initial weights.
    """

    def __init__(
        self,
        in_channels: int,
        n1x1: int,
        n3x3_reduce: int,
        n3x3: int,
        ndouble_reduce: int,
        ndouble: int,
        kind: Literal["max", "avg"],
        proj: int,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        pool = nnx.max_pool if kind == "max" else nnx.avg_pool
        self.conv1x1 = ConvBN(in_channels, n1x1, 1, rngs=rngs)
        self.conv3x3 = nnx.Sequential(
            ConvBN(in_channels, n3x3_reduce, 1, rngs=rngs),
            ConvBN(n3x3_reduce, n3x3, 3, rngs=rngs),
        )
        self.double3x3 = nnx.Sequential(
            ConvBN(in_channels, ndouble_reduce, 1, rngs=rngs),
            ConvBN(ndouble_reduce, ndouble, 3, rngs=rngs),
            ConvBN(ndouble, ndouble, 3, rngs=rngs),
        )
        self.pool = nnx.Sequential(
            partial(pool, window_shape=(3, 3), padding="SAME"),
            ConvBN(in_channels, proj, 1, rngs=rngs),
        )

    def __call__(self, x: Array) -> Array:
        branches = self.conv1x1(x), self.conv3x3(x), self.double3x3(x), self.pool(x)
        return jnp.concatenate(branches, axis=-1)


class Reduction(nnx.Module):
    """Halves height and width: two strided branches beside a max pooling."""

    def __init__(
        self,
        in_channels: int,
        n3x3_reduce: int,
        n3x3: int,
        ndouble_reduce: int,
        ndouble: int,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        self.conv3x3 = nnx.Sequential(
            ConvBN(in_channels, n3x3_reduce, 1, rngs=rngs),
            ConvBN(n3x3_reduce, n3x3, 3, stride=2, rngs=rngs),
        )
        self.double3x3 = nnx.Sequential(
            ConvBN(in_channels, ndouble_reduce, 1, rngs=rngs),
            ConvBN(ndouble_reduce, ndouble, 3, rngs=rngs),
            ConvBN(ndouble, ndouble, 3, stride=2, rngs=rngs),
        )

    def __call__(self, x: Array) -> Array:
        pooled = nnx.max_pool(x, (3, 3), (2, 2), "SAME")
        return jnp.concatenate([self.conv3x3(x), self.double3x3(x), pooled], axis=-1)


class BNInception(nnx.Module):
    """BN-Inception ("Inception v2").

    Args:
        classes: number of classes.
        rngs: the generators of the initial weights.
    """

    def __init__(self, classes: int = 1000, *, rngs: nnx.Rngs) -> None:
        self.conv1 = ConvBN(3, 64, 7, stride=2, rngs=rngs)
        self.conv2 = nnx.Sequential(
            ConvBN(64, 64, 1, rngs=rngs), ConvBN(64, 192, 3, rngs=rngs)
        )
        inception, reduction = (
            partial(Inception, rngs=rngs),
            partial(Reduction, rngs=rngs),
        )
        self.inception_3a = inception(192, 64, 64, 64, 64, 96, "avg", 32)
        self.inception_3b = inception(256, 64, 64, 96, 64, 96, "avg", 64)
        self.inception_3c = reduction(320, 128, 160, 64, 96)
        self.inception_4a = inception(576, 224, 64, 96, 96, 128, "avg", 128)
        self.inception_4b = inception(576, 192, 96, 128, 96, 128, "avg", 128)
        self.inception_4c = inception(576, 160, 128, 160, 128, 160, "avg", 128)
        self.inception_4d = inception(608, 96, 128, 192, 160, 192, "avg", 128)
        self.inception_4e = reduction(608, 128, 192, 192, 256)
        self.inception_5a = inception(1056, 352, 192, 320, 160, 224, "avg", 128)
        self.inception_5b = inception(1024, 352, 192, 320, 192, 224, "max", 128)
        self.logits = nnx.Linear(1024, classes, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        x = self.conv1(x)  # (N, 112, 112, 64)
        x = nnx.max_pool(x, (3, 3), (2, 2), "SAME")  # (N, 56, 56, 64)
        x = self.conv2(x)  # (N, 56, 56, 192)
        x = nnx.max_pool(x, (3, 3), (2, 2), "SAME")  # (N, 28, 28, 192)

        x = self.inception_3a(x)  # (N, 28, 28, 256)
        x = self.inception_3b(x)  # (N, 28, 28, 320)
        x = self.inception_3c(x)  # (N, 14, 14, 576)
        x = self.inception_4a(x)  # (N, 14, 14, 576)
        x = self.inception_4b(x)  # (N, 14, 14, 576)
        x = self.inception_4c(x)  # (N, 14, 14, 608)
        x = self.inception_4d(x)  # (N, 14, 14, 608)
        x = self.inception_4e(x)  # (N, 7, 7, 1056)
        x = self.inception_5a(x)  # (N, 7, 7, 1024)
        x = self.inception_5b(x)  # (N, 7, 7, 1024)

        return self.logits(x.mean((1, 2)))  # (N, classes)


def preprocess(images: Array | np.ndarray) -> Array:
    """RGB images (..., H, W, 3) with values in 0..255, as the weights expect them."""
    if images.ndim < 3 or images.shape[-1] != 3:
        raise ValueError(f"expected (..., H, W, 3), got {images.shape}")
    if not isinstance(images, jax.core.Tracer):
        low, high = float(images.min()), float(images.max())
        if low < 0 or high > 255 or 0 < high <= 1:
            message = f"expected values in 0..255, got {low:g} to {high:g}"
            warnings.warn(message, stacklevel=2)
    x = jnp.asarray(images[..., ::-1], float)
    return x - jnp.array([104, 117, 128], x.dtype)
