"""The treatment of pixels as nodes: what `preprocess` does in generated code."""

from __future__ import annotations

from incgen.base.source import Span
from incgen.graph.nodes import Graph
from incgen.onnx.layers import TYPES, Body
from incgen.onnx.refusing import refuse

#: The name of the input, and of what its treatment gives.
INPUT, TREATED = "input", "input/pixels"


def treated(graph: Graph, body: Body) -> str:
    """Add the treatment of RGB pixels from 0 to 255, and return the name of the result.

    The range, mean and deviation are one factor and one summand for each channel.

    Raises:
        SpecError: The `input` line does not say what pixels the weights expect.
    """
    pixels, channels = graph.program.network.pixels, graph.input.channels
    span: Span = graph.nodes[0].span
    if pixels is None or not pixels.described:
        help_ = "add what they expect, such as `range=[0, 1]`, or leave out --with-preprocess"
        refuse("`input` does not say what pixels the weights expect", span, help=help_)
    low, high = pixels.range or (0.0, 255.0)
    means, stds = ((*v, *v[:1] * (channels - len(v))) for v in (pixels.mean, pixels.std))
    pairs = zip(means or (0.0,) * channels, stds or (1.0,) * channels, strict=True)
    factors, summands = zip(
        *(((high - low) / 255 / std, (low - mean) / std) for mean, std in pairs), strict=True
    )
    x = INPUT
    if pixels.order == "bgr":
        order = body.integers(f"{INPUT}/order", range(channels)[::-1])
        x = body.node("Gather", [x, order], f"{INPUT}/bgr", spans=[span], axis=1)
    x = body.node("Cast", [x], f"{INPUT}/numbers", spans=[span], to=TYPES[body.options.dtype])
    shape = (1, channels, 1, 1)
    factor = body.constant(f"{INPUT}/factor", factors, shape)
    scaled = body.node("Mul", [x, factor], f"{INPUT}/scaled", spans=[span])
    summand = body.constant(f"{INPUT}/summand", summands, shape)
    return body.node("Add", [scaled, summand], TREATED, spans=[span])
