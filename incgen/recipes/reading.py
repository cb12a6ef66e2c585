"""Read what a recipe says by the forms of its table; report what does not fit."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NoReturn

from incgen.base.diagnostics import Code, Refused, Reporter, clipped, listed
from incgen.base.help import Help, near, offered, put, write
from incgen.language import expressions as ex
from incgen.language.arithmetic import Value
from incgen.recipes.forms import STATED, UNITS, Field, Form, Kind
from incgen.recipes.recipe import Duration
from incgen.recipes.remedies import help_for
from incgen.resolve.arguments import bare, range_fault
from incgen.resolve.values import Values
from incgen.syntax import tree as st
from incgen.syntax.edits import line_above


class FormReader:
    """Reads calls as forms.

    Args:
        values: The constants of the file.
        report: Collects errors; a form with one raises `Refused`.
    """

    def __init__(self, values: Values, report: Reporter) -> None:
        self.values, self.report = values, report

    def chosen(self, setting: str, forms: Mapping[str, Form], call: st.Call) -> object:
        """Read a setting in the form that its first word names, if it has several."""
        if "" in forms:
            return self.read(forms[""], call, call.positional, setting)
        first = call.positional[0] if call.positional else None
        constants, kinds = self.values.constants, forms.values()
        if not isinstance(first, ex.Name):
            message = f"`{setting}` names what kind it is"
            span = call.span if first is None else first.span
            help_ = help_for(setting, kinds, call, call.positional, constants)
            self.report.refuse(Code.ARGUMENT_COUNT, span, message, help=help_)
        form = forms.get(first.text)
        if form is None:
            message = f"`{setting}` must be {listed(list(forms), 'or')}, not `{first.text}`"
            help_ = help_for(setting, kinds, call, call.positional[1:], constants)
            help_ = near(first.text, forms) or help_
            self.report.refuse(Code.UNKNOWN_NAME, first.span, message, help=help_)
        return self.read(form, call, call.positional[1:], setting)

    def read(
        self, form: Form, call: st.Call, positional: Sequence[st.Argument], setting: str = ""
    ) -> object:
        """Read a call as one form, from positional arguments that may be fewer than its own."""
        what = " ".join(filter(None, (setting, form.name))) or call.name.text
        usage = partial(help_for, setting, (form,), call, positional, self.values.constants)
        waiting = list(positional)
        values: dict[str, object] = {}
        for field in form.positional:
            if waiting or field.default is STATED:
                values[field.name] = self._positional(what, field, waiting, call, usage)
        if waiting:
            message, more = f"`{what}` takes nothing more", waiting[0]
            help_ = usage()
            if setting == "rate" and isinstance(more, ex.Name) and more.text not in UNITS:
                help_ = write(f"-> {more.text}", why=" for a schedule")
            self.report.refuse(Code.ARGUMENT_COUNT, more.span, message, help=help_)
        self._attributes(what, form, call.attributes, values)
        for field in form.fields:
            if field.name not in values:
                if field.default is STATED:
                    message = f"`{what}` must state `{field.name}`: {field.doc}"
                    self.report.refuse(Code.MUST_SAY, call.span, message, help=usage())
                values[field.name] = field.default
        return form.made(**values)

    def _attributes(
        self, what: str, form: Form, written: Sequence[st.Attribute], values: dict[str, object]
    ) -> None:
        """Read attributes; all of them are looked at before a fault ends the form."""
        known = {field.name: field for field in form.fields}
        sound = True
        for attribute in written:
            name, span = attribute.name.text, attribute.name.span
            field = known.get(name)
            if field is None:
                has = [f.name for f in form.attributes]
                offer: str | None = near(name, known) or self._of_recipe(attribute)
                offer = offer or (f"it has {listed(has)}" if has else None)
                message = f"`{what}` has no attribute `{clipped(name)}`"
                self.report.error(Code.UNKNOWN_ATTRIBUTE, span, message, help=offer)
            elif name in values:
                self.report.error(Code.DUPLICATE, span, f"`{name}` is given twice")
            else:
                try:
                    values[name] = self._value(what, field, attribute.value)
                    continue
                except Refused:
                    pass
            sound = False
        if not sound:
            raise Refused

    @staticmethod
    def _of_recipe(attribute: st.Attribute) -> Help | None:
        """Return what to type for an attribute that is a setting of its own here."""
        from incgen.language import elsewhere  # only a faulty recipe needs it

        value = attribute.value.span.text if attribute.value.span else ""
        here = elsewhere.setting(attribute.name.text, value)
        if here is None:
            return None
        edit = line_above(here, attribute.span)
        return Help(f"that is a setting of its own: `{here}`", edit)

    def _positional(
        self,
        what: str,
        field: Field,
        waiting: list[st.Argument],
        call: st.Call,
        usage: Callable[[], str],
    ) -> object:
        """Take the arguments of a field, with the word in front of it, from those that are left."""
        if field.lead:
            first = waiting[0] if waiting else None
            if not (isinstance(first, ex.Name) and first.text == field.lead):
                span = first.span if first is not None else call.span
                message = f"`{what}` needs the word `{field.lead}` here"
                self.report.refuse(Code.ARGUMENT_COUNT, span, message, help=usage())
            waiting.pop(0)
        if not waiting:
            message = f"`{what}` needs {field.kind.value}: {field.doc}"
            self.report.refuse(Code.ARGUMENT_COUNT, call.span, message, help=usage())
        written = waiting.pop(0)
        if field.kind not in (Kind.DURATION, Kind.TIMES):
            return self._value(what, field, written, usage)
        unit = waiting.pop(0) if waiting else None
        if not (isinstance(unit, ex.Name) and unit.text in UNITS):
            span = unit.span if unit is not None else written.span
            message = f"`{field.name}` of `{what}` is counted in `epochs` or `steps`"
            self.report.refuse(Code.ARGUMENT_COUNT, span, message, help=usage())
        parts = written.values if isinstance(written, st.Items) else (written,)
        if isinstance(written, st.Items) != (field.kind is Kind.TIMES):
            self._refuse(what, field, written)
        spans = [self._duration(what, field, part, UNITS[unit.text]) for part in parts]
        if [duration.count for duration in spans] != sorted({duration.count for duration in spans}):
            message = f"`{field.name}` of `{what}` must rise"
            self.report.refuse(Code.NUMBER_RANGE, written.span, message)
        return tuple(spans) if field.kind is Kind.TIMES else spans[0]

    def _duration(self, what: str, field: Field, written: st.Argument, unit: str) -> Duration:
        count = self._number(what, field, written)
        if count <= 0 or (unit == "steps" and count != int(count)):
            rule = "must be above 0" if count <= 0 else "must be a whole number of steps"
            message = f"`{field.name}` of `{what}` {rule}, not {count:g}"
            self.report.refuse(Code.NUMBER_RANGE, written.span, message)
        return Duration(float(count), "epochs" if unit == "epochs" else "steps")

    def _value(
        self,
        what: str,
        field: Field,
        written: st.Argument,
        usage: Callable[[], str | None] = lambda: None,
    ) -> object:
        """Read a value that is one argument."""
        match field.kind:
            case Kind.WORD:
                if isinstance(written, ex.Name) and written.text in field.words:
                    return written.text
                message = f"`{field.name}` of `{what}` must be {listed(field.words, 'or')}"
                help_ = near(written.text, field.words) if isinstance(written, ex.Name) else None
                self.report.refuse(Code.UNKNOWN_NAME, written.span, message, help=help_ or usage())
            case Kind.FLAG:
                value = self._evaluated(what, field, written)
                if not isinstance(value, bool):
                    self._refuse(what, field, written)
                return value
            case Kind.RANGE:
                if not isinstance(written, st.Items) or len(written.values) != 2:
                    self._refuse(what, field, written)
                low, high = (self._number(what, field, part) for part in written.values)
                if low > high:
                    message = f"`{field.name}` of `{what}` must go from low to high"
                    self.report.refuse(Code.NUMBER_RANGE, written.span, message)
                return (float(low), float(high))
            case Kind.COUNT:
                number = self._number(what, field, written)
                if number != int(number) or not 1 <= number <= 1e9:
                    message = f"`{field.name}` of `{what}` must be a whole number from 1 to 1e9"
                    message += f", not {number:g}"
                    self.report.refuse(Code.NUMBER_RANGE, written.span, message)
                return int(number)
            case _:
                return float(self._number(what, field, written))

    def _number(self, what: str, field: Field, written: st.Argument) -> int | float:
        """Return a number within the range of the field."""
        value = self._evaluated(what, field, written)
        if isinstance(value, (bool, str)):
            self._refuse(what, field, written)
        fault = range_fault(value, field.minimum, field.maximum, open_=field.open)
        if fault:
            message = f"`{field.name}` of `{what}` {fault}"
            self.report.refuse(Code.NUMBER_RANGE, written.span, message)
        return value

    def _evaluated(self, what: str, field: Field, written: st.Argument) -> Value:
        if isinstance(written, (st.Window, st.Items, st.Text, st.Applied)):
            self._refuse(what, field, written)
        fixed = replace(self.values, instead=_instead(field)).fixed(written)
        value = ex.literal(fixed) if fixed is not None else None
        if value is None:
            raise Refused
        return value

    def _refuse(self, what: str, field: Field, written: st.Argument) -> NoReturn:
        message = f"`{field.name}` of `{what}` must be {field.kind.value}"
        text = written.span.text if written.span else ""
        help_ = bare(written)
        if field.kind is Kind.RANGE and isinstance(written, ex.Literal):
            help_ = offered(f"write ``[{text}, 1]``, or ``[{text}, {text}]`` if it does not vary")
        elif field.kind is Kind.COUNT and (sides := re.fullmatch(r"(\d+)x\1", text)):
            help_ = write(sides[1])
        self.report.refuse(Code.WRONG_TYPE, written.span, message, help=help_)


def _instead(field: Field) -> Help:
    """Return what to write in place of a name without a meaning."""
    if field.kind is Kind.FLAG:
        return write("true", "false")
    first = field.shown.split()[0]
    if "[" in first:
        return Help("write a number")
    return Help(f"write a number, such as `{first}`", *put(first))
