"""Quantise a file: calibrate, convert, compare, write."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import onnx
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import (
    Fail,
    InvalidArgument,
    InvalidGraph,
    NotImplemented,
    RuntimeException,
)

from incgen.base.diagnostics import counted
from incgen.onnx import encoding
from incgen.quantization import calibrating, choosing, images, quantizing
from incgen.quantization.comparing import Comparison, compared
from incgen.quantization.errors import QuantizeError
from incgen.quantization.files import place_for, write
from incgen.quantization.images import Images
from incgen.quantization.options import Options
from incgen.quantization.reading import Reader
from incgen.quantization.report import Report
from incgen.quantization.source import QUANTIZED, Source, opened

#: Where Linux describes the processor.
_PROCESSOR = Path("/proc/cpuinfo")
#: What ONNX Runtime raises.
_FAILURES = (Fail, InvalidArgument, InvalidGraph, NotImplemented, RuntimeException)


def run(
    model: Path,
    folder: Path,
    output: Path | None,
    options: Options,
    *,
    force: bool,
    progress: Callable[[str], None],
) -> Report:
    """Quantise a file, and compare the result with it.

    The arguments and errors are those of `incgen.quantize`.
    """
    source = opened(model)
    place = place_for(source, output, force=force)
    sets = images.at(folder)
    first, second = images.split(*sets, options.count, options.compare, folder)
    _check_counts(source, first, second)
    note = _why_no_classes(source, second)
    if note:
        second = Images(second.items)
    reader = Reader(source, folder, options.batch, options.resize)
    try:
        made, comparison = _quantized(reader, options, first, second, progress)
    except _FAILURES as error:
        raise QuantizeError(f"ONNX Runtime cannot run it: {error}") from None
    described = {QUANTIZED: _described(source, options, len(first))}
    size, changed = write(place, made, source.said | described)
    return Report(
        path=place,
        changed=changed,
        source=source.path,
        bytes=size,
        source_bytes=source.path.stat().st_size,
        calibration=options.calibration,
        calibrated=len(first),
        kept=options.keep,
        note=note,
        saturates=saturates() and not options.reduce_range,
        comparison=comparison,
    )


def _quantized(
    reader: Reader,
    options: Options,
    first: Images,
    second: Images,
    progress: Callable[[str], None],
) -> tuple[onnx.ModelProto, Comparison]:
    """Return the model in int8, calibrated with the first images and compared with the second."""
    source = reader.source
    with tempfile.TemporaryDirectory(prefix="incgen") as temporary:
        path = Path(temporary, "float.onnx")
        plain = quantizing.folded(source.proto, path)
        in_float = choosing.in_float(plain.graph, options.keep)
        batches = (x for x, _ in reader.batches(first))
        ranges = calibrating.ranges_of(
            path, batches, options.calibration, options.percentile, progress
        )
        calibrating.share_ranges(plain.graph, ranges)
        made = quantizing.in_int8(path, ranges, in_float, reduce_range=options.reduce_range)
    comparison = compared(
        plain,
        made,
        reader.batches(second),
        depth=options.depth,
        places={node.name: node.doc_string.split(", ") for node in source.proto.graph.node},
        classes=source.classes is not None,
        progress=progress,
    )
    return made, comparison


def _check_counts(source: Source, first: Images, second: Images) -> None:
    """Refuse fewer images than a file of a fixed batch takes at once."""
    need = source.batch or 1
    if min(len(first), len(second)) < need:
        have = f"{len(first)} to calibrate with and {len(second)} to compare"
        what = f"`{source.path.as_posix()}` takes {counted(need, 'image')} at once"
        raise QuantizeError(f"{what}, and there are {have}: give more, or build without --batch")


def _why_no_classes(source: Source, compared: Images) -> str:
    """Return why images cannot be counted as right or wrong; "" if they can."""
    if source.classes is None:
        return f"the output `{source.proto.graph.output[0].name}` is not a vector"
    if compared.labels is None:
        return "the images are not in a folder for each class"
    classes = len(compared.classes) or 1 + int(compared.labels.max())
    if classes > source.classes or (compared.classes and classes < source.classes):
        have = f"the images are of {classes} classes"
        return f"{have}, and `{source.spec}` tells {source.classes} apart"
    return ""


def _described(source: Source, options: Options, count: int) -> str:
    """Return what the file says about how it was quantised."""
    said = {
        "from": source.path.name,
        "from_sha256": source.said[encoding.DIGEST],
        "calibration": options.calibration,
        "images": count,
        "kept": list(options.keep),
        "reduce_range": options.reduce_range,
        "by": f"onnxruntime {onnxruntime.__version__}",
    }
    return json.dumps(said, separators=(",", ":"), ensure_ascii=False)


def saturates(described: str | None = None) -> bool:
    """Return whether sums of two products of 8 bits may saturate: on x86 without VNNI.

    Args:
        described: The description of the processor by Linux; that of this machine if omitted. Other
            systems have none, and nothing is known of theirs.
    """
    if described is None:
        try:
            described = _PROCESSOR.read_text("utf-8", "replace")
        except OSError:
            return False
    flags = next((line for line in described.splitlines() if line.startswith("flags")), "")
    return bool(flags) and "vnni" not in flags
