"""Where an op stands: what its form depends on beside its arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from incgen.language.arithmetic import Value
from incgen.language.initializers import Initializer
from incgen.targets.shared.symbols import Symbol
from incgen.targets.shared.units import UnitForm


@dataclass(frozen=True, slots=True)
class Place:
    """The place of an op.

    Attributes:
        shape: of its input.
        words: gives the values that a parameter takes, if words are among them.
        unit: the form of the unit whose head it is, if it is one.
        explicit: whether a use of the unit needs its padding written out.
        init: how the kernels begin where a use of the unit does not say it.
    """

    shape: Symbol
    words: Callable[[str], list[Value]]
    unit: UnitForm | None = None
    explicit: bool = False
    init: Initializer | None = None

    @property
    def odd(self) -> bool:
        """Return whether the kernel is odd, though it is a parameter."""
        return self.unit is not None and self.unit.odd
