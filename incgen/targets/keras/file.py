"""Keras: a function for each unit and block, and one that builds the model.

The functional style has no attributes, so a body is straight-line code whatever stands in it
(`functions.py`). Each op is one layer or several (`ops.py`). This module has the facts of the
file, which `templates/keras/module.py.jinja` lays out.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from incgen.graph.nodes import Graph
from incgen.targets.keras.code import Layer
from incgen.targets.keras.functions import FunctionWriter
from incgen.targets.keras.scope import File
from incgen.targets.shared.code import within
from incgen.targets.shared.preamble import facts, outputs
from incgen.targets.shared.style import PLAIN, Style


def emit(graph: Graph, style: Style = PLAIN, *, laid_out: bool = True) -> str:
    """Return the Keras source of a network.

    Raises:
        SpecError: something cannot be expressed; code `unsupported` or `undecided`.
        TemplateError: a template of the user's is faulty.
    """
    file = File(graph, style, lambda *what: FunctionWriter(*what).function())
    return file.source(partial(_view, file), laid_out=laid_out)


def _view(file: File) -> dict[str, Any]:
    """Return what the template is given."""
    network = file.graph.program.network
    model = FunctionWriter(file, network.name, network, True).network()
    functions = (*file.written, model)  # those of what it uses are written on the way
    shapes = outputs(file.graph, channels_last=True)
    output = ", ".join(f'"{name}": {shape}' for name, shape in shapes.items())
    if len(shapes) == 1:
        output = next(iter(shapes.values()))
    elif len(output) <= file.printer.width - len("Output      {}"):
        output = f"{{{output}}}"
    else:
        output = f"a dictionary of {len(shapes)} tensors"
    return {
        **facts(file.graph, output, file.printer.width, channels_last=True),
        "functions": functions,
        "made_of": {part.name for part in within(functions) if isinstance(part, Layer)},
    }
