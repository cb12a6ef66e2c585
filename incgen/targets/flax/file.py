"""Flax: a class of NNX for each unit and block, and one for the network.

A body becomes attributes in `__init__` and straight-line code in `__call__`. What stands under a
label is one attribute, so that the paths of variables are the label paths. Each op is a module or a
function (`ops.py`), whose initialisers are arguments (`writer.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from incgen.targets.flax.ops import layer
from incgen.targets.flax.writer import FlaxWriter
from incgen.targets.shared.classes.file import ClassFile
from incgen.targets.shared.code import Code, Node, Op, within
from incgen.targets.shared.units import Place
from incgen.targets.shared.values import Args


class File(ClassFile):
    """A file of Flax classes."""

    target, framework, channels_last, writer = "flax", "Flax", True, FlaxWriter

    def op_alone(self, op: str, args: Args, place: Place) -> Sequence[Code]:
        """Return the module that an op is written as, by itself, or a function and a module."""
        result = layer(op, self.settled(args), place)
        return result.apart or (result.module,)

    def decays(self, classes: Sequence[Node]) -> bool:
        """Return whether a kernel has weight decay in its metadata."""
        return any(isinstance(e, Op) and e.args.get("l2") is not None for e in within(classes))
