"""Keras functions: straight-line code, every layer with its label path as its name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Protocol, assert_never

from incgen import definitions as df
from incgen import expressions as ex
from incgen.diagnostics import Code, Diagnostic, SpecError
from incgen.expressions import Expression, python
from incgen.graph import Graph
from incgen.initializers import Initializer
from incgen.layout import assign, comment_lines, def_header, for_header, if_header, returns
from incgen.ops import ByStride, Kind
from incgen.records import record
from incgen.source import Span
from incgen.symbols import OpenParameters, UnitForm, head_arguments, plain_pad, unit_arguments
from incgen.targets import text
from incgen.targets.keras_ops import (
    Call,
    Context,
    Step,
    depthwise_fans,
    initializer,
    padding,
    sides_code,
    steps,
)
from incgen.targets.shaping import vector_in_repeat
from incgen.targets.structure import axes_in, expressions_of
from incgen.targets.values import ONE

_JOINS = {"concat": "Concatenate", "add": "Add", "mul": "Multiply"}
#: Names that a variable of a generated function must not hide.
_TAKEN = {"x", "name", "keras", "layers", "ops", "math", "load_file", "input_shape", "padding"}
_AXES = {"channels": -1, "height": 1, "width": 2}
_NOTHING: Mapping[str, Expression] = MappingProxyType({})
_LOOPS = ("i", "j", "k", "l", "m", "n")


class File(Protocol):
    """What a function asks of the file that it is written into."""

    graph: Graph
    unit_forms: dict[df.Definition, UnitForm]
    opened: OpenParameters
    names: set[str]
    explicit: set[df.Definition]

    def form(self, definition: df.Definition, is_map: bool) -> Form:
        """The function of a unit or block, written when it is first used."""


@record
class View:
    """A function as finished lines."""

    doc: list[str]
    header: list[str]
    body: list[str]

    @property
    def code(self) -> list[str]:
        """Every line of code, to see what it needs."""
        return [*self.header, *self.body]


@record
class Form:
    """What a user of a function has to know: its name, its parameters, what comes out."""

    name: str
    formals: tuple[tuple[str, Expression | str | None], ...]
    gives_map: bool


@record
class Flow:
    """A value: its source, whether it is a map, and whether it is a plain variable."""

    code: str
    is_map: bool
    variable: bool = False


def use_padding(
    unit: df.Definition,
    args: Mapping[str, df.ArgumentValue],
    form: UnitForm,
    words: Callable[[str], list[object]] | None = None,
) -> str:
    """The `padding` argument of one use of a unit, as source.

    Args:
        unit: what is used.
        args: what the use says.
        form: of the unit.
        words: gives the values of a parameter; None if the source itself does not matter.
    """
    everything: dict[str, df.ArgumentValue] = {**df.unit_defaults(unit), **args}
    frame, pad = everything["window"], everything.get("pad")
    if isinstance(pad, ex.Parameter) and pad.name == "padding":
        return "padding"
    if isinstance(pad, ex.Parameter) and words is not None:
        found = words(pad.name)
        if any(isinstance(word, str) for word in found):
            return _padding_by_word(unit, args, form, pad.name, found)
    assert isinstance(frame, df.WindowValue)
    dilation = everything.get("dilation", ONE)
    assert isinstance(dilation, Expression)
    pad = plain_pad(pad, frame.stride)
    if isinstance(pad, ByStride):
        message = f"the padding of `{unit.name}` follows a stride that is a parameter here"
        place = frame.span or unit.span
        help_ = "say `pad` at this use"
        raise SpecError([Diagnostic(Code.UNSUPPORTED, message, place, help=help_)])
    plan = padding(pad, frame.kernel, frame.stride, dilation, replace(form, strided=False))
    if plan.word is not None and not _pools(unit):
        return f'"{plan.word}"'
    if plan.word == "valid":
        return "0"
    if plan.word == "same":
        return _pool_padding(unit, frame)
    assert plan.sides is not None
    return sides_code(plan.sides)


def _pools(unit: df.Definition) -> bool:
    """Whether a unit begins with a pooling, whose borders are pixels and never words."""
    return unit.head is not None and unit.head.family == "pool"


def _pool_padding(unit: df.Definition, frame: df.WindowValue) -> str:
    """Keras' "same" in pixels, which it has for stride 1."""
    if frame.stride != (ONE, ONE):
        message = f"`same` with a stride cannot be given to the unit `{unit.name}`"
        help_ = "write its pooling out, or give every use the same padding"
        place = frame.span or unit.span
        raise SpecError([Diagnostic(Code.UNSUPPORTED, message, place, help=help_)])
    high, wide = (kernel // 2 for kernel in frame.kernel)
    return sides_code((high, high, wide, wide))


def _padding_by_word(
    unit: df.Definition,
    args: Mapping[str, df.ArgumentValue],
    form: UnitForm,
    parameter: str,
    words: list[object],
) -> str:
    """The padding of a use that passes a word on: a case for each."""
    plans = []
    for word in words:
        assert isinstance(word, bool | int | str)
        plans.append((word, use_padding(unit, {**args, "pad": ex.Literal(word)}, form)))
    result = plans[-1][1]
    for word, plan in reversed(plans[:-1]):
        if plan != result:
            result = f"{plan} if {parameter} == {ex.number(word)} else {result}"
    return result


class FunctionWriter:
    """Writes one function."""

    def __init__(self, file: File, name: str, definition: df.Definition, is_map: bool) -> None:
        """Begin an empty function.

        Args:
            file: the file.
            name: of the function.
            definition: what it is written for.
            is_map: whether its input is a map.
        """
        self.file, self.graph = file, file.graph
        self.name, self.definition = name, definition
        self.unit = file.unit_forms.get(definition)
        self.is_map = is_map
        self.lines: list[str] = []
        self.indent = 4
        self.prefix = "" if definition.kind == "network" else "{name}"
        self.variables = {*_TAKEN, *file.names, *(f.name for f in definition.parameters)}
        self.labels: dict[str, Flow] = {}
        self.heads: dict[str, str] = {}
        self.last = _last(definition.body)

    # ------------------------------------------------------------ whole functions

    def definition_view(self) -> tuple[Form, View]:
        """The function of a unit or block, and what its users have to know."""
        flow = self.body(self.definition.body, Flow("x", self.is_map, True), "x")
        self.lines += returns(flow.code, indent=4)
        formals = self.formals()
        header = ["x", *(_formal(name, default) for name, default in formals), "*", "name"]
        doc = self.definition.doc or text.described(self.definition)
        view = View(text.docstring(doc, 4), def_header(self.name, header), self.lines)
        return Form(self.name, tuple(formals), flow.is_map), view

    def formals(self) -> list[tuple[str, Expression | str | None]]:
        """The parameters of the function."""
        if self.unit is None:
            formals = [
                (f.name, f.default if isinstance(f.default, ex.Literal) else None)
                for f in self.definition.parameters
            ]
            return sorted(formals, key=lambda formal: formal[1] is not None)
        head = self.definition.head
        assert head is not None
        defaults = df.unit_defaults(self.definition)
        required: list[tuple[str, Expression | str | None]] = []
        optional: list[tuple[str, Expression | str | None]] = []
        for argument in head.arguments:
            if argument.name not in self.unit.args:
                continue
            if argument.kind is Kind.WINDOW:
                required.append(("kernel", None))
                if self.unit.strided:
                    optional.insert(0, ("stride", ONE))
            elif argument.kind is Kind.PADDING:
                optional.append(("padding", "0" if _pools(self.definition) else '"valid"'))
            elif argument.kind is Kind.INITIALIZER:
                default = defaults["init"]
                assert isinstance(default, Initializer)
                source = initializer(default)
                # ruff's B008: no call in a default
                if source.startswith('"'):
                    optional.append(("init", source))
                else:
                    required.append(("init", None))
            else:
                known = defaults.get(argument.name)
                value = known if isinstance(known, ex.Literal) else None
                (required if value is None else optional).append((argument.name, value))
        required.sort(key=lambda item: item[0] == "kernel")
        return required + optional

    def network_view(self) -> View:
        """The function of the network, with its input and its model."""
        pixels = self.definition.pixels
        assert pixels is not None
        sizes = (pixels.height, pixels.width, pixels.channels)
        shape = f"({', '.join(map(python, sizes))})"
        fixed = all(isinstance(size, ex.Literal) for size in sizes)
        parameters = [
            f"{f.name}={ex.number(self.graph.parameters[f.name])}"
            for f in self.definition.parameters
        ]
        if fixed:
            parameters.append(f"input_shape={shape}")
        parameters.append(f'name="{self.definition.name}"')
        source = "input_shape" if fixed else shape
        self.lines += assign("inputs", f'keras.Input({source}, name="input")', indent=4)
        self.variables |= {"inputs", "outputs"}
        flow = self.body(self.definition.body, Flow("inputs", True, True), "x", whole=True)
        outputs = flow.code
        names = list(self.graph.outputs)
        if self.heads:
            pairs = [f'"{names[0]}": {flow.code}', *(f'"{n}": {v}' for n, v in self.heads.items())]
            outputs = f"{{{', '.join(pairs)}}}"
        self.lines += returns(f"keras.Model(inputs, {outputs}, name=name)", indent=4)
        doc = self.network_doc()
        return View(doc, def_header(self.name, parameters), self.lines)

    def output_channels(self) -> str:
        """The features of the output; a parameter by its name where the last op takes one."""
        body = self.definition.body
        last = next(s for s in reversed(body.steps) if isinstance(s, df.Step))
        element = last.element
        while isinstance(element, df.Chain):
            element = element.elements[-1]
        if isinstance(element, df.OpCall):
            for name in ("features", "channels"):
                value = element.args.get(name)
                if isinstance(value, ex.Parameter):
                    return value.name
        index = next(iter(self.graph.outputs.values()))
        return str(self.graph.nodes[index].shape.channels)

    def network_doc(self) -> list[str]:
        """The docstring of the network."""
        lines = [text.network_doc(self.graph), ""]
        if self.heads:
            names = ", ".join(f'"{n}"' for n in self.graph.outputs)
            lines.append(f"The model gives a dictionary with the outputs {names}.")
        return text.docstring("\n".join(lines).strip(), 4)

    # ------------------------------------------------------------ bodies

    def body(self, body: df.Body, flow: Flow, variable: str, *, whole: bool = False) -> Flow:
        """The steps of a body after one another."""
        labels = dict(self.labels)
        previous: df.Step | df.Head | None = None
        for number, step in enumerate(body.steps):
            if whole and text.paragraph_before(previous, step) and self.lines[-1]:
                self.lines.append("")
            previous = step
            if step.doc:
                self.lines += comment_lines(text.plain(step.doc), indent=self.indent)
            if isinstance(step, df.Head):
                flow = self.bound(flow, variable)
                variable_ = self.unique(step.label)
                done = self.body(step.body, flow, variable_)
                self.heads[step.label] = self.bound(done, variable_).code
                continue
            origin = self.labels[step.origin] if step.origin is not None else flow
            target = variable
            if step.kept and step.label is not None:
                target = self.unique(step.label)
            done = origin if step.element is None else self.element(step.element, origin, target)
            last = number == len(body.steps) - 1
            if step.kept and step.label is not None:
                done = self.bind(done, target)
                self.labels[step.label] = done
            elif (whole or not last) and not done.variable:
                done = self.bind(done, variable)
            flow = done
        self.labels = labels
        return flow

    def bind(self, flow: Flow, variable: str) -> Flow:
        """Give a value a name."""
        if flow.code != variable:
            self.lines += assign(variable, flow.code, indent=self.indent)
        return replace(flow, code=variable, variable=True)

    def bound(self, flow: Flow, variable: str) -> Flow:
        """A value with a name; it keeps one that it has."""
        return flow if flow.variable else self.bind(flow, variable)

    def unique(self, name: str) -> str:
        """A variable that nothing else has."""
        candidate, number = name, 1
        while candidate in self.variables:
            number += 1
            candidate = f"{name}_{number}"
        self.variables.add(candidate)
        return candidate

    # ------------------------------------------------------------ names

    def quoted(self, name: str) -> str:
        """A layer's name as source: the prefix of this place and its own."""
        path = _joined(self.prefix, name)
        if path == "{name}":
            return "name"
        return f'f"{path}"' if "{" in path else f'"{path}"'

    # ------------------------------------------------------------ elements

    def element(self, element: df.Element, flow: Flow, variable: str) -> Flow:
        """An element in straight-line code."""
        match element:
            case df.OpCall():
                return self.op(element, flow, variable)
            case df.Instance():
                return self.instance(element, flow, variable)
            case df.Chain():
                outer = self.enter(element.name)
                for child in element.elements:
                    flow = self.element(child, flow, variable)
                self.prefix = outer
                return flow
            case df.Join():
                return self.join(element, flow, variable)
            case df.Group():
                outer = self.enter(element.name)
                done = self.body(element.body, flow, variable)
                self.prefix = outer
                return done
            case df.Repeat():
                return self.repeat(element, flow, variable)
            case df.Conditional():
                return self.conditional(element, flow, variable)
            case _:
                assert_never(element)

    def enter(self, name: str | None) -> str:
        """Lengthen the prefix; gives the one before."""
        outer = self.prefix
        self.prefix = _joined(outer, name)
        return outer

    def kept_sizes(self, args: Mapping[str, df.ArgumentValue], flow: Flow) -> dict[str, Expression]:
        """Variables for the sizes that arguments name."""
        kept: dict[str, Expression] = {}
        used = {
            axis for value in args.values() for e in expressions_of(value) for axis in axes_in(e)
        }
        for axis in sorted(used):
            variable = self.unique(axis)
            self.lines += assign(variable, f"{flow.code}.shape[{_AXES[axis]}]", indent=self.indent)
            kept[axis] = ex.Name(variable)
        return kept

    def resolved(
        self, value: df.ArgumentValue, flow: Flow, kept: Mapping[str, Expression] = _NOTHING
    ) -> df.ArgumentValue:
        """An argument with `channels` and the like read off the value, or off variables."""
        dimensions: dict[str, Expression] = {
            axis: ex.Name(f"{flow.code}.shape[{index}]") for axis, index in _AXES.items()
        }
        dimensions.update(kept)

        def formula(expression: Expression) -> Expression:
            return ex.substitute(expression, {}, dimensions)

        match value:
            case df.WindowValue((a, b), (c, d)):
                return df.WindowValue((formula(a), formula(b)), (formula(c), formula(d)))
            case df.SidesValue(sides):
                return df.SidesValue(tuple(formula(side) for side in sides))
            case _ if isinstance(value, Expression):
                return formula(value)
            case _:
                return value

    def op(self, call: df.OpCall, flow: Flow, variable: str) -> Flow:
        """An op as its layers."""
        flow = self.bound(flow, variable)
        written = head_arguments(call, self.unit, whole=True)
        unit = self.unit if call.forwards else None
        context = Context(flow.is_map, unit, self.words, self.definition in self.file.explicit)
        args = {name: self.resolved(value, flow) for name, value in written.items()}
        found = steps(call.op.name, args, context)
        if len(found) > 1:
            # Later layers must not read the sizes off what the first ones give.
            kept = self.kept_sizes(written, flow)
            args = {name: self.resolved(value, flow, kept) for name, value in written.items()}
            found = steps(call.op.name, args, context)
        done = self.apply(found, call.name, flow, variable)
        vectors = ("dense", "flatten", "global_avg_pool", "global_max_pool")
        return replace(done, is_map=flow.is_map and call.op.name not in vectors)

    def words(self, parameter: str) -> list[object]:
        """The values that a parameter takes."""
        seen: list[object]
        if self.definition.kind == "network":
            seen = [self.graph.parameters.get(parameter)]
        else:
            observed = self.graph.observed.get(self.definition)
            seen = list(observed.values.get(parameter, [])) if observed else []
        if self.file.opened.has(self.definition, parameter):
            pads = ("half", "same", "valid")
            if any(word in pads for word in seen):
                seen += [word for word in pads if word not in seen]
        return sorted(seen, key=str)

    def apply(self, found: tuple[Step, ...], name: str, flow: Flow, variable: str) -> Flow:
        """Layers after one another."""
        for step in found:
            flow = self.bound(flow, variable)
            if isinstance(step, Call):
                flow = replace(flow, code=self.layer(step, name, flow), variable=False)
                continue
            if not step.otherwise:
                flow = self.bind(flow, variable)
            header = if_header(step.condition, indent=self.indent)
            self.block(header, step.then, name, flow, variable)
            if step.otherwise:
                header = [" " * self.indent + "else:"]
                self.block(header, step.otherwise, name, flow, variable)
            flow = replace(flow, code=variable, variable=True)
        return flow

    def block(
        self,
        header: list[str],
        found: tuple[Step, ...],
        name: str,
        flow: Flow,
        variable: str,
    ) -> None:
        """Layers under a condition; their result is in the variable."""
        self.lines += header
        self.indent += 4
        before = len(self.lines)
        self.bind(self.apply(found, name, flow, variable), variable)
        if len(self.lines) == before:
            self.lines.append(" " * self.indent + "pass")
        self.indent -= 4

    def layer(self, call: Call, name: str, flow: Flow) -> str:
        """One layer applied."""
        if not call.named:
            return call.constructor.format(x=flow.code)
        comma = "" if call.constructor.endswith("(") else ", "
        title = self.quoted(f"{name}{call.suffix}" if name else call.suffix.lstrip("."))
        if call.applied:
            return f"{call.constructor.format(x=flow.code)}{comma}name={title})"
        return f"{call.constructor}{comma}name={title})({flow.code})"

    def instance(self, instance: df.Instance, flow: Flow, variable: str) -> Flow:
        """A unit or block as a call of its function."""
        definition = instance.definition
        form = self.file.form(definition, flow.is_map)
        flow = self.bound(flow, variable)
        if definition.kind == "unit":
            given = self.unit_given(instance, flow)
        else:
            given = self.block_given(instance, flow)
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
        parts.append(f"name={self.quoted(instance.name)}")
        return Flow(f"{form.name}({', '.join(parts)})", form.gives_map)

    def block_given(self, instance: df.Instance, flow: Flow) -> dict[str, str]:
        """The arguments of a block's function; defaults that depend on the use are written."""
        given = {}
        for formal in instance.definition.parameters:
            if formal.name in instance.args or not isinstance(formal.default, ex.Literal):
                written = instance.args.get(formal.name, formal.default)
                value = self.resolved(written, flow)
                assert isinstance(value, Expression)
                given[formal.name] = python(value)
        return given

    def unit_given(self, instance: df.Instance, flow: Flow) -> dict[str, str]:
        """The arguments of a unit's function, as source."""
        definition = instance.definition
        unit = self.file.unit_forms[definition]
        written = dict(instance.args)
        if instance.forwards and self.unit is not None:
            written.update(unit_arguments(self.unit, whole=True))
        if "window" in unit.args:
            written.setdefault("window", df.unit_defaults(definition)["window"])
        values = {name: self.resolved(value, flow) for name, value in written.items()}
        given: dict[str, str] = {}
        for name, value in values.items():
            if isinstance(value, df.WindowValue):
                given["kernel"] = _pair(value.kernel, unit.square_kernel)
                if unit.strided:
                    given["stride"] = _pair(value.stride, unit.square_stride)
            elif isinstance(value, Initializer):
                given["init"] = self.unit_initializer(definition, value, values, instance.span)
            elif name != "pad":
                assert isinstance(value, Expression)
                given[name] = python(value)
        if "init" in unit.args and "init" not in given:
            default = df.unit_defaults(definition)["init"]
            assert isinstance(default, Initializer)
            given["init"] = self.unit_initializer(definition, default, values, instance.span)
        if unit.padding:
            given["padding"] = use_padding(definition, values, unit, self.words)
        return given

    def unit_initializer(
        self,
        unit: df.Definition,
        init: Initializer,
        values: Mapping[str, df.ArgumentValue],
        span: Span,
    ) -> str:
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

    # ------------------------------------------------------------ joins and control

    def join(self, join: df.Join, flow: Flow, variable: str) -> Flow:
        """Branches on one value."""
        flow = self.bound(flow, variable)
        outer = self.enter(join.name)
        labels = dict(self.labels)
        values = []
        for number, step in enumerate(join.body.steps, 1):
            assert isinstance(step, df.Step)
            if step.doc:
                self.lines += comment_lines(text.plain(step.doc), indent=self.indent)
            origin = self.labels[step.origin] if step.origin is not None else flow
            branch = self.unique(step.label or f"branch{number}")
            done = origin if step.element is None else self.element(step.element, origin, branch)
            done = self.bound(done, branch)
            if step.kept and step.label is not None:
                self.labels[step.label] = done
            values.append(done)
        self.labels = labels
        is_map = any(value.is_map for value in values)
        codes = []
        for number, value in enumerate(values, 1):
            if is_map and not value.is_map and join.kind != "concat":
                title = self.quoted(f"{join.title}.reshape{number}")
                code = f"layers.Reshape((1, 1, -1), name={title})({value.code})"
                value = self.bind(replace(value, code=code, variable=False), value.code)
            codes.append(value.code)
        # A block that ends in a join is that join: it needs no longer name.
        own = join is self.last and self.prefix == "{name}"
        title = self.quoted("" if own or join.name is not None else join.title)
        if join.name is not None and not title.strip('f"'):
            title = f'"{join.title}"'
        self.prefix = outer
        code = f"layers.{_JOINS[join.kind]}(name={title})([{', '.join(codes)}])"
        return Flow(code, is_map)

    def repeat(self, repeat: df.Repeat, flow: Flow, variable: str) -> Flow:
        """A repeat as a loop."""
        flow = self.bound(flow, variable)
        count = self.resolved(repeat.count, flow)
        assert isinstance(count, Expression)
        flow = self.bind(flow, variable)
        index = self.loop_variable()
        outer = self.enter(_joined(repeat.name, f"{{{index}}}") if repeat.name else f"{{{index}}}")
        before, self.lines = self.lines, []
        self.indent += 4
        done = self.bind(self.body(repeat.body, flow, variable), variable)
        self.indent -= 4
        body, self.lines = self.lines, before
        self.prefix = outer
        once = ex.literal(count) in (0, 1)
        if done.is_map != flow.is_map and not once:
            raise vector_in_repeat(repeat.span)
        if body:
            used = index if mentioned(index, body) else "_"
            self.lines += for_header(used, f"range({python(count)})", indent=self.indent)
            self.lines += body
        return flow if ex.literal(count) == 0 else done

    def loop_variable(self) -> str:
        """A variable for a loop in this place, which may lie in other loops."""
        taken = {formal.name for formal in self.definition.parameters}
        free = [name for name in _LOOPS if name not in taken and f"{{{name}}}" not in self.prefix]
        index = free[0] if free else f"index_{self.prefix.count('{')}"
        self.variables.add(index)
        return index

    def conditional(self, element: df.Conditional, flow: Flow, variable: str) -> Flow:
        """One of two bodies, decided when the model is built."""
        known = ex.literal(element.condition)
        if known is not None:
            body = element.then if known else element.otherwise
            return flow if body is None else self.body(body, flow, variable)
        flow = self.bound(flow, variable)
        condition = self.resolved(element.condition, flow)
        assert isinstance(condition, Expression)
        start = flow
        maps = []
        for header, body in (
            (if_header(python(condition), indent=self.indent), element.then),
            ([" " * self.indent + "else:"], element.otherwise),
        ):
            if body is None:
                if start.code != variable:
                    self.lines += header
                    self.lines += assign(variable, start.code, indent=self.indent + 4)
                maps.append(start.is_map)
                continue
            self.lines += header
            before = len(self.lines)
            self.indent += 4
            done = self.bind(self.body(body, start, variable), variable)
            if len(self.lines) == before:
                self.lines.append(" " * self.indent + "pass")
            self.indent -= 4
            maps.append(done.is_map)
        if maps[0] != maps[1]:
            message = "one side of this `if` gives a map and the other a vector"
            help_ = "pool or flatten on both sides, or behind the `if`"
            raise SpecError([Diagnostic(Code.UNDECIDED, message, element.span, help=help_)])
        return Flow(variable, maps[0], True)


def _last(body: df.Body) -> df.Element | None:
    """The element that gives a body its value."""
    step = body.steps[-1]
    element = step.element if isinstance(step, df.Step) else None
    while isinstance(element, df.Chain):
        element = element.elements[-1]
    return element


def mentioned(name: str, lines: list[str]) -> bool:
    """Whether a variable occurs in code, or in the name of a layer."""
    found = re.compile(rf"(?<![\w.\"]){name}\b(?!=[^=])")
    return any(found.search(line) for line in lines if not line.lstrip().startswith("#"))


def _joined(prefix: str, name: str | None) -> str:
    if not name:
        return prefix
    return f"{prefix}.{name}" if prefix else name


def _formal(name: str, default: Expression | str | None) -> str:
    if default is None:
        return name
    return f"{name}={default if isinstance(default, str) else python(default)}"


def _pair(values: tuple[Expression, Expression], square: bool) -> str:
    if square:
        return python(values[0])
    if isinstance(values[0], ex.Item):
        return values[0].parameter
    return f"({python(values[0])}, {python(values[1])})"
