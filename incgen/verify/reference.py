"""Compute a spec's network in NumPy, independently of every target.

Two models that are wrong in the same way agree. This module knows neither: it reads the graph
alone, and computes each op by its definition in the language reference, in float64, as plainly as
possible. It shares the borders of windows with the compiler, and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from incgen.graph.nodes import Graph, Node
from incgen.graph.shapes import Arguments, Borders
from incgen.verify import inputs
from incgen.weights.checkpoint import Array


class Reference:
    """A network as its spec defines it, with one set of weights in float64."""

    def __init__(self, graph: Graph, weights: Mapping[str, Array]) -> None:
        """Start with the statistics that are part of the weights."""
        self.graph, self.weights = graph, weights
        #: The running statistics by key, updated by every training pass
        self.statistics = {
            key: weights[key] for key, tensor in graph.tensors().items() if not tensor.trained
        }

    def values(
        self, x: Array, *, seed: int | None = None, moved: Callable[[Array], Array] | None = None
    ) -> Iterator[tuple[str, Array]]:
        """Yield the value of every layer by its path, including heads, in the order of the graph.

        A value is freed after its last use, since all together are large. The seed is that of
        dropout; without one, the network is in evaluation. `moved` changes each output.
        """
        nodes = self.graph.nodes
        last = {taken: number for number, node in enumerate(nodes) for taken in node.inputs}
        values: dict[int, Array] = {}
        for number, node in enumerate(nodes):
            given = [values[taken] for taken in node.inputs]
            value = self._value(node, given, seed) if node.inputs else x
            values[number] = value if moved is None else moved(value)
            for taken in {taken for taken in node.inputs if last[taken] == number}:
                del values[taken]
            yield node.path, values[number]
            if number not in last:
                del values[number]

    def _value(self, node: Node, given: list[Array], seed: int | None) -> Array:
        args, x = node.args, given[0]
        match node.op:
            case "concat":
                return np.concatenate(given, axis=1)
            case "add" | "mul":
                return _joined(node.op, given)
            case "bn":
                return self._normalised(node, x, seed is not None)
            case "dropout":
                if seed is None:
                    return x
                return x * inputs.kept(node.path, x.shape, args.number("rate"), seed)
            case "conv":
                return self._convolved(node, x, args.count("groups"), "")
            case "depthwise_conv":
                return self._convolved(node, x, x.shape[1], "")
            case "separable_conv":
                middle = self._convolved(node, x, x.shape[1], "depthwise.")
                kernel = self.weights[f"{node.path}.pointwise.weight"]
                return self._biased(node, _correlated(middle, kernel, 1), "pointwise.")
            case "dense":
                product = x.reshape(len(x), -1) @ self.weights[f"{node.path}.weight"].T
                return self._biased(node, product, "")
            case _:
                return _plain(node, x)

    def _convolved(self, node: Node, x: Array, groups: int, part: str) -> Array:
        kernel = self.weights[f"{node.path}.{part}weight"]
        window, dilation = node.args.window, node.args.dilation
        y = _correlated(
            _surrounded(x, node.args.borders, 0.0), kernel, groups, window.stride, dilation
        )
        return self._biased(node, y, part)

    def _biased(self, node: Node, y: Array, part: str) -> Array:
        bias = self.weights.get(f"{node.path}.{part}bias")
        return y if bias is None else y + _along(bias, y)

    def _normalised(self, node: Node, x: Array, training: bool) -> Array:
        """Normalise as in Ioffe & Szegedy 2015, algorithms 1 and 2."""
        mean, variance = (f"{node.path}.running_{name}" for name in ("mean", "var"))
        if training:
            axes = tuple(axis for axis in range(x.ndim) if axis != 1)
            now = {mean: x.mean(axes), variance: x.var(axes)}
            count = x.size // x.shape[1]
            fair = count / (count - 1) if node.args["variance"] == "unbiased" else 1.0
            kept = node.args.number("decay")
            for key, factor in ((mean, 1.0), (variance, fair)):
                self.statistics[key] = kept * self.statistics[key] + (1 - kept) * factor * now[key]
        else:
            now = self.statistics
        y = (x - _along(now[mean], x)) / np.sqrt(_along(now[variance], x) + node.args.number("eps"))
        gamma = self.weights.get(f"{node.path}.weight")
        return self._biased(node, y if gamma is None else y * _along(gamma, y), "")


def _along(values: Array, x: Array) -> Array:
    """Reshape per-channel numbers for use with maps or vectors."""
    return values.reshape(1, -1, *(1,) * (x.ndim - 2))


# ---------------------------------------------------------------- joins and windows


def _joined(kind: str, given: list[Array]) -> Array:
    """Add or multiply; a vector is one number for each map."""
    rank = max(value.ndim for value in given)
    total, *others = (value.reshape(*value.shape, *(1,) * (rank - value.ndim)) for value in given)
    for value in others:
        total = total + value if kind == "add" else total * value
    return total


def _surrounded(x: Array, around: Borders, value: float) -> Array:
    return np.pad(x, ((0, 0), (0, 0), *around), constant_values=value)


def _correlated(
    x: Array, kernel: Array, groups: int, stride: tuple[int, int] = (1, 1), dilation: int = 1
) -> Array:
    """Multiply a kernel (outputs, inputs / groups, kh, kw) by all windows, image by image."""
    outputs, _, *taps = kernel.shape
    windows = sliding_window_view(x, [dilation * (size - 1) + 1 for size in taps], axis=(2, 3))
    windows = windows[:, :, :: stride[0], :: stride[1], ::dilation, ::dilation]
    high, wide = windows.shape[2:4]
    rows = kernel.reshape(groups, outputs // groups, -1)
    seen = (image.transpose(0, 3, 4, 1, 2).reshape(groups, -1, high * wide) for image in windows)
    return np.stack([rows @ columns for columns in seen]).reshape(-1, outputs, high, wide)


def _pooled(node: Node, x: Array, average: bool) -> Array:
    """Pool rows, then columns: largest numbers, sums and what divides those all allow that."""
    kernel, stride = node.args.window.kernel, node.args.window.stride
    outputs = node.shape.height or 1, node.shape.width or 1
    for axis, (size, step, (before, after), count) in enumerate(
        zip(kernel, stride, node.args.borders, outputs, strict=True), start=2
    ):
        lines = np.moveaxis(x, axis, 0)
        pooled = []
        for start in range(-before, count * step - before, step):
            seen = lines[max(start, 0) : start + size]
            # pixels beyond the border, where sizes are rounded up, never count
            inside = min(start + size, len(lines) + after) - start
            number = inside if node.args.get("count_pad") else len(seen)
            pooled.append(seen.sum(0) / number if average else seen.max(0))
        x = np.moveaxis(np.stack(pooled), 0, axis)
    return np.ascontiguousarray(x)  # products of matrices in another order are slow


def _adapted(node: Node, x: Array) -> Array:
    high, wide = node.args.window.kernel
    rows, columns = (
        [(i * size // n, -(-(i + 1) * size // n)) for i in range(n)]
        for size, n in zip(x.shape[2:], (high, wide), strict=True)
    )
    y = np.empty((*x.shape[:2], high, wide))
    for row, (top, bottom) in enumerate(rows):
        for column, (left, right) in enumerate(columns):
            y[:, :, row, column] = x[:, :, top:bottom, left:right].mean((2, 3))
    return y


# ---------------------------------------------------------------- ops without weights


def _plain(node: Node, x: Array) -> Array:
    args = node.args
    y: Array
    match node.op:
        case "max_pool" | "avg_pool" | "pool":
            y = _pooled(node, x, node.op == "avg_pool" or args.get("kind") == "avg")
        case "global_avg_pool":
            y = x.mean((2, 3))
        case "global_max_pool":
            y = x.max((2, 3))
        case "adaptive_avg_pool":
            y = _adapted(node, x)
        case "lrn":
            y = _response_normalised(x, args)
        case "l2_normalize":
            norm = np.sqrt(np.square(x).sum(1, keepdims=True))
            y = x / np.maximum(norm, args.number("eps"))
        case "softmax":
            powers = np.exp(x - x.max(1, keepdims=True))
            y = powers / powers.sum(1, keepdims=True)
        case "flatten":
            y = x.reshape(len(x), -1)
        case "identity":
            y = x
        case "scale":
            y = x * args.number("factor")
        case "pad":
            y = _surrounded(x, args.borders, 0.0)
        case _:
            y = _activated(node, x)
    return y


def _response_normalised(x: Array, args: Arguments) -> Array:
    size, channels = args.count("size"), x.shape[1]
    total = np.zeros_like(x)
    for channel in range(channels):
        first = channel - size // 2
        total[:, channel] = np.square(x[:, max(first, 0) : first + size]).sum(1)
    alpha, beta, k = (args.number(name) for name in ("alpha", "beta", "k"))
    y: Array = x / (k + alpha / size * total) ** beta
    return y


_erf = np.vectorize(math.erf, otypes=[np.float64])


def _activated(node: Node, x: Array) -> Array:
    y: Array
    match node.op:
        case "relu":
            y = np.maximum(x, 0)
        case "relu6":
            y = np.clip(x, 0, 6)
        case "leaky_relu":
            y = np.where(x > 0, x, node.args.number("slope") * x)
        case "sigmoid":
            y = _sigmoid(x)
        case "tanh":
            y = np.tanh(x)
        case "silu":
            y = x * _sigmoid(x)
        case "hard_sigmoid":
            y = np.clip(x + 3, 0, 6) / 6
        case "hard_swish":
            y = x * (np.clip(x + 3, 0, 6) / 6)
        case "gelu" if node.args["form"] == "erf":
            y = x * (1 + _erf(x / math.sqrt(2))) / 2
        case "gelu":  # Hendrycks & Gimpel 2016, section 2
            y = x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2
        case _:
            raise AssertionError(node.op)
    return y


def _sigmoid(x: Array) -> Array:
    y: Array = (1 + np.tanh(x / 2)) / 2
    return y
