"""BN-Inception is what its paper describes: its parameters, and the rows of figure 5."""

from __future__ import annotations

from pathlib import Path

import incgen

SPEC = Path(__file__).parent.parent / "specs" / "bn_inception.inc"


def test_bn_inception_has_the_counted_parameters() -> None:
    graph = incgen.compile_spec(SPEC)

    # figure 5 with the widths of its columns: 10,240,192 in convolutions, 2 for each of the
    # 10,016 normalised channels, 1,025,000 in the classifier
    assert graph.trained == 10_240_192 + 2 * 10_016 + 1_025_000 == 11_285_224
    assert graph.multiply_adds == 2_032_600_064


def test_the_trunk_is_figure_5() -> None:
    graph = incgen.compile_spec(SPEC)
    # the rows of figure 5; 4c and 4d have the 608 that their widths add up to, and the grids of
    # 3c and 4e are those behind their stride
    rows = {
        "3a": (256, 28),
        "3b": (320, 28),
        "3c": (576, 14),
        "4a": (576, 14),
        "4b": (576, 14),
        "4c": (608, 14),
        "4d": (608, 14),
        "4e": (1056, 7),
        "5a": (1024, 7),
        "5b": (1024, 7),
    }
    sizes = {
        node.path.split(".")[0][-2:]: (node.shape.channels, node.shape.height)
        for node in graph.nodes
        if node.op == "concat"
    }

    assert sizes == rows
