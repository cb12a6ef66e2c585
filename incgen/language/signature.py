"""The named parameters of a call: of an op, or of a unit that passes its arguments on."""

from __future__ import annotations

from dataclasses import dataclass

from incgen.language.ops import Argument


@dataclass(frozen=True, slots=True)
class Signature:
    """The parameters of a call: of an op, or of a unit whose arguments go to its head."""

    name: str
    positional: tuple[Argument, ...]  #: The positional arguments that are not given yet, in order
    attributes: tuple[Argument, ...]  #: The arguments that are given by name

    def known(self, name: str) -> bool:
        """Return whether an argument has this name."""
        return any(name == argument.name for argument in (*self.positional, *self.attributes))
