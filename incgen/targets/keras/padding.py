"""Padding in Keras' terms: its two words, or pixels that are written out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from incgen.base.diagnostics import Code, Diagnostic, SpecError
from incgen.language import expressions as ex
from incgen.language.arithmetic import Value
from incgen.language.expressions import Expression
from incgen.resolve import definitions as df
from incgen.targets.shared.units import UnitForm, unit_arguments
from incgen.targets.shared.values import ONE, Args, Sides, four_sides, paired, window
from incgen.targets.shared.windows import NOTHING, PADDING, SAME, VALID, Padding, padding
from incgen.targets.shared.words import by_word


def word_of(around: Padding) -> Expression | None:
    """Return Keras' own word for a padding, if there is one."""
    if around.same:
        return SAME
    return VALID if around.sides == NOTHING else None


def border(sides: Sides) -> Expression:
    """Return a border as Keras' layers take it: `1`, `(0, 3)` or `((0, 1), (0, 1))`."""
    top, bottom, left, right = sides
    if top == bottom and left == right:
        return paired((top, left))
    return full_border(sides)


def full_border(sides: Sides) -> Expression:
    """Return a border with all four sides."""
    top, bottom, left, right = sides
    return ex.Tuple((ex.Tuple((top, bottom)), ex.Tuple((left, right))))


def use_padding(
    unit: df.Definition,
    args: Args,
    form: UnitForm,
    words: Callable[[str], list[Value]] | None = None,
) -> Expression:
    """Return the `padding` argument of one use of a unit.

    Args:
        unit: what is used.
        args: what the use says.
        form: of the unit.
        words: gives the values of a padding if words are among them; None if the value itself
            does not matter.
    """
    everything: dict[str, df.ArgumentValue] = {**df.unit_defaults(unit), **args}
    frame, pad = window(everything), everything.get("pad")
    if pad == PADDING:
        return PADDING
    if isinstance(pad, ex.Parameter) and words is not None and (found := words(pad.name)):
        return by_word(
            everything, "pad", found, lambda known: use_padding(unit, known, form), ex.choice
        )
    dilation = everything.get("dilation", ONE)
    assert isinstance(dilation, Expression)
    around = padding(pad, frame.kernel, frame.stride, dilation, odd=form.odd)
    if not _begins_with_pool(unit) and (known := word_of(around)) is not None:
        return known
    sides = _pool_padding(unit, frame) if around.same else around.sides
    assert sides is not None
    return _border(unit, form, sides)


def _border(unit: df.Definition, form: UnitForm, sides: Sides) -> Expression:
    """Return a border in pixels: as Keras' layers take it, or with the numbers of a pooling."""
    if not _begins_with_pool(unit) or form.pad_sides == 1:
        return border(sides)
    return ex.Tuple(sides if form.pad_sides == 4 else (sides[0], sides[2]))


def handed_on(unit: df.Definition, outer: UnitForm, form: UnitForm) -> Expression:
    """Return the padding that a unit gives one inside it, whose border may have more numbers."""
    if not _begins_with_pool(unit) or outer.pad_sides == form.pad_sides:
        return PADDING
    pad = unit_arguments(outer)["pad"]
    return _border(unit, form, four_sides(pad))


def usual_padding(program: df.Program, unit: df.Definition, form: UnitForm) -> Expression:
    """Return the default of a unit's `padding`: what most of its uses want."""
    nothing = _border(unit, form, NOTHING)
    found = Counter({nothing if _begins_with_pool(unit) else VALID: 0})
    for definition in (program.network, *program.definitions):
        for element in df.elements(definition.body):
            if isinstance(element, df.Instance) and element.definition is unit:
                args = {**df.unit_defaults(unit), **element.args}
                if not element.forwards and _is_plain(args) and not is_pointwise(args):
                    found[use_padding(unit, element.args, form)] += 1
    return found.most_common(1)[0][0]


def _is_plain(args: Args) -> bool:
    """Return whether a padding says by itself what it is, wherever it is read."""
    pad, frame = args.get("pad"), args["window"]
    assert isinstance(frame, df.WindowValue)
    spans = (*frame.kernel, args.get("dilation", ONE))
    known = all(isinstance(span, ex.Literal) for span in spans)
    return isinstance(pad, ex.Literal) and known


def is_pointwise(args: Args) -> bool:
    """Return whether a window is one pixel, for which Keras' "same" and "valid" are equal."""
    frame = args.get("window")
    return isinstance(frame, df.WindowValue) and frame.kernel == (ONE, ONE)


def _begins_with_pool(unit: df.Definition) -> bool:
    """Return whether a unit begins with a pooling, whose borders are pixels and never words."""
    return unit.head is not None and unit.head.family == "pool"


def _pool_padding(unit: df.Definition, frame: df.WindowValue) -> Sides:
    """Return "same" in pixels: the same on both sides of an odd window with stride 1."""
    odd = all(isinstance(k := ex.literal(side), int) and k % 2 for side in frame.kernel)
    if frame.stride != (ONE, ONE) or not odd:
        what = "a stride" if frame.stride != (ONE, ONE) else "a window that may be even"
        message = f"`same` with {what} cannot be given to the unit `{unit.name}`"
        help_ = "write its pooling out, or give every use the same padding"
        place = frame.span or unit.span
        raise SpecError([Diagnostic(Code.UNSUPPORTED, message, place, help=help_)])
    high, wide = (kernel // 2 for kernel in frame.kernel)
    return high, high, wide, wide
