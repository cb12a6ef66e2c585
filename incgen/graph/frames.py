"""The state of elaboration: parameters, key prefix, chain of uses, and labels."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from incgen.base.diagnostics import Note
from incgen.graph.nodes import Use
from incgen.language import expressions as ex
from incgen.language.arithmetic import Value
from incgen.resolve.definitions import ArgumentValue

#: How many uses are shown, the innermost first.
_MAX_USES = 6


@dataclass(slots=True)
class Frame:
    """The position of the builder in one body."""

    parameters: Mapping[str, Value]  #: The values of the definition's parameters
    prefix: str  #: The prefix of the keys
    use: Use | None  #: The use that led here
    #: Labelled values that a later `from` names; None if an error was reported
    values: dict[str, int | None] = field(default_factory=dict)
    outer: Frame | None = None  #: The frame of the body around this one
    forwarded: Mapping[str, object] | None = None  #: The arguments that a unit passes to its head
    network: bool = False  #: Whether this is the network's own body
    depth: int = 0  #: The number of surrounding uses and bodies

    def inside(self, name: str | None) -> Frame:
        """Return a frame with a longer prefix, in which the labels of this one are visible."""
        return Frame(
            self.parameters,
            join_key(self.prefix, name),
            self.use,
            outer=self,
            forwarded=self.forwarded,
            depth=self.depth + 1,
        )

    def labelled(self, label: str) -> int | None:
        """Return the value of a label in this body or one around it; None if it is faulty."""
        frame: Frame | None = self
        while frame is not None:
            if label in frame.values:
                return frame.values[label]
            frame = frame.outer
        return None


def join_key(prefix: str, name: str | None) -> str:
    """Append a part to a key; None and "" add nothing."""
    if not name:
        return prefix
    return f"{prefix}.{name}" if prefix else name


def prefixes(key: str) -> Iterator[str]:
    """Yield the keys around a key, the outermost first.

    >>> list(prefixes("inception_3a.conv3x3.0"))
    ['inception_3a', 'inception_3a.conv3x3']
    """
    parts = key.split(".")
    for length in range(1, len(parts)):
        yield ".".join(parts[:length])


def uses_of(use: Use | None) -> tuple[Note, ...]:
    """Return notes on the uses that led to a place, the innermost first."""
    notes: list[Note] = []
    while use is not None and len(notes) < _MAX_USES:
        path = use.path if len(use.path) <= 60 else f"{use.path[:20]}...{use.path[-37:]}"
        notes.append(Note(f"in `{use.definition.name}`, used here as `{path}`", use.span))
        use = use.outer
    return tuple(notes)


@dataclass(frozen=True, slots=True)
class Given:
    """The place where the value of an argument was written."""

    written: ArgumentValue  #: The argument as written
    #: The parameter it was first given to, which passed it on; "" if it was written where it is
    #: needed
    name: str
    owner: str  #: The unit or block of that parameter
    use: Use | None  #: The use around the place where it was written


def given(written: ArgumentValue, use: Use | None, forwarded: str = "") -> Given:
    """Follow an argument, or one that a unit passes to its head, to the use that gave it."""
    name = owner = ""
    if forwarded:
        while use is not None and forwarded not in use.given:
            use = use.outer
        if use is not None:
            name, owner = forwarded, use.definition.name
            written, use = use.given[forwarded], use.outer
    while isinstance(written, ex.Parameter) and use is not None and written.name in use.given:
        name, owner = written.name, use.definition.name
        written, use = use.given[written.name], use.outer
    return Given(written, name, owner, use)


def unit_use(use: Use | None, forwards: bool, names: Collection[str]) -> Use | None:
    """Return the use of a unit that passed one of some arguments to the unit's head.

    Args:
        use: The use of the definition that an op stands in.
        forwards: Whether the op is the head of a unit.
        names: The arguments; if there are none, any use will do, and the outermost is taken.
    """
    outermost = None
    while forwards and use is not None and use.definition.kind == "unit":
        if any(name in use.given for name in names):
            return use
        if not names:
            outermost = use
        forwards, use = use.forwards, use.outer
    return outermost
