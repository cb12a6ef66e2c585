"""Uses of ops, units and blocks: the name used and the arguments given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from incgen.base.diagnostics import Code, Refused, listed
from incgen.base.help import Change, Edit, Help, near, put
from incgen.base.source import Span
from incgen.language import expressions as ex
from incgen.language.names import label_fault
from incgen.language.ops import ACTIVATIONS, OPS
from incgen.language.signatures import Op
from incgen.resolve import definitions as df
from incgen.resolve.context import Context
from incgen.resolve.labels import Namespace, Naming
from incgen.resolve.matching import Matcher
from incgen.syntax import tree as st
from incgen.syntax.edits import above


class CallResolver:
    """Resolves the calls of one definition."""

    def __init__(self, context: Context) -> None:
        self.context, self.report, self.unit = context, context.report, context.unit
        self.values = context.scope.values
        self.arguments = Matcher(context)
        #: The calls without a label in the enclosing chain, if there is one
        self.unnamed: list[tuple[st.Call, str]] | None = None
        self.statement: Span | None = None  #: The last statement without a label
        self.refused = False  #: Whether a call was omitted because of an error, here or elsewhere

    def call(self, call: st.Call, naming: Naming, *, head: bool = False) -> df.Element | None:
        """Resolve an op, unit or block with its arguments; return None after a report.

        `head` says whether it is the head of a unit, which takes the unit's arguments.
        """
        labelled = isinstance(naming, str)
        try:
            call = self.named_activation(call)
            name = naming if isinstance(naming, str) else self.own_name(call, naming)
            element = self.applied(call, name, labelled, head)
        except Refused:
            self.refused = True
            return None
        if df.is_weighted(element) and not labelled and not self.unit:
            self.warn_unnamed(call, name)
        return element

    def applied(
        self, call: st.Call, name: str, labelled: bool, head: bool
    ) -> df.OpCall | df.Instance:
        """Resolve what is applied, and match its arguments."""
        op = OPS.get(call.name.text)
        if op is None:
            definition = self.definition(call)
            if definition.kind == "unit":
                given = self.arguments.unit_arguments(definition, call, head)
            else:
                given = self.arguments.block_arguments(definition, call)
            return df.Instance(definition, given, name, labelled, head, span=call.span)
        op, call = _concrete_pool(op, call)
        args, said, sources = self.arguments.op_arguments(op, call, head=head)
        return df.OpCall(op, args, said, name, labelled, head, sources, span=call.span)

    def named_activation(self, call: st.Call) -> st.Call:
        """Return `relu` for `activation relu`, or for a constant that says `relu`."""
        if call.name.text != "activation" or self.values.can_apply("activation"):
            return call
        if len(call.positional) != 1 or call.attributes:
            message = "`activation` takes one word, the op that it stands for"
            self.report.refuse(Code.ARGUMENT_COUNT, call.span, message, help=self.usage(call))
        (written,) = call.positional
        named = written.text if isinstance(written, ex.Name) else None
        if named in self.context.parameters:
            message = (
                f"`{named}` is a parameter, and `activation` is settled before code is written"
            )
            self.report.refuse(Code.WRONG_TYPE, written.span, message, help=self.usage(call))
        if named in self.values.constants:
            self.values.read.add(named)
            constant = self.values.constants[named]
            if constant is None:  # it is faulty
                raise Refused
            value = ex.literal(constant)
            named = value if isinstance(value, str) else None
        if named not in ACTIVATIONS:
            message = f"`activation` must be {listed(ACTIVATIONS, 'or')}"
            help_ = near(named, ACTIVATIONS) if named else self.usage(call)
            self.report.refuse(Code.UNKNOWN_NAME, written.span, message, help=help_)
        return st.Call(st.Identifier(named, span=call.name.span), (), (), span=call.span)

    def usage(self, call: st.Call) -> Help:
        """Return how to name an activation by a constant."""
        changes: tuple[Change, ...] = (Change("activation act", call.span),)
        if "act" not in self.values.constants:
            changes = (Change("let act = relu\n", above(call.span)), *changes)
        edit = Edit(changes, "Write `activation act`")
        return Help("write `activation act`, and `let act = relu` above", edit)

    def own_name(self, call: st.Call, names: Namespace) -> str:
        """Return a name for a call without a label."""
        text = call.name.text
        name = names.name_for(text)
        fault = label_fault(name)
        if fault and self.values.can_apply(text):
            message = f"`{text}` needs a label here: {fault}"
            labelled = f"{text}_1: {_shown(call.span)}"
            help_ = Help(f"write `{labelled}`", *put(f"{text}_1: {call.span.text}", over=call.span))
            if self.unnamed is not None:
                help_ = Help(f"give it a line of its own: `{labelled}`")
            if self.unit:  # a unit has no labels
                message = f"`{text}` cannot be used in a unit: {fault}"
                help_ = Help("make the unit a `block` and give it a label there")
            self.report.error(Code.RESERVED_NAME, call.name.span, message, help=help_)
        return name

    def definition(self, call: st.Call) -> df.Definition:
        """Return the unit or block that a call applies."""
        text = call.name.text
        if not self.values.can_apply(text) and text not in self.values.places:
            self.refuse_unknown(call)
        applies = self.values.can_apply(text)
        definition = self.context.scope.definition(text) if applies else None
        if definition is None:  # it is faulty
            raise Refused
        if definition.kind == "network":
            message = f"`{text}` is a network and cannot be used as a block"
            span, help_ = call.name.span, "make it a `block`"
            self.report.refuse(Code.MISPLACED, span, message, help=help_)
        return definition

    def refuse_unknown(self, call: st.Call) -> NoReturn:
        """Report a name that cannot be applied."""
        values = {*self.values.constants, *self.context.parameters}
        from incgen.resolve import advice

        told = advice.unknown_op(call, self.values.callables(), values, self.context.labels)
        self.arguments.tell(Code.UNKNOWN_OP, call.name.span, *told)

    @contextmanager
    def chain(self, whole: Span) -> Iterator[None]:
        """Warn once about all unlabelled layers inside, which form one chain."""
        outer, self.unnamed = self.unnamed, []
        yield
        unnamed, self.unnamed = self.unnamed, outer
        if not unnamed:
            return
        begin = listed([name for _, name in unnamed[:4]]) + (", ..." if len(unnamed) > 4 else "")
        message = f"this chain has parameters but no label, so its keys begin with {begin}"
        help_ = Help(
            f"give it a label, `part: {_shown(whole)}`, or each op a line and a label of its own",
            *put(f"part: {whole.text}", over=whole),
        )
        self.report.warning(Code.UNNAMED, unnamed[0][0].name.span, message, help=help_)

    def warn_unnamed(self, call: st.Call, name: str) -> None:
        """Warn about a layer with parameters and no label, whose key follows from its op."""
        if self.unnamed is not None:
            self.unnamed.append((call, name))
            return
        message = f"`{call.name.text}` has parameters but no label, so its keys begin with `{name}`"
        whole = call.span
        if self.statement is not None and self.statement.end == whole.end:
            whole = self.statement  # it may begin with a `from`
        help_ = Help(
            f"write `{name}: {_shown(whole)}` to keep the keys when lines move",
            *put(f"{name}: {whole.text}", over=whole),
        )
        self.report.warning(Code.UNNAMED, call.name.span, message, help=help_)


def _concrete_pool(op: Op, call: st.Call) -> tuple[Op, st.Call]:
    """Turn `pool max 3x3` into `max_pool 3x3`; keep `pool` for a parameter."""
    first = call.positional[0] if call.positional else None
    if op.name == "pool" and isinstance(first, ex.Name) and first.text in ("max", "avg"):
        rest = call.positional[1:]
        concrete = OPS[f"{first.text}_pool"]
        return concrete, st.Call(call.name, rest, call.attributes, span=call.span)
    return op, call


def _shown(span: Span) -> str:
    """Return a text of the spec for a help line, shortened if it is long."""
    text = span.text
    return text if len(text) <= 60 and "\n" not in text else f"{text.split()[0]} ..."
