"""Classes: attributes in `__init__`, and straight-line code in `forward` that uses them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import assert_never

from incgen.graph.shapes import Shape
from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.language.printing import python
from incgen.resolve import definitions as df
from incgen.targets.shared import text
from incgen.targets.shared.lines import assign, def_header, expression, for_header, returns
from incgen.targets.shared.prose import comment_lines
from incgen.targets.shared.shaping import EITHER, SETTLED
from incgen.targets.shared.structure import only, slot_of, unnamed_branch, unwrapped
from incgen.targets.shared.symbols import Symbol, Unknown, unit_arguments
from incgen.targets.shared.values import as_float, one_of_equal
from incgen.targets.torch.code import (
    INPUT_SIZES,
    Built,
    Flow,
    Form,
    View,
    cases,
    mentions,
    sizes_of,
)
from incgen.targets.torch.modules import Modules
from incgen.targets.torch.ops import ATOM, LOOSE, PRODUCT, SUM, UNCHANGED
from incgen.targets.torch.scope import METHOD, Part

#: An expression of `forward` that is longer gets a variable.
_LONG = 48
#: Parts of a formula for the channels in a docstring; a longer one is no help to a reader.
_SHOWN = 15


class ClassWriter(Modules):
    """Writes one class."""

    base = "nn.Module"

    # ------------------------------------------------------------ whole classes

    def definition_class(self) -> tuple[Form, View]:
        """The class of a unit or block."""
        flow = self.body(self.definition.body, Flow("x", self.input, True, typed=True), "x")
        self.finish(flow)
        return self.finished({})

    def network_class(self) -> View:
        """The class of the network: heads, shapes behind statements, the output."""
        start = Flow("x", self.input, True, typed=True)
        flow = self.body(self.definition.body, start, "x", whole=True)
        self.output = flow.shape
        names = list(self.graph.outputs)
        if len(names) > 1:
            if not flow.variable:
                flow = self.bind(flow, "x")
            heads = [self.heads[name] for name in names[1:]]
            fields = [f"{n}={code}" for n, code in zip(names, (flow.code, *heads), strict=True)]
            output = f"{self.name}Output({', '.join(fields)})"
            absent = " or ".join(f"{head} is None" for head in heads)
            evaluation = returns(flow.code, indent=self.indent + 4)
            self.forward += cases([(absent, evaluation)], self.indent)
            self.forward += returns(output, indent=self.indent)
        else:
            self.finish(flow)
        return self.finished({})[1]

    def part_class(self, part: Part, captured: dict[str, Symbol]) -> tuple[Form, View]:
        """A class for a part of another, which takes the outer values it uses."""
        for label, shape in captured.items():
            variable = self.values.take(label)
            self.variables.claim(sizes_of(part.captured[label]))
            self.typed.add(variable)
            self.labels[label] = Flow(variable, shape, True, typed=True)
        start = Flow("x", self.input, True, typed=True)
        match part.element:
            case df.Chain():
                self.base = "nn.ModuleList"
                self.finish(self.listed(part.element, start))
            case df.Repeat():
                self.base = "nn.ModuleList" if captured else "nn.Sequential"
                self.loop(part.element, start)
            case df.Group():
                self.finish(self.body(part.element.body, start, "x"))
            case df.Join():
                self.finish(self.join(replace(part.element, name=None), start, "x"))
            case _:
                raise AssertionError(part.element)
        return self.finished(part.captured)

    def finish(self, flow: Flow) -> None:
        """The return statement; what is Any to type checkers goes through a variable."""
        if not flow.typed:
            flow = self.bind(flow, "x")
        self.forward += returns(flow.code, indent=self.indent)

    def finished(self, captured: Mapping[str, str]) -> tuple[Form, View]:
        """The class as lines, and what its users have to know."""
        stored = [
            line
            for name, source in self.stored.items()
            for line in assign(f"self.{name}", source, indent=METHOD)
        ]
        body = [*stored, *self.decay_lines(), *self.init]
        for name, formula in reversed(self.computed.items()):
            if mentions(name, body):
                body = [*assign(name, python(formula), indent=METHOD), *body]
        if self.owner is None:
            checks = [
                self.file.words.checks(self.definition, name, METHOD) for name, _ in self.formals()
            ]
            body = [*itertools.chain(*checks), *body]
        if self.decays and not self.in_place:
            code = "{" + ", ".join(self.decays) + "}"
            body += assign("self.weight_decay", code, indent=METHOD)
        outer = [size for name in captured.values() for size in sizes_of(name)]
        sizes = tuple(name for name in (*INPUT_SIZES, *outer) if mentions(name, body))
        formals = tuple(self.formals())
        floats = frozenset(name for name, _ in formals if self.annotation(name) == "float")
        self.singles = self.one_or_several(body)
        form = Form(self.name, sizes, formals, floats, self.singles)
        header = ["self", *(f"{name}: int" for name in sizes), *map(self.parameter, form.formals)]
        init = [
            *def_header("__init__", header, "None", indent=4),
            " " * METHOD + "super().__init__()",
        ]
        init = [*init, *body] if body or len(header) > 1 else []
        heads = self.definition.kind == "network" and len(self.graph.outputs) > 1
        result = f"Tensor | {self.name}Output" if heads else "Tensor"
        inputs = ["self", "x: Tensor", *(f"{self.labels[c].code}: Tensor" for c in captured)]
        forward = [*def_header("forward", inputs, result, indent=4), *self.forward]
        finals = [f"    {name}: Final[{kind}]" for name, kind in self.finals.items()]
        finals += [f"    {name}: nn.Module" for name in sorted(self.mixed)]
        if self.decays and self.in_place:
            finals.append("    weight_decay: dict[str, float]")
        forward = forward if self.forward else []
        return form, View(self.name, self.base, self.docs(form), finals, init, forward)

    def one_or_several(self, body: list[str]) -> frozenset[str]:
        """The parameters of a unit's window that can be one number in place of equal ones."""
        head = self.definition.head
        if self.unit is None or head is None or head.family != "conv":
            return frozenset()
        indexed = {name for name in self.several() if any(f"{name}[" in line for line in body)}
        return self.several() - indexed - self.strict

    def parameter(self, formal: tuple[str, Expression | None]) -> str:
        """A parameter of the constructor as source."""
        name, default = formal
        if self.definition.kind == "network":
            default = ex.Literal(self.graph.parameters[name])
        kind = self.annotation(name)
        if default is not None and kind == "float":
            default = as_float(default)
        if default is not None and name in self.singles:
            default = one_of_equal(default)
        tail = "" if default is None else f" = {python(default)}"
        return f"{name}: {kind}{tail}"

    def decay_lines(self) -> list[str]:
        """An empty dictionary for rates that are written where their kernels are."""
        if not self.decays or not self.in_place:
            return []
        return assign("self.weight_decay", "{}", indent=METHOD)

    def docs(self, form: Form) -> list[str]:
        """The docstring of a class: the spec's words and the shapes."""
        definition = self.definition
        doc = definition.doc
        if definition.kind == "network":
            doc = text.network_doc(self.graph)
        elif not doc:
            doc = text.described(definition)
        lines = [doc]
        if definition.kind == "block" and definition in self.graph.observed:
            shapes = self.graph.observed[definition].shapes
            if alike := [each for each in shapes if each[0].is_map == self.input.is_map]:
                lines += ["", f"Shape: {self.shape_doc(form, alike)}"]
        return text.docstring("\n".join(lines), 4)

    def shape_doc(self, form: Form, shapes: list[tuple[Shape, Shape]]) -> str:
        """The shapes in front of a block and behind it, from those of its uses."""
        before, after = shapes[0]
        formula = self.shaper.definition(self.definition, self.input.is_map)
        source, result = "in_channels" if "in_channels" in form.sizes else "C", "C'"
        with suppress(Unknown):
            if not ex.is_longer(formula.channels, _SHOWN):
                result = re.sub(r"\bin_channels\b", source, python(formula.channels))
        first = f"(N, {source}, H, W)" if before.is_map else f"(N, {source})"
        if not after.is_map:
            return f"{first} to (N, {result})"
        kept = all((a.height, a.width) == (b.height, b.width) for a, b in shapes)
        sizes = "H, W" if kept else "H', W'"
        return f"{first} to (N, {result}, {sizes})"

    # ------------------------------------------------------------ bodies

    def body(self, body: df.Body, flow: Flow, variable: str, *, whole: bool = False) -> Flow:
        """The steps of a body after one another.

        Args:
            body: the steps.
            flow: the value they start from.
            variable: the name that values in between take.
            whole: whether every step gets a line of its own, as in a network; else what has no
                parameters shares the line of a layer beside it.
        """
        labels = dict(self.labels)
        previous: df.Step | df.Head | None = None
        weighted = False  # whether the value's own expression calls a layer with parameters
        for number, step in enumerate(body.steps, 1):
            if whole and text.paragraph_before(previous, step):
                _gap(self.init)
                _gap(self.forward)
            previous = step
            places = len(self.init), len(self.forward)
            if isinstance(step, df.Head):
                flow = flow if flow.variable else self.bind(flow, variable)
                self.head(step, flow)
            else:
                weighted = _is_weighted(step) or (weighted and not flow.variable)
                flow = self.step(step, flow, variable, bound=whole)
                following = body.steps[number] if number < len(body.steps) else None
                told = step.doc and (len(self.init), len(self.forward)) == places
                shares = following is None or _shares(flow, weighted, following)
                if not flow.variable and (told or not shares):  # a comment needs a line
                    flow = self.bind(flow, variable)
            self.note(step.doc, *places)
            if number % SETTLED == 0:
                flow.shape.settle()
        self.labels = labels
        return flow

    def step(self, step: df.Step, flow: Flow, variable: str, *, bound: bool) -> Flow:
        """One step; a value that a later `from` names gets a variable of its own."""
        origin = self.labels[step.origin] if step.origin is not None else flow
        done = origin
        if step.element is not None:
            if self.init_indent == METHOD and self.unit is None:
                self.name_channels(self.behind(step.element, origin.shape), step.label or "out")
            done = self.element(step.element, origin, variable)
            done = replace(done, shape=self.named(done.shape)) if self.computed else done
        if step.kept and step.label is not None:
            done = self.bind(done, self.values.take(step.label), self.shape_comment(step))
            self.labels[step.label] = done
        elif bound and not done.variable:
            done = self.bind(done, variable, self.shape_comment(step))
        return done

    def note(self, doc: str, init: int, forward: int) -> None:
        """A doc comment of the spec, in front of the first line that its statement gave."""
        if not doc:
            return
        for lines, place, indent in (
            (self.init, init, self.init_indent),
            (self.forward, forward, self.indent),
        ):
            if len(lines) > place:
                lines[place:place] = comment_lines(doc, indent=indent)
                return

    def shape_comment(self, step: df.Step) -> str | None:
        """The shape behind a statement of the network, `classes` and the like by name."""
        shape = self.graph.steps.get(step.span.start)
        if self.definition.kind != "network" or shape is None:
            return None
        parts: list[object] = [shape.channels]
        if shape.is_map:
            parts += [shape.height, shape.width]
        return f"(N, {', '.join(map(str, parts))})"

    def bind(self, flow: Flow, variable: str, comment: str | None = None) -> Flow:
        """Give a value a name."""
        channels = flow.shape.named
        if comment and channels and channels not in self.computed:
            comment = re.sub(r"^\(N, \d+", f"(N, {channels}", comment)
        hint = None if variable in self.typed or flow.typed else "Tensor"
        self.typed.add(variable)
        self.forward += assign(
            variable, flow.code, indent=self.indent, annotation=hint, comment=comment
        )
        return Flow(variable, flow.shape, True, typed=True)

    def head(self, head: df.Head, flow: Flow) -> None:
        """A head that is only computed in training."""
        step = only(head.body)
        variable = self.values.take(head.label)
        self.heads[head.label] = variable
        if step is None or step.element is None:
            origin = head.body.steps[0]
            assert isinstance(origin, df.Step)
            code = self.labels[origin.origin].code if origin.origin else flow.code
        else:
            if step.origin is not None:
                flow = self.labels[step.origin]
            done = self.slotted(step.element, head.label, flow)
            code = f"({done.code})" if done.strength == LOOSE else done.code
        code = f"{code} if self.training else None"
        self.forward += assign(variable, code, indent=self.indent)

    # ------------------------------------------------------------ elements

    def element(self, element: df.Element, flow: Flow, variable: str) -> Flow:
        """An element in straight-line code."""
        match element:
            case df.OpCall():
                return self.op(element, flow)
            case df.Instance():
                return self.attached(
                    element.name,
                    Built(self.constructor(element, flow.shape, element.name)),
                    element,
                    flow,
                )
            case df.Chain(name=None):
                return self.sequence(element, flow, variable)
            case df.Join(name=None):
                return self.join(element, flow, variable)
            case df.Group(name=None):
                return self.body(element.body, flow, variable)
            case df.Chain() | df.Join() | df.Group() | df.Repeat():
                assert element.name is not None
                return self.slotted(element, element.name, flow)
            case df.Conditional():
                return self.conditional(element, flow, variable)
            case _:
                assert_never(element)

    def sequence(self, chain: df.Chain, flow: Flow, variable: str) -> Flow:
        """Elements after one another; one call in the next, as long as that can be read."""
        for number, child in enumerate(chain.elements, 1):
            flow = self.element(child, flow, variable)
            if len(flow.code) > _LONG and number < len(chain.elements):
                flow = self.bind(flow, variable)
            if number % SETTLED == 0:
                flow.shape.settle()
        return flow

    def behind(self, element: df.Element, shape: Symbol) -> Symbol:
        """The shape behind an element."""
        given = {}
        if isinstance(element, df.OpCall | df.Instance) and element.forwards and self.unit:
            given = unit_arguments(self.unit)
            if self.unit.same:
                given["pad"] = EITHER
        with self.known_at(element.span):
            return self.shaper.element(element, shape, self.shapes(), given)

    def op(self, call: df.OpCall, flow: Flow) -> Flow:
        """An op: a module if it has parameters, a mode or a label, else a function."""
        result, out = self.layer(call, flow.shape), self.behind(call, flow.shape)
        function = result.function
        if function is not None and not call.labelled:
            if function == UNCHANGED:
                return replace(flow, shape=out)
            self.store(function.template)
            return flow.through(function, out)
        built = Built(self.module(call, flow.shape, call.name))
        if result.apart is not None:
            before, module = result.apart
            flow, built = flow.through(before, flow.shape), Built(module)
        return self.attached(call.name, built, call, flow)

    def attached(self, slot: str, built: Built, element: df.Element, flow: Flow) -> Flow:
        """A module as an attribute, called."""
        self.attribute(slot, built.module)
        code = built.call(f"self.{slot}", flow.code)
        return Flow.called(code, self.behind(element, flow.shape))

    def slotted(self, element: df.Element, slot: str, flow: Flow) -> Flow:
        """What stands under a label, as one attribute."""
        element, origin = unwrapped(element)
        if origin is not None:
            flow = self.labels[origin]
        if isinstance(element, df.OpCall):
            return self.op(element, flow)
        if isinstance(element, df.Conditional):
            return self.slot_conditional(element, slot, flow)
        return self.attached(slot, self.built(element, flow.shape, slot), element, flow)

    # ------------------------------------------------------------ joins

    def join(self, join: df.Join, flow: Flow, variable: str) -> Flow:
        """Branches in straight-line code."""
        if not flow.variable:
            flow = self.bind(flow, variable)
        out = self.behind(join, flow.shape)
        labels = dict(self.labels)
        branches = []
        for number, step in enumerate(join.body.steps, 1):
            assert isinstance(step, df.Step)
            places = len(self.init), len(self.forward)
            branch = self.values.take(step.label or unnamed_branch(join, number))
            origin = self.labels[step.origin] if step.origin is not None else flow
            done = origin
            if step.element is not None:
                done = self.element(step.element, origin, branch)
            if not done.variable and (step.kept or done.code.count("(") > 2):
                done = self.bind(done, branch)
            if step.kept and step.label is not None:
                self.labels[step.label] = done
            self.note(step.doc, *places)
            branches.append(done)
        self.labels = labels
        return _joined(join.kind, branches, out)

    # ------------------------------------------------------------ conditions

    def conditional(self, element: df.Conditional, flow: Flow, variable: str) -> Flow:
        """One of several bodies, decided when the model is built, kept for `forward`."""
        slot = slot_of(element)
        if slot is not None:
            return self.slot_conditional(element, slot, flow)
        sides = self.sides(element, flow.shape)
        if len(sides) == 1:
            body = sides[0][1]
            return flow if body is None else self.body(body, flow, variable)
        out = self.behind(element, flow.shape)
        if not flow.variable or flow.code != variable:
            flow = self.bind(flow, variable)
        written = [self.branch(body, flow, variable) for _, body in sides]
        conditions = [condition for condition, _ in sides]
        inits = list(zip(map(_source, conditions), (init for init, _ in written), strict=True))
        negative = python(ex.unary("not", conditions[0] or ex.Literal(True)))
        self.init += cases(inits, self.init_indent, negative=negative)
        forwards = [forward for _, forward in written]
        if any(forwards):
            last = max(number for number, lines in enumerate(forwards) if lines)
            flags = [
                None if condition is None else self.flag(condition)
                for condition in conditions[: last + 1]
            ]
            pairs = list(zip(flags, forwards[: last + 1], strict=True))
            first = flags[0] or ""
            opposite = first[4:] if first.startswith("not ") else f"not {first}"
            self.forward += cases(pairs, self.indent, negative=opposite)
        return Flow(variable, out, True, typed=True)

    def sides(
        self, element: df.Conditional, shape: Symbol
    ) -> list[tuple[Expression | None, df.Body | None]]:
        """The bodies of a chain of conditions; the last has none."""
        sides: list[tuple[Expression | None, df.Body | None]] = []
        while True:
            with self.known_at(element.span):
                condition = self.formula(element.condition, shape)
            known = ex.literal(condition)
            if known is None:
                sides.append((condition, element.then))
            elif known:
                return [*sides, (None, element.then)]
            step = only(element.otherwise) if element.otherwise is not None else None
            plain = step is not None and step.origin is None and not step.kept and not step.doc
            if not plain or step is None or not isinstance(step.element, df.Conditional):
                return [*sides, (None, element.otherwise)]
            element = step.element

    def branch(
        self, body: df.Body | None, flow: Flow, variable: str
    ) -> tuple[list[str], list[str]]:
        """The lines of one side of a condition, in `__init__` and in `forward`."""
        if body is None:
            return [], []
        init, forward = self.init, self.forward
        self.init, self.forward = [], []
        self.init_indent += 4
        self.indent += 4
        done = self.body(body, flow, variable)
        if done.code != variable:
            self.bind(done, variable)
        written = self.init, self.forward
        self.init_indent -= 4
        self.indent -= 4
        self.init, self.forward = init, forward
        return written

    def slot_conditional(self, element: df.Conditional, slot: str, flow: Flow) -> Flow:
        """`if` under a label: one of several modules for one attribute."""
        sides = self.sides(element, flow.shape)
        out = self.behind(element, flow.shape)
        deeper = 4 if len(sides) > 1 else 0
        init, written, calls = self.init, [], []
        for number, (condition, body) in enumerate(sides):
            self.init = []
            self.init_indent += deeper
            built = self.side(body, flow.shape, slot)
            self.attribute(slot, built.module, "nn.Module" if deeper and not number else None)
            written.append((_source(condition), self.init))
            calls.append((condition, built))
            self.init_indent -= deeper
        self.init = init
        if len(sides) == 1:
            self.init += written[0][1]
            return Flow.called(calls[0][1].call(f"self.{slot}", flow.code), out)
        self.init += cases(written, self.init_indent)
        known = [(condition, built) for condition, built in calls if condition is not None]
        whole = self.chosen("", known, calls[-1][1])
        return Flow.called(whole.call(f"self.{slot}", flow.code), out)

    # ------------------------------------------------------------ chains and repeats as classes

    def listed(self, chain: df.Chain, flow: Flow) -> Flow:
        """A chain that outer values reach, as a list of modules."""
        for number, child in enumerate(chain.elements):
            element, origin = unwrapped(child)
            origin_flow = self.labels[origin] if origin is not None else flow
            built = self.built(element, origin_flow.shape, str(number))
            self.init += expression(f"self.append({built.module})", indent=self.init_indent)
            self.flush()
            code = built.call(f"self[{number}]", origin_flow.code)
            out = self.behind(element, origin_flow.shape)
            flow = self.bind(Flow.called(code, out), "x")
        return flow

    def loop(self, repeat: df.Repeat, flow: Flow) -> None:
        """A repeat whose modules are appended one by one."""
        init, self.init = self.init, []
        self.init_indent += 4
        with self.variables.loop() as variable:
            with self.known_at(repeat.span):
                count = python(self.formula(repeat.count, flow.shape))
                before = self.shapes()
                progress = self.shaper.progress(repeat, flow.shape, before, ex.Name(variable))
            built = self.iteration(repeat.body, progress.before, f"{{{variable}}}")
        self.init += expression(f"self.append({built.module})", indent=self.init_indent)
        self.flush()
        if progress.each is not None:
            self.init += assign("in_channels", python(progress.each), indent=self.init_indent)
        self.init_indent -= 4
        used = (
            variable
            if mentions(variable, self.init) or f"{{{variable}}}" in "".join(self.init)
            else "_"
        )
        self.init = [
            *init,
            *for_header(used, f"range({count})", indent=self.init_indent),
            *self.init,
        ]
        if self.base == "nn.ModuleList":
            module = self.values.take("module")
            self.forward += for_header(module, "self", indent=self.indent)
            code = built.call(module, "x")
            self.forward += assign("x", code, indent=self.indent + 4)
            self.forward += returns("x", indent=self.indent)


