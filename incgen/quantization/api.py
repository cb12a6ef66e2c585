"""Quantise a file from Python."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from incgen.compiling import SpecPath
from incgen.quantization.options import Options
from incgen.weights.readers.libraries import extra

if TYPE_CHECKING:
    from incgen.quantization.report import Report


def quantize(
    model: SpecPath,
    images: SpecPath,
    output: SpecPath | None = None,
    *,
    force: bool = False,
    progress: Callable[[str], None] = lambda _: None,
    **options: Any,
) -> Report:
    """Write an ONNX file in int8, and tell how far each block moves from float.

    Args:
        model: A float file that incgen wrote, best of all a deployed one.
        images: A folder of images, with a folder for each class or without; one with train/ and
            val/, or with IDX files; or an array, `.npy` or `.npz`.
        output: The file to write; `MODEL_int8.onnx` beside the float one if omitted.
        force: Overwrite a file even if incgen did not write it or it was edited since.
        progress: Gets what is being done.
        options: Those of `Options`: `count`, `compare`, `calibration`, `percentile`, `batch`,
            `resize`, `keep`, `reduce_range`, `depth`.

    Returns:
        The report: `blocks`, the worst first, `top1`, `text()`, `as_json()`.

    Raises:
        QuantizeError: The file is not a float one of incgen, a label does not exist, or the images
            do not fit.
        RequestError: An option is out of its range.
        OutputError: The file cannot or must not be written.
        WeightsError: A library is missing.
    """
    options["keep"] = tuple(options.get("keep", ()))
    chosen = Options(**options)
    with extra("quantize", "files in int8"):
        from incgen.quantization.running import run
    place = None if output is None else Path(output)
    return run(Path(model), Path(images), place, chosen, force=force, progress=progress)
