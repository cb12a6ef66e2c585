"""The ONNX files that ONNX Runtime and OpenVINO run."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from engines.plan import CHANNELS, CONVOLUTION, SIDE, Cell, Network


def images_of(cell: Cell, folder: Path) -> np.ndarray:
    """Return what an ONNX file gets."""
    if cell.model == CONVOLUTION:
        shape = (cell.batch, CHANNELS, SIDE, SIDE)
        return np.random.default_rng(4).standard_normal(shape, np.float32)
    stored: np.ndarray = np.load(folder / "images.npy", mmap_mode="r")
    return np.ascontiguousarray(stored[: cell.batch])


def runner(cell: Cell, network: Network, folder: Path) -> Callable[[], Any]:
    """Return a function that runs a cell once, and returns an array."""
    path, images = folder / f"{cell.model}.onnx", images_of(cell, folder)
    return (_openvino if cell.engine == "openvino" else _onnxruntime)(path, images)


@cache
def _session(path: Path) -> Any:
    """Return a session of ONNX Runtime, which all sizes of batches share."""
    import onnxruntime

    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def _onnxruntime(path: Path, images: np.ndarray) -> Callable[[], Any]:
    session = _session(path)
    (source,) = session.get_inputs()
    return lambda: session.run(None, {source.name: images})[0]


def _openvino(path: Path, images: np.ndarray) -> Callable[[], Any]:
    """Return a function that runs OpenVINO for this size, and in float32, as all others do."""
    import openvino

    core = openvino.Core()
    model = core.read_model(path)
    model.reshape(images.shape)
    settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    return lambda: next(iter(request.infer({0: images}).values()))
