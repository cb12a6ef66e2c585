"""Random numbers with the same bytes on every machine.

A weight is a function of the seed, the tensor's key and the position in the tensor, and of nothing
else: not of the order in which tensors are drawn, the numpy version, the processor or the C
library.  That rests on three things.

* The bits are Philox 4x64-10 (Salmon et al. 2011), a counter hashed with a key, so each tensor has
  a stream of its own.  Of numpy only the raw 64-bit output is used, which the definition of Philox
  fixes; NEP 19 lets the *distributions* of `numpy.random.Generator` change between versions.
* Floating point arithmetic is addition, subtraction, multiplication, division and square root, one
  array operation at a time.  IEEE 754 allows one result for each, and between two array operations
  no compiler can fuse a multiplication with an addition.  `log`, `exp` and their like differ in
  the last bit between C libraries and vector units, so they do not occur.
* There are no reductions, whose order would be the machine's choice.

Arrays are in native byte order; who writes them to a file writes little-endian.
"""

from __future__ import annotations

import hashlib
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, SupportsIndex

import numpy as np

from incgen.language.initializers import Kind, scale_fault

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DOMAIN = b"incgen.sampling/1"
"""Separates these streams from other uses of the hash.  A change of any value must change it."""

_SEED_END = 1 << 64

_CHUNK = 1 << 14
"""Values drawn at a time: the temporaries stay in the second-level cache.  Not part of a value."""


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(map(float, text.split()))


# Wichura 1988, algorithm AS 241, routine PPND16 (Applied Statistics 37 (3), pages 477-484), about
# 1 part in 10**16.  Numerator and denominator, the highest power first, for |p - 0.5| <= 0.425.
_CENTRE_NUMERATOR = _numbers(
    "2.5090809287301226727e3 3.3430575583588128105e4 6.7265770927008700853e4 "
    "4.5921953931549871457e4 1.3731693765509461125e4 1.9715909503065514427e3 "
    "1.3314166789178437745e2 3.3871328727963666080e0"
)
_CENTRE_DENOMINATOR = _numbers(
    "5.2264952788528545610e3 2.8729085735721942674e4 3.9307895800092710610e4 "
    "2.1213794301586595867e4 5.3941960214247511077e3 6.8718700749205790830e2 "
    "4.2313330701600911252e1 1.0"
)
# The same, for sqrt(-log(tail)) <= 5.
_TAIL_NUMERATOR = _numbers(
    "7.74545014278341407640e-4 2.27238449892691845833e-2 2.41780725177450611770e-1 "
    "1.27045825245236838258e0 3.64784832476320460504e0 5.76949722146069140550e0 "
    "4.63033784615654529590e0 1.42343711074968357734e0"
)
_TAIL_DENOMINATOR = _numbers(
    "1.05075007164441684324e-9 5.47593808499534494600e-4 1.51986665636164571966e-2 "
    "1.48103976427480074590e-1 6.89767334985100004550e-1 1.67638483018380384940e0 "
    "2.05319162663775882187e0 1.0"
)
# The same, for sqrt(-log(tail)) > 5.
_FAR_NUMERATOR = _numbers(
    "2.01033439929228813265e-7 2.71155556874348757815e-5 1.24266094738807843860e-3 "
    "2.65321895265761230930e-2 2.96560571828504891230e-1 1.78482653991729133580e0 "
    "5.46378491116411436990e0 6.65790464350110377720e0"
)
_FAR_DENOMINATOR = _numbers(
    "2.04426310338993978564e-15 1.42151175831644588870e-7 1.84631831751005468180e-5 "
    "7.86869131145613259100e-4 1.48753612908506148525e-2 1.36929880922735805310e-1 "
    "5.99832206555887937690e-1 1.0"
)
# PPND16: the bounds of its three ranges and the shifts of its three arguments.
_CENTRE_HALF_WIDTH = 0.425
_CENTRE_SHIFT = 0.180625
_TAIL_SHIFT = 1.6
_FAR_START = 5.0

# log(2) as a sum whose first part has its last 21 bits zero, so that a small integer times it is
# exact: fdlibm 5.3 (Sun Microsystems 1993), e_log.c.
_LOG2_HIGH = 6.93147180369123816490e-01
_LOG2_LOW = 1.90821492927058770002e-10

_SQRT_HALF = 0.7071067811865476

# log((1 + s) / (1 - s)) / (2 s) = 1 + s**2 / 3 + s**4 / 5 + ... (Abramowitz & Stegun 4.1.27).
# |s| <= 3 - sqrt(8), so the first term left out, s**24 / 25, is below 2e-20.
_LOG_SERIES = tuple(1 / odd for odd in range(23, 0, -2))

# Phi(2) - 1/2 = erf(sqrt(2)) / 2: the mass of a normal distribution between 0 and 2 deviations.
_MASS_TO_TWO = 0.4772498680518208


