"""Compute a recipe's training step in NumPy, independently of every framework.

The meaning of every value is in `incgen/recipes/recipe.py`. Gradients of the network itself come
from outside, for the gradients of the loss with respect to its outputs that `loss` returns.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from incgen.graph.nodes import Graph
from incgen.recipes.recipe import Adam, Average, Clip, Loss, Recipe, RmsProp, Sgd
from incgen.weights.checkpoint import Array

# ---------------------------------------------------------------- the loss


def cross_entropy(logits: Array, labels: Array, smoothing: float) -> tuple[float, Array]:
    """Return the mean cross-entropy of a batch, and its gradient with respect to the logits.

    Args:
        logits: The outputs (N, K).
        labels: The class of each example (N,), from 0.
        smoothing: What is taken from the right class and spread over all K.
    """
    count, classes = logits.shape
    targets = (1 - smoothing) * np.eye(classes)[labels] + smoothing / classes
    shifted = logits - logits.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return float(-(targets * logs).sum() / count), (np.exp(logs) - targets) / count


def loss(
    outputs: Mapping[str, Array], labels: Array, stated: Loss
) -> tuple[float, dict[str, Array]]:
    """Return the loss of a batch without the penalty, and its gradient for each output.

    Args:
        outputs: The logits (N, K) by name: the network's own first, then those of its heads.
        labels: The class of each example (N,).
        stated: The loss of the recipe.
    """
    total, gradients = 0.0, dict[str, Array]()
    for number, (name, logits) in enumerate(outputs.items()):
        weight = (stated.heads or 0.0) if number else 1.0
        value, gradient = cross_entropy(logits, labels, stated.smoothing)
        total += weight * value
        gradients[name] = weight * gradient
    return total, gradients


def decays(graph: Graph, stated: float | None) -> dict[str, float]:
    """Return the weight decay of each kernel that has one, by key.

    That of the network's layers, or the one that a recipe states for all kernels.
    """
    by_key: dict[str, float] = {}
    for node in graph.nodes:
        own = node.args.number("l2") if node.args.get("l2") else 0.0
        decay = own if stated is None else stated
        for tensor in node.tensors if decay else ():
            if len(tensor.shape) > 1:
                by_key[f"{node.path}.{tensor.name}"] = decay
    return by_key


def penalty(
    weights: Mapping[str, Array], stated: Mapping[str, float]
) -> tuple[float, dict[str, Array]]:
    """Return half of the sum of decay * w ** 2, and its gradient for each decayed kernel."""
    total = sum(decay / 2 * float(np.square(weights[key]).sum()) for key, decay in stated.items())
    return total, {key: decay * weights[key] for key, decay in stated.items()}


# ---------------------------------------------------------------- the step


def clipped(gradients: Mapping[str, Array], clip: Clip | None) -> dict[str, Array]:
    """Return clipped gradients: by the norm of all of them together, or each element."""
    if clip is None:
        return dict(gradients)
    if clip.kind == "value":
        return {key: np.clip(g, -clip.limit, clip.limit) for key, g in gradients.items()}
    norm = norm_of(gradients)
    return {key: g * min(1.0, clip.limit / norm) if norm else g for key, g in gradients.items()}


def norm_of(gradients: Mapping[str, Array]) -> float:
    """Return the norm of all gradients together."""
    return float(np.sqrt(sum(float(np.square(g).sum()) for g in gradients.values())))


def decay_of(average: Average, step: int) -> float:
    """Return the decay of the average after a step, counted from 0."""
    return min(average.decay, (1 + step) / (10 + step)) if average.ramp else average.decay


class Training:
    """A training run by a recipe, step by step.

    Attributes:
        tensors: All parameters and statistics by key.
        velocities: The velocity of each parameter, if the optimiser has momentum, as it is
            subtracted; Adam's mean.
        squares: The mean square of each gradient, if the optimiser has it.
        average: The average of all tensors, if the recipe has one.
        steps: How many steps were taken.
    """

    def __init__(self, recipe: Recipe, tensors: Mapping[str, Array]) -> None:
        """Begin with these parameters and statistics."""
        self.recipe, self.tensors = recipe, dict(tensors)
        self.velocities: dict[str, Array] = {}
        self.squares: dict[str, Array] = {}
        self.average = dict(tensors) if recipe.average else {}
        self.steps = 0

    def step(
        self, gradients: Mapping[str, Array], rate: float, statistics: Mapping[str, Array]
    ) -> None:
        """Take a step.

        Args:
            gradients: The gradient of the whole loss for each parameter.
            rate: The learning rate of the step.
            statistics: The running statistics after the step's forward pass.
        """
        for key, gradient in clipped(gradients, self.recipe.clip).items():
            match self.recipe.optimizer:
                case Sgd() as sgd:
                    self._descend(key, gradient, rate, sgd)
                case RmsProp() as form:
                    self._by_root_mean_square(key, gradient, rate, form)
                case Adam() as adam:
                    self._by_moments(key, gradient, rate, adam)
        self.tensors.update(statistics)
        if self.recipe.average is not None:
            decay = decay_of(self.recipe.average, self.steps)
            for key, value in self.tensors.items():
                self.average[key] = decay * self.average[key] + (1 - decay) * value
        self.steps += 1

    def _descend(self, key: str, direction: Array, rate: float, stated: Sgd) -> None:
        """Step down a direction, with momentum."""
        momentum, before = stated.momentum, self.velocities.get(key, np.zeros_like(direction))
        if stated.rate_inside:
            velocity = momentum * before + rate * direction
            step = rate * direction + momentum * velocity if stated.nesterov else velocity
        else:
            velocity = momentum * before + direction
            step = rate * (direction + momentum * velocity if stated.nesterov else velocity)
        if momentum:
            self.velocities[key] = velocity
        self.tensors[key] = self.tensors[key] - step

    def _by_root_mean_square(self, key: str, g: Array, rate: float, stated: RmsProp) -> None:
        before = self.squares.get(key, np.full_like(g, stated.start))
        square = stated.decay * before + (1 - stated.decay) * g**2
        inside = stated.eps_inside
        root = np.sqrt(square + stated.eps) if inside else np.sqrt(square) + stated.eps
        self.squares[key] = square
        sgd = Sgd(stated.momentum, nesterov=False, rate_inside=stated.rate_inside)
        self._descend(key, g / root, rate, sgd)

    def _by_moments(self, key: str, g: Array, rate: float, stated: Adam) -> None:
        """Take Adam's step, in the words of algorithm 1 (arXiv:1412.6980)."""
        weights, t, zero = self.tensors[key], self.steps + 1, np.zeros_like(g)
        if stated.decay and g.ndim > 1:
            weights = weights - rate * stated.decay * weights
        mean = stated.beta1 * self.velocities.get(key, zero) + (1 - stated.beta1) * g
        square = stated.beta2 * self.squares.get(key, zero) + (1 - stated.beta2) * g**2
        self.velocities[key], self.squares[key] = mean, square
        corrected = mean / (1 - stated.beta1**t), square / (1 - stated.beta2**t)
        self.tensors[key] = weights - rate * corrected[0] / (np.sqrt(corrected[1]) + stated.eps)
