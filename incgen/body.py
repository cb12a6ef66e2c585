"""Bodies: statements to steps, with names assigned and arguments bound."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, assert_never

from incgen import definitions as df
from incgen import expressions as ex
from incgen import syntax as st
from incgen.arguments import Binder, Conventions
from incgen.diagnostics import Code, Note, listed, near
from incgen.labels import Namespace, collect
from incgen.names import label_fault
from incgen.ops import OPS, Argument, Kind, Op
from incgen.source import Span

if TYPE_CHECKING:
    from incgen.resolve import FileScope


class BodyResolver:
    """Resolves the bodies of one definition.

    Args:
        scope: the names of the file.
        conventions: the presets and defaults where the definition stands.
        parameters: of the definition, with their places.
        used: gets the parameters that occur.
        network: whether it is a network, which may have heads.
        unit: whether it is a unit, where nothing is warned of.
    """

    def __init__(
        self,
        scope: FileScope,
        conventions: Conventions,
        parameters: dict[str, Span],
        used: set[str],
        *,
        network: bool = False,
        unit: bool = False,
    ) -> None:
        """Keep the context; labels that `from` can name are kept as a stack of frames."""
        self.scope, self.report = scope, scope.report
        self.conventions = conventions
        self.parameters, self.used = parameters, used
        self.network, self.unit = network, unit
        self.binder = Binder(self.report, self.expression)
        self.frames: list[dict[str, Span]] = []

    def expression(self, written: ex.Expression) -> ex.Expression | None:
        """The expression that a written one stands for; None after a report."""
        return self.scope.resolve_expression(written, self.parameters, self.used)

    # ------------------------------------------------------------ bodies

    def definition_body(self, body: st.Body) -> df.Body:
        """The body of a block or network."""
        names = collect(body, self.report, self.parameters)
        return self.body(body, names, top=True)

    def unit_body(self, unit: st.Unit) -> df.Body | None:
        """The chain of a unit as a body of one step."""
        names = Namespace({})
        elements = []
        for number, call in enumerate(unit.calls):
            element = self.call(call, None, names, head=number == 0)
            if element is None:
                return None
            if isinstance(element, df.Instance) and element.definition.kind == "block":
                message = f"a unit is a chain of ops, and `{call.name.text}` is a block"
                help_ = f"make `{unit.name.text}` a block"
                self.report.error(Code.MISPLACED, call.span, message, help=help_)
                return None
            elements.append(element)
        chain = df.Chain(tuple(elements), None, unit.span)
        whole = chain.elements[0] if len(chain.elements) == 1 else chain
        return df.Body((df.Step(None, None, whole, False, "", unit.span),), unit.span)

    def body(self, body: st.Body, names: Namespace, *, top: bool = False) -> df.Body:
        """The steps of a body whose names live in a namespace."""
        self.frames.append({})
        kept = _origins(body)
        steps: list[df.Step | df.Head] = []
        for number, statement in enumerate(body.statements):
            match statement:
                case st.Input():
                    if not (top and self.network and number == 0):
                        message = "`input` is the first line of a network"
                        self.report.error(Code.MISPLACED, statement.span, message)
                case st.Aux():
                    head = self.head(statement, top)
                    if head is not None:
                        steps.append(head)
                case st.Statement():
                    steps.append(self.step(statement, names, kept))
        if not steps:
            what = "statement besides `input`" if body.statements else "statement"
            message = f"this body has no {what}"
            help_ = "write `identity` if the value should pass through"
            self.report.error(Code.EMPTY_BODY, body.span, message, help=help_)
        self.frames.pop()
        return df.Body(tuple(steps), body.span)

    def head(self, statement: st.Aux, top: bool) -> df.Head | None:
        """An auxiliary head of the network."""
        if not (top and self.network):
            message = "`aux` stands in the body of a network itself"
            help_ = "put the layers of the head into a block, and the `aux` into the network"
            self.report.error(Code.MISPLACED, statement.span, message, help=help_)
            return None
        body = self.slot_body(statement.body, statement.label.text)
        return df.Head(statement.label.text, body, statement.doc, statement.span)

    def step(self, statement: st.Statement, names: Namespace, kept: set[str]) -> df.Step:
        """One statement."""
        label = statement.label.text if statement.label else None
        origin = None
        if statement.origin is not None:
            origin = statement.origin.text
            self.check_origin(statement.origin)
        if label is not None:
            element = self.in_slot(statement.elements, label, statement.span)
            self.frames[-1][label] = statement.span
        else:
            element = self.in_namespace(statement.elements, names, statement.span)
        keep = label is not None and label in kept
        return df.Step(label, origin, element, keep, statement.doc, statement.span)

    def check_origin(self, origin: st.Identifier) -> None:
        """`from` names an earlier value of this body or of one around it."""
        visible = {label for frame in self.frames for label in frame}
        if origin.text not in visible:
            message = f"`from {origin.text}`: no earlier value of this body has that label"
            help_ = near(origin.text, visible)
            if help_ is None and visible:
                help_ = f"the labels so far are {listed(sorted(visible)[:8])}"
            self.report.error(Code.UNKNOWN_LABEL, origin.span, message, help=help_)

    # ------------------------------------------------------------ names

    def in_namespace(
        self, elements: Sequence[st.Element], names: Namespace, span: Span
    ) -> df.Element | None:
        """An unlabelled chain: every element takes its own name."""
        found = [self.element(element, None, names) for element in elements]
        return _chained(found, None, span)

    def in_slot(self, elements: Sequence[st.Element], slot: str, span: Span) -> df.Element | None:
        """A chain under a label: one element takes it, more are numbered below it."""
        if len(elements) == 1:
            return self.element(elements[0], slot, None)
        found = [self.element(element, str(i), None) for i, element in enumerate(elements)]
        return _chained(found, slot, span)

    def slot_body(self, body: st.Body, slot: str) -> df.Body:
        """A body under a label: a single statement is as if it had the label itself."""
        only = body.statements[0] if len(body.statements) == 1 else None
        if isinstance(only, st.Statement) and only.label is None:
            self.frames.append({})
            if only.origin is not None:
                self.check_origin(only.origin)
            element = self.in_slot(only.elements, slot, only.span)
            self.frames.pop()
            origin = only.origin.text if only.origin else None
            return df.Body((df.Step(None, origin, element, False, only.doc, only.span),), body.span)
        names = collect(body, self.report, self.parameters)
        inner = self.body(body, names)
        if slot == "":
            return inner
        group = df.Group(inner, slot, body.span)
        return df.Body((df.Step(None, None, group, False, "", body.span),), body.span)

    def element(
        self, element: st.Element, slot: str | None, names: Namespace | None
    ) -> df.Element | None:
        """An element that has a slot, or takes a name from a namespace."""
        match element:
            case st.Call():
                return self.call(element, slot, names)
            case st.Join():
                return self.join(element, slot, names)
            case st.Group():
                if slot is not None:
                    return df.Group(self.slot_body(element.body, slot), None, element.span)
                assert names is not None
                return df.Group(self.body(element.body, names), None, element.span)
            case st.Repeat():
                return self.repeat(element, slot, names)
            case st.Conditional():
                return self.conditional(element, slot, names)
            case _:
                assert_never(element)

    def join(
        self, element: st.Join, slot: str | None, names: Namespace | None
    ) -> df.Element | None:
        """Branches on one value."""
        if len(element.body.statements) < 2:
            message = f"`{element.kind}` joins at least two branches"
            help_ = "each line of its body is a branch"
            self.report.error(Code.ARGUMENT_COUNT, element.span, message, help=help_)
        if slot is None:
            assert names is not None
            title = names.name_for(element.kind)
            return df.Join(element.kind, self.body(element.body, names), None, title, element.span)
        own = collect(element.body, self.report, self.parameters)
        body = self.body(element.body, own)
        return df.Join(element.kind, body, slot, own.name_for(element.kind), element.span)

    def repeat(
        self, element: st.Repeat, slot: str | None, names: Namespace | None
    ) -> df.Element | None:
        """A body several times."""
        count = self.expression(element.count)
        if slot is None:
            assert names is not None
            slot = names.name_for("repeat")
        body = self.slot_body(element.body, "")
        if count is None:
            return None
        known = ex.literal(count)
        if known is not None and (isinstance(known, (bool, str)) or known != int(known)):
            message = "a repeat count must be a whole number"
            self.report.error(Code.WRONG_TYPE, element.count.span, message)
            return None
        return df.Repeat(count, body, slot, element.span)

    def conditional(
        self, element: st.Conditional, slot: str | None, names: Namespace | None
    ) -> df.Element | None:
        """One of two bodies; both may use the same names, because only one is built."""
        condition = self.expression(element.condition)
        before = set(names.given) if names is not None else set()
        then = self.branch(element.then, slot, names)
        otherwise = None
        if element.otherwise is not None:
            after = set(names.given) if names is not None else set()
            if names is not None:
                names.given = before
            otherwise = self.branch(element.otherwise, slot, names)
            if names is not None:
                names.given |= after
        if condition is None:
            return None
        return df.Conditional(condition, then, otherwise, element.span)

    def branch(self, body: st.Body, slot: str | None, names: Namespace | None) -> df.Body:
        """One side of a conditional."""
        if slot is not None:
            return self.slot_body(body, slot)
        assert names is not None
        return self.body(body, names)

    # ------------------------------------------------------------ calls

    def call(
        self, call: st.Call, slot: str | None, names: Namespace | None, *, head: bool = False
    ) -> df.Element | None:
        """An op, unit or block with its arguments."""
        text = call.name.text
        op = OPS.get(text)
        name = slot
        if name is None:
            assert names is not None
            name = names.name_for(text)
            if label_fault(name):
                message = f"`{text}` needs a label here: {label_fault(name)}"
                help_ = f"write `{text}_1: {text} ...`"
                self.report.error(Code.RESERVED_NAME, call.name.span, message, help=help_)
        if op is not None:
            op, call = _concrete_pool(op, call)
            args, said = self.op_arguments(op, call, head=head)
            if args is None:
                return None
            if slot is None and op.weighted and not self.unit:
                self.warn_unnamed(call, name)
            return df.OpCall(op, args, said, name, slot is not None, head, call.span)
        if text not in self.scope.entries and text not in self.scope.imported:
            offer = near(text, self.scope.callables())
            message = f"no op, unit or block `{text}`"
            self.report.error(Code.UNKNOWN_OP, call.name.span, message, help=offer)
            return None
        definition = self.scope.definition(text, call.name.span)
        if definition is None:
            return None
        if definition.kind == "network":
            message = f"`{text}` is a network and cannot be used as a block"
            self.report.error(Code.MISPLACED, call.name.span, message, help="make it a block")
            return None
        bind = self.unit_arguments if definition.kind == "unit" else self.block_arguments
        given = bind(definition, call, head)
        if given is None:
            return None
        if slot is None and not self.unit and has_weights(definition):
            self.warn_unnamed(call, name)
        return df.Instance(definition, given, name, slot is not None, head, call.span)

    def warn_unnamed(self, call: st.Call, name: str) -> None:
        """A layer with parameters gets its key from its op if it has no label."""
        message = f"`{call.name.text}` has parameters but no label, so its keys begin with `{name}`"
        help_ = f"write `{name}: {call.name.text} ...` to keep the keys when lines move"
        self.report.warning(Code.UNNAMED, call.name.span, message, help=help_)

    def op_arguments(
        self, op: Op, call: st.Call, *, head: bool
    ) -> tuple[dict[str, df.ArgumentValue] | None, frozenset[str]]:
        """Every argument of an op, said or by default."""
        said = self.match(op.name, op.positional, op.attributes, call)
        if said is None:
            return None, frozenset()
        args: dict[str, df.ArgumentValue] = {}
        for argument in op.arguments:
            if argument.name in said:
                args[argument.name] = said[argument.name]
                continue
            args[argument.name] = self.conventions.default(op, argument)
            if args[argument.name] is None and not head:
                missing = argument.positional or argument.kind is not Kind.PADDING
                if missing and argument.name not in ("ceil", "count_pad"):
                    self.report_missing(op, argument, call)
                    return None, frozenset()
        return args, frozenset(said)

    def report_missing(self, op: Op, argument: Argument, call: st.Call) -> None:
        """An argument that is needed and has no value."""
        if argument.must:
            form = f"{argument.name}=..." if not argument.positional else argument.name
            message = f"`{op.name}` must say `{argument.name}`: the frameworks disagree on it"
            help_ = f"write `{op.name} ... {form}`, or begin the file with `numerics caffe`"
            if argument.positional:
                help_ = f"write `{op.name} {argument.name.upper()}`, or begin the file with "
                help_ += "`numerics caffe`"
            self.report.error(Code.MUST_SAY, call.span, message, help=help_)
            return
        wanted = " ".join(a.name.upper() for a in op.positional)
        message = f"`{op.name}` needs {argument.kind.value} for its `{argument.name}`"
        self.report.error(
            Code.ARGUMENT_COUNT, call.span, message, help=f"write `{op.name} {wanted}`"
        )

    def match(
        self,
        owner: str,
        positional: tuple[Argument, ...],
        attributes: tuple[Argument, ...],
        call: st.Call,
    ) -> dict[str, df.ArgumentValue] | None:
        """Written arguments by name, each checked; None after a report."""
        found: dict[str, df.ArgumentValue] = {}
        sound = True
        if len(call.positional) > len(positional):
            self.report_surplus(owner, [a.name for a in positional], call)
            sound = False
        for argument, written in zip(positional, call.positional, strict=False):
            found[argument.name] = self.binder.value(owner, argument, written)
            sound = sound and found[argument.name] is not None
        by_name = {argument.name: argument for argument in (*positional, *attributes)}
        for attribute in call.attributes:
            name = attribute.name.text
            if name not in by_name:
                names = [a.name for a in attributes]
                message = f"`{owner}` has no attribute `{name}`"
                help_ = near(name, names)
                if help_ is None:
                    help_ = f"its attributes are {listed(names)}" if names else None
                self.report.error(Code.UNKNOWN_ATTRIBUTE, attribute.name.span, message, help=help_)
                sound = False
            elif name in found:
                message = f"`{name}` of `{owner}` is given twice"
                self.report.error(Code.DUPLICATE, attribute.span, message)
                sound = False
            else:
                found[name] = self.binder.value(owner, by_name[name], attribute.value)
                sound = sound and found[name] is not None
        return found if sound else None

    def report_surplus(self, owner: str, names: list[str], call: st.Call) -> None:
        """More positional arguments than the op has: often a forgotten arrow."""
        surplus = call.positional[len(names)]
        if isinstance(surplus, ex.Name) and surplus.text in self.scope.callables():
            message = f"`{surplus.text}` follows `{owner}` without an arrow"
            self.report.error(
                Code.MISSING_ARROW, surplus.span, message, help=f"write `-> {surplus.text}`"
            )
            return
        takes = f"takes {len(names)} arguments ({', '.join(names)})" if names else "takes none"
        message = f"`{owner}` {takes} by position, not {len(call.positional)}"
        self.report.error(Code.ARGUMENT_COUNT, surplus.span, message)

    def unit_arguments(
        self, unit: df.Definition, call: st.Call, head: bool
    ) -> dict[str, df.ArgumentValue] | None:
        """The arguments of a unit go to its head op."""
        if unit.head is None:
            return self.match(unit.name, (), (), call)
        given = given_by_unit(unit)
        open_ = tuple(a for a in unit.head.positional if a.name not in given)
        fixed = tuple(a for a in unit.head.positional if a.name in given)
        found = self.match(unit.name, open_, (*fixed, *unit.head.attributes), call)
        if found is None or head:
            return found
        defaults = unit_defaults(unit)
        for argument in (*open_, *unit.head.attributes):
            if argument.name in found or defaults.get(argument.name) is not None:
                continue
            if argument.positional or argument.name not in ("pad", "ceil", "count_pad"):
                self.report_missing_of_unit(unit, open_, argument, call)
                return None
        return found

    def report_missing_of_unit(
        self, unit: df.Definition, open_: tuple[Argument, ...], argument: Argument, call: st.Call
    ) -> None:
        """A use of a unit leaves out what its head op needs."""
        wanted = " ".join(a.name.upper() for a in open_)
        message = (
            f"`{unit.name}` needs {argument.kind.value} for `{argument.name}` of its "
            f"`{unit.head.name if unit.head else ''}`"
        )
        self.report.error(
            Code.ARGUMENT_COUNT,
            call.span,
            message,
            notes=[Note(f"`{unit.name}` is defined here", unit.span)],
            help=f"write `{unit.name} {wanted}`".rstrip(),
        )

    def block_arguments(
        self, block: df.Definition, call: st.Call, head: bool
    ) -> dict[str, df.ArgumentValue] | None:
        """The arguments of a block by parameter."""
        del head  # a block is never the head of a unit
        names = [formal.name for formal in block.parameters]
        found: dict[str, df.ArgumentValue] = {}
        sound = True
        if len(call.positional) > len(names):
            self.report_surplus(block.name, names, call)
            return None
        pairs = [*zip(names, call.positional, strict=False)]
        for attribute in call.attributes:
            if attribute.name.text not in names:
                message = f"`{block.name}` has no parameter `{attribute.name.text}`"
                help_ = near(attribute.name.text, names)
                span = attribute.name.span
                self.report.error(Code.UNKNOWN_ATTRIBUTE, span, message, help=help_)
                sound = False
            else:
                pairs.append((attribute.name.text, attribute.value))
        for name, written in pairs:
            if name in found:
                message = f"`{name}` of `{block.name}` is given twice"
                self.report.error(Code.DUPLICATE, written.span, message)
                sound = False
                continue
            if isinstance(written, (st.Window, st.Items, st.Text, st.Applied)):
                message = f"`{name}` of `{block.name}` must be a number, a flag or a word"
                self.report.error(Code.WRONG_TYPE, written.span, message)
                sound = False
                continue
            found[name] = self.expression(written)
            sound = sound and found[name] is not None
        missing = [f.name for f in block.parameters if f.default is None and f.name not in found]
        if missing and sound:
            message = f"`{block.name}` needs {listed(missing)}"
            self.report.error(
                Code.ARGUMENT_COUNT,
                call.span,
                message,
                notes=[Note(f"`{block.name}` is defined here", block.span)],
                help=f"its parameters are {', '.join(names)}",
            )
            return None
        return found if sound else None


def _concrete_pool(op: Op, call: st.Call) -> tuple[Op, st.Call]:
    """`pool max 3x3` is `max_pool 3x3`; with a parameter for the kind it stays `pool`."""
    first = call.positional[0] if call.positional else None
    if op.name == "pool" and isinstance(first, ex.Name) and first.text in ("max", "avg"):
        rest = call.positional[1:]
        concrete = OPS[f"{first.text}_pool"]
        return concrete, st.Call(call.name, rest, call.attributes, call.span)
    return op, call


def _chained(found: Sequence[df.Element | None], name: str | None, span: Span) -> df.Element | None:
    sound = [element for element in found if element is not None]
    if not sound or len(sound) != len(found):
        return None
    return sound[0] if len(sound) == 1 and name is None else df.Chain(tuple(sound), name, span)


def _origins(body: st.Body) -> set[str]:
    """The labels that some `from` inside a body names."""
    found: set[str] = set()
    pending: list[st.Body] = [body]
    while pending:
        for statement in pending.pop().statements:
            if isinstance(statement, st.Aux):
                pending.append(statement.body)
            elif isinstance(statement, st.Statement):
                if statement.origin is not None:
                    found.add(statement.origin.text)
                for element in statement.elements:
                    if isinstance(element, (st.Join, st.Group, st.Repeat)):
                        pending.append(element.body)
                    elif isinstance(element, st.Conditional):
                        pending.append(element.then)
                        if element.otherwise is not None:
                            pending.append(element.otherwise)
    return found


def _head_of(unit: df.Definition) -> df.OpCall | df.Instance:
    step = unit.body.steps[0]
    assert isinstance(step, df.Step)
    first = step.element.elements[0] if isinstance(step.element, df.Chain) else step.element
    assert isinstance(first, (df.OpCall, df.Instance))
    return first


def given_by_unit(unit: df.Definition) -> frozenset[str]:
    """The arguments of its head op that a unit itself says."""
    head = _head_of(unit)
    if isinstance(head, df.OpCall):
        return head.said
    return frozenset(head.args) | given_by_unit(head.definition)


def unit_defaults(unit: df.Definition) -> dict[str, df.ArgumentValue]:
    """What the arguments of its head op are where a use says nothing."""
    head = _head_of(unit)
    if isinstance(head, df.OpCall):
        return dict(head.args)
    return {**unit_defaults(head.definition), **head.args}


@cache
def has_weights(definition: df.Definition) -> bool:
    """Whether something in a definition has parameters."""
    for element in df.elements(definition.body):
        if isinstance(element, df.OpCall) and element.op.weighted:
            return True
        if isinstance(element, df.Instance) and has_weights(element.definition):
            return True
    return False
