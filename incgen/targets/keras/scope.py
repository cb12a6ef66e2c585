"""One Keras function while it is written: its statements, its names, its values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, partial

from incgen.graph.shapes import Shape
from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.resolve import definitions as df
from incgen.targets.keras.code import Layer, Part, Step, Title
from incgen.targets.keras.padding import units_with_sides
from incgen.targets.shared import file as shared
from incgen.targets.shared.code import (
    Applied,
    Bind,
    Branches,
    Code,
    Comment,
    Gap,
    Node,
    Op,
    names_in,
)
from incgen.targets.shared.scopes import Names
from incgen.targets.shared.symbols import AXES, Symbol, Unknown
from incgen.targets.shared.uses import Uses
from incgen.targets.shared.writer import Flow

#: Columns besides a statement and its comment: the indentation, two spaces, and `# `.
_ROOM = 8


class File(shared.File):
    """A file of Keras functions, and what they need to know of it."""

    target, framework, channels_last, joint, spelt = "keras", "Keras", True, "_", str

    @cached_property
    def explicit(self) -> set[df.Definition]:
        """Return the units of which some use needs explicit padding."""
        return units_with_sides(self.graph.program, self.unit_forms)

    @cached_property
    def sizes(self) -> dict[tuple[str, str], ex.Name]:
        """Return the sizes of variables that have been read so far."""
        return {}

    def size(self, variable: str, axis: str) -> ex.Name:
        """Return the code that reads a size of a variable."""
        key = variable, axis
        if key not in self.sizes:
            self.sizes[key] = ex.Name(self.printer.show(Op(axis, {}, ex.Name(variable))))
        return self.sizes[key]


class Scope(Uses):
    """The state of one function."""

    file: File
    whole_borders = True
    maps = "Map"

    def __init__(self, file: File, name: str, definition: df.Definition, is_map: bool) -> None:
        """Begin an empty function."""
        super().__init__(file, name, definition, is_map)
        self.statements: list[Node] = []
        self.prefix: tuple[Part, ...] = ()
        if definition.kind != "network":
            self.prefix = (ex.Name("name"),)
        formals = {f.name for f in definition.parameters}
        if self.unit is not None:
            formals |= {"kernel", "stride", "padding", *self.unit.args}
        self.variables = Names({"x", "inputs", "input_shape", "name", *formals}, file.names)
        self.heads: dict[str, Code] = {}
        self.size = _size(file.graph.input)

    # ------------------------------------------------------------ statements

    @contextmanager
    def suite(self) -> Iterator[list[Node]]:
        """Collect what is written inside, as the body of another statement."""
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
        """Write an `if` statement whose sides both assign a variable.

        Args:
            condition: A condition on parameters.
            then: Writes the side where it holds, and returns the value.
            otherwise: Writes the other side; None if the value before the statement is kept.
            flow: The value before the statement.
            variable: The variable that both sides assign.
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

    def variable(self, *wanted: str) -> str:
        """Take a name for a value: the first that is free, else one with an underscore."""
        return self.variables.take(*wanted, f"{wanted[-1]}_")

    def bind(self, flow: Flow, variable: str, step: df.Step | None = None) -> Flow:
        """Assign a value to a variable; in the network, a comment may state its shape."""
        if flow.code != ex.Name(variable):
            statement = Bind(variable, flow.code)
            if step is not None and self.definition.kind == "network":
                statement = self.with_shape(statement, step)
            self.statements.append(statement)
        return self.named(variable, flow.shape.is_map)

    def with_shape(self, statement: Bind, step: df.Step) -> Bind:
        """Add the shape to a statement as a comment, if the size is new and there is room."""
        shape = self.graph.steps.get(step.span.start)
        if shape is None or _size(shape) == self.size:
            return statement
        comment = self.file.shown(shape)
        if len(self.file.printer.show(statement)) + len(comment) + _ROOM > self.file.printer.width:
            return statement
        self.size = _size(shape)
        return replace(statement, comment=comment)

    def named(self, variable: str, is_map: bool) -> Flow:
        """Return a variable, from which its sizes are read."""
        return Flow(ex.Name(variable), Symbol(is_map, partial(self.file.size, variable)))

    def value(self, code: Code, is_map: bool) -> Flow:
        """Return a value without a name, whose sizes cannot be read yet."""
        return Flow(code, Symbol(is_map, _unread))

    def gap(self) -> None:
        """Write an empty line."""
        self.statements.append(Gap())

    @contextmanager
    def commented(self, doc: str) -> Iterator[None]:
        """Write the comment of the statement that is written inside."""
        if doc:
            self.statements.append(Comment(doc))
        yield

    def shares(self, step: df.Step, flow: Flow, following: df.Step | df.Head | None) -> bool:
        """Return whether a value can be part of the next expression."""
        return following is None

    def stands_alone(self, step: df.Step, flow: Flow) -> bool:
        """Return whether the value of a branch needs a name."""
        return True

    # ------------------------------------------------------------ names

    @contextmanager
    def under(self, *parts: Part | None) -> Iterator[None]:
        """Add a prefix to the names of the layers that are written inside."""
        outer = self.prefix
        self.prefix = self.path(*parts)
        yield
        self.prefix = outer

    def path(self, *parts: Part | None) -> tuple[Part, ...]:
        """Return the prefix of this place, followed by the parts that are not empty."""
        return (*self.prefix, *(part for part in parts if part))

    def kept(self, steps: tuple[Step, ...], shape: Symbol) -> Symbol:
        """Return a shape whose sizes are variables if steps read them."""
        read = names_in(steps)
        for axis in AXES:
            size = shape.size(axis)
            if isinstance(size, ex.Name) and size.text in read:
                variable = self.variables.take(axis)
                self.statements.append(Bind(variable, size))
                shape = shape.replaced(axis, partial(ex.Name, variable))
        return shape

    # ------------------------------------------------------------ layers

    def apply(self, steps: tuple[Step, ...], name: str, flow: Flow, variable: str) -> Flow:
        """Write layers in order."""
        for step in steps:
            flow = self.bound(flow, variable)
            if isinstance(step, Layer):
                if step.comment:
                    self.statements.append(Comment(step.comment))
                flow = self.value(self.layer(step, name, flow.code), flow.shape.is_map)
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
        title = Title(self.path(name, *layer.suffix))
        return Applied(replace(layer, title=title), (value,))


def _size(shape: Shape) -> tuple[int | None, ...]:
    """Return the sizes whose change deserves a comment: height and width, or a vector's length."""
    return (shape.height, shape.width) if shape.is_map else (shape.channels,)


def _unread(axis: str) -> Expression:
    raise Unknown("a value without a name has no sizes", "give it a name")
