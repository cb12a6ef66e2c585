"""Uses of ops, units and blocks: the name that is used, and the arguments it is given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from incgen.base.diagnostics import Code, Note, counted, listed, near
from incgen.base.source import Span
from incgen.language import expressions as ex
from incgen.language.elsewhere_arguments import Takes
from incgen.language.names import label_fault
from incgen.language.ops import (
    EXAMPLES,
    OPS,
    PRESETS,
    WORDS,
    Argument,
    ByWindow,
    DefaultValue,
    Kind,
    Op,
)
from incgen.resolve import advice
from incgen.resolve import definitions as df
from incgen.resolve.arguments import Binder, Conventions, padding_of
from incgen.resolve.labels import Namespace
from incgen.resolve.scope import FileScope
from incgen.syntax import tree as st

#: Arguments whose absence only matters for some windows; elaboration tells.
_BY_WINDOW = ("pad", "ceil", "count_pad")


class CallResolver:
    """Resolves the calls of one definition.

    Args:
        scope: the names of the file.
        conventions: the presets and defaults where the definition stands.
        binder: checks arguments.
        parameters: of the definition.
        unit: the definition if it is a unit, where nothing is warned of.
    """

    def __init__(
        self,
        scope: FileScope,
        conventions: Conventions,
        binder: Binder,
        parameters: Mapping[str, Span],
        *,
        unit: st.Unit | None,
    ) -> None:
        """Keep the context."""
        self.parameters = parameters
        self.scope, self.report = scope, scope.report
        self.conventions, self.binder, self.unit = conventions, binder, unit
        self.labels: set[str] = set()  # all that are written in the definition
        self.unnamed: list[tuple[st.Call, str]] | None = None  # of the chain, if it is in one
        self.refused = False  # whether a call was left out after a report, here or elsewhere

    def call(
        self, call: st.Call, slot: str | None, names: Namespace | None, *, head: bool = False
    ) -> df.Element | None:
        """An op, unit or block with its arguments; None after a report.

        Args:
            call: as written.
            slot: the name it has by its label or its place in a chain, if it has one.
            names: gives it a name if it has none.
            head: whether it is the head of a unit, which takes the unit's arguments.
        """
        name = slot if slot is not None else self.own_name(call, names)
        op = OPS.get(call.name.text)
        if op is None:
            return self.instance(call, slot, name, head)
        op, call = _concrete_pool(op, call)
        args, said = self.op_arguments(op, call, head=head)
        if args is None:
            return None
        if slot is None and op.weighted and not self.unit:
            self.warn_unnamed(call, name)
        sources = {
            argument.name: source
            for argument in op.arguments
            if argument.name not in said
            and (source := self.conventions.source(op, argument)) is not None
        }
        return df.OpCall(op, args, said, name, slot is not None, head, call.span, sources)

    def own_name(self, call: st.Call, names: Namespace | None) -> str:
        """The name of something without a label."""
        assert names is not None
        text = call.name.text
        name = names.name_for(text)
        fault = label_fault(name)
        if fault and self.scope.can_apply(text):
            message = f"`{text}` needs a label here: {fault}"
            help_ = f"write `{text}_1: {_shown(call.span)}`"
            if self.unnamed is not None:
                help_ = f"give it a line of its own: `{text}_1: {_shown(call.span)}`"
            if self.unit:  # which has no labels
                message = f"`{text}` cannot stand in a unit: {fault}"
                help_ = "make the unit a `block` and give it a label there"
            self.report.error(Code.RESERVED_NAME, call.name.span, message, help=help_)
        return name

    def instance(
        self, call: st.Call, slot: str | None, name: str, head: bool
    ) -> df.Instance | None:
        """A unit or block with its arguments."""
        text, was_refused = call.name.text, self.refused
        self.refused = True  # until all is well
        if not self.scope.can_apply(text):
            if text not in self.scope.places:  # else its definition has a fault
                self.report_unknown(call)
            return None
        definition = self.scope.definition(text, call.name.span)
        if definition is None:
            return None
        if definition.kind == "network":
            message = f"`{text}` is a network and cannot be used as a block"
            self.report.error(Code.MISPLACED, call.name.span, message, help="make it a `block`")
            return None
        if definition.kind == "unit":
            given = self.unit_arguments(definition, call, head)
        else:
            given = self.block_arguments(definition, call)
        if given is None:
            return None
        self.refused = was_refused
        if slot is None and not self.unit and df.has_weights(definition):
            self.warn_unnamed(call, name)
        return df.Instance(definition, given, name, slot is not None, head, call.span)

    def report_unknown(self, call: st.Call) -> None:
        """A name that cannot be applied."""
        values = {*self.scope.constants, *self.parameters}
        told = advice.unknown_op(call, self.scope.callables(), values, self.labels)
        self.tell(Code.UNKNOWN_OP, call.name.span, told)

    def tell(self, code: Code, span: Span | None, told: advice.Advice) -> None:
        """Report what is wrong and what to type."""
        self.report.error(code, span, told.message, help=told.help)

    def is_label(self, name: str) -> bool:
        """Whether a name is a label, and no value."""
        value = name in self.parameters or self.scope.known(name)
        return name in self.labels and not value

    def is_op(self, name: str) -> bool:
        """Whether a name is an op, unit or block, and no value."""
        value = name in self.parameters or name in self.scope.constants
        return not value and self.scope.can_apply(name)

    @contextmanager
    def chain(self, elements: Sequence[st.Element]) -> Iterator[None]:
        """Inside, layers without a label are those of a chain, and are warned of together."""
        outer, self.unnamed = self.unnamed, []
        yield
        unnamed, self.unnamed = self.unnamed, outer
        if not unnamed:
            return
        begin = listed([name for _, name in unnamed[:4]]) + (", ..." if len(unnamed) > 4 else "")
        message = f"this chain has parameters but no label, so its keys begin with {begin}"
        whole = _shown(elements[0].span.until(elements[-1].span))
        help_ = f"give it a label, `part: {whole}`, or each op a line and a label of its own"
        self.report.warning(Code.UNNAMED, unnamed[0][0].name.span, message, help=help_)

    def warn_unnamed(self, call: st.Call, name: str) -> None:
        """A layer with parameters gets its key from its op if it has no label."""
        if self.unnamed is not None:
            self.unnamed.append((call, name))
            return
        message = f"`{call.name.text}` has parameters but no label, so its keys begin with `{name}`"
        help_ = f"write `{name}: {_shown(call.span)}` to keep the keys when lines move"
        self.report.warning(Code.UNNAMED, call.name.span, message, help=help_)

    # ------------------------------------------------------------ ops

    def op_arguments(
        self, op: Op, call: st.Call, *, head: bool
    ) -> tuple[dict[str, df.ArgumentValue] | None, frozenset[str]]:
        """Every argument of an op, said or by default."""
        said = self.match(op.name, op.positional, op.attributes, call)
        if said is None:
            return None, frozenset()
        args: dict[str, df.ArgumentValue] = {}
        missing = []
        for argument in op.arguments:
            value: df.ArgumentValue | ByWindow = said.get(argument.name)
            if value is None:
                value = self.conventions.default(op, argument)
            if isinstance(value, ByWindow):
                value = padding_of(value, args["window"])
                if value is None and args["window"] is not None and not head:
                    self.report_padding(op, args["window"], call)
                    return None, frozenset()
            args[argument.name] = value
            if value is None and (argument.positional or argument.name not in _BY_WINDOW):
                missing.append(argument)
        if missing and not head:
            self.report_missing(op, missing, call)
            return None, frozenset()
        return args, frozenset(said)

    def report_missing(self, op: Op, missing: Sequence[Argument], call: st.Call) -> None:
        """Arguments that are needed and have no value."""
        if all(argument.must for argument in missing):
            preset = PRESETS["torch"][op.family or op.name]
            values = {a.name: _default_text(preset[a.name]) for a in missing}
            says = listed([a.name for a in missing])
            message = f"`{op.name}` must say {says}: the frameworks disagree on it"
            usage = _usage(call, missing, values)
            help_ = f"{usage}, or begin the file with `numerics caffe`, `torch` or `tf`"
            self.report.error(Code.MUST_SAY, call.span, message, help=help_)
            return
        if self.unit is not None:
            told = advice.outside_head(self.unit, op, missing)
            self.tell(Code.ARGUMENT_COUNT, call.span, told)
            return
        message = f"`{op.name}` needs {_wanted(missing, 'its')}"
        usage = _usage(call, missing, _examples(missing))
        if op.name in ("avg_pool", "max_pool") and not call.positional:
            usage = advice.whole_map(op)
        self.report.error(Code.ARGUMENT_COUNT, call.span, message, help=usage)

    def report_padding(self, op: Op, frame: df.ArgumentValue, call: st.Call) -> None:
        """A pooling whose border the preset does not say."""
        name = call.name.text
        assert isinstance(frame, df.WindowValue)
        sides = [ex.literal(side) for side in (*frame.kernel, *frame.stride)]
        if None in sides:
            message = f"`{name}` must say `pad`: its window is known only where it is used"
            help_ = "write `pad=valid` for no border, or `pad=half` for half of the window"
        else:
            high, wide, *strides = sides
            kind = "Avg" if op.name == "avg_pool" else "Max"
            kernel, stride, border = (
                str(a) if a == b else f"({a}, {b})"
                for a, b in ((high, wide), strides, (int(high or 0) // 2, int(wide or 0) // 2))
            )
            message = f"`{name}` must say `pad`: `numerics torch` leaves it open for a stride"
            layer = f"nn.{kind}Pool2d({kernel}, {stride}"
            help_ = f"`pad=valid` is `{layer})`, and `pad=half` is `{layer}, padding={border})`"
        self.report.error(Code.MUST_SAY, call.span, message, help=help_)

    def match(
        self,
        owner: str,
        positional: tuple[Argument, ...],
        attributes: tuple[Argument, ...],
        call: st.Call,
    ) -> dict[str, df.ArgumentValue] | None:
        """Written arguments by name, each checked; None after a report."""
        found: dict[str, df.ArgumentValue] = {}
        errors = self.report.errors
        takes = Takes(owner, positional, attributes)
        strange = [a for a in call.attributes if not takes.known(a.name.text)]
        if strange:
            told = advice.unknown_attributes(takes, strange, call)
            self.tell(Code.UNKNOWN_ATTRIBUTE, strange[0].name.span, told)
            return None
        if self.report_window(takes, call):
            return None
        if len(call.positional) > len(positional):
            self.report_surplus(owner, [a.name for a in positional], call)
        for argument, written in zip(positional, call.positional, strict=False):
            found[argument.name] = self.binder.value(owner, argument, written)
        by_name = {argument.name: argument for argument in (*positional, *attributes)}
        for attribute in call.attributes:
            name = attribute.name.text
            if name in found:
                message = f"`{name}` of `{owner}` is given twice"
                self.report.error(Code.DUPLICATE, attribute.span, message)
            else:
                found[name] = self.binder.value(owner, by_name[name], attribute.value)
        sound = self.report.errors == errors and None not in found.values()
        return found if sound else None

    def report_window(self, takes: Takes, call: st.Call) -> bool:
        """Something else in the place of a window: whether that was reported."""
        for argument, written in zip(takes.positional, call.positional, strict=False):
            if argument.kind is not Kind.WINDOW or isinstance(written, st.Window):
                continue
            if isinstance(written, ex.Name) and self.scope.can_apply(written.text):
                return False  # an arrow is missing
            help_ = advice.wrong_window(takes, call)
            if help_ is not None:
                self.binder.refuse(takes.name, argument, written, help_)
                return True
        return False

    def report_surplus(self, owner: str, names: Sequence[str], call: st.Call) -> None:
        """More positional arguments than the op has: often a forgotten arrow."""
        surplus = call.positional[len(names)]
        if isinstance(surplus, ex.Name) and self.scope.can_apply(surplus.text):
            message = f"`{surplus.text}` follows `{owner}` without an arrow"
            help_ = f"write `-> {surplus.text}`"
            self.report.error(Code.MISSING_ARROW, surplus.span, message, help=help_)
            return
        takes = f"{counted(len(names), 'argument')} ({', '.join(names)})" if names else "none"
        message = f"`{owner}` takes {takes} by position, not {len(call.positional)}"
        self.report.error(Code.ARGUMENT_COUNT, surplus.span, message)

    # ------------------------------------------------------------ units and blocks

    def unit_arguments(
        self, unit: df.Definition, call: st.Call, head: bool
    ) -> dict[str, df.ArgumentValue] | None:
        """The arguments of a unit go to its head op."""
        if unit.head is None:
            return self.match(unit.name, (), (), call)
        given = df.given_by_unit(unit)
        open_ = tuple(a for a in unit.head.positional if a.name not in given)
        fixed = tuple(a for a in unit.head.positional if a.name in given)
        if self.report_fixed(unit, open_, fixed, call):
            return None
        found = self.match(unit.name, open_, (*fixed, *unit.head.attributes), call)
        if found is None:
            return None
        defaults = df.unit_defaults(unit)
        if unit.pads is not None and "pad" not in found:
            frame = found.get("window", defaults["window"])
            pad = padding_of(unit.pads, frame)
            if pad is not None and "window" in found:
                found["pad"] = pad
            elif pad is None and frame is not None and not head:
                self.report_padding(unit.head, frame, call)
                return None
        if head:
            return found
        missing = [
            argument
            for argument in (*open_, *unit.head.attributes)
            if argument.name not in found
            and defaults.get(argument.name) is None
            and (argument.positional or argument.name not in _BY_WINDOW)
        ]
        if not missing:
            return found
        wanted = _wanted(missing, "the")
        self.report.error(
            Code.ARGUMENT_COUNT,
            call.span,
            f"`{unit.name}` needs {wanted} of its `{unit.head.name}`",
            notes=[Note(f"`{unit.name}` is defined here", unit.span)],
            help=_usage(call, missing, _examples(missing)),
        )
        return None

    def report_fixed(
        self,
        unit: df.Definition,
        open_: tuple[Argument, ...],
        fixed: tuple[Argument, ...],
        call: st.Call,
    ) -> bool:
        """A window for a unit that has one: whether that was reported."""
        window = next((a for a in fixed if a.kind is Kind.WINDOW), None)
        written = next((w for w in call.positional if isinstance(w, st.Window)), None)
        if window is None or written is None:
            return False
        said = df.unit_defaults(unit)[window.name]
        assert isinstance(said, df.WindowValue)
        has = f": `{said.span.text}`" if said.span is not None else ""
        self.report.error(
            Code.ARGUMENT_COUNT,
            written.span,
            f"`{unit.name}` has a window of its own{has}",
            notes=[Note(f"`{unit.name}` is defined here", unit.span)],
            help=advice.given_by_unit(unit.name, written, open_, call),
        )
        return True

    def block_arguments(
        self, block: df.Definition, call: st.Call
    ) -> dict[str, df.ArgumentValue] | None:
        """The arguments of a block by parameter."""
        names = [formal.name for formal in block.parameters]
        found: dict[str, df.ArgumentValue] = {}
        errors = self.report.errors
        if len(call.positional) > len(names):
            self.report_surplus(block.name, names, call)
        pairs = [*zip(names, call.positional, strict=False)]
        for attribute in call.attributes:
            if attribute.name.text in names:
                pairs.append((attribute.name.text, attribute.value))
                continue
            message = f"`{block.name}` has no parameter `{attribute.name.text}`"
            help_ = near(attribute.name.text, names) or (
                f"its parameters are {listed(names)}" if names else "it has no parameters"
            )
            self.report.error(Code.UNKNOWN_ATTRIBUTE, attribute.name.span, message, help=help_)
        for name, written in pairs:
            if name in found:
                message = f"`{name}` of `{block.name}` is given twice"
                self.report.error(Code.DUPLICATE, written.span, message)
            elif isinstance(written, (st.Window, st.Items, st.Text, st.Applied)):
                message = f"`{name}` of `{block.name}` must be a number, a flag or a word"
                hint = advice.window_of_block(written, name, block.name)
                self.report.error(Code.WRONG_TYPE, written.span, message, help=hint)
            elif (
                isinstance(written, ex.Name)
                and self.is_op(written.text)
                and written.text not in WORDS  # `tanh` is both
            ):
                told = advice.op_as_argument(written.text, name, block.name)
                self.tell(Code.WRONG_TYPE, written.span, told)
            elif isinstance(written, ex.Name) and self.is_label(written.text):
                told = advice.label_as_argument(written.text, block.name, call)
                self.tell(Code.WRONG_TYPE, written.span, told)
            else:
                found[name] = self.binder.resolve(written)
        missing = [f.name for f in block.parameters if f.default is None and f.name not in found]
        if missing and self.report.errors == errors:
            self.report.error(
                Code.ARGUMENT_COUNT,
                call.span,
                f"`{block.name}` needs {listed(missing)}",
                notes=[Note(f"`{block.name}` is defined here", block.span)],
                help=f"its parameters are {listed(names)}, in this order",
            )
        sound = self.report.errors == errors and None not in found.values()
        return found if sound else None


def _concrete_pool(op: Op, call: st.Call) -> tuple[Op, st.Call]:
    """`pool max 3x3` is `max_pool 3x3`; with a parameter for the kind it stays `pool`."""
    first = call.positional[0] if call.positional else None
    if op.name == "pool" and isinstance(first, ex.Name) and first.text in ("max", "avg"):
        rest = call.positional[1:]
        concrete = OPS[f"{first.text}_pool"]
        return concrete, st.Call(call.name, rest, call.attributes, call.span)
    return op, call


def _usage(call: st.Call, missing: Sequence[Argument], values: Mapping[str, str]) -> str:
    """A call with what it lacks, for a help line."""
    attributes = " ".join(attribute.span.text for attribute in call.attributes)
    end = call.attributes[0].span.start if call.attributes else call.span.end
    written = call.span.source.text[call.span.start : end].strip()
    parts = [written, *(values[a.name] for a in missing if a.positional), attributes]
    parts += [f"{a.name}={values[a.name]}" for a in missing if not a.positional]
    text = " ".join(part for part in parts if part)
    return f"write for instance `{text}`" if len(text) < 80 and "\n" not in text else ""


def _wanted(missing: Sequence[Argument], article: str) -> str:
    """What kinds of values are missing, and for what."""
    return " and ".join(
        a.kind.value if a.kind is Kind.WINDOW else f"{a.kind.value} for {article} `{a.name}`"
        for a in missing
    )


def _shown(span: Span) -> str:
    """A text of the spec for a help line: whole, unless it is long."""
    text = span.text
    return text if len(text) <= 60 and "\n" not in text else f"{text.split()[0]} ..."


def _examples(missing: Sequence[Argument]) -> dict[str, str]:
    return {a.name: a.words[0] if a.words else EXAMPLES[a.kind] for a in missing}


def _default_text(value: DefaultValue) -> str:
    return str(value).lower() if isinstance(value, (bool, str)) else f"{value:g}"
