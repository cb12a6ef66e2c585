"""Flax's own parts of a class: initialisers are arguments, and everything takes `rngs`."""

from __future__ import annotations

from dataclasses import replace

from incgen.language import expressions as ex
from incgen.language.initializers import Initializer
from incgen.resolve import definitions as df
from incgen.targets.flax.ops import layer
from incgen.targets.flax.weights import COUNTED
from incgen.targets.shared.classes.code import Layer
from incgen.targets.shared.classes.writer import ClassWriter
from incgen.targets.shared.code import Chosen, Code, Node, Op, Type
from incgen.targets.shared.units import Place
from incgen.targets.shared.values import Args
from incgen.targets.shared.windows import PADDING, SAME
from incgen.targets.shared.writer import Flow

_INITIALIZER = Type(("initializer",))


class FlaxWriter(ClassWriter):
    """Writes one class of Flax."""

    counted = COUNTED

    def op_layer(self, call: df.OpCall, args: dict[str, df.ArgumentValue], place: Place) -> Layer:
        """Return an op as a module, whose arguments are in terms of this class."""
        result = layer(call.op.name, args, place)
        if place.unit is None or not place.unit.same:
            return result
        if isinstance(result.module, Op) and result.module.args.get("padding") == PADDING:
            return result  # Flax takes the word as well as pixels
        same = layer(call.op.name, {**args, "pad": SAME}, place)
        is_word = ex.Call("isinstance", (PADDING, ex.Name("str")))
        return replace(result, module=Chosen(is_word, same.module, result.module))

    def op(self, call: df.OpCall, flow: Flow, variable: str) -> Flow:
        """Write an op; Flax calls functions where they are used, under a label too."""
        return super().op(replace(call, labelled=False), flow, variable)

    def type(self, name: str) -> Type:
        """Return the type of a parameter."""
        return _INITIALIZER if self.unit is not None and name == "init" else super().type(name)

    def one_or_several(self, body: list[Node]) -> frozenset[str]:
        """Return the parameters of a unit's window that can be one number for equal ones."""
        return super().one_or_several(body) - {"kernel"}  # Flax takes one number for one axis

    def initializer(self, instance: df.Instance, init: Initializer, args: Args) -> Code:
        """Return an initialiser for the kernels of a unit's head."""
        head = instance.definition.head
        assert head is not None
        if head.name == "separable_conv" and init.name in COUNTED:
            message = f"`{instance.definition.name}` has two kernels with different fans"
            help_ = "set `init` in the unit, or use an initialiser with numbers: `normal(0.01)`"
            self.unsupported(instance.span, message, help_)
        return super().initializer(instance, init, args)
