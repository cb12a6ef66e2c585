"""PyTorch: a class for each unit and block, and one for the network.

A body becomes attributes in `__init__` and straight-line code in `forward`. What stands under a
label is one module, so that `state_dict` has the label paths as keys. Each op is a module or a
function (`ops.py`), whose parameters are initialised in place (`writer.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from incgen.graph.nodes import Graph
from incgen.targets.shared.classes.code import Class
from incgen.targets.shared.classes.file import ClassFile
from incgen.targets.shared.code import Node, Op
from incgen.targets.shared.style import PLAIN, Style
from incgen.targets.torch.writer import TorchWriter


def emit(graph: Graph, style: Style = PLAIN, *, laid_out: bool = True) -> str:
    """Return the PyTorch source of a network.

    Raises:
        SpecError: Something cannot be expressed; code `unsupported` or `undecided`.
        TemplateError: A template of the user's is faulty.
    """
    return File(graph, style).source(laid_out=laid_out)


class File(ClassFile):
    """A file of PyTorch classes."""

    target, framework, channels_last, writer = "torch", "PyTorch", False, TorchWriter

    def decays(self, classes: Sequence[Node]) -> bool:
        """Return whether a constructor lists rates of weight decay."""
        nodes = [node for each in classes if isinstance(each, Class) for node in each.init]
        return any(isinstance(node, Op) and node.name == "decays" for node in nodes)
