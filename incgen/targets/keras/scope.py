"""One Keras function while it is written: its lines, its names, the values in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Protocol

from incgen.graph.nodes import Graph
from incgen.language import expressions as ex
from incgen.language.arithmetic import Value
from incgen.language.expressions import Expression
from incgen.language.printing import python
from incgen.resolve import definitions as df
from incgen.targets.keras.code import Call, Flow, Form, Side, Step, When, sources
from incgen.targets.shared.lines import assign, if_header
from incgen.targets.shared.scopes import Names
from incgen.targets.shared.symbols import UnitForm
from incgen.targets.shared.words import Words

_AXES = {"channels": -1, "height": 1, "width": 2}
_NOTHING: Mapping[str, Expression] = MappingProxyType({})
#: Layers that ask the user's keras.json where the channels are, unless they are told.
_OF_MAPS = re.compile(r"(layers\.|Grouped|Padded|Adaptive|Average)\w*(2D|Flatten)\(")


class File(Protocol):
    """What a function asks of the file that it is written into."""

    graph: Graph
    unit_forms: dict[df.Definition, UnitForm]
    words: Words
    names: Names
    explicit: set[df.Definition]

    def form(self, definition: df.Definition, is_map: bool) -> Form:
        """The function of a unit or block, written when it is first used."""


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
        self.lines: list[str] = []
        self.indent = 4
        self.prefix = "" if definition.kind == "network" else "{name}"
        formals = {f.name for f in definition.parameters}
        if self.unit is not None:
            formals |= {"kernel", "stride", "padding", *self.unit.args}
        self.variables = Names({"x", "inputs", "input_shape", "name", *formals}, file.names)
        self.labels: dict[str, Flow] = {}
        self.heads: dict[str, str] = {}
        self.strict: set[str] = set()

    # ------------------------------------------------------------ lines

    @contextmanager
    def suite(self, header: list[str]) -> Iterator[None]:
        """What is written inside stands under a header, with `pass` if none of it is code."""
        self.lines += header
        self.indent += 4
        before = len(self.lines)
        yield
        if only_comments(self.lines[before:]):
            self.lines.append(" " * self.indent + "pass")
        self.indent -= 4

    def cases(self, sides: list[Side], variable: str) -> list[Flow]:
        """Write an if statement whose sides all give the value of a variable.

        A last side without lines that keeps the variable is left out.
        """
        results = []
        for number, side in enumerate(sides):
            header = [" " * self.indent + "else:"]
            if side.condition is not None:
                keyword = "elif" if number else "if"
                header = if_header(side.condition, indent=self.indent, keyword=keyword)
            if side.condition is None and side.kept is not None and side.kept.code == variable:
                results.append(side.kept)
                continue
            with self.suite(header):
                results.append(self.bind(side.write(), variable))
        return results

    def bind(self, flow: Flow, variable: str) -> Flow:
        """Give a value a name."""
        if flow.code != variable:
            self.lines += assign(variable, flow.code, indent=self.indent)
        return replace(flow, code=variable, variable=True)

    def bound(self, flow: Flow, variable: str) -> Flow:
        """A value with a name; it keeps one that it has."""
        return flow if flow.variable else self.bind(flow, variable)

    # ------------------------------------------------------------ names

    @contextmanager
    def under(self, name: str | None) -> Iterator[None]:
        """Layers that are written inside have a name in front of theirs."""
        outer = self.prefix
        self.prefix = joined(outer, name)
        yield
        self.prefix = outer

    def quoted(self, name: str) -> str:
        """A layer's name as source: the prefix of this place and its own.

        PyTorch takes no dot in the name of a parameter, TensorFlow no slash: paths have dashes.
        """
        path = joined(self.prefix, name).replace(".", "-")
        if path == "{name}":
            return "name"
        return f'f"{path}"' if "{" in path else f'"{path}"'

    # ------------------------------------------------------------ values

    def read_sizes(self, found: tuple[Step, ...], flow: Flow) -> dict[str, Expression]:
        """The sizes that steps read off a value."""
        code = " ".join(sources(found))
        return {axis: size for axis, size in self.sizes(flow).items() if python(size) in code}

    def kept_sizes(self, found: tuple[Step, ...], flow: Flow) -> dict[str, Expression]:
        """Variables for the sizes that steps read off a value."""
        kept: dict[str, Expression] = {}
        for axis, size in self.read_sizes(found, flow).items():
            variable = self.variables.take(axis)
            self.lines += assign(variable, python(size), indent=self.indent)
            kept[axis] = ex.Name(variable)
        return kept

    def sizes(self, flow: Flow) -> dict[str, Expression]:
        """The sizes of a value, as they are read off it."""
        return {axis: ex.Name(f"{flow.code}.shape[{index}]") for axis, index in _AXES.items()}

    def resolved(
        self, value: df.ArgumentValue, flow: Flow, kept: Mapping[str, Expression] = _NOTHING
    ) -> df.ArgumentValue:
        """An argument with `channels` and the like read off the value, or off variables."""
        dimensions = {**self.sizes(flow), **kept}

        def formula(expression: Expression) -> Expression:
            return ex.substitute(expression, {}, dimensions)

        match value:
            case df.WindowValue((a, b), (c, d)):
                return df.WindowValue((formula(a), formula(b)), (formula(c), formula(d)))
            case df.SidesValue(sides):
                return df.SidesValue(tuple(formula(side) for side in sides))
            case _ if isinstance(value, Expression):
                return formula(value)
            case _:
                return value

    def words(self, parameter: str) -> list[Value]:
        """The values of a padding if words are among them, to write a case for each."""
        return self.file.words.cases(self.definition, parameter)

    # ------------------------------------------------------------ layers

    def apply(self, found: tuple[Step, ...], name: str, flow: Flow, variable: str) -> Flow:
        """Layers after one another."""
        for step in found:
            flow = self.bound(flow, variable)
            if isinstance(step, Call):
                flow = replace(flow, code=self.layer(step, name, flow), variable=False)
                continue
            if not step.otherwise:
                flow = self.bind(flow, variable)
            self.cases(self.sides_of_steps(step, name, flow, variable), variable)
            flow = replace(flow, code=variable, variable=True)
        return flow

    def sides_of_steps(self, step: When, name: str, flow: Flow, variable: str) -> list[Side]:
        """The sides of steps under a condition; a condition on its other side adds its own."""

        def side(condition: str | None, found: tuple[Step, ...]) -> Side:
            write = partial(self.apply, found, name, flow, variable)
            return Side(condition, write, None if found else flow)

        sides = [side(step.condition, step.then)]
        match step.otherwise:
            case (When() as other,):
                return [*sides, *self.sides_of_steps(other, name, flow, variable)]
            case other:
                return [*sides, side(None, other)]

    def layer(self, call: Call, name: str, flow: Flow) -> str:
        """One layer applied."""
        title = self.quoted(f"{name}{call.suffix}" if name else call.suffix.lstrip("."))
        if call.applied:
            return f"{call.constructor.format(x=flow.code)}, name={title})"
        comma = "" if call.constructor.endswith("(") else ", "
        axes = "**NHWC, " if _OF_MAPS.match(call.constructor) else ""
        return f"{call.constructor}{comma}{axes}name={title})({flow.code})"


def only_comments(lines: list[str]) -> bool:
    """Whether there is no statement in some lines."""
    return all(line.lstrip().startswith("#") for line in lines)


def joined(prefix: str, name: str | None) -> str:
    """A path from two parts, either of which may be empty."""
    if not name:
        return prefix
    return f"{prefix}.{name}" if prefix else name
