"""Modules as expressions: what stands under a label, or inside a container, in one constructor.

The keys of `state_dict` are the label paths. So a chain is an `nn.Sequential`, a body one with
names, a join a small container, and what none of them can hold a class of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import assert_never

from incgen.base.source import Span
from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.language.initializers import Initializer
from incgen.resolve import definitions as df
from incgen.targets.shared.code import Applied, Chosen, Code, Construct, Loop, Op, names_in
from incgen.targets.shared.structure import only, outer_labels, part_name, single, unwrapped
from incgen.targets.shared.symbols import BORDERS, Symbol, unit_arguments
from incgen.targets.shared.values import ONE, Sides, as_float, four_sides, is_same, one_of_equal
from incgen.targets.shared.words import by_word
from incgen.targets.torch.code import (
    Built,
    Container,
    Form,
    Named,
    Path,
    Repeated,
    Sequence,
    Start,
    only_if,
    sizes_of,
)
from incgen.targets.torch.padding import padding
from incgen.targets.torch.scope import Part, Scope
from incgen.targets.torch.weights import kernels

#: Named parts in one constructor.
_MOST = 4
_IDENTITY = Op("identity", {})


class Modules(Scope):
    """Writes constructors; classes that they need are written to the file on the way."""

    def built(self, element: df.Element, shape: Symbol, path: Path) -> Built:
        """What stands at a path, which outer values may reach."""
        element, origin = unwrapped(element)
        if origin is not None:
            flow = self.labels[origin]
            inner = self.built(element, flow.shape, path)
            return Built(inner.module, lambda module, x: inner.call(module, flow.code))
        if isinstance(element, df.Conditional):
            return self.either(element, shape, path)
        labels = sorted(outer_labels(element))
        if not labels:
            return Built(self.module(element, shape, path))
        values = [self.labels[label].code for label in labels]
        module = self.part(element, shape, path, self.size_names(labels))
        return Built(module, lambda module, x: Applied(module, (x, *values)))

    def module(self, element: df.Element, shape: Symbol, path: Path) -> Code:
        """The constructor of an element that no outer value reaches."""
        match element:
            case df.OpCall():
                result = self.layer(element, shape)
                self.starts += [Start((*path, *w.path), w) for w in result.weights]
                return result.module
            case df.Instance():
                return self.constructor(element, shape, path)
            case df.Chain():
                return self.chain(element, shape, path)
            case df.Join():
                return self.container(element, shape, path)
            case df.Group():
                return self.group(element, shape, path)
            case df.Repeat():
                return self.repeated(element, shape, path)
            case df.Conditional():
                return self.either(element, shape, path).module
            case _:
                assert_never(element)

    def part(
        self,
        element: df.Element,
        shape: Symbol,
        path: Path,
        captured: Mapping[str, str] = MappingProxyType({}),
    ) -> Code:
        """The constructor of an element that becomes a class of its own."""
        part = Part(element, path, captured, element.span)
        form, given = self.file.part(part, self, shape)
        return self.call(form, given, shape, element.span)

    def size_names(self, labels: list[str]) -> dict[str, str]:
        """What the names of the sizes of outer values begin with, in the class of a part."""
        taken = {name for name, _ in self.formals()}
        found = {}
        for label in labels:
            name = label
            while taken & {*sizes_of(name)}:
                name = f"{name}_value"
            taken |= {*sizes_of(name)}
            found[label] = name
        return found

    # ------------------------------------------------------------ containers

    def chain(self, chain: df.Chain, shape: Symbol, path: Path) -> Code:
        """A chain under a label."""
        modules = []
        for number, child in enumerate(chain.elements):
            modules.append(self.module(child, shape, (*path, str(number))))
            shape = self.shaper.element(child, shape, {})
        return Sequence(tuple(modules))

    def group(self, group: df.Group, shape: Symbol, path: Path) -> Code:
        """A body under a label: its steps after one another, under their names."""
        step = only(group.body)
        if group.name is None and step is not None and step.label is None:
            assert step.element is not None
            return self.module(step.element, shape, path)
        parts = _named_parts(group.body)
        if parts is None or not group.name or not _is_short([part for _, part in parts]):
            return self.part(group, shape, path)
        pairs = []
        for name, element in parts:
            pairs.append((name, self.module(element, shape, (*path, name))))
            shape = self.shaper.element(element, shape, {})
        return Named(tuple(pairs))

    def container(self, join: df.Join, shape: Symbol, path: Path) -> Code:
        """A join under a label, as a container of its branches."""
        branches = _named_branches(join)
        ranks = {branch.is_map for branch in self.shaper.branches(join, shape, self.shapes())}
        if branches is None or len(ranks) > 1:
            return self.part(join, shape, path)
        modules = [(name, self.module(element, shape, (*path, name))) for name, element in branches]
        return Container(join.kind, tuple(modules))

    def shapes(self) -> dict[str, Symbol]:
        """The shapes of the labelled values."""
        return {label: flow.shape for label, flow in self.labels.items()}

    # ------------------------------------------------------------ conditions and repeats

    def either(self, element: df.Conditional, shape: Symbol, path: Path) -> Built:
        """One of two modules."""
        condition = self.formula(element.condition, shape)
        known = ex.literal(condition)
        if known is not None:
            return self.side(element.then if known else element.otherwise, shape, path)
        with self.around(only_if(condition)):
            then = self.side(element.then, shape, path)
        with self.around(only_if(ex.unary("not", condition))):
            otherwise = self.side(element.otherwise, shape, path)
        module = Chosen(condition, then.module, otherwise.module)
        return self.chosen(module, [(condition, then)], otherwise)

    def side(self, body: df.Body | None, shape: Symbol, path: Path) -> Built:
        """One side of a condition under a label."""
        if body is None:
            return Built(_IDENTITY)
        step = body.steps[0]
        assert isinstance(step, df.Step)
        own = step.label is None or step.label == path[-1]
        if len(body.steps) > 1 or not own:
            return self.built(df.Group(body, "", body.span), shape, path)
        flow = None if step.origin is None else self.labels[step.origin]
        inner = Built(_IDENTITY)
        if step.element is not None:
            inner = self.built(step.element, flow.shape if flow else shape, path)
        if flow is None:
            return inner
        return Built(inner.module, lambda module, x: inner.call(module, flow.code))

    def chosen(
        self, module: Code, sides: list[tuple[Expression, Built]], otherwise: Built
    ) -> Built:
        """A module that is called as the side asks for which was built."""
        module_, x_ = ex.Name("module"), ex.Name("x")
        called = otherwise.call(module_, x_)
        if all(built.call(module_, x_) == called for _, built in sides):
            return Built(module, otherwise.call)
        flags = [(self.flag(condition), built) for condition, built in sides]

        def call(module: Code, x: Code) -> Code:
            result = otherwise.call(module, x)
            for flag, built in reversed(flags):
                result = Chosen(flag, built.call(module, x), result)
            return result

        return Built(module, call)

    def repeated(self, repeat: df.Repeat, shape: Symbol, path: Path) -> Code:
        """A repeat: the same module so many times, with what changes written as a formula."""
        with self.variables.loop() as variable:
            with self.known_at(repeat.span):
                count = self.formula(repeat.count, shape)
                progress = self.shaper.progress(repeat, shape, {}, ex.Name(variable))
            if progress.each is not None:
                return self.part(repeat, shape, path)
            with self.around(Loop(variable, ex.Call("range", (count,)), ())):
                inner = (*path, ex.Name(variable))
                module = self.iteration(repeat.body, progress.before, inner).module
        return Repeated(module, variable if variable in names_in(module) else "_", count)

    def iteration(self, body: df.Body, shape: Symbol, path: Path) -> Built:
        """One iteration of a repeat: its body stands at the path itself."""
        return self.side(body, shape, path)

    # ------------------------------------------------------------ uses

    def constructor(self, instance: df.Instance, shape: Symbol, path: Path) -> Code:
        """The constructor call of a unit or block."""
        definition = instance.definition
        form = self.file.form(definition, shape.is_map)
        with self.known_at(instance.span):
            if definition.kind == "unit":
                given = self.unit_given(instance, shape, path)
            else:
                given = self.block_given(instance, shape)
        return self.call(form, given, shape, instance.span)

    def block_given(self, instance: df.Instance, shape: Symbol) -> dict[str, Expression]:
        """The arguments of a block's constructor; defaults that depend on the use are written."""
        given: dict[str, Expression] = {}
        for formal in instance.definition.parameters:
            written = instance.args.get(formal.name, formal.default)
            if formal.name in instance.args or not isinstance(formal.default, ex.Literal):
                value = self.resolved(written, shape)
                assert isinstance(value, Expression)
                given[formal.name] = value
        return given

    def call(self, form: Form, given: Mapping[str, Expression], shape: Symbol, span: Span) -> Code:
        """A constructor call from its arguments."""
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
        """The arguments of a unit's constructor, by its parameters."""
        unit = instance.definition
        form = self.file.unit_forms[unit]
        written = dict(instance.args)
        if instance.forwards and self.unit is not None:
            written.update(unit_arguments(self.unit))
        if "window" in form.args:
            written.setdefault("window", df.unit_defaults(unit)["window"])
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
        """A use of a unit that says how the kernels of its head begin."""
        assert unit.head is not None
        everything = {**df.unit_defaults(unit), **values}
        for weight in kernels(unit.head.name, everything):
            self.starts.append(Start((*path, *_head_path(unit), *weight.path), weight))

    def unit_padding(
        self, unit: df.Definition, values: Mapping[str, df.ArgumentValue]
    ) -> Expression:
        """The padding of one use of a unit, as one, two or four numbers."""
        everything: dict[str, df.ArgumentValue] = {**df.unit_defaults(unit), **values}
        frame, form = everything["window"], self.file.unit_forms[unit]
        pad = everything.get("pad")
        if isinstance(pad, ex.Parameter) and pad.name == "padding":
            if self.unit is not None and self.unit.pad_sides < form.pad_sides:
                if self.unit.same:
                    message = f"`{unit.name}` takes its border for height and width apart"
                    help_ = "write the border of every use in pixels"
                    self.unsupported(unit.span, message, help_)
                return _border(four_sides(pad), form.pad_sides)
            return pad
        assert isinstance(frame, df.WindowValue)
        if isinstance(pad, ex.Parameter) and self.words(pad.name):
            return self.padding_by_word(unit, values, pad)
        dilation = everything.get("dilation", ONE)
        assert isinstance(dilation, Expression)
        if form.odd and frame.stride == (ONE, ONE) and pad == ex.Literal("same"):
            pad = ex.Literal("half")
        found = padding(pad, frame.kernel, frame.stride, dilation)
        if found.same and not form.same:
            message = f"`{unit.name}` cannot be given the padding `same` by a parameter here"
            self.unsupported(frame.span or unit.span, message, "write `same` where it is used")
        if found.same:
            return ex.Literal("same")
        sides = found.sides
        if sides is None:
            assert found.both is not None
            (high, wide) = found.both
            sides = high, high, wide, wide
        return _border(sides, form.pad_sides)

    def padding_by_word(
        self, unit: df.Definition, values: Mapping[str, df.ArgumentValue], pad: ex.Parameter
    ) -> Expression:
        """The padding of a use that passes a word on: a case for each."""
        results = [
            (word, self.unit_padding(unit, {**values, "pad": ex.Literal(word)}))
            for word in self.words(pad.name)
        ]
        return by_word(pad, results)


