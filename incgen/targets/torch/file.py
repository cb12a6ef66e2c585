"""PyTorch: a class for each unit and block, and one for the network.

A body becomes attributes in `__init__` and straight-line code in `forward`. What stands under a
label is one module, so that `state_dict` has the label paths as keys. Each op is a module or a
function (`ops.py`), whose parameters are initialised in place (`writer.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from incgen.language import expressions as ex
from incgen.resolve import definitions as df
from incgen.targets.shared.classes.code import Class
from incgen.targets.shared.classes.file import ClassFile
from incgen.targets.shared.code import Code, Node, Op
from incgen.targets.shared.units import Place, UnitForm, unit_arguments
from incgen.targets.shared.values import Args
from incgen.targets.shared.windows import SAME, padding
from incgen.targets.torch.ops import layer
from incgen.targets.torch.writer import TorchWriter


class File(ClassFile):
    """A file of PyTorch classes."""

    target, framework, channels_last, writer = "torch", "PyTorch", False, TorchWriter
    untrained: ClassVar[Mapping[str, df.ArgumentValue]] = {"variance": ex.Literal("unbiased")}

    def op_alone(self, op: str, args: Args, place: Place) -> Sequence[Code]:
        """Return the module that an op is written as, by itself, or a function and a module."""
        result = layer(op, _in_unit(self.settled(args), place.unit), place)
        return result.apart or (result.module,)

    def decays(self, classes: Sequence[Node]) -> bool:
        """Return whether a constructor lists rates of weight decay."""
        nodes = [node for cls in classes if isinstance(cls, Class) for node in cls.init]
        return any(isinstance(node, Op) and node.name == "decays" for node in nodes)


def _in_unit(args: Args, unit: UnitForm | None) -> Args:
    """Return the arguments of a layer as the class of its unit has them.

    Where no use says pixels for `same`, one layer has to do for every window.
    """
    if unit is None or args.get("pad") != SAME or "window" not in unit.args:
        return args
    if unit.padding and padding(args, odd=unit.odd).sides is not None:
        return args
    return {**args, "window": unit_arguments(unit)["window"]}
