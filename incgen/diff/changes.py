"""The differences of two networks, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from incgen.graph.shapes import Shape
from incgen.language.arithmetic import Value

#: Attributes that change nothing but how a network is trained.
TRAINING = ("decay", "variance", "init", "bias_init", "l2")
#: What a layer of the second network can be, beside the same.
NEW, CHANGED = "new", "changed"


@dataclass(frozen=True)
class Side:
    """One of the two networks."""

    name: str  #: The name of the network
    source: str  #: The spec as it was asked for
    settings: Mapping[str, Value]  #: What was set from outside
    presets: tuple[str, ...]  #: The presets of `numerics` that its layers follow
    parts: tuple[str, ...] = field(repr=False)  #: The keys of the parts of its body, in order
    input: Shape
    outputs: Mapping[str, Shape]
    parameters: int  #: The trained ones
    multiply_adds: int  #: For one example


@dataclass(frozen=True, order=True)
class Place:
    """The place of a change: in the network, or in a definition of each side."""

    a: str = ""  #: The definition; "" for the network
    b: str = ""


@dataclass(frozen=True)
class Argument:
    """A value that is written otherwise: `proj` of `inception_4c` is 96, not 128."""

    place: Place
    a: str  #: The key of the layer or use, within the place; "" for the network itself
    b: str
    name: str  #: The argument or parameter
    before: str  #: The value as a spec writes it
    after: str
    layers: int  #: How many layers it changes


@dataclass(frozen=True)
class Convention:
    """An attribute that layers of one op have by another value."""

    op: str
    name: str
    before: str
    after: str
    layers: tuple[str, ...]  #: The keys of these layers in the second network
    of: int  #: How many layers of the op both networks have
    differ: int  #: How many of these compute something else by it

    @property
    def everywhere(self) -> bool:
        """Return whether it concerns every such layer."""
        return len(self.layers) == self.of


@dataclass(frozen=True)
class Only:
    """A part that only one of the networks has."""

    place: Place
    key: str  #: Its key, within the place
    what: str  #: What it is, as a spec writes it
    parameters: int  #: Of the first of them
    times: int  #: How often the place is used, or how many parts in a row are alike
    until: str = ""  #: The key of the last of these in a row


@dataclass(frozen=True)
class Rewriting:
    """A run of parts in place of another."""

    place: Place
    a: tuple[str, ...]  #: The keys of the parts, within the place
    b: tuple[str, ...]
    before: str  #: What they are, as a spec writes it
    after: str
    times: int  #: How often the place is used


@dataclass(frozen=True)
class Rewired:
    """A layer that takes other values than before, all of which both networks have.

    The keys are those of the second network, within the place.
    """

    place: Place
    key: str
    before: tuple[str, ...]  #: What it took
    after: tuple[str, ...]  #: What it takes


@dataclass(frozen=True)
class Renaming:
    """Labels, or the names of definitions, that changed while what they name stayed."""

    place: Place
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Exchange:
    """Parts of the networks in which another unit or block is used."""

    place: Place  #: The two definitions
    uses: tuple[str, ...]  #: The keys of these parts in the second network


@dataclass(frozen=True)
class Reshaped:
    """A part whose output has another shape."""

    a: str
    b: str
    before: Shape
    after: Shape


@dataclass(frozen=True)
class Keys:
    """The tensors of a file for the first network that fit the second."""

    kept: tuple[str, ...]  #: The same key and shape
    moved: Mapping[str, str]  #: The same shape under another key: theirs by ours
    reshaped: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]  #: By our key, before and after
    new: tuple[str, ...]  #: Of the second network alone
    gone: tuple[str, ...]  #: Of the first network alone
    rules: Mapping[str, str]  #: The parts whose tensors all moved with them: theirs by ours


@dataclass(frozen=True)
class Comparison:
    """Two networks, and what differs between them."""

    a: Side
    b: Side
    input: tuple[tuple[str, str, str], ...] = ()  #: What is said about pixels: name, before, after
    defaults: tuple[tuple[str, str, str], ...] = ()  #: Parameters of the networks, likewise
    conventions: tuple[Convention, ...] = ()
    arguments: tuple[Argument, ...] = ()
    removed: tuple[Only, ...] = ()
    added: tuple[Only, ...] = ()
    rewritten: tuple[Rewriting, ...] = ()
    rewired: tuple[Rewired, ...] = ()
    renamed: tuple[Renaming, ...] = ()  #: Labels
    definitions: tuple[tuple[str, str], ...] = ()  #: Units and blocks under another name
    exchanged: tuple[Exchange, ...] = ()  #: Parts that use another definition
    shapes: tuple[Reshaped, ...] = ()
    #: The layers of the second network that are `NEW` or `CHANGED`, by key
    layers: Mapping[str, str] = field(default_factory=dict)
    parts: tuple[int, int] = (0, 0)  #: How many parts of the first were found, and of how many
    keys: Keys = field(default_factory=lambda: Keys((), {}, {}, (), (), {}))

    @property
    def same(self) -> bool:
        """Return whether nothing differs, apart from the names of networks and files."""
        return not (
            self.input
            or self.defaults
            or self.conventions
            or self.arguments
            or self.removed
            or self.added
            or self.rewritten
            or self.rewired
            or self.renamed
            or self.definitions
        )
