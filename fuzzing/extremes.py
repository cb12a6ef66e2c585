"""Networks that are legal but unusual: sizes, windows and numbers at the ends of their ranges."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from incgen.graph.nodes import Graph, Node
from incgen.graph.shapes import Shape, Window

#: A fact about a layer, from its arguments as numbers and its input and output shapes.
_Test = Callable[[Mapping[str, Any], Shape, Shape], bool]


def _sizes(shape: Shape) -> tuple[int, int]:
    assert shape.height is not None and shape.width is not None
    return shape.height, shape.width


def _any(window: Window, test: Callable[[int, int], bool]) -> bool:
    """Return whether the kernel and stride of some axis satisfy a condition."""
    return any(test(k, s) for k, s in zip(window.kernel, window.stride, strict=True))


def _floor_differs(args: Mapping[str, Any], before: Shape, behind: Shape) -> bool:
    pairs = zip(args["window"].kernel, args["window"].stride, strict=True)
    wanted = [
        (size + sum(border) - kernel) // stride + 1
        for (kernel, stride), size, border in zip(
            pairs, _sizes(before), args["borders"], strict=True
        )
    ]
    return tuple(wanted) != _sizes(behind)


def _uneven(borders: Any) -> bool:
    return any(first != last for first, last in borders)


#: Facts about every layer with a window.
_WINDOWED: Final[dict[str, _Test]] = {
    "window larger than the map": lambda a, i, o: any(
        k > n for k, n in zip(a["window"].kernel, _sizes(i), strict=True)
    ),
    "window as large as the map": lambda a, i, o: a["window"].kernel == _sizes(i) != (1, 1),
    "stride larger than the window": lambda a, i, o: _any(a["window"], lambda k, s: s > k),
    "stride larger than the map": lambda a, i, o: max(a["window"].stride) > max(_sizes(i)),
    "even window": lambda a, i, o: _any(a["window"], lambda k, s: k % 2 == 0),
    "unequal strides": lambda a, i, o: len({*a["window"].stride}) > 1,
    "other borders before and behind": lambda a, i, o: _uneven(a["borders"]),
    "border of more than half a window": lambda a, i, o: any(
        max(b) > k // 2 for b, k in zip(a["borders"], a["window"].kernel, strict=True)
    ),
}
_DILATED: Final[dict[str, _Test]] = {
    "dilation": lambda a, i, o: a["dilation"] > 1,
    "dilation with a stride": lambda a, i, o: a["dilation"] > 1 and a["window"].strided,
}
_POOLED: Final[dict[str, _Test]] = {
    "a partial window counts": lambda a, i, o: bool(a["ceil"]) and _floor_differs(a, i, o),
    "sizes are rounded up, and nothing is partial": lambda a, i, o: (
        bool(a["ceil"]) and a["window"].strided and not _floor_differs(a, i, o)
    ),
}
_AVERAGED: Final[dict[str, _Test]] = {
    "a border counts": lambda a, i, o: bool(a["count_pad"]) and max(map(max, a["borders"])) > 0,
    "a border does not count": lambda a, i, o: (
        a["count_pad"] is False and max(map(max, a["borders"])) > 0
    ),
}
_GROUPED: Final[dict[str, _Test]] = {
    "groups": lambda a, i, o: 1 < a["groups"] < i.channels,
    "as many groups as channels": lambda a, i, o: a["groups"] == i.channels > 1,
}
_MULTIPLIED: Final[dict[str, _Test]] = {
    "multiplier": lambda a, i, o: a["multiplier"] > 1,
}
_WEIGHED: Final[dict[str, _Test]] = {
    "weight decay": lambda a, i, o: (a["l2"] or 0) > 0,
    "no bias": lambda a, i, o: not a["bias"],
    "negative bias": lambda a, i, o: a["bias_init"] < 0,
}
#: Facts by op.
FACTS: Final[dict[str, dict[str, _Test]]] = {
    "conv": {**_WINDOWED, **_DILATED, **_GROUPED, **_WEIGHED},
    "depthwise_conv": {**_WINDOWED, **_DILATED, **_MULTIPLIED, **_WEIGHED},
    "separable_conv": {**_WINDOWED, **_DILATED, **_MULTIPLIED, **_WEIGHED},
    "dense": {**_WEIGHED, "flattens a map": lambda a, i, o: i.is_map},
    "max_pool": {**_WINDOWED, **_POOLED},
    "avg_pool": {**_WINDOWED, **_POOLED, **_AVERAGED},
    "bn": {
        "of a vector": lambda a, i, o: not i.is_map,
        "of a map of one pixel": lambda a, i, o: i.is_map and _sizes(i) == (1, 1),
        "huge eps": lambda a, i, o: a["eps"] >= 1,
        "tiny eps": lambda a, i, o: a["eps"] <= 1e-8,
        "decay 0": lambda a, i, o: a["decay"] == 0,
        "decay 1": lambda a, i, o: a["decay"] == 1,
        "neither gamma nor beta": lambda a, i, o: not (a["scale"] or a["shift"]),
        "gamma alone": lambda a, i, o: a["scale"] and not a["shift"],
        "beta alone": lambda a, i, o: a["shift"] and not a["scale"],
        "biased variance": lambda a, i, o: a["variance"] == "biased",
    },
    "lrn": {
        "more channels than there are": lambda a, i, o: a["size"] > 2 * i.channels,
        "even size": lambda a, i, o: a["size"] % 2 == 0,
        "size 1": lambda a, i, o: a["size"] == 1,
        "alpha 0": lambda a, i, o: a["alpha"] == 0,
        "beta 0": lambda a, i, o: a["beta"] == 0,
    },
    "dropout": {
        "rate 0": lambda a, i, o: a["rate"] == 0,
        "high rate": lambda a, i, o: a["rate"] >= 0.9,
    },
    "leaky_relu": {
        "slope 0": lambda a, i, o: a["slope"] == 0,
        "slope 1": lambda a, i, o: a["slope"] == 1,
        "negative slope": lambda a, i, o: a["slope"] < 0,
        "slope above 1": lambda a, i, o: a["slope"] > 1,
    },
    "scale": {
        "by 0": lambda a, i, o: a["factor"] == 0,
        "by a negative number": lambda a, i, o: a["factor"] < 0,
    },
    "pad": {
        "nothing": lambda a, i, o: i == o,
        "more than the map": lambda a, i, o: o.size > 4 * i.size,
    },
    "adaptive_avg_pool": {
        "larger than the map": lambda a, i, o: o.size > i.size,
        "sizes that do not divide": lambda a, i, o: any(
            n % m for n, m in zip(_sizes(i), _sizes(o), strict=True)
        ),
    },
    "l2_normalize": {
        "of a vector": lambda a, i, o: not i.is_map,
        "of a map": lambda a, i, o: i.is_map,
        "large eps": lambda a, i, o: a["eps"] >= 0.5,
    },
    "softmax": {
        "of a map": lambda a, i, o: i.is_map,
        "of one channel": lambda a, i, o: i.channels == 1,
    },
    "flatten": {"of a vector": lambda a, i, o: not i.is_map},
}
_JOINS = ("concat", "add", "mul")
#: Facts about shapes, for any layer.
_SHAPES: Final[dict[str, Callable[[Shape], bool]]] = {
    "a map of one pixel": lambda s: s.is_map and _sizes(s) == (1, 1),
    "a map of one row or column": lambda s: s.is_map and min(_sizes(s)) == 1 < max(_sizes(s)),
    "a map of odd sizes": lambda s: s.is_map and all(n % 2 for n in _sizes(s)),
    "a map of one channel": lambda s: s.is_map and s.channels == 1,
    "a vector of one number": lambda s: not s.is_map and s.channels == 1,
}
#: Facts about whole networks.
_NETWORKS: Final[dict[str, Callable[[Graph], bool]]] = {
    "one head": lambda g: len(g.outputs) == 2,
    "several heads": lambda g: len(g.outputs) > 2,
    "no weights": lambda g: not g.tensors(),
    "a map as output": lambda g: g.nodes[next(iter(g.outputs.values()))].shape.is_map,
}


def extremes(graph: Graph) -> Iterator[tuple[str, str]]:
    """Yield what is unusual in a network: the subject of each fact, and the fact."""
    for name, of_network in _NETWORKS.items():
        if of_network(graph):
            yield "network", name
    for node in graph.nodes:
        for name, of_shape in _SHAPES.items():
            if of_shape(node.shape):
                yield "value", name
        yield from _of_layer(graph, node)


def _of_layer(graph: Graph, node: Node) -> Iterator[tuple[str, str]]:
    op = node.op if node.op != "pool" else f"{node.args['kind']}_pool"
    if op in _JOINS:
        maps = {graph.nodes[index].shape.is_map for index in node.inputs}
        if len(maps) == 2:
            yield op, "a vector beside a map"
        if len(node.inputs) > len({*node.inputs}):
            yield op, "a value with itself"
        return
    for name, test in FACTS.get(op, {}).items():
        if test(node.args, graph.nodes[node.inputs[0]].shape, node.shape):
            yield op, name


def all_extremes() -> Iterator[tuple[str, str]]:
    """Yield everything that `extremes` can yield."""
    yield from (("network", name) for name in _NETWORKS)
    yield from (("value", name) for name in _SHAPES)
    yield from (("add", "a vector beside a map"), ("mul", "a vector beside a map"))
    yield from ((op, "a value with itself") for op in _JOINS)
    yield from ((op, name) for op, facts in FACTS.items() for name in facts)
