"""Rung 0: every model is made of what the spec says, and begins as it says."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from incgen.records import record
from incgen.verify import inputs
from incgen.verify.measure import EVALUATION, LEAST, difference

if TYPE_CHECKING:
    from incgen.graph import Graph
    from incgen.shapes import Tensor
    from incgen.verify.runners import Array, Facts, Runner

#: From how many random numbers on their distribution is compared: the deviation of fewer says
#: little.
ENOUGH = 200
#: How many standard errors a moment may be off: of 10**9 fair samples one is.
ERRORS = 6.0
#: And from how many on its fourth moment is: a few large values move that much.
MANY = 2000
#: The density at the cut of a standard normal distribution that is cut at two deviations, over
#: what is inside. Its moments follow from it by parts: E x^n = (n - 1) E x^(n - 2) - 2^n density.
_DENSITY = math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2))
_CUT = [1.0]
for _power in (2, 4, 6, 8):
    _CUT.append((_power - 1) * _CUT[-1] - 2**_power * _DENSITY)
#: Second, fourth and, for its standard error, eighth moment by distribution, for the scale 1.
_MOMENTS = {
    "uniform": (1 / 3, 1 / 5, 1 / 9),
    "normal": (1.0, 3.0, 105.0),
    "truncated_normal": (_CUT[1], _CUT[2], _CUT[4]),
}
#: The largest value by distribution, in scales.
_LIMITS = {"uniform": 1.0, "truncated_normal": 2.0}


@record
class Finding:
    """A stated fact, and whether a model has it; `message` says how it does not."""

    what: str
    path: str
    message: str
    absolute: float = 0.0
    relative: float = 0.0
    bar: float = 0.0


def findings(graph: Graph, facts: Facts, dtype: str) -> Iterator[Finding]:
    """Compare what a model is made of with the graph."""
    wanted = graph.tensors()
    for key in sorted(wanted.keys() | facts.tensors.keys()):
        yield Finding("key", key, _key(key, wanted, facts))
    total = sum(tensor.size for tensor in wanted.values())
    message = f"{facts.count} numbers, not {total}" if facts.count != total else ""
    yield Finding("count", "", message)
    for key, tensor in wanted.items():
        value = facts.tensors.get(key)
        if value is None:
            continue
        yield Finding("shape", key, _shape(value, tensor))
        trained, says = key in facts.trained, "is" if tensor.trained else "is not"
        yield Finding("trained", key, "" if trained == tensor.trained else f"{says} trained")
        kind = f"{value.dtype}, not {dtype}" if str(value.dtype) != dtype else ""
        yield Finding("type", key, kind)
        if value.shape == tensor.shape:
            yield Finding("initial value", key, _initial(value, tensor, dtype))


def _key(key: str, wanted: dict[str, Tensor], facts: Facts) -> str:
    if key not in facts.tensors:
        return "is missing"
    return "" if key in wanted else "is not in the spec"


def _shape(value: Array, tensor: Tensor) -> str:
    return f"{value.shape}, not {tensor.shape}" if value.shape != tensor.shape else ""


def _initial(value: Array, tensor: Tensor, dtype: str) -> str:
    """How initial values are not of the distribution that the spec gives them."""
    kind = tensor.initializer.kind
    scale = tensor.initializer.scale(tensor.fan_in, tensor.fan_out)
    if kind == "constant":
        # Keras makes its constants in float32, whatever the model is in.
        right = bool((np.abs(value - scale) <= 2.0**-24 * abs(scale)).all())
        return "" if right else f"{_seen(value)}, not {scale:g}"
    x = value.astype(np.float64) / scale
    name, sizes = f"{tensor.initializer.name}, scale {scale:.4g}", np.abs(x)
    if sizes.max() > _LIMITS.get(kind, np.inf) * (1 + 1e-6):
        return f"up to {sizes.max() * scale:.4g}, outside of {name}"
    if x.size > 1 and sizes.max() == sizes.min():
        return f"{_seen(value)}, not {name}"
    second, fourth, eighth = _MOMENTS[kind]
    if x.size < ENOUGH:
        return ""
    if abs(float((x**2).mean()) - second) > _allowed(second, fourth, x.size):
        found = math.sqrt(float((x**2).mean())) * scale
        return f"deviation {found:.4g}, not {math.sqrt(second) * scale:.4g} ({name})"
    if abs(float(x.mean())) > _allowed(0, second, x.size):
        return f"mean {float(x.mean()) * scale:.4g}, not 0 ({name})"
    if x.size >= MANY and abs(float((x**4).mean()) - fourth) > _allowed(fourth, eighth, x.size):
        return f"another distribution than {name}"
    return ""


def _allowed(mean: float, square: float, count: int) -> float:
    """How far the mean of samples may be from its expectation."""
    return ERRORS * math.sqrt((square - mean**2) / count)


def _seen(value: Array) -> str:
    return f"from {value.min():g} to {value.max():g}"


def pixels(graph: Graph, runner: Runner, dtype: str, seed: int) -> Iterator[Finding]:
    """Compare what `preprocess` makes of images with what the spec's `input` line says."""
    stated = graph.program.network.pixels
    if stated is None or not stated.described:
        return
    channels = graph.input.channels
    x = inputs.generator(seed, "pixels").integers(0, 256, (2, channels, 4, 5))
    low, high = stated.range or (0.0, 255.0)
    expected = (x[:, ::-1] if stated.order == "bgr" else x) / 255 * (high - low) + low
    expected = expected - np.reshape(stated.mean or (0.0,), (-1, 1, 1))
    expected = expected / np.reshape(stated.std or (1.0,), (-1, 1, 1))
    bar = EVALUATION if dtype == "float64" else LEAST
    for kind in ("uint8", dtype):
        found = runner.preprocess(np.ascontiguousarray(x.astype(kind)))
        absolute, relative = difference(expected, found)
        message = f"differs by {relative:.1e}" if relative > bar else ""
        yield Finding("preprocess", f"preprocess({kind})", message, absolute, relative, bar)
