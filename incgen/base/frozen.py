"""Values that nothing changes: the `dataclass` of Python for the type checker, made cheaply.

With `frozen=True`, Python's own sets each field by a call, and writes two more methods for each
class, which is a sixth of the time of a check. Here only the type checker forbids changes.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(*, frozen: bool = False, eq: bool = True, **options: bool) -> Any:
        """Make a class a dataclass; one that is frozen is equal and has a hash by its fields."""
        return dataclasses.dataclass(eq=eq, unsafe_hash=frozen and eq, **options)
