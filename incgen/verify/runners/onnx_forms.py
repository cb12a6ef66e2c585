"""Forms of an ONNX file: those that other options give."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from incgen.base.diagnostics import SpecError
from incgen.onnx.options import OPSETS
from incgen.verify.runners.onnx import OnnxRunner, runner_of
from incgen.verify.runners.results import Form
from incgen.weights.checkpoint import Array


def forms(runner: OnnxRunner, folder: Path, x: Array) -> Iterator[Form]:
    """Yield the forms of a file, for an input (N, C, H, W)."""

    def made(**options: Any) -> dict[str, Array]:
        _, data = runner.made(**options)
        return runner.outputs_of(runner_of(data, runner.dtype), x)

    if runner.dtype == "float64":  # operators of another opset round differently
        yield Form("the oldest opset", partial(made, opset=OPSETS[0]))
        yield Form("the newest opset", partial(made, opset=OPSETS[-1]))
    yield Form("a fixed batch", partial(made, batch=len(x)))
    try:
        runner.made(any_size=True)
    except SpecError:
        pass  # it has one size
    else:
        yield Form("any size", partial(made, any_size=True))
