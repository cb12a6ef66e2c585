"""One generated file while it is written: its classes or functions, by their names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeAlias

from incgen.base.diagnostics import SpecError
from incgen.graph.nodes import Graph
from incgen.graph.shapes import Shape
from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.language.printing import python
from incgen.resolve import definitions as df
from incgen.targets.shared.analysis import Analysis
from incgen.targets.shared.code import Code, Node, within
from incgen.targets.shared.render import Printer
from incgen.targets.shared.scopes import Names, parameters
from incgen.targets.shared.style import Style
from incgen.targets.shared.symbols import Unknown
from incgen.targets.shared.units import Place
from incgen.targets.shared.values import ZERO, Args

#: The name and default of a parameter.
Parameter: TypeAlias = tuple[str, Expression | None]
#: Parts of a formula in a docstring; a longer one is no help to a reader.
_SHOWN = 15


@dataclass(frozen=True, slots=True)
class Form:
    """The facts that a user of a class or function needs."""

    name: str  #: The name of the class or function
    formals: tuple[Parameter, ...]  #: Its parameters that the spec knows, in order
    sizes: tuple[str, ...] = ()  #: The sizes of its inputs that it takes in front of them
    floats: frozenset[str] = frozenset()  #: The parameters that are floats
    #: The parameters that take one number for several equal ones
    either: frozenset[str] = frozenset()
    gives_map: bool = True  #: Whether it returns a map


class File(ABC):
    """The classes or functions of one file: each definition once for maps, once for vectors."""

    target: ClassVar[str]  #: The folder of the templates
    framework: ClassVar[str]  #: The name of the framework in messages
    channels_last: ClassVar[bool]  #: Whether the axes of a map are height, width, channels
    joint: ClassVar[str] = ""  #: The separator of the words of a name
    #: The arguments of ops that matter in training only, as deployed files have them
    untrained: ClassVar[Mapping[str, df.ArgumentValue]] = {
        "init": None,
        "bias_init": ZERO,
        "variance": ex.Literal("biased"),  # the stock layer's
    }
    #: Returns the name of a class or function from one of the spec
    spelt: ClassVar[Callable[[str], str]]

    def __init__(
        self,
        graph: Graph,
        style: Style,
        analysis: Analysis | None = None,
        *,
        documented: bool = True,
    ) -> None:
        """Name everything that will be written.

        Args:
            graph: The network.
            style: How the code is written.
            analysis: What is known of the network, which the files of several targets share.
            documented: Whether there are docstrings, which a check does not need.
        """
        program, self.documented = graph.program, documented
        self.graph, self.analysis = graph, analysis or Analysis(graph)
        self.printer = Printer(self.target, style, package=program.network.name)
        self.forms: dict[tuple[df.Definition, bool], Form] = {}
        self.written: list[Node] = []
        self.names, self.hidden = Names(), parameters(program)
        self.name = type(self).spelt(program.network.name)
        self.names.claim((self.name, f"{self.name}Output"))
        # All of them now: no function may have a variable with the name of a later one.
        self.called = {
            d: self.free(*map(type(self).spelt, (d.name, f"{d.name}_{d.kind}")))
            for d in program.definitions
        }
        self.ranked = {
            d: [self.free(f"{name}{self.joint}{rank}") for rank in ("1d", "2d")]
            for d, name in self.called.items()
        }

    @abstractmethod
    def write(self, name: str, definition: df.Definition, is_map: bool) -> tuple[Form, Node]:
        """Return the class or function of a unit or block whose input is a map or a vector."""

    @abstractmethod
    def written_network(self) -> Node:
        """Return the class or function of the network, which writes those that it uses.

        Raises:
            SpecError: Something cannot be expressed; code `unsupported` or `undecided`.
        """

    @abstractmethod
    def view(self) -> Mapping[str, Any]:
        """Return the variables of the template of the file."""

    @abstractmethod
    def op_alone(self, op: str, args: Args, place: Place) -> Sequence[Code]:
        """Return the layers that an op is written as, by themselves."""

    @abstractmethod
    def join_alone(self, kind: str, count: int) -> Sequence[Code]:
        """Return the layer that so many values are joined by, or the code that joins them."""

    def source(self) -> str:
        """Return the text of the file.

        Raises:
            SpecError: Something cannot be expressed; code `unsupported` or `undecided`.
            TemplateError: A template of the user's is faulty.
        """
        with self.printer.templates.faults():
            return self.printer.file(self.view())

    def draft(self) -> str:
        """Return the text of the file as templates write it, before it is laid out.

        Raises:
            SpecError: Something cannot be expressed; code `unsupported` or `undecided`.
        """
        return self.printer.draft(self.view())

    def free(self, *wanted: str) -> str:
        """Take a name for a class or function: the first that nothing else has."""
        return self.names.take(*wanted, joint=self.joint, apart=self.hidden)

    def form(self, definition: df.Definition, is_map: bool) -> Form:
        """Return the class or function of a unit or block, written when it is first used."""
        key = definition, is_map
        if key not in self.forms:
            both = (definition, not is_map) in self.forms
            name = self.ranked[definition][is_map] if both else self.called[definition]
            written: Any
            form, written = self.write(name, definition, is_map)
            if self.graph.deployment is not None:  # what told two blocks apart may be gone
                names = (f.name for f in self.forms.values())
                known = (n for n in names if replace(written, name=n) in self.written)
                form = replace(form, name=next(known, name))
            if form.name == name:
                self.written.append(written)
            self.forms[key] = form
        return self.forms[key]

    def settled(self, args: Args) -> Args:
        """Return the arguments of an op; a deployed file fixes those of training."""
        if self.graph.deployment is None:
            return args
        return {name: self.untrained.get(name, value) for name, value in args.items()}

    # ------------------------------------------------------------ shapes in words

    def shown(self, shape: Shape) -> str:
        """Return a shape as comments and docstrings state it."""
        return self.axes(shape.channels, (shape.height, shape.width) if shape.is_map else ())

    def axes(self, channels: object, sizes: Sequence[object]) -> str:
        """Return the sizes of a batch in the order of the axes."""
        ordered = (*sizes, channels) if self.channels_last else (channels, *sizes)
        return f"(N, {', '.join(map(str, ordered))})"

    def outputs(self) -> dict[str, str]:
        """Return the shape of each output by its name, for the size in the spec."""
        nodes = self.graph.nodes
        return {name: self.shown(nodes[index].shape) for name, index in self.graph.outputs.items()}

    def network_shapes(self) -> str:
        """Return the input and output shape of the network, in its parameters."""
        start, out = (
            self.graph.input,
            self.graph.nodes[next(iter(self.graph.outputs.values()))].shape,
        )
        channels: object = out.channels
        with suppress(Unknown):  # a documented shape alone refuses no network
            named = self.analysis.shaper.definition(self.graph.program.network, True).named
            channels = named if named in self.graph.parameters else channels
        kept = (out.height, out.width) == (start.height, start.width)
        behind = self.axes(channels, (("H", "W") if kept else ("H'", "W'")) if out.is_map else ())
        return f"{self.axes(start.channels, ('H', 'W'))} to {behind}"

    def block_shapes(self, block: df.Definition, is_map: bool, source: str) -> str:
        """Return the input and output shape of a block, in its parameters; "" if unknown.

        The input is a map or a vector, and `source` is the name of its channels.
        """
        seen = self.graph.observed[block].shapes if block in self.graph.observed else ()
        alike = [pair for pair in seen if pair[0].is_map == is_map]
        if not alike:
            return ""
        result = "C'"
        with suppress(SpecError, Unknown):
            channels = self.analysis.shaper.definition(block, is_map).channels
            if not ex.is_longer(channels, _SHOWN) and not _chooses(channels):
                names = {"in_channels": source, "in_height": "H", "in_width": "W"}
                values = {size: ex.Name(name) for size, name in names.items()}
                result = python(ex.substitute(channels, values, {}))
        kept = all((a.height, a.width) == (b.height, b.width) for a, b in alike)
        behind = ("H", "W") if kept else ("H'", "W'")
        before = self.axes(source, ("H", "W") if is_map else ())
        return f"{before} to {self.axes(result, behind if alike[0][1].is_map else ())}"


def _chooses(formula: Expression) -> bool:
    """Return whether a formula depends on a condition, which is too much for a docstring."""
    return any(isinstance(part, ex.Choice) for part in within(formula))
