"""Weights as arguments of Keras' layers: whose initialisers depend on fans."""

from __future__ import annotations

from incgen.language.initializers import RULES, Initializer
from incgen.targets.shared import weights as shared
from incgen.targets.shared.values import Args, Pair

#: The rules that depend on fans, which Keras counts differently for a depthwise kernel.
COUNTED = frozenset(name for name, rule in RULES.items() if rule.numerator)


def has_fans(init: Initializer) -> bool:
    """Return whether an initialiser depends on the size of the window."""
    return init.name in COUNTED


def kernel(args: Args, default: Initializer | None, fans: Pair | None = None) -> dict[str, object]:
    """Return the facts of a kernel; the fans are those of a depthwise one."""
    return shared.kernel(args, default, fans, COUNTED)
