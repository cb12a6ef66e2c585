"""One class or function while it is written: what all frameworks have in common.

A target's writer says what a use, an op, a join or a loop becomes; the order of the steps, their
labels, comments and branches are handled here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import ClassVar, assert_never

from incgen.language import expressions as ex
from incgen.language.arithmetic import Value
from incgen.language.expressions import Expression
from incgen.language.signatures import Argument, Kind
from incgen.resolve import definitions as df
from incgen.targets.shared import text
from incgen.targets.shared.code import Code, Node, within
from incgen.targets.shared.elements import unnamed_branch
from incgen.targets.shared.file import File, Parameter
from incgen.targets.shared.shaping import SETTLED, resolved
from incgen.targets.shared.symbols import Symbol
from incgen.targets.shared.units import UnitForm
from incgen.targets.shared.values import ONE


@dataclass(frozen=True, slots=True)
class Flow:
    """A value in the code: its expression and its shape.

    `weighted` says whether the expression calls a layer with parameters, `fresh` whether nothing
    but the next layer needs the value, not even a gradient: it may be overwritten.
    """

    code: Code
    shape: Symbol
    weighted: bool = False
    fresh: bool = False

    @property
    def variable(self) -> bool:
        """Return whether it is a plain variable."""
        return isinstance(self.code, ex.Name)


class Writer(ABC):
    """The state of one class or function, and the walk over its definition."""

    #: Whether intermediate values of a labelled step have the label's name.
    labels_inside: ClassVar[bool] = True
    #: Whether the initialiser of a unit's kernels is an argument of its uses.
    gives_starts: ClassVar[bool] = True
    #: The verb of a docstring that states shapes.
    maps: ClassVar[str] = "Maps"

    def __init__(self, file: File, name: str, definition: df.Definition, is_map: bool) -> None:
        self.file, self.graph = file, file.graph
        self.name, self.definition, self.is_map = name, definition, is_map
        self.unit = file.analysis.unit_forms.get(definition)
        self.labels: dict[str, Flow] = {}
        self.strict: set[str] = set()

    # ------------------------------------------------------------ parameters

    def formals(self) -> list[Parameter]:
        """Return the parameters of the definition with their defaults; those without come first."""
        if self.unit is None:
            formals = [(f.name, _constant(f.default)) for f in self.definition.parameters]
            return sorted(formals, key=lambda parameter: parameter[1] is not None)
        assert self.definition.head is not None
        kept = [a for a in self.definition.head.arguments if a.name in self.unit.args]
        formals = [
            self.unit_formal(self.unit, argument)
            for argument in kept
            if self.gives_starts or argument.kind is not Kind.INITIALIZER
        ]
        required = [parameter for parameter in formals if parameter[1] is None]
        required.sort(key=lambda parameter: parameter[0] == "kernel")  # after the channels
        one = ONE if self.unit.square_stride else ex.Tuple((ONE, ONE))
        strided: list[Parameter] = [("stride", one)] if self.unit.strided else []
        return [*required, *strided, *(p for p in formals if p[1] is not None)]

    def unit_formal(self, unit: UnitForm, argument: Argument) -> Parameter:
        """Return the parameter for an argument of a unit's head."""
        match argument.kind:
            case Kind.WINDOW:
                return "kernel", None
            case Kind.PADDING:
                return "padding", self.usual_padding(unit)
            case Kind.INITIALIZER:
                return "init", ex.Name("None")
            case _:
                defaults = self.definition.defaults
                return argument.name, _constant(defaults.get(argument.name))

    @abstractmethod
    def usual_padding(self, unit: UnitForm) -> Expression:
        """Return the default of the padding of the unit being written."""

    def several(self) -> frozenset[str]:
        """Return the parameters of a unit's window that are several numbers."""
        if self.unit is None:
            return frozenset()
        square = {"kernel": self.unit.square_kernel, "stride": self.unit.square_stride}
        square["padding"] = self.unit.pad_sides == 1
        return frozenset(name for name, single in square.items() if not single)

    def one_or_several(self, body: list[Node]) -> frozenset[str]:
        """Return the parameters of a unit's window that accept one number for equal ones."""
        head = self.definition.head
        if self.unit is None or head is None or head.family != "conv":
            return frozenset()
        indexed = {part.parameter for part in within(body) if isinstance(part, ex.Item)}
        return self.several() - indexed - self.strict

    def words(self, parameter: str) -> list[Value]:
        """Return the values of a padding if words are among them, to write a case for each."""
        return self.file.analysis.words.cases(self.definition, parameter)

    def formula(self, written: Expression, shape: Symbol) -> Expression:
        """Return an expression with `channels` and the like of a shape."""
        return shape.formula(written)

    def resolved(self, value: df.ArgumentValue, shape: Symbol) -> df.ArgumentValue:
        """Return an argument with `channels` and the like of a shape."""
        return resolved(value, shape)

    # ------------------------------------------------------------ around the code

    def documentation(self, source: str = "C") -> str:
        """Return the words of the docstring, if the file has any."""
        return self.docs(source) if self.file.documented else ""

    def docs(self, source: str = "C") -> str:
        """Return the words of the docstring of a unit or block, and the shapes of a block.

        The source is the name of the channels of its input.
        """
        definition, shapes = self.definition, ""
        doc = definition.doc
        if definition.kind == "unit":
            return doc or text.described(definition, lambda unit: self.file.called[unit])
        if definition.kind == "block":
            shapes = self.file.block_shapes(definition, self.is_map, source)
        if not shapes:
            return doc
        return f"{doc}\n\nShape: {shapes}" if doc else f"{self.maps} {shapes}."

    def refusals(self) -> list[Node]:
        """Return statements that refuse words of parameters for which there is no code."""
        refusal = self.file.analysis.words.refusal
        return [node for name, _ in self.formals() for node in refusal(self.definition, name)]

    # ------------------------------------------------------------ what a target writes

    @abstractmethod
    def variable(self, *wanted: str) -> str:
        """Take a name for a value: the first that is free."""

    @abstractmethod
    def bind(self, flow: Flow, variable: str, step: df.Step | None = None) -> Flow:
        """Assign a value to a variable; in the network, a comment may state its shape."""

    @abstractmethod
    def gap(self) -> None:
        """Write an empty line."""

    @abstractmethod
    def commented(self, doc: str) -> AbstractContextManager[None]:
        """Write the comment of the statement that is written inside."""

    @abstractmethod
    def shares(self, step: df.Step, flow: Flow, following: df.Step | df.Head | None) -> bool:
        """Return whether a value can be part of the next expression."""

    @abstractmethod
    def stands_alone(self, step: df.Step, flow: Flow) -> bool:
        """Return whether the value of a branch needs a name."""

    def under(self, name: str | None) -> AbstractContextManager[None]:
        """Add a prefix to the names of what is written inside."""
        return nullcontext()

    @abstractmethod
    def head(self, head: df.Head, flow: Flow) -> None:
        """Write an auxiliary head."""

    @abstractmethod
    def op(self, call: df.OpCall, flow: Flow, variable: str) -> Flow:
        """Write an op."""

    @abstractmethod
    def use(self, instance: df.Instance, flow: Flow, variable: str) -> Flow:
        """Write a use of a unit or block."""

    @abstractmethod
    def joined(self, join: df.Join, flow: Flow, values: list[Flow]) -> Flow:
        """Write the join of the values of branches."""

    @abstractmethod
    def repeat(self, repeat: df.Repeat, flow: Flow, variable: str) -> Flow:
        """Write a repeat."""

    @abstractmethod
    def conditional(self, element: df.Conditional, flow: Flow, variable: str) -> Flow:
        """Write one of two bodies, decided when the model is built."""

    # ------------------------------------------------------------ the walk

    def bound(self, flow: Flow, variable: str) -> Flow:
        """Assign a value to a variable, unless it is one."""
        return flow if flow.variable else self.bind(flow, variable)

    def body(self, body: df.Body, flow: Flow, variable: str, *, whole: bool = False) -> Flow:
        """Write the steps of a body in order, from a value, whose successors have the variable.

        `whole` says whether every step gets a line of its own, as in a network.
        """
        labels, before = dict(self.labels), None
        for number, step in enumerate(body.steps, 1):
            if whole and text.paragraph_before(before, step):
                self.gap()
            before = step
            with self.commented(step.doc):
                if isinstance(step, df.Head):
                    flow = self.bound(flow, variable)
                    self.head(step, flow)
                    continue
                flow = self.step(step, flow, variable, whole=whole)
                following = body.steps[number] if number < len(body.steps) else None
                if not flow.variable and not self.shares(step, flow, following):
                    flow = self.bind(flow, variable)
            if number % SETTLED == 0:
                flow.shape.settle()
        self.labels = labels
        return flow

    def step(self, step: df.Step, flow: Flow, variable: str, *, whole: bool = False) -> Flow:
        """Write one step; a value that a later `from` names gets a variable of its own."""
        named = step.label if step.kept else None
        target = variable if named is None else self.variable(named, f"{named}_out")
        done = self.started(step, flow, target if self.labels_inside else variable)
        if named is not None:
            self.labels[named] = done = self.bind(done, target, step)
        elif whole and not done.variable:
            done = self.bind(done, variable, step)
        return done

    def started(self, step: df.Step, flow: Flow, variable: str) -> Flow:
        """Write the element of a step."""
        origin = self.labels[step.origin] if step.origin is not None else flow
        return origin if step.element is None else self.element(step.element, origin, variable)

    def element(self, element: df.Element, flow: Flow, variable: str) -> Flow:
        """Write an element as straight-line code."""
        match element:
            case df.OpCall():
                return self.op(element, flow, variable)
            case df.Instance():
                return self.use(element, flow, variable)
            case df.Chain():
                with self.under(element.name):
                    return self.sequence(element, flow, variable)
            case df.Join():
                flow = self.bound(flow, variable)
                with self.under(element.name):
                    return self.joined(element, flow, self.branches(element, flow))
            case df.Group():
                with self.under(element.name):
                    return self.body(element.body, flow, variable)
            case df.Repeat():
                return self.repeat(element, flow, variable)
            case df.Conditional():
                return self.conditional(element, flow, variable)
            case _:
                assert_never(element)

    def sequence(self, chain: df.Chain, flow: Flow, variable: str) -> Flow:
        """Write elements in order."""
        for child in chain.elements:
            flow = self.element(child, flow, variable)
        return flow

    def branches(self, join: df.Join, flow: Flow) -> list[Flow]:
        """Write the branches of a join, which start from the same value."""
        labels, values = dict(self.labels), []
        for number, step in enumerate(join.body.steps, 1):
            assert isinstance(step, df.Step)
            with self.commented(step.doc):
                branch = self.variable(
                    *([step.label] if step.label else unnamed_branch(join, number))
                )
                done = self.started(step, flow, branch)
                if not done.variable and self.stands_alone(step, done):
                    done = self.bind(done, branch)
            if step.kept and step.label is not None:
                self.labels[step.label] = done
            values.append(done)
        self.labels = labels
        return values


def _constant(value: df.ArgumentValue) -> Expression | None:
    """Return a default that is the same in every use, else None."""
    return value if isinstance(value, ex.Literal) else None
