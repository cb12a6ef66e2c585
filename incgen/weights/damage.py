"""Values that weights cannot have: integers, NaN, infinity, negative variances."""

from __future__ import annotations

from incgen.weights.checkpoint import Array
from incgen.weights.errors import Fault


def fault_of(key: str, values: Array) -> Fault | None:
    """Return what is wrong with the values of a tensor, if anything."""
    if values.dtype.kind != "f":  # quantised, or not weights at all
        return Fault("no weights", key, f"it has integers ({values.dtype})")
    if not finite(values):
        return Fault("not finite", key, "it has NaN or infinite values")
    if key.endswith(".running_var") and (values < 0).any():
        return Fault("negative", key, "a variance is negative")
    return None


def finite(values: Array) -> bool:
    """Return whether there is no NaN or infinity: the sum shows it, unless it overflows."""
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(values.sum())) or bool(np.isfinite(values).all())