def stream_key(seed: SupportsIndex, key: str) -> int:
    """Return the 128-bit Philox key of a tensor's stream.

    It is the first 16 bytes, the lowest first, of SHA-256 over `incgen.sampling/1`, the seed in
    decimal and the tensor's key in UTF-8, with a zero byte between them.

    Raises:
        ValueError: The seed is not from 0 to 2**64 - 1.
    """
    number = operator.index(seed)
    if not 0 <= number < _SEED_END:
        raise ValueError(f"a seed must be from 0 to {_SEED_END - 1}, not {number}")
    message = b"\0".join((_DOMAIN, str(number).encode("ascii"), key.encode("utf-8")))
    return int.from_bytes(hashlib.sha256(message).digest()[:16], "little")


def sample(
    seed: SupportsIndex, key: str, shape: Sequence[int], *, kind: Kind, scale: float
) -> NDArray[np.float32]:
    """Draw a tensor, with the limit, standard deviation or value that `Initializer.scale` gives.

    Value number i (in C order) comes from the raw output number i of the tensor's stream, is
    computed in double precision and rounded once, so a shorter tensor of the same key is a prefix
    of a longer one.

    Raises:
        ValueError: The seed or the scale is out of range.
    """
    if fault := scale_fault(scale, kind):
        raise ValueError(f"scale {fault}")
    if kind == "constant":
        return np.full(tuple(shape), scale, dtype=np.float32)
    standard = _STANDARD[kind]
    generator = np.random.Philox(key=stream_key(seed, key))
    values = np.empty(math.prod(shape), dtype=np.float32)
    for start in range(0, values.size, _CHUNK):
        part = values[start : start + _CHUNK]
        part[:] = standard(_centred(generator.random_raw(part.size))) * scale
    return values.reshape(tuple(shape))


def normal_quantile(centred: NDArray[np.float64]) -> NDArray[np.float64]:
    """Invert the cumulative distribution function of the standard normal distribution.

    The argument is the probability less one half: near 0 and near 1 the probability itself could
    not tell the tails apart equally well, and the result is odd in it to the last bit. Quantiles
    are right to a few units in the last place.
    """
    # In the tails the argument would leave the range of the polynomials, whose value is not used
    # there, and could hit a pole.
    argument = np.maximum(_CENTRE_SHIFT - centred * centred, 0.0)
    result = _ratio(argument, _CENTRE_NUMERATOR, _CENTRE_DENOMINATOR) * centred
    distance = np.abs(centred)
    outside = np.flatnonzero(distance > _CENTRE_HALF_WIDTH)
    # 0.5 - distance is exact here (Sterbenz's lemma).
    result[outside] = np.copysign(_tail_quantile(0.5 - distance[outside]), centred[outside])
    return result


def _tail_quantile(tail: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the positive quantiles beyond which lie the given masses, below 0.075."""
    root = np.sqrt(-_log(tail))
    result = _ratio(root - _TAIL_SHIFT, _TAIL_NUMERATOR, _TAIL_DENOMINATOR)
    far = np.flatnonzero(root > _FAR_START)
    if far.size:
        result[far] = _ratio(root[far] - _FAR_START, _FAR_NUMERATOR, _FAR_DENOMINATOR)
    return result


def _log(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the natural logarithm of positive normal numbers, within an ulp or two.

    With x = m * 2**e and m between sqrt(1/2) and sqrt(2), log(x) = e log(2) + log(m), and the
    latter is the series in s = (m - 1) / (m + 1).
    """
    mantissa, exponent = np.frexp(x)
    small = mantissa < _SQRT_HALF
    mantissa = np.where(small, mantissa * 2.0, mantissa)
    power = (exponent - small).astype(np.float64)
    s = (mantissa - 1.0) / (mantissa + 1.0)
    log_mantissa = _polynomial(s * s, _LOG_SERIES) * (s * 2.0)
    return power * _LOG2_HIGH + (power * _LOG2_LOW + log_mantissa)


def _ratio(
    x: NDArray[np.float64], numerator: Sequence[float], denominator: Sequence[float]
) -> NDArray[np.float64]:
    return _polynomial(x, numerator) / _polynomial(x, denominator)


def _polynomial(x: NDArray[np.float64], coefficients: Sequence[float]) -> NDArray[np.float64]:
    """Evaluate a polynomial by Horner's rule, the coefficient of the highest power first."""
    result = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        result *= x
        result += coefficient
    return result


def _centred(raw: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Turn raw bits into U(-1, 1), exactly.

    The top 53 bits k become (2 k + 1 - 2**53) / 2**53: an odd number below 2**53 in magnitude, so
    every step is exact, the values are symmetric, and neither 0, -1 nor 1 occurs.
    """
    result = (raw >> np.uint64(11)).astype(np.float64)
    result -= 2.0**52
    result += 0.5
    result *= 2.0**-52
    return result


def _uniform(centred: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return U(-1, 1)."""
    return centred


def _normal(centred: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return N(0, 1)."""
    return normal_quantile(centred * 0.5)


def _truncated_normal(centred: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return N(0, 1) cut at -2 and 2, with the probability drawn from what is left."""
    values = normal_quantile(centred * _MASS_TO_TWO)
    # The quantile of a bound may be off in the last bit.
    return np.minimum(np.maximum(values, -2.0), 2.0)


_STANDARD: Mapping[Kind, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = MappingProxyType(
    {"uniform": _uniform, "normal": _normal, "truncated_normal": _truncated_normal}
)
"""The distributions of scale 1, from U(-1, 1)."""
