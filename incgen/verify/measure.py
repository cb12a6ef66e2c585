"""Measure the distance of two results, and how far rounding alone could have moved them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from incgen.weights.checkpoint import Array

#: The bars of the rungs in float64, relative to the largest element.
EVALUATION, TRAINING, GRADIENTS, STATISTICS, TRAJECTORY = 1e-12, 1e-11, 1e-9, 1e-11, 1e-8
#: A relative change of a float64 number that rounding could cause.
ROUNDING = 1e-15
#: How many times a network's reaction to such a change it may be off: two frameworks round in every
#: layer, but the change is made once.
REACTION = 100
#: A reaction above which a number cannot be compared at all.
HOPELESS = 1e-3
#: In float32, a target may be this many times as far from its float64 result as any other. Sums of
#: thousands of products differ by that much if their order changes.
MULTIPLE = 8
#: What always counts as float32 rounding: 64 units in the last place, 64 * 2**-23. A sum of n
#: products in random order is off by about sqrt(n) of them. Numbers are also moved by this much to
#: see the effect on a gradient, which jumps where the input of a ReLU changes sign: one in a
#: million inputs is that close to zero.
LEAST = 64 * 2.0**-23
#: Above this, one target's distance from float64 does not excuse another's: two that compute in
#: half precision are equally far off. A larger distance must be explained by rounding in the
#: network.
COARSE = 1e-4
#: How often a result is recomputed with changes that rounding could cause.
TRIALS = 5
#: The same in float32, where every trial moves more than rounding does; and how many times the
#: largest observed jump a gradient may be off, since it jumps by chance. For BN-Inception with 11
#: seeds it was off by 0.39 to 0.94 times the largest of 8 trials, and by up to 1.2 times the
#: largest of 2.
TRIALS_IN_FLOAT32, JUMP = 8, 2
#: A small movement is not a jump but the accumulated rounding of all layers: a normalisation of two
#: values subtracts nearly equal numbers.
SMOOTH, JUMPING = 16, 1e-2
#: A jump above which a number in float32 could be anything. Gradients of BN-Inception jump by up to
#: a third.
UNTOLD = 0.5
#: The floor of gradients: those far below the largest in the network are rounding.
SMALL_GRADIENT = 1e-3


def difference(a: Array, b: Array, floor: float = 0.0) -> tuple[float, float]:
    """Return the largest difference, absolute and relative to the largest element of the first.

    Both are infinite if shapes differ, or if different elements are finite. The largest element
    counts as at least `floor`.
    """
    if a.shape != b.shape:
        return np.inf, np.inf
    if not a.size:
        return 0.0, 0.0
    a, b = a.astype(np.float64, copy=False), b.astype(np.float64, copy=False)
    with np.errstate(all="ignore"):
        absolute = _apart(a, b)
        if not np.isfinite(absolute):
            whole = np.isfinite(a) & np.isfinite(b)
            if not np.array_equal(a[~whole], b[~whole], equal_nan=True):
                return np.inf, np.inf
            a, b = a[whole], b[whole]
            absolute = _apart(a, b) if a.size else 0.0
    if not absolute:
        return 0.0, 0.0
    return absolute, absolute / max(float(a.max()), -float(a.min()), floor, 1e-30)


def _apart(a: Array, b: Array) -> float:
    """Return the largest difference; it is not finite if a number is not."""
    apart = a - b
    return max(float(apart.max()), -float(apart.min()))


def is_nothing(values: Array) -> bool:
    """Return whether no number of an array is finite, so that it says nothing."""
    return bool(values.size) and not np.isfinite(values).any()


def largest(values: Iterable[Array]) -> float:
    """Return the largest finite element of several arrays."""
    most = 0.0
    for value in values:
        sizes = np.abs(value[np.isfinite(value)])
        if sizes.size:
            most = max(most, float(sizes.max()))
    return most


def gradient_floor(gradients: Mapping[str, Array]) -> float:
    """Return the size below which a gradient is rounding of the others."""
    return SMALL_GRADIENT * largest(gradients.values())


def explained(relative: float, reaction: float) -> bool:
    """Return whether rounding explains a difference in a network with this reaction to it."""
    return relative <= REACTION * reaction or reaction >= HOPELESS


def bar_in_float32(rival: float) -> float:
    """Return how far a model may be from its float64 result if another is this far."""
    return max(min(MULTIPLE * rival, COARSE), LEAST)


def bar_by_rounding(moved: float) -> float:
    """Return how far a number may be off if moving all numbers moved it this far."""
    return max(JUMP * moved, min(SMOOTH * moved, JUMPING))


def beyond(before: Array, after: Array) -> bool:
    """Return whether finite numbers of float64 are not finite in a smaller type."""
    return (
        before.shape == after.shape
        and bool(np.isfinite(before).all())
        and not bool(np.isfinite(after).all())
    )
