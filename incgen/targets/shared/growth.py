"""Formulas for how a size changes over the iterations of a repeat."""

from __future__ import annotations

from incgen.base.diagnostics import Code, Diagnostic, SpecError
from incgen.base.source import Span
from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.targets.shared.code import parameters_in
from incgen.targets.shared.symbols import Unknown
from incgen.targets.shared.values import ZERO

#: The most iterations of a repeat that are computed one by one.
_FOLLOWED = 64
#: The size before an iteration, in the formula for the size after it.
PROBE = ex.Parameter("size before")


def vector_in_repeat(span: Span) -> SpecError:
    """Return the error of a repeat whose iterations get different kinds of values."""
    message = "the first iteration of this `repeat` turns a map into a vector, the next gets that"
    help_ = "put a `global_avg_pool` or `flatten` before the `repeat`"
    return SpecError([Diagnostic(Code.UNSUPPORTED, message, span, help=help_)])


def ranks_differ(span: Span) -> SpecError:
    """Return the error of an `if` whose sides return different kinds of values."""
    message = "one side of this `if` ends in a map and the other in a vector"
    help_ = "pool or flatten on both sides, or after the `if`"
    return SpecError([Diagnostic(Code.UNDECIDED, message, span, help=help_)])


def _is_free(formula: Expression) -> bool:
    """Return whether a formula does not depend on the size before."""
    return PROBE.name not in parameters_in(formula)


def _difference(behind: Expression) -> Expression | None:
    """Return what an iteration adds, if that is the same every time."""
    if behind == PROBE:
        return ZERO
    if isinstance(behind, ex.Binary) and behind.operator == "+":
        for inner, other in ((behind.left, behind.right), (behind.right, behind.left)):
            grown = _difference(inner)
            if grown is not None and _is_free(other):
                return grown + other
    if isinstance(behind, ex.Binary) and behind.operator == "-" and _is_free(behind.right):
        grown = _difference(behind.left)
        return None if grown is None else grown - behind.right
    return None


def _factor(behind: Expression) -> Expression | None:
    """Return the factor of an iteration, if that is the same every time."""
    if isinstance(behind, ex.Binary) and behind.operator == "*":
        for inner, other in ((behind.left, behind.right), (behind.right, behind.left)):
            if inner == PROBE and _is_free(other):
                return other
    return None


def steady(behind: Expression, first: Expression, axis: str) -> Expression:
    """Return a size that every iteration keeps.

    Raises:
        Unknown: It changes, and has no formula inside the repeat.
    """
    if ex.substitute(behind, {PROBE.name: first}, {}) != first:
        what = f"the {axis} changes from one iteration of the `repeat` to the next"
        raise Unknown(what, "put a `global_avg_pool` before it, or write the `repeat` out")
    return first


def after_all(behind: Expression, first: Expression, count: Expression, axis: str) -> Expression:
    """Return a size after the last iteration."""
    if ex.substitute(behind, {PROBE.name: first}, {}) == first:
        return first
    grown = _difference(behind)
    if grown is not None:
        # a number stands in front
        return first + (count * grown if ex.literal(grown) is None else grown * count)
    times = ex.literal(count)
    if isinstance(times, int) and times <= _FOLLOWED and ex.literal(first) is not None:
        size = first
        for _ in range(times):
            size = ex.substitute(behind, {PROBE.name: size}, {})
        return size
    if _is_free(behind):
        return behind if times else ex.choice(ex.binary("==", count, ZERO), first, behind)
    multiplied = _factor(behind)
    if multiplied is not None:
        return first * ex.binary("**", multiplied, count)
    what = f"there is no simple formula for the {axis} after this `repeat`"
    help_ = "write the `repeat` out, or let it end in a layer that sets its channels"
    if axis != "channels":
        help_ = f"write the `repeat` out, or pad its layers so that they keep the {axis}"
    raise Unknown(what, help_)
