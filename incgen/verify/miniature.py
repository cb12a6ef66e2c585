"""A recipe in miniature: its conventions, with numbers for which twenty steps show each of them.

Conventions show only where their numbers matter: an average with a decay of 0.9999 barely moves in
twenty steps, an epsilon of 1e-8 hides in any root, a limit of 2 may never be reached, and a warm-up
of five epochs does not end. So durations become a few steps, and limits and epsilons those of the
gradients at hand. All hyperparameters are exact in float32, because Keras casts Python floats
through it, whatever the type of the variables is: with a momentum of 0.9, trajectories in float64
would differ by 1e-8 for that alone. The rate is a variable, and keeps all its digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from incgen.recipes.recipe import (
    Adam,
    Average,
    Clip,
    Cosine,
    Duration,
    Exponential,
    Optimizer,
    Polynomial,
    Rate,
    Recipe,
    RmsProp,
    Schedule,
    Sgd,
    Steps,
)
from incgen.verify import measure
from incgen.verify.training import Training, norm_of
from incgen.weights.checkpoint import Array

#: The steps of the proof, those of an epoch, and those of the whole training: a schedule that runs
#: to its end would stop the training with the last step.
STEPS, EPOCH, TOTAL = 20, 4, 24
#: The steps of a warm-up, and of a period. Neither is whole epochs.
WARMUP, PERIOD = 3, 7
#: The steps of the first and the last milestone.
MILESTONES = 5, 17
#: The decay of the average. A ramp reaches it in step 14: (1 + 14) / (10 + 14).
AVERAGE = 0.625
#: The share of the first norm at which gradients are clipped: in some steps, but not in all.
CLIPPED = 0.75
#: How far the first full step moves the weights: enough to see the optimiser work, too little to
#: amplify rounding.
MOVE = 1e-3


def miniature(
    recipe: Recipe, batch: int, weights: Mapping[str, Array], gradients: Mapping[str, Array]
) -> Recipe:
    """Return a recipe for twenty steps.

    Args:
        recipe: The recipe.
        batch: The examples of a step.
        weights: The initial parameters by key.
        gradients: The gradient of the recipe's loss for each of them.
    """
    loss = replace(
        recipe.loss,
        smoothing=exact(recipe.loss.smoothing),
        heads=None if recipe.loss.heads is None else exact(recipe.loss.heads),
    )
    average = recipe.average and Average(AVERAGE, recipe.average.ramp)
    small = replace(
        recipe,
        length=_duration(TOTAL, recipe.length),
        batch=batch,
        loss=loss,
        l2=None if recipe.l2 is None else exact(recipe.l2),
        optimizer=_optimizer(recipe.optimizer, gradients),
        clip=recipe.clip and _clip(recipe.clip, gradients),
        average=average,
    )
    trial = Training(small, weights)
    trial.step(gradients, 1.0, {})
    moved = measure.largest(trial.tensors[key] - weights[key] for key in gradients)
    largest = measure.largest(weights[key] for key in gradients)
    base = MOVE * largest / moved if moved else recipe.rate.base
    return replace(small, rate=_rate(recipe.rate, base))


def exact(value: float) -> float:
    """Return the nearest number of float32."""
    return float(np.float32(value))


def _duration(steps: int, stated: Duration) -> Duration:
    """Return a number of steps in the unit of a duration."""
    return Duration(steps / EPOCH if stated.unit == "epochs" else steps, stated.unit)


def _optimizer(stated: Optimizer, gradients: Mapping[str, Array]) -> Optimizer:
    """Return an optimiser whose epsilon is of the size of what it is added to."""
    square = norm_of(gradients) ** 2 / max(1, sum(g.size for g in gradients.values())) or 1.0
    match stated:
        case Sgd():
            return replace(stated, momentum=exact(stated.momentum))
        case RmsProp():
            eps = exact(square if stated.eps_inside else square**0.5)
            decay, momentum = exact(stated.decay), exact(stated.momentum)
            return replace(stated, decay=decay, momentum=momentum, eps=eps)
        case Adam():
            decayed = None if stated.decay is None else exact(stated.decay)
            beta1, beta2, eps = exact(stated.beta1), exact(stated.beta2), exact(square**0.5)
            return Adam(beta1, beta2, eps, decayed)


def _clip(stated: Clip, gradients: Mapping[str, Array]) -> Clip:
    """Return a limit for gradients of this size; by value, both signs exceed it."""
    size = norm_of(gradients) * CLIPPED
    if stated.kind == "value":
        size = norm_of(gradients) / max(1, sum(g.size for g in gradients.values())) ** 0.5
    return replace(stated, limit=exact(size) or stated.limit)


def _rate(stated: Rate, base: float) -> Rate:
    warmup = stated.warmup
    if warmup is not None:
        warmup = replace(warmup, length=_duration(WARMUP, warmup.length))
    return replace(
        stated, base=base, warmup=warmup, schedule=_schedule(stated, base / (stated.base or 1.0))
    )


def _schedule(stated: Rate, scale: float) -> Schedule | None:
    match stated.schedule:
        case Exponential(every=every) as exponential:
            return replace(exponential, every=_duration(PERIOD, every))
        case Steps(at=at) as steps:
            (first, last), apart = MILESTONES, max(1, len(at) - 1)
            placed = [first + (last - first) * number // apart for number in range(len(at))]
            durations = (
                _duration(step, duration) for step, duration in zip(placed, at, strict=True)
            )
            return replace(steps, at=tuple(durations))
        case Polynomial() | Cosine() as falling:
            return replace(falling, to=falling.to * scale)
        case None:
            return None
