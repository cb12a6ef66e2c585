"""Weights as arguments of Flax's layers: whose initialisers depend on fans."""

from __future__ import annotations

from incgen.language.initializers import Initializer
from incgen.targets.shared import weights as shared
from incgen.targets.shared.values import Args, Pair

#: The rules for which JAX counts other fans of a depthwise kernel than the language.
COUNTED = ("glorot_uniform", "glorot_normal")


def kernel(args: Args, default: Initializer | None, fans: Pair | None = None) -> dict[str, object]:
    """Return the facts of a kernel; the fans are those of a depthwise one."""
    return shared.kernel(args, default, fans, COUNTED)
