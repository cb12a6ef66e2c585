"""The initial values of a fresh model: distinct numbers from the right distribution."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from incgen.graph.shapes import Tensor
from incgen.weights.checkpoint import Array

#: The fewest random numbers whose distribution is compared: the deviation of fewer says little.
ENOUGH = 200
#: How many standard errors a moment may be off: one in 10**9 fair samples is.
ERRORS = 6.0
#: The fewest whose fourth moment is compared: a few large values change it much.
MANY = 2000
#: The density at the cut of a standard normal distribution truncated at two deviations, divided by
#: the mass inside. The moments follow by integration by parts: E x^n = (n - 1) E x^(n - 2) - 2^n
#: density.
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
#: The largest of this many uniform numbers is below this bound as rarely.
UNLIKELY = 1e-9
#: This many random numbers are not equal by chance.
SEVERAL = 8


def messages(
    tensors: Mapping[str, Tensor],
    values: Mapping[str, Array],
    again: Mapping[str, Array],
) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the initial values of each tensor, by its key; "" if nothing is.

    `again` holds the values of another model of the same source, where its tensors are the same.
    """
    seen: dict[bytes, str] = {}
    for key, value in values.items():
        random = tensors[key].initializer.kind != "constant" and value.size >= SEVERAL
        if random and key in again and np.array_equal(value, again[key]):
            yield key, "the same in every model: a seed is fixed"
        elif random and seen.setdefault(value.tobytes(), key) != key:
            yield key, f"the same as those of {seen[value.tobytes()]}"
        elif random and _repeats(value):
            yield key, "the same for several outputs of the layer"
        else:
            both = np.concatenate([value.ravel(), again[key].ravel()]) if key in again else value
            yield key, message(both, tensors[key])
    yield from _pooled(tensors, values, again)


def _repeats(value: Array) -> bool:
    """Return whether the weights of two outputs are equal: training would never separate them."""
    rows = value.reshape(len(value), -1)
    return rows.shape[1] >= SEVERAL and len({row.tobytes() for row in rows}) < len(rows)


def _pooled(
    tensors: Mapping[str, Tensor],
    values: Mapping[str, Array],
    again: Mapping[str, Array],
) -> Iterator[tuple[str, str]]:
    """Check all tensors of one initialiser together, under the last of their keys.

    A small kernel says little about its distribution; many together, divided by their scale, say
    more.
    """
    kinds: dict[str, list[str]] = {}
    for key in values:
        if tensors[key].initializer.kind != "constant":
            kinds.setdefault(tensors[key].initializer.name, []).append(key)
    for keys in kinds.values():
        if len(keys) > 1 and min(values[key].size for key in keys) < ENOUGH:
            drawn = [(key, draw[key]) for key in keys for draw in (values, again) if key in draw]
            parts = [(value / _scale(tensors[key])).ravel() for key, value in drawn]
            last = tensors[keys[-1]]
            yield keys[-1], message(np.concatenate(parts) * _scale(last), last)


def _scale(tensor: Tensor) -> float:
    return tensor.initializer.scale(tensor.fan_in, tensor.fan_out)


def message(value: Array, tensor: Tensor) -> str:
    """Describe how initial values deviate from the distribution in the spec."""
    kind, scale = tensor.initializer.kind, _scale(tensor)
    if kind == "constant":
        # Keras creates constants in float32, whatever the type of the model.
        right = bool((np.abs(value - scale) <= 2.0**-24 * abs(scale)).all())
        return "" if right else f"{_seen(value)}, not {scale:g}"
    x = value.astype(np.float64) / scale
    name, sizes = f"{tensor.initializer.name}, scale {scale:.4g}", np.abs(x)
    largest = float(sizes.max())
    if largest > _LIMITS.get(kind, np.inf) * (1 + 1e-6):
        return f"up to {largest * scale:.4g}, outside of {name}"
    if x.size > 1 and largest == sizes.min():
        return f"{_seen(value)}, not {name}"
    if kind == "uniform" and largest**x.size < UNLIKELY:
        return f"up to {largest * scale:.4g} only, not {name}"
    second, fourth, eighth = _MOMENTS[kind]
    if x.size < ENOUGH:
        return ""
    squares = np.square(x)
    if abs(float(squares.mean()) - second) > _allowed(second, fourth, x.size):
        deviation = math.sqrt(float(squares.mean())) * scale
        return f"deviation {deviation:.4g}, not {math.sqrt(second) * scale:.4g} ({name})"
    if abs(float(x.mean())) > _allowed(0, second, x.size):
        return f"mean {float(x.mean()) * scale:.4g}, not 0 ({name})"
    if x.size >= MANY and abs(float(np.square(squares).mean()) - fourth) > _allowed(
        fourth, eighth, x.size
    ):
        return f"another distribution than {name}"
    return ""


def _allowed(mean: float, square: float, count: int) -> float:
    """Return how far the mean of samples may be from its expectation."""
    return ERRORS * math.sqrt((square - mean**2) / count)


def _seen(value: Array) -> str:
    return f"from {value.min():g} to {value.max():g}"
