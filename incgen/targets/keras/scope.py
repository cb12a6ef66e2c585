"""One Keras function while it is written: its statements, its names, the values in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Protocol

from incgen.graph.nodes import Graph
from incgen.language import expressions as ex
from incgen.language.arithmetic import Value
from incgen.language.expressions import Expression
from incgen.resolve import definitions as df
from incgen.targets.keras.code import Flow, Form, Layer, Part, Step, Title
from incgen.targets.shared.code import Applied, Bind, Branches, Code, Node, names_in
from incgen.targets.shared.scopes import Names
from incgen.targets.shared.shaping import mapped
from incgen.targets.shared.units import UnitForm
from incgen.targets.shared.words import Words

AXES = ("channels", "height", "width")
_NOTHING: Mapping[str, Expression] = MappingProxyType({})


class File(Protocol):
    """What a function asks of the file that it is written into."""

    graph: Graph
    unit_forms: dict[df.Definition, UnitForm]
    words: Words
    names: Names
    explicit: set[df.Definition]
    functions: dict[df.Definition, tuple[str, ...]]

    def form(self, definition: df.Definition, is_map: bool) -> Form:
        """Return the function of a unit or block, written when it is first used."""

    def size(self, variable: str, axis: str) -> ex.Name:
        """Return a size of a variable, as it is read off it."""


class Scope:
    """The state of one function, and what every part of its writer asks of it."""

    def __init__(self, file: File, name: str, definition: df.Definition, is_map: bool) -> None:
        """Begin an empty function.

        Args:
            file: the file.
            name: of the function.
            definition: what it is written for.
            is_map: whether its input is a map.
        """
        self.file, self.graph = file, file.graph
        self.name, self.definition = name, definition
        self.unit = file.unit_forms.get(definition)
        self.is_map = is_map
        self.statements: list[Node] = []
        self.prefix: tuple[Part, ...] = ()
        if definition.kind != "network":
            self.prefix = (ex.Name("name"),)
        formals = {f.name for f in definition.parameters}
        if self.unit is not None:
            formals |= {"kernel", "stride", "padding", *self.unit.args}
        self.variables = Names({"x", "inputs", "input_shape", "name", *formals}, file.names)
        self.labels: dict[str, Flow] = {}
        self.heads: dict[str, Code] = {}
        self.strict: set[str] = set()

    # ------------------------------------------------------------ statements

    @contextmanager
    def suite(self) -> Iterator[list[Node]]:
        """Collect what is written inside, to stand in another statement."""
        outer, self.statements = self.statements, []
        yield self.statements
        self.statements = outer

    def choose(
        self,
        condition: Expression,
        then: Callable[[], Flow],
        otherwise: Callable[[], Flow] | None,
        flow: Flow,
        variable: str,
    ) -> list[Flow]:
        """Write an if statement whose sides both give the value of a variable.

        Args:
            condition: of the statement.
            then: writes what is done where it holds, and gives the value.
            otherwise: the same where it does not; None if the value in front is kept.
            flow: the value in front.
            variable: what gets the value.
        """
        results, suites = [], []
        for write in (then, otherwise):
            with self.suite() as body:
                results.append(self.bind(write() if write else flow, variable))
            suites.append(tuple(body))
        rest: tuple[tuple[Code | None, tuple[Node, ...]], ...] = ((None, suites[1]),)
        match suites[1]:
            case ():
                rest = ()
            case (Branches(sides),):  # an `elif`
                rest = sides
            case _:
                pass
        self.statements.append(Branches(((condition, suites[0]), *rest)))
        return results

    def bind(self, flow: Flow, variable: str) -> Flow:
        """Give a value a name."""
        name = ex.Name(variable)
        if flow.code != name:
            self.statements.append(Bind(variable, flow.code))
        return replace(flow, code=name)

    def bound(self, flow: Flow, variable: str) -> Flow:
        """Give a value a name, unless it has one."""
        return flow if flow.variable else self.bind(flow, variable)

    # ------------------------------------------------------------ names

    @contextmanager
    def under(self, *parts: Part | None) -> Iterator[None]:
        """Put a name in front of those of the layers that are written inside."""
        outer = self.prefix
        self.prefix = self.path(*parts)
        yield
        self.prefix = outer

    def path(self, *parts: Part | None) -> tuple[Part, ...]:
        """Return the prefix of this place and some parts; those that are nothing do not count."""
        return (*self.prefix, *(part for part in parts if part))

    # ------------------------------------------------------------ values

    def read_sizes(self, found: tuple[Step, ...], flow: Flow) -> dict[str, Expression]:
        """Return the sizes that steps read off a value."""
        read = names_in(found)
        return {axis: size for axis, size in self.sizes(flow).items() if size.text in read}

    def kept_sizes(self, found: tuple[Step, ...], flow: Flow) -> dict[str, Expression]:
        """Write variables for the sizes that steps read off a value."""
        kept: dict[str, Expression] = {}
        for axis, size in self.read_sizes(found, flow).items():
            variable = self.variables.take(axis)
            self.statements.append(Bind(variable, size))
            kept[axis] = ex.Name(variable)
        return kept

    def sizes(self, flow: Flow) -> dict[str, ex.Name]:
        """Return the sizes of a value, as they are read off it."""
        assert isinstance(flow.code, ex.Name)
        return {axis: self.file.size(flow.code.text, axis) for axis in AXES}

    def resolved(
        self, value: df.ArgumentValue, flow: Flow, kept: Mapping[str, Expression] = _NOTHING
    ) -> df.ArgumentValue:
        """Return an argument with `channels` and the like read off the value, or off variables."""

        def formula(expression: Expression) -> Expression:
            sizes = {**self.sizes(flow), **kept} if ex.has_dimension(expression) else {}
            return ex.substitute(expression, {}, sizes)

        return mapped(value, formula)

    def words(self, parameter: str) -> list[Value]:
        """Return the values of a padding if words are among them, to write a case for each."""
        return self.file.words.cases(self.definition, parameter)

    # ------------------------------------------------------------ layers

    def apply(self, found: tuple[Step, ...], name: str, flow: Flow, variable: str) -> Flow:
        """Write layers after one another."""
        for step in found:
            flow = self.bound(flow, variable)
            if isinstance(step, Layer):
                flow = replace(flow, code=self.layer(step, name, flow.code))
                continue
            if not step.otherwise:
                flow = self.bind(flow, variable)
            then, otherwise = (
                partial(self.apply, side, name, flow, variable) if side else None
                for side in (step.then, step.otherwise)
            )
            assert then is not None
            flow, _ = self.choose(step.condition, then, otherwise, flow, variable)
        return flow

    def layer(self, layer: Layer, name: str, value: Code) -> Code:
        """Return one layer applied to a value."""
        named = replace(layer, title=Title(self.path(name, *layer.suffix)))
        return replace(named, value=value) if layer.function else Applied(named, (value,))
