"""Remedies for settings that do not fit, with the values that were stated."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

from incgen.base.help import Change, Edit, Help, write
from incgen.base.source import Span
from incgen.language import expressions as ex
from incgen.recipes.forms import UNITS, Field, Form, Kind
from incgen.resolve.arguments import range_fault
from incgen.syntax import tree as st

#: Who states a smaller number behind an optimiser means the learning rate.
_LEAST_MOMENTUM = 0.5


def help_for(
    setting: str,
    forms: Iterable[Form],
    call: st.Call,
    positional: Sequence[st.Argument],
    constants: Container[str],
) -> Help:
    """Return how a call can be written in one of several forms, with the values that it states.

    Args:
        setting: The setting; "" for a part of one, or a transform.
        forms: The forms that it may have; those that take all of its values come alone.
        call: What is written.
        positional: Its positional arguments without the name of the form.
        constants: The names that stand for numbers.
    """
    meant = [_Meant(setting, form, call, positional, constants) for form in forms]
    fitting = [one for one in meant if one.complete] or meant
    usages = [usage for one in fitting for usage in one.usages()]
    rates = [_text(arg) for arg in meant[0].left if setting == "optimizer" and _is_rate(arg)]
    why = f"; a learning rate is a setting, `rate {rates[0]}`" if rates else ""
    return write(*usages, over=call.span, why=why)


def as_attribute(forms: Iterable[Form], call: st.Call) -> Help | None:
    """Return how to write what is an attribute: `pad 4` as `random_crop pad=4`."""
    name, values = call.name.text, [_text(arg) for arg in call.positional]
    for form in forms:
        for field in form.attributes:
            if field.name == name and len(values) < 2:
                given = {name: values[0] if values else field.shown}
                return write(form.usage(given=given), over=call.span)
    return None


def behind_rate(
    form: Form, call: st.Call, rate: tuple[str, Span | None], place: Span, constants: Container[str]
) -> Help:
    """Return how a part of the rate that stands alone can be written.

    Args:
        form: Its form.
        call: What is written.
        rate: The rate, in which the part takes the place of another schedule, and where it stands
            if that is in the same recipe.
        place: The setting that the part was written as.
        constants: The names that stand for numbers.
    """
    base, *stages = [" ".join(stage.split()) for stage in rate[0].split("->")]
    warmups = [stage for stage in stages if stage.startswith("warmup")]
    others = [stage for stage in stages if stage not in warmups]
    lines = []
    for usage in _Meant("", form, call, call.positional, constants).usages():
        parts = [usage, *others] if form.name == "warmup" else [*warmups, usage]
        lines.append(" -> ".join([base, *parts]))
    if rate[1] is None:
        return write(*lines, over=place)
    edits = (Edit((Change(line, rate[1]), Change("", place))) for line in lines)
    return Help(write(*lines), *edits)


class _Meant:
    """The values of a call as those of the fields that they fit."""

    def __init__(
        self,
        setting: str,
        form: Form,
        call: st.Call,
        positional: Sequence[st.Argument],
        constants: Container[str],
    ) -> None:
        self.setting, self.form, self.constants = setting, form, constants
        ours = {field.name for field in form.attributes}
        by_name = {attribute.name.text: attribute.value for attribute in call.attributes}
        # The name of the form may stand for that of its value: `clip norm=2`.
        placed = dict.fromkeys([form.name, *(field.name for field in form.positional)])
        at = [by_name[name] for name in placed if name in by_name and name not in ours]
        self.left = [*at, *positional]
        self.given = {name: _text(value) for name, value in by_name.items() if name in ours}
        self.unknown = by_name.keys() - ours - placed.keys()
        self.units = [UNITS[word] for word in map(_word, self.left) if word in UNITS]
        for field in form.fields:
            self._take(field)
        leads = {field.lead for field in form.positional} - {""}
        self.left = [arg for arg in self.left if _word(arg) not in leads]

    @property
    def complete(self) -> bool:
        """Return whether every value that is stated has a place."""
        return not self.left and not self.unknown

    def _take(self, field: Field) -> None:
        """Take the first value that fits a field."""
        fitting = next((arg for arg in self.left if _fits(field, arg, self.constants)), None)
        if fitting is None or field.name in self.given:
            return
        if self.setting == "optimizer" and _is_rate(fitting):
            return
        self.left.remove(fitting)
        self.given[field.name] = _text(fitting)

    def usages(self) -> list[str]:
        """Return what to type; with each unit if one is needed and none is stated."""
        counts = [
            field.name for field in self.form.fields if field.kind in (Kind.DURATION, Kind.TIMES)
        ]
        stated = [name for name in counts if name in self.given]
        if not stated:
            number = next(iter(self.given.values()), "")
            if self.setting in UNITS and self.units and number and "." not in number:
                return [f"{self.units[0]} {number}"]
            return [self.form.usage(self.setting, self.given)]
        units = self.units[:1] or ["epochs", "steps"]
        return [self._with_unit(stated, unit) for unit in units]

    def _with_unit(self, stated: Sequence[str], unit: str) -> str:
        counted = {name: f"{self.given[name]} {unit}" for name in stated}
        return self.form.usage(self.setting, {**self.given, **counted})


def _fits(field: Field, written: st.Argument, constants: Container[str]) -> bool:
    """Return whether a value can be that of a field."""
    match field.kind:
        case Kind.WORD:
            return _word(written) in field.words
        case Kind.RANGE | Kind.TIMES:
            return isinstance(written, st.Items)
        case Kind.FLAG:
            return isinstance(written, ex.Literal) and isinstance(written.value, bool)
    if isinstance(written, ex.Literal) and isinstance(written.value, (int, float)):
        whole = field.kind is not Kind.COUNT or written.value == int(written.value) >= 1
        fault = range_fault(written.value, field.minimum, field.maximum, open_=field.open)
        return whole and not fault and not isinstance(written.value, bool)
    return isinstance(written, (ex.Unary, ex.Binary, ex.Call)) or _word(written) in constants


def _is_rate(written: st.Argument) -> bool:
    return (
        isinstance(written, ex.Literal)
        and isinstance(written.value, (int, float))
        and 0 < written.value < _LEAST_MOMENTUM
    )


def _word(written: st.Argument) -> str:
    return written.text if isinstance(written, ex.Name) else ""


def _text(written: st.Argument) -> str:
    text = written.span.text if written.span else ""
    return f"({text})" if isinstance(written, (ex.Unary, ex.Binary)) else text
