"""Scopes of generated code, from which every name in them is taken.

No two things in a scope share a name, and none hides what the surrounding scopes need, because
every name comes from `Names`. What users of the file see keeps its name: parameters, the
network, and the labels, which are the keys of its weights. Everything else yields.
"""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager

from incgen.language.names import AMBIGUOUS, CONSTRUCTOR, HELPER_CLASSES, USED_BY_CODE
from incgen.language.ops import OPS
from incgen.resolve import definitions as df

#: Names that generated code cannot use: not Python's, or hiding what the code needs.
RESERVED = frozenset({*dir(builtins), *keyword.kwlist, *AMBIGUOUS}).union(
    USED_BY_CODE, CONSTRUCTOR, HELPER_CLASSES
)
#: Parameters of units, whatever names the spec uses.
_OF_UNITS = {"kernel", "stride", "padding"} | {a.name for op in OPS.values() for a in op.arguments}
_LOOPS = ("i", "j", "k", "m", "n")


class Names:
    """The names of one scope, and through it those of the surrounding scopes."""

    def __init__(self, taken: Iterable[str] = RESERVED, outer: Names | None = None) -> None:
        """Begin a scope with the names that are taken."""
        self.taken, self.outer = set(taken), outer
        self.order: list[str] = []
        self.numbers: dict[str, int] = {}

    def __contains__(self, name: object) -> bool:
        """Return whether a name is taken here or further out."""
        return name in self.taken or (self.outer is not None and name in self.outer)

    def claim(self, names: Iterable[str]) -> None:
        """Add names that are given, such as those of parameters."""
        self.taken.update(names)

    def take(self, *wanted: str, joint: str = "_", apart: Container[str] = ()) -> str:
        """Take the first name that is free, or the last with a number.

        Args:
            wanted: The names.
            joint: The separator before the number.
            apart: Names of inner scopes, which would hide it.
        """

        def is_free(name: str) -> bool:
            return name not in self and name not in apart

        free = next(filter(is_free, wanted), None)
        if free is None:
            base = wanted[-1]
            number = self.numbers.get(base, 1) + 1
            while not is_free(f"{base}{joint}{number}"):
                number += 1
            self.numbers[base], free = number, f"{base}{joint}{number}"
        self.taken.add(free)
        self.order.append(free)
        return free

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Free the names that are taken inside when it ends."""
        start = len(self.order)
        yield
        self.taken.difference_update(self.order[start:])
        del self.order[start:]

    @contextmanager
    def loop(self) -> Iterator[str]:
        """Take a variable for a loop that is written inside; after the loop it is free again."""
        variable = self.take(*_LOOPS, "index")
        yield variable
        self.taken.discard(variable)


def parameters(program: df.Program) -> set[str]:
    """Return the parameters of all classes or functions of a file, which hide its own names."""
    return _OF_UNITS.union(
        formal.name
        for definition in (program.network, *program.definitions)
        for formal in definition.parameters
    )
