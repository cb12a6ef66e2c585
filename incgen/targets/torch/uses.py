"""Uses of units and blocks: constructor calls, with the arguments that each gives."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from incgen.base.source import Span
from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.language.initializers import Initializer
from incgen.resolve import definitions as df
from incgen.targets.shared.code import Code, Construct
from incgen.targets.shared.symbols import Symbol
from incgen.targets.shared.units import BORDERS, said_by_use
from incgen.targets.shared.values import (
    ONE,
    Sides,
    as_float,
    four_sides,
    is_same,
    one_of_equal,
    window,
)
from incgen.targets.shared.windows import PADDING, SAME, padding
from incgen.targets.shared.words import by_word
from incgen.targets.torch.code import (
    Form,
    Path,
    Start,
)
from incgen.targets.torch.scope import Scope
from incgen.targets.torch.weights import kernels


class Uses(Scope):
    """Writes what uses of units and blocks give to their constructors."""

    def constructor(self, instance: df.Instance, shape: Symbol, path: Path) -> Code:
        """Return the constructor call of a unit or block."""
        definition = instance.definition
        form = self.file.form(definition, shape.is_map)
        with self.known_at(instance.span):
            if definition.kind == "unit":
                given = self.unit_given(instance, shape, path)
            else:
                given = self.block_given(instance, shape)
        return self.call(form, given, shape, instance.span)

    def block_given(self, instance: df.Instance, shape: Symbol) -> dict[str, Expression]:
        """Return the arguments of a block's constructor, with defaults that depend on the use."""
        given: dict[str, Expression] = {}
        for formal in instance.definition.parameters:
            written = instance.args.get(formal.name, formal.default)
            if formal.name in instance.args or not isinstance(formal.default, ex.Literal):
                value = self.resolved(written, shape)
                assert isinstance(value, Expression)
                given[formal.name] = value
        return given

    def call(self, form: Form, given: Mapping[str, Expression], shape: Symbol, span: Span) -> Code:
        """Return a constructor call from its arguments."""
        sizes = {"in_height": shape.height, "in_width": shape.width}
        parts: list[Code] = []
        with self.known_at(span):
            for name in form.sizes:
                if name == "in_channels":
                    parts.append(shape.channels)
                else:
                    parts.append(sizes[name]() if name in sizes else given[name])
        named: list[tuple[str, Code]] = []
        by_name = False
        for name, default in form.formals:
            value = given.get(name, default)
            if value is None or (default is not None and is_same(value, default)):
                by_name = True
                continue
            by_name = by_name or default is not None
            if name in form.either:
                value = one_of_equal(value)
            elif isinstance(value, ex.Parameter) and value.name in self.several():
                self.strict.add(value.name)
            value = as_float(value) if name in form.floats else value
            if by_name:
                named.append((name, value))
            else:
                parts.append(value)
        return Construct(form.name, tuple(parts), tuple(named))

    def unit_given(self, instance: df.Instance, shape: Symbol, path: Path) -> dict[str, Expression]:
        """Return the arguments of a unit's constructor, by its parameters."""
        unit = instance.definition
        form = self.file.unit_forms[unit]
        written = said_by_use(instance, form, self.unit)
        values = {name: self.resolved(value, shape) for name, value in written.items()}
        given: dict[str, Expression] = {}
        for name, value in values.items():
            if isinstance(value, df.WindowValue):
                given["kernel"] = _pair_of(value.kernel, form.square_kernel)
                if form.strided:
                    given["stride"] = _pair_of(value.stride, form.square_stride)
            elif name == "init":
                # What this unit says of its own; a use that says another writes it, further out.
                own = instance.args.get("init")
                if isinstance(own, Initializer):
                    self.start_kernels(unit, {**values, "init": own}, path)
            elif name not in BORDERS:
                assert isinstance(value, Expression)
                given[name] = value
        if form.padding:
            given["padding"] = self.unit_padding(unit, values)
        elif "border" in form.args:
            border = four_sides({**df.unit_defaults(unit), **values}["border"])
            given["padding"] = _border(border, form.pad_sides)
        return given

    def start_kernels(
        self, unit: df.Definition, values: Mapping[str, df.ArgumentValue], path: Path
    ) -> None:
        """Note that a use of a unit says how the kernels of its head begin."""
        assert unit.head is not None
        everything = {**df.unit_defaults(unit), **values}
        for weight in kernels(unit.head.name, everything):
            self.starts.append(Start((*path, *_head_path(unit), *weight.path), weight))

    def unit_padding(
        self, unit: df.Definition, values: Mapping[str, df.ArgumentValue]
    ) -> Expression:
        """Return the padding of one use of a unit, as one, two or four numbers."""
        everything: dict[str, df.ArgumentValue] = {**df.unit_defaults(unit), **values}
        form, pad, frame = self.file.unit_forms[unit], everything.get("pad"), window(everything)
        if pad == PADDING:
            if self.unit is not None and self.unit.pad_sides < form.pad_sides:
                if self.unit.same:
                    message = f"`{unit.name}` takes its border for height and width apart"
                    help_ = "write the border of every use in pixels"
                    self.unsupported(unit.span, message, help_)
                return _border(four_sides(pad), form.pad_sides)
            return PADDING
        if isinstance(pad, ex.Parameter) and (words := self.words(pad.name)):
            return by_word(everything, "pad", words, partial(self.unit_padding, unit), ex.choice)
        dilation = everything.get("dilation", ONE)
        assert isinstance(dilation, Expression)
        found = padding(pad, frame.kernel, frame.stride, dilation, odd=form.odd)
        if found.sides is not None:
            return _border(found.sides, form.pad_sides)
        if not form.same:
            message = f"`{unit.name}` cannot be given the padding `same` by a parameter here"
            self.unsupported(frame.span or unit.span, message, "write `same` where it is used")
        return SAME


def _border(sides: Sides, numbers: int) -> Expression:
    """Return a border as one, two or four numbers."""
    if numbers == 1:
        return sides[0]
    listed = sides if numbers == 4 else (sides[0], sides[2])
    match listed[0]:
        case ex.Item(name, 0) if listed == tuple(ex.Item(name, n) for n in range(numbers)):
            return ex.Parameter(name)
        case _:
            return ex.Tuple(listed)


def _pair_of(values: tuple[Expression, Expression], square: bool) -> Expression:
    if square:
        return values[0]
    first, second = values
    if isinstance(first, ex.Item) and isinstance(second, ex.Item):
        return ex.Parameter(first.parameter)
    return ex.Tuple(values)


def _head_path(unit: df.Definition) -> Path:
    """Return the path of a unit's head op inside it."""
    step = unit.body.steps[0]
    assert isinstance(step, df.Step)
    first = step.element.elements[0] if isinstance(step.element, df.Chain) else step.element
    if isinstance(first, df.Instance):
        return (first.name, *_head_path(first.definition))
    assert isinstance(first, df.OpCall)
    return (first.name,)
