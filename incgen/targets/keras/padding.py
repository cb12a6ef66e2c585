"""Padding in Keras' terms: one of its two words, or explicit pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from incgen.base.diagnostics import Code, Diagnostic, SpecError
from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.resolve import definitions as df
from incgen.targets.shared.units import UnitForm, unit_arguments
from incgen.targets.shared.uses import border_of
from incgen.targets.shared.values import ONE, Args, Sides, in_pairs, paired, window
from incgen.targets.shared.windows import NOTHING, PADDING, SAME, VALID, Padding, padding


def word_of(around: Padding) -> Expression | None:
    """Return Keras' word for a padding, if there is one."""
    if around.sides == NOTHING:
        return VALID
    return SAME if around.same else None


def border(sides: Sides) -> Expression:
    """Return a border as Keras' layers take it: `1`, `(0, 3)` or `((0, 1), (0, 1))`."""
    top, bottom, left, right = sides
    if top == bottom and left == right:
        return paired((top, left))
    return in_pairs(sides)


def unit_border(unit: df.Definition, form: UnitForm, sides: Sides) -> Expression:
    """Return a border as the function of a unit takes it."""
    return border_of(sides, form) if begins_with_pool(unit) else border(sides)


def unit_padding(unit: df.Definition, form: UnitForm, args: Args) -> Expression:
    """Return the padding of one use of a unit, given all arguments of its head.

    Raises:
        SpecError: The border of a pooling, which is in pixels, would depend on its input.
    """
    frame, around = window(args), padding(args, odd=form.odd)
    if not begins_with_pool(unit) and (known := word_of(around)) is not None:
        return known
    if around.sides is None:
        what = "a stride" if frame.stride != (ONE, ONE) else "a window that may be even"
        message = f"`same` with {what} cannot be passed to the unit `{unit.name}`"
        help_ = "write its pooling out, or give every use the same padding"
        place = frame.span or unit.span
        raise SpecError([Diagnostic(Code.UNSUPPORTED, message, place, help=help_)])
    return unit_border(unit, form, around.sides)


def usual_padding(program: df.Program, unit: df.Definition, form: UnitForm) -> Expression:
    """Return the default of a unit's `padding`: that of most of its uses."""
    counts = Counter({unit_border(unit, form, NOTHING) if begins_with_pool(unit) else VALID: 0})
    for _, use in df.uses(program):
        if use.definition is unit and not use.forwards:
            args = {**unit.defaults, **use.args}
            if _is_plain(args) and not is_pointwise(args):
                counts[unit_padding(unit, form, args)] += 1
    return counts.most_common(1)[0][0]


def units_with_sides(
    program: df.Program, forms: Mapping[df.Definition, UnitForm]
) -> set[df.Definition]:
    """Return the units of which some use needs explicit padding."""
    units: set[df.Definition] = set()
    for definition, use in df.uses(program):
        unit = use.definition
        if unit not in forms or not forms[unit].padding:
            continue
        args = {**unit.defaults, **use.args}
        if use.forwards:
            args.update(unit_arguments(forms[definition], whole=True))
        if args.get("pad") == PADDING:
            explicit = definition in units
        else:
            explicit = not isinstance(ex.literal(unit_padding(unit, forms[unit], args)), str)
        if explicit:
            units.add(unit)
    return units


def _is_plain(args: Args) -> bool:
    """Return whether a padding means the same in every definition."""
    spans = (*window(args).kernel, args.get("dilation", ONE))
    known = all(isinstance(span, ex.Literal) for span in spans)
    return isinstance(args.get("pad"), ex.Literal) and known


def is_pointwise(args: Args) -> bool:
    """Return whether a window is one pixel, for which Keras' "same" and "valid" are equal."""
    return window(args).kernel == (ONE, ONE)


def begins_with_pool(unit: df.Definition) -> bool:
    """Return whether a unit begins with a pooling, whose borders are never words."""
    return unit.head is not None and unit.head.family == "pool"
