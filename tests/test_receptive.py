"""Receptive fields: by hand, as published, and as measured with impulses."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from incgen.compiling import compile_spec
from incgen.graph.nodes import Graph
from incgen.graph.receptive import Field, receptive_fields
from incgen.language.ops import OPS
from incgen.manual.ops import entries
from incgen.verify.reference import Reference
from incgen.weights.checkpoint import Array

HEAD = "numerics torch\nunit conv_bn = conv bias=false -> bn -> relu\nnetwork net {\n"


def fields(body: str) -> dict[str, Field]:
    """Return the field of every layer of a network by its key."""
    graph = compile_spec("net.inc", text=f"{HEAD}{body}\n}}\n")
    reach = receptive_fields(graph)
    return {node.path: field for node, field in zip(graph.nodes, reach, strict=True)}


def test_a_chain_of_windows() -> None:
    """Worked out by hand with r = r + (k - 1) j and j = j s, from r = j = 1."""
    reach = fields("""
        input 64x64 3
        a: conv 7x7/2 4
        b: max_pool 3x3/2 pad=1
        c: conv 3x3 4 dilation=2
        d: avg_pool 2x2/2
        e: conv 1x5/1x3 4 pad=valid
        relu
    """)

    assert [str(field) for field in reach.values()] == [
        "1 x 1, stride 1",
        "7 x 7, stride 2",  # 1 + 6
        "11 x 11, stride 4",  # 7 + 2 * 2
        "27 x 27, stride 4",  # 11 + 4 * 4, as the taps are 2 apart
        "31 x 31, stride 8",  # 27 + 1 * 4
        "31 x 63, stride 8 x 24",  # 31 + 4 * 8
        "31 x 63, stride 8 x 24",
    ]


def test_a_join_reaches_over_all_branches() -> None:
    """3x3 reaches from -1 to 1; a 2x2 behind a border of 3 above reaches from -3 to -2."""
    reach = fields("""
        input 16x16 3
        concat {
            a: conv 3x3 4
            b: { pad [3, 0, 0, 0]
                 conv 2x2 4 pad=[0, 0, 0, 1]
                 max_pool 3x1 pad=valid }
        }
    """)

    assert reach["b.conv"] == Field((2, 2), (1, 1))
    assert reach["b.max_pool"] == Field((4, 2), (1, 1))  # rows -3 to 0
    assert reach["concat"] == Field((5, 3), (1, 1))  # rows -3 to 1, columns -1 to 1


def test_a_whole_map_is_the_field_of_what_is_pooled() -> None:
    """8 outputs at stride 2, of 3 pixels each, reach over 7 * 2 + 3 pixels."""
    reach = fields("""
        input 16x16 3
        a: conv 3x3/2 4
        mul {
            identity
            gate: global_avg_pool -> dense 4 -> sigmoid
        }
        flatten
        b: dense 2
    """)

    assert reach["a"] == Field((3, 3), (2, 2))
    assert reach["gate.0"] == reach["gate.2"] == Field((17, 17), None)
    assert reach["mul"] == Field((17, 17), None)
    assert reach["flatten"] == reach["b"] == Field((17, 17), None)


def test_branches_of_different_strides() -> None:
    """Of 2 outputs, one branch sees pixels 2 p to 2 p + 1, the other p to p + 2."""
    reach = fields("""
        input 4x4 1
        concat {
            a: max_pool 2x2/2 pad=valid
            b: conv 3x3 1 pad=valid
        }
        c: conv 2x2 1 pad=valid
    """)

    assert reach["concat"] == Field((3, 3), None)  # 0 to 2, and 1 to 3
    assert reach["c"] == Field((4, 4), None)


def test_windows_of_an_adaptive_pooling() -> None:
    """5 pixels in 2 windows are 0 to 2 and 2 to 4, in 3 windows 0 to 1, 1 to 3 and 3 to 4."""
    reach = fields("""
        input 5x6 1
        adaptive_avg_pool 2x3
        a: conv 1x1 1
        b: conv 2x3 1 pad=valid
    """)

    assert reach["adaptive_avg_pool"] == Field((3, 2), None)
    assert reach["a"] == Field((3, 2), None)
    assert reach["b"] == Field((5, 6), None)


def test_the_fields_that_were_published() -> None:
    """Araujo, Norris & Sim (Distill, 2019) computed them from the graphs of TF-slim."""
    published = {
        "bn_inception_slim": 699,
        "inception_v3_tf": 1311,
        "inception_v4": 2071,
        "inception_resnet_v2": 3039,
    }
    for name, size in published.items():
        graph = compile_spec(name)
        last = max(i for i, node in enumerate(graph.nodes) if node.op == "global_avg_pool")
        before = graph.nodes[last].inputs[0]
        assert receptive_fields(graph)[before] == Field((size, size), (32, 32)), name


@pytest.mark.parametrize("name", OPS)
def test_every_op_reads_what_is_said(name: str) -> None:
    """Each row and column is changed, and outputs that change with it depend on it."""
    text = f"numerics caffe\nnetwork net {{\n    input 12x12 4\n{entries()[name].use}\n}}\n"
    graph = compile_spec("net.inc", text=text)
    reference, field = Reference(graph, weights(graph)), receptive_fields(graph)[-1]
    random = np.random.default_rng(0)
    image = random.random((1, 4, 12, 12))
    *_, (_, before) = reference.values(image)
    for axis in (0, 1):
        seen: dict[int, list[int]] = {}
        for place in range(12):
            changed = np.moveaxis(image.copy(), axis + 2, 0)
            changed[place] += 1 + random.random(changed[place].shape)
            *_, (_, after) = reference.values(np.moveaxis(changed, 0, axis + 2))
            moved = before != after
            along = moved.any((0, 1, 3 - axis)) if moved.ndim == 4 else [moved.any()]
            for output in np.flatnonzero(along):
                seen.setdefault(int(output), []).append(place)
        assert max(span[-1] - span[0] + 1 for span in seen.values()) == min(field.size[axis], 12)


NETWORKS = {
    "windows": """
        a: conv 5x3/2 1 pad=[1, 2, 0, 1]
        b: max_pool 3x2/2x1 pad=1 ceil=true
        c: depthwise_conv 3x3 dilation=2
        d: separable_conv 3x1 1
    """,
    "branches": """
        a: conv 3x3/2 1
        concat {
            b: conv 1x1 1 -> conv 1x7 1
            c: avg_pool 3x3/1
            identity
        }
        add {
            from a
            e: conv 3x3 1
        }
    """,
    "strides": """
        concat {
            a: max_pool 2x2/2 pad=valid
            b: { conv 1x1 1
                 max_pool 1x1/2 pad=valid }
            c: { conv 5x5/2 1 pad=2 }
        }
        d: conv 3x3 1
    """,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_fields_as_measured(name: str) -> None:
    """A change of one row or column changes those outputs whose field holds it, and no others.

    All weights are positive and all values grow, so that nothing cancels. Far from the borders of
    an image that is large enough, every field is whole.
    """
    text = f"{HEAD}    input 64x64 1\n{NETWORKS[name]}\n}}\n"
    graph = compile_spec("net.inc", text=text)
    stated = receptive_fields(graph)
    whole = (1, 1, 64, 64)
    base = Reference(graph, weights(graph))
    image = np.arange(64 * 64, dtype=np.float64).reshape(whole) / 1000  # a maximum is the last
    before = dict(base.values(image))
    seen = {path: [set[int](), set[int]()] for path in before}
    for axis in (0, 1):
        for place in range(64):
            changed = image.copy()
            line = (slice(None), slice(None), place) if axis == 0 else (..., place)
            changed[line] += 1000
            for path, value in Reference(graph, weights(graph)).values(changed):
                if (value != before[path])[:, :, value.shape[2] // 2, value.shape[3] // 2].any():
                    seen[path][axis].add(place)
    for node, field in zip(graph.nodes, stated, strict=True):
        measured = tuple(max(places) - min(places) + 1 for places in seen[node.path])
        assert measured == field.size, node.path


def weights(graph: Graph) -> Mapping[str, Array]:
    """Return weights that are all 1."""
    return {key: np.ones(tensor.shape) for key, tensor in graph.tensors().items()}
