"""Bodies: attributes in the constructor, and straight-line code in `forward` that calls them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.resolve import definitions as df
from incgen.targets.shared.classes.code import Built, own
from incgen.targets.shared.classes.modules import IDENTITY, Modules
from incgen.targets.shared.code import (
    Applied,
    Bind,
    Code,
    Comment,
    Gap,
    Joined,
    Node,
    Op,
    branches,
    is_same_everywhere,
    opposite,
    within,
)
from incgen.targets.shared.elements import flag_name, only, slot_of, unwrapped
from incgen.targets.shared.outputs import EITHER
from incgen.targets.shared.shaping import SETTLED
from incgen.targets.shared.symbols import Symbol
from incgen.targets.shared.units import unit_arguments
from incgen.targets.shared.writer import Flow

#: The most calls in an expression of `forward`, and in a branch of a join.
_MOST_CALLS, _MOST_IN_A_BRANCH = 3, 2
X = ex.Name("x")


class Bodies(Modules):
    """Writes the steps of bodies into a class."""

    places = (0, 0)  # how many statements there were before the step being written

    # ------------------------------------------------------------ steps

    def step(self, step: df.Step, flow: Flow, variable: str, *, whole: bool = False) -> Flow:
        """Write one step; channels with a long formula get a variable."""
        if step.element is not None and not self.level and self.unit is None:
            origin = self.labels[step.origin] if step.origin is not None else flow
            self.name_channels(self.behind(step.element, origin.shape), step.label or "out")
        done = super().step(step, flow, variable, whole=whole)
        weighted = _is_weighted(step) or (flow.weighted and not flow.variable)
        shape = self.named(done.shape) if self.computed else done.shape
        done = replace(done, shape=shape, weighted=weighted)
        if step.kept and step.label is not None:
            self.labels[step.label] = done
        return done

    @contextmanager
    def commented(self, doc: str) -> Iterator[None]:
        """Write the comment of a statement before the first line that it becomes."""
        outer, self.places = self.places, (len(self.init), len(self.forward))
        yield
        for statements, place in zip((self.init, self.forward), self.places, strict=True):
            if doc and len(statements) > place:
                statements.insert(place, Comment(doc))
                break
        self.places = outer

    def gap(self) -> None:
        for statements in (self.init, self.forward):
            if statements and not isinstance(statements[-1], Gap):
                statements.append(Gap())

    def variable(self, *wanted: str) -> str:
        return self.values.take(*wanted, f"{wanted[-1]}_")

    def bind(self, flow: Flow, variable: str, step: df.Step | None = None) -> Flow:
        """Assign a value to a variable; in the network, a comment states its shape."""
        shape = None
        if step is not None and self.definition.kind == "network":
            shape = self.graph.steps.get(step.span.start)
        comment = "" if shape is None else self.file.shown(shape)
        self.forward.append(Bind(variable, flow.code, comment=comment))
        return Flow(ex.Name(variable), flow.shape)

    def shares(self, step: df.Step, flow: Flow, following: df.Step | df.Head | None) -> bool:
        """Return whether a value can be part of the next expression, and be readable there."""
        if step.doc and (len(self.init), len(self.forward)) == self.places:
            return False  # a comment needs a line
        if following is None:
            return True
        if isinstance(following, df.Head) or following.origin is not None or following.doc:
            return False
        plain = isinstance(following.element, df.OpCall | df.Instance)
        fits = plain and not (flow.weighted and _is_weighted(following))
        return fits and _calls(flow.code) <= _MOST_CALLS

    def stands_alone(self, step: df.Step, flow: Flow) -> bool:
        return step.kept or _calls(flow.code) > _MOST_IN_A_BRANCH

    def head(self, head: df.Head, flow: Flow) -> None:
        """Write a head that is only computed in training."""
        step = only(head.body)
        variable = self.values.take(head.label)
        self.heads[head.label] = variable
        if step is None or step.element is None:
            origin = head.body.steps[0]
            assert isinstance(origin, df.Step)
            done = self.labels[origin.origin] if origin.origin else flow
        else:
            if step.origin is not None:
                flow = self.labels[step.origin]
            done = self.slotted(step.element, head.label, flow)
        self.forward.append(Bind(variable, Op("trained", {"value": done.code})))

    # ------------------------------------------------------------ elements

    def element(self, element: df.Element, flow: Flow, variable: str) -> Flow:
        """Write an element as straight-line code; whatever has a label is one attribute."""
        match element:
            case df.Chain(name=str(slot)) | df.Join(name=str(slot)):
                return self.slotted(element, slot, flow)
            case df.Group(name=str(slot)) | df.Repeat(name=slot):
                return self.slotted(element, slot, flow)
            case _:
                return super().element(element, flow, variable)

    def use(self, instance: df.Instance, flow: Flow, variable: str) -> Flow:
        """Write a use of a unit or block: an attribute, and its call."""
        built = Built(self.constructor(instance, flow.shape, (instance.name,)))
        return self.attached(instance.name, built, instance, flow)

    def repeat(self, repeat: df.Repeat, flow: Flow, variable: str) -> Flow:
        """Write a repeat: an attribute, and its call."""
        return self.slotted(repeat, repeat.name, flow)

    def sequence(self, chain: df.Chain, flow: Flow, variable: str) -> Flow:
        """Write elements in order, as nested calls while those are readable."""
        for number, child in enumerate(chain.elements, 1):
            flow = self.element(child, flow, variable)
            if _calls(flow.code) > _MOST_CALLS and number < len(chain.elements):
                flow = self.bind(flow, variable)
            if number % SETTLED == 0:
                flow.shape.settle()
        return flow

    def behind(self, element: df.Element, shape: Symbol) -> Symbol:
        """Return the shape after an element."""
        given = {}
        if isinstance(element, df.OpCall | df.Instance) and element.forwards and self.unit:
            given = unit_arguments(self.unit)
            if self.unit.same:
                given["pad"] = EITHER
        with self.known_at(element.span):
            return self.shaper.element(element, shape, self.shapes(), given)

    def op(self, call: df.OpCall, flow: Flow, variable: str) -> Flow:
        """Write an op: a module if it has parameters, a mode or a label, else a function."""
        result, out = self.layer(call, flow.shape), self.behind(call, flow.shape)
        module = result.module
        if isinstance(module, Op) and not call.labelled:
            if module == IDENTITY:
                return replace(flow, shape=out)
            if self.file.printer.has(f"{module.name}_of"):
                return self.applied(module, flow, out)
        built = Built(self.op_module(result, (call.name,), call.op.name))
        if result.apart is not None:
            before, module = result.apart
            flow, built = self.applied(before, flow, flow.shape), Built(module)
        return self.attached(call.name, built, call, flow)

    def attached(self, slot: str, built: Built, element: df.Element, flow: Flow) -> Flow:
        """Write a module as an attribute, and call it."""
        self.attribute(slot, built.module)
        fresh = isinstance(element, df.OpCall) and element.op.weighted and not element.labelled
        shape = self.behind(element, flow.shape)
        return Flow(built.call(own(slot), flow.code), shape, fresh=fresh)

    def slotted(self, element: df.Element, slot: str, flow: Flow) -> Flow:
        """Write whatever has a label as one attribute."""
        element, origin = unwrapped(element)
        if origin is not None:
            flow = self.labels[origin]
        if isinstance(element, df.OpCall):
            return self.op(element, flow, slot)
        if isinstance(element, df.Conditional):
            return self.slot_conditional(element, slot, flow)
        return self.attached(slot, self.built(element, flow.shape, (slot,)), element, flow)

    def joined(self, join: df.Join, flow: Flow, values: list[Flow]) -> Flow:
        out = self.behind(join, flow.shape)
        spread = out.is_map and join.kind != "concat"
        codes = [
            Op("spread", {"value": value.code}) if spread and not value.shape.is_map else value.code
            for value in values
        ]
        return Flow(Joined(join.kind, tuple(codes)), out, fresh=True)

    # ------------------------------------------------------------ conditions

    def conditional(self, element: df.Conditional, flow: Flow, variable: str) -> Flow:
        """Write one of several bodies; the conditions are attributes that `forward` reads."""
        slot = slot_of(element)
        if slot is not None:
            return self.slot_conditional(element, slot, flow)
        sides = self.sides(element, flow.shape)
        if len(sides) == 1:
            body = sides[0][1]
            return flow if body is None else self.body(body, flow, variable)
        out = self.behind(element, flow.shape)
        if not flow.variable or flow.code != ex.Name(variable):
            flow = self.bind(flow, variable)
        conditions = [condition for condition, _ in sides]
        earlier = [opposite(condition) for condition in conditions if condition is not None]
        written = []
        for number, (condition, body) in enumerate(sides):
            with self.only_if(*earlier[:number], condition):
                written.append(self.branch(body, flow, variable))
        forwards = [forward for _, forward in written]
        if is_same_everywhere(forwards):
            self.forward += forwards[0]
        else:
            last = max(number for number, lines in enumerate(forwards) if lines)
            flags = list[Expression | None]()
            for number, (condition, body) in enumerate(sides[: last + 1]):
                with self.only_if(*earlier[:number]):
                    name = flag_name(body, sides)
                    flags.append(None if condition is None else self.flag(condition, name))
            self.forward += branches(list(zip(flags, forwards, strict=False)))
            conditions[: last + 1] = map(_without_formula, conditions, flags)
        self.init += branches(list(zip(conditions, (init for init, _ in written), strict=True)))
        return Flow(ex.Name(variable), out)

    def sides(
        self, element: df.Conditional, shape: Symbol
    ) -> list[tuple[Expression | None, df.Body | None]]:
        """Return the conditions and bodies of an `if` chain; the last has no condition."""
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
    ) -> tuple[list[Node], list[Node]]:
        """Return the code of one side of a condition, in `__init__` and in `forward`."""
        if body is None:
            return [], []
        init, forward = self.init, self.forward
        self.init, self.forward = [], []
        self.level += 1
        done = self.body(body, flow, variable)
        if done.code != ex.Name(variable):
            self.bind(done, variable)
        written = self.init, self.forward
        self.level -= 1
        self.init, self.forward = init, forward
        return written

    def slot_conditional(self, element: df.Conditional, slot: str, flow: Flow) -> Flow:
        """Write an `if` under a label: one of several modules for one attribute."""
        sides = self.sides(element, flow.shape)
        out = self.behind(element, flow.shape)
        conditions = [condition for condition, _ in sides]
        earlier = [opposite(condition) for condition in conditions if condition is not None]
        self.level += len(sides) > 1
        pairs = []
        for number, (condition, body) in enumerate(sides):
            mixed = len(sides) > 1 and not number
            with self.only_if(*earlier[:number], condition):
                pairs.append(self.apart(partial(self.filled, slot, body, flow, mixed=mixed)))
        self.level -= len(sides) > 1
        written = [statements for _, statements in pairs]
        self.init += branches(list(zip(conditions, written, strict=True)))
        built = [module for module, _ in pairs]
        known = [(c, module) for c, module in zip(conditions, built, strict=True) if c is not None]
        whole = self.chosen(IDENTITY, known, built[-1])
        return Flow(whole.call(own(slot), flow.code), out)

    def filled(self, slot: str, body: df.Body | None, flow: Flow, *, mixed: bool) -> Built:
        """Write one of several modules for an attribute."""
        built = self.side(body, flow.shape, (slot,))
        self.attribute(slot, built.module, mixed=mixed)
        return built


def _without_formula(condition: Expression | None, flag: Expression | None) -> Expression | None:
    """Return a condition as a constructor reads it: a parameter, or the attribute of a formula."""
    negated = isinstance(condition, ex.Unary) and condition.operator == "not"
    whole = condition.operand if negated and isinstance(condition, ex.Unary) else condition
    return condition if isinstance(whole, ex.Parameter) else flag


def _is_weighted(step: df.Step) -> bool:
    """Return whether a step is more than an op without parameters."""
    return not (isinstance(step.element, df.OpCall) and not step.element.op.weighted)


def _calls(code: Code) -> int:
    """Count the calls in a value."""
    called = (part for part in within(code) if not isinstance(part, Op) or part.value is not None)
    return sum(isinstance(part, Op | Applied | ex.Call | ex.Tuple) for part in called)
