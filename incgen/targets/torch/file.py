"""PyTorch: a class for each unit and block, and one for the network.

A body becomes attributes in `__init__` and straight-line code in `forward`
(`classes.py`). What stands under a label is one module (`modules.py`), so that `state_dict` has
the label paths as keys. Each op is a module or a function (`ops.py`).
This module lays out the file.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from incgen.graph.nodes import Graph
from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.language.names import class_name
from incgen.resolve import definitions as df
from incgen.targets.shared.code import parameters_in
from incgen.targets.shared.files import check_used, facts, outputs
from incgen.targets.shared.parameters import float_parameters, open_parameters
from incgen.targets.shared.render import Printer
from incgen.targets.shared.scopes import Names, parameters
from incgen.targets.shared.shaping import Shaper, own_input
from incgen.targets.shared.structure import written_in
from incgen.targets.shared.style import PLAIN, Style
from incgen.targets.shared.symbols import Symbol
from incgen.targets.shared.units import unit_forms
from incgen.targets.shared.words import Words
from incgen.targets.torch.classes import ClassWriter
from incgen.targets.torch.code import Class, Form, sizes_of
from incgen.targets.torch.scope import Part, Scope, part_input


def emit(graph: Graph, style: Style = PLAIN, *, laid_out: bool = True) -> str:
    """Return the PyTorch source of a network.

    Raises:
        SpecError: something cannot be expressed; code `unsupported` or `undecided`.
        TemplateError: a template of the user's is faulty.
    """
    check_used(graph)
    file = _File(graph, style)
    with file.printer.templates.faults():
        return file.printer.file(file.view(), laid_out=laid_out)


class _File:
    """Writes the classes of one file; each definition once for maps and once for vectors."""

    def __init__(self, graph: Graph, style: Style) -> None:
        self.printer = Printer("torch", style)
        self.words = Words(graph, open_parameters(graph.program))
        self.graph, self.shaper = graph, Shaper(graph, self.words)
        self.unit_forms = unit_forms(graph)
        self.floats = float_parameters(graph.program)
        self.forms: dict[tuple[df.Definition, bool], Form] = {}
        self.views: list[Class] = []
        self.decaying = False  # whether something has weight decay
        self.names, self.parameters = Names(), parameters(graph.program)
        self.name = class_name(graph.program.network.name)
        self.names.claim((self.name, f"{self.name}Output"))
        self.classes: dict[df.Definition, str] = {}
        for definition in graph.program.definitions:
            name = class_name(definition.name)
            self.classes[definition] = self.free(name, f"{name}{definition.kind.title()}")

    def free(self, *wanted: str) -> str:
        """Take a name for a class: the first that nothing else has."""
        return self.names.take(*wanted, joint="", apart=self.parameters)

    # ------------------------------------------------------------ classes

    def form(self, definition: df.Definition, is_map: bool) -> Form:
        """Write the class of a unit or block, written when it is first used."""
        key = definition, is_map
        if key not in self.forms:
            name = self.classes[definition]
            if (definition, not is_map) in self.forms:
                name = self.free(f"{name}{'2d' if is_map else '1d'}")
            writer = ClassWriter(self, name, definition, own_input(is_map))
            self.forms[key], view = writer.definition_class()
            self.views.append(view)
            self.decaying |= writer.decaying
        return self.forms[key]

    def part(self, part: Part, outer: Scope, shape: Symbol) -> tuple[Form, dict[str, Expression]]:
        """Write a class for a part of another; gives what its constructor takes and is given."""
        named = [each for each in part.path if isinstance(each, str)]
        where = ".".join(named)
        name = self.free(outer.name + "".join(map(class_name, named)))
        owner = outer.definition.name
        doc = f"The `{where}` of `{outer.name}`." if where else f"A part of `{outer.name}`."
        body = df.Body((df.Step(None, None, part.element, False, "", part.span),), part.span)
        if isinstance(part.element, df.Group):
            body = part.element.body
        known = [name for name, _ in outer.formals()]
        written = parameters_in(written_in(body))
        used = [each for each in known if each in written]
        formals = tuple(df.Formal(each, None, part.span) for each in used)
        inner = df.Definition("part", owner, formals, body, None, None, doc, part.span)
        captured = {label: outer.labels[label].shape for label in part.captured}
        start, shapes = part_input(shape.is_map, captured, part.captured)
        writer = ClassWriter(self, name, inner, start, outer)
        form, view = writer.part_class(part, shapes)
        self.views.append(view)
        self.decaying |= writer.decaying
        given: dict[str, Expression] = {each: ex.Parameter(each) for each in used}
        for label, value in captured.items():
            sizes = (lambda v=value: v.channels), value.height, value.width
            for each, size in zip(sizes_of(part.captured[label]), sizes, strict=True):
                if each in form.sizes:
                    with outer.known_at(part.span):
                        given[each] = size()
        return form, given

    def network(self) -> Class:
        """Write the class of the network."""
        network = self.graph.program.network
        pixels = network.pixels
        assert pixels is not None
        start = Symbol(pixels.channels, True, lambda: pixels.height, lambda: pixels.width)
        writer = ClassWriter(self, self.name, network, start)
        view = writer.network_class()
        self.decaying |= writer.decaying
        return view

    # ------------------------------------------------------------ the file

    def view(self) -> dict[str, Any]:
        """Return what the template is given."""
        network = self.network()
        shapes = outputs(self.graph, channels_last=False)
        output = shapes[first := next(iter(shapes))]
        if first == "logits":
            output += ", logits"
        if len(shapes) > 1:
            output += f"; in training {self.name}Output"
        return {
            **facts(self.graph, output, self.printer.width, channels_last=False),
            "classes": self.views,
            "network": replace(network, regularized=self.decaying),
            "heads": [*shapes] if len(shapes) > 1 else [],
            "outputs": f"{self.name}Output",
        }
