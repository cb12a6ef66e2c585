"""One Keras function while it is written: statements, names, values, and calls of others."""

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
from incgen.targets.keras.ops import COUNTED
from incgen.targets.keras.padding import (
    begins_with_pool,
    is_pointwise,
    unit_border,
    unit_padding,
    units_with_sides,
    usual_padding,
)
from incgen.targets.shared import file as shared
from incgen.targets.shared.code import (
    Applied,
    Bind,
    Branches,
    Code,
    Comment,
    Formal,
    Gap,
    Node,
    Type,
    names_in,
)
from incgen.targets.shared.file import Parameter
from incgen.targets.shared.scopes import Names
from incgen.targets.shared.symbols import AXES, Symbol, Unknown
from incgen.targets.shared.units import UnitForm
from incgen.targets.shared.uses import Given, Uses
from incgen.targets.shared.values import ZERO, Args, Sides, one_of_equal
from incgen.targets.shared.windows import PADDING, SAME, VALID
from incgen.targets.shared.writer import Flow


class File(shared.File):
    """A file of Keras functions, and what they need to know of it."""

    target, framework, channels_last, joint, spelt = "keras", "Keras", True, "_", str

    @cached_property
    def explicit(self) -> set[df.Definition]:
        """Return the units of which some use needs explicit padding."""
        return units_with_sides(self.graph.program, self.analysis.unit_forms)

    @cached_property
    def sizes(self) -> dict[tuple[str, str], ex.Name]:
        """Return the sizes of variables that have been read so far."""
        return {}

    def size(self, variable: str, axis: str) -> ex.Name:
        """Return the code that reads a size of a variable."""
        key = variable, axis
        if key not in self.sizes:
            self.sizes[key] = ex.Name(self.printer.tables["sizes"][axis].format(variable))
        return self.sizes[key]


class Scope(Uses):
    """The state of one function."""

    file: File
    counted = COUNTED
    whole_borders = True
    maps = "Map"

    def __init__(self, file: File, name: str, definition: df.Definition, is_map: bool) -> None:
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
        if flow.code != ex.Name(variable):
            statement = Bind(variable, flow.code)
            if step is not None and self.definition.kind == "network":
                statement = self.with_shape(statement, step)
            self.statements.append(statement)
        return self.named(variable, flow.shape.is_map)

    def with_shape(self, statement: Bind, step: df.Step) -> Bind:
        """Add the shape to a statement as a comment, if the size is new."""
        shape = self.graph.steps.get(step.span.start)
        if shape is None or _size(shape) == self.size:
            return statement
        self.size = _size(shape)
        return replace(statement, comment=self.file.shown(shape))

    def named(self, variable: str, is_map: bool) -> Flow:
        """Return a variable, from which its sizes are read."""
        return Flow(ex.Name(variable), Symbol(is_map, partial(self.file.size, variable)))

    def value(self, code: Code, is_map: bool) -> Flow:
        """Return a value without a name, whose sizes cannot be read yet."""
        return Flow(code, Symbol(is_map, _unread))

    def gap(self) -> None:
        self.statements.append(Gap())

    @contextmanager
    def commented(self, doc: str) -> Iterator[None]:
        if doc:
            self.statements.append(Comment(doc))
        yield

    def shares(self, step: df.Step, flow: Flow, following: df.Step | df.Head | None) -> bool:
        return following is None

    def stands_alone(self, step: df.Step, flow: Flow) -> bool:
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
        for axis in AXES if read else ():
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

    # ------------------------------------------------------------ what functions take

    def formulas(self) -> dict[str, Expression]:
        """Return the defaults of a block that are formulas, which its function computes."""
        parameters = self.definition.parameters if self.definition.kind == "block" else ()
        return {
            formal.name: formal.default
            for formal in parameters
            if formal.default is not None and not isinstance(formal.default, ex.Literal)
        }

    def formals(self) -> list[Parameter]:
        formulas = self.formulas()
        formals = [
            (name, ex.Name("None") if name in formulas else default)
            for name, default in super().formals()
        ]
        return sorted(formals, key=lambda parameter: parameter[1] is not None)

    def usual_padding(self, unit: UnitForm) -> Expression:
        if not unit.padding:
            return ZERO
        return usual_padding(self.graph.program, self.definition, unit)

    def formal(self, name: str, default: Expression | None) -> Formal:
        """Return the declaration of a parameter; only words have a type."""
        if default is not None and name in self.one_or_several(self.statements):
            default = one_of_equal(default)
        return Formal(name, self.type(name), default)

    def type(self, name: str) -> Type | None:
        """Return the type of a parameter that can be a word, else None."""
        if self.unit is None or name != "padding":
            return self.file.analysis.words.type(self.definition, name)
        if not self.unit.padding or begins_with_pool(self.definition):
            return None  # pixels
        sides = ("int", "tuple") if self.definition in self.file.explicit else ()
        return Type(sides, words=("same", "valid"))

    # ------------------------------------------------------------ what they are given

    def use(self, instance: df.Instance, flow: Flow, variable: str) -> Flow:
        """Write a use of a unit or block: a call of its function."""
        form = self.file.form(instance.definition, flow.shape.is_map)
        flow = self.bound(flow, variable)
        given = self.given(instance, flow.shape)
        title = ("name", Title(self.path(instance.name)))
        return self.value(self.call(form, given, (flow.code,), (title,)), form.gives_map)

    def given(self, instance: df.Instance, shape: Symbol) -> Given:
        """Return the arguments of a use; a block computes its own defaults."""
        given = super().given(instance, shape)
        if instance.definition.kind == "unit":
            return given
        return {name: value for name, value in given.items() if name in instance.args}

    def unit_given(self, instance: df.Instance, shape: Symbol) -> Given:
        unit, given = instance.definition, super().unit_given(instance, shape)
        args = {**unit.defaults, **self.said(instance, shape)}
        if self.file.analysis.unit_forms[unit].padding and is_pointwise(args):
            usual = dict(self.file.form(unit, shape.is_map).formals)["padding"]
            if {given["padding"], usual} <= {SAME, VALID}:
                del given["padding"]
        return given

    def border(self, unit: df.Definition, sides: Sides) -> Expression:
        return unit_border(unit, self.file.analysis.unit_forms[unit], sides)

    def handed_on(self, unit: df.Definition) -> Expression:
        return super().handed_on(unit) if begins_with_pool(unit) else PADDING

    def known_padding(self, unit: df.Definition, args: Args) -> Expression:
        return unit_padding(unit, self.file.analysis.unit_forms[unit], args)


def _size(shape: Shape) -> tuple[int | None, ...]:
    """Return the sizes whose change deserves a comment: height and width, or a vector's length."""
    return (shape.height, shape.width) if shape.is_map else (shape.channels,)


def _unread(axis: str) -> Expression:
    raise Unknown("a value without a name has no sizes", "give it a name")
