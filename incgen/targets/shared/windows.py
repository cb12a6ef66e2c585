"""Windows: what a padding is in pixels, and how a pooling pads that has no border of its own."""

from __future__ import annotations

from dataclasses import dataclass

from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.targets.shared.values import (
    ONE,
    TRUE,
    ZERO,
    Args,
    Pair,
    Sides,
    effective,
    four_sides,
    half,
    sides_with_ceil,
    window,
)

#: The parameter of a unit, and the words of the language.
PADDING = ex.Parameter("padding")
SAME, VALID = map(ex.Literal, ("same", "valid"))
NOTHING: Sides = (ZERO, ZERO, ZERO, ZERO)


@dataclass(frozen=True, slots=True)
class Padding:
    """The padding of one window."""

    sides: Sides | None  #: Top, bottom, left, right; None if they depend on the size of the input
    same: bool = False  #: Whether TensorFlow's `same` pads alike

    @property
    def both(self) -> Pair | None:
        """Return the border (height, width), if it is the same before and after."""
        if self.sides is None:
            return None
        top, bottom, left, right = self.sides
        return (top, left) if top == bottom and left == right else None


def padding(args: Args, *, odd: bool = False) -> Padding:
    """Return what the padding of an op is for its window; None means half of the window.

    Args:
        args: The arguments of the op.
        odd: Whether the kernel is odd, though it is not known here.
    """
    pad, frame, dilation = args.get("pad"), window(args), args.get("dilation", ONE)
    word = pad.value if isinstance(pad, ex.Literal) else ""
    assert isinstance(dilation, Expression)
    spans = [ex.literal(effective(side, dilation)) for side in frame.kernel]
    high, wide = half(frame.kernel, dilation)
    middle = high, high, wide, wide
    odd = odd or all(isinstance(span, int) and span % 2 for span in spans)
    centred = odd and frame.stride == (ONE, ONE)
    if word == "same":
        return Padding(middle if centred or spans == [1, 1] else None, same=True)
    if pad is None or word == "half":
        sides = middle
    else:
        sides = NOTHING if word == "valid" else four_sides(pad)
    return Padding(sides, same=centred and sides == middle and spans != [1, 1])


def padded_apart(args: Args, sides: Sides, *, average: bool) -> tuple[Sides | None, Sides | None]:
    """Return how to pad before a pooling: by zeros that count, and by what does not count."""
    frame = window(args)
    ceil = args["ceil"] == TRUE and frame.stride != (ONE, ONE)
    full = sides_with_ceil(sides, frame) if ceil else sides
    if not average or args["count_pad"] != TRUE or sides == NOTHING:
        return None, full if full != NOTHING else None
    over = (ZERO, full[1] - sides[1], ZERO, full[3] - sides[3])
    return sides, over if full != sides else None
