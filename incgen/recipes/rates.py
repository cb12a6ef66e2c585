"""The learning rate of each step, in plain Python: what every generated script computes too."""

from __future__ import annotations

import math

from incgen.recipes.recipe import Cosine, Duration, Exponential, Polynomial, Rate, Recipe, Steps


def in_steps(duration: Duration, epoch: int) -> int:
    """Return a duration in whole steps, at least 1; a half is rounded to the even number.

    Args:
        duration: The duration.
        epoch: The steps of an epoch.

    >>> in_steps(Duration(0.5, "epochs"), 7)
    4
    """
    count = duration.count * epoch if duration.unit == "epochs" else duration.count
    return max(1, round(count))


def total_steps(recipe: Recipe, epoch: int) -> int:
    """Return the steps of a whole training run.

    Args:
        recipe: The recipe.
        epoch: The steps of an epoch: the examples divided by the batch, rounded down.
    """
    return in_steps(recipe.length, epoch)


def rate_at(rate: Rate, step: int, epoch: int, total: int) -> float:
    """Return the learning rate of a step.

    Args:
        rate: The rate of the recipe.
        step: The number of the step, from 0.
        epoch: The steps of an epoch.
        total: The steps of the training.
    """
    if rate.per == "epoch":
        step -= step % epoch
    base, warm = rate.base, 0
    if rate.warmup is not None:
        warm = in_steps(rate.warmup.length, epoch)
        if step < warm:
            start = rate.warmup.start
            return base * (start + (1 - start) * step / warm)
    match rate.schedule:
        case None:
            return base
        case Exponential(factor, every, smooth):
            periods = step / in_steps(every, epoch)
            return base * float(factor ** (periods if smooth else math.floor(periods)))
        case Steps(factor, at):
            passed = sum(step >= in_steps(milestone, epoch) for milestone in at)
            return base * float(factor**passed)
        case Polynomial(power, to):
            left = 1 - (step - warm) / max(1, total - warm)
            return to + (base - to) * float(left**power)
        case Cosine(to):
            progress = (step - warm) / max(1, total - warm)
            return to + (base - to) * (1 + math.cos(math.pi * progress)) / 2
