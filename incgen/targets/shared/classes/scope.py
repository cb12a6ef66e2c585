"""One class while it is written: its statements, its names, its parameters, its attributes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TypeVar

from incgen.base.source import Span
from incgen.language import expressions as ex
from incgen.language.arithmetic import Value
from incgen.language.expressions import Expression
from incgen.language.names import MODULE_ATTRIBUTES
from incgen.language.signatures import Op as Operation
from incgen.resolve import definitions as df
from incgen.resolve.written import mapped
from incgen.targets.shared.classes.code import (
    Layer,
    Path,
    assigned,
    hint_of,
    is_nested,
    kind_of,
    own,
)
from incgen.targets.shared.code import BOOL, FLOAT, Chosen, Code, Node, Op, Type, parameters_in
from incgen.targets.shared.elements import names_in
from incgen.targets.shared.file import File
from incgen.targets.shared.parameters import ARGUMENT_TYPES, type_of, values_of
from incgen.targets.shared.scopes import Names
from incgen.targets.shared.shaping import Shaper
from incgen.targets.shared.symbols import Symbol, Unknown, parameters_for, sizes_of
from incgen.targets.shared.units import Place, UnitForm
from incgen.targets.shared.uses import Uses
from incgen.targets.shared.windows import PADDING, SAME
from incgen.targets.shared.writer import Flow

T = TypeVar("T")
#: Parts of a formula that may occur in several places; a longer one gets a variable.
_READABLE = 5
#: Numbers that one parameter can be.
_MOST_SIDES = 4


@dataclass(frozen=True, slots=True)
class _Known:
    """A context in which every size has a formula; a generator would be slower to enter."""

    scope: Scope
    span: Span  #: The place that needs the sizes

    def __enter__(self) -> None:
        """Begin it."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Report a size without a formula."""
        if isinstance(error, Unknown):
            framework = self.scope.file.framework
            message = f"{framework} needs a size here when the model is built: {error}"
            self.scope.unsupported(self.span, message, error.help)


