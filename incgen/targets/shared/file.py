"""One generated file while it is written: its classes or functions, by their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from incgen.graph.nodes import Graph
from incgen.language.expressions import Expression
from incgen.resolve import definitions as df
from incgen.targets.shared.code import Node
from incgen.targets.shared.parameters import open_parameters
from incgen.targets.shared.preamble import check_used
from incgen.targets.shared.render import Printer
from incgen.targets.shared.scopes import Names, parameters
from incgen.targets.shared.style import Style
from incgen.targets.shared.units import unit_forms
from incgen.targets.shared.words import Words

#: The name and default of a parameter.
Parameter: TypeAlias = tuple[str, Expression | None]


@dataclass(frozen=True, slots=True)
class Form:
    """What a user of a class or function has to know.

    Attributes:
        name: of the class or function.
        formals: its parameters that the spec knows, in order.
        sizes: which sizes of its inputs it takes in front of them.
        floats: the parameters that are floats.
        either: those that take one number for several equal ones.
        gives_map: whether a map comes out.
    """

    name: str
    formals: tuple[Parameter, ...]
    sizes: tuple[str, ...] = ()
    floats: frozenset[str] = frozenset()
    either: frozenset[str] = frozenset()
    gives_map: bool = True


class File:
    """The classes or functions of one file: each definition once for maps, once for vectors.

    Attributes:
        target: the folder of the templates.
        joint: what stands between the words of a name.
        spelt: gives the name of a class or function from one of the spec.
    """

    target: ClassVar[str]
    joint: ClassVar[str] = ""
    spelt: ClassVar[Callable[[str], str]]

    def __init__(
        self,
        graph: Graph,
        style: Style,
        write: Callable[[Any, str, df.Definition, bool], tuple[Form, Node]],
    ) -> None:
        """Name what will be written.

        Args:
            graph: the network.
            style: how it is spelt.
            write: gives the class or function of a name, for a definition whose input is a map
                or a vector.

        Raises:
            SpecError: something of the network is used by nothing.
        """
        check_used(graph)
        program = graph.program
        self.graph, self.write = graph, write
        self.printer = Printer(self.target, style, package=program.network.name)
        self.words = Words(graph, open_parameters(program))
        self.unit_forms = unit_forms(graph)
        self.forms: dict[tuple[df.Definition, bool], Form] = {}
        self.written: list[Node] = []
        self.names, self.hidden = Names(), parameters(program)
        self.name = type(self).spelt(program.network.name)
        self.names.claim((self.name, f"{self.name}Output"))
        # all of them now: no function may have a variable with the name of a later one
        self.called = {
            each: self.free(*map(type(self).spelt, (each.name, f"{each.name}_{each.kind}")))
            for each in program.definitions
        }
        self.ranked = {
            each: [self.free(f"{name}{self.joint}{rank}") for rank in ("1d", "2d")]
            for each, name in self.called.items()
        }

    def free(self, *wanted: str) -> str:
        """Take a name for a class or function: the first that nothing else has."""
        return self.names.take(*wanted, joint=self.joint, apart=self.hidden)

    def form(self, definition: df.Definition, is_map: bool) -> Form:
        """Return the class or function of a unit or block, written when it is first used."""
        key = definition, is_map
        if key not in self.forms:
            both = (definition, not is_map) in self.forms
            name = self.ranked[definition][is_map] if both else self.called[definition]
            self.forms[key], written = self.write(self, name, definition, is_map)
            self.written.append(written)
        return self.forms[key]

    def source(self, view: Callable[[], Mapping[str, Any]], *, laid_out: bool) -> str:
        """Return the text of the file.

        Args:
            view: gives what the template is given.
            laid_out: whether somebody will read it.

        Raises:
            SpecError: something cannot be expressed; code `unsupported` or `undecided`.
            TemplateError: a template of the user's is faulty.
        """
        with self.printer.templates.faults():
            return self.printer.file(view(), laid_out=laid_out)
