"""The ranges of values, observed over images, from which scales follow."""

from __future__ import annotations

import contextlib
import io
import os
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    TensorData,
    TensorsData,
    create_calibrator,
)

from incgen.onnx.pixels import INPUT
from incgen.quantization.choosing import OPERATORS
from incgen.weights.checkpoint import Array

#: The ways to find a range.
METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "entropy": CalibrationMethod.Entropy,
    "percentile": CalibrationMethod.Percentile,
}


class _Once(CalibrationDataReader):  # type: ignore[misc]
    """One batch, as the library reads it."""

    def __init__(self, x: Array) -> None:
        """Store the batch."""
        self._left = [{INPUT: x}]

    def get_next(self) -> dict[str, Array] | None:
        """Return the batch, and then None."""
        return self._left.pop() if self._left else None


def ranges_of(
    model: Path,
    batches: Iterable[Array],
    method: str,
    percentile: float,
    progress: Callable[[str], None],
) -> TensorsData:
    """Return the range of each value over batches of images.

    The library would hold the values of all images; here it sees one batch at a time.

    Args:
        model: The float file, in a folder for temporary files.
        batches: The images.
        method: A name in `METHODS`.
        percentile: How many per cent of the values are in a range, for that method.
        progress: Gets what is being done.
    """
    more = {"percentile": percentile} if method == "percentile" else {}
    calibrator = create_calibrator(
        model,
        list(OPERATORS),
        augmented_model_path=os.fspath(model.with_name("calibrated.onnx")),
        calibrate_method=METHODS[method],
        extra_options=more,
    )
    done = 0
    with contextlib.redirect_stdout(io.StringIO()):  # the library prints
        for x in batches:
            calibrator.collect_data(_Once(x))
            done += len(x)
            progress(f"calibrating: {done} images")
        return calibrator.compute_data()


def cut_ranges(graph: onnx.GraphProto, ranges: TensorsData) -> None:
    """Let the range of what comes out of a ReLU begin at 0; histograms give the end of a bin.

    In int8 there is no other ReLU than the lower end of the range.
    """
    for node in graph.node:
        if node.op_type in ("Relu", "Clip") and node.output[0] in ranges:
            _, high = ranges[node.output[0]].range_value
            zero = np.zeros_like(high)
            ranges.data[node.output[0]] = TensorData(lowest=zero, highest=np.maximum(high, zero))


def share_ranges(graph: onnx.GraphProto, ranges: TensorsData) -> None:
    """Give the branches of each `concat` the range of all of them.

    In that range they are joined as they are; otherwise each would be rounded twice, and converted.
    Branches keep their own ranges where others take them too, and where the common one would reach
    beyond what a ReLU or ReLU6 lets through: in int8, it is the range that cuts.
    """
    makers = {value: node.op_type for node in graph.node for value in node.output}
    uses = Counter(value for node in graph.node for value in node.input)
    for node in graph.node:
        if node.op_type != "Concat" or not all(v in ranges and uses[v] == 1 for v in node.input):
            continue
        found: list[Any] = [ranges[value].range_value for value in node.input]
        low = np.asarray(min(np.min(low) for low, _ in found), np.float32)
        high = np.asarray(max(np.max(high) for _, high in found), np.float32)
        last = [makers.get(value) for value in node.input]
        if ("Relu" in last and low < 0) or ("Clip" in last and {*last} != {"Clip"}):
            continue
        for value in (*node.input, *node.output):
            ranges.data[value] = TensorData(lowest=low, highest=high)
