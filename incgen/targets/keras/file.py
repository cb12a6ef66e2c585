"""Keras: a function for each unit and block, and one that builds the model.

The functional style has no attributes, so a body is straight-line code whatever stands in it
(`keras_functions.py`). Each op is one layer or several (`keras_ops.py`). This module lays out
the file.
"""

from __future__ import annotations

import re
from typing import Any

from incgen.base.diagnostics import Code, Diagnostic, SpecError
from incgen.graph.nodes import Graph
from incgen.resolve import definitions as df
from incgen.targets.keras.code import Form, View
from incgen.targets.keras.functions import FunctionWriter
from incgen.targets.keras.padding import use_padding
from incgen.targets.shared import text
from incgen.targets.shared.lines import assign
from incgen.targets.shared.render import render
from incgen.targets.shared.scopes import Names, parameters
from incgen.targets.shared.symbols import open_parameters, unit_arguments, unit_forms
from incgen.targets.shared.words import Words

#: What a file can define for itself, in this order; all but `Scale` uses keras.ops.
HELPERS = (
    "BatchNormalization",
    "EdgePadding2D",
    "ceil_max_pool",
    "AveragePooling2D",
    "AdaptiveAveragePooling2D",
    "PaddedAveragePooling2D",
    "SamePadding2D",
    "GroupedConv2D",
    "LocalResponseNormalization",
    "LeakyReLU",
    "gelu_erf",
    "gelu_tanh",
    "L2Normalize",
    "Scale",
    "L2",
)
#: What some of them are written with.
_NEEDS = {"PaddedAveragePooling2D": "AveragePooling2D"}
#: Those that do without keras.layers.
_FUNCTIONS = {"gelu_erf", "gelu_tanh", "L2"}


def emit(graph: Graph) -> str:
    """The Keras source of a network.

    Raises:
        SpecError: something cannot be expressed; code `unsupported` or `undecided`.
    """
    text.check_used(graph)
    return render("keras/module.py.jinja", _File(graph).view())


class _File:
    """Writes the functions of one file; each definition once for maps and once for vectors."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.unit_forms = unit_forms(graph)
        self.words = Words(graph, open_parameters(graph.program))
        self.forms: dict[tuple[df.Definition, bool], Form] = {}
        self.views: list[View] = []
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
        """The units for which some use needs its padding written out."""
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
                if definition in found if plan == "padding" else not plan.startswith('"'):
                    found.add(element.definition)
        return found

    def form(self, definition: df.Definition, is_map: bool) -> Form:
        """The function of a definition, written when it is first used."""
        key = (definition, is_map)
        if key not in self.forms:
            first, *ranked = self.functions[definition]
            name = ranked[is_map] if (definition, not is_map) in self.forms else first
            self.forms[key], view = FunctionWriter(self, name, definition, is_map).definition_view()
            self.views.append(view)
        return self.forms[key]

    def view(self) -> dict[str, Any]:
        """What the template is given."""
        network = self.graph.program.network
        writer = FunctionWriter(self, network.name, network, True)
        whole = writer.network_view()
        pixels = network.pixels
        assert pixels is not None
        preprocess = _preprocess(pixels) if pixels.described else []
        code = "\n".join(
            line
            for lines in (*(view.code for view in (*self.views, whole)), preprocess)
            for line in lines
            if not line.lstrip().startswith("#")
        )
        helpers = _helpers(code)
        if "ceil_max_pool" in helpers:
            _check_names(self.graph)
        return {
            "header": text.header(self.graph.program),
            "docstring": _module_doc(self.graph, writer.output_channels()),
            "functions": self.views,
            "network": whole,
            "helpers": helpers,
            "maps": "NHWC" in code or "ceil_max_pool" in helpers,
            "depthwise": "layers.DepthwiseConv2D(" in code,
            "math": "gelu_tanh" in helpers,
            "literal": re.search(r"(?<!\w)Literal\[", code) is not None,
            "layers": bool({*helpers} - _FUNCTIONS)
            or re.search(r"(?<![\w.\"])layers\.", code) is not None,
            "ops": bool({*helpers} - {"Scale"})
            or re.search(r"(?<![\w.\"])ops\.", code) is not None,
            "package": network.name,
            "preprocess": preprocess,
            "images": "RGB images" if self.graph.input.channels == 3 else "Images",
            "channels": self.graph.input.channels,
        }


def _check_names(graph: Graph) -> None:
    """Refuse names that Keras gives to the border of `ceil_max_pool`, which has no name of its own.

    Raises:
        SpecError: a layer of the network itself has such a name.
    """
    for node in graph.nodes:
        if re.fullmatch(r"(get_item|concatenate)(_\d+)?", node.path):
            message = f"Keras itself gives the name `{node.path}`, to the border of a max pooling"
            help_ = "give this layer another label"
            raise SpecError([Diagnostic(Code.UNSUPPORTED, message, node.span, help=help_)])


def _helpers(code: str) -> list[str]:
    """The helpers that are called, or passed to an activation."""
    found = set(re.findall(r"(?<![\w.\"])(\w+)\(", code))
    found |= set(re.findall(r"\.Activation\(\s*(\w+)", code))
    found |= {_NEEDS[name] for name in found & _NEEDS.keys()}
    return [name for name in HELPERS if name in found]


def _module_doc(graph: Graph, last: str) -> list[str]:
    doc, cost = text.summary(graph)
    shape = graph.input
    out = graph.nodes[next(iter(graph.outputs.values()))].shape
    after = f"(N, {out.height}, {out.width}, {last})" if out.is_map else f"(N, {last})"
    after += text.output_label(graph)
    facts = (
        f"Input       (N, {shape.height}, {shape.width}, {shape.channels})",
        f"Output      {after}",
        *text.heads(graph, "in training and at inference"),
        f"Parameters  {text.parameters(graph)}",
        f"Cost        {cost} for one {shape.height} x {shape.width} image",
    )
    return text.docstring(doc, 0, facts, text.origin(graph.program))


def _preprocess(pixels: df.Pixels) -> list[str]:
    """The body of `preprocess`, from pixels in 0..255 to what the weights expect."""
    start = "ops.cast(images, keras.config.floatx())"
    if pixels.order == "bgr":  # `ops.flip` would ask for the rank
        start = f"ops.take({start}, [2, 1, 0], axis=-1)"
    lines = assign("x", start, indent=4)
    low, high = pixels.range or (0.0, 255.0)
    if (low, high) != (0.0, 255.0):
        lines += assign("x", text.rescaled("x", low, high), indent=4)
    for values, operator in ((pixels.mean, "-"), (pixels.std, "/")):
        if values:
            tensor = f"ops.convert_to_tensor({text.number_list(values)}, x.dtype)"
            lines += assign("x", f"x {operator} {tensor}", indent=4)
    return text.returned(lines)