class Scope(Uses):
    """The state of one class."""

    labels_inside = False
    #: Whether layers take the word for a padding as well as pixels.
    takes_padding_words = False

    def __init__(
        self,
        file: File,
        name: str,
        definition: df.Definition,
        is_map: bool,
        owner: Scope | None = None,
    ) -> None:
        """Begin an empty class; a part has an owner, and a definition that was made of it."""
        super().__init__(file, name, definition, is_map)
        self.owner = owner
        # A part has the parameters of the class around it.
        self.shaper: Shaper = owner.shaper if owner else file.analysis.shaper.inside(definition)
        own = definition.pixels is not None
        self.input = file.analysis.input if own else parameters_for("in", is_map)
        self.init: list[Node] = []
        self.forward: list[Node] = []
        self.level = 0  # how many conditions and loops surround what is written
        self.nested = 0  # how many modules surround the one that is written
        self.guards: tuple[Expression, ...] = ()  # the conditions under which it is built
        self.kept: dict[str, str] = {}  # the attributes that can hold parameters
        self.stored: dict[str, Expression] = {}  # attributes with the values of `forward`
        self.finals: dict[str, Type] = {}  # those that conditions in `forward` read
        self.computed: dict[str, Expression] = {}  # variables for long formulas
        self.locals: dict[tuple[str, object], list[str]] = {}  # those of modules, by base and kind
        self.busy: set[str] = set()  # those that the attribute being written uses
        self.hinted: set[str] = set()
        self.heads: dict[str, str] = {}
        self.kinds: dict[str, object] = {}
        self.mixed: set[str] = set()
        self.singles: frozenset[str] = frozenset()
        # The variables of the constructor, those of `forward`, and the attributes.
        self.variables = Names({*sizes_of("in"), *(name for name, _ in self.formals())}, file.names)
        self.values = Names({"x"}, file.names)
        self.attributes = Names(MODULE_ATTRIBUTES | names_in(definition.body))

    def known_at(self, span: Span) -> _Known:
        """Report a size that is needed inside but has no formula."""
        return _Known(self, span)

    # ------------------------------------------------------------ parameters

    def type(self, name: str) -> Type:
        """Return the type of a parameter."""
        if self.owner is not None:
            return self.owner.type(name)
        if self.unit is not None and self.definition.head is not None:
            return self.unit_type(name, self.unit, self.definition.head)
        if (self.definition, name) in self.file.analysis.floats:
            return FLOAT
        values = values_of(self.graph, self.definition, name)
        for formal in self.definition.parameters:
            if formal.name == name and isinstance(formal.default, ex.Literal):
                values.append(formal.default.value)
        taken = self.file.analysis.words.taken(self.definition, name)
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
        return self.file.analysis.words.type(self.definition, name) or ARGUMENT_TYPES[argument.kind]

    def words(self, parameter: str) -> list[Value]:
        return self.owner.words(parameter) if self.owner else super().words(parameter)

    # ------------------------------------------------------------ formulas

    def formula(self, written: Expression, shape: Symbol) -> Expression:
        """Return an expression with `channels` and the like in terms of this class."""
        return self.shortened(super().formula(written, shape))

    def resolved(self, value: df.ArgumentValue, shape: Symbol) -> df.ArgumentValue:
        """Return an argument in terms of this class."""
        value = super().resolved(value, shape)
        return mapped(value, self.shortened) if self.computed else value

    def shortened(self, formula: Expression) -> Expression:
        """Return a formula in terms of the variables for long ones."""
        for name, known in self.computed.items():
            formula = ex.replaced(formula, known, ex.Parameter(name))
        return formula

    def name_channels(self, shape: Symbol, label: str) -> None:
        """Introduce a variable for channels whose formula is too long to be repeated."""
        with suppress(Unknown):
            formula = self.shortened(shape.channels)
            if ex.is_longer(formula, _READABLE):
                self.computed[self.variables.take(f"{label}_channels")] = formula

    def named(self, shape: Symbol) -> Symbol:
        """Return a shape whose channels are a variable if there is one for them."""
        with suppress(Unknown):
            channels = self.shortened(shape.channels)
            return shape.replaced("channels", lambda: channels)
        return shape

    # ------------------------------------------------------------ ops

    def layer(self, call: df.OpCall, shape: Symbol) -> Layer:
        """Return an op as a module."""
        with self.known_at(call.span):
            args, place = self.arguments(call, shape), self.place(call, shape)
            known = self.op_layer(call, args, place)
            if place.unit is None or not place.unit.same:
                return known
            takes_both = (
                isinstance(known.module, Op) and known.module.args.get("padding") == PADDING
            )
            if self.takes_padding_words and takes_both:
                return known
            same = self.op_layer(call, {**args, "pad": SAME}, place)
            is_word = ex.Call("isinstance", (PADDING, ex.Name("str")))
            return replace(known, module=Chosen(is_word, same.module, known.module))

    @abstractmethod
    def op_layer(self, call: df.OpCall, args: dict[str, df.ArgumentValue], place: Place) -> Layer:
        """Return an op as a module, whose arguments are in terms of this class."""

    def applied(self, op: Op, flow: Flow, shape: Symbol) -> Flow:
        """Return an op as a function of a value; the parameters that it reads become attributes."""
        names: dict[str, Expression] = {}
        for name in parameters_in(op):
            attribute = self.attribute_of(name)
            self.stored.setdefault(attribute, ex.Parameter(name))
            names[name] = own(attribute)
            names |= {f"{name}[{i}]": ex.Item(f"self.{attribute}", i) for i in range(_MOST_SIDES)}
        args = {
            key: ex.substitute(fact, names, {}) if isinstance(fact, Expression) else fact
            for key, fact in op.args.items()
        }
        return Flow(Op(op.name, args, flow.code), shape)

    # ------------------------------------------------------------ attributes

    def attribute(self, name: str, module: Code, *, mixed: bool = False) -> None:
        """Write `self.name = module`.

        Args:
            name: The name of the attribute.
            module: The constructor of its module.
            mixed: Whether it is given modules of other classes elsewhere.
        """
        kind = kind_of(module)
        known = self.kinds.setdefault(name, "" if mixed else kind)
        if self.level and known and known != kind:
            self.mixed.add(name)
        self.init += assigned(own(name).text, module, "module" if mixed else hint_of(module))
        self.busy.clear()

    def attribute_of(self, parameter: str) -> str:
        """Return the attribute that holds a parameter: of its own name, unless a module has it."""
        if parameter not in self.kept:
            self.kept[parameter] = self.attributes.take(parameter, f"{parameter}_value")
        return self.kept[parameter]

    def flag(self, condition: Expression, name: str = "condition") -> Expression:
        """Return a condition as `forward` reads it: an attribute, of this name if it has none."""
        if isinstance(condition, ex.Unary) and condition.operator == "not":
            return ex.Unary("not", self.flag(condition.operand, name))
        if isinstance(condition, ex.Parameter):
            attribute = self.attribute_of(condition.name)
            self.stored[attribute] = condition
            self.finals[attribute] = self.type(condition.name)
            return own(attribute)
        if self.can_fail(condition):  # the attribute exists even if this place is not built
            for guard in reversed(self.guards):
                condition = ex.binary("and", guard, condition)
        flags = {name for name in parameters_in(condition) if self.type(name) == BOOL}
        condition = ex.as_truth(condition, flags)
        for attribute, known in self.stored.items():
            if known == condition:
                return own(attribute)
        attribute = self.attributes.take(name, joint="")
        self.stored[attribute], self.finals[attribute] = condition, BOOL
        return own(attribute)

    def can_fail(self, condition: Expression) -> bool:
        """Return whether a condition may divide by zero, or compute with a word."""
        match condition:
            case ex.Binary("/" | "//" | "%", _, right) if not ex.literal(right):
                return True
            case ex.Binary("==" | "!=" | "and" | "or" | "in"):
                words = False
            case _:
                parts = [p for p in ex.children(condition) if isinstance(p, ex.Parameter)]
                types = [self.type(part.name) for part in parts]
                words = any(t.words or "str" in t.kinds for t in types)
        return words or any(map(self.can_fail, ex.children(condition)))

    @contextmanager
    def only_if(self, *conditions: Expression | None) -> Iterator[None]:
        """Write what is built only if some conditions hold; None is one that always holds."""
        before = self.guards
        self.guards += tuple(condition for condition in conditions if condition is not None)
        yield
        self.guards = before

    # ------------------------------------------------------------ modules inside modules

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Write what stands inside another module."""
        self.nested += 1
        yield
        self.nested -= 1

    def apart(self, build: Callable[[], T]) -> tuple[T, list[Node]]:
        """Return the result of a function, and the statements that it wrote."""
        outer, self.init = self.init, []
        result = build()
        written, self.init = self.init, outer
        return result, written

    def placed(self, module: Code, path: Path, name: str) -> Code:
        """Return a module for its place: itself, or a variable if it takes an `if` statement.

        The variable has the name if the path ends in none.
        """
        return self.in_variable(module, path, name) if self.nested and is_nested(module) else module

    def in_variable(self, module: Code, path: Path, name: str) -> ex.Name:
        """Return a variable, to which a module is assigned."""
        hint = hint_of(module)
        variable = self.local(path, name, hint or kind_of(module))
        self.init += assigned(variable, module, self.new_hint(variable, hint))
        return ex.Name(variable)

    def local(self, path: Path, name: str, kind: object) -> str:
        """Take a variable for a module: one whose module has its place already, or a new one."""
        wanted = (*path[-1:], name)
        names = (word for word in wanted if isinstance(word, str) and word.isidentifier())
        base = next(names, "layer")
        used = self.locals.setdefault((base, kind), [])
        variable = next((known for known in used if known not in self.busy), None)
        if variable is None:
            variable = self.variables.take(base, joint="")
            used.append(variable)
        self.busy.add(variable)
        return variable

    def new_hint(self, variable: str, hint: str) -> str:
        """Return the type of a variable where it is first assigned, else nothing."""
        if variable in self.hinted:
            return ""
        self.hinted |= {variable} if hint else set()
        return hint
