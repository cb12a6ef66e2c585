"""Keras: a function for each unit and block, and one that builds the model.

The functional style has no attributes, so a body is straight-line code whatever stands in it
(`functions.py`). Each op is one layer or several (`ops.py`). This module has the facts of the
file, which `templates/keras/module.py.jinja` lays out.
"""

from __future__ import annotations

from string import digits

from incgen.base.diagnostics import Code, Diagnostic, SpecError
from incgen.graph.nodes import Graph
from incgen.language import expressions as ex
from incgen.resolve import definitions as df
from incgen.targets.keras.code import Form, Function, Layer
from incgen.targets.keras.functions import FunctionWriter
from incgen.targets.keras.padding import use_padding
from incgen.targets.shared.code import Op, within
from incgen.targets.shared.files import check_used, facts, outputs
from incgen.targets.shared.parameters import open_parameters
from incgen.targets.shared.render import Printer
from incgen.targets.shared.scopes import Names, parameters
from incgen.targets.shared.style import PLAIN, Style
from incgen.targets.shared.units import unit_arguments, unit_forms
from incgen.targets.shared.windows import PADDING
from incgen.targets.shared.words import Words

#: What Keras names by itself in a helper that makes layers without names.
_MADE = {"ceil_max_pool": ("get_item", "concatenate")}


def emit(graph: Graph, style: Style = PLAIN, *, laid_out: bool = True) -> str:
    """Return the Keras source of a network.

    Raises:
        SpecError: something cannot be expressed; code `unsupported` or `undecided`.
        TemplateError: a template of the user's is faulty.
    """
    check_used(graph)
    file = _File(graph, style)
    with file.printer.templates.faults():
        return file.source(laid_out)


class _File:
    """Writes the functions of one file; each definition once for maps and once for vectors."""

    def __init__(self, graph: Graph, style: Style) -> None:
        self.graph = graph
        self.unit_forms = unit_forms(graph)
        self.words = Words(graph, open_parameters(graph.program))
        self.forms: dict[tuple[df.Definition, bool], Form] = {}
        self.written: list[Function] = []
        self.printer = Printer("keras", style, package=graph.program.network.name)
        self.sizes: dict[tuple[str, str], ex.Name] = {}
        self.names, hidden = Names(), parameters(graph.program)
        self.names.claim((graph.program.network.name,))
        # all of them now: no function may have a variable with the name of a later one
        self.functions: dict[df.Definition, tuple[str, ...]] = {}
        for each in graph.program.definitions:
            name = self.names.take(each.name, f"{each.name}_{each.kind}", apart=hidden)
            ranked = (self.names.take(f"{name}_{rank}", apart=hidden) for rank in ("1d", "2d"))
            self.functions[each] = (name, *ranked)
        self.explicit = self.units_with_sides()

    def units_with_sides(self) -> set[df.Definition]:
        """Return the units for which some use needs its padding written out."""
        found: set[df.Definition] = set()
        # Users come before what they use, so it is known what a unit hands on to its head.
        for definition in (self.graph.program.network, *reversed(self.graph.program.definitions)):
            for element in df.elements(definition.body):
                if not isinstance(element, df.Instance):
                    continue
                form = self.unit_forms.get(element.definition)
                if form is None or not form.padding:
                    continue
                args = dict(element.args)
                if element.forwards:
                    args.update(unit_arguments(self.unit_forms[definition], whole=True))
                plan = use_padding(element.definition, args, form)
                is_word = isinstance(ex.literal(plan), str)
                if definition in found if plan == PADDING else not is_word:
                    found.add(element.definition)
        return found

    def form(self, definition: df.Definition, is_map: bool) -> Form:
        """Return the function of a definition, which is written when it is first used."""
        key = (definition, is_map)
        if key not in self.forms:
            first, *ranked = self.functions[definition]
            name = ranked[is_map] if (definition, not is_map) in self.forms else first
            self.forms[key], function = FunctionWriter(self, name, definition, is_map).function()
            self.written.append(function)
        return self.forms[key]

    def size(self, variable: str, axis: str) -> ex.Name:
        """Return a size of a variable, as it is read off it."""
        key = variable, axis
        if key not in self.sizes:
            self.sizes[key] = ex.Name(self.printer.show(Op(axis, {}, ex.Name(variable))))
        return self.sizes[key]

    def source(self, laid_out: bool) -> str:
        """Return the text of the file, for somebody to read or only to know that there is one."""
        network = self.graph.program.network
        writer = FunctionWriter(self, network.name, network, True)
        model = writer.network()  # and the functions of what it uses
        functions = (*self.written, model)
        shapes = outputs(self.graph, channels_last=True)
        output = ", ".join(f'"{name}": {shape}' for name, shape in shapes.items())
        if len(shapes) == 1:
            output = next(iter(shapes.values()))
        elif len(output) <= self.printer.width - len("Output      {}"):
            output = f"{{{output}}}"
        else:
            output = f"a dictionary of {len(shapes)} tensors"
        source = self.printer.file(
            {
                **facts(self.graph, output, self.printer.width, channels_last=True),
                "functions": functions,
                "depthwise": _has_layer(functions, "depthwise_conv"),
            },
            laid_out=laid_out,
        )
        for helper in self.printer.used:
            _check_names(self.graph, helper)
        return source


def _has_layer(code: object, name: str) -> bool:
    return any(isinstance(part, Layer) and part.name == name for part in within(code))


def _check_names(graph: Graph, helper: str) -> None:
    """Refuse names that Keras gives to what a helper makes without names of its own.

    Raises:
        SpecError: a layer of the network itself has such a name.
    """
    made = _MADE.get(helper, ())
    for node in graph.nodes:
        plain = node.path.rstrip(digits)
        if node.path in made or (plain != node.path and plain.removesuffix("_") in made):
            message = f"Keras itself gives the name `{node.path}`, to the border of a max pooling"
            help_ = "give this layer another label"
            raise SpecError([Diagnostic(Code.UNSUPPORTED, message, node.span, help=help_)])
