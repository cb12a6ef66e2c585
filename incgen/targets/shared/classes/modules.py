"""Modules as expressions: whatever stands under a label, or in a container, as one constructor.

The paths of parameters are the label paths. So a chain is a sequence of modules, a body a sequence
with names, a join a container of its branches, and anything else a class of its own. A target whose
framework has no such sequence or container has no macro for it, and gets a class there too.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import assert_never

from incgen.base.source import Span
from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.language.names import class_name
from incgen.resolve import definitions as df
from incgen.resolve.written import outer_labels, written_in
from incgen.targets.shared.classes.code import (
    Built,
    Class,
    Layer,
    Path,
    assigned,
    is_nested,
)
from incgen.targets.shared.classes.scope import Scope
from incgen.targets.shared.code import (
    Applied,
    Bind,
    Chosen,
    Code,
    Construct,
    Loop,
    Op,
    branches,
    names_in,
    opposite,
    parameters_in,
)
from incgen.targets.shared.elements import only, part_name, single, unwrapped
from incgen.targets.shared.file import Form
from incgen.targets.shared.symbols import AXES, Symbol, parameters_for, sizes_of
from incgen.targets.shared.units import UnitForm
from incgen.targets.shared.uses import border_of
from incgen.targets.shared.values import ZERO, Args, Sides, window
from incgen.targets.shared.windows import SAME, padding

#: The most named parts in one constructor.
_MOST = 4
IDENTITY = Op("identity", {})


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a definition that becomes a class of its own."""

    element: df.Element  #: The part: a group, join, chain or repeat
    path: Path  #: Its path in the class around it
    captured: Mapping[str, str]  #: The outer values that it uses, and the names of their sizes


