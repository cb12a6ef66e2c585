"""Frozen dataclasses that cost little to define.

`@dataclass(frozen=True)` writes and compiles six methods for each class, and the trees of this
package have some eighty classes: at every start that would take longer than to parse a spec. A
`record` is the same to the type checker, which sees every assignment to a field; at run time
only its constructor is made for it, and the other methods are shared.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[T]) -> type[T]:
    """Make a class a record: constructor, equality, hash and text from its fields."""
    made: Any = dataclass(slots=True, eq=False, repr=False)(cls)
    made._compared = tuple(f.name for f in fields(made) if f.compare)
    made._shown = tuple(f.name for f in fields(made) if f.repr)
    made.__eq__ = _equal
    made.__hash__ = _hash
    made.__repr__ = _text
    return made  # type: ignore[no-any-return]


def _equal(self: Any, other: Any) -> bool:
    return type(self) is type(other) and all(
        getattr(self, name) == getattr(other, name) for name in self._compared
    )


def _hash(self: Any) -> int:
    return hash((type(self), *(getattr(self, name) for name in self._compared)))


def _text(self: Any) -> str:
    parts = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._shown)
    return f"{type(self).__qualname__}({parts})"
