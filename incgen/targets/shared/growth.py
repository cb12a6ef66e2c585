"""What a repeat makes of a size: how it grows from one iteration to the next."""

from __future__ import annotations

from incgen.base.diagnostics import Code, Diagnostic, SpecError
from incgen.base.source import Span
from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.targets.shared.code import parameters_in
from incgen.targets.shared.symbols import Unknown
from incgen.targets.shared.values import ZERO

#: Iterations of a repeat that are followed one by one.
_FOLLOWED = 64
#: Stands for a size while the formula of one iteration is sought.
PROBE = ex.Parameter("size before")


def vector_in_repeat(span: Span) -> SpecError:
    """Return the fault of a repeat whose iterations do not all get the same kind of value."""
    message = "the first iteration of this `repeat` makes a vector of a map, the next gets a vector"
    help_ = "put a `global_avg_pool` or `flatten` in front of the `repeat`"
    return SpecError([Diagnostic(Code.UNSUPPORTED, message, span, help=help_)])


def ranks_differ(span: Span) -> SpecError:
    """Return the fault of an `if` whose sides do not give the same kind of value."""
    message = "one side of this `if` gives a map and the other a vector"
    help_ = "pool or flatten on both sides, or behind the `if`"
    return SpecError([Diagnostic(Code.UNDECIDED, message, span, help=help_)])


def is_free(formula: Expression) -> bool:
    """Return whether a formula is the same, whatever the size before is."""
    return PROBE.name not in parameters_in(formula)


def difference(behind: Expression) -> Expression | None:
    """Return what an iteration adds, if it adds the same every time."""
    if behind == PROBE:
        return ZERO
    if isinstance(behind, ex.Binary) and behind.operator == "+":
        for inner, other in ((behind.left, behind.right), (behind.right, behind.left)):
            grown = difference(inner)
            if grown is not None and is_free(other):
                return grown + other
    if isinstance(behind, ex.Binary) and behind.operator == "-" and is_free(behind.right):
        grown = difference(behind.left)
        return None if grown is None else grown - behind.right
    return None


def times_of(count: Expression, size: Expression) -> Expression:
    """Return a size so many times, with a number in front."""
    return count * size if ex.literal(size) is None else size * count


def factor(behind: Expression) -> Expression | None:
    """Return by what an iteration multiplies, if it is the same every time."""
    if isinstance(behind, ex.Binary) and behind.operator == "*":
        for inner, other in ((behind.left, behind.right), (behind.right, behind.left)):
            if inner == PROBE and is_free(other):
                return other
    return None


def steady(behind: Expression, first: Expression, axis: str) -> Expression:
    """Return a size that every iteration keeps.

    Raises:
        Unknown: It changes, and has no formula inside the repeat.
    """
    if ex.substitute(behind, {PROBE.name: first}, {}) != first:
        what = f"the {axis} changes from one iteration of the `repeat` to the next"
        raise Unknown(what, "put a `global_avg_pool` in front, or write the `repeat` out")
    return first


def after_all(behind: Expression, first: Expression, count: Expression, axis: str) -> Expression:
    """Return a size behind the last iteration."""
    if ex.substitute(behind, {PROBE.name: first}, {}) == first:
        return first
    grown = difference(behind)
    if grown is not None:
        return first + times_of(count, grown)
    times = ex.literal(count)
    if isinstance(times, int) and times <= _FOLLOWED and ex.literal(first) is not None:
        size = first
        for _ in range(times):
            size = ex.substitute(behind, {PROBE.name: size}, {})
        return size
    if is_free(behind):
        return behind if times else ex.choice(ex.binary("==", count, ZERO), first, behind)
    multiplied = factor(behind)
    if multiplied is not None:
        return first * ex.binary("**", multiplied, count)
    what = f"the {axis} behind this `repeat` follows no simple formula of its count"
    help_ = "write the `repeat` out, or let it end in a layer that says its channels"
    if axis != "channels":
        help_ = f"write the `repeat` out, or pad its layers so that they keep the {axis}"
    raise Unknown(what, help_)
