"""Shape rules, compared with sizes worked out by hand from the frameworks' definitions."""

from __future__ import annotations

from dataclasses import replace

import pytest

import incgen
from incgen.base.source import SourceFile, Span
from incgen.graph.joins import difference, history, joined
from incgen.graph.nodes import Node
from incgen.graph.shape_inference import output
from incgen.graph.shapes import (
    Arguments,
    Fault,
    Shape,
    Window,
    borders,
    effective,
    multiply_adds,
    same_border,
    spatial,
    tensors,
    window_output,
)
from incgen.language import expressions as ex
from incgen.language.initializers import Initializer
from incgen.language.ops import OPS
from incgen.language.signatures import ByWindow, windows
from incgen.resolve import definitions as df
from incgen.targets.shared.analysis import Analysis

PLACE = Span(SourceFile("test", "x"), 0, 1)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "border", "ceil", "expected"),
    [
        # floor((size + border - kernel) / stride) + 1
        (224, 7, 2, (3, 3), False, 112),  # (230 - 7) / 2 = 111.5
        (112, 3, 2, (0, 0), False, 55),  # 109 / 2 = 54.5
        (7, 3, 2, (0, 0), False, 3),
        (8, 3, 2, (0, 0), False, 3),  # 5 / 2 = 2.5
        (8, 3, 2, (1, 1), False, 4),
        (9, 3, 2, (1, 1), False, 5),
        (5, 5, 1, (0, 0), False, 1),
        (1, 1, 3, (0, 0), False, 1),
        # the last, partial window counts
        (112, 3, 2, (0, 0), True, 56),
        (111, 3, 2, (0, 0), True, 55),  # 108 / 2 = 54: nothing partial
        (8, 3, 2, (0, 0), True, 4),
        (7, 3, 2, (0, 0), True, 3),
        (8, 2, 3, (0, 0), True, 3),  # begins at 0, 3, 6
        (7, 2, 3, (0, 0), True, 3),  # begins at 6, the last pixel
        # unless it begins in the border behind the input
        (6, 2, 3, (0, 0), True, 2),  # would begin at 6: outside
        (7, 2, 2, (1, 1), True, 4),  # begins at -1, 1, 3, 5
        (8, 2, 2, (1, 1), True, 5),  # begins at -1, 1, 3, 5, 7
        (4, 3, 3, (1, 1), True, 2),  # 3 / 3 = 1
        (5, 3, 3, (1, 1), True, 2),  # would begin at -1, 2, 5: 5 is outside
    ],
)
def test_how_many_windows_fit(
    size: int, kernel: int, stride: int, border: tuple[int, int], ceil: bool, expected: int
) -> None:
    assert window_output(size, kernel, stride, border, ceil) == expected
    if not ceil:  # as the reference of ops shows it
        before, after = border
        known = {"H": size, "span": kernel, "stride": stride, "before": before, "after": after}
        assert windows(known.__getitem__) == expected


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "expected"),
    [
        (224, 7, 2, (2, 3)),  # output 112: (112 - 1) * 2 + 7 - 224 = 5
        (225, 7, 2, (3, 3)),  # output 113: 112 * 2 + 7 - 225 = 6
        (8, 3, 1, (1, 1)),
        (8, 3, 2, (0, 1)),
        (7, 3, 2, (1, 1)),
        (8, 2, 1, (0, 1)),
        (8, 2, 2, (0, 0)),
        (8, 1, 3, (0, 0)),  # a stride beyond the kernel needs no border
        (4, 5, 1, (2, 2)),
    ],
)
def test_same_puts_the_odd_pixel_behind(
    size: int, kernel: int, stride: int, expected: tuple[int, int]
) -> None:
    assert same_border(size, kernel, stride) == expected
    assert window_output(size, kernel, stride, expected) == -(-size // stride)


@pytest.mark.parametrize(
    ("pad", "window", "dilation", "expected"),
    [
        ("valid", Window((3, 5), (1, 1)), 1, ((0, 0), (0, 0))),
        ("half", Window((3, 5), (2, 2)), 1, ((1, 1), (2, 2))),
        ("half", Window((2, 4), (1, 1)), 1, ((1, 1), (2, 2))),
        ("half", Window((3, 3), (1, 1)), 2, ((2, 2), (2, 2))),  # it spans 5 pixels
        ("same", Window((3, 3), (2, 2)), 1, ((0, 1), (1, 1))),  # 8 rows, 7 columns
        (1, Window((3, 3), (1, 1)), 1, ((1, 1), (1, 1))),
        ((0, 2), Window((3, 5), (1, 1)), 1, ((0, 0), (2, 2))),
        ((0, 1, 2, 0), Window((3, 3), (1, 1)), 1, ((0, 1), (2, 0))),
        (None, Window((3, 3), (1, 1)), 1, ((1, 1), (1, 1))),  # all frameworks agree
        (None, Window((1, 1), (2, 2)), 1, ((0, 0), (0, 0))),
        (None, Window((3, 3), (2, 2)), 1, None),
        (None, Window((2, 2), (1, 1)), 1, None),
    ],
)
def test_paddings_as_pixels(pad: object, window: Window, dilation: int, expected: object) -> None:
    assert borders(pad, window, dilation, 8, 7, "conv") == expected


def test_a_padding_as_large_as_the_window_is_refused() -> None:
    with pytest.raises(Fault, match="pads by 3 pixels, but its window spans only 3"):
        borders(3, Window((3, 3), (1, 1)), 1, 8, 8, "conv")
    assert borders(3, Window((3, 3), (1, 1)), 2, 8, 8, "conv") == ((3, 3), (3, 3))


def test_a_dilated_window() -> None:
    assert [effective(3, d) for d in (1, 2, 3)] == [3, 5, 7]
    around = ((0, 0), (0, 0))

    assert spatial(Shape(3, 7, 9), Window((3, 3), (2, 2)), 2, around, False, "conv") == (2, 3)
    with pytest.raises(
        Fault, match=r"5 pixels high \(3 with dilation 2\), but its input is only 4"
    ):
        spatial(Shape(3, 4, 9), Window((3, 3), (1, 1)), 2, around, False, "conv")


WEIGHT = {"bias": True, "bias_init": 0, "init": Initializer(name="he_normal"), "l2": 0}
CONV = {**WEIGHT, "pad": "half", "dilation": 1, "groups": 1, "window": Window((3, 3), (1, 1))}


@pytest.mark.parametrize(
    ("kernel", "stride", "caffe", "torch"),
    [
        ((3, 3), (1, 1), "half", "half"),
        ((3, 3), (2, 2), "valid", None),
        ((3, 5), (1, 2), "valid", None),
        ((2, 2), (2, 2), "valid", "valid"),
        ((2, 3), (1, 1), "valid", "valid"),
        ((1, 1), (2, 2), "valid", "valid"),
    ],
)
def test_the_border_of_poolings_follows_the_window(
    kernel: tuple[int, int], stride: tuple[int, int], caffe: str, torch: str | None
) -> None:
    assert ByWindow("half", "valid").word(kernel, stride) == caffe
    assert ByWindow("half", None).word(kernel, stride) == torch


@pytest.mark.parametrize(
    ("op", "args", "expected", "weights", "cost"),
    [
        ("conv", {**CONV, "channels": 6}, Shape(6, 8, 10), [(6, 4, 3, 3), (6,)], 80 * 6 * 4 * 9),
        (
            "conv",
            {**CONV, "channels": 6, "groups": 2, "bias": False},
            Shape(6, 8, 10),
            [(6, 2, 3, 3)],
            80 * 6 * 2 * 9,
        ),
        (
            "depthwise_conv",
            {**CONV, "multiplier": 2},
            Shape(8, 8, 10),
            [(8, 1, 3, 3), (8,)],
            80 * 8 * 9,
        ),
        (
            "separable_conv",
            {**CONV, "multiplier": 2, "channels": 5},
            Shape(5, 8, 10),
            [(8, 1, 3, 3), (5, 8, 1, 1), (5,)],
            80 * 8 * (9 + 5),
        ),
        ("dense", {**WEIGHT, "features": 3}, Shape(3), [(3, 320), (3,)], 960),
        ("bn", {"scale": True, "shift": False}, Shape(4, 8, 10), [(4,), (4,), (4,)], 0),
        ("flatten", {}, Shape(320), [], 0),
        ("global_avg_pool", {}, Shape(4), [], 0),
        ("pad", {"border": (1, 0, 2, 3)}, Shape(4, 9, 15), [], 0),
        ("pad", {"border": (1, 2)}, Shape(4, 10, 14), [], 0),
        ("relu", {}, Shape(4, 8, 10), [], 0),
    ],
)
def test_shapes_parameters_and_costs_on_4_channels_of_8_by_10(
    op: str, args: dict[str, object], expected: Shape, weights: list[tuple[int, ...]], cost: int
) -> None:
    shape, given = Shape(4, 8, 10), Arguments(args)

    result, settled = output(OPS[op], given, shape)

    assert given == args  # what the input decides is in a copy
    assert result == expected
    assert [t.shape for t in tensors(op, settled, shape)] == weights
    assert multiply_adds(op, settled, shape, result) == cost


@pytest.mark.parametrize(
    ("kind", "shapes", "expected"),
    [
        ("concat", [Shape(2, 5, 5), Shape(3, 5, 5)], Shape(5, 5, 5)),
        ("concat", [Shape(2), Shape(3), Shape(4)], Shape(9)),
        ("concat", [Shape(2, 5, 5), Shape(2, 5, 6)], "their height and width differ"),
        (
            "concat",
            [Shape(2, 5, 5), Shape(2)],
            "one is a map, the other a vector, and only `add` and `mul` spread one over the other",
        ),
        ("add", [Shape(2, 5, 5), Shape(2, 5, 5)], Shape(2, 5, 5)),
        ("add", [Shape(2), Shape(2, 5, 5)], Shape(2, 5, 5)),
        ("mul", [Shape(2, 5, 5), Shape(2), Shape(2)], Shape(2, 5, 5)),
        ("add", [Shape(2, 5, 5), Shape(3, 5, 5)], "their channels differ"),
        ("add", [Shape(2, 5, 5), Shape(2, 1, 1)], "their height and width differ"),
        ("add", [Shape(2, 5, 5), Shape(3, 4, 4)], "their shapes differ"),
        ("mul", [Shape(2, 5, 5), Shape(3)], "their channels differ"),
        ("add", [Shape(2), Shape(3)], "their channels differ"),
    ],
)
def test_joins(kind: str, shapes: list[Shape], expected: Shape | str) -> None:
    result = joined(kind, shapes)
    how = None if isinstance(result, Shape) else difference(kind, *(shapes[n] for n in result))[0]

    assert (how or result) == expected


def test_a_history_tells_the_last_layers_that_changed_a_shape() -> None:
    def node(op: str, inputs: tuple[int, ...], shape: Shape, **args: object) -> Node:
        return Node(op, op, Arguments(args), inputs, shape, (), 0, PLACE, None)

    window = {"window": Window((3, 3), (2, 2)), "borders": ((1, 1), (1, 1))}
    nodes = [
        node("input", (), Shape(3, 16, 16)),
        node("conv", (0,), Shape(4, 8, 8), **window, dilation=1),
        node("relu", (1,), Shape(4, 8, 8)),
        node("max_pool", (2,), Shape(4, 4, 4), **window, ceil=True),
    ]

    assert history(nodes, 0) == "input 3 x 16 x 16"
    assert history(nodes, 3) == (
        "input 3 x 16 x 16 -> `conv 3x3/2` (padding 1) -> 4 x 8 x 8 "
        "-> `max_pool 3x3/2` (padding 1, ceil) -> 4 x 4 x 4"
    )
    for channels in range(5, 10):
        nodes.append(node("conv", (len(nodes) - 1,), Shape(channels, 4, 4)))
    assert history(nodes, 8) == (
        "... -> 5 x 4 x 4 -> `conv` -> 6 x 4 x 4 -> `conv` -> 7 x 4 x 4 "
        "-> `conv` -> 8 x 4 x 4 -> `conv` -> 9 x 4 x 4"
    )


# ---------------------------------------------------------------- shapes as formulas


def test_a_shape_is_not_that_of_an_element_that_is_gone() -> None:
    """Copies that live one after another may have one identity."""
    graph = incgen.compile_spec("n.inc", text="network n { input 8x8 3; a: conv 3x3 8 pad=half }")
    analysis = Analysis(graph)
    step = graph.program.network.body.steps[0]
    assert isinstance(step, df.Step) and isinstance(step.element, df.OpCall)
    call = step.element
    for channels in range(1, 50):
        copied = replace(call, args={**call.args, "channels": ex.Literal(channels)})
        assert analysis.shaper.element(copied, analysis.input, {}).channels == ex.Literal(channels)
        del copied
