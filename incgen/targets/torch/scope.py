"""One PyTorch class while it is written: its code, its names, what it says of its parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property

from incgen.base.source import Span
from incgen.language import expressions as ex
from incgen.language.arithmetic import Value
from incgen.language.expressions import Expression
from incgen.language.names import MODULE_ATTRIBUTES, class_name
from incgen.language.ops import Op as Operation
from incgen.resolve import definitions as df
from incgen.targets.shared import file as shared
from incgen.targets.shared.code import (
    FLOAT,
    Chosen,
    Node,
    Op,
    Type,
    parameters_in,
)
from incgen.targets.shared.elements import names_in
from incgen.targets.shared.parameters import (
    ARGUMENT_TYPES,
    float_parameters,
    type_of,
    values_of,
)
from incgen.targets.shared.place import Place
from incgen.targets.shared.scopes import Names
from incgen.targets.shared.shaping import Shaper, mapped, own_input
from incgen.targets.shared.symbols import Symbol, Unknown
from incgen.targets.shared.units import UnitForm, head_arguments
from incgen.targets.shared.uses import Uses
from incgen.targets.shared.values import ZERO
from incgen.targets.shared.windows import PADDING, SAME
from incgen.targets.shared.writer import Flow
from incgen.targets.torch.code import (
    INPUT_SIZES,
    Key,
    Path,
    Start,
    own,
    sizes_of,
)
from incgen.targets.torch.ops import Layer, layer

#: Parts of a formula that can stand in several places; a longer one gets a variable.
_READABLE = 5
#: Numbers that one parameter can be.
_MOST_SIDES = 4


class File(shared.File):
    """What a class asks of the file that it is written into."""

    target, spelt = "torch", class_name

    decaying = False  # whether something has weight decay

    @cached_property
    def shaper(self) -> Shaper:
        """Return what gives the shape behind an element."""
        return Shaper(self.graph, self.words)

    @cached_property
    def floats(self) -> set[tuple[df.Definition, str]]:
        """Return the parameters that are numbers with a point and nothing else."""
        return float_parameters(self.graph.program)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a definition that becomes a class of its own.

    Attributes:
        element: the part: a group, join, chain or repeat.
        path: where it stands in the class around it.
        captured: the outer values that it uses, and what their sizes are called.
        span: where it is written.
    """

    element: df.Element
    path: Path
    captured: Mapping[str, str]
    span: Span


