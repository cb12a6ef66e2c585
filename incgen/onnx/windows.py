"""Windows of convolutions and poolings, as attributes of ONNX's operators.

All borders are numbers, and the last, partial windows of `ceil` are a border that does not count:
engines differ about `ceil_mode`, not about that. Only where any size is accepted, `auto_pad` finds
the border of `same` at run time.
"""

from __future__ import annotations

from typing import Any

from incgen.graph.shapes import Borders, effective
from incgen.onnx.layers import Layer
from incgen.onnx.refusing import refuse

_ONE_SIZE = "leave out --any-size, or state `pad` in pixels"


def attributes(layer: Layer, borders: Borders) -> dict[str, Any]:
    """Return kernel, stride and borders; ONNX lists the borders before, then those after."""
    window = layer.args.window
    base: dict[str, Any] = {"kernel_shape": window.kernel, "strides": window.stride}
    if follows_size(layer):
        return {**base, "auto_pad": "SAME_UPPER"}
    (top, bottom), (left, right) = borders
    return {**base, "pads": (top, left, bottom, right)}


def follows_size(layer: Layer) -> bool:
    """Return whether the borders of `same` depend on a size that is not known.

    They do with a stride, unless the window is a pixel, which has none.
    """
    args = layer.args
    if not layer.options.any_size or args["pad"] != "same":
        return False
    window = args.window
    spans = [effective(kernel, args.dilation) for kernel in window.kernel]
    pairs = list(zip(spans, window.stride, strict=True))
    if all(stride == 1 or span == 1 for span, stride in pairs):
        return False
    what = f"the border of {window} with `pad=same` depends on the size"
    if any(span < stride for span, stride in pairs):
        refuse(f"{what}, and skips pixels", layer.node.span, help=_ONE_SIZE)
    if args.dilation > 1:  # ONNX Runtime has no `auto_pad` there
        refuse(f"{what}, with a dilation", layer.node.span, help=_ONE_SIZE)
    return True


def beyond(layer: Layer) -> tuple[int, int]:
    """Return how far the last windows reach beyond the borders, with sizes rounded up.

    If the size is not known, they reach as far as they can at any: by all of a stride but a pixel,
    which rounds every size up, and no further than with their first pixel still before the border.
    """
    args = layer.args
    ends = list(zip(args.window.kernel, args.window.stride, args.borders, strict=True))
    if layer.options.any_size:
        rounds_up = args["ceil"] and args["pad"] != "same"
        high, wide = (
            min(stride - 1, kernel - 1 - after) if rounds_up else 0
            for kernel, stride, (_, after) in ends
        )
        return high, wide
    (shape,), result = layer.shapes, layer.node.shape
    assert None not in (*shape.sizes, *result.sizes)
    high, wide = (
        max((count - 1) * stride + kernel - (before + size + after), 0)
        for size, count, (kernel, stride, (before, after)) in zip(
            shape.sizes[1:], result.sizes[1:], ends, strict=True
        )
    )
    return high, wide