def _is_weighted(step: df.Step) -> bool:
    """Whether a step is more than an op without parameters."""
    return not (isinstance(step.element, df.OpCall) and not step.element.op.weighted)


def _shares(flow: Flow, weighted: bool, following: df.Step | df.Head) -> bool:
    """Whether a value can stand in the call of the step behind it, and be read there."""
    if isinstance(following, df.Head) or following.origin is not None or following.doc:
        return False
    plain = isinstance(following.element, df.OpCall | df.Instance)
    return plain and len(flow.code) <= _LONG and not (weighted and _is_weighted(following))


def _gap(lines: list[str]) -> None:
    if lines and lines[-1]:
        lines.append("")


def _source(condition: Expression | None) -> str | None:
    return None if condition is None else python(condition)


def _joined(kind: str, flows: list[Flow], out: Symbol) -> Flow:
    """Values joined in `forward`."""
    if kind == "concat":
        code = f"torch.cat([{', '.join(flow.code for flow in flows)}], dim=1)"
        return Flow(code, out, typed=True)
    sign, own = ("+", SUM) if kind == "add" else ("*", PRODUCT)
    operands = []
    for number, flow in enumerate(flows):
        code, strength = flow.code, flow.strength
        if out.is_map and not flow.shape.is_map:
            code = f"({code})" if strength < ATOM else code
            code, strength = f"{code}[:, :, None, None]", ATOM
        # A sum on the right keeps its brackets: the order of additions changes the rounding.
        loose = strength < own or (number and strength == own)
        operands.append(f"({code})" if loose else code)
    # To mypy, Tensor + Any is Any.
    return Flow(f" {sign} ".join(operands), out, False, own, all(f.typed for f in flows))
