"""Shapes as formulas, for code that is written once for every use of a block.

A generated class knows its parameters, not their values. Here the definitions are read with
symbols in place of numbers: `n1x1 + n3x3 + ndouble + proj` is what comes out of an inception
block. Heights and widths are computed only if something asks, because most code never does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TypeAlias

from incgen.language import expressions as ex
from incgen.language.printing import python


class Unknown(LookupError):
    """A size has no formula.

    Attributes:
        help: what to do about it.
    """

    def __init__(self, message: str, help: str) -> None:
        """Keep the parts of a report."""
        super().__init__(message)
        self.help = help


def _no_size() -> ex.Expression:
    raise Unknown("a vector comes here, without height and width", "use the map in front of it")


#: Parts of a formula: nobody would read a longer one, and they can grow like 2**layers.
_LONGEST = 150
#: The sizes of a value, as the language calls them.
AXES = ("channels", "height", "width")
_Formula: TypeAlias = ex.Expression | Callable[[], ex.Expression]


class Symbol:
    """A shape as formulas, each computed when it is first asked for."""

    __slots__ = ("_channels", "_height", "_width", "is_map")

    def __init__(
        self,
        channels: _Formula,
        is_map: bool,
        height: Callable[[], ex.Expression] = _no_size,
        width: Callable[[], ex.Expression] = _no_size,
    ) -> None:
        """Keep the formulas, or what computes them."""
        self._channels, self.is_map = channels, is_map
        self._height: _Formula = height
        self._width: _Formula = width

    @property
    def channels(self) -> ex.Expression:
        """Return the formula of the channels."""
        self._channels = _settled("channels", self._channels)
        return self._channels() if callable(self._channels) else self._channels

    @property
    def named(self) -> str | None:
        """Return the parameter that the channels are, if they are one."""
        with suppress(Unknown):
            if isinstance(self.channels, ex.Parameter):
                return self.channels.name
        return None

    def height(self) -> ex.Expression:
        """Return the formula of the height."""
        self._height = _settled("height", self._height)
        return self._height() if callable(self._height) else self._height

    def width(self) -> ex.Expression:
        """Return the formula of the width."""
        self._width = _settled("width", self._width)
        return self._width() if callable(self._width) else self._width

    def size(self, axis: str) -> ex.Expression:
        """Return the formula of one axis."""
        match axis:
            case "channels":
                return self.channels
            case "height":
                return self.height()
            case _:
                return self.width()

    def settle(self) -> None:
        """Compute what can be computed now."""
        with suppress(Unknown):
            _ = self.channels
        for size in (self.height, self.width):
            with suppress(Unknown):
                size()

    def with_channels(self, channels: ex.Expression | Callable[[], ex.Expression]) -> Symbol:
        """Return the same map or vector with other channels."""
        return Symbol(channels, self.is_map, self.height, self.width)

    def replaced(self, axis: str, size: Callable[[], ex.Expression]) -> Symbol:
        """Return the same with another formula for one axis."""
        sizes = {"channels": lambda: self.channels, "height": self.height, "width": self.width}
        sizes[axis] = size
        return Symbol(sizes["channels"], self.is_map, sizes["height"], sizes["width"])

    def vector(self, channels: ex.Expression) -> Symbol:
        """Return a vector."""
        return Symbol(channels, False)

    @property
    def dimensions(self) -> Mapping[str, ex.Expression]:
        """Return what `channels`, `height` and `width` stand for."""
        return _Dimensions(self)


def _settled(axis: str, formula: _Formula) -> _Formula:
    """Return a formula, computed; where there is none, what tells again why."""
    if not callable(formula):
        return formula
    try:
        formula = formula()
        if ex.is_longer(formula, _LONGEST):
            what = f"the formula of the {axis} is too long to be written"
            raise Unknown(what, "give the number by a parameter of the block")
    except Unknown as error:
        message, help_ = str(error), error.help

        def again() -> ex.Expression:
            raise Unknown(message, help_)

        return again
    return formula


class _Dimensions(dict[str, ex.Expression]):
    """Looks a dimension up when it is asked for."""

    def __init__(self, shape: Symbol) -> None:
        super().__init__()
        self._shape = shape

    def get(self, axis: str, default: object = None) -> ex.Expression:
        """Return the formula of one axis."""
        shape = self._shape
        if axis == "channels":
            return shape.channels
        return shape.height() if axis == "height" else shape.width()


def simplest(sizes: list[ex.Expression]) -> ex.Expression:
    """Of formulas for one number, the one to show: a number, a parameter, else the shortest."""

    def rank(size: ex.Expression) -> tuple[int, int]:
        if isinstance(size, ex.Literal):
            return 0, 0
        if isinstance(size, ex.Parameter) and not size.name.startswith("in_"):
            return 1, 0
        if isinstance(size, ex.Choice):
            return 4, 0
        return (3 if isinstance(size, ex.Parameter) else 2), len(python(size))

    return min(sizes, key=rank)
