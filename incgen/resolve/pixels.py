"""The input line of a network: its size, and the pixels that the weights expect."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

from incgen.base.diagnostics import Code, Refused, listed
from incgen.base.help import Help, near, put, write
from incgen.language import expressions as ex
from incgen.resolve import definitions as df
from incgen.resolve.context import Context
from incgen.syntax import tree as st
from incgen.syntax.edits import first_line

#: What an `input` line can state.
ATTRIBUTES = ("order", "range", "mean", "std")
#: The orders of channels.
ORDERS = ("rgb", "bgr")


def resolve_pixels(network: st.Network, context: Context) -> df.Pixels | None:
    """Read the `input` line, which comes first in a network; return None after a report."""
    first = network.body.statements[:1]
    if not (first and isinstance(first[0], st.Input)):
        message = f"the network `{network.name.text}` does not begin with `input`"
        line = "input 224x224 3"
        edit = first_line(network.body.span, line)
        help_ = Help(f"begin its body with a line such as `{line}`", edit)
        context.report.error(Code.NO_INPUT, network.name.span, message, help=help_)
        return None
    return _Reader(context, first[0]).read()


class _Reader:
    """Reads one input line."""

    def __init__(self, context: Context, line: st.Input) -> None:
        self.context, self.report, self.line = context, context.report, line

    def read(self) -> df.Pixels | None:
        line = self.line
        if line.size.stride_height is not None:
            self.report.error(Code.WRONG_TYPE, line.size.span, "an input size has no stride")
            return None
        if line.channels is None:
            message = "`input` needs a size and a number of channels"
            help_ = write("input 224x224 3")
            self.report.error(Code.ARGUMENT_COUNT, line.span, message, help=help_)
            return None
        sizes = [self.size(part) for part in (line.size.height, line.size.width, line.channels)]
        height, width, channels = sizes
        if height is None or width is None or channels is None:
            return None
        count = ex.literal(channels)
        stated = self.attributes(count if isinstance(count, int) else None)
        return df.Pixels(height, width, channels, **stated, span=line.span)

    def size(self, written: st.Argument) -> ex.Expression | None:
        if isinstance(written, (st.Window, st.Items, st.Text, st.Applied)):
            message = "the channels of the input must be a whole number"
            self.report.error(Code.WRONG_TYPE, written.span, message)
            return None
        return self.context.size(written)

    def attributes(self, channels: int | None) -> dict[str, Any]:
        stated: dict[str, Any] = {}
        for attribute in self.line.attributes:
            name, span = attribute.name.text, attribute.name.span
            if name not in ATTRIBUTES:
                message = f"`input` has no attribute `{name}`"
                help_ = near(name, ATTRIBUTES) or f"its attributes are {listed(ATTRIBUTES)}"
                self.report.error(Code.UNKNOWN_ATTRIBUTE, span, message, help=help_)
                continue
            if name in stated:
                self.report.error(Code.DUPLICATE, span, f"`{name}` is given twice")
                continue
            with suppress(Refused):
                if name == "order":
                    stated[name] = self.order(attribute, channels)
                else:
                    stated[name] = self.numbers(attribute, 2 if name == "range" else channels)
        return stated

    def order(self, attribute: st.Attribute, channels: int | None) -> str:
        value = attribute.value
        if not (isinstance(value, ex.Name) and value.text in ORDERS):
            self.report.refuse(Code.WRONG_TYPE, value.span, "`order` must be `rgb` or `bgr`")
        if channels != 3:
            has = f"the input has {channels}" if channels else "here a parameter decides"
            message = f"`order` needs 3 channels, but {has}"
            self.report.refuse(Code.ARGUMENT_COUNT, attribute.span, message)
        return value.text

    def numbers(self, attribute: st.Attribute, count: int | None) -> tuple[float, ...]:
        name, value = attribute.name.text, attribute.value
        if not isinstance(value, st.Items):
            message = f"`{name}` must be a list of numbers in brackets"
            help_ = write(f"{name}=[{'0, 255' if name == 'range' else '0.5'}]", over=attribute.span)
            self.report.refuse(Code.WRONG_TYPE, value.span, message, help=help_)
        numbers = []
        for item in value.values:
            known = item.value if isinstance(item, ex.Literal) else None
            if known is None or isinstance(known, (bool, str)) or abs(known) > 1e6:
                message = f"`{name}` must be a list of plain numbers up to 1e6"
                self.report.refuse(Code.WRONG_TYPE, item.span, message)
            numbers.append(float(known))
        if len(numbers) not in ({count} if name == "range" else {1, count}):
            channels = "one per channel" + (f" ({count})" if count else "")
            wanted = "2 numbers, low and high" if name == "range" else f"1 number, or {channels}"
            message = f"`{name}` takes {wanted}, not {len(numbers)}"
            points = re.sub(r"\b(\d+),(?=\d)", r"\1.", value.span.text if value.span else "")
            decimal = len(numbers) == 2 * points.count(",") + 2
            help_ = Help(f"a fraction follows a point: write `{name}={points}`", *put(points))
            self.report.refuse(
                Code.ARGUMENT_COUNT, value.span, message, help=help_ if decimal else None
            )
        if (name == "range" and numbers[0] >= numbers[1]) or (name == "std" and min(numbers) <= 0):
            rule = "must go from low to high" if name == "range" else "must be above 0"
            self.report.refuse(Code.NUMBER_RANGE, value.span, f"`{name}` {rule}")
        return tuple(numbers)
