"""Scopes of generated code: whoever writes a name into one takes it from here.

No two things of a scope have one name, and none hides what the scopes around it need, because
every name comes from `Names`. What a user of the file says keeps its name: parameters, the
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

#: What no name of generated code can be: it would not be Python, or hide what code needs.
RESERVED = frozenset({*dir(builtins), *keyword.kwlist, *AMBIGUOUS}).union(
    USED_BY_CODE, CONSTRUCTOR, HELPER_CLASSES
)
#: Parameters that functions of units have, whatever the spec calls its own.
_OF_UNITS = {"kernel", "stride", "padding"} | {a.name for op in OPS.values() for a in op.arguments}
_LOOPS = ("i", "j", "k", "m", "n")


class Names:
    """The names of one scope, and through it those of the scopes around it."""

    def __init__(self, taken: Iterable[str] = RESERVED, outer: Names | None = None) -> None:
        """Begin a scope with the names that are taken there."""
        self.taken, self.outer = set(taken), outer
        self.order: list[str] = []
        self.numbers: dict[str, int] = {}

    def __contains__(self, name: object) -> bool:
        """Return whether a name stands for something here."""
        return name in self.taken or (self.outer is not None and name in self.outer)

    def claim(self, names: Iterable[str]) -> None:
        """Note names that things have from outside, such as parameters."""
        self.taken.update(names)

    def take(self, *wanted: str, joint: str = "_", apart: Container[str] = ()) -> str:
        """Take the first of some names that is free; if none is, the last with a number.

        Args:
            wanted: the names.
            joint: what stands in front of the number.
            apart: names of inner scopes, which would hide this one.
        """

        def is_free(name: str) -> bool:
            return name not in self and name not in apart

        found = next(filter(is_free, wanted), None)
        if found is None:
            base = wanted[-1]
            number = self.numbers.get(base, 1) + 1
            while not is_free(f"{base}{joint}{number}"):
                number += 1
            self.numbers[base], found = number, f"{base}{joint}{number}"
        self.taken.add(found)
        self.order.append(found)
        return found

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Free the names that are taken inside again, behind what is written there."""
        start = len(self.order)
        yield
        self.taken.difference_update(self.order[start:])
        del self.order[start:]

    @contextmanager
    def loop(self) -> Iterator[str]:
        """Take a variable for a loop that is written inside; behind it, it is free again."""
        variable = self.take(*_LOOPS, "index")
        yield variable
        self.taken.discard(variable)


def parameters(program: df.Program) -> set[str]:
    """Return the parameters of all classes or functions of a file: they hide what it calls so."""
    return _OF_UNITS.union(
        formal.name
        for definition in (program.network, *program.definitions)
        for formal in definition.parameters
    )
