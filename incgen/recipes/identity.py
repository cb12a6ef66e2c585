"""The identity of a training: a digest of what decides its steps.

A checkpoint holds the one of its script, which a later version must not refuse. So it does not
depend on how incgen is written, and what an op or a setting comes to have is left out until it is
stated.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass

from incgen.graph.nodes import Graph, Node
from incgen.language.ops import OPS
from incgen.recipes.recipe import Cosine, Polynomial, Recipe

#: What changes no step: names, and how a run is evaluated.
_NO_PART = ("name", "doc", "file", "network", "settings", "evaluate")


def identity(graph: Graph, recipe: Recipe) -> str:
    """Return what stands for all that decides the steps of a run, as one can be resumed.

    A run may become longer, unless its rate depends on its length, and be evaluated otherwise.
    """
    said = {f.name: getattr(recipe, f.name) for f in fields(recipe) if f.name not in _NO_PART}
    if not isinstance(recipe.rate.schedule, Cosine | Polynomial):
        del said["length"]
    if recipe.l2 is None:
        said["l2"] = "of the network"  # which 0 is not
    pixels = graph.program.network.pixels
    assert pixels is not None
    shown = {name: getattr(pixels, name) for name in ("order", "range", "mean", "std")}
    layers = [(node.op, node.path, node.inputs, _stated(node)) for node in graph.nodes]
    facts = [[*graph.outputs.items()], graph.input.sizes, shown, layers, said]
    return hashlib.sha256(json.dumps(_plain(facts), sort_keys=True).encode()).hexdigest()[:16]


def _stated(node: Node) -> list[tuple[str, object]]:
    """Return the arguments of a layer that are not the defaults of its op."""
    arguments = OPS[node.op].arguments if node.op in OPS else ()
    return [
        (argument.name, node.args[argument.name])
        for argument in arguments
        if node.args.get(argument.name, argument.default) != argument.default
    ]


def _plain(value: object) -> object:
    """Return a value as JSON has it: numbers as floats, without what is not there, false or 0."""
    if is_dataclass(value):
        named = {f.name: getattr(value, f.name) for f in fields(value)}
        return _plain({"is": type(value).__name__, **named})
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items() if part}
    if isinstance(value, tuple | list):
        return [*map(_plain, value)]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
