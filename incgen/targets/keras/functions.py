"""Keras functions: straight-line code, every layer with its label path as its name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import assert_never

from incgen.base.diagnostics import Code, Diagnostic, SpecError
from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.language.initializers import Initializer
from incgen.language.ops import Kind
from incgen.language.printing import python
from incgen.resolve import definitions as df
from incgen.targets.keras.code import Call, Flow, Form, Side, Step, View, When
from incgen.targets.keras.ops import Context, several, steps
from incgen.targets.keras.padding import usual_padding
from incgen.targets.keras.scope import Scope, joined, only_comments
from incgen.targets.keras.uses import use
from incgen.targets.shared import text
from incgen.targets.shared.lines import assign, def_header, for_header, returns
from incgen.targets.shared.prose import comment_lines
from incgen.targets.shared.shaping import vector_in_repeat
from incgen.targets.shared.structure import only, unnamed_branch
from incgen.targets.shared.symbols import head_arguments
from incgen.targets.shared.values import ONE

_JOINS = {"concat": "Concatenate", "add": "Add", "mul": "Multiply"}
#: Ops that give a vector.
_TO_VECTOR = ("dense", "flatten", "global_avg_pool", "global_max_pool")


class FunctionWriter(Scope):
    """Writes one function."""

    # ------------------------------------------------------------ whole functions

    def definition_view(self) -> tuple[Form, View]:
        """The function of a unit or block, and what its users have to know."""
        formals = self.formals()
        for name, _ in formals:
            self.lines += self.file.words.checks(self.definition, name, 4)
        flow = self.body(self.definition.body, Flow("x", self.is_map, True), "x")
        self.lines += returns(flow.code, indent=4)
        header = ["x", *map(self.formal, formals), "*", "name"]
        doc = self.definition.doc or text.described(self.definition)
        view = View(text.docstring(doc, 4), def_header(self.name, header), self.lines)
        return Form(self.name, tuple(formals), flow.is_map, self.one_or_several()), view

    def one_or_several(self) -> frozenset[str]:
        """The parameters of a unit's window that can be one number in place of equal ones."""
        head = self.definition.head
        if head is None or head.family != "conv":
            return frozenset()
        code = " ".join(self.lines)
        apart = re.findall(r"SamePadding2D\((.*?)name=", code)  # which takes both numbers
        return frozenset(
            name
            for name in {"kernel", "stride"} - self.strict
            if f"{name}[" not in code and not any(name in arguments for arguments in apart)
        )

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
                usual = "0"
                if self.unit.padding:
                    usual = usual_padding(self.graph.program, self.definition, self.unit)
                optional.append(("padding", usual))
            elif argument.kind is Kind.INITIALIZER:
                optional.append(("init", "None"))
            else:
                known = defaults.get(argument.name)
                value = known if isinstance(known, ex.Literal) else None
                (required if value is None else optional).append((argument.name, value))
        required.sort(key=lambda item: item[0] == "kernel")
        return required + optional

    def formal(self, formal: tuple[str, Expression | str | None]) -> str:
        """A parameter as source; only words have a type."""
        name, default = formal
        words = self.annotation(name)
        declared = name if words is None else f"{name}: {words}"
        if default is None:
            return declared
        value = default if isinstance(default, str) else python(default)
        return f"{declared}={value}" if words is None else f"{declared} = {value}"

    def annotation(self, name: str) -> str | None:
        """The type of a parameter that is a word, or may be one."""
        if self.unit is None or name != "padding":
            return self.file.words.annotation(self.definition, name)
        head = self.definition.head
        if not self.unit.padding or (head is not None and head.family == "pool"):
            return None  # pixels
        words = 'Literal["same", "valid"]'
        return f"int | tuple | {words}" if self.definition in self.file.explicit else words

    def network_view(self) -> View:
        """The function of the network, with its input and its model."""
        pixels = self.definition.pixels
        assert pixels is not None
        sizes = (pixels.height, pixels.width, pixels.channels)
        shape = f"({', '.join(map(python, sizes))})"
        fixed = all(isinstance(size, ex.Literal) for size in sizes)
        parameters = [
            self.formal((f.name, ex.Literal(self.graph.parameters[f.name])))
            for f in self.definition.parameters
        ]
        if fixed:
            parameters.append(f"input_shape={shape}")
        parameters.append(f'name="{self.definition.name}"')
        source = "input_shape" if fixed else shape
        for formal in self.definition.parameters:
            self.lines += self.file.words.checks(self.definition, formal.name, 4)
        self.lines += assign("inputs", f'keras.Input({source}, name="input")', indent=4)
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
        element = _last(self.definition.body)
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
            lines.append(
                f"The model gives a dictionary with the outputs {names}, at inference too."
            )
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
                self.lines += comment_lines(step.doc, indent=self.indent)
            if isinstance(step, df.Head):
                flow = self.bound(flow, variable)
                variable_ = self.variables.take(step.label)
                done = self.body(step.body, flow, variable_)
                # a value that is there already gets another name: its own may be used again
                self.heads[step.label] = self.bind(done, variable_).code
                continue
            origin = self.labels[step.origin] if step.origin is not None else flow
            target = variable
            if step.kept and step.label is not None:
                target = self.variables.take(step.label)
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

    # ------------------------------------------------------------ elements

    def element(self, element: df.Element, flow: Flow, variable: str) -> Flow:
        """An element in straight-line code."""
        match element:
            case df.OpCall():
                return self.op(element, flow, variable)
            case df.Instance():
                return use(self, element, flow, variable)
            case df.Chain():
                with self.under(element.name):
                    for child in element.elements:
                        flow = self.element(child, flow, variable)
                return flow
            case df.Join():
                return self.join(element, flow, variable)
            case df.Group():
                with self.under(element.name):
                    return self.body(element.body, flow, variable)
            case df.Repeat():
                return self.repeat(element, flow, variable)
            case df.Conditional():
                return self.conditional(element, flow, variable)
            case _:
                assert_never(element)

    def op(self, call: df.OpCall, flow: Flow, variable: str) -> Flow:
        """An op as its layers."""
        flow = self.bound(flow, variable)
        found = self.steps(call, flow)
        if several(found):
            # Later layers must not read the sizes off what the first ones give.
            found = self.steps(call, flow, self.kept_sizes(found, flow))
        if not found and call.labelled:
            found = (Call("layers.Identity("),)  # the label is a layer's name all the same
        done = self.apply(found, call.name, flow, variable)
        return replace(done, is_map=flow.is_map and call.op.name not in _TO_VECTOR)

    def steps(
        self, call: df.OpCall, flow: Flow, kept: Mapping[str, Expression] = MappingProxyType({})
    ) -> tuple[Step, ...]:
        """The layers of an op, with sizes read off the value or kept in variables."""
        # a pooling calculates with its border, a convolution hands it on
        written = head_arguments(call, self.unit, whole=call.op.family != "pool")
        unit = self.unit if call.forwards else None
        explicit = self.definition in self.file.explicit
        own = call.args.get("init")
        init = own if isinstance(own, Initializer) else None
        context = Context(flow.is_map, unit, self.words, explicit, init)
        args = {name: self.resolved(value, flow, kept) for name, value in written.items()}
        return steps(call.op.name, args, context)

    # ------------------------------------------------------------ joins and control

    def join(self, join: df.Join, flow: Flow, variable: str) -> Flow:
        """Branches on one value."""
        flow = self.bound(flow, variable)
        with self.under(join.name):
            values = self.branches(join, flow)
            is_map = any(value.is_map for value in values)
            if is_map and join.kind != "concat":
                named = list(enumerate(values, 1))
                if join.kind == "add":
                    # Keras takes (N, 1, 1, 1) behind a map of N rows for a bias of its rows
                    named.sort(key=lambda branch: branch[1].is_map)
                values = [self.as_map(value, f"{join.title}.reshape{n}") for n, value in named]
            title = self.join_title(join)
        codes = ", ".join(value.code for value in values)
        return Flow(f"layers.{_JOINS[join.kind]}(name={title})([{codes}])", is_map)

    def branches(self, join: df.Join, flow: Flow) -> list[Flow]:
        """What comes out of each branch, as variables."""
        labels = dict(self.labels)
        values = []
        for number, step in enumerate(join.body.steps, 1):
            assert isinstance(step, df.Step)
            if step.doc:
                self.lines += comment_lines(step.doc, indent=self.indent)
            origin = self.labels[step.origin] if step.origin is not None else flow
            branch = self.variables.take(step.label or unnamed_branch(join, number))
            done = origin if step.element is None else self.element(step.element, origin, branch)
            done = self.bound(done, branch)
            if step.kept and step.label is not None:
                self.labels[step.label] = done
            values.append(done)
        self.labels = labels
        return values

    def as_map(self, value: Flow, name: str) -> Flow:
        """A variable as a map: a vector is one pixel, so that it spreads over all of them."""
        if value.is_map:
            return value
        code = f"layers.Reshape((1, 1, -1), name={self.quoted(name)})({value.code})"
        return self.bind(replace(value, code=code, variable=False), value.code)

    def join_title(self, join: df.Join) -> str:
        """The name of a join's layer, as source."""
        # A block that ends in a join is that join: it needs no longer name.
        own = join is _last(self.definition.body) and self.prefix == "{name}"
        title = self.quoted("" if own or join.name is not None else join.title)
        return title if title.strip('f"') or join.name is None else f'"{join.title}"'

    def repeat(self, repeat: df.Repeat, flow: Flow, variable: str) -> Flow:
        """A repeat as a loop."""
        flow = self.bound(flow, variable)
        count = self.resolved(repeat.count, flow)
        assert isinstance(count, Expression)
        flow = self.bind(flow, variable)
        before, self.lines = self.lines, []
        self.indent += 4
        with self.variables.loop() as index, self.under(joined(repeat.name, f"{{{index}}}")):
            done = self.bind(self.body(repeat.body, flow, variable), variable)
        self.indent -= 4
        body, self.lines = self.lines, before
        once = ex.literal(count) in (0, 1)
        if done.is_map != flow.is_map and not once:
            raise vector_in_repeat(repeat.span)
        if not only_comments(body):
            used = index if _mentions(body, index) else "_"
            self.lines += for_header(used, f"range({python(count)})", indent=self.indent)
            self.lines += body
        return flow if ex.literal(count) == 0 else done

    def conditional(self, element: df.Conditional, flow: Flow, variable: str) -> Flow:
        """One of two bodies, decided when the model is built."""
        known = ex.literal(element.condition)
        if known is not None:
            body = element.then if known else element.otherwise
            return flow if body is None else self.body(body, flow, variable)
        flow = self.bound(flow, variable)
        results = self.cases(self.sides(element, flow, variable), variable)
        if len({result.is_map for result in results}) > 1:
            message = "one side of this `if` gives a map and the other a vector"
            help_ = "pool or flatten on both sides, or behind the `if`"
            raise SpecError([Diagnostic(Code.UNDECIDED, message, element.span, help=help_)])
        return Flow(variable, results[0].is_map, True)

    def sides(self, element: df.Conditional, flow: Flow, variable: str) -> list[Side]:
        """The sides of a condition; what is but an `if` on its other side adds its own."""
        condition = self.resolved(element.condition, flow)
        assert isinstance(condition, Expression)
        then = Side(python(condition), partial(self.body, element.then, flow, variable))
        return [then, *self.other_sides(element.otherwise, flow, variable)]

    def other_sides(self, body: df.Body | None, flow: Flow, variable: str) -> list[Side]:
        """The last side of an if statement, or the sides of all that it would contain."""
        if body is None:
            return [Side(None, lambda: flow, flow)]
        step = only(body)
        plain = step is not None and step.origin is None and not step.kept and not step.doc
        if plain and step is not None and step.element is not None:
            found = self.inner_sides(step.element, flow, variable)
            if found:
                return found
        return [Side(None, partial(self.body, body, flow, variable))]

    def inner_sides(self, element: df.Element, flow: Flow, variable: str) -> list[Side]:
        """The sides of an element of which nothing but an if statement is written; else none."""
        match element:
            case df.Conditional():
                known = ex.literal(element.condition)
                if known is None:
                    return self.sides(element, flow, variable)
                body = element.then if known else element.otherwise
                return self.other_sides(body, flow, variable)
            case df.Group():
                found = self.other_sides(element.body, flow, variable)
                return [
                    replace(side, write=partial(self.written_under, element.name, side.write))
                    for side in found
                ]
            case df.OpCall():
                steps_ = self.steps(element, flow)
                first = steps_[0] if len(steps_) == 1 else None
                apart = several(steps_) and self.read_sizes(steps_, flow)
                if isinstance(first, When) and first.otherwise and not apart:
                    return self.sides_of_steps(first, element.name, flow, variable)
        return []

    def written_under(self, name: str | None, write: Callable[[], Flow]) -> Flow:
        """Write a side of an if statement whose layers have a name in front of theirs."""
        with self.under(name):
            return write()


def _last(body: df.Body) -> df.Element | None:
    """The element that gives a body its value."""
    step = next(step for step in reversed(body.steps) if isinstance(step, df.Step))
    element = step.element
    while isinstance(element, df.Chain):
        element = element.elements[-1]
    return element


def _mentions(lines: list[str], name: str) -> bool:
    """Whether a variable occurs in code, or in the name of a layer."""
    found = re.compile(rf"(?<![\w.\"]){name}\b(?!=[^=])")
    return any(found.search(line) for line in lines if not line.lstrip().startswith("#"))
