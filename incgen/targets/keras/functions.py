"""Keras functions: straight-line code, every layer with its label path as its name."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from functools import partial

from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.resolve import definitions as df
from incgen.targets.keras.code import Function, Layer, Step, Title
from incgen.targets.keras.ops import several, steps
from incgen.targets.keras.scope import Scope
from incgen.targets.shared import text
from incgen.targets.shared.code import (
    Applied,
    Bind,
    Branches,
    Comment,
    Formal,
    Loop,
    Node,
    Op,
    Return,
    names_in,
    parameters_in,
    within,
)
from incgen.targets.shared.file import Form
from incgen.targets.shared.growth import ranks_differ, vector_in_repeat
from incgen.targets.shared.symbols import Symbol
from incgen.targets.shared.writer import Flow

#: The variables that functions begin with.
_X, _INPUTS, _NAME = map(ex.Name, ("x", "inputs", "name"))


class FunctionWriter(Scope):
    """Writes one function."""

    # ------------------------------------------------------------ whole functions

    def function(self) -> tuple[Form, Function]:
        """Write the function of a unit or block; also return what its users have to know."""
        formals = self.formals()
        self.fill_in()
        flow = self.body(self.definition.body, self.named("x", self.is_map), "x")
        doc = Op("doc", {"words": self.documentation()})
        statements = [*self.statements, Return(flow.code)]
        body = (doc, *self.refusals(), *statements)
        written = Function(
            self.definition.kind,
            self.name,
            tuple(self.formal(*parameter) for parameter in formals),
            body,
        )
        form = Form(
            self.name,
            tuple(formals),
            either=self.one_or_several(statements),
            gives_map=flow.shape.is_map,
        )
        return form, written

    def one_or_several(self, body: list[Node]) -> frozenset[str]:
        several = super().one_or_several(body)
        if not several:
            return several
        both = [
            part.args
            for part in within(body)
            if isinstance(part, Layer) and part.name == "same_padding"
        ]
        return several - {"padding", *parameters_in(both)}

    def network(self) -> Function:
        """Write the function of the network, with its input and its model."""
        definition, pixels = self.definition, self.definition.pixels
        assert pixels is not None
        sizes = (pixels.height, pixels.width, pixels.channels)
        formals = [
            self.formal(f.name, ex.Literal(self.graph.parameters[f.name]))
            for f in definition.parameters
        ]
        source: Expression = ex.Tuple(sizes)
        if all(isinstance(size, ex.Literal) for size in sizes):
            formals.append(Formal("input_shape", default=source))
            source = ex.Name("input_shape")
        formals.append(Formal("name", default=ex.Literal(definition.name)))
        flow = self.body(definition.body, self.named("inputs", True), "x", whole=True)
        outputs = flow.code
        if self.heads:
            named = {next(iter(self.graph.outputs)): outputs, **self.heads}
            outputs = Op("outputs", {"named": named})
        body = (
            Op("doc", {"words": self.documentation()}),
            *self.refusals(),
            Bind("inputs", Op("input", {"shape": source})),
            *self.statements,
            *self.returned(Op("model", {"outputs": outputs})),
        )
        return Function("network", self.name, tuple(formals), body)

    def returned(self, model: Op) -> tuple[Node, ...]:
        """Return the statements that make the model and return it."""
        if self.graph.deployment is None:
            return (Return(model),)
        name = ex.Name(self.variable("model"))
        return Bind(name.text, model), Op("begin_inference", {"model": name}), Return(name)

    def fill_in(self) -> None:
        """Write the defaults of a block that depend on its input or on other parameters."""
        for name, formula in self.formulas().items():
            value = self.formula(formula, self.named("x", self.is_map).shape)
            absent = Op("absent", {"parameter": name})
            self.statements.append(Branches(((absent, (Bind(name, value),)),)))

    def docs(self, source: str = "C") -> str:
        """Return the words of the docstring: those of the spec, and the shapes."""
        if self.definition.kind != "network":
            return super().docs(source)
        shapes = f"Return a model that maps {self.file.network_shapes()}."
        lines = [text.network_doc(self.graph, shapes), ""]
        if self.heads:
            names = ", ".join(f'"{n}"' for n in self.graph.outputs)
            lines.append(
                f"The model gives a dictionary with the outputs {names}, at inference too."
            )
        return "\n".join(lines).strip()

    # ------------------------------------------------------------ steps

    def head(self, head: df.Head, flow: Flow) -> None:
        """Write an auxiliary head, which is also computed at inference."""
        variable = self.variable(head.label)
        done = self.body(head.body, flow, variable)
        # A value that exists already gets another name: its own may be reused.
        self.heads[head.label] = self.bind(done, variable).code

    def op(self, call: df.OpCall, flow: Flow, variable: str) -> Flow:
        """Write an op as its layers."""
        flow = self.bound(flow, variable)
        layers = self.steps(call, flow.shape)
        if several(layers):
            # Later layers must not read the sizes off the results of the first ones.
            layers = self.steps(call, self.kept(layers, flow.shape))
        if not layers and call.labelled:
            layers = (Layer("identity", {}),)  # the label has to be the name of a layer
        done = self.apply(layers, call.name, flow, variable)
        if flow.shape.is_map and call.op.vector:
            return self.value(done.code, False)
        return done

    def steps(self, call: df.OpCall, shape: Symbol) -> tuple[Step, ...]:
        """Return the layers of an op, with sizes read off its input or stored in variables."""
        # A pooling calculates with its border, a convolution passes it on.
        args = self.arguments(call, shape, whole=call.op.family != "pool")
        explicit = self.definition in self.file.explicit
        return steps(call.op.name, args, replace(self.place(call, shape), explicit=explicit))

    # ------------------------------------------------------------ joins and control

    def element(self, element: df.Element, flow: Flow, variable: str) -> Flow:
        """Write an element; after a join, the names of its branches are free again."""
        with self.variables.passing() if isinstance(element, df.Join) else nullcontext():
            return super().element(element, flow, variable)

    def joined(self, join: df.Join, flow: Flow, values: list[Flow]) -> Flow:
        """Write the layer that joins the values of branches."""
        is_map = any(value.shape.is_map for value in values)
        if is_map and join.kind != "concat":
            named = list(enumerate(values, 1))
            if join.kind == "add":
                # After a map of N rows, Keras takes (N, 1, 1, 1) for a bias of its rows.
                named.sort(key=lambda branch: branch[1].shape.is_map)
            values = [self.as_map(value, join.title, f"reshape{n}") for n, value in named]
        layer = Layer(join.kind, {}, title=self.join_title(join))
        listed = Op("list", {"values": [value.code for value in values]})
        return self.value(Applied(layer, (listed,)), is_map)

    def as_map(self, value: Flow, *name: str) -> Flow:
        """Turn a vector into a map of one pixel, which spreads over all pixels of another."""
        if value.shape.is_map:
            return value
        assert isinstance(value.code, ex.Name)
        reshape = Layer("as_one_pixel", {}, title=Title(self.path(*name)))
        return self.bind(self.value(Applied(reshape, (value.code,)), True), value.code.text)

    def join_title(self, join: df.Join) -> Title:
        """Return the name of a join's layer."""
        # A block that ends in a join is that join, and needs no longer name.
        own = join is _last(self.definition.body) and self.prefix == (_NAME,)
        path = self.path(None if own or join.name is not None else join.title)
        return Title(path or (join.title,))

    def repeat(self, repeat: df.Repeat, flow: Flow, variable: str) -> Flow:
        """Write a repeat as a loop."""
        flow = self.bound(flow, variable)
        count = self.formula(repeat.count, flow.shape)
        flow = self.bind(flow, variable)
        with (
            self.variables.loop() as index,
            self.under(repeat.name, ex.Name(index)),
            self.suite() as body,
        ):
            done = self.bind(self.body(repeat.body, flow, variable), variable)
        once = ex.literal(count) in (0, 1)
        if done.shape.is_map != flow.shape.is_map and not once:
            raise vector_in_repeat(repeat.span)
        if not all(isinstance(statement, Comment) for statement in body):
            used = index if index in names_in(body) else "_"
            times = ex.Call("range", (count,))
            self.statements.append(Loop(used, times, tuple(body)))
        return flow if ex.literal(count) == 0 else done

    def conditional(self, element: df.Conditional, flow: Flow, variable: str) -> Flow:
        known = ex.literal(element.condition)
        if known is not None:
            body = element.then if known else element.otherwise
            return flow if body is None else self.body(body, flow, variable)
        other = element.otherwise
        flow = self.bind(flow, variable) if other is None else self.bound(flow, variable)
        condition = self.formula(element.condition, flow.shape)
        then = partial(self.body, element.then, flow, variable)
        otherwise = None if other is None else partial(self.body, other, flow, variable)
        results = self.choose(condition, then, otherwise, flow, variable)
        if len({result.shape.is_map for result in results}) > 1:
            raise ranks_differ(element.span)
        return results[0]


def _last(body: df.Body) -> df.Element | None:
    """Return the last element of a body, whose value is that of the body."""
    step = next(step for step in reversed(body.steps) if isinstance(step, df.Step))
    element = step.element
    while isinstance(element, df.Chain):
        element = element.elements[-1]
    return element
