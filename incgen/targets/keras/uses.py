"""Uses of units and blocks in Keras: calls of their functions, and what they are given."""

from __future__ import annotations

from incgen.base.diagnostics import Code, Diagnostic, SpecError
from incgen.base.source import Span
from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.language.initializers import Initializer
from incgen.language.printing import python
from incgen.resolve import definitions as df
from incgen.targets.keras.code import Flow
from incgen.targets.keras.padding import handed_on, is_pointwise, sides_code, use_padding
from incgen.targets.keras.scope import Scope
from incgen.targets.keras.weights import depthwise_fans, initializer
from incgen.targets.shared.symbols import BORDERS, unit_arguments
from incgen.targets.shared.values import ONE, Args, Pair, both, four_sides


def use(scope: Scope, instance: df.Instance, flow: Flow, variable: str) -> Flow:
    """A unit or block as a call of its function."""
    definition = instance.definition
    form = scope.file.form(definition, flow.is_map)
    flow = scope.bound(flow, variable)
    if definition.kind == "unit":
        given = _unit_given(scope, instance, flow)
    else:
        given = _block_given(scope, instance, flow)
    parts = [flow.code]
    by_name = False
    for name, default in form.formals:
        source = default if isinstance(default, str) else None
        if isinstance(default, Expression):
            source = python(default)
        value = given.get(name, source)
        if value is None or value == source:
            by_name = True
            continue
        named = by_name or default is not None
        parts.append(f"{name}={value}" if named else value)
    parts.append(f"name={scope.quoted(instance.name)}")
    return Flow(f"{form.name}({', '.join(parts)})", form.gives_map)


def _block_given(scope: Scope, instance: df.Instance, flow: Flow) -> dict[str, str]:
    """The arguments of a block's function; defaults that depend on the use are written."""
    given = {}
    for formal in instance.definition.parameters:
        if formal.name in instance.args or not isinstance(formal.default, ex.Literal):
            written = instance.args.get(formal.name, formal.default)
            value = scope.resolved(written, flow)
            assert isinstance(value, Expression)
            given[formal.name] = python(value)
    return given


def _unit_given(scope: Scope, instance: df.Instance, flow: Flow) -> dict[str, str]:
    """The arguments of a unit's function, as source."""
    definition = instance.definition
    unit = scope.file.unit_forms[definition]
    written = dict(instance.args)
    if instance.forwards and scope.unit is not None:
        written.update(unit_arguments(scope.unit, whole=True))
    if "window" in unit.args:
        written.setdefault("window", df.unit_defaults(definition)["window"])
    values = {name: scope.resolved(value, flow) for name, value in written.items()}
    given: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, df.WindowValue):
            one = scope.file.form(definition, flow.is_map).either
            square = {"kernel": unit.square_kernel, "stride": unit.square_stride}
            for part, sides in (("kernel", value.kernel), ("stride", value.stride)):
                if part == "kernel" or unit.strided:
                    given[part] = _numbers(sides, square[part], part in one)
                if part not in one and isinstance(sides[0], ex.Item):
                    scope.strict.add(sides[0].parameter)
        elif isinstance(value, Initializer):
            given["init"] = _unit_initializer(definition, value, values, instance.span)
        elif name not in BORDERS:
            assert isinstance(value, Expression)
            given[name] = python(value)
        own = instance.args.get(name)
        if isinstance(value, ex.Parameter) and isinstance(own, Initializer):
            given["init"] = f"init or {_unit_initializer(definition, own, values, instance.span)}"
    if unit.padding:
        found = use_padding(definition, values, unit, scope.words)
        usual = dict(scope.file.form(definition, flow.is_map).formals)["padding"]
        pointwise = is_pointwise({**df.unit_defaults(definition), **values})
        if found == "padding" and scope.unit is not None and instance.forwards:
            found = handed_on(definition, scope.unit, unit)
        if not (pointwise and {found, usual} <= {'"same"', '"valid"'}):
            given["padding"] = found
    elif "border" in unit.args:
        border = {**df.unit_defaults(definition), **values}["border"]
        given["padding"] = sides_code(four_sides(border))
    return given


def _unit_initializer(unit: df.Definition, init: Initializer, values: Args, span: Span) -> str:
    """How the kernels of a unit's head begin, as a use says."""
    head = unit.head
    assert head is not None
    if head.name == "separable_conv" and initializer(init) != initializer(init, (ONE, ONE)):
        message = f"`{unit.name}` has two kernels, which Keras would begin in different ways"
        help_ = "say `init` in the unit, or an initialiser with numbers: `normal(0.01)`"
        raise SpecError([Diagnostic(Code.UNSUPPORTED, message, span, help=help_)])
    fans = None
    if head.name == "depthwise_conv":
        fans = depthwise_fans({**df.unit_defaults(unit), **values})
    return initializer(init, fans)


def _numbers(values: Pair, is_square: bool, either: bool) -> str:
    """A kernel or stride as the function of a unit takes it."""
    single = is_square or (either and values[0] == values[1])
    return python(values[0]) if single else both(values)
