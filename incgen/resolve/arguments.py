"""Arguments: check what a use gives against what the op takes.

Types and ranges are checked here, both for values written in a spec, while it is resolved, and for
the values of expressions, while it is elaborated, with the same messages.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn, TypeAlias

from incgen.base.diagnostics import Code, Refused, Reporter, counted, listed
from incgen.base.help import Edit, Help, near, offered, put, write
from incgen.base.source import Span
from incgen.language import expressions as ex
from incgen.language.arithmetic import EvaluationError, Value
from incgen.language.initializers import RULES, SMALLEST, Initializer, scale_fault
from incgen.language.presets import PRESETS
from incgen.language.signatures import Argument, ByWindow, DefaultValue, Kind, Op
from incgen.resolve.definitions import ArgumentValue, SidesValue, Source, WindowValue
from incgen.syntax import tree as st
from incgen.syntax.refusals import decimal, hexadecimal

#: The code of a fault and what is wrong.
Misfit: TypeAlias = tuple[Code, str]
#: The words that a padding accepts.
PAD_WORDS = ("valid", "half", "same")
#: The largest count: channels, a kernel, a stride, a padding.
MAX_COUNT = 1_000_000


def value_fault(argument: Argument, value: Value) -> Misfit | None:
    """Return why an argument cannot have a value, or None if it can.

    >>> from incgen.language.ops import OPS
    >>> value_fault(OPS["dropout"].arguments[0], 1.5)
    (<Code.NUMBER_RANGE: 'number-range'>, 'must be at most 0.999999, not 1.5')
    """
    wanted = ""
    match argument.kind:
        case Kind.FLAG:
            wanted = "" if isinstance(value, bool) else "true or false"
        case Kind.WORD:
            wanted = "" if value in argument.words else listed(argument.words, "or")
        case Kind.COUNT:
            return count_fault(value, 1)
        case Kind.PADDING if argument.positional and isinstance(value, str):
            wanted = "a number of pixels"
        case Kind.PADDING if isinstance(value, str):
            words = f"{listed(PAD_WORDS, 'or')}, or a number of pixels"
            wanted = "" if value in PAD_WORDS else words
        case Kind.PADDING:
            return count_fault(value, 0)
        case _:
            return _factor_fault(argument, value)
    return (Code.WRONG_TYPE, f"must be {wanted}, not {show(value)}") if wanted else None


def count_fault(value: Value, minimum: int) -> Misfit | None:
    """Return why a value is not a whole number from a minimum, or None if it is."""
    if isinstance(value, bool) or not isinstance(value, int):
        return Code.WRONG_TYPE, f"must be a whole number, not {show(value)}"
    if not minimum <= value <= MAX_COUNT:
        least = f"at least {minimum}" if value < minimum else f"at most {MAX_COUNT}"
        return Code.NUMBER_RANGE, f"must be {least}, not {value}"
    return None


def evaluation_code(error: EvaluationError) -> Code:
    """Return the code for an expression without a value: its types or its numbers are wrong."""
    return Code.NUMBER_RANGE if error.ranged else Code.WRONG_TYPE


def whole_help(value: Value, written: ex.Expression) -> Help | None:
    """Return what to type if a calculation gives a number that is not whole."""
    if not isinstance(value, float):
        return None
    if isinstance(written, ex.Literal):
        return write(f"{int(value)}", over=written.span) if value.is_integer() else None
    if not isinstance(written, ex.Binary):
        return None
    if written.operator == "/":
        return Help("`//` divides to a whole number", *_floored(written))
    help_ = "`int(...)` truncates, `round(...)` gives the nearest whole number"
    texts = (f"{name}({written.span.text})" for name in ("int", "round") if written.span)
    return Help(help_, *put(*texts, over=written.span))


def _floored(division: ex.Binary) -> tuple[Edit, ...]:
    """Return the edit that writes `//` for the `/` of a division."""
    left, right = division.left.span, division.right.span
    if left is None or right is None:
        return ()
    between = Span(left.source, left.end, right.start)
    return put(between.text.replace("/", "//"), over=between)


def _factor_fault(argument: Argument, value: Value) -> Misfit | None:
    if isinstance(value, (bool, str)):
        return Code.WRONG_TYPE, f"must be a number, not {show(value)}"
    if not math.isfinite(value):
        return Code.NUMBER_RANGE, "must be a finite number"
    fault = range_fault(value, argument.minimum, argument.maximum, open_=argument.open)
    if not fault and 0 < abs(value) < SMALLEST:
        fault = f"must be 0 or at least {SMALLEST:g} in magnitude, not {value:g}"
    return (Code.NUMBER_RANGE, fault) if fault else None


def range_fault(value: float, low: float, high: float, *, open_: bool) -> str | None:
    """Return why a number is out of a range, which excludes its minimum if it is open."""
    if value < low or (open_ and value == low):
        return f"must be {'above' if open_ else 'at least'} {low:g}, not {value:g}"
    return f"must be at most {high:g}, not {value:g}" if value > high else None


def show(value: Value) -> str:
    """Write a value as a spec does, in backticks if it is a word."""
    if isinstance(value, str):
        return f"`{value}`"
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True)
class Conventions:
    """Conventions for many ops: a preset and the `default` statements so far."""

    numerics: Source | None = None  #: The `numerics` line
    #: The values of `default` statements and their lines, by op and argument
    defaults: Mapping[tuple[str, str], tuple[ArgumentValue, Source]] = field(default_factory=dict)

    @property
    def preset(self) -> str | None:
        """Return the name of the preset, if there is one."""
        return self.numerics.preset if self.numerics is not None else None

    def default(self, op: Op, argument: Argument) -> tuple[ArgumentValue | ByWindow, Source | None]:
        """Return the value of an argument that its op does not set, and the line that sets it.

        The most specific default wins; there is no line for the default of the op itself.
        """
        for name in (op.name, op.family):
            if (name, argument.name) in self.defaults:
                return self.defaults[name, argument.name]
        preset = PRESETS[self.preset].get(op.family or op.name, {}) if self.preset else {}
        value = preset.get(argument.name, argument.default)
        return _default_value(argument, value), self.numerics if argument.name in preset else None


def bare(written: st.Argument) -> Help | None:
    """Return what to type for a value in quotes, a single one in brackets, or one in base 16."""
    match written:
        case st.Text(value) if re.fullmatch(r"[A-Za-z_]\w{0,38}|-?[0-9][0-9.e-]{0,18}", value):
            return write(value, over=written.span, why=" without quotes")
        case st.Items((ex.Literal(span=Span() as span) | ex.Name(span=Span() as span),)):
            return write(span.text, over=written.span, why=" without brackets")
        case st.Window(span=Span() as span) if hexadecimal(span.text):
            return decimal(span)
    return None


def _default_value(argument: Argument, value: DefaultValue) -> ArgumentValue | ByWindow:
    if value is None or isinstance(value, ByWindow):
        return value
    if argument.kind is Kind.INITIALIZER:
        return Initializer(name=str(value))
    return ex.Literal(value)


def _sides_help(values: Sequence[st.Argument]) -> str:
    """Return what to type for a padding in brackets that has not 4 numbers."""
    texts = [value.span.text for value in values if value.span is not None]
    if len(values) == 2 and len(texts) == 2 and all(text.isdecimal() for text in texts):
        return write("x".join(texts), why=", or `[top, bottom, left, right]`")
    return "write `[top, bottom, left, right]`, or `HxW` for both sides alike"


def words_of(argument: Argument) -> tuple[str, ...]:
    """Return the words that an argument accepts, `true` and `false` included."""
    if argument.kind is Kind.FLAG:
        return ("true", "false")
    if argument.kind is Kind.PADDING and not argument.positional:
        return PAD_WORDS
    return argument.words


def padding_of(pads: ByWindow, frame: ArgumentValue) -> ex.Literal | None:
    """Return the padding of a window; None if it must be stated."""
    if not isinstance(frame, WindowValue):
        return None
    sides = [ex.literal(side) for side in (*frame.kernel, *frame.stride)]
    whole = tuple(side for side in sides if isinstance(side, int))
    word = pads.word(whole[:2], whole[2:]) if len(whole) == len(sides) else None
    return ex.Literal(word) if word is not None else None


class Binder:
    """Converts written arguments to values; reports what does not fit, and raises `Refused`.

    Args:
        report: Collects errors.
        resolve: Resolves an expression; returns None after a report.
        known: Returns whether a name is defined.
    """

    def __init__(
        self,
        report: Reporter,
        resolve: Callable[[ex.Expression], ex.Expression | None],
        known: Callable[[str], bool],
    ) -> None:
        self.report = report
        self.resolve = resolve
        self.known = known

    def resolved(self, written: ex.Expression) -> ex.Expression:
        """Resolve an expression."""
        if isinstance(written, ex.Literal):
            return written  # the most frequent
        expression = self.resolve(written)
        if expression is None:
            raise Refused
        return expression

    def value(self, owner: str, argument: Argument, written: st.Argument) -> ArgumentValue:
        """Check one argument of an op."""
        match argument.kind, written:
            case Kind.WINDOW, st.Window():
                return self.window(owner, written)
            case Kind.WINDOW, _:
                self.refuse(owner, argument, written, "write a window as `3x3` or `{k}x{k}`")
            case Kind.INITIALIZER, ex.Name(text, span=span):
                return self.initializer(text, (), span)
            case Kind.INITIALIZER, st.Applied(name, arguments, span=span):
                return self.initializer(name, arguments, span)
            case Kind.PADDING, (st.Window() | st.Items()):
                return self.sides(owner, argument, written)
            case Kind.INITIALIZER, _:
                self.refuse(owner, argument, written)
            case _, (st.Window() | st.Items() | st.Text() | st.Applied()):
                self.refuse(owner, argument, written)
            case _, _:
                return self.expression(owner, argument, written)

    def refuse(
        self, owner: str, argument: Argument, written: st.Argument, help: str | None = None
    ) -> NoReturn:
        """Report an argument of the wrong type."""
        help = help or bare(written)
        message = f"`{argument.name}` of `{owner}` must be {argument.kind.value}"
        self.report.refuse(Code.WRONG_TYPE, written.span, message, help=help)

    def expression(self, owner: str, argument: Argument, written: ex.Expression) -> ex.Expression:
        """Resolve a number, flag or word, and check it if it is already known."""
        words = words_of(argument)
        what = f"`{argument.name}` of `{owner}`"
        if words and isinstance(written, ex.Name) and not self.known(written.text):
            message = f"{what} must be {listed(words, 'or')}, not `{written.text}`"
            help_ = near(written.text, words)
            if argument.kind is Kind.FLAG and written.text.lower() in ("none", "null", "no", "off"):
                help_ = write("false")
            if argument.kind is Kind.FLAG and written.text.lower() in ("yes", "on"):
                help_ = write("true")
            self.report.refuse(Code.UNKNOWN_NAME, written.span, message, help=help_)
        resolved = self.resolved(written)
        known = ex.literal(resolved)
        if known is not None and (fault := value_fault(argument, known)):
            help_ = near(known, words) if isinstance(known, str) else whole_help(known, written)
            part = argument.kind is Kind.FACTOR and argument.minimum == 0 and argument.maximum <= 1
            if part and isinstance(known, (int, float)) and 5 <= known < 100:
                help_ = write(f"{known / 100:g}", why=": a part is a number from 0 to 1")
            self.report.refuse(fault[0], written.span, f"{what} {fault[1]}", help=help_)
        return resolved

    def count(
        self, written: ex.Expression, minimum: int, what: str, around: Span | None
    ) -> ex.Expression:
        """Resolve a whole number, and check it if it is already known."""
        resolved = self.resolved(written)
        known = ex.literal(resolved)
        if known is not None and (fault := count_fault(known, minimum)):
            self.report.refuse(fault[0], written.span or around, f"{what} {fault[1]}")
        return resolved

    def window(self, owner: str, written: st.Window) -> WindowValue:
        """Resolve a kernel and its stride."""

        def side(part: ex.Expression | None, what: str) -> ex.Expression:
            if part is None:
                return ex.Literal(1)
            return self.count(part, 1, f"the {what} of the window of `{owner}`", written.span)

        kernel = side(written.height, "height"), side(written.width, "width")
        stride = side(written.stride_height, "stride"), side(written.stride_width, "stride")
        return WindowValue(kernel, stride, written.span)

    def sides(self, owner: str, argument: Argument, written: st.Window | st.Items) -> SidesValue:
        """Resolve a padding of two or four numbers."""
        if isinstance(written, st.Window):
            values: tuple[st.Argument, ...] = (written.height, written.width)
            if written.stride_height is not None:
                self.report.refuse(Code.WRONG_TYPE, written.span, "a padding has no stride")
        else:
            values = written.values
            if len(values) != 4:
                message = f"a padding in brackets has 4 numbers, but this one has {len(values)}"
                help_ = _sides_help(values)
                self.report.refuse(Code.ARGUMENT_COUNT, written.span, message, help=help_)
        sides = []
        for value in values:
            if isinstance(value, (st.Window, st.Items, st.Text, st.Applied)):
                self.refuse(owner, argument, value)
            what = f"each side of `{argument.name}` of `{owner}`"
            sides.append(self.count(value, 0, what, written.span))
        return SidesValue(tuple(sides), written.span)

    def initializer(
        self, name: str, arguments: tuple[ex.Expression, ...], span: Span | None
    ) -> Initializer:
        """Resolve a named initialiser, whose arguments must be constants."""
        rule = RULES.get(name)
        if rule is None:
            from incgen.language.elsewhere import initializer

            here = initializer(name)
            scale = arguments[0].span if len(arguments) == 1 else None
            if here is not None and scale is not None:
                here = re.sub(r"`(\w+)\(\w+\)`", lambda m: f"``{m[1]}({scale.text})``", here)
            help_ = near(name, RULES) if here is None else offered(f"here it is called {here}")
            message = f"no initialiser named `{name}`"
            self.report.refuse(Code.UNKNOWN_NAME, span, message, help=help_)
        values = []
        for argument in arguments:
            known = ex.literal(self.resolved(argument))
            if known is None or isinstance(known, (bool, str)):
                message = f"the argument of `{name}` must be a constant number"
                self.report.refuse(Code.WRONG_TYPE, argument.span, message)
            values.append(float(known))
        if len(values) != len(rule.arguments):
            form = f"{name}({', '.join(rule.arguments)})"
            help_ = Help(f"write `{form}`") if rule.arguments else write(name)
            if rule.arguments and values[:1] == [0] and (last := arguments[-1].span):
                help_ = write(f"{name}({last.text})")  # elsewhere, a mean of 0 stands in front
            takes = counted(len(rule.arguments), "argument") if rule.arguments else "no argument"
            message = f"`{name}` takes {takes}, not {len(values)}"
            self.report.refuse(Code.ARGUMENT_COUNT, span, message, help=help_)
        for value, argument_name, written in zip(values, rule.arguments, arguments, strict=True):
            if fault := scale_fault(value, rule.kind):
                message = f"`{argument_name}` of `{name}` {fault}"
                self.report.refuse(Code.NUMBER_RANGE, written.span, message)
        return Initializer(name=name, args=tuple(values))
