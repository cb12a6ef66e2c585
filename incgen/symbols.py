"""Shapes as formulas, for code that is written once for every use of a block.

A generated class knows its parameters, not their values. Here the definitions are read with
symbols in place of numbers: `n1x1 + n3x3 + ndouble + proj` is what comes out of an inception
block. Heights and widths are computed only if something asks, because most code never does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from incgen import definitions as df
from incgen import expressions as ex
from incgen.graph import Graph
from incgen.ops import ByStride, Kind

#: Arguments of a unit that become parameters under other names.
_WINDOW_PARAMETERS = ("kernel", "stride")


def _unknown() -> ex.Expression:
    raise LookupError("a size that depends on the input is not known here")


@dataclass(frozen=True)
class Symbol:
    """A shape as formulas; height and width are thunks."""

    channels: ex.Expression
    is_map: bool
    height: Callable[[], ex.Expression] = field(default=_unknown, compare=False)
    width: Callable[[], ex.Expression] = field(default=_unknown, compare=False)

    def with_channels(self, channels: ex.Operand) -> Symbol:
        """The same map or vector with other channels."""
        return Symbol(ex.lift(channels), self.is_map, self.height, self.width)

    def vector(self, channels: ex.Operand) -> Symbol:
        """A vector."""
        return Symbol(ex.lift(channels), False)

    @property
    def dimensions(self) -> Mapping[str, ex.Expression]:
        """What `channels`, `height` and `width` stand for."""
        return _Dimensions(self)


class _Dimensions(dict[str, ex.Expression]):
    """Looks a dimension up when it is asked for."""

    def __init__(self, shape: Symbol) -> None:
        super().__init__()
        self._shape = shape

    def get(self, axis: str, default: object = None) -> ex.Expression:  # type: ignore[override]
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
        odd: whether every kernel is odd where strides are 1.
    """

    args: tuple[str, ...]
    square_kernel: bool
    square_stride: bool
    strided: bool
    odd: bool

    @property
    def padding(self) -> bool:
        """Whether uses say the padding."""
        return "pad" in self.args


def unit_forms(graph: Graph) -> dict[df.Definition, UnitForm]:
    """The form of every unit that a network reaches."""
    uses: dict[df.Definition, list[dict[str, df.ArgumentValue]]] = {}
    forms: dict[df.Definition, UnitForm] = {}
    # Users come before what they use, so a unit's form is known before its head is looked at.
    for definition in (graph.program.network, *reversed(graph.program.definitions)):
        if definition.kind == "unit":
            forms[definition] = _form(definition, uses.get(definition, []), graph)
        for element in df.elements(definition.body):
            if isinstance(element, df.Instance) and element.definition.kind == "unit":
                given = dict(element.args)
                if element.forwards:
                    form = forms[definition]
                    given.update(unit_arguments(form))
                uses.setdefault(element.definition, []).append(given)
    return forms


def _form(unit: df.Definition, uses: list[dict[str, df.ArgumentValue]], graph: Graph) -> UnitForm:
    if unit.head is None:
        return UnitForm((), True, True, False, True)
    said = {name for use in uses for name in use}
    args = tuple(a.name for a in unit.head.arguments if a.name in said)
    windows = [w for use in uses if isinstance(w := use.get("window"), df.WindowValue)]
    one = ex.Literal(1)
    seen = graph.observed[unit].values.get("window", []) if unit in graph.observed else []
    return UnitForm(
        args,
        all(w.kernel[0] == w.kernel[1] for w in windows),
        all(w.stride[0] == w.stride[1] for w in windows),
        any(w.stride != (one, one) for w in windows),
        all(k % 2 for w in seen for k in w.kernel),  # type: ignore[attr-defined]
    )


def unit_arguments(form: UnitForm) -> dict[str, df.ArgumentValue]:
    """The arguments of a unit's head op inside the unit: its own parameters."""
    result: dict[str, df.ArgumentValue] = {}
    for name in form.args:
        if name == "window":
            kernel = _pair("kernel", form.square_kernel)
            one = ex.Literal(1)
            stride = _pair("stride", form.square_stride) if form.strided else (one, one)
            result[name] = df.WindowValue(kernel, stride)
        else:
            result[name] = ex.Parameter("padding" if name == "pad" else name)
    return result


def _pair(name: str, square: bool) -> tuple[ex.Expression, ex.Expression]:
    if square:
        return ex.Parameter(name), ex.Parameter(name)
    return ex.Item(name, 0), ex.Item(name, 1)


def head_arguments(call: df.OpCall, form: UnitForm | None) -> dict[str, df.ArgumentValue]:
    """The arguments of an op; those of a unit's head come from the unit's parameters."""
    if not call.forwards or form is None:
        return call.args
    return {**call.args, **unit_arguments(form)}


def annotation(values: list[object]) -> str:
    """The Python type of a parameter from the values that it takes.

    >>> annotation([1, 0.5])
    'float'
    """
    types = {type(value) for value in values} or {int}
    if types == {bool}:
        return "bool"
    if types == {str}:
        return "str"
    if types <= {int}:
        return "int"
    return "float" if types <= {int, float} else "int | float | bool | str"


ARGUMENT_TYPES = {Kind.COUNT: "int", Kind.FACTOR: "float", Kind.FLAG: "bool", Kind.WORD: "str"}


def plain_pad(pad: df.ArgumentValue, strides: tuple[ex.Expression, ex.Expression]) -> df.ArgumentValue:
    """A padding whose dependence on the stride is decided, if the stride is known.

    Returns:
        The padding; a `ByStride` only where the stride is a symbol.
    """
    if not isinstance(pad, ByStride):
        return pad
    known = [ex.literal(s) for s in strides]
    if pad.plain == pad.strided:
        return ex.Literal(pad.plain)
    if None in known:
        return pad
    return ex.Literal(pad.plain if known == [1, 1] else pad.strided)


def simplest(sizes: list[ex.Expression]) -> ex.Expression:
    """Of formulas for one number, the one to show: a number, a parameter, else the shortest."""

    def rank(size: ex.Expression) -> tuple[int, int]:
        if isinstance(size, ex.Literal):
            return 0, 0
        if isinstance(size, ex.Parameter) and not size.name.startswith("in_"):
            return 1, 0
        if isinstance(size, ex.Choice):
            return 4, 0
        return (3 if isinstance(size, ex.Parameter) else 2), len(ex.python(size))

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
