"""Operators of ONNX in NumPy, for the evaluator of the ONNX project, which computes in float64.

Its own poolings fail where a window is not square and its border is, its `Erf` rounds to float32,
its `Gelu` is made of that `Erf`, and its convolution takes most
of the time of a proof. These are written from the operators' definitions (onnx.ai/onnx/operators),
and share nothing with what writes the files.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from onnx.reference.op_run import OpRun

from incgen.weights.checkpoint import Array


def _borders(
    sizes: tuple[int, ...],
    spans: list[int],
    strides: list[int],
    pads: list[int] | None,
    auto_pad: str,
) -> list[tuple[int, int]]:
    """Return the border of each axis, before and after."""
    if auto_pad == "SAME_UPPER":
        totals = [
            max((-(-size // stride) - 1) * stride + span - size, 0)
            for size, span, stride in zip(sizes, spans, strides, strict=True)
        ]
        return [(total // 2, total - total // 2) for total in totals]
    assert auto_pad == "NOTSET"
    given = pads or [0] * (2 * len(sizes))
    return list(zip(given[: len(sizes)], given[len(sizes) :], strict=True))


def _windows(
    x: Array, kernel: list[int], strides: list[int], borders: list[tuple[int, int]], **more: Any
) -> Array:
    """Return all windows of a padded input: (N, C, rows, columns, kernel height, kernel width)."""
    value, up, dilations = more["value"], more.get("ceil"), more.get("dilations") or [1, 1]
    full = list(borders)
    for axis, (size, taps, step, (before, after)) in enumerate(
        zip(x.shape[2:], kernel, strides, borders, strict=True)
    ):
        span = (taps - 1) * dilations[axis] + 1
        if up:  # a window that would begin in the border after the input is left out
            count = -(-(size + before + after - span) // step) + 1
            count -= (count - 1) * step >= size + before
            full[axis] = before, max((count - 1) * step + span - size - before, after)
    padded = np.pad(x, ((0, 0), (0, 0), *full), constant_values=value)
    spans = [(taps - 1) * dilation + 1 for taps, dilation in zip(kernel, dilations, strict=True)]
    windows: Array = sliding_window_view(padded, spans, axis=(2, 3))
    return windows[:, :, :: strides[0], :: strides[1], :: dilations[0], :: dilations[1]]


class Conv(OpRun):
    """Convolution."""

    op_domain = ""

    def _run(self, x: Array, kernel: Array, bias: Array | None = None, **given: Any) -> Any:
        taps = list(kernel.shape[2:])
        dilations, strides = given["dilations"] or [1, 1], given["strides"] or [1, 1]
        spans = [(tap - 1) * dilation + 1 for tap, dilation in zip(taps, dilations, strict=True)]
        borders = _borders(
            x.shape[2:], spans, strides, given["pads"], given["auto_pad"] or "NOTSET"
        )
        seen = _windows(x, taps, strides, borders, value=0.0, dilations=dilations)
        groups = given["group"] or 1
        parts = zip(np.split(seen, groups, 1), np.split(kernel, groups), strict=True)
        output = np.concatenate(
            [np.tensordot(part, rows, ((1, 4, 5), (1, 2, 3))) for part, rows in parts], axis=-1
        )
        output = np.moveaxis(output, -1, 1)
        return (output if bias is None else output + bias.reshape(1, -1, 1, 1),)


class _Pool(OpRun):
    """The common settings of poolings."""

    op_domain = ""

    def _window(
        self, x: Array, given: dict[str, Any]
    ) -> tuple[list[int], list[int], list[tuple[int, int]]]:
        """Return kernel, strides and borders."""
        kernel, strides = given["kernel_shape"], given["strides"] or [1, 1]
        auto_pad = given["auto_pad"] or "NOTSET"
        return kernel, strides, _borders(x.shape[2:], kernel, strides, given["pads"], auto_pad)

    def _seen(self, x: Array, given: dict[str, Any], value: float) -> Array:
        return _windows(x, *self._window(x, given), value=value, ceil=given["ceil_mode"])


class MaxPool(_Pool):
    """The largest value of each window."""

    def _run(self, x: Array, **given: Any) -> Any:
        return (self._seen(x, given, -np.inf).max((4, 5)),)


class AveragePool(_Pool):
    """The average of each window, over pixels that count."""

    def _run(self, x: Array, **given: Any) -> Any:
        total = self._seen(x, given, 0.0).sum((4, 5))
        ones = np.ones((1, 1, *x.shape[2:]), x.dtype)
        if given["count_include_pad"]:
            kernel, strides, borders = self._window(x, given)
            ones = np.pad(ones, ((0, 0), (0, 0), *borders), constant_values=1.0)
            none = [(0, 0), (0, 0)]
            counted = _windows(ones, kernel, strides, none, value=0.0, ceil=given["ceil_mode"])
            return (total / counted.sum((4, 5))[:, :, : total.shape[2], : total.shape[3]],)
        return (total / self._seen(ones, given, 0.0).sum((4, 5)),)


class Erf(OpRun):
    """The error function."""

    op_domain = ""

    def _run(self, x: Array) -> Any:
        return (np.vectorize(math.erf, otypes=[x.dtype])(x),)


class Gelu(OpRun):
    """x times the normal distribution's CDF, exactly or approximately."""

    op_domain = ""

    def _run(self, x: Array, approximate: str | None = None) -> Any:
        if approximate == "tanh":
            bent = math.sqrt(2 / math.pi) * (x + 0.044715 * np.power(x, 3))
            return (0.5 * x * (1 + np.tanh(bent)),)
        curve = np.vectorize(math.erf, otypes=[x.dtype])(x / math.sqrt(2))
        return (0.5 * x * (1 + curve),)


#: Those that replace the evaluator's own.
OPERATORS = [AveragePool, Conv, Erf, Gelu, MaxPool]
