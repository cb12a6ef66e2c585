"""Flax: a class of NNX for each unit and block, and one for the network.

A body becomes attributes in `__init__` and straight-line code in `__call__`. What stands under a
label is one attribute, so that the paths of variables are the label paths. Each op is a module or a
function (`ops.py`), whose initialisers are arguments (`writer.py`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from incgen.graph.nodes import Graph
from incgen.language.names import class_name
from incgen.resolve import definitions as df
from incgen.targets.flax.writer import FlaxWriter
from incgen.targets.shared import file as shared
from incgen.targets.shared.classes.code import Class
from incgen.targets.shared.code import Op, within
from incgen.targets.shared.file import Form
from incgen.targets.shared.preamble import facts
from incgen.targets.shared.style import PLAIN, Style


def emit(graph: Graph, style: Style = PLAIN, *, laid_out: bool = True) -> str:
    """Return the Flax source of a network.

    Raises:
        SpecError: Something cannot be expressed; code `unsupported` or `undecided`.
        TemplateError: A template of the user's is faulty.
    """
    return File(graph, style).source(laid_out=laid_out)


class File(shared.File):
    """A file of Flax classes."""

    target, framework, channels_last, spelt = "flax", "Flax", True, class_name

    def write(self, name: str, definition: df.Definition, is_map: bool) -> tuple[Form, Class]:
        """Return the class of a unit or block whose input is a map or a vector."""
        return FlaxWriter(self, name, definition, is_map).definition_class()

    def view(self) -> dict[str, Any]:
        """Return the variables of the template of the file."""
        network = FlaxWriter(self, self.name, self.graph.program.network, True).network_class()
        parts = within((*self.written, network))
        if any(isinstance(part, Op) and part.args.get("l2") is not None for part in parts):
            network = replace(network, methods=(Op("regularization_loss", {}),))
        shapes = self.outputs()
        output = shapes[first := next(iter(shapes))]
        if first == "logits":
            output += ", logits"
        if len(shapes) > 1:
            output += f"; in training {self.name}Output"
        return {
            **facts(self, output),
            "classes": self.written,
            "network": network,
            "heads": [*shapes] if len(shapes) > 1 else [],
            "outputs": f"{self.name}Output",
        }
