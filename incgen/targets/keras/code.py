"""The pieces that Keras source is made of: layers, values, finished functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from incgen.base.records import record
from incgen.language.expressions import Expression


@record
class Call:
    """One layer: the constructor without its name, and how its name ends.

    Attributes:
        constructor: `layers.Conv2D(64, 3, padding="same"`, without the closing bracket.
        suffix: behind the op's own name; "" for the layer that the op is named after.
        applied: whether the constructor already holds `{x}`, as our own functions do.
    """

    constructor: str
    suffix: str = ""
    applied: bool = False


@record
class When:
    """Steps that depend on a condition of parameters."""

    condition: str
    then: tuple[Step, ...]
    otherwise: tuple[Step, ...] = ()


Step: TypeAlias = Call | When


def sources(steps: Iterable[Step]) -> Iterator[str]:
    """All source in steps: constructors and conditions."""
    for step in steps:
        if isinstance(step, Call):
            yield step.constructor
        else:
            yield step.condition
            yield from sources((*step.then, *step.otherwise))


@record
class View:
    """A function as finished lines."""

    doc: list[str]
    header: list[str]
    body: list[str]

    @property
    def code(self) -> list[str]:
        """Every line of code, to see what it needs."""
        return [*self.header, *self.body]


@record
class Form:
    """What a user of a function has to know.

    Attributes:
        name: of the function.
        formals: its parameters (name, default).
        gives_map: whether a map comes out.
        either: the parameters that take one number for several equal ones.
    """

    name: str
    formals: tuple[tuple[str, Expression | str | None], ...]
    gives_map: bool
    either: frozenset[str] = frozenset()


@record
class Flow:
    """A value: its source, whether it is a map, and whether it is a plain variable."""

    code: str
    is_map: bool
    variable: bool = False


@record
class Side:
    """One side of an if statement that gives a value.

    Attributes:
        condition: None for the last side, `else`.
        write: writes its lines, and gives its value.
        kept: the value, if it is the one in front of the statement.
    """

    condition: str | None
    write: Callable[[], Flow]
    kept: Flow | None = None
