"""Failures of a random network, and which of them are the same."""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import incgen
from incgen.graph.nodes import Graph, Node
from incgen.graph.shapes import Window

#: The prefixes of incgen's file names, and of source that it has loaded without a file.
_OURS = (f"{Path(incgen.__file__).parent}{os.sep}", "<incgen ")


def _averages_a_smaller_map(graph: Graph, node: Node) -> bool:
    """Return whether windows of an average are larger than the map in height or width."""
    window = node.args.get("window")
    if node.op != "avg_pool" or not isinstance(window, Window):
        return False
    shape = graph.nodes[node.inputs[0]].shape
    sizes = (shape.height or 0, shape.width or 0)
    return any(kernel > size for kernel, size in zip(window.kernel, sizes, strict=True))


#: Known framework bugs: how the ladder reports them, and the layer that has them. CONTRIBUTING.md
#: has an example of each.
KNOWN = {
    "TensorFlow: gradient of AveragePooling2D with same": (
        re.compile(r"gradient .*in keras it is not the slope of the loss itself"),
        _averages_a_smaller_map,
    ),
}


class Fault(Exception):
    """The first thing found to be wrong with a spec or its models."""

    def __init__(self, where: str, message: str) -> None:
        """Store where it was found: `check`, `format`, `rung 1`, ..."""
        super().__init__(f"{where}: {message}")
        self.where, self.message = where, message

    @property
    def kind(self) -> str:
        """Return what identifies a kind of failure: its first line without numbers and names."""
        text = re.sub(r"`[^`]*`|\{[^}]*\}", "`...`", self.message.split("\n")[0][:160])
        if self.numeric:
            text = text.partition(" of ")[0]
        return (
            f"{self.where}: {re.sub(r'[0-9.]+(e[-+][0-9]+)?|[a-z_]+[0-9][a-z0-9_.]*', '9', text)}"
        )

    @property
    def numeric(self) -> bool:
        """Return whether it is a numeric difference, which can have many causes."""
        return " differ by " in str(self)


@dataclass(frozen=True, slots=True)
class FailedNetwork:
    """A failure of one random network.

    Attributes:
        number: The number of the network.
        where: The check that it fails: `check`, `format`, `rung 1`, ...
        kind: What it has in common with others.
        message: What is wrong.
        text: The spec, reduced as far as possible.
        numeric: Whether numbers differ.
    """

    number: int
    where: str
    kind: str
    message: str
    text: str
    numeric: bool = False


def known(message: str, paths: Iterable[str], graph: Graph) -> str | None:
    """Return the name of the known framework bug that explains a divergence, if any.

    Args:
        message: The message about it.
        paths: All tensors with wrong gradients, which must be in front of such a layer.
        graph: The network.
    """
    for name, (pattern, concerns) in KNOWN.items():
        if pattern.search(message):
            ends = [number for number, node in enumerate(graph.nodes) if concerns(graph, node)]
            if ends and all(_node(graph, path) in _in_front(graph, ends) for path in paths):
                return name
    return None


def _in_front(graph: Graph, ends: Iterable[int]) -> set[int]:
    """Return the nodes that some nodes depend on."""
    nodes: set[int] = set()
    left = list(ends)
    while left:
        before = set(graph.nodes[left.pop()].inputs) - nodes
        nodes |= before
        left += before
    return nodes


def _node(graph: Graph, key: str) -> int | None:
    """Return the layer that a tensor belongs to; for the input, the first one."""
    numbers = {node.path: number for number, node in enumerate(graph.nodes)}
    path = key
    while path and path not in numbers:
        path = path.rpartition(".")[0]
    return 0 if key == "input" else numbers.get(path)


def place_of(error: BaseException) -> str:
    """Return an exception and the last of our own lines that it passed through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if f.filename.startswith(_OURS)] or frames
    where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno} `{ours[-1].line}`"
    return f"{type(error).__name__} at {where}: {str(error)[:300]}"
