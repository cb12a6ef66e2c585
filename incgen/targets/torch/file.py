"""PyTorch: a class for each unit and block, and one for the network.

A body becomes attributes in `__init__` and straight-line code in `forward`
(`classes.py`). What stands under a label is one module (`modules.py`), so that `state_dict` has
the label paths as keys. Each op is a module or a function (`ops.py`).
This module lays out the file.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from incgen.graph.nodes import Graph
from incgen.resolve import definitions as df
from incgen.targets.shared.file import Form
from incgen.targets.shared.preamble import facts, outputs
from incgen.targets.shared.shaping import own_input
from incgen.targets.shared.style import PLAIN, Style
from incgen.targets.shared.symbols import Symbol
from incgen.targets.torch.classes import ClassWriter
from incgen.targets.torch.code import Class
from incgen.targets.torch.scope import File


def emit(graph: Graph, style: Style = PLAIN, *, laid_out: bool = True) -> str:
    """Return the PyTorch source of a network.

    Raises:
        SpecError: something cannot be expressed; code `unsupported` or `undecided`.
        TemplateError: a template of the user's is faulty.
    """
    file = File(graph, style, _write)
    return file.source(partial(_view, file), laid_out=laid_out)


def _write(file: File, name: str, definition: df.Definition, is_map: bool) -> tuple[Form, Class]:
    return ClassWriter(file, name, definition, own_input(is_map)).definition_class()


def _view(file: File) -> dict[str, Any]:
    """Return what the template is given."""
    network, graph = file.graph.program.network, file.graph
    pixels = network.pixels
    assert pixels is not None
    start = Symbol(pixels.channels, True, lambda: pixels.height, lambda: pixels.width)
    view = ClassWriter(file, file.name, network, start).network_class()
    shapes = outputs(graph, channels_last=False)
    output = shapes[first := next(iter(shapes))]
    if first == "logits":
        output += ", logits"
    if len(shapes) > 1:
        output += f"; in training {file.name}Output"
    return {
        **facts(graph, output, file.printer.width, channels_last=False),
        "classes": file.written,
        "network": replace(view, regularized=file.decaying),
        "heads": [*shapes] if len(shapes) > 1 else [],
        "outputs": f"{file.name}Output",
    }
