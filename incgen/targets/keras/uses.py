"""Uses of units and blocks in Keras: calls of their functions, and what they are given."""

from __future__ import annotations

from incgen.base import diagnostics
from incgen.base.diagnostics import Diagnostic, SpecError
from incgen.base.source import Span
from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.language.initializers import Initializer
from incgen.resolve import definitions as df
from incgen.targets.keras.code import Flow, Title
from incgen.targets.keras.padding import border, handed_on, is_pointwise, use_padding
from incgen.targets.keras.scope import Scope
from incgen.targets.keras.weights import either, has_fans, initializer
from incgen.targets.shared.code import Code, Construct, Op
from incgen.targets.shared.units import BORDERS, UnitForm, said_by_use
from incgen.targets.shared.values import Args, Pair, as_tuple, four_sides, is_same
from incgen.targets.shared.weights import depthwise_fans
from incgen.targets.shared.windows import PADDING, SAME, VALID


def use(scope: Scope, instance: df.Instance, flow: Flow, variable: str) -> Flow:
    """Write a unit or block as a call of its function."""
    definition = instance.definition
    form = scope.file.form(definition, flow.is_map)
    flow = scope.bound(flow, variable)
    given = (_unit_given if definition.kind == "unit" else _block_given)(scope, instance, flow)
    by_place: list[Code] = [flow.code]
    by_name: list[tuple[str, Code]] = []
    left_out = False
    for name, default in form.formals:
        value = given.get(name, default)
        if value is None or (isinstance(value, Expression) and is_same(value, default)):
            left_out = True
        elif left_out or default is not None:
            by_name.append((name, value))
            left_out = True
        else:
            by_place.append(value)
    by_name.append(("name", Title(scope.path(instance.name))))
    return Flow(Construct(form.name, tuple(by_place), tuple(by_name)), form.gives_map)


def _block_given(scope: Scope, instance: df.Instance, flow: Flow) -> dict[str, Code]:
    """Return the arguments of a block's function; defaults that depend on the use are written."""
    given: dict[str, Code] = {}
    for formal in instance.definition.parameters:
        if formal.name in instance.args or not isinstance(formal.default, ex.Literal):
            value = scope.resolved(instance.args.get(formal.name, formal.default), flow)
            assert isinstance(value, Expression)
            given[formal.name] = value
    return given


def _unit_given(scope: Scope, instance: df.Instance, flow: Flow) -> dict[str, Code]:
    """Return the arguments of a unit's function."""
    definition = instance.definition
    unit = scope.file.unit_forms[definition]
    written = said_by_use(instance, unit, scope.unit, whole=True)
    values = {name: scope.resolved(value, flow) for name, value in written.items()}
    given: dict[str, Code] = {}
    for name, value in values.items():
        if isinstance(value, df.WindowValue):
            given |= _window_given(scope, definition, value, flow)
        elif isinstance(value, Initializer):
            given["init"] = _unit_initializer(definition, value, values, instance.span)
        elif name not in BORDERS:
            assert isinstance(value, Expression)
            given[name] = value
        own = instance.args.get(name)
        if isinstance(value, ex.Parameter) and isinstance(own, Initializer):
            usual = _unit_initializer(definition, own, values, instance.span)
            given["init"] = either(value, usual)
    everything = {**df.unit_defaults(definition), **values}
    if unit.padding:
        found = _padding_given(scope, instance, unit, values)
        usual_ = dict(scope.file.form(definition, flow.is_map).formals)["padding"]
        if not (is_pointwise(everything) and {found, usual_} <= {SAME, VALID}):
            given["padding"] = found
    elif "border" in unit.args:
        given["padding"] = border(four_sides(everything["border"]))
    return given


def _window_given(
    scope: Scope, definition: df.Definition, value: df.WindowValue, flow: Flow
) -> dict[str, Code]:
    """Return the kernel and the stride, each as the function of a unit takes it."""
    unit = scope.file.unit_forms[definition]
    either = scope.file.form(definition, flow.is_map).either
    given: dict[str, Code] = {}
    for part, sides, is_square in (
        ("kernel", value.kernel, unit.square_kernel),
        ("stride", value.stride, unit.square_stride),
    ):
        if part == "kernel" or unit.strided:
            given[part] = _numbers(sides, is_square, part in either)
        if part not in either and isinstance(sides[0], ex.Item):
            scope.strict.add(sides[0].parameter)
    return given


def _numbers(values: Pair, is_square: bool, either: bool) -> Expression:
    single = is_square or (either and values[0] == values[1])
    return values[0] if single else as_tuple(values)


def _padding_given(scope: Scope, instance: df.Instance, unit: UnitForm, values: Args) -> Expression:
    """Return the padding of a use; a unit may hand its own on."""
    found = use_padding(instance.definition, values, unit, scope.words)
    if found == PADDING and scope.unit is not None and instance.forwards:
        return handed_on(instance.definition, scope.unit, unit)
    return found


def _unit_initializer(unit: df.Definition, init: Initializer, values: Args, span: Span) -> Op:
    """Return how the kernels of a unit's head begin, as a use says."""
    head = unit.head
    assert head is not None
    if head.name == "separable_conv" and has_fans(init):
        message = f"`{unit.name}` has two kernels, which Keras would begin in different ways"
        help_ = "say `init` in the unit, or an initialiser with numbers: `normal(0.01)`"
        raise SpecError([Diagnostic(diagnostics.Code.UNSUPPORTED, message, span, help=help_)])
    fans = None
    if head.name == "depthwise_conv":
        fans = depthwise_fans({**df.unit_defaults(unit), **values})
    return initializer(init, fans)