def _border(sides: Sides, numbers: int) -> Expression:
    """A border as one, two or four numbers."""
    if numbers == 1:
        return sides[0]
    listed = sides if numbers == 4 else (sides[0], sides[2])
    match listed[0]:
        case ex.Item(name, 0) if listed == tuple(ex.Item(name, n) for n in range(numbers)):
            return ex.Parameter(name)
        case _:
            return ex.Tuple(listed)


def _named_parts(body: df.Body) -> list[tuple[str, df.Element]] | None:
    """The elements of a body by their names, if it is nothing but one after another."""
    parts: list[tuple[str, df.Element]] = []
    for step in body.steps:
        if isinstance(step, df.Head) or step.origin is not None or step.kept:
            return None
        assert step.element is not None
        elements: tuple[df.Element, ...] = (step.element,)
        if isinstance(step.element, df.Chain) and step.element.name is None:
            elements = step.element.elements
        for element in map(single, elements):
            name = part_name(element)
            if not name:
                return None
            parts.append((name, element))
    return parts


def _is_short(elements: list[df.Element]) -> bool:
    """Whether elements can be read inside one constructor; else a class is easier to read."""
    return len(elements) <= _MOST and all(isinstance(e, df.OpCall | df.Instance) for e in elements)


def _named_branches(join: df.Join) -> list[tuple[str, df.Element]] | None:
    """The branches of a join by their names, if each is one named thing."""
    found: list[tuple[str, df.Element]] = []
    for step in join.body.steps:
        assert isinstance(step, df.Step)
        name, element = None, step.element
        if step.element is not None and step.origin is None and not step.kept:
            element = step.element if step.label else single(step.element)
            name = step.label or part_name(element)
        if not name or element is None:
            return None
        found.append((name, element))
    return found


def _same(value: Expression, default: Expression) -> bool:
    """Whether an argument need not be written; True and 1 are equal, but not the same."""
    return value == default and type(ex.literal(value)) is type(ex.literal(default))


def _pair_of(values: tuple[Expression, Expression], square: bool) -> Expression:
    if square:
        return values[0]
    first, second = values
    if isinstance(first, ex.Item) and isinstance(second, ex.Item):
        return ex.Parameter(first.parameter)
    return ex.Tuple(values)


def _head_path(unit: df.Definition) -> Path:
    """The path of a unit's head op inside it."""
    step = unit.body.steps[0]
    assert isinstance(step, df.Step)
    first = step.element.elements[0] if isinstance(step.element, df.Chain) else step.element
    if isinstance(first, df.Instance):
        return (first.name, *_head_path(first.definition))
    assert isinstance(first, df.OpCall)
    return (first.name,)
