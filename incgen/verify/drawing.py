"""The weights of a verification: random, scaled to keep every layer's output near 1.

If values vanish, saturate a gate or grow with depth, little but rounding is left to compare. The
scale is determined by the spec's own side (`reference.py`), so that it favours no target.
"""

from __future__ import annotations

import numpy as np

from incgen.graph.nodes import Graph, Node
from incgen.verify import inputs
from incgen.verify.reference import Reference
from incgen.weights.checkpoint import Array

#: How many examples determine the scale of a layer's values.
EXAMPLES = 2
#: Anything smaller than this, relative to the scale, may be rounding: scaled up, it would be all
#: that later layers see.
NOTHING = 1e-9


def weights(graph: Graph, seed: int, scale: float = 1.0) -> dict[str, Array]:
    """Return float64 weights, by key, that give every layer's output the same scale.

    For random input with the deviation `scale`, each kernel or gamma gives this root mean square.
    """
    drawn = _Drawn(graph, seed, scale)
    with np.errstate(all="ignore"):  # leave what is not finite
        for _ in drawn.values(scale * inputs.images(graph, seed, EXAMPLES)):
            pass
    return drawn.scaled


class _Drawn(Reference):
    """A pass that scales every layer's weights before they are used.

    Mishkin & Matas 2016 (arXiv:1511.06422), algorithm 1, layer by layer in one pass.
    """

    def __init__(self, graph: Graph, seed: int, scale: float) -> None:
        self.scaled, self.scale = inputs.weights(graph, seed), scale
        super().__init__(graph, self.scaled)

    def _value(self, node: Node, given: list[Array], seed: int | None) -> Array:
        bias = ("pointwise." if node.op == "separable_conv" else "") + "bias"
        if node.op == "bn":
            self._observe(node, given[0])
        self._multiply(f"{node.path}.{bias}", self.scale)
        y = super()._value(node, given, seed)
        weight = f"{node.path}.{bias.replace('bias', 'weight')}"
        if weight not in self.scaled:
            return y
        shift = self.scaled.get(f"{node.path}.{bias}")
        around = 0.0 if shift is None else shift.reshape(1, -1, *(1,) * (y.ndim - 2))
        size = _size(y - around)
        if not NOTHING * self.scale < size < np.inf:
            return y
        self._multiply(weight, self.scale / size)
        scaled: Array = (y - around) * (self.scale / size) + around
        return scaled

    def _observe(self, node: Node, x: Array) -> None:
        """Scale running statistics to the size of their input, not to its mean and variance.

        Normalising exactly in every layer would amplify rounding with depth.
        """
        size = _size(x)
        if NOTHING * self.scale < size < np.inf:
            for name, factor in (("running_mean", size), ("running_var", size**2)):
                key = f"{node.path}.{name}"
                self._multiply(key, factor)
                self.statistics[key] = self.scaled[key]

    def _multiply(self, key: str, factor: float) -> None:
        if key in self.scaled:
            self.scaled[key] = self.scaled[key] * factor


def _size(x: Array) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.square(x).mean()))
