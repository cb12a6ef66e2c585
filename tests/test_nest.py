"""The nest of chains and joins holds every layer of a graph once, in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzzing.specs import random_spec
from incgen.base.diagnostics import SpecError
from incgen.compiling import compile_spec
from incgen.graph.nest import Aside, Body, Joined, Layer, Repeated, Used, bodies, parts
from incgen.graph.nodes import Graph

ROOT = Path(__file__).parent.parent
SPECS = [
    path
    for folder in ("specs", "tests/agreement", "tests/random")
    for path in sorted((ROOT / folder).glob("*.inc"))
]
#: How many random networks are drawn; some of them are refused.
RANDOM = 12

SMALL = """\
numerics torch
unit conv_bn = conv bias=false -> bn
block pair(n, k = channels) {
    concat {
        left: conv_bn 1x1 n
        identity
        right: { relu -> conv 3x3 k }
    }
    if n > 2 { relu }
}
network small {
    input 8x8 4
    first: conv 1x1 4 -> relu
    a: pair 2
    aux head { global_avg_pool }
    b: repeat 2 { c: pair 3 }
    concat {
        identity
        old: from a
    }
    if true { identity } else { relu }
}
"""


def told(body: Body, indent: str = "") -> str:
    """Return a nest as lines: what each item is, its key, and the values it takes and gives."""
    lines = []
    for item in body.items:
        given = dict(item.given) if isinstance(item, Used) and item.given else ""
        words = [type(item).__name__, item.path, f"{item.source}-{item.value}", given]
        lines.append(f"{indent}{' '.join(str(word) for word in words if word != '')}")
        for inner in bodies(item):
            if isinstance(item, Joined | Repeated):
                lines.append(f"{indent}  {inner.label or '-'} {inner.source}-{inner.value}")
            lines += filter(None, [told(inner, f"{indent}    ")])
    return "\n".join(lines)


def test_the_nest_of_a_small_network() -> None:
    graph = compile_spec("small.inc", text=SMALL)

    assert (
        told(graph.nest)
        == """\
Layer input 0-0
Layer first.0 0-1
Layer first.1 1-2
Used a 2-7 {'n': 2, 'k': 4}
    Joined a.concat 2-7
      left 2-4
        Used a.left 2-4
            Layer a.left.conv 2-3
            Layer a.left.bn 3-4
      - 2-2
      right 2-6
        Layer a.right.0 2-5
        Layer a.right.1 5-6
Aside head 7-7
    Layer head 7-8
Repeated b 7-20
  - 7-14
    Used b.0.c 7-14 {'n': 3, 'k': 10}
        Joined b.0.c.concat 7-13
          left 7-10
            Used b.0.c.left 7-10
                Layer b.0.c.left.conv 7-9
                Layer b.0.c.left.bn 9-10
          - 7-7
          right 7-12
            Layer b.0.c.right.0 7-11
            Layer b.0.c.right.1 11-12
        Layer b.0.c.relu 13-14
  - 14-20
    Used b.1.c 14-20 {'n': 3, 'k': 23}
        Joined b.1.c.concat 14-19
          left 14-16
            Used b.1.c.left 14-16
                Layer b.1.c.left.conv 14-15
                Layer b.1.c.left.bn 15-16
          - 14-14
          right 14-18
            Layer b.1.c.right.0 14-17
            Layer b.1.c.right.1 17-18
        Layer b.1.c.relu 19-20
Joined concat 20-21
  - 20-20
  old 20-7"""
    )


def check(graph: Graph) -> None:
    """Check that the nest says of every node what the graph says of it."""
    whole = graph.nest
    layers = [part for part in parts(whole) if isinstance(part, Layer | Joined)]

    assert sorted(layer.value for layer in layers) == list(range(len(graph.nodes)))
    for layer in layers:
        node = graph.nodes[layer.value]
        assert layer.path == node.path
        if isinstance(layer, Joined):
            assert tuple(branch.value for branch in layer.branches) == node.inputs
            assert layer.kind == node.op
        elif node.inputs:
            assert (layer.source,) == node.inputs
    assert whole.value == next(iter(graph.outputs.values()))
    heads = {part.path: part.body.value for part in parts(whole) if isinstance(part, Aside)}
    assert heads == dict(list(graph.outputs.items())[1:])


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_layer_is_in_its_place(path: Path) -> None:
    check(compile_spec(path))


def test_every_layer_of_random_networks_is_in_its_place() -> None:
    compiled = 0
    for number in range(RANDOM):
        text = random_spec(14, number).text
        try:
            graph = compile_spec("random.inc", text=text)
        except SpecError:
            continue
        compiled += 1
        check(graph)
    assert compiled > RANDOM / 2
