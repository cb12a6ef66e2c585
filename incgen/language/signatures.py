"""Signatures: the types of arguments, and what the row of an op says.

A formula takes a function from names to sizes, so that one formula serves numbers, the symbols of
generated code, and documentation, which prints it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from enum import Enum
from typing import TypeAlias

from incgen.language.expressions import Size


class Kind(Enum):
    """The type of an argument."""

    COUNT = "a whole number from 1"
    FACTOR = "a number"
    FLAG = "`true` or `false`"
    WORD = "a word"
    WINDOW = "a window such as `3x3` or `3x3/2`"
    PADDING = "`valid`, `half`, `same`, a number, `HxW` or `[top, bottom, left, right]`"
    INITIALIZER = "an initialiser such as `he_normal` or `normal(0.01)`"


@dataclass(frozen=True, slots=True)
class ByWindow:
    """A padding that follows the window: `valid` where a side is even, else by the stride."""

    plain: str  #: The word for odd windows with stride 1
    strided: str | None  #: The word for other odd windows; None if it must be stated

    def word(self, kernel: tuple[int, ...], stride: tuple[int, ...]) -> str | None:
        """Return the word for one window; None if it must be stated.

        >>> ByWindow("half", None).word((3, 3), (1, 1))
        'half'
        """
        if any(side % 2 == 0 for side in kernel) or max(kernel) == 1:
            return "valid"
        return self.plain if max(stride) == 1 else self.strided


#: What an argument can default to. None: there is no default without `numerics`.
DefaultValue = int | float | bool | str | ByWindow | None


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of an op."""

    name: str  #: The attribute's name, or what errors call a positional argument
    doc: str  #: Its meaning, with the unit
    _: KW_ONLY
    kind: Kind  #: The type of its values
    positional: bool = False  #: Whether it is given by position rather than as `name=value`
    default: DefaultValue = None  #: The value if it is not stated
    must: bool = False  #: No default without a `numerics` line: the frameworks disagree
    words: tuple[str, ...] = ()  #: The words it accepts, for `Kind.WORD`
    minimum: float = -1e20  #: The smallest value, for numbers
    maximum: float = 1e20  #: The largest value, for numbers
    open: bool = False  #: Whether the minimum and maximum themselves are excluded
    #: The sizes that it must divide, as formulas know them: of the input, or other arguments
    divides: tuple[str, ...] = ()

    @property
    def usage(self) -> str:
        """Return the argument as the usage of its op shows it."""
        return self.name.upper() if self.positional else f"[{self.name}=]"


#: Computes a size of an op's output from others by name: `C`, `H` and `W` are the sizes of its
#: input, other names those of arguments. A window has `kernel`, `stride` and `span`, the pixels its
#: dilated kernel reaches over; a padding has `before` and `after`.
Formula: TypeAlias = Callable[[Callable[[str], Size]], Size]


def windows(of: Callable[[str], Size]) -> Size:
    """Return how many whole windows fit along an axis."""
    return (of("H") + of("before") + of("after") - of("span")) // of("stride") + 1


class Takes(Enum):
    """The inputs that an op accepts."""

    MAP = "a map (N, C, H, W)"
    ANY = "a map or a vector"


@dataclass(frozen=True, slots=True)
class Signature:
    """The parameters of a call: of an op, or of a unit whose arguments go to its head."""

    name: str  #: The name in specs
    positional: tuple[Argument, ...] = ()  #: Those given by position, in order
    attributes: tuple[Argument, ...] = ()  #: Those given by name
    #: All of them
    arguments: tuple[Argument, ...] = field(init=False, repr=False, compare=False)
    #: Those that must divide sizes
    dividing: tuple[Argument, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Join the arguments, which are asked for at every layer."""
        object.__setattr__(self, "arguments", (*self.positional, *self.attributes))
        object.__setattr__(self, "dividing", tuple(a for a in self.arguments if a.divides))

    @property
    def usage(self) -> str:
        """Return how a call is written, such as `avg_pool WINDOW [pad=] [ceil=] [count_pad=]`."""
        return " ".join([self.name, *(argument.usage for argument in self.arguments)])

    def argument(self, name: str) -> Argument | None:
        """Return the argument of a name, positional or not."""
        return next((a for a in self.arguments if a.name == name), None)

    def known(self, name: str) -> bool:
        """Return whether an argument has this name."""
        return self.argument(name) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Op(Signature):
    """One row of the table."""

    doc: str  #: One sentence
    takes: Takes = Takes.ANY  #: The rank of its input
    weighted: bool = False  #: Whether it has parameters, and therefore a key in weights files
    family: str = ""  #: The name under which `numerics` and `default` know several ops
    title: str = ""  #: The name in a sentence, if it is not the one in specs
    kind: str  #: What kind of layer it is, as drawings tell them apart
    vector: bool = False  #: Whether it gives a vector, whatever it takes
    channels: Formula | None = None  #: The channels of its output, if not those of its input
    #: The height of its output, if not that of its input; for the width, `H` is the width
    height: Formula | None = None
    elementwise: bool = False  #: Whether it acts on each value by itself
    derivative: str = ""  #: What that is computed from: "input", "output", or neither

    @property
    def noun(self) -> str:
        """Return the name of the op in a sentence."""
        return self.title or self.name.replace("_", " ")
