"""Bodies: statements to steps, with names assigned and arguments bound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from incgen.base.diagnostics import Code, listed
from incgen.base.help import Help, near, put
from incgen.base.source import Span
from incgen.language import expressions as ex
from incgen.resolve import definitions as df
from incgen.resolve.arguments import count_fault
from incgen.resolve.calls import CallResolver
from incgen.resolve.context import Context
from incgen.resolve.labels import Namespace, Naming, collect
from incgen.syntax import tree as st
from incgen.syntax.edits import as_block, last_line

#: The most branches of one join.
MAX_BRANCHES = 256
#: The deepest nesting of repeats in one definition: each is a nested loop in generated code, and
#: finding a formula for its channels takes three times as long as for its content.
MAX_LOOPS = 6


class BodyResolver:
    """Resolves the bodies of one definition.

    Attributes:
        context: The context of the definition.
        network: Whether it is a network, which may have heads.
        frames: The labels that `from` can name, of this body and the enclosing ones.
        loops: The number of enclosing repeats.
    """

    def __init__(self, context: Context, *, network: bool = False) -> None:
        self.context, self.report, self.network = context, context.report, network
        self.calls = CallResolver(context)
        self.frames: list[dict[str, Span]] = []
        self.loops = 0

    def definition_body(self, body: st.Body) -> df.Body:
        """Resolve the body of a block or network."""
        names = collect(body, self.report)
        labels = (s.label.text for s in st.statements(body) if s.label is not None)
        self.context.labels.update(labels)
        return self.body(body, names, top=True)

    def unit_body(self, unit: st.Unit) -> df.Body | None:
        """Resolve the chain of a unit to a body of one step."""
        names = Namespace({})
        errors = self.report.errors
        elements = []
        for number, call in enumerate(unit.calls):
            element = self.calls.call(call, names, head=number == 0)
            if element is None:
                continue
            if isinstance(element, df.Instance) and element.definition.kind == "block":
                message = f"a unit is a chain of ops, but `{call.name.text}` is a block"
                help_ = Help(f"make `{unit.name.text}` a block", as_block(call.span))
                self.report.error(Code.MISPLACED, call.span, message, help=help_)
            elements.append(element)
        if len(elements) != len(unit.calls) or self.report.errors != errors:
            return None
        chain = df.Chain(tuple(elements), None, span=unit.span)
        whole = chain.elements[0] if len(chain.elements) == 1 else chain
        return df.Body((df.Step(None, None, whole, False, "", span=unit.span),), span=unit.span)

    def body(
        self, body: st.Body, names: Namespace, *, top: bool = False, heads: bool = False
    ) -> df.Body:
        """Resolve the steps of a body."""
        self.frames.append({})
        kept = {s.origin.text for s in st.statements(body) if s.origin is not None}
        heads = heads or (top and self.network)
        errors = self.report.errors
        steps: list[df.Step | df.Head] = []
        for number, statement in enumerate(body.statements):
            match statement:
                case st.Input():
                    if not (top and self.network and number == 0):
                        message = "`input` must be the first line of a network"
                        self.report.error(Code.MISPLACED, statement.span, message)
                case st.Aux():
                    head = self.head(statement, heads)
                    if head is not None:
                        steps.append(head)
                case st.Statement() if heads and (choice := st.choice_of_heads(statement)):
                    steps.extend(self.decided(choice, names))
                case st.Statement():
                    steps.append(self.step(statement, names, kept))
        lacking = heads and any(map(st.choice_of_heads, body.statements))
        sound = steps or lacking or self.report.errors > errors
        if not sound and (body.statements or not (top and self.network)):
            what = "statement besides `input`" if body.statements else "statement"
            message = f"this body has no {what}"
            line = last_line(body.span, "identity")
            help_ = Help("write `identity` if the value should pass through", line)
            self.report.error(Code.EMPTY_BODY, body.span, message, help=help_)
        self.frames.pop()
        return df.Body(tuple(steps), span=body.span)

    def decided(self, choice: st.Conditional, names: Namespace) -> tuple[df.Step | df.Head, ...]:
        """Resolve an `if` around heads, whose condition is decided when code is generated."""
        condition = self.context.expression(choice.condition)
        known = ex.literal(condition) if condition is not None else True
        if known is None or isinstance(known, str):
            message = "only constants can decide whether there is an `aux`"
            help_ = "let a constant decide, `let heads = true`; `--set heads=false` changes it"
            self.report.error(Code.MISPLACED, choice.condition.span, message, help=help_)
            return ()
        sides = [names.side() for _ in range(2)]
        with self.context.side(bool(known)):
            then = self.body(choice.then, sides[0], heads=True).steps
        otherwise: tuple[df.Step | df.Head, ...] = ()
        if choice.otherwise is not None:
            with self.context.side(not known):
                otherwise = self.body(choice.otherwise, sides[1], heads=True).steps
        names.merge(sides)
        # what the other side applies counts as used all the same
        for body in (choice.then, choice.otherwise):
            if body is not None:
                self.context.scope.values.read.update(name.text for name in st.applied(body))
        return then if known else otherwise

    def head(self, statement: st.Aux, allowed: bool) -> df.Head | None:
        """Resolve an auxiliary head of the network."""
        if not allowed:
            message = "`aux` belongs directly in the body of a network"
            help_ = "put the layers of the head into a block, and the `aux` into the network"
            self.report.error(Code.MISPLACED, statement.span, message, help=help_)
            return None
        body = self.slot_body(statement.body, statement.label.text)
        return df.Head(statement.label.text, body, statement.doc, span=statement.span)

    def step(self, statement: st.Statement, names: Namespace, kept: set[str]) -> df.Step:
        """Resolve one statement."""
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
        return df.Step(label, origin, element, keep, statement.doc, span=statement.span)

    def check_origin(self, origin: st.Identifier) -> None:
        """Report a `from` that names no earlier value of this body or an enclosing one."""
        if any(origin.text in frame for frame in self.frames):
            return
        visible = {label for frame in self.frames for label in frame}
        from incgen.resolve import advice

        message, help_ = advice.unseen_label(
            origin.text, self.context.scope.loaded.spec.items, self.context.parameters
        )
        if origin.text in self.context.labels and origin.text not in self.context.parameters:
            message = f"no earlier value here has the label `{origin.text}`"
            help_ = "a `from` reaches earlier lines of its body, and of the bodies around it"
        help_ = help_ or near(origin.text, visible)
        if help_ is None and visible:
            labels = sorted(visible)[:8]
            help_ = Help(f"the labels so far are {listed(labels)}", *put(*labels))
        self.report.error(Code.UNKNOWN_LABEL, origin.span, message, help=help_)

    def in_namespace(
        self, elements: Sequence[st.Element], names: Namespace, span: Span
    ) -> df.Element | None:
        """Resolve an unlabelled chain: every element takes its own name."""
        self.calls.statement = span
        if len(elements) == 1:
            return _chained([self.element(elements[0], names)], None, span)
        with self.calls.chain(span):
            resolved = [self.element(element, names) for element in elements]
        return _chained(resolved, None, span)

    def in_slot(self, elements: Sequence[st.Element], slot: str, span: Span) -> df.Element | None:
        """Resolve a labelled chain: one element takes the label, several are numbered below it."""
        if len(elements) == 1:
            return self.element(elements[0], slot)
        resolved = [self.element(element, str(i)) for i, element in enumerate(elements)]
        return _chained(resolved, slot, span)

    def slot_body(self, body: st.Body, slot: str) -> df.Body:
        """Resolve a body under a label; a single statement takes the label itself."""
        only = body.statements[0] if len(body.statements) == 1 else None
        if isinstance(only, st.Statement) and only.label is None:
            self.frames.append({})
            if only.origin is not None:
                self.check_origin(only.origin)
            element = self.in_slot(only.elements, slot, only.span)
            self.frames.pop()
            origin = only.origin.text if only.origin else None
            return df.Body(
                (df.Step(None, origin, element, False, only.doc, span=only.span),), span=body.span
            )
        names = collect(body, self.report)
        inner = self.body(body, names)
        if slot == "":
            return inner
        group = df.Group(inner, slot, span=body.span)
        return df.Body((df.Step(None, None, group, False, "", span=body.span),), span=body.span)

    def element(self, element: st.Element, naming: Naming) -> df.Element | None:
        """Resolve an element; return None after a report."""
        match element:
            case st.Call():
                return self.calls.call(element, naming)
            case st.Join():
                return self.join(element, naming)
            case st.Group():
                return df.Group(self.inner(element.body, naming), None, span=element.span)
            case st.Repeat():
                return self.repeat(element, naming)
            case st.Conditional():
                return self.conditional(element, naming)
            case _:
                assert_never(element)

    def join(self, element: st.Join, naming: Naming) -> df.Element | None:
        """Resolve the branches of a join."""
        if len(element.body.statements) == 1:
            message = f"`{element.kind}` joins at least two branches"
            help_ = "each line of its body is a branch"
            self.report.error(Code.ARGUMENT_COUNT, element.body.span, message, help=help_)
        if len(element.body.statements) > MAX_BRANCHES:
            count = len(element.body.statements)
            message = f"a join has at most {MAX_BRANCHES} branches, but this one has {count}"
            self.report.error(Code.TOO_LARGE, element.span, message)
            return None
        if isinstance(naming, str):
            own = collect(element.body, self.report)
            body = self.body(element.body, own)
            return df.Join(
                element.kind, body, naming, own.name_for(element.kind), span=element.span
            )
        title = naming.name_for(element.kind)
        body = self.body(element.body, naming)
        return df.Join(element.kind, body, None, title, span=element.span)

    def repeat(self, element: st.Repeat, naming: Naming) -> df.Element | None:
        """Resolve a repeated body."""
        count = self.context.expression(element.count)
        name = naming if isinstance(naming, str) else naming.name_for("repeat")
        if self.loops == MAX_LOOPS:
            message = f"repeats are nested more than {MAX_LOOPS} deep"
            help_ = "make the inner part a `block`"
            self.report.error(Code.NESTING_TOO_DEEP, element.span, message, help=help_)
            return None
        self.loops += 1
        body = self.slot_body(element.body, "")
        self.loops -= 1
        if count is None:
            return None
        known = ex.literal(count)
        fault = count_fault(known, 0) if known is not None else None
        if fault:
            self.report.error(fault[0], element.count.span, f"a repeat count {fault[1]}")
            return None
        return df.Repeat(count, body, name, span=element.span)

    def conditional(self, element: st.Conditional, naming: Naming) -> df.Element | None:
        """Resolve an `if`; both sides may use the same names, because only one is built."""
        condition = self.context.expression(element.condition)
        if condition is not None and isinstance(ex.literal(condition), str):
            message = "a condition is true or false, not a word"
            self.report.error(Code.WRONG_TYPE, element.condition.span, message)
        sides = [] if isinstance(naming, str) else [naming.side(), naming.side()]
        then_in, else_in = sides or (naming, naming)
        known = ex.literal(condition) if condition is not None else None
        with self.context.side(known is None or bool(known)):
            then = self.inner(element.then, then_in)
        otherwise = None
        if element.otherwise is not None:
            with self.context.side(not known):
                otherwise = self.inner(element.otherwise, else_in)
        if not isinstance(naming, str):
            naming.merge(sides)
        if condition is None:
            return None
        return df.Conditional(condition, then, otherwise, span=element.span)

    def inner(self, body: st.Body, naming: Naming) -> df.Body:
        """Resolve a body that stands where an element may stand."""
        if isinstance(naming, str):
            return self.slot_body(body, naming)
        return self.body(body, naming)


def _chained(
    elements: Sequence[df.Element | None], name: str | None, span: Span
) -> df.Element | None:
    sound = [element for element in elements if element is not None]
    if not sound or len(sound) != len(elements):
        return None
    return sound[0] if len(sound) == 1 and name is None else df.Chain(tuple(sound), name, span=span)