class Modules(Scope):
    """Writes constructors, and to the file the classes that they need."""

    def built(self, element: df.Element, shape: Symbol, path: Path) -> Built:
        """Return the module at a path, which may use outer values."""
        element, origin = unwrapped(element)
        if origin is not None:
            flow = self.labels[origin]
            return self.built(element, flow.shape, path).on(flow.code)
        if isinstance(element, df.Conditional):
            return self.either(element, shape, path)
        labels = sorted(outer_labels(element))
        if not labels:
            return Built(self.module(element, shape, path))
        values = [self.labels[label].code for label in labels]
        module = self.part(element, shape, path, self.size_names(labels))
        return Built(module, lambda module, x: Applied(module, (x, *values)))

    def module(self, element: df.Element, shape: Symbol, path: Path) -> Code:
        """Return the constructor of an element that uses no outer values."""
        match element:
            case df.OpCall():
                return self.op_module(self.layer(element, shape), path, element.op.name)
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

    def op_module(self, layer: Layer, path: Path, name: str) -> Code:
        """Return the constructor of an op for its place."""
        return self.placed(layer.module, path, name)

    # ------------------------------------------------------------ units and blocks

    def constructor(self, instance: df.Instance, shape: Symbol, path: Path) -> Code:
        """Return the constructor of a unit or block for its place."""
        form = self.file.form(instance.definition, shape.is_map)
        with self.known_at(instance.span):
            given = self.given(instance, shape)
        return self.construct(form, given, shape, instance.span)

    def construct(
        self, form: Form, given: Mapping[str, Code], shape: Symbol, span: Span
    ) -> Construct:
        """Return a constructor call: the sizes of the input come first."""
        own = {f"in_{axis}": axis for axis in AXES}
        with self.known_at(span):
            sizes = [shape.size(own[s]) if s in own else given[s] for s in form.sizes]
        return self.call(form, given, sizes)

    def usual_padding(self, unit: UnitForm) -> Expression:
        return ZERO if unit.pad_sides == 1 else ex.Tuple((ZERO,) * unit.pad_sides)

    def border(self, unit: df.Definition, sides: Sides) -> Expression:
        return border_of(sides, self.file.analysis.unit_forms[unit])

    def handed_on(self, unit: df.Definition) -> Expression:
        form, outer = self.file.analysis.unit_forms[unit], self.unit
        if outer is not None and outer.same and outer.pad_sides < form.pad_sides:
            message = f"`{unit.name}` takes separate borders for height and width"
            self.unsupported(unit.span, message, "write the border of every use in pixels")
        return super().handed_on(unit)

    def known_padding(self, unit: df.Definition, args: Args) -> Expression:
        form = self.file.analysis.unit_forms[unit]
        around = padding(args, odd=form.odd)
        if around.sides is not None:
            return self.border(unit, around.sides)
        if not form.same:
            message = f"the padding `same` cannot be passed to `{unit.name}` by a parameter here"
            self.unsupported(
                window(args).span or unit.span, message, "write `same` where it is used"
            )
        return SAME

    # ------------------------------------------------------------ parts

    def part(
        self,
        element: df.Element,
        shape: Symbol,
        path: Path,
        captured: Mapping[str, str] = MappingProxyType({}),
    ) -> Code:
        """Return the constructor of an element that becomes a class of its own."""
        part = Part(element, path, captured)
        inner = self.part_definition(part)
        outer = {label: self.labels[label].shape for label in captured}
        shapes = {
            label: parameters_for(captured[label], value.is_map) for label, value in outer.items()
        }
        named = [class_name(word) for word in path if isinstance(word, str)]
        name = self.file.free(self.name + "".join(named))
        writer = type(self)(self.file, name, inner, shape.is_map, self)
        form, written = writer.part_class(part, shapes)
        self.file.written.append(written)
        given: dict[str, Code] = {f.name: ex.Parameter(f.name) for f in inner.parameters}
        with self.known_at(element.span):
            for label, value in outer.items():
                for size, axis in zip(sizes_of(captured[label]), AXES, strict=True):
                    if size in form.sizes:
                        given[size] = value.size(axis)
        return self.construct(form, given, shape, element.span)

    def part_definition(self, part: Part) -> df.Definition:
        """Return a definition made of a part, with the parameters that it uses."""
        where = ".".join(label for label in part.path if isinstance(label, str))
        doc = f"The `{where}` of `{self.name}`." if where else f"A part of `{self.name}`."
        span = part.element.span
        body = df.Body((df.Step(None, None, part.element, False, "", span=span),), span=span)
        if isinstance(part.element, df.Group):
            body = part.element.body
        written = parameters_in(written_in(body))
        known = [df.Formal(name, None, span=span) for name, _ in self.formals()]
        used = tuple(formal for formal in known if formal.name in written)
        return df.Definition("part", self.definition.name, used, body, None, None, doc, span)

    @abstractmethod
    def part_class(self, part: Part, captured: dict[str, Symbol]) -> tuple[Form, Class]:
        """Write a class for a part of another, which takes the outer values that it uses."""

    def size_names(self, labels: list[str]) -> dict[str, str]:
        """Return the prefix of the names of each outer value's sizes in the class of a part."""
        taken = {name for name, _ in self.formals()}
        prefixes = {}
        for label in labels:
            name = label
            while taken & {*sizes_of(name)}:
                name = f"{name}_value"
            taken |= {*sizes_of(name)}
            prefixes[label] = name
        return prefixes

    # ------------------------------------------------------------ containers

    def chain(self, chain: df.Chain, shape: Symbol, path: Path) -> Code:
        """Return a chain under a label."""
        modules = []
        for number, child in enumerate(chain.elements):
            with self.inside():
                modules.append(self.module(child, shape, (*path, str(number))))
            shape = self.shaper.element(child, shape, {})
        return Op("sequence", {"modules": tuple(modules)})

    def group(self, group: df.Group, shape: Symbol, path: Path) -> Code:
        """Return a body under a label: its steps in sequence, under their names."""
        step = only(group.body)
        if group.name is None and step is not None and step.label is None:
            assert step.element is not None
            return self.module(step.element, shape, path)
        parts = _named_parts(group.body)
        has_macro = self.file.printer.has("named")
        if parts is None or not (group.name and has_macro and _is_short([e for _, e in parts])):
            return self.part(group, shape, path)
        pairs = []
        for name, element in parts:
            with self.inside():
                pairs.append((name, self.module(element, shape, (*path, name))))
            shape = self.shaper.element(element, shape, {})
        return Op("named", {"parts": tuple(pairs)})

    def container(self, join: df.Join, shape: Symbol, path: Path) -> Code:
        """Return a join under a label, as a container of its branches."""
        branches = _named_branches(join)
        ranks = {branch.is_map for branch in self.shaper.branches(join, shape, self.shapes())}
        if branches is None or len(ranks) > 1 or not self.file.printer.has("container"):
            return self.part(join, shape, path)
        with self.inside():
            modules = [
                (name, self.module(branch, shape, (*path, name))) for name, branch in branches
            ]
        return Op("container", {"kind": join.kind, "branches": tuple(modules)})

    def shapes(self) -> dict[str, Symbol]:
        """Return the shapes of the labelled values."""
        return {label: flow.shape for label, flow in self.labels.items()}

    # ------------------------------------------------------------ conditions and repeats

    def either(self, element: df.Conditional, shape: Symbol, path: Path) -> Built:
        """Return one of two modules."""
        condition = self.formula(element.condition, shape)
        known = ex.literal(condition)
        if known is not None:
            return self.side(element.then if known else element.otherwise, shape, path)
        with self.inside():
            busy = {*self.busy}
            with self.only_if(condition):
                then, first = self.apart(lambda: self.side(element.then, shape, path))
            self.busy = busy  # the other side can use the same variables
            with self.only_if(opposite(condition)):
                otherwise, second = self.apart(lambda: self.side(element.otherwise, shape, path))
        module: Code = Chosen(condition, then.module, otherwise.module)
        if first or second or is_nested(module):
            variable = self.local(path, part_name(element) or "", "module")
            first += assigned(variable, then.module, self.new_hint(variable, "module"))
            second += assigned(variable, otherwise.module)
            self.init += branches([(condition, first), (None, second)])
            module = ex.Name(variable)
        return self.chosen(module, [(condition, then)], otherwise)

    def side(self, body: df.Body | None, shape: Symbol, path: Path) -> Built:
        """Return one side of a condition under a label, or one iteration of a repeat."""
        if body is None:
            return Built(IDENTITY)
        step = body.steps[0]
        assert isinstance(step, df.Step)
        # of several steps of an iteration, a pass may leave one, which keeps its name
        name = None if step.element is None else part_name(step.element)
        own = step.label in (None, path[-1]) and name in (None, "", path[-1])
        if len(body.steps) > 1 or not own:
            return self.built(df.Group(body, "", span=body.span), shape, path)
        flow = None if step.origin is None else self.labels[step.origin]
        inner = Built(IDENTITY)
        if step.element is not None:
            inner = self.built(step.element, flow.shape if flow else shape, path)
        return inner if flow is None else inner.on(flow.code)

    def chosen(
        self, module: Code, sides: list[tuple[Expression, Built]], otherwise: Built
    ) -> Built:
        """Return a module that is called in the way of the side that was built."""
        module_, x_ = ex.Name("module"), ex.Name("x")
        called = otherwise.call(module_, x_)
        if all(built.call(module_, x_) == called for _, built in sides):
            return Built(module, otherwise.call)
        flags = []
        for number, (condition, built) in enumerate(sides):
            with self.only_if(*(opposite(earlier) for earlier, _ in sides[:number])):
                flags.append((self.flag(condition), built))

        def call(module: Code, x: Code) -> Code:
            result = otherwise.call(module, x)
            for flag, built in reversed(flags):
                result = Chosen(flag, built.call(module, x), result)
            return result

        return Built(module, call)

    def repeated(self, repeat: df.Repeat, shape: Symbol, path: Path) -> Code:
        """Return a repeat: one module for each iteration, with formulas for what changes."""
        with self.variables.loop() as variable:
            with self.known_at(repeat.span):
                count = self.formula(repeat.count, shape)
                progress = self.shaper.progress(repeat, shape, {}, ex.Name(variable))
            if progress.change is not None:
                return self.part(repeat, shape, path)
            inner = (*path, ex.Name(variable))
            with self.inside():
                built, statements = self.apart(
                    lambda: self.side(repeat.body, progress.before, inner)
                )
            used = variable if variable in names_in((built.module, statements)) else "_"
        if not statements:
            return Op("repeated", {"module": built.module, "count": count, "variable": used})
        blocks = self.local((), "blocks", "modules")
        self.init.append(Bind(blocks, Op("nothing", {}), self.new_hint(blocks, "modules")))
        append = Op("append", {"target": blocks, "module": built.module})
        self.init.append(Loop(used, ex.Call("range", (count,)), (*statements, append)))
        return Op("sequence_of", {"modules": ex.Name(blocks)})


def _named_parts(body: df.Body) -> list[tuple[str, df.Element]] | None:
    """Return the elements of a body by their names if they are a plain sequence."""
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
    """Return whether elements are easier to read in one constructor than in a class."""
    return len(elements) <= _MOST and all(isinstance(e, df.OpCall | df.Instance) for e in elements)


def _named_branches(join: df.Join) -> list[tuple[str, df.Element]] | None:
    """Return the branches of a join by their names if each has one."""
    named: list[tuple[str, df.Element]] = []
    for step in join.body.steps:
        assert isinstance(step, df.Step)
        name, element = None, step.element
        if step.element is not None and step.origin is None and not step.kept:
            element = step.element if step.label else single(step.element)
            name = step.label or part_name(element)
        if not name or element is None:
            return None
        named.append((name, element))
    return named
