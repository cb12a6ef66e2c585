"""Whole classes: for units and blocks, for the network, and for parts that need their own."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import replace

from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.resolve import definitions as df
from incgen.targets.shared import text
from incgen.targets.shared.classes.bodies import Bodies, X
from incgen.targets.shared.classes.code import Class, own
from incgen.targets.shared.classes.modules import Part
from incgen.targets.shared.code import (
    FLOAT,
    INT,
    Bind,
    Branches,
    Code,
    Formal,
    Loop,
    Node,
    Op,
    Return,
    names_in,
    parameters_in,
)
from incgen.targets.shared.elements import unwrapped
from incgen.targets.shared.file import Form
from incgen.targets.shared.symbols import Symbol, sizes_of
from incgen.targets.shared.values import as_float, one_of_equal
from incgen.targets.shared.writer import Flow


def returning(statements: list[Node], result: Code) -> list[Node]:
    """Return statements that end in a return statement, in place of a last assignment."""
    before = statements[:-1]
    match statements[-1] if statements else None:
        case Bind(target, value, _, comment) if result == ex.Name(target):
            return [*before, Return(value, comment)]
        case Branches(((first, body), (None, otherwise))) if result == ex.Name("x"):
            sides = [returning([*side], result) for side in (body, otherwise)]
            if all(isinstance(side[-1], Return) and side[-1].value != result for side in sides):
                return [*before, Branches(((first, tuple(sides[0])),)), *sides[1]]
    return [*statements, Return(result)]


class ClassWriter(Bodies):
    """Writes one class."""

    base = "module"
    outer: tuple[str, ...] = ()  # the variables of `forward` that hold outer values

    # ------------------------------------------------------------ whole classes

    def definition_class(self) -> tuple[Form, Class]:
        """Write the class of a unit or block."""
        flow = self.body(self.definition.body, Flow(X, self.input), "x")
        self.finish(flow)
        return self.finished({})

    def network_class(self) -> Class:
        """Write the class of the network: heads, shapes after statements, the output."""
        flow = self.body(self.definition.body, Flow(X, self.input), "x", whole=True)
        names = list(self.graph.outputs)
        if len(names) > 1:
            if not flow.variable:
                flow = self.bind(flow, "x")
            heads = tuple(self.heads[name] for name in names[1:])
            values = (flow.code, *map(ex.Name, heads))
            fields = tuple(zip(names, values, strict=True))
            outputs = {"value": flow.code, "heads": heads, "fields": fields}
            self.forward.append(Op("outputs", {**outputs, "name": f"{self.name}Output"}))
        else:
            self.finish(flow)
        return self.finished({})[1]

    def part_class(self, part: Part, captured: dict[str, Symbol]) -> tuple[Form, Class]:
        """Write a class for a part of another, which takes the outer values it uses."""
        for label, shape in captured.items():
            variable = self.values.take(label)
            self.variables.claim(sizes_of(part.captured[label]))
            self.outer += (variable,)
            self.labels[label] = Flow(ex.Name(variable), shape)
        start = Flow(X, self.input)
        match part.element:
            case df.Chain():
                self.base = "list"
                self.finish(self.listed(part.element, start))
            case df.Repeat():
                self.base = "list" if captured else "chain"
                self.loop(part.element, start)
            case df.Group():
                self.finish(self.body(part.element.body, start, "x"))
            case df.Join():
                self.finish(self.element(replace(part.element, name=None), start, "x"))
            case _:
                raise AssertionError(part.element)
        return self.finished(part.captured)

    def finish(self, flow: Flow) -> None:
        """Write the return statement, in place of a last one that gives the result its name."""
        self.forward = returning(self.forward, flow.code)

    def finished(self, captured: Mapping[str, str]) -> tuple[Form, Class]:
        """Return the class, and what its users have to know.

        Args:
            captured: The outer values that it takes, and the names of their sizes.
        """
        body, known = self.constructor_body()
        outer = [size for name in captured.values() for size in sizes_of(name)]
        sizes = tuple(name for name in (*sizes_of("in"), *outer) if name in known)
        formals = tuple(self.formals())
        floats = frozenset(name for name, _ in formals if self.type(name) == FLOAT)
        self.singles = self.one_or_several(body)
        form = Form(self.name, formals, sizes, floats, self.singles)
        heads = self.definition.kind == "network" and len(self.graph.outputs) > 1
        return form, Class(
            self.name,
            self.base,
            self.documentation("in_channels" if "in_channels" in sizes else "C"),
            self.declarations(),
            (*(Formal(name, INT) for name in sizes), *map(self.parameter, formals)),
            tuple(body),
            self.outer,
            f"{self.name}Output" if heads else "",
            tuple(self.forward),
        )

    def declarations(self) -> tuple[Node, ...]:
        """Return what the class declares above its methods."""
        return ()

    def constructor_body(self) -> tuple[list[Node], Container[str]]:
        """Return the statements of the constructor, and the parameters that they read."""
        stored = [Bind(own(name).text, formula) for name, formula in self.stored.items()]
        body: list[Node] = [*stored, *self.init]
        needed = parameters_in(body)
        for name, formula in reversed(self.computed.items()):
            if name in needed:
                body.insert(0, Bind(name, formula))
                needed |= parameters_in(formula)
        return (body if self.owner else [*self.refusals(), *body]), needed

    def parameter(self, formal: tuple[str, Expression | None]) -> Formal:
        """Return a parameter of the constructor."""
        name, default = formal
        if self.definition.kind == "network":
            default = ex.Literal(self.graph.parameters[name])
        kind = self.type(name)
        if default is not None and kind == FLOAT:
            default = as_float(default)
        if default is not None and name in self.singles:
            default = one_of_equal(default)
        return Formal(name, kind, default)

    def docs(self, source: str = "C") -> str:
        """Return the words of the docstring: those of the spec, and the shapes."""
        if self.definition.kind == "network":
            trained = f", in training to `{self.name}Output`" if len(self.graph.outputs) > 1 else ""
            return text.network_doc(self.graph, f"Maps {self.file.network_shapes()}{trained}.")
        return super().docs(source)

    # ------------------------------------------------------------ chains and repeats as classes

    def append(self, module: Code) -> None:
        """Append a module to the class, which is a list."""
        self.init.append(Op("append", {"target": "self", "module": module}))
        self.busy.clear()

    def listed(self, chain: df.Chain, flow: Flow) -> Flow:
        """Write a chain that uses outer values, as a list of modules."""
        for number, child in enumerate(chain.elements):
            element, origin = unwrapped(child)
            origin_flow = self.labels[origin] if origin is not None else flow
            with self.inside():
                built = self.built(element, origin_flow.shape, (str(number),))
            self.append(built.module)
            code = built.call(ex.Item("self", number), origin_flow.code)
            out = self.behind(element, origin_flow.shape)
            flow = self.bind(Flow(code, out), "x")
        return flow

    def loop(self, repeat: df.Repeat, flow: Flow) -> None:
        """Write a repeat whose modules are appended one by one."""
        init, self.init = self.init, []
        self.level += 1
        with self.variables.loop() as variable:
            with self.known_at(repeat.span):
                count = self.formula(repeat.count, flow.shape)
                before = self.shapes()
                progress = self.shaper.progress(repeat, flow.shape, before, ex.Name(variable))
            with self.inside():
                built = self.side(repeat.body, progress.before, (ex.Name(variable),))
        self.append(built.module)
        if progress.change is not None:
            self.init.append(Bind("in_channels", progress.change))
        self.level -= 1
        used = variable if variable in names_in(self.init) else "_"
        self.init = [*init, Loop(used, ex.Call("range", (count,)), tuple(self.init))]
        if self.base == "list":
            module = self.values.take("module")
            step = Bind("x", built.call(ex.Name(module), X))
            self.forward += [Loop(module, ex.Name("self"), (step,)), Return(X)]
