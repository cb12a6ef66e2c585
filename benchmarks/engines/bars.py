"""The figures that are to be reached, and what a run says of each.

A figure is the median over the rounds of how many times faster one cell is than another, unless it
says otherwise.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from engines.plan import (
    CONVOLUTION,
    DEPLOYED,
    ENGINES,
    INFERENCE,
    INT8,
    PUBLISHED,
    STEP,
    STEP_BATCH,
    TRAINING,
    Cell,
    plain_multiply_adds,
)
from engines.results import Results
from figures import Comparison, Figure

#: "Not slower" holds up to this: on a quiet machine, two instances of one class came out at ratios
#: of 0.98 to 1.03.
NOISE = 0.03
#: What is compared: a text, engine and model of both, and the bar by batch.
_FASTER: tuple[tuple[str, tuple[str, str], tuple[str, str], dict[int, float]], ...] = (
    (
        "deployed PyTorch, channels_last / published as its README runs it",
        ("torch-channels-last", DEPLOYED),
        ("torch", PUBLISHED),
        {32: 2.0, 1: 1.6},
    ),
    (
        "deployed PyTorch / published, both channels_last",
        ("torch-channels-last", DEPLOYED),
        ("torch-channels-last", PUBLISHED),
        {32: 1.1, 1: 1.1},
    ),
    (
        "deployed ONNX / published module's export, ONNX Runtime",
        ("onnxruntime", DEPLOYED),
        ("onnxruntime", PUBLISHED),
        {32: 1.1, 1: 1.1},
    ),
    (
        "deployed ONNX / published module's export, OpenVINO",
        ("openvino", DEPLOYED),
        ("openvino", PUBLISHED),
        {32: 1.0, 1: 1.0},
    ),
    (
        "deployed Keras / published, predict",
        ("keras-predict", DEPLOYED),
        ("keras-predict", PUBLISHED),
        {32: 1.1, 1: 1.1},
    ),
    (
        "deployed Keras / published, tf.function",
        ("keras-function", DEPLOYED),
        ("keras-function", PUBLISHED),
        {32: 1.1, 1: 1.1},
    ),
    (
        "PyTorch file / Keras on torch",
        ("torch", TRAINING),
        ("keras-on-torch", PUBLISHED),
        {32: 1.5, 1: 1.5},
    ),
    (
        "int8 / float, both deployed, ONNX Runtime",
        ("onnxruntime", INT8),
        ("onnxruntime", DEPLOYED),
        {32: 1.8},
    ),
)
#: What compares two cells of training.
_STEPS = (("torch", TRAINING), ("keras-on-torch", PUBLISHED), 1.5)
#: More rounds decide a ratio whose interval ends no further than this from its bar.
NEAR = 0.1
SHARE = 0.85
SECONDS, TIMES_WEIGHTS = 1.0, 3.0


def figures(results: Results) -> list[Figure]:
    """Return every figure, with what was measured, or that it was not."""
    result: list[Figure] = []
    for network in results.networks:
        result += _not_slower(results, network)
        result += (
            _figure(f"{network}: {text}", results.speedup(cell, other), bar)
            for text, cell, other, bar in _compared(network)
        )
        result.append(_share(results, network))
    return result + list(_writing(results))


def undecided(results: Results, network: str) -> set[Cell]:
    """Return the cells whose ratio is near a bar: they are worth more rounds than others."""
    slow = [
        (cell, other, 1.0)
        for work in (INFERENCE, STEP)
        for cell, other in _pairs(results, network, work)
    ]
    result = set[Cell]()
    for cell, other, bar in (*slow, *(row[1:] for row in _compared(network))):
        compared = results.speedup(cell, other)
        if compared is None:
            continue
        low, high = compared.interval
        if low < bar * (1 + NEAR) and high > bar * (1 - NEAR):
            result |= {cell, other}
    return result


def _pairs(results: Results, network: str, work: str) -> list[tuple[Cell, Cell]]:
    """Return the measured training forms, each with the published model beside it."""
    return [
        (cell, Cell(network, cell.engine, PUBLISHED, cell.batch, work))
        for cell in results.times
        if (cell.network, cell.model, cell.work) == (network, TRAINING, work)
    ]


def _compared(network: str) -> Iterator[tuple[str, Cell, Cell, float]]:
    """Yield what is compared with a bar: a text, both cells, and the bar."""
    for text, ours, theirs, bars in _FASTER:
        for batch, bar in bars.items():
            cell, other = (Cell(network, *model, batch) for model in (ours, theirs))
            yield f"{text}, batch {batch}", cell, other, bar
    ours, theirs, bar = _STEPS
    cell, other = (Cell(network, *model, STEP_BATCH, STEP) for model in (ours, theirs))
    yield f"PyTorch file / Keras on torch, training step, batch {STEP_BATCH}", cell, other, bar


def _not_slower(results: Results, network: str) -> Iterator[Figure]:
    """Yield how the training form compares with the published module where it does worst."""
    for work in (INFERENCE, STEP):
        pairs = []
        for cell, other in _pairs(results, network, work):
            compared = results.speedup(cell, other)
            if compared is not None:
                pairs.append((compared.ratio, str(compared_text(compared)), cell))
        what = "slowest engine" if work == INFERENCE else "slowest engine, training step"
        name = f"{network}: training form / published, {what}"
        bar = f"at least 1 (- {NOISE})"
        if not pairs:
            yield Figure(name, "not measured", bar)
            continue
        ratio, text, cell = min(pairs)
        where = f"{ENGINES[cell.engine].title}, batch {cell.batch}; {len(pairs)} compared"
        yield Figure(name, f"{text}  ({where})", bar, ratio >= 1 - NOISE)


def _figure(name: str, compared: Comparison | None, bar: float) -> Figure:
    noise = NOISE if bar == 1 else 0
    text = f"at least {bar:g}" + (f" (- {noise})" if noise else "")
    if compared is None:
        return Figure(name, "not measured", text)
    return Figure(name, compared_text(compared), text, compared.ratio >= bar - noise)


def compared_text(compared: Comparison) -> str:
    """Return a ratio with its spread over the rounds."""
    low, high = compared.interval
    return f"{compared.ratio:.2f}  [{low:.2f} to {high:.2f}]"


def peak(results: Results, network: str) -> tuple[float, str] | None:
    """Return the most multiply-adds a second of the plain convolution, and the engine."""
    rates = [
        (rate * plain_multiply_adds(), ENGINES[cell.engine].title)
        for cell in results.found(network, CONVOLUTION, 32)
        if (rate := results.rate(cell)) is not None
    ]
    return max(rates, default=None)


def _share(results: Results, network: str) -> Figure:
    """Return how much of the machine's speed the fastest float model reaches."""
    name = f"{network}: share of a plain convolution's speed, batch 32, best engine"
    bar, best = f"at least {SHARE:.0%}", peak(results, network)
    adds = results.networks[network]["multiply_adds"]
    ours = [
        (rate * adds, ENGINES[cell.engine].title)
        for model in (TRAINING, DEPLOYED)
        for cell in results.found(network, model, 32)
        if (rate := results.rate(cell)) is not None
    ]
    if best is None or not ours:
        return Figure(name, "not measured", bar)
    (mine, engine), (limit, other) = max(ours), best
    text = f"{mine / limit:.0%}  ({mine / 1e9:.0f} of {limit / 1e9:.0f} G/s; {engine}, {other})"
    return Figure(name, text, bar, mine / limit >= SHARE)


#: What is said of the files that these commands write.
_WRITTEN = {
    "incgen build, ONNX": "ONNX file written",
    "incgen build --deploy, ONNX": "deployed ONNX file written",
}


def _writing(results: Results) -> Iterator[Figure]:
    for written in results.building:
        if written.what not in _WRITTEN:
            continue
        seconds = statistics.median(written.seconds)
        name = f"{written.network}: {_WRITTEN[written.what]}"
        text = f"{seconds:.2f} s"
        yield Figure(f"{name}, whole command", text, f"under {SECONDS:g} s", seconds < SECONDS)
        if written.peak is not None:
            times = written.peak / results.networks[written.network]["weights"]
            text = f"{times:.1f} times the weights  ({written.peak / 1e6:.0f} MB)"
            bar = f"under {TIMES_WEIGHTS:g} times"
            yield Figure(f"{name}, memory at the peak", text, bar, times < TIMES_WEIGHTS)
