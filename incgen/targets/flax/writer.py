"""Flax's own parts of a class: initialisers are arguments, and everything takes `rngs`."""

from __future__ import annotations

from dataclasses import replace

from incgen.resolve import definitions as df
from incgen.targets.flax.ops import COUNTED, layer
from incgen.targets.shared.classes.code import Layer
from incgen.targets.shared.classes.writer import ClassWriter
from incgen.targets.shared.code import Node, Type
from incgen.targets.shared.units import Place
from incgen.targets.shared.writer import Flow

_INITIALIZER = Type(("initializer",))


class FlaxWriter(ClassWriter):
    """Writes one class of Flax."""

    counted = COUNTED
    takes_padding_words = True

    def op_layer(self, call: df.OpCall, args: dict[str, df.ArgumentValue], place: Place) -> Layer:
        return layer(call.op.name, args, place)

    def op(self, call: df.OpCall, flow: Flow, variable: str) -> Flow:
        """Write an op; Flax calls functions where they are used, under a label too."""
        return super().op(replace(call, labelled=False), flow, variable)

    def type(self, name: str) -> Type:
        return _INITIALIZER if self.unit is not None and name == "init" else super().type(name)

    def one_or_several(self, body: list[Node]) -> frozenset[str]:
        """Return the parameters of a unit's window that can be one number for equal ones."""
        return super().one_or_several(body) - {"kernel"}  # Flax takes one number for one axis
