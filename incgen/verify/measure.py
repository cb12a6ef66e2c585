"""How far apart two results are, and how far rounding alone could have moved them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from incgen.weights.checkpoint import Array

#: The bars of the rungs in float64, relative to the largest element.
EVALUATION, TRAINING, GRADIENTS, STATISTICS, TRAJECTORY = 1e-12, 1e-11, 1e-9, 1e-11, 1e-8
#: A relative change that rounding could have made, of a number in float64.
ROUNDING = 1e-15
#: How far above its own reaction to such a change a network may be off: two frameworks round in
#: every layer, the change is made once.
REACTION = 100
#: A reaction above which nothing of a number is left to compare.
HOPELESS = 1e-3
#: In float32 a target may be so many times as far from its float64 result as any other is.
#: Sums of thousands of products differ by that when they are made in another order.
MULTIPLE = 8
#: What counts as rounding of float32 in any case: 64 units in the last place, 64 * 2**-23.
#: A sum of n products in random order is off by about sqrt(n) of them. It is also by how much
#: numbers are moved to see what that does to a gradient, which jumps where a ReLU's input changes
#: its sign: one in a million inputs is so near to zero.
LEAST = 64 * 2.0**-23
#: Above this no target's own distance from float64 excuses that of another: two that compute in
#: half precision are equally far. What is farther off has to be what rounding does to the network.
COARSE = 1e-4
#: How often a result is computed again with what rounding could change.
TRIALS = 5
#: The same in float32, where every trial moves more than rounding does; and how many times as
#: far off as the largest jump that was seen a gradient may be, since it jumps by chance. Of BN-
#: Inception with 11 seeds it was 0.39 to 0.94 times as far off as the largest of 8 trials; as
#: the largest of 2, up to 1.2 times.
TRIALS_IN_FLOAT32, JUMP = 8, 2
#: A small movement is no jump but what rounding does in every layer, several times over: a
#: normalisation of two values takes differences of numbers that are nearly equal.
SMOOTH, JUMPING = 16, 1e-2
#: A jump above which a number in float32 could be anything. Gradients of BN-Inception jump by up to
#: a third.
UNTOLD = 0.5
#: Gradients far below the largest of the network are rounding: their floor.
SMALL_GRADIENT = 1e-3


def difference(a: Array, b: Array, floor: float = 0.0) -> tuple[float, float]:
    """Return the largest difference, absolute and relative to the largest element of the first.

    Both are infinite where shapes differ, or other elements are finite. The largest element counts
    as at least `floor`.
    """
    if a.shape != b.shape:
        return np.inf, np.inf
    if not a.size:
        return 0.0, 0.0
    a, b = a.astype(np.float64, copy=False), b.astype(np.float64, copy=False)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        whole = np.isfinite(a) & np.isfinite(b)
        if not np.array_equal(a[~whole], b[~whole], equal_nan=True):
            return np.inf, np.inf
        a, b = a[whole], b[whole]
        if not a.size:
            return 0.0, 0.0
    absolute = float(np.abs(a - b).max())
    if not absolute:
        return 0.0, 0.0
    return absolute, absolute / max(float(np.abs(a).max()), floor, 1e-30)


def is_nothing(values: Array) -> bool:
    """Return whether none of an array's numbers is finite: nothing can be told by them."""
    return bool(values.size) and not np.isfinite(values).any()


def largest(values: Iterable[Array]) -> float:
    """Return the largest finite element of several arrays."""
    found = 0.0
    for value in values:
        sizes = np.abs(value[np.isfinite(value)])
        if sizes.size:
            found = max(found, float(sizes.max()))
    return found


def gradient_floor(gradients: Mapping[str, Array]) -> float:
    """Return below what a gradient is rounding of the others."""
    return SMALL_GRADIENT * largest(gradients.values())


def explained(found: float, reaction: float) -> bool:
    """Return whether rounding explains a difference in a network that reacts so to it."""
    return found <= REACTION * reaction or reaction >= HOPELESS


def bar_in_float32(rival: float) -> float:
    """Return how far a model may be from its float64 result if another is so far."""
    return max(min(MULTIPLE * rival, COARSE), LEAST)


def bar_by_rounding(moved: float) -> float:
    """Return how far a number may be off if moving all numbers moved it so far."""
    return max(JUMP * moved, min(SMOOTH * moved, JUMPING))


def beyond(before: Array, after: Array) -> bool:
    """Return whether finite numbers of float64 are not finite in a smaller type."""
    return (
        before.shape == after.shape
        and bool(np.isfinite(before).all())
        and not bool(np.isfinite(after).all())
    )
