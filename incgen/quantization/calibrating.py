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
    CalibraterBase,
    CalibrationDataReader,
    CalibrationMethod,
    TensorData,
    TensorsData,
    create_calibrator,
)

from incgen.onnx.pixels import INPUT
from incgen.quantization.choosing import OPERATORS
from incgen.quantization.errors import QuantizeError
from incgen.quantization.options import CALIBRATIONS
from incgen.weights.checkpoint import Array

#: The ways to find a range.
_METHODS = (CalibrationMethod.MinMax, CalibrationMethod.Entropy, CalibrationMethod.Percentile)
METHODS = dict(zip(CALIBRATIONS, _METHODS, strict=True))


class _Once(CalibrationDataReader):  # type: ignore[misc]
    """One batch, as the library reads it."""

    def __init__(self, x: Array) -> None:
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

    Raises:
        QuantizeError: The values fit into no histogram.
    """
    more: dict[str, Any] = {"symmetric": False}  # which is not the default of all methods
    if method == "percentile":
        more["percentile"] = percentile
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
            _collect(calibrator, x, method)
            done += len(x)
            progress(f"calibrating: {done} images")
        return calibrator.compute_data()


def _collect(calibrator: CalibraterBase, x: Array, method: str) -> None:
    """Count the values of a batch.

    Raises:
        QuantizeError: A histogram cannot hold them.
    """
    try:
        calibrator.collect_data(_Once(x))
    except (MemoryError, ValueError) as error:
        what = f"the values of an image fit into no histogram ({error})"
        raise QuantizeError(f"{what}: use `--calibration minmax`, not {method}") from None


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
        limits: list[Any] = [ranges[value].range_value for value in node.input]
        low = np.asarray(min(np.min(low) for low, _ in limits), np.float32)
        high = np.asarray(max(np.max(high) for _, high in limits), np.float32)
        last = [makers.get(value) for value in node.input]
        if ("Relu" in last and low < 0) or ("Clip" in last and {*last} != {"Clip"}):
            continue
        for value in (*node.input, *node.output):
            ranges.data[value] = TensorData(lowest=low, highest=high)
