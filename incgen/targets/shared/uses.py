"""Uses of units and blocks: the arguments of their classes or functions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Container, Iterable, Mapping
from functools import partial
from typing import NoReturn, TypeAlias

from incgen.base import diagnostics
from incgen.base.diagnostics import Diagnostic, SpecError
from incgen.base.source import Span
from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.language.initializers import Initializer
from incgen.resolve import definitions as df
from incgen.targets.shared.code import Code, Construct
from incgen.targets.shared.file import Form
from incgen.targets.shared.symbols import Symbol
from incgen.targets.shared.units import BORDERS, Place, UnitForm, unit_arguments
from incgen.targets.shared.values import (
    Args,
    Sides,
    as_float,
    as_tuple,
    four_sides,
    is_same,
    one_of_equal,
)
from incgen.targets.shared.weights import depthwise_fans, either, initializer
from incgen.targets.shared.windows import PADDING
from incgen.targets.shared.words import by_word
from incgen.targets.shared.writer import Writer

#: The arguments of a use by the parameters of what is used.
Given: TypeAlias = dict[str, Code]


class Uses(Writer):
    """Works out the arguments of ops, units and blocks."""

    #: Whether a border of several numbers is passed on as one argument.
    whole_borders = False
    #: The rules for which the framework counts other fans of a depthwise kernel.
    counted: Container[str] = ()

    def unsupported(self, span: Span, message: str, help: str) -> NoReturn:
        """Stop, because code for this framework cannot express something."""
        raise SpecError([Diagnostic(diagnostics.Code.UNSUPPORTED, message, span, help=help)])

    def arguments(
        self, call: df.OpCall, shape: Symbol, *, whole: bool = False
    ) -> dict[str, df.ArgumentValue]:
        """Return the arguments of an op; those of a unit's head are the unit's parameters.

        `whole` says whether a border of several numbers is one parameter.
        """
        written = dict(call.args)
        if call.forwards and self.unit is not None:
            written.update(unit_arguments(self.unit, whole=whole))
        return {n: self.resolved(v, shape) for n, v in self.file.settled(written).items()}

    def place(self, call: df.OpCall, shape: Symbol) -> Place:
        """Return the context of an op."""
        unit, init = self.unit if call.forwards else None, call.args.get("init")
        init = init if isinstance(init, Initializer) else None
        never_negative = call.span in self.file.analysis.never_negative
        return Place(shape, self.words, unit, init, never_negative=never_negative)

    def given(self, instance: df.Instance, shape: Symbol) -> Given:
        """Return the arguments of a use, including defaults that depend on it."""
        if instance.definition.kind == "unit":
            return self.unit_given(instance, shape)
        given: Given = {}
        for formal in instance.definition.parameters:
            if formal.name in instance.args or not isinstance(formal.default, ex.Literal):
                value = self.resolved(instance.args.get(formal.name, formal.default), shape)
                assert isinstance(value, Expression)
                given[formal.name] = value
        return given

    def said(self, instance: df.Instance, shape: Symbol) -> dict[str, df.ArgumentValue]:
        """Return the arguments that a use of a unit sets, or that a unit around it passes on."""
        written = dict(instance.args)
        if instance.forwards and self.unit is not None:
            written.update(unit_arguments(self.unit, whole=self.whole_borders))
        if "window" in self.file.analysis.unit_forms[instance.definition].args:
            written.setdefault("window", instance.definition.defaults["window"])
        return {n: self.resolved(v, shape) for n, v in self.file.settled(written).items()}

    def unit_given(self, instance: df.Instance, shape: Symbol) -> Given:
        """Return the arguments of a use of a unit."""
        unit, values = instance.definition, self.said(instance, shape)
        form = self.file.analysis.unit_forms[unit]
        given: Given = {}
        for name, value in values.items():
            if isinstance(value, df.WindowValue):
                given["kernel"] = _numbers(value.kernel, form.square_kernel)
                if form.strided:
                    given["stride"] = _numbers(value.stride, form.square_stride)
            elif name != "init" and name not in BORDERS:
                assert isinstance(value, Expression)
                given[name] = value
        everything = {**unit.defaults, **values}
        if form.padding:
            given["padding"] = self.use_padding(unit, everything)
        elif "border" in form.args:
            given["padding"] = self.border(unit, four_sides(everything["border"]))
        if self.gives_starts and "init" in form.args:
            start = self.start(instance, everything)
            given |= {} if start is None else {"init": start}
        return given

    def start(self, instance: df.Instance, args: Args) -> Code | None:
        """Return the initialiser of the kernels of a unit's head, if a use sets one."""
        said, own = args["init"], instance.args.get("init")
        if isinstance(own, Initializer):
            start = self.initializer(instance, own, args)
            return either(said, start) if isinstance(said, ex.Parameter) else start
        return said if isinstance(said, ex.Parameter) else None

    def initializer(self, instance: df.Instance, init: Initializer, args: Args) -> Code:
        """Return an initialiser for the kernels of a unit's head."""
        unit, head = instance.definition, instance.definition.head
        if head is not None and head.name == "separable_conv" and init.name in self.counted:
            framework = self.file.framework
            message = (
                f"`{unit.name}` has two kernels, which {framework} would initialise differently"
            )
            help_ = "set `init` in the unit, or use an initialiser with numbers: `normal(0.01)`"
            self.unsupported(instance.span, message, help_)
        depthwise = head is not None and head.name == "depthwise_conv"
        return initializer(init, depthwise_fans(args) if depthwise else None, self.counted)

    def use_padding(self, unit: df.Definition, args: Args) -> Expression:
        """Return the padding of one use of a unit, with a case for each word of a parameter.

        The arguments are all those of the unit's head.
        """
        pad = args.get("pad")
        if pad == PADDING:
            return self.handed_on(unit)
        if isinstance(pad, ex.Parameter) and (words := self.words(pad.name)):
            return by_word(args, "pad", words, partial(self.use_padding, unit), ex.choice)
        return self.known_padding(unit, args)

    @abstractmethod
    def border(self, unit: df.Definition, sides: Sides) -> Expression:
        """Return a border as a unit takes it."""

    def handed_on(self, unit: df.Definition) -> Expression:
        """Return the padding that a unit passes to one inside it: its own parameter."""
        inner = self.file.analysis.unit_forms[unit]
        if self.unit is None or self.unit.pad_sides == inner.pad_sides:
            return PADDING
        return self.border(unit, four_sides(unit_arguments(self.unit)["pad"]))

    @abstractmethod
    def known_padding(self, unit: df.Definition, args: Args) -> Expression:
        """Return the padding of one use of a unit; it is not a parameter that carries words."""

    def call(
        self,
        form: Form,
        given: Mapping[str, Code],
        first: Iterable[Code],
        last: tuple[tuple[str, Code], ...] = (),
    ) -> Construct:
        """Return the call of a class or function.

        Args:
            form: The class or function.
            given: The arguments by name; defaults are left out.
            first: The positional arguments before them.
            last: The keyword arguments after them.
        """
        by_place, by_name = [*first], list[tuple[str, Code]]()
        named = False
        for name, default in form.formals:
            value = given.get(name, default)
            if value is None or (isinstance(value, Expression) and is_same(value, default)):
                named = True
                continue
            flag = isinstance(value, ex.Literal) and isinstance(value.value, bool)
            named = named or default is not None or flag
            if isinstance(value, Expression):
                if name in form.either:
                    value = one_of_equal(value)
                elif isinstance(value, ex.Parameter) and value.name in self.several():
                    self.strict.add(value.name)
                value = as_float(value) if name in form.floats else value
            if named:
                by_name.append((name, value))
            else:
                by_place.append(value)
        return Construct(form.name, tuple(by_place), (*by_name, *last))


def _numbers(values: tuple[Expression, Expression], square: bool) -> Expression:
    return values[0] if square else as_tuple(values)


def border_of(sides: Sides, form: UnitForm) -> Expression:
    """Return a border as one, two or four numbers, or as the parameter that holds them."""
    if form.pad_sides == 1:
        return sides[0]
    return as_tuple(sides if form.pad_sides == 4 else (sides[0], sides[2]))
