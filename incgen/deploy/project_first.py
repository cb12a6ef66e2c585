"""Move a 1x1 convolution in front of an average pooling with stride 1: project, then pool.

Both are linear, one over channels and the other over pixels, so they commute:

    W * avg(x) = avg(W * x),

and the pooling then has only as many channels as the convolution gives. A bias may move too where
the average of a constant is that constant:

    W * avg(x) + b = avg(W * x + b).

That is so unless zeros of the border count: windows at the edge would then have only a part of b.
A normalisation behind the convolution stays behind the pooling, and so does an activation, which
does not commute with an average.

It is done if the convolution is 1x1 with stride 1 and without a border of its own, has fewer
outputs than inputs, and nothing else takes the value of the pooling.
"""

from __future__ import annotations

from itertools import count

from incgen.deploy.edits import Edit, Edits, Pass, Rewrite, consumers
from incgen.graph.nodes import Graph, Node
from incgen.graph.shapes import NO_BORDER, Window, chosen
from incgen.language.expressions import Literal
from incgen.language.ops import OPS
from incgen.resolve import definitions as df

_ONE = Window((1, 1), (1, 1))


def _find(graph: Graph) -> Edits:
    """Find the 1x1 convolutions behind average poolings that can move in front of them."""
    taken, rewrites, left = consumers(graph), list[Rewrite](), dict[str, str]()
    paths = {node.path for node in graph.nodes}
    for index, conv in enumerate(graph.nodes):
        if not conv.inputs or not _is_projection(conv):
            continue
        pool = graph.nodes[conv.inputs[0]]
        if chosen(pool.op, pool.args) != "avg_pool":
            continue
        reason = _obstacle(pool, conv, taken[conv.inputs[0]] == [index])
        if reason:
            left[conv.path] = reason
        else:
            rewrites.append(_rewrite(conv.inputs[0], pool, index, _name(conv, paths)))
    return Edits(rewrites, left)


def _is_projection(node: Node) -> bool:
    return node.op == "conv" and node.args.window == _ONE and node.args.borders == NO_BORDER


def _obstacle(pool: Node, conv: Node, alone: bool) -> str:
    """Return why a convolution cannot move, or should not; "" if nothing prevents it."""
    if pool.args.window.strided:
        return f"`{pool.path}` in front has a stride: there are fewer pixels behind it"
    if not alone:
        return f"`{pool.path}` in front is used elsewhere too"
    if conv.shape.channels >= pool.shape.channels:
        return f"it has {conv.shape.channels} outputs for {pool.shape.channels} inputs"
    if conv.args["bias"] and counts_border(pool):
        return f"`{pool.path}` in front counts its border, so the bias cannot move"
    return ""


def counts_border(pool: Node) -> bool:
    """Return whether zeros of the border count in an average: that of a constant is less there."""
    return pool.args.borders != NO_BORDER and bool(pool.args["count_pad"])


def _name(conv: Node, paths: set[str]) -> str:
    """Return a name for the pooling behind a convolution, and take its path."""
    prefix, dot, _ = conv.path.rpartition(".")
    for number in count(1):
        name = "avg_pool" if number == 1 else f"avg_pool{number}"
        if (path := f"{prefix}{dot}{name}") not in paths:
            paths.add(path)
            return name
    raise AssertionError(conv.path)


def _rewrite(first: int, pool: Node, second: int, name: str) -> Rewrite:
    """Return the step that moves one convolution."""
    assert pool.call is not None
    (top, bottom), (left, right) = pool.args.borders
    high, wide = pool.args.window.kernel
    one, has_border = Literal(1), pool.args.borders != NO_BORDER
    sides = df.SidesValue(tuple(Literal(side) for side in (top, bottom, left, right)))
    args: dict[str, df.ArgumentValue] = {
        "window": df.WindowValue((Literal(high), Literal(wide)), (one, one)),
        "pad": sides if has_border else Literal("valid"),
        "ceil": Literal(False),
        "count_pad": Literal(bool(pool.args["count_pad"])) if has_border else None,
    }
    behind = df.OpCall(
        OPS["avg_pool"], args, frozenset(args), name, False, False, span=pool.call.span
    )
    edits = {second: Edit(behind=(behind,), mark="pooled"), first: Edit(drop=True)}
    return Rewrite(edits)


PASS = Pass(
    "project-first",
    "moves a 1x1 convolution in front of an average pooling",
    "the pooling has stride 1, and counts no border if the convolution has a bias; the "
    "convolution has fewer outputs than inputs; nothing else takes the pooling's output",
    "1x1 convolutions",
    "; {} come before the average poolings that they followed",
    _find,
)
