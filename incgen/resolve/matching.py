"""Match the arguments of a use with the parameters of an op, unit or block."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import NoReturn

from incgen.base.diagnostics import Code, Note, Refused, counted, listed
from incgen.base.help import Help, add, near, put, write
from incgen.base.source import Span
from incgen.language import expressions as ex
from incgen.language.ops import WORDS
from incgen.language.presets import PRESETS
from incgen.language.printing import spec_value
from incgen.language.signatures import Argument, ByWindow, Kind, Op, Signature
from incgen.resolve import definitions as df
from incgen.resolve.arguments import padding_of
from incgen.resolve.context import Context
from incgen.syntax import tree as st
from incgen.syntax.edits import or_preset

#: Arguments whose absence only matters for some windows, as elaboration finds.
_BY_WINDOW = ("pad", "ceil", "count_pad")
#: What help lines suggest for a missing argument.
_EXAMPLES = {
    Kind.COUNT: "64",
    Kind.FACTOR: "0.5",
    Kind.FLAG: "true",
    Kind.WORD: "max",
    Kind.WINDOW: "3x3",
    Kind.PADDING: "1",
    Kind.INITIALIZER: "he_normal",
}


class Matcher:
    """Matches the arguments of the calls in one definition; a faulty call raises `Refused`."""

    def __init__(self, context: Context) -> None:
        self.context, self.report, self.binder = context, context.report, context.binder

    def tell(self, code: Code, span: Span | None, message: str, help: str | None) -> NoReturn:
        """Report what is wrong and what to type."""
        self.report.refuse(code, span, message, help=help)

    def op_arguments(
        self, op: Op, call: st.Call, *, head: bool
    ) -> tuple[dict[str, df.ArgumentValue], frozenset[str], dict[str, df.Source]]:
        """Return every argument of an op, which of them the call sets, and what sets the others."""
        said = self.match(op, call)
        args: dict[str, df.ArgumentValue] = {}
        sources: dict[str, df.Source] = {}
        missing = []
        for argument in op.arguments:
            value: df.ArgumentValue | ByWindow = said.get(argument.name)
            if value is None:
                value, source = self.context.conventions.default(op, argument)
                if source is not None:
                    sources[argument.name] = source
            if isinstance(value, ByWindow):
                value = padding_of(value, args["window"])
                if value is None and args["window"] is not None and not head:
                    self.refuse_padding(op, args["window"], call)
            args[argument.name] = value
            if value is None and (argument.positional or argument.name not in _BY_WINDOW):
                missing.append(argument)
        if missing and not head:
            self.refuse_missing(op, missing, call)
        return args, frozenset(said), sources

    def refuse_missing(self, op: Op, missing: Sequence[Argument], call: st.Call) -> NoReturn:
        """Report required arguments without a value."""
        if all(argument.must for argument in missing):
            preset = PRESETS["torch"][op.family or op.name]
            values = {a.name: spec_value(preset[a.name]) for a in missing}
            says = listed([a.name for a in missing])
            them = "it" if len(missing) == 1 else "them"
            message = f"`{op.name}` must state {says}: the frameworks disagree on {them}"
            usage = _usage(call, missing, values)
            help_ = or_preset(usage, call.span)
            self.report.refuse(Code.MUST_SAY, call.span, message, help=help_)
        from incgen.resolve import advice

        if self.context.unit is not None:
            told = advice.outside_head(self.context.unit, op, missing)
            self.tell(Code.ARGUMENT_COUNT, call.span, *told)
        usage = _usage(call, missing, _examples(missing))
        if op.name in ("avg_pool", "max_pool") and not call.positional:
            usage = advice.whole_map(op)
        message = f"`{op.name}` needs {_wanted(missing, 'its')}"
        self.report.refuse(Code.ARGUMENT_COUNT, call.span, message, help=usage)

    def refuse_padding(self, op: Op, frame: df.ArgumentValue, call: st.Call) -> NoReturn:
        """Report a pooling whose border the preset does not set."""
        name = call.name.text
        assert isinstance(frame, df.WindowValue)
        sides = [ex.literal(side) for side in (*frame.kernel, *frame.stride)]
        why = "`numerics torch` does not set it if there is a stride"
        if None in sides:
            why = "its window is known only where it is used"
        help_ = "write `pad=valid` for no border, or `pad=half` for half of the window"
        if None not in sides and op.name != "pool":  # the kind of `pool` may be a parameter
            high, wide, *strides = sides
            kind = "Avg" if op.name == "avg_pool" else "Max"
            kernel, stride, border = (
                str(a) if a == b else f"({a}, {b})"
                for a, b in ((high, wide), strides, (int(high or 0) // 2, int(wide or 0) // 2))
            )
            layer = f"nn.{kind}Pool2d({kernel}, {stride}"
            help_ = f"`pad=valid` is `{layer})`, and `pad=half` is `{layer}, padding={border})`"
        message = f"`{name}` must state `pad`: {why}"
        help_ = Help(help_, *add("pad=valid", "pad=half"))
        self.report.refuse(Code.MUST_SAY, call.span, message, help=help_)

    def match(self, takes: Signature, call: st.Call) -> dict[str, df.ArgumentValue]:
        """Check the written arguments, by name."""
        errors = self.report.errors
        strange = [a for a in call.attributes if not takes.known(a.name.text)]
        if strange:
            from incgen.resolve import advice

            told = advice.unknown_attributes(takes, strange, call)
            self.tell(Code.UNKNOWN_ATTRIBUTE, strange[0].name.span, *told)
        self.check_shorthand(takes, call)
        self.check_windows(takes, call)
        first = [argument.name for argument in takes.positional]
        given = self.given(takes.name, first, call, takes)
        given += [(a.name.text, a.value, a.span) for a in call.attributes]

        def convert(name: str, written: st.Argument) -> df.ArgumentValue:
            argument = takes.argument(name)
            assert argument is not None
            return self.binder.value(takes.name, argument, written)

        return self.converted(takes.name, given, convert, errors)

    def converted(
        self,
        owner: str,
        given: Sequence[tuple[str, st.Argument, Span | None]],
        convert: Callable[[str, st.Argument], df.ArgumentValue],
        errors: int,
    ) -> dict[str, df.ArgumentValue]:
        """Convert arguments, each with its name and place, if there are no more than some errors.

        All faults among them are reported.
        """
        values: dict[str, df.ArgumentValue] = {}
        for name, written, span in given:
            if name in values:
                message = f"`{name}` of `{owner}` is given twice"
                self.report.error(Code.DUPLICATE, span, message)
                continue
            values[name] = None
            with suppress(Refused):
                values[name] = convert(name, written)
        if self.report.errors > errors or None in values.values():
            raise Refused
        return values

    def check_shorthand(self, takes: Signature, call: st.Call) -> None:
        """Refuse `k3 s2 p1`, as tables in papers write kernels, strides and paddings."""
        names = [value for value in call.positional if isinstance(value, ex.Name)]
        names = [n for n in names if n.text[-1].isdigit() and not self.context.known(n.text)]
        if names:
            from incgen.resolve import advice

            told = advice.shorthand(takes, call, [name.text for name in names])
            if told is not None:
                self.tell(Code.UNKNOWN_NAME, names[0].span, *told)

    def check_windows(self, takes: Signature, call: st.Call) -> None:
        """Refuse another value in place of a window."""
        for argument, written in zip(takes.positional, call.positional, strict=False):
            if argument.kind is not Kind.WINDOW or isinstance(written, st.Window):
                continue
            if isinstance(written, ex.Name) and self.context.scope.values.can_apply(written.text):
                return  # an arrow is missing
            from incgen.resolve import advice

            help_ = advice.wrong_window(takes, call)
            if help_ is not None:
                self.binder.refuse(takes.name, argument, written, help_)

    def given(
        self,
        owner: str,
        names: Sequence[str],
        call: st.Call,
        takes: Signature | None = None,
    ) -> list[tuple[str, st.Argument, Span | None]]:
        """Name the positional arguments; report too many, often for want of an arrow."""
        if len(call.positional) > len(names):
            surplus = call.positional[len(names)]
            if isinstance(surplus, ex.Name) and self.context.scope.values.can_apply(surplus.text):
                message = f"`{surplus.text}` follows `{owner}` without an arrow"
                help_ = write(f"-> {surplus.text}")
                self.report.error(Code.MISSING_ARROW, surplus.span, message, help=help_)
            else:
                count = counted(len(names), "positional argument")
                wants = f"{count} ({', '.join(names)})" if names else "no positional arguments"
                message = f"`{owner}` takes {wants}, not {len(call.positional)}"
                from incgen.resolve import advice

                more = advice.surplus(call, names, takes)
                self.report.error(Code.ARGUMENT_COUNT, surplus.span, message, help=more)
        return [(name, w, w.span) for name, w in zip(names, call.positional, strict=False)]

    def unit_arguments(
        self, unit: df.Definition, call: st.Call, head: bool
    ) -> dict[str, df.ArgumentValue]:
        """Match the arguments of a unit, which go to its head op."""
        if unit.head is None:
            return self.match(Signature(unit.name), call)
        given = df.given_by_unit(unit)
        open_ = tuple(a for a in unit.head.positional if a.name not in given)
        fixed = tuple(a for a in unit.head.positional if a.name in given)
        self.check_fixed(unit, open_, fixed, call)
        takes = Signature(unit.name, open_, (*fixed, *unit.head.attributes))
        values = self.match(takes, call)
        defaults = unit.defaults
        if unit.pads is not None and "pad" not in values:
            frame = values.get("window", defaults["window"])
            pad = padding_of(unit.pads, frame)
            if pad is not None and "window" in values:
                values["pad"] = pad
            elif pad is None and frame is not None and not head:
                self.refuse_padding(unit.head, frame, call)
        missing = [
            argument
            for argument in (*open_, *unit.head.attributes)
            if argument.name not in values
            and defaults.get(argument.name) is None
            and (argument.positional or argument.name not in _BY_WINDOW)
        ]
        if missing and not head:
            self.report.refuse(
                Code.ARGUMENT_COUNT,
                call.span,
                f"`{unit.name}` needs {_wanted(missing, 'the')} of its `{unit.head.name}`",
                notes=(Note(f"`{unit.name}` is defined here", unit.span),),
                help=_usage(call, missing, _examples(missing)),
            )
        return values

    def check_fixed(
        self,
        unit: df.Definition,
        open_: tuple[Argument, ...],
        fixed: tuple[Argument, ...],
        call: st.Call,
    ) -> None:
        """Refuse a window for a unit that sets its own."""
        window = next((a for a in fixed if a.kind is Kind.WINDOW), None)
        written = next((w for w in call.positional if isinstance(w, st.Window)), None)
        if window is None or written is None:
            return
        said = unit.defaults[window.name]
        assert isinstance(said, df.WindowValue)
        has = f": `{said.span.text}`" if said.span is not None else ""
        from incgen.resolve import advice

        self.report.refuse(
            Code.ARGUMENT_COUNT,
            written.span,
            f"`{unit.name}` has a window of its own{has}",
            notes=(Note(f"`{unit.name}` is defined here", unit.span),),
            help=advice.given_by_unit(unit.name, written, open_, call),
        )

    def block_arguments(self, block: df.Definition, call: st.Call) -> dict[str, df.ArgumentValue]:
        """Match the arguments of a block by parameter."""
        names = [formal.name for formal in block.parameters]
        errors = self.report.errors
        given = self.given(block.name, names, call)
        for attribute in call.attributes:
            name = attribute.name.text
            if name in names:
                given.append((name, attribute.value, attribute.value.span))
                continue
            message = f"`{block.name}` has no parameter `{name}`"
            help_ = near(name, names) or (
                f"its parameters are {listed(names)}"
                if names
                else Help("it has no parameters", *put("", over=attribute.span))
            )
            self.report.error(Code.UNKNOWN_ATTRIBUTE, attribute.name.span, message, help=help_)

        def convert(name: str, written: st.Argument) -> df.ArgumentValue:
            return self.block_argument(block.name, name, written, call)

        values = self.converted(block.name, given, convert, errors)
        missing = [f.name for f in block.parameters if f.default is None and f.name not in values]
        if missing:
            self.report.refuse(
                Code.ARGUMENT_COUNT,
                call.span,
                f"`{block.name}` needs {listed(missing)}",
                notes=(Note(f"`{block.name}` is defined here", block.span),),
                help=f"its parameters are {listed(names)}, in this order",
            )
        return values

    def block_argument(
        self, block: str, name: str, written: st.Argument, call: st.Call
    ) -> df.ArgumentValue:
        """Return the argument for a parameter of a block."""
        if isinstance(written, (st.Window, st.Items, st.Text, st.Applied)):
            message = f"`{name}` of `{block}` must be a number, a flag or a word"
            from incgen.resolve import advice

            hint = advice.window_of_block(written, name, block)
            self.report.refuse(Code.WRONG_TYPE, written.span, message, help=hint)
        text = written.text if isinstance(written, ex.Name) else ""
        if self.context.is_op(text) and text not in WORDS:  # `tanh` is both an op and a word
            from incgen.resolve import advice

            self.tell(Code.WRONG_TYPE, written.span, *advice.op_as_argument(text, name, block))
        if self.context.is_label(text):
            from incgen.resolve import advice

            self.tell(Code.WRONG_TYPE, written.span, *advice.label_as_argument(text, block, call))
        return self.binder.resolved(written)


def _usage(call: st.Call, missing: Sequence[Argument], values: Mapping[str, str]) -> str:
    """Complete a call with what it lacks, for a help line."""
    attributes = " ".join(attribute.span.text for attribute in call.attributes)
    end = call.attributes[0].span.start if call.attributes else call.span.end
    written = call.span.source.text[call.span.start : end].strip()
    parts = [written, *(values[a.name] for a in missing if a.positional), attributes]
    parts += [f"{a.name}={values[a.name]}" for a in missing if not a.positional]
    text = " ".join(part for part in parts if part)
    fits = len(text) < 80 and "\n" not in text
    return Help(f"for example, write `{text}`", *put(text, over=call.span)) if fits else ""


def _wanted(missing: Sequence[Argument], article: str) -> str:
    """Describe the kinds of values that are missing, and for which arguments."""
    return " and ".join(
        a.kind.value if a.kind is Kind.WINDOW else f"{a.kind.value} for {article} `{a.name}`"
        for a in missing
    )


def _examples(missing: Sequence[Argument]) -> dict[str, str]:
    return {a.name: a.words[0] if a.words else _EXAMPLES[a.kind] for a in missing}
