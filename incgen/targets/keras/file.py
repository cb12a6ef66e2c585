"""Keras: a function for each unit and block, and one that builds the model.

The functional style has no attributes, so a body is straight-line code whatever it contains
(`functions.py`). Each op is one layer or several (`ops.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from incgen.resolve import definitions as df
from incgen.targets.keras import scope
from incgen.targets.keras.code import Function, Layer
from incgen.targets.keras.functions import FunctionWriter
from incgen.targets.keras.ops import steps
from incgen.targets.shared.code import Code, within
from incgen.targets.shared.file import Form
from incgen.targets.shared.preamble import described, facts
from incgen.targets.shared.units import Place
from incgen.targets.shared.values import Args


class File(scope.File):
    """A file of Keras functions."""

    def write(self, name: str, definition: df.Definition, is_map: bool) -> tuple[Form, Function]:
        """Return the function of a unit or block whose input is a map or a vector."""
        return FunctionWriter(self, name, definition, is_map).function()

    def op_alone(self, op: str, args: Args, place: Place) -> Sequence[Code]:
        return [step for step in steps(op, self.settled(args), place) if isinstance(step, Layer)]

    def join_alone(self, kind: str, count: int) -> Sequence[Code]:
        """Return the layer that values are joined by."""
        return (Layer(kind, {}),)

    def written_network(self) -> Function:
        """Return the function of the network, which writes those that it uses."""
        network = self.graph.program.network
        return FunctionWriter(self, network.name, network, True).network()

    def view(self) -> dict[str, Any]:
        network = self.written_network()
        functions = (*self.written, network)
        shapes = self.outputs()
        output = ", ".join(f'"{name}": {shape}' for name, shape in shapes.items())
        if len(shapes) == 1:
            output = described(*next(iter(shapes.items())))
        elif len(output) <= self.printer.width - len("Output      {}"):
            output = f"{{{output}}}"
        else:
            output = f"a dictionary of {len(shapes)} tensors"
        return {
            **facts(self, output),
            "functions": functions,
            "made_of": {part.name for part in within(functions) if isinstance(part, Layer)},
        }
