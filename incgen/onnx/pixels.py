"""The treatment of pixels as nodes: what `preprocess` does in generated code."""

from __future__ import annotations

from collections.abc import Sequence

from incgen.base.source import Span
from incgen.graph.nodes import Graph
from incgen.onnx.layers import TYPES, Body
from incgen.onnx.refusing import refuse

#: The name of the input, and of what its treatment gives.
INPUT, TREATED = "input", "input/pixels"


def affine(
    range_: tuple[float, float] | None, mean: Sequence[float], std: Sequence[float], channels: int
) -> tuple[list[float], list[float]]:
    """Return what pixels from 0 to 255 are multiplied by, and what is added then, by channel.

    These are the settings of an `input` line, of which one number may stand for all channels.
    """
    low, high = range_ or (0.0, 255.0)
    means, stds = ([*v, *[v[0]] * (channels - len(v))] for v in (mean or [0.0], std or [1.0]))
    summands = [(low - mean) / std for mean, std in zip(means, stds, strict=True)]
    return [(high - low) / 255 / std for std in stds], summands


def treated(graph: Graph, body: Body) -> str:
    """Add the treatment of RGB pixels from 0 to 255, and return the name of the result.

    Raises:
        SpecError: The `input` line does not say what pixels the weights expect.
    """
    pixels, channels = graph.program.network.pixels, graph.input.channels
    span: Span = graph.nodes[0].span
    if pixels is None or not pixels.described:
        help_ = "add what they expect, such as `range=[0, 1]`, or leave out --with-preprocess"
        refuse("`input` does not say what pixels the weights expect", span, help=help_)
    factors, summands = affine(pixels.range, pixels.mean, pixels.std, channels)
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
