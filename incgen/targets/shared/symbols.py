"""Shapes as formulas, for code that is written once for every use of a block.

A generated class knows its parameters, not their values. Here sizes are symbols in place of
numbers: an inception block returns `n1x1 + n3x3 + ndouble + proj` channels. Heights and widths
are computed only if something needs them, because most code never does.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any

from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.language.printing import python

#: The sizes of a value, as the language calls them.
AXES = ("channels", "height", "width")
#: Parts of a formula: nobody would read a longer one, and they can grow like 2**layers.
_LONGEST = 150


class Unknown(LookupError):
    """A size has no formula.

    Attributes:
        help: What to do about it.
    """

    def __init__(self, message: str, help: str) -> None:
        """Store the parts of a report."""
        super().__init__(message)
        self.help = help


class Symbol:
    """A shape as formulas, each computed when it is first needed."""

    __slots__ = ("_formulas", "_size", "is_map")

    def __init__(self, is_map: bool, size: Callable[[str], Expression]) -> None:
        """Begin with nothing computed.

        Args:
            is_map: Whether it has a height and width.
            size: Returns the formula of an axis, or raises `Unknown`.
        """
        self.is_map, self._size = is_map, size
        self._formulas: dict[str, Expression | Unknown] = {}

    def size(self, axis: str) -> Expression:
        """Return the formula of an axis.

        Raises:
            Unknown: It has none.
        """
        if axis not in self._formulas:
            self._formulas[axis] = self._computed(axis)
        formula = self._formulas[axis]
        if isinstance(formula, Unknown):
            raise Unknown(str(formula), formula.help)
        return formula

    def _computed(self, axis: str) -> Expression | Unknown:
        try:
            formula = self._size(axis)
        except Unknown as error:
            return Unknown(str(error), error.help)
        if ex.is_longer(formula, _LONGEST):
            what = f"the formula for the {axis} is too long"
            return Unknown(what, "make the number a parameter of the block")
        return formula

    @property
    def channels(self) -> Expression:
        """Return the formula of the channels."""
        return self.size("channels")

    @property
    def named(self) -> str | None:
        """Return the parameter that the channels are, if they are one."""
        with suppress(Unknown):
            if isinstance(self.channels, ex.Parameter):
                return self.channels.name
        return None

    def settle(self) -> None:
        """Compute what can be computed now."""
        for axis in AXES:
            with suppress(Unknown):
                self.size(axis)

    def replaced(self, axis: str, size: Callable[[], Expression]) -> Symbol:
        """Return the same shape with another formula for one axis."""
        return Symbol(self.is_map, lambda other: size() if other == axis else self.size(other))

    def formula(self, written: Expression) -> Expression:
        """Return an expression with `channels` and the like as formulas of this shape."""
        if isinstance(written, ex.Literal):
            return written  # the most frequent
        return ex.substitute(written, {}, Lookup(self.size))


def vector(channels: Callable[[], Expression]) -> Symbol:
    """Return the shape of a vector."""

    def size(axis: str) -> Expression:
        if axis == "channels":
            return channels()
        raise Unknown(
            "the input here is a vector, without height and width", "use the map before it"
        )

    return Symbol(False, size)


def sizes_of(value: str) -> tuple[str, ...]:
    """Return the parameters for the sizes of a value: `in_channels` and the like."""
    return tuple(f"{value}_{axis}" for axis in AXES)


@lru_cache
def parameters_for(value: str, is_map: bool) -> Symbol:
    """Return a shape whose sizes are parameters; `in` is the input of a class or function."""
    return Symbol(is_map, lambda axis: ex.Parameter(f"{value}_{axis}"))


class Lookup(dict[str, Expression]):
    """Values that are computed when a substitution needs them."""

    def __init__(self, find: Callable[[str], Expression | None]) -> None:
        """Keep what computes the value of a name, or returns None."""
        super().__init__()
        self._find = find

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of a name."""
        value = self._find(name)
        return default if value is None else value


def simplest(sizes: list[Expression]) -> Expression:
    """Of formulas for one number, the one to show: a number, a parameter, else the shortest."""

    def rank(size: Expression) -> tuple[int, int]:
        if isinstance(size, ex.Literal):
            return 0, 0
        if isinstance(size, ex.Parameter) and not size.name.startswith("in_"):
            return 1, 0
        if isinstance(size, ex.Choice):
            return 4, 0
        return (3 if isinstance(size, ex.Parameter) else 2), len(python(size))

    return min(sizes, key=rank)
