"""Rung 0: every model has the structure and the initial values that the spec says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from incgen.graph.nodes import Graph
from incgen.graph.shapes import Tensor
from incgen.verify import beginnings, figures, inputs
from incgen.verify.measure import EVALUATION, LEAST, difference
from incgen.verify.places import Places
from incgen.verify.runners.inference import InferenceRunner
from incgen.verify.runners.results import Facts
from incgen.verify.variants import Another
from incgen.weights.checkpoint import Array


@dataclass(frozen=True, slots=True)
class Finding:
    """A stated fact, and whether it holds for a model; `message` says how it does not."""

    what: str
    path: str
    message: str
    absolute: float = 0.0
    relative: float = 0.0
    bar: float = 0.0


def findings(
    graph: Graph, facts: Facts, dtype: str, more: tuple[Another, Facts] | None
) -> Iterator[Finding]:
    """Compare the facts of a model with the graph.

    `more` is the network with other arguments, and the facts of a model with these and another
    seed; without it, only this model is checked.
    """
    wanted = graph.tensors()
    yield from parts(graph, facts, "")
    for key, tensor in wanted.items():
        if key in facts.tensors:
            trained, says = key in facts.trained, "is" if tensor.trained else "is not"
            yield Finding("trained", key, "" if trained == tensor.trained else f"{says} trained")
            yield _type(key, facts, dtype)
    yield Finding("mode", "", "" if facts.training else "begins in evaluation")
    for what, path, message in figures.messages(graph, facts.docs, Places(graph)):
        yield Finding(what, path, message)
    names = list(graph.parameters)
    order = ", ".join(facts.arguments[: len(names)])
    yield Finding("arguments", "", "" if order == ", ".join(names) else f"are {order}")
    values = _fitting(wanted, wanted, facts)
    drawn = {} if more is None else _fitting(wanted, more[0].graph.tensors(), more[1])
    for key, message in beginnings.messages(wanted, values, drawn):
        yield Finding("initial value", key, message)
    if more is not None and more[0].arguments:
        other, again = more
        yield from parts(other.graph, again, f" with {other.given}")
        tensors = other.graph.tensors()
        fresh = _fitting(tensors, tensors, again)
        for key, message in beginnings.messages(tensors, fresh, {}):
            yield Finding(f"initial value with {other.given}", key, message)


def of_file(
    graph: Graph, facts: Facts, dtype: str, messages: Iterable[tuple[str, str, str]]
) -> Iterator[Finding]:
    """Compare the facts of a model that cannot be trained, and add those of its own kind.

    Such a model has no initial values: it is made for weights.
    """
    yield from parts(graph, facts, "")
    for key in facts.tensors:
        yield _type(key, facts, dtype)
    for what, path, message in messages:
        yield Finding(what, path, message)


def _type(key: str, facts: Facts, dtype: str) -> Finding:
    actual = str(facts.tensors[key].dtype)
    return Finding("type", key, f"{actual}, not {dtype}" if actual != dtype else "")


def parts(graph: Graph, facts: Facts, given: str) -> Iterator[Finding]:
    """Compare keys, their count and their shapes."""
    wanted = graph.tensors()
    for key in sorted(wanted.keys() | facts.tensors.keys()):
        message = "" if key in wanted else "is not in the spec"
        yield Finding(f"key{given}", key, message if key in facts.tensors else "is missing")
    total = sum(tensor.size for tensor in wanted.values())
    message = f"{facts.count} numbers, not {total}" if facts.count != total else ""
    yield Finding(f"count{given}", "", message)
    for key, tensor in wanted.items():
        if key in facts.tensors:
            shape = facts.tensors[key].shape
            message = f"{shape}, not {tensor.shape}" if shape != tensor.shape else ""
            yield Finding(f"shape{given}", key, message)


def _fitting(
    wanted: Mapping[str, Tensor], stated: Mapping[str, Tensor], facts: Facts
) -> dict[str, Array]:
    """Return the tensors of a model whose shapes are as stated."""
    return {
        key: facts.tensors[key]
        for key, tensor in wanted.items()
        if stated.get(key) == tensor
        and key in facts.tensors
        and facts.tensors[key].shape == tensor.shape
    }


def misfits(graph: Graph) -> Iterator[tuple[str, dict[str, tuple[int, ...]]]]:
    """Yield weights that do not fit, as shapes by key, and what is wrong with them.

    For each kind of tensor of an op: it is missing, it has other shapes that a copy might accept,
    and it is present where the op has none.
    """
    shapes = {key: tensor.shape for key, tensor in graph.tensors().items()}
    yield "a tensor too many", {**shapes, "no_such_layer.weight": (1,)}
    kinds: dict[tuple[str, str], str] = {}
    for node in graph.nodes:
        for tensor in node.tensors:
            kinds.setdefault((node.op, tensor.name), f"{node.path}.{tensor.name}")
    for (op, name), key in kinds.items():
        yield f"a missing {name} of {op}", {k: v for k, v in shapes.items() if k != key}
        for other in _misshapen(shapes[key]):
            yield f"a {name} of {op} of another shape, {other}", {**shapes, key: other}
    for node in {(n.op, len(n.tensors)): n for n in graph.nodes if n.tensors}.values():
        for name in ("weight", "bias"):
            key = f"{node.path}.{name}"
            if key not in shapes:
                yield f"a {name} of {node.op} too many", {**shapes, key: (node.shape.channels,)}


def _misshapen(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Yield shapes with one more output, with one number, and with extra or swapped axes."""
    others = [(shape[0] + 1, *shape[1:]), (1,) * len(shape)]
    if len(shape) > 1:
        moved = (shape[1], shape[0], *shape[2:])
        others += [(1, *shape), moved if moved != shape else (*shape[:-1], shape[-1] + 1)]
    return (other for other in others if other != shape)


def pixels(graph: Graph, runner: InferenceRunner, dtype: str, seed: int) -> Iterator[Finding]:
    """Compare the result of `preprocess` with the spec's `input` line."""
    stated = graph.program.network.pixels
    if stated is None or not stated.described:
        return
    channels = graph.input.channels
    whole = inputs.generator(seed, "pixels").integers(0, 256, (2, channels, 4, 5))
    low, high = stated.range or (0.0, 255.0)
    bar = EVALUATION if dtype == "float64" else LEAST
    for kind, x in (("uint8", whole), (dtype, whole * 0.99)):
        expected = (x[:, ::-1] if stated.order == "bgr" else x) / 255 * (high - low) + low
        expected = expected - np.reshape(stated.mean or (0.0,), (-1, 1, 1))
        expected = expected / np.reshape(stated.std or (1.0,), (-1, 1, 1))
        given = np.ascontiguousarray(x.astype(kind))
        before = given.copy()
        found = runner.preprocess(given)
        absolute, relative = difference(expected, found)
        message = f"differs by {relative:.1e}" if relative > bar else ""
        if str(found.dtype) != dtype:
            message = f"gives {found.dtype}, not {dtype}"
        elif not np.array_equal(given, before):
            message = "changes the images"
        yield Finding("preprocess", f"preprocess({kind})", message, absolute, relative, bar)
