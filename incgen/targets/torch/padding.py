"""What a padding means in PyTorch: the same before and after, four sides, or by the size."""

from __future__ import annotations

from dataclasses import dataclass

from incgen.language import expressions as ex
from incgen.language.expressions import Expression
from incgen.resolve.definitions import ArgumentValue, SidesValue, WindowValue
from incgen.targets.shared.values import ONE, ZERO, Pair, Sides, effective, four_sides, half


@dataclass(frozen=True, slots=True)
class Padding:
    """A padding in PyTorch's terms: at most one of them; none is TensorFlow's `same` by the size.

    Attributes:
        both: the same before and after, (height, width).
        sides: top, bottom, left, right.
    """

    both: Pair | None = None
    sides: Sides | None = None

    @property
    def same(self) -> bool:
        """Return whether it depends on the size of the input."""
        return self.both is None and self.sides is None


def padding(pad: ArgumentValue, kernel: Pair, stride: Pair, dilation: Expression = ONE) -> Padding:
    """Return what a padding means for a window."""
    if isinstance(pad, SidesValue):
        sides = top, bottom, left, right = four_sides(pad)
        if top == bottom and left == right:
            return Padding(both=(top, left))
        return Padding(sides=sides)
    if pad is None or pad == ex.Literal("half"):
        return Padding(both=half(kernel, dilation))
    if pad == ex.Literal("valid"):
        return Padding(both=(ZERO, ZERO))
    if pad == ex.Literal("same"):
        return _same(kernel, stride, dilation)
    assert isinstance(pad, Expression)
    return Padding(both=(pad, pad))


def _same(kernel: Pair, stride: Pair, dilation: Expression) -> Padding:
    spans = [ex.literal(effective(k, dilation)) for k in kernel]
    if spans == [1, 1]:
        return Padding(both=(ZERO, ZERO))
    if stride == (ONE, ONE) and all(isinstance(span, int) and span % 2 for span in spans):
        return Padding(both=half(kernel, dilation))
    return Padding()


def is_centred(pad: ArgumentValue, frame: ArgumentValue) -> bool:
    """Return whether a window with its sides in one parameter is in the middle of its border."""
    assert isinstance(frame, WindowValue)
    plain = isinstance(frame.kernel[0], ex.Item) and frame.stride == (ONE, ONE)
    return plain and pad == ex.Literal("half")


def odd_same(pad: ArgumentValue, frame: ArgumentValue) -> ArgumentValue:
    """Return half the kernel for `same`, which it is for odd kernels and stride 1."""
    assert isinstance(frame, WindowValue)
    if pad == ex.Literal("same") and frame.stride == (ONE, ONE):
        return ex.Literal("half")
    return pad
