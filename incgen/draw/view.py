"""The content and style of a drawing: the options of the command as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from incgen.base.diagnostics import clipped, listed
from incgen.base.help import near
from incgen.draw.colours import THEMES
from incgen.graph.frames import prefixes
from incgen.graph.nest import Aside, Body, Repeated, Used, parts
from incgen.graph.nodes import Graph

#: What `heat` can colour by.
HEATS = ("multiply-adds", "parameters", "receptive-field")
DIRECTIONS = ("down", "right")


class DrawError(ValueError):
    """A drawing cannot be made as asked; the message says what to type instead."""


@dataclass(frozen=True, slots=True)
class View:
    """The options of a drawing."""

    depth: int = 1  #: How many levels of blocks are shown; those below are folded
    opened: tuple[str, ...] = ()  #: Keys, and names of units and blocks, that are open too
    heat: str | None = None  #: One of `HEATS`: what boxes are coloured by, instead of their kind
    theme: str = "light"  #: One of `colours.THEMES`
    direction: str = "down"  #: One of `DIRECTIONS`: where the data goes
    definitions: bool = True  #: Whether the definitions of folded blocks stand beside the network

    def __post_init__(self) -> None:
        """Refuse values that mean nothing.

        Raises:
            DrawError: The depth is below 1, or a word is none that its option knows.
        """
        if self.depth < 1:
            raise DrawError(f"the depth is at least 1, not {self.depth}")
        words = (
            ("heat", self.heat, (None, *HEATS)),
            ("theme", self.theme, tuple(THEMES)),
            ("direction", self.direction, DIRECTIONS),
        )
        for name, word, known in words:
            if word not in known:
                offer = listed([choice for choice in known if choice is not None], "or")
                raise DrawError(f"the {name} is {offer}, not `{clipped(str(word))}`")

    @property
    def down(self) -> bool:
        """Return whether the data goes down."""
        return self.direction == "down"


def openings(graph: Graph, network: Body, opened: tuple[str, ...]) -> frozenset[str]:
    """Return the keys that a view opens: those asked for, and everything around them.

    A name that is not a key stands for all uses of the unit or block that has it.

    Raises:
        DrawError: Nothing that can be opened has such a key or name.
    """
    keys: dict[str, None] = {}
    uses: dict[str, list[str]] = {}
    for part in parts(network):
        if isinstance(part, Used | Repeated | Aside):
            keys[part.path] = None
        if isinstance(part, Used):
            uses.setdefault(part.definition.name, []).append(part.path)
    result: set[str] = set()
    for name in opened:
        if name not in keys and name not in uses:
            raise DrawError(_unknown(name, graph, {**keys, **uses}))
        for key in [name] if name in keys else uses[name]:
            result |= {*prefixes(key), key}
    return frozenset(result)


def _unknown(name: str, graph: Graph, keys: Mapping[str, object]) -> str:
    if any(node.path == name or node.path.startswith(f"{name}.") for node in graph.nodes):
        return f"`{clipped(name)}` is a single layer or only groups some: it is always open"
    names = [key for key in keys if "." not in key]
    offer = near(name, keys) or (f"there are {listed(names[:12])}" if names else "")
    end = f": {offer}" if offer else ": it has neither units nor blocks"
    return f"the network has no unit or block `{clipped(name)}`{end}"
