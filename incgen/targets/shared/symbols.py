"""Shapes as formulas, for code that is written once for every use of a block.

A generated class knows its parameters, not their values. Here the definitions are read with
symbols in place of numbers: `n1x1 + n3x3 + ndouble + proj` is what comes out of an inception
block. Heights and widths are computed only if something asks, because most code never does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

from incgen.graph.nodes import Graph
from incgen.graph.shapes import Window
from incgen.language import expressions as ex
from incgen.language.arithmetic import Value
from incgen.language.ops import Kind
from incgen.language.printing import python
from incgen.resolve import definitions as df
from incgen.resolve.arguments import PAD_WORDS
from incgen.targets.shared.code import BOOL, FLOAT, INT, STR, Type


class Unknown(LookupError):
    """A size has no formula.

    Attributes:
        help: what to do about it.
    """

    def __init__(self, message: str, help: str) -> None:
        """Keep the parts of a report."""
        super().__init__(message)
        self.help = help


def _no_size() -> ex.Expression:
    raise Unknown("a vector comes here, without height and width", "use the map in front of it")


#: Parts of a formula: nobody would read a longer one, and they can grow like 2**layers.
_LONGEST = 150
_Formula: TypeAlias = ex.Expression | Callable[[], ex.Expression]


class Symbol:
    """A shape as formulas, each computed when it is first asked for."""

    __slots__ = ("_channels", "_height", "_width", "is_map")

    def __init__(
        self,
        channels: _Formula,
        is_map: bool,
        height: Callable[[], ex.Expression] = _no_size,
        width: Callable[[], ex.Expression] = _no_size,
    ) -> None:
        """Keep the formulas, or what computes them."""
        self._channels, self.is_map = channels, is_map
        self._height: _Formula = height
        self._width: _Formula = width

    @property
    def channels(self) -> ex.Expression:
        """The formula of the channels."""
        self._channels = _settled("channels", self._channels)
        return self._channels() if callable(self._channels) else self._channels

    @property
    def named(self) -> str | None:
        """The parameter that the channels are, if they are one."""
        with suppress(Unknown):
            if isinstance(self.channels, ex.Parameter):
                return self.channels.name
        return None

    def height(self) -> ex.Expression:
        """The formula of the height."""
        self._height = _settled("height", self._height)
        return self._height() if callable(self._height) else self._height

    def width(self) -> ex.Expression:
        """The formula of the width."""
        self._width = _settled("width", self._width)
        return self._width() if callable(self._width) else self._width

    def settle(self) -> None:
        """Compute what can be computed now."""
        with suppress(Unknown):
            _ = self.channels
        for size in (self.height, self.width):
            with suppress(Unknown):
                size()

    def with_channels(self, channels: ex.Expression | Callable[[], ex.Expression]) -> Symbol:
        """The same map or vector with other channels."""
        return Symbol(channels, self.is_map, self.height, self.width)

    def replaced(self, axis: str, size: Callable[[], ex.Expression]) -> Symbol:
        """The same with another formula for one axis."""
        sizes = {"channels": lambda: self.channels, "height": self.height, "width": self.width}
        sizes[axis] = size
        return Symbol(sizes["channels"], self.is_map, sizes["height"], sizes["width"])

    def vector(self, channels: ex.Expression) -> Symbol:
        """A vector."""
        return Symbol(channels, False)

    @property
    def dimensions(self) -> Mapping[str, ex.Expression]:
        """What `channels`, `height` and `width` stand for."""
        return _Dimensions(self)


def _settled(axis: str, formula: _Formula) -> _Formula:
    """A formula, computed; where there is none, what tells again why."""
    if not callable(formula):
        return formula
    try:
        formula = formula()
        if ex.is_longer(formula, _LONGEST):
            what = f"the formula of the {axis} is too long to be written"
            raise Unknown(what, "give the number by a parameter of the block")
    except Unknown as error:
        message, help_ = str(error), error.help

        def again() -> ex.Expression:
            raise Unknown(message, help_)

        return again
    return formula


class _Dimensions(dict[str, ex.Expression]):
    """Looks a dimension up when it is asked for."""

    def __init__(self, shape: Symbol) -> None:
        super().__init__()
        self._shape = shape

    def get(self, axis: str, default: object = None) -> ex.Expression:
        """The formula of one axis."""
        shape = self._shape
        if axis == "channels":
            return shape.channels
        return shape.height() if axis == "height" else shape.width()


@dataclass(frozen=True, slots=True)
class UnitForm:
    """The parameters that a unit has, because its uses say them.

    Attributes:
        args: the arguments of its head op, in the order of the table.
        square_kernel: whether every kernel is a square, written as one number.
        square_stride: likewise for strides.
        strided: whether a use has a stride.
        odd: whether every kernel is odd, whatever parameters a network is given.
        pad_sides: how many numbers the padding is: 1, 2 or 4.
        same: whether a use may pad by TensorFlow's `same` in a way that depends on sizes.
    """

    args: tuple[str, ...]
    square_kernel: bool
    square_stride: bool
    strided: bool
    odd: bool
    pad_sides: int = 1
    same: bool = False

    @property
    def padding(self) -> bool:
        """Whether uses say the padding."""
        return "pad" in self.args


#: The arguments that are borders; every unit has them as its `padding`.
BORDERS = ("pad", "border")


def unit_forms(graph: Graph) -> dict[df.Definition, UnitForm]:
    """The form of every unit that a network reaches."""
    uses: dict[df.Definition, list[dict[str, df.ArgumentValue]]] = {}
    forms: dict[df.Definition, UnitForm] = {}
    opened = open_parameters(graph.program)
    cases = PaddingCases(graph, opened)
    loose: set[df.Definition] = set()
    words: set[df.Definition] = set()
    # Users come before what they use, so a unit's form is known before its head is looked at.
    for definition in (graph.program.network, *reversed(graph.program.definitions)):
        if definition.kind == "unit":
            odd = definition not in loose and _odd_kernels(definition, graph)
            same = definition in words
            forms[definition] = _form(definition, uses.get(definition, []), odd, same)
        for element in df.elements(definition.body):
            if isinstance(element, df.Instance) and element.definition.kind == "unit":
                given = dict(element.args)
                if element.forwards:
                    given.update(unit_arguments(forms[definition]))
                    if definition in loose:
                        loose.add(element.definition)
                    if definition in words:
                        words.add(element.definition)
                if _may_be_even(element, definition, graph, opened):
                    loose.add(element.definition)
                if _may_be_same(element, definition, cases):
                    words.add(element.definition)
                uses.setdefault(element.definition, []).append(given)
    return forms


class OpenParameters:
    """The parameters whose values depend on those of the network, which users may change."""

    def __init__(self) -> None:
        """Begin with none."""
        self._found: set[tuple[df.Definition, str]] = set()
        self.fixed = True

    def add(self, definition: df.Definition, name: str) -> None:
        """Note a parameter."""
        self._found.add((definition, name))
        self.fixed = False

    def has(self, definition: df.Definition, name: str) -> bool:
        """Whether a parameter of a definition is open."""
        return (definition, name) in self._found

    def any(self, definition: df.Definition, expressions: Iterable[ex.Expression]) -> bool:
        """Whether expressions inside a definition depend on something open."""
        pending = list(expressions)
        while pending:
            node = pending.pop()
            if isinstance(node, ex.Parameter) and self.has(definition, node.name):
                return True
            if isinstance(node, ex.Dimension) and not self.fixed:
                return True
            pending.extend(ex.children(node))
        return False


def open_parameters(program: df.Program) -> OpenParameters:
    """The open parameters of a network and of what it reaches."""
    found = OpenParameters()
    for formal in program.network.parameters:
        found.add(program.network, formal.name)
    for definition in (program.network, *reversed(program.definitions)):
        for element in df.elements(definition.body):
            if not isinstance(element, df.Instance):
                continue
            for formal in element.definition.parameters:
                value = element.args.get(formal.name, formal.default)
                if isinstance(value, ex.Expression) and found.any(definition, [value]):
                    found.add(element.definition, formal.name)
    return found


def float_parameters(program: df.Program) -> set[tuple[df.Definition, str]]:
    """The parameters that are used as numbers with a point, and as nothing else."""
    found: set[tuple[df.Definition, str]] = set()
    for definition in (*program.definitions, program.network):
        as_floats: set[str] = set()
        others: set[str] = set()
        for element in df.elements(definition.body):
            for value, is_float in _typed_values(element, found):
                direct = isinstance(value, ex.Parameter) and is_float
                (as_floats if direct else others).update(parameters_of(_expressions(value)))
        found |= {(definition, name) for name in as_floats - others}
    return found


def _typed_values(
    element: df.Element, floats: set[tuple[df.Definition, str]]
) -> Iterator[tuple[df.ArgumentValue, bool]]:
    """The values in an element, and whether each is a number with a point."""
    match element:
        case df.OpCall():
            for argument in element.op.arguments:
                yield element.args[argument.name], argument.kind is Kind.FACTOR
        case df.Instance():
            head = element.definition.head
            for name, value in element.args.items():
                own = head.argument(name) if head is not None else None
                by_kind = own is not None and own.kind is Kind.FACTOR
                yield value, by_kind or (element.definition, name) in floats
        case df.Repeat():
            yield element.count, False
        case df.Conditional():
            yield element.condition, False
        case _:
            pass


def _expressions(value: df.ArgumentValue) -> list[ex.Expression]:
    match value:
        case df.WindowValue():
            return [*value.kernel, *value.stride]
        case df.SidesValue():
            return list(value.sides)
        case _ if isinstance(value, ex.Expression):
            return [value]
        case _:
            return []


def _odd_kernels(unit: df.Definition, graph: Graph) -> bool:
    own = df.unit_defaults(unit).get("window") if unit.head is not None else None
    if isinstance(own, df.WindowValue):
        known = [ex.literal(side) for side in own.kernel]
        if any(isinstance(side, int) and side % 2 == 0 for side in known):
            return False
    seen = graph.observed[unit].values.get("window", []) if unit in graph.observed else []
    return all(k % 2 for w in seen if isinstance(w, Window) for k in w.kernel)


def _may_be_even(
    use: df.Instance, definition: df.Definition, graph: Graph, opened: OpenParameters
) -> bool:
    """Whether a use may give a window that is even, also one that the graph does not contain."""
    frame = use.args.get("window")
    if not isinstance(frame, df.WindowValue):
        return False
    if opened.any(definition, frame.kernel):
        return True
    built = definition.kind == "network" or definition in graph.observed
    for side in frame.kernel:
        match side:
            case ex.Literal(value):
                values: list[object] = [value]
            case ex.Parameter(name):
                values = values_of(graph, definition, name)
            case _ if built:
                continue  # computed: the graph has its values
            case _:
                return True
        if any(isinstance(value, int) and value % 2 == 0 for value in values):
            return True
    return False


def _form(
    unit: df.Definition,
    uses: list[dict[str, df.ArgumentValue]],
    odd: bool,
    same: bool,
) -> UnitForm:
    if unit.head is None:
        return UnitForm((), True, True, False, True)
    said = {name for use in uses for name in use}
    args = tuple(a.name for a in unit.head.arguments if a.name in said)
    defaults = df.unit_defaults(unit)
    # Where some uses give a window, those that do not pass the unit's own.
    found = [use.get("window", defaults.get("window")) for use in uses] if "window" in said else []
    windows = [window for window in found if isinstance(window, df.WindowValue)]
    one = ex.Literal(1)
    strided = any(w.stride != (one, one) for w in windows)
    return UnitForm(
        args,
        all(w.kernel[0] == w.kernel[1] for w in windows),
        all(w.stride[0] == w.stride[1] for w in windows),
        strided,
        odd,
        max((_pad_sides({**defaults, **use}) for use in uses), default=1),
        "pad" in args and same and (strided or not odd),
    )


def _may_be_same(use: df.Instance, definition: df.Definition, cases: PaddingCases) -> bool:
    """Whether the padding of a use is `same` by sizes, or a parameter that can be."""
    args = {**df.unit_defaults(use.definition), **use.args}
    pad = args.get("pad")
    if not isinstance(pad, ex.Parameter):
        return pad == ex.Literal("same") and not _is_middle(args.get("window"))
    return "same" in cases.of(definition, pad.name)


def values_of(graph: Graph, definition: df.Definition, parameter: str) -> list[object]:
    """The values that a parameter takes; for a block that is not built, what is written for it."""
    if definition.kind == "network":
        # one that only an excluded side would use is none
        return [graph.parameters[parameter]] if parameter in graph.parameters else []
    if definition in graph.observed:
        return list(graph.observed[definition].values.get(parameter, []))
    found: list[object] = []
    default = {formal.name: formal.default for formal in definition.parameters}.get(parameter)
    for user in (graph.program.network, *graph.program.definitions):
        for element in df.elements(user.body):
            if isinstance(element, df.Instance) and element.definition is definition:
                match element.args.get(parameter, default):
                    case ex.Literal(value):
                        found.append(value)
                    case ex.Parameter(name) if user.kind != "unit":
                        found += values_of(graph, user, name)
    return [value for n, value in enumerate(found) if value not in found[:n]]


class PaddingCases:
    """The values of parameters that are paddings, to write code for each."""

    def __init__(self, graph: Graph, opened: OpenParameters) -> None:
        """Know nothing yet; what is asked for is looked up."""
        self._graph, self._opened = graph, opened
        self._found: dict[tuple[df.Definition, str], list[Value]] = {}
        self._uses: dict[df.Definition, list[tuple[df.Definition, df.Instance]]] | None = None

    def of(self, definition: df.Definition, parameter: str) -> list[Value]:
        """Return what a parameter can be if words are among it, in order; else nothing.

        That is more than was seen: what a use that is not built hands on, the default, the words
        of conditions, and every word where the users of a model decide.
        """
        key = definition, parameter
        if key not in self._found:
            values = [
                *values_of(self._graph, definition, parameter),
                *self._handed_on(definition, parameter),
                *compared_words(definition.body, parameter),
            ]
            found = {v for v in values if v in PAD_WORDS or type(v) is int}
            if not any(isinstance(value, str) for value in found):
                found.clear()
            elif self._opened.has(definition, parameter):
                found.update(PAD_WORDS)
            self._found[key] = sorted(found, key=str)
        return self._found[key]

    def _handed_on(self, definition: df.Definition, parameter: str) -> Iterator[object]:
        """The default, and what uses give that hand on a parameter of their own."""
        default = {formal.name: formal.default for formal in definition.parameters}.get(parameter)
        if isinstance(default, ex.Literal):
            yield default.value
        for user, use in self._uses_of(definition):
            value = use.args.get(parameter)
            # who compares a parameter hands on only some of its values: those were seen
            if isinstance(value, ex.Parameter) and not compared_words(user.body, value.name):
                yield from self.of(user, value.name)

    def _uses_of(self, definition: df.Definition) -> list[tuple[df.Definition, df.Instance]]:
        if self._uses is None:
            self._uses = {}
            program = self._graph.program
            for user in (program.network, *program.definitions):
                for element in df.elements(user.body):
                    if isinstance(element, df.Instance):
                        self._uses.setdefault(element.definition, []).append((user, element))
        return self._uses.get(definition, [])


def compared_words(body: df.Body, parameter: str) -> list[str]:
    """The words that a body compares a parameter with."""
    pending = [
        expression
        for element in df.elements(body)
        for value, _ in _typed_values(element, set())
        for expression in _expressions(value)
    ]
    found: dict[str, None] = {}
    while pending:
        node = pending.pop()
        match node:
            case ex.Binary("==" | "!=", ex.Parameter(name), ex.Literal(str(word))) | ex.Binary(
                "==" | "!=", ex.Literal(str(word)), ex.Parameter(name)
            ) if name == parameter:
                found[word] = None
        pending.extend(ex.children(node))
    return sorted(found)


def _is_middle(frame: df.ArgumentValue) -> bool:
    """Whether `same` is half the window: it is odd and moves by 1."""
    if not isinstance(frame, df.WindowValue) or frame.stride != (ex.Literal(1), ex.Literal(1)):
        return False
    return all(isinstance(k := ex.literal(side), int) and k % 2 for side in frame.kernel)


def _pad_sides(args: Mapping[str, df.ArgumentValue]) -> int:
    """How many numbers a padding takes."""
    pad, frame = args.get("pad", args.get("border")), args.get("window")
    match pad:
        case df.SidesValue((top, bottom, left, right)) if top != bottom or left != right:
            return 4
        case df.SidesValue((first, *_, last)):
            return 1 if first == last else 2
        case _:
            square = not isinstance(frame, df.WindowValue) or frame.kernel[0] == frame.kernel[1]
            # a parameter may be a word, which means as much as the kernel is high and wide
            return 1 if square or isinstance(pad, ex.Binary | ex.Call) else 2


def unit_arguments(form: UnitForm, *, whole: bool = False) -> dict[str, df.ArgumentValue]:
    """The arguments of a unit's head op inside the unit: its own parameters.

    Args:
        form: of the unit.
        whole: whether a padding of several numbers stays one parameter.
    """
    result: dict[str, df.ArgumentValue] = {}
    for name in form.args:
        if name == "window":
            kernel = _pair("kernel", form.square_kernel)
            one = ex.Literal(1)
            stride = _pair("stride", form.square_stride) if form.strided else (one, one)
            result[name] = df.WindowValue(kernel, stride)
        elif name in BORDERS and form.pad_sides > 1 and not whole:
            sides = (ex.Item("padding", index) for index in range(form.pad_sides))
            result[name] = df.SidesValue(tuple(sides))
        else:
            result[name] = ex.Parameter("padding" if name in BORDERS else name)
    return result


def _pair(name: str, square: bool) -> tuple[ex.Expression, ex.Expression]:
    if square:
        return ex.Parameter(name), ex.Parameter(name)
    return ex.Item(name, 0), ex.Item(name, 1)


def head_arguments(
    call: df.OpCall, form: UnitForm | None, *, whole: bool = False
) -> dict[str, df.ArgumentValue]:
    """The arguments of an op; those of a unit's head come from the unit's parameters."""
    if not call.forwards or form is None:
        return call.args
    return {**call.args, **unit_arguments(form, whole=whole)}


def type_of(values: Sequence[object], *, closed: bool = False) -> Type:
    """Return the type of a parameter from the values that it takes.

    Args:
        values: those that are known.
        closed: whether it takes no other words than those.

    >>> type_of([1, 0.5]).kinds
    ('float',)
    >>> type_of([1, "half", "same"], closed=True).words
    ('half', 'same')
    """
    types = {type(value) for value in values} or {int}
    if float in types:
        types.discard(int)  # to Python's types every whole number is a float
    open_ = () if closed else (str,)
    kinds = tuple(kind.__name__ for kind in (bool, int, float, *open_) if kind in types)
    words = dict.fromkeys(value for value in values if isinstance(value, str))
    return Type(kinds, words=tuple(words) if closed else ())


ARGUMENT_TYPES = {Kind.COUNT: INT, Kind.FACTOR: FLOAT, Kind.FLAG: BOOL, Kind.WORD: STR}


def simplest(sizes: list[ex.Expression]) -> ex.Expression:
    """Of formulas for one number, the one to show: a number, a parameter, else the shortest."""

    def rank(size: ex.Expression) -> tuple[int, int]:
        if isinstance(size, ex.Literal):
            return 0, 0
        if isinstance(size, ex.Parameter) and not size.name.startswith("in_"):
            return 1, 0
        if isinstance(size, ex.Choice):
            return 4, 0
        return (3 if isinstance(size, ex.Parameter) else 2), len(python(size))

    return min(sizes, key=rank)


def parameters_of(expressions: list[ex.Expression]) -> set[str]:
    """The names of the parameters that occur in expressions."""
    found: set[str] = set()
    pending = list(expressions)
    while pending:
        node = pending.pop()
        if isinstance(node, ex.Parameter):
            found.add(node.name)
        elif isinstance(node, ex.Item):
            found.add(node.parameter)
        pending.extend(ex.children(node))
    return found
