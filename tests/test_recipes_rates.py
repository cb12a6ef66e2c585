"""The learning rate of each step: small tables worked out by hand, whose numbers are exact."""

from __future__ import annotations

import math

import pytest

from incgen.recipes.rates import in_steps, rate_at
from incgen.recipes.recipe import (
    Cosine,
    Duration,
    Exponential,
    Polynomial,
    Rate,
    Schedule,
    Steps,
    Warmup,
)


def epochs(count: float) -> Duration:
    return Duration(count, "epochs")


def steps(count: float) -> Duration:
    return Duration(count, "steps")


def rates(
    schedule: Schedule | None,
    count: int,
    *,
    epoch: int = 4,
    base: float = 8.0,
    total: int = 8,
    warmup: Warmup | None = None,
    by_epoch: bool = False,
) -> list[float]:
    """Return the rates of the first steps."""
    rate = Rate(base, warmup, schedule, "epoch" if by_epoch else "step")
    return [rate_at(rate, step, epoch, total) for step in range(count)]


@pytest.mark.parametrize(
    ("duration", "epoch", "expected"),
    [
        (epochs(1), 7, 7),
        (epochs(0.5), 6, 3),
        (epochs(0.5), 7, 4),  # 3.5
        (epochs(0.5), 5, 2),  # 2.5, to the even number as well
        (epochs(2.5), 4, 10),
        (epochs(0.1), 4, 1),  # never 0
        (steps(3), 7, 3),
        (steps(0), 7, 1),
    ],
)
def test_a_duration_in_whole_steps(duration: Duration, epoch: int, expected: int) -> None:
    assert in_steps(duration, epoch) == expected


def test_a_constant_rate() -> None:
    assert rates(None, 3) == [8, 8, 8]


def test_an_exponential_falls_after_each_period() -> None:
    every_two = Exponential(0.5, steps(2), smooth=False)

    assert rates(every_two, 7) == [8, 8, 4, 4, 2, 2, 1]


def test_a_smooth_exponential_falls_in_each_step() -> None:
    every_two = Exponential(0.25, steps(2), smooth=True)

    assert rates(every_two, 5) == [8, 4, 2, 1, 0.5]


def test_a_period_is_counted_in_epochs_or_parts_of_them() -> None:
    assert rates(Exponential(0.5, epochs(1), smooth=False), 9) == [8] * 4 + [4] * 4 + [2]
    assert rates(Exponential(0.5, epochs(0.5), smooth=False), 5) == [8, 8, 4, 4, 2]
    assert rates(Exponential(0.25, epochs(0.5), smooth=True), 4) == [8, 4, 2, 1]


def test_a_rate_by_epoch_is_that_of_its_first_step() -> None:
    every_two = Exponential(0.5, steps(2), smooth=False)

    assert rates(every_two, 9, by_epoch=True) == [8] * 4 + [2] * 4 + [0.5]
    assert rates(Exponential(0.25, epochs(1), smooth=True), 9, by_epoch=True) == (
        [8] * 4 + [2] * 4 + [0.5]
    )
    # what happens within an epoch waits for the next one
    assert rates(Steps(0.5, (steps(3), steps(5))), 9, by_epoch=True) == [8] * 4 + [4] * 4 + [2]


def test_a_step_down_at_each_milestone() -> None:
    at = Steps(0.5, (steps(1), steps(4), epochs(1.5)))

    assert rates(at, 8) == [8, 4, 4, 4, 2, 2, 1, 1]


def test_a_polynomial_ends_after_the_last_step() -> None:
    assert rates(Polynomial(1, 0), 9) == [8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert rates(Polynomial(2, 0), 5, base=64) == [64, 49, 36, 25, 16]
    assert rates(Polynomial(1, 4), 5) == [8, 7.5, 7, 6.5, 6]


def test_a_cosine() -> None:
    values = rates(Cosine(0), 9)

    assert values[::4] == pytest.approx([8, 4, 0], abs=1e-15)
    assert values[2] == pytest.approx(4 + 2 * math.sqrt(2), rel=1e-15)  # cos(pi / 4) = sqrt(1 / 2)
    assert rates(Cosine(2), 9)[::4] == pytest.approx([8, 5, 2], rel=1e-15)


def test_a_warmup_rises_to_the_rate_in_the_step_after_it() -> None:
    assert rates(None, 6, warmup=Warmup(steps(4), 0)) == [0, 2, 4, 6, 8, 8]
    assert rates(None, 6, warmup=Warmup(steps(4), 0.5)) == [4, 5, 6, 7, 8, 8]
    assert rates(None, 4, warmup=Warmup(epochs(0.5), 0)) == [0, 4, 8, 8]
    assert rates(None, 2, warmup=Warmup(steps(1), 0)) == [0, 8]


def test_periods_and_milestones_are_counted_from_the_first_step_of_all() -> None:
    warmup = Warmup(steps(2), 0)

    assert rates(Exponential(0.5, steps(3), smooth=False), 7, warmup=warmup) == (
        [0, 4, 8, 4, 4, 4, 2]
    )
    assert rates(Steps(0.5, (steps(3),)), 5, warmup=warmup) == [0, 4, 8, 4, 4]
    # a change that a warm-up hides
    assert rates(Steps(0.5, (steps(1),)), 4, warmup=warmup) == [0, 4, 4, 4]


def test_progress_is_counted_from_the_end_of_the_warmup() -> None:
    warmup = Warmup(steps(4), 0)

    assert rates(Polynomial(1, 0), 9, warmup=warmup) == [0, 2, 4, 6, 8, 6, 4, 2, 0]
    assert rates(Cosine(0), 9, warmup=warmup)[::2] == pytest.approx([0, 4, 8, 4, 0], abs=1e-15)


def test_a_warmup_by_epoch_rises_in_stairs() -> None:
    warmup = Warmup(epochs(2), 0)

    assert rates(None, 9, warmup=warmup, by_epoch=True) == [0] * 4 + [4] * 4 + [8]


def test_a_warmup_as_long_as_the_training_leaves_no_progress() -> None:
    assert rates(Polynomial(1, 0), 8, warmup=Warmup(steps(8), 0)) == [0, 1, 2, 3, 4, 5, 6, 7]


def test_what_the_paper_of_inception_v3_says() -> None:
    """0.045, decayed every two epochs by 0.94 (arXiv:1512.00567, section 8)."""
    exponential = Exponential(0.94, epochs(2), smooth=False)

    values = rates(exponential, 2001, epoch=1000, base=0.045)

    assert values[1999] == 0.045
    assert values[2000] == pytest.approx(0.0423, rel=1e-15)
