"""From a float graph and the ranges of its values to a graph in int8, by ONNX Runtime's quantiser.

Weights are symmetric, with a scale for each output channel; values have 8 bits without sign, which
x86 multiplies with weights at full speed. Conversions stand around the operators (QDQ), and engines
fuse them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import onnx
from onnxruntime import GraphOptimizationLevel, InferenceSession, SessionOptions
from onnxruntime.quantization import QDQQuantizer, QuantType, TensorsData

from incgen.base.version import VERSION
from incgen.quantization.choosing import OPERATORS


def folded(proto: onnx.ModelProto, place: Path) -> onnx.ModelProto:
    """Return a model with its normalisations in the convolutions, and write it to a place.

    Layers keep their names. A deployed model has little left to fold.
    """
    options = SessionOptions()
    options.graph_optimization_level = GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = os.fspath(place)
    options.log_severity_level = 3
    InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return onnx.load(place)


def in_int8(
    model: Path, ranges: TensorsData, in_float: Sequence[str], *, reduce_range: bool
) -> onnx.ModelProto:
    """Return a model in int8.

    Args:
        model: The float file.
        ranges: The ranges of its values.
        in_float: The names of nodes that stay in float.
        reduce_range: Whether weights have 7 bits.
    """
    proto = onnx.load(model)
    with _quiet():
        quantizer = QDQQuantizer(
            proto,
            True,  # a scale for each channel
            reduce_range,
            QuantType.QInt8,
            QuantType.QUInt8,
            ranges,
            [],  # of all nodes
            list(in_float),
            list(OPERATORS),
            {"OpTypesToExcludeOutputQuantization": ["Gemm"]},
        )
        quantizer.quantize_model()
        quantizer.model.topological_sort()
    made: onnx.ModelProto = quantizer.model.model
    used = {node.domain for node in made.graph.node}
    sets = [opset for opset in made.opset_import if not opset.domain or opset.domain in used]
    del made.opset_import[:]
    made.opset_import.extend(sets)
    made.producer_name, made.producer_version = "incgen", VERSION
    return made


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's advice off the terminal: it is followed here."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
