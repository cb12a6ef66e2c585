"""Flax: a class of NNX for each unit and block, and one for the network.

A body becomes attributes in `__init__` and straight-line code in `__call__`. What stands under a
label is one attribute, so that the paths of variables are the label paths. Each op is a module or a
function (`ops.py`), whose initialisers are arguments (`writer.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from incgen.graph.nodes import Graph
from incgen.targets.flax.writer import FlaxWriter
from incgen.targets.shared.classes.file import ClassFile
from incgen.targets.shared.code import Node, Op, within
from incgen.targets.shared.style import PLAIN, Style


def emit(graph: Graph, style: Style = PLAIN, *, laid_out: bool = True) -> str:
    """Return the Flax source of a network.

    Raises:
        SpecError: Something cannot be expressed; code `unsupported` or `undecided`.
        TemplateError: A template of the user's is faulty.
    """
    return File(graph, style).source(laid_out=laid_out)


class File(ClassFile):
    """A file of Flax classes."""

    target, framework, channels_last, writer = "flax", "Flax", True, FlaxWriter

    def decays(self, classes: Sequence[Node]) -> bool:
        """Return whether a kernel has weight decay in its metadata."""
        return any(isinstance(e, Op) and e.args.get("l2") is not None for e in within(classes))
