"""Keras functions: straight-line code, every layer with its label path as its name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import assert_never

from incgen.base import diagnostics
from incgen.base.diagnostics import Diagnostic, SpecError
from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.language.initializers import Initializer
from incgen.resolve import definitions as df
from incgen.targets.keras.code import (
    Flow,
    Form,
    Function,
    Layer,
    Step,
    Title,
)
from incgen.targets.keras.ops import Context, several, steps
from incgen.targets.keras.parameters import formal, parameters
from incgen.targets.keras.scope import Scope
from incgen.targets.keras.uses import use
from incgen.targets.shared import text
from incgen.targets.shared.code import (
    Applied,
    Bind,
    Comment,
    Formal,
    Gap,
    Loop,
    Node,
    Op,
    Return,
    names_in,
    parameters_in,
    within,
)
from incgen.targets.shared.files import outputs, shown
from incgen.targets.shared.growth import vector_in_repeat
from incgen.targets.shared.structure import unnamed_branch
from incgen.targets.shared.units import head_arguments

#: Ops that give a vector.
_TO_VECTOR = ("dense", "flatten", "global_avg_pool", "global_max_pool")
#: The variables that functions begin with.
_X, _INPUTS, _NAME = map(ex.Name, ("x", "inputs", "name"))


class FunctionWriter(Scope):
    """Writes one function."""

    # ------------------------------------------------------------ whole functions

    def function(self) -> tuple[Form, Function]:
        """Write the function of a unit or block; return what its users have to know, too."""
        formals = parameters(self)
        checks = self.checks(name for name, _ in formals)
        flow = self.body(self.definition.body, Flow(_X, self.is_map), "x")
        words = self.definition.doc or f"The block `{self.definition.name}`."
        if self.definition.kind == "unit" and not self.definition.doc:
            words = text.described(self.definition, lambda d: self.file.functions[d][0])
        doc = Op("doc", {"words": words})
        body = (doc, *checks, *self.statements, Return(flow.code))
        written = Function(
            self.definition.kind, self.name, tuple(formal(self, *each) for each in formals), body
        )
        return Form(self.name, tuple(formals), flow.is_map, self.one_or_several()), written

    def checks(self, names: Iterable[str]) -> list[Node]:
        """Return what refuses words of parameters for which there is no code."""
        return [each for n in names for each in self.file.words.refusal(self.definition, n)]

    def one_or_several(self) -> frozenset[str]:
        """Return the parameters of a unit's window that take one number for equal ones."""
        head = self.definition.head
        if head is None or head.family != "conv":
            return frozenset()
        strict = {*self.strict}
        for part in within(self.statements):
            match part:
                case ex.Item(name):
                    strict.add(name)
                case Layer("same_padding", args):  # which takes both numbers
                    strict.update(parameters_in(args))
                case _:
                    pass
        return frozenset({"kernel", "stride"} - strict)

    def network(self) -> Function:
        """Write the function of the network, with its input and its model."""
        definition, pixels = self.definition, self.definition.pixels
        assert pixels is not None
        sizes = (pixels.height, pixels.width, pixels.channels)
        formals = [
            formal(self, f.name, ex.Literal(self.graph.parameters[f.name]))
            for f in definition.parameters
        ]
        source: Expression = ex.Tuple(sizes)
        if all(isinstance(size, ex.Literal) for size in sizes):
            formals.append(Formal("input_shape", default=source))
            source = ex.Name("input_shape")
        formals.append(Formal("name", default=ex.Literal(definition.name)))
        checks = self.checks(each.name for each in definition.parameters)
        flow = self.body(definition.body, Flow(_INPUTS, True), "x", whole=True)
        outputs = flow.code
        if self.heads:
            named = {next(iter(self.graph.outputs)): outputs, **self.heads}
            outputs = Op("outputs", {"named": named})
        body = (
            Op("doc", {"words": self.network_doc()}),
            *checks,
            Bind("inputs", Op("input", {"shape": source})),
            *self.statements,
            Return(Op("model", {"outputs": outputs})),
        )
        return Function("network", self.name, tuple(formals), body)

    def network_doc(self) -> str:
        """Return the words of the network's docstring."""
        first = next(iter(outputs(self.graph, channels_last=True).values()))
        shape = f"Return a model of {shown(self.graph.input, channels_last=True)} to {first}."
        lines = [text.network_doc(self.graph, shape), ""]
        if self.heads:
            names = ", ".join(f'"{n}"' for n in self.graph.outputs)
            lines.append(
                f"The model gives a dictionary with the outputs {names}, at inference too."
            )
        return "\n".join(lines).strip()

    # ------------------------------------------------------------ bodies

    def body(self, body: df.Body, flow: Flow, variable: str, *, whole: bool = False) -> Flow:
        """Write the steps of a body after one another."""
        labels = dict(self.labels)
        previous: df.Step | df.Head | None = None
        for number, step in enumerate(body.steps):
            if whole and text.paragraph_before(previous, step):
                self.statements.append(Gap())
            previous = step
            self.comment(step)
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

    def comment(self, step: df.Step | df.Head) -> None:
        """Write the comment of a step."""
        if step.doc:
            self.statements.append(Comment(step.doc))

    # ------------------------------------------------------------ elements

    def element(self, element: df.Element, flow: Flow, variable: str) -> Flow:
        """Write an element as straight-line code."""
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
        """Write an op as its layers."""
        flow = self.bound(flow, variable)
        found = self.steps(call, flow)
        if several(found):
            # Later layers must not read the sizes off what the first ones give.
            found = self.steps(call, flow, self.kept_sizes(found, flow))
        if not found and call.labelled:
            found = (Layer("identity", {}),)  # the label is a layer's name all the same
        done = self.apply(found, call.name, flow, variable)
        return replace(done, is_map=flow.is_map and call.op.name not in _TO_VECTOR)

    def steps(
        self, call: df.OpCall, flow: Flow, kept: Mapping[str, Expression] = MappingProxyType({})
    ) -> tuple[Step, ...]:
        """Return the layers of an op, with sizes read off the value or kept in variables."""
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
        """Write a join: branches on one value."""
        flow = self.bound(flow, variable)
        with self.under(join.name):
            values = self.branches(join, flow)
            is_map = any(value.is_map for value in values)
            if is_map and join.kind != "concat":
                named = list(enumerate(values, 1))
                if join.kind == "add":
                    # Keras takes (N, 1, 1, 1) behind a map of N rows for a bias of its rows
                    named.sort(key=lambda branch: branch[1].is_map)
                values = [self.as_map(value, join.title, f"reshape{n}") for n, value in named]
            layer = Layer(join.kind, {}, title=self.join_title(join))
        joined = Op("list", {"values": [value.code for value in values]})
        return Flow(Applied(layer, (joined,)), is_map)

    def branches(self, join: df.Join, flow: Flow) -> list[Flow]:
        """Write the branches of a join; return what comes out of each, as variables."""
        labels = dict(self.labels)
        values = []
        for number, step in enumerate(join.body.steps, 1):
            assert isinstance(step, df.Step)
            self.comment(step)
            origin = self.labels[step.origin] if step.origin is not None else flow
            branch = self.variables.take(step.label or unnamed_branch(join, number))
            done = origin if step.element is None else self.element(step.element, origin, branch)
            done = self.bound(done, branch)
            if step.kept and step.label is not None:
                self.labels[step.label] = done
            values.append(done)
        self.labels = labels
        return values

    def as_map(self, value: Flow, *name: str) -> Flow:
        """Make a map of a variable: a vector is one pixel, so that it spreads over all of them."""
        if value.is_map:
            return value
        assert isinstance(value.code, ex.Name)
        reshape = Layer("as_one_pixel", {}, title=Title(self.path(*name)))
        return self.bind(replace(value, code=Applied(reshape, (value.code,))), value.code.text)

    def join_title(self, join: df.Join) -> Title:
        """Return the name of a join's layer."""
        # A block that ends in a join is that join: it needs no longer name.
        own = join is _last(self.definition.body) and self.prefix == (_NAME,)
        path = self.path(None if own or join.name is not None else join.title)
        return Title(path or (join.title,))

    def repeat(self, repeat: df.Repeat, flow: Flow, variable: str) -> Flow:
        """Write a repeat as a loop."""
        flow = self.bound(flow, variable)
        count = self.resolved(repeat.count, flow)
        assert isinstance(count, Expression)
        flow = self.bind(flow, variable)
        with (
            self.variables.loop() as index,
            self.under(repeat.name, ex.Name(index)),
            self.suite() as body,
        ):
            done = self.bind(self.body(repeat.body, flow, variable), variable)
        once = ex.literal(count) in (0, 1)
        if done.is_map != flow.is_map and not once:
            raise vector_in_repeat(repeat.span)
        if not all(isinstance(statement, Comment) for statement in body):
            used = index if index in names_in(body) else "_"
            times = ex.Call("range", (count,))
            self.statements.append(Loop(used, times, tuple(body)))
        return flow if ex.literal(count) == 0 else done

    def conditional(self, element: df.Conditional, flow: Flow, variable: str) -> Flow:
        """Write one of two bodies, decided when the model is built."""
        known = ex.literal(element.condition)
        if known is not None:
            body = element.then if known else element.otherwise
            return flow if body is None else self.body(body, flow, variable)
        flow = self.bound(flow, variable)
        condition, other = self.resolved(element.condition, flow), element.otherwise
        assert isinstance(condition, Expression)
        then = partial(self.body, element.then, flow, variable)
        otherwise = None if other is None else partial(self.body, other, flow, variable)
        results = self.choose(condition, then, otherwise, flow, variable)
        if len({result.is_map for result in results}) > 1:
            message = "one side of this `if` gives a map and the other a vector"
            help_ = "pool or flatten on both sides, or behind the `if`"
            code = diagnostics.Code.UNDECIDED
            raise SpecError([Diagnostic(code, message, element.span, help=help_)])
        return results[0]


def _last(body: df.Body) -> df.Element | None:
    """Return the element that gives a body its value."""
    step = next(step for step in reversed(body.steps) if isinstance(step, df.Step))
    element = step.element
    while isinstance(element, df.Chain):
        element = element.elements[-1]
    return element
