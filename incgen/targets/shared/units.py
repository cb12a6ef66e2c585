"""The parameters of units: those arguments of their heads that at least one use sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from incgen.graph.nodes import Graph
from incgen.graph.shapes import Window
from incgen.language import expressions as ex
from incgen.language.arithmetic import Value
from incgen.language.initializers import Initializer
from incgen.resolve import definitions as df
from incgen.targets.shared.parameters import values_of
from incgen.targets.shared.symbols import Symbol
from incgen.targets.shared.words import Words

#: The arguments that are borders, which are the parameter `padding` of a unit.
BORDERS = ("pad", "border")


@dataclass(frozen=True, slots=True)
class UnitForm:
    """The parameters of a unit."""

    args: tuple[str, ...]  #: The arguments of its head op that uses set, in the order of the table
    square_kernel: bool  #: Whether every kernel is square, so that it is one number
    square_stride: bool  #: Likewise for strides
    strided: bool  #: Whether some use has a stride
    odd: bool  #: Whether every kernel is odd, whatever the parameters of the network are
    pad_sides: int = 1  #: How many numbers the padding is: 1, 2 or 4
    #: Whether a use may pad by TensorFlow's `same` in a way that depends on sizes
    same: bool = False

    @property
    def padding(self) -> bool:
        """Return whether uses set the padding."""
        return "pad" in self.args


@dataclass(frozen=True, slots=True)
class Place:
    """The context of an op: what its form depends on besides its arguments."""

    shape: Symbol  #: The shape of its input
    #: Returns the values that a parameter takes, if words are among them
    words: Callable[[str], list[Value]]
    unit: UnitForm | None = None  #: The form of the unit whose head it is, if it is one
    #: How the kernels are initialised if a use of the unit sets nothing
    init: Initializer | None = None
    explicit: bool = False  #: Whether some use of the unit needs explicit padding
    never_negative: bool = False  #: Whether its input is known to have no negative values

    @property
    def odd(self) -> bool:
        """Return whether the kernel is always odd, though it is a parameter."""
        return self.unit is not None and self.unit.odd


def unit_forms(graph: Graph, words: Words) -> dict[df.Definition, UnitForm]:
    """Return the form of every unit that a network uses."""
    uses: dict[df.Definition, list[dict[str, df.ArgumentValue]]] = {}
    forms: dict[df.Definition, UnitForm] = {}
    loose: set[df.Definition] = set()  # those whose kernels may be even
    padded: set[df.Definition] = set()  # those whose padding may be `same`
    # Users come before what they use, so a unit's form is known before its head is looked at.
    for definition in (graph.program.network, *reversed(graph.program.definitions)):
        if definition.kind == "unit":
            odd = definition not in loose and _odd_kernels(definition, graph)
            same = definition in padded
            forms[definition] = _form(definition, uses.get(definition, []), odd, same)
        for element in definition.elements:
            if isinstance(element, df.Instance) and element.definition.kind == "unit":
                given = dict(element.args)
                if element.forwards:
                    given.update(unit_arguments(forms[definition]))
                    if definition in loose:
                        loose.add(element.definition)
                    if definition in padded:
                        padded.add(element.definition)
                if _may_be_even(element, definition, words):
                    loose.add(element.definition)
                if _may_be_same(element, definition, words):
                    padded.add(element.definition)
                uses.setdefault(element.definition, []).append(given)
    return forms


def _odd_kernels(unit: df.Definition, graph: Graph) -> bool:
    own = unit.defaults.get("window") if unit.head is not None else None
    if isinstance(own, df.WindowValue):
        known = [ex.literal(side) for side in own.kernel]
        if any(isinstance(side, int) and side % 2 == 0 for side in known):
            return False
    seen = graph.observed[unit].values.get("window", []) if unit in graph.observed else []
    return all(k % 2 for w in seen if isinstance(w, Window) for k in w.kernel)


def _may_be_even(use: df.Instance, definition: df.Definition, words: Words) -> bool:
    """Return whether a use may pass an even window, including one that is not in the graph."""
    frame = use.args.get("window")
    if not isinstance(frame, df.WindowValue):
        return False
    if words.opened.any(definition, frame.kernel):
        return True
    built = definition.kind == "network" or definition in words.graph.observed
    for side in frame.kernel:
        match side:
            case ex.Literal(value):
                values: list[object] = [value]
            case ex.Parameter(name):
                values = values_of(words.graph, definition, name)
            case _ if built:
                continue  # computed, and its values are in the graph
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
    defaults = unit.defaults
    # If some uses set a window, the others pass the unit's own.
    given = [use.get("window", defaults.get("window")) for use in uses] if "window" in said else []
    windows = [window for window in given if isinstance(window, df.WindowValue)]
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


def _may_be_same(use: df.Instance, definition: df.Definition, words: Words) -> bool:
    """Return whether the padding of a use is `same` and depends on sizes, or may be."""
    args = {**use.definition.defaults, **use.args}
    pad = args.get("pad")
    if not isinstance(pad, ex.Parameter):
        return pad == ex.Literal("same") and not _is_middle(args.get("window"))
    return "same" in words.cases(definition, pad.name)


def _is_middle(frame: df.ArgumentValue) -> bool:
    """Return whether `same` is half the window: if that is odd and moves by 1."""
    if not isinstance(frame, df.WindowValue) or frame.stride != (ex.Literal(1), ex.Literal(1)):
        return False
    return all(isinstance(k := ex.literal(side), int) and k % 2 for side in frame.kernel)


def _pad_sides(args: Mapping[str, df.ArgumentValue]) -> int:
    """Return how many numbers a padding is."""
    pad, frame = args.get("pad", args.get("border")), args.get("window")
    match pad:
        case df.SidesValue((top, bottom, left, right)) if top != bottom or left != right:
            return 4
        case df.SidesValue((first, *_, last)):
            return 1 if first == last else 2
        case _:
            square = not isinstance(frame, df.WindowValue) or frame.kernel[0] == frame.kernel[1]
            # A parameter may be a word, whose border follows the height and width of the kernel.
            return 1 if square or isinstance(pad, ex.Binary | ex.Call) else 2


def unit_arguments(form: UnitForm, *, whole: bool = False) -> dict[str, df.ArgumentValue]:
    """Return the arguments of a unit's head op inside the unit: its own parameters.

    Args:
        form: The form of the unit.
        whole: Whether a padding of several numbers stays one parameter.
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