class Scope(Uses):
    """The state of one class, and what every part of its writer asks of it."""

    file: File
    labels_inside, gives_starts = False, False

    def __init__(
        self,
        file: File,
        name: str,
        definition: df.Definition,
        start: Symbol,
        owner: Scope | None = None,
    ) -> None:
        """Begin an empty class.

        Args:
            file: the file.
            name: of the class.
            definition: what it is written for; for a part a definition made of it.
            start: the shape of its input.
            owner: for a part, the class around it.
        """
        super().__init__(file, name, definition)
        self.owner = owner
        # a part has the parameters of the class around it
        self.shaper: Shaper = owner.shaper if owner else file.shaper.inside(definition)
        self.input = start
        self.init: list[Node] = []
        self.forward: list[Node] = []
        self.level = 0  # of conditions and loops around what is written
        self.finals: dict[str, Type] = {}
        self.kept: dict[str, str] = {}  # the attributes that could keep parameters
        self.stored: dict[str, Expression] = {}
        self.computed: dict[str, Expression] = {}
        self.starts: list[Start] = []  # of the module that becomes an attribute
        self.nested = 0  # how many modules are around the one that is written
        self.locals: dict[tuple[str, object], list[str]] = {}  # those of modules, by base and kind
        self.busy: set[str] = set()  # those in the attribute that is written
        self.hinted: set[str] = set()
        self.rates: list[tuple[Key, Expression]] = []
        self.decaying = False
        self.heads: dict[str, str] = {}
        self.kinds: dict[str, object] = {}
        self.mixed: set[str] = set()
        self.singles: frozenset[str] = frozenset()
        # the variables of `__init__`, those of `forward`, and the attributes
        self.variables = Names({*INPUT_SIZES, *(name for name, _ in self.formals())}, file.names)
        self.values = Names({"x"}, file.names)
        self.attributes = Names(MODULE_ATTRIBUTES | names_in(definition.body))
        self.in_place = self.decays_in_place()

    def decays_in_place(self) -> bool:
        """Return whether weight decay depends on conditions or loops: no one dictionary has it."""
        return any(
            isinstance(inner, df.OpCall) and inner.args.get("l2", ZERO) != ZERO
            for element in df.elements(self.definition.body)
            if isinstance(element, df.Conditional | df.Repeat)
            for inner in df.within(element)
        )

    # ------------------------------------------------------------ faults

    @contextmanager
    def known_at(self, span: Span) -> Iterator[None]:
        """Report sizes that are asked for inside and have no formula."""
        try:
            yield
        except Unknown as error:
            message = f"PyTorch needs a size here when the model is built: {error}"
            self.unsupported(span, message, error.help)

    # ------------------------------------------------------------ parameters

    def usual_padding(self, unit: UnitForm) -> Expression:
        """Return the default of the padding of the unit that is written."""
        return ZERO if unit.pad_sides == 1 else ex.Tuple((ZERO,) * unit.pad_sides)

    def type(self, name: str) -> Type:
        """Return the type of a parameter."""
        if self.owner is not None:
            return self.owner.type(name)
        if self.unit is not None and self.definition.head is not None:
            return self.unit_type(name, self.unit, self.definition.head)
        if (self.definition, name) in self.file.floats:
            return FLOAT
        values = values_of(self.graph, self.definition, name)
        for formal in self.definition.parameters:
            if formal.name == name and isinstance(formal.default, ex.Literal):
                values.append(formal.default.value)
        taken = self.file.words.taken(self.definition, name)
        return type_of([*taken, *values], closed=bool(taken))

    def unit_type(self, name: str, unit: UnitForm, head: Operation) -> Type:
        """Return the type of a parameter of a unit."""
        if name in ("kernel", "stride", "padding"):
            several, single = name in self.several(), name in self.singles
            numbers = unit.pad_sides if name == "padding" else 2
            words = ("same",) if name == "padding" and unit.same else ()
            kinds = ("int",) if single or not several else ()
            return Type(kinds, numbers if several else 0, words)
        argument = head.argument(name)
        assert argument is not None
        return self.file.words.type(self.definition, name) or ARGUMENT_TYPES[argument.kind]

    def words(self, parameter: str) -> list[Value]:
        """Return the values of a padding if words are among them, to write a case for each."""
        return self.owner.words(parameter) if self.owner else super().words(parameter)

    # ------------------------------------------------------------ formulas

    def formula(self, written: Expression, shape: Symbol) -> Expression:
        """Return an expression with `channels` and the like in the terms of this class."""
        return self.shortened(super().formula(written, shape))

    def resolved(self, value: df.ArgumentValue, shape: Symbol) -> df.ArgumentValue:
        """Return an argument in the terms of this class."""
        value = super().resolved(value, shape)
        return mapped(value, self.shortened) if self.computed else value

    def shortened(self, formula: Expression) -> Expression:
        """Return a formula by its variable, if it has one."""
        for name, known in self.computed.items():
            formula = ex.replaced(formula, known, ex.Parameter(name))
        return formula

    def name_channels(self, shape: Symbol, label: str) -> None:
        """Give a variable to channels whose formula is too long to be read again and again."""
        with suppress(Unknown):
            formula = self.shortened(shape.channels)
            if ex.is_longer(formula, _READABLE):
                self.computed[self.variables.take(f"{label}_channels")] = formula

    def named(self, shape: Symbol) -> Symbol:
        """Return a shape whose channels are a variable, if they have one."""
        with suppress(Unknown):
            return shape.with_channels(self.shortened(shape.channels))
        return shape

    def arguments(self, call: df.OpCall, shape: Symbol) -> dict[str, df.ArgumentValue]:
        """Return the arguments of an op in the terms of this class."""
        written = head_arguments(call, self.unit)
        args = {name: self.resolved(value, shape) for name, value in written.items()}
        if self.unit is not None and call.forwards and "init" in self.unit.args:
            args["init"] = call.args["init"]  # a use that says another writes it itself
        return args

    def layer(self, call: df.OpCall, shape: Symbol) -> Layer:
        """Return the PyTorch form of an op."""
        with self.known_at(call.span):
            args = self.arguments(call, shape)
            unit = self.unit if call.forwards else None
            place = Place(shape, self.words, unit)
            result = layer(call.op.name, args, place)
            if unit is None or not unit.same:
                return result
            same = layer(call.op.name, {**args, "pad": SAME}, place)
            is_word = ex.Call("isinstance", (PADDING, ex.Name("str")))
            return replace(result, module=Chosen(is_word, same.module, result.module))

    def applied(self, op: Op, flow: Flow, shape: Symbol) -> Flow:
        """Return an op as a function of a value; parameters that it reads become attributes."""
        names: dict[str, Expression] = {}
        for name in parameters_in(op):
            attribute = self.attribute_of(name)
            self.stored.setdefault(attribute, ex.Parameter(name))
            names[name] = own(attribute)
            names |= {f"{name}[{i}]": ex.Item(f"self.{attribute}", i) for i in range(_MOST_SIDES)}
        args = {key: _substituted(fact, names) for key, fact in op.args.items()}
        return Flow(Op(op.name, args, flow.code), shape)

    def attribute_of(self, parameter: str) -> str:
        """Return the attribute that keeps a parameter; its own name, unless a module has that."""
        if parameter not in self.kept:
            self.kept[parameter] = self.attributes.take(parameter, f"{parameter}_value")
        return self.kept[parameter]


def part_input(
    is_map: bool, captured: Mapping[str, Symbol], names: Mapping[str, str]
) -> tuple[Symbol, dict[str, Symbol]]:
    """Return the shapes of a part's input and of the outer values it uses, in its own terms."""

    def own(name: str, shape: Symbol) -> Symbol:
        channels, height, width = map(ex.Parameter, sizes_of(name))
        return Symbol(channels, shape.is_map, lambda: height, lambda: width)

    own_shapes = {label: own(names[label], shape) for label, shape in captured.items()}
    return own_input(is_map), own_shapes


def _substituted(fact: object, names: Mapping[str, Expression]) -> object:
    """Return a fact of an op with other names for parameters."""
    if isinstance(fact, Expression):
        return ex.substitute(fact, names, {})
    return fact
