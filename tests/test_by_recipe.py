"""Rung 5 by a recipe: generated scripts train as it says, and faults in them are found."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import planted
import pytest
from numpy.typing import NDArray

from incgen.compiling import RequestError, compile_recipe
from incgen.recipes.rates import rate_at, total_steps
from incgen.recipes.recipe import Adam, Duration, Recipe, RmsProp, Warmup
from incgen.targets.shared.training import script
from incgen.verify import Report, measure, verify
from incgen.verify.miniature import EPOCH, STEPS, exact, miniature
from incgen.verify.runners import trained as scripts
from incgen.verify.show import text as shown

#: The recipes that show the planted faults; they have every optimiser, schedule and option.
NETWORK, RECIPES = planted.read_recipes()
#: Faults in every part of a script, of one target each but for a few; some are slow.
FAULTS = (
    "smoothing_over_the_others",
    "penalty_not_clipped",
    "rate_inside",
    "eps_outside",
    "decay_coupled",
    "statistics_not_averaged",
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in (
            "staircase_smooth",
            "rate_never_set",
            "constant_in_the_norm",
            "eps_before_the_correction",
        )
    ),
)


def trained(lines: str, **options: object) -> Report:
    """Verify the scripts of a recipe."""
    graph, recipe = planted.recipe_of("trained", NETWORK, lines)
    given: dict[str, object] = {"rungs": (5,), "dtypes": ("float64",), **options}
    return verify(graph, recipe=recipe, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("without", [{"rungs": range(5)}, {"rungs": None, "targets": ["onnx"]}])
def test_a_recipe_without_its_rung_is_refused(without: dict[str, object]) -> None:
    with pytest.raises(RequestError, match="recipes are compared on rung 5: add it to 0, 1"):
        trained(RECIPES["inside"], **without)


def compared(report: Report) -> set[str]:
    """Return what was compared, without the steps."""
    return {c.what.split(" after ")[0].split(" of ")[0] for c in report.comparisons}


@pytest.mark.parametrize(
    ("name", "targets"),
    [
        *((name, ("torch", "keras")) for name in RECIPES if name != "inside"),
        ("inside", ("torch", "keras", "flax")),  # which takes seconds to compile a step
        *(
            pytest.param(name, ("torch", "flax"), marks=pytest.mark.slow)
            for name in RECIPES
            if name != "inside"
        ),
    ],
)
def test_scripts_do_what_their_recipe_says(name: str, targets: tuple[str, ...]) -> None:
    report = trained(RECIPES[name], targets=targets)

    assert report.passed, report
    kinds = {"loss", "parameter", "statistic", "velocity"}
    kinds |= {"average"} if "average" in RECIPES[name] else set()
    kinds |= {"mean square"} if "sgd" not in RECIPES[name] else set()
    assert kinds <= compared(report)
    sides = {c.between for c in report.comparisons if c.what.startswith("parameter")}
    assert sides == {*(("spec", n) for n in targets), *(("torch", n) for n in targets[1:])}
    assert all(c.bar <= measure.TRAJECTORY for c in report.comparisons)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_in_a_script_is_caught(name: str) -> None:
    fault = planted.read_faults()[name]

    report = planted.climbed(fault)

    assert planted.catches(report, fault), report.divergences


SCHEDULES = (
    "rate 0.1",
    "rate 0.1 -> exponential 0.94 every 0.5 epochs",
    "rate 0.1 per=epoch -> exponential 0.94 every 2000 steps smooth=true",
    "rate 0.1 -> warmup 500 steps start=0.1 -> steps 0.1 at [3, 6, 9] epochs",
    "rate 0.1 -> warmup 2 epochs -> polynomial 2 to=0.001",
    "rate 0.1 per=epoch -> warmup 2 epochs -> cosine",
)
OPTIMIZERS = (
    "sgd",
    "sgd rate=inside",
    "sgd momentum=0.9",
    "sgd momentum=0.9 nesterov=true",
    "sgd momentum=0.9 rate=inside",
    "sgd momentum=0.9 nesterov=true rate=inside",
    "rmsprop tf decay=0.9 eps=1",
    "rmsprop tf decay=0.9 momentum=0.9 eps=1",
    "rmsprop keras decay=0.9 eps=1e-7",
    "rmsprop keras decay=0.9 momentum=0.9 eps=1e-7",
    "rmsprop torch decay=0.9 eps=1e-8",
    "rmsprop torch decay=0.9 momentum=0.9 eps=1e-8",
    "adam",
    "adamw decay=0.05",
    "adamw decay=0",
)
OPTIONS = (
    "",
    "clip norm 2",
    "clip value 0.1",
    "average 0.9999",
    "average 0.9999 ramp=true",
    "l2 1e-3",
    "l2 0",
    "clip norm 2; average 0.9999 ramp=true; l2 4e-5",
    "clip value 1; average 0.99; l2 1e-3",
)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(45))
def test_every_optimiser_with_schedules_and_options(number: int) -> None:
    targets = ("torch", "keras", "flax")[: 3 if number % 5 == 0 else 2]
    optimizer, options = OPTIMIZERS[number % 15], OPTIONS[(number * 2 + number // 9) % 9]
    schedule, smoothing = SCHEDULES[(number + number // 15) % 6], 0.1 * (number % 2)
    lines = f"batch 32; epochs 24\noptimizer {optimizer}\n{schedule}\n{options}\n"

    loss = f"loss cross_entropy smoothing={smoothing} heads=0.3\n"
    report = trained(lines + loss, targets=targets)

    assert report.passed, (lines, report)


# ---------------------------------------------------------------- what is reported


def in_torch(name: str, old: str, new: str, **options: object) -> Report:
    """Verify a script of PyTorch with a change."""
    graph, recipe = planted.recipe_of("trained", NETWORK, RECIPES[name])

    def changed(target: str, recipe: Recipe) -> str:
        source = script(graph, recipe, target)
        assert old in source
        return source.replace(old, new)

    given = {"targets": ("torch",), "rungs": (5,), "dtypes": ("float64",), **options}
    return verify(graph, recipe=recipe, script=changed, **given)  # type: ignore[arg-type]


def test_a_divergence_names_the_first_step_and_the_lines_of_the_script() -> None:
    report = in_torch("outside", ", nesterov=True", ", dampening=0.5")

    (divergence,) = report.divergences
    assert (divergence.rung, divergence.path) == (5, "stem.conv.weight")
    assert divergence.message.startswith("velocity after step 1 of spec and torch differ by ")
    (spec, line) = divergence.lines
    assert spec.file == "trained.inc" and "conv_bn = conv" in spec.text
    assert line.file == "train_trained_planted_torch.py"
    assert line.text == "def make_optimizer(model: nn.Module) -> torch.optim.Optimizer:"
    graph, _ = planted.recipe_of("trained", NETWORK, RECIPES["outside"])
    said = shown(report, graph)
    assert "recipe   planted, in miniature\n" in said
    assert f"{line.file}:{line.line}  def make_optimizer" in said


@pytest.mark.parametrize(
    ("old", "new", "message", "lines"),
    [
        (
            "optimizer.zero_grad()",
            "optimizer.nothing()",
            "torch: AttributeError: 'SGD' object has no attribute 'nothing'",
            ["optimizer.nothing()"],
        ),
        ("def rate(", "def other(", "torch: AttributeError: module ", []),
        ("import math\n", "import missing\n", "torch: ModuleNotFoundError: ", ["import missing"]),
    ],
)
def test_a_script_that_fails_is_a_finding(
    old: str, new: str, message: str, lines: list[str]
) -> None:
    report = in_torch("inside", old, new)

    (divergence,) = report.divergences
    assert divergence.message.startswith(message)
    assert [line.text for line in divergence.lines] == lines


def test_what_is_saved_of_a_divergence(tmp_path: Path) -> None:
    report = in_torch("outside", ", nesterov=True", "", dump=tmp_path)

    (divergence,) = report.divergences
    (comparison,) = (c for c in report.comparisons if c.path == divergence.path)
    spec, torch = (
        np.load(tmp_path / f"float64_rung5_{divergence.path}_{side}.npz")["parameter"]
        for side in ("spec", "torch")
    )
    assert len(list(tmp_path.iterdir())) == 2
    assert np.abs(spec - torch).max() == comparison.absolute > 0


def test_state_that_a_recipe_does_not_have_is_a_finding() -> None:
    """Report what has no counterpart as not compared."""
    report = in_torch("torch", "momentum=", "momentum=0 * ")

    (finding,) = report.divergences
    assert finding.message == ("velocity after step 0: torch has no velocity of stem.conv.weight")


def test_a_difference_that_rounding_explains_is_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "TRAJECTORY", 1e-18)

    report = trained(RECIPES["torch"], targets=("torch",))

    assert not report.divergences
    assert report.ill_conditioned and not report.passed
    last = report.comparisons[-1]
    assert "after step 19" not in last.what  # it goes no further


def test_a_single_target_is_held_to_the_recipe_on_rung_5() -> None:
    report = trained(RECIPES["adam"], targets=("torch",))

    assert report.passed and report.omissions == ()
    assert {c.between for c in report.comparisons} == {("spec", "torch")}


def test_with_float32_alone_scripts_run_in_float64() -> None:
    report = trained(RECIPES["adam"], targets=("torch",), dtypes=("float32",))

    assert report.passed
    assert {c.between for c in report.comparisons} == {("spec", "torch in float64")}
    assert {c.bar for c in report.comparisons if "parameter" in c.what} == {1e-8}


def test_with_both_types_scripts_run_once() -> None:
    report = trained(RECIPES["adam"], targets=("torch",), dtypes=("float64", "float32"))

    assert {c.dtype for c in report.comparisons} == {"float64"}


# ---------------------------------------------------------------- in miniature

Arrays = Mapping[str, NDArray[np.float64]]
RANDOM = np.random.default_rng(1)
WEIGHTS: Arrays = {"a": RANDOM.normal(size=(30, 20)), "b": RANDOM.normal(size=30)}
GRADIENTS: Arrays = {key: 1e-3 * RANDOM.normal(size=each.shape) for key, each in WEIGHTS.items()}


def small(lines: str, gradients: Arrays = GRADIENTS) -> Recipe:
    """Return a recipe in miniature."""
    text = f"{NETWORK}\nrecipe r for trained {{\nepochs 90; batch 256\n{lines}}}\n"
    _, recipe = compile_recipe("r.inc", "r", text=text)
    return miniature(recipe, 4, WEIGHTS, gradients)


HEADS = "loss cross_entropy smoothing=0.1 heads=0.3\n"


def test_hyperparameters_in_miniature_are_exact_in_float32() -> None:
    optimizer = "optimizer rmsprop tf decay=0.9 momentum=0.9 eps=1"
    recipe = small(f"{HEADS} {optimizer}\n rate 0.1\n l2 1e-4\n clip norm 2\n")

    stated = recipe.optimizer
    assert isinstance(stated, RmsProp) and recipe.clip is not None and recipe.l2 is not None
    numbers = [stated.decay, stated.momentum, stated.eps, recipe.clip.limit, recipe.l2]
    numbers += [recipe.loss.smoothing, recipe.loss.heads or 0.0]
    assert numbers == [exact(number) for number in numbers]
    assert (stated.decay, recipe.loss.heads) == (exact(0.9), exact(0.3)) != (0.9, 0.3)


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        ("rmsprop torch decay=0.9 eps=1e-8", 1e-3),
        ("rmsprop keras decay=0.9 eps=1e-7", 1e-6),
        ("adam", 1e-3),
    ],
)
def test_epsilon_in_miniature_has_the_size_of_what_it_is_added_to(
    optimizer: str, expected: float
) -> None:
    stated = small(f"{HEADS} optimizer {optimizer}\n rate 0.1\n").optimizer

    assert isinstance(stated, RmsProp | Adam)
    assert stated.eps == pytest.approx(expected, rel=0.2)


def test_limits_in_miniature_cut_some_gradients() -> None:
    norm = np.sqrt(sum(np.square(gradient).sum() for gradient in GRADIENTS.values()))
    lines = f"{HEADS} optimizer sgd\n rate 0.1\n clip"

    by_norm, by_value = small(f"{lines} norm 2\n").clip, small(f"{lines} value 2\n").clip

    assert by_norm is not None and 0.7 * norm < by_norm.limit < 0.8 * norm
    assert by_value is not None
    assert (GRADIENTS["a"] > by_value.limit).any() and (GRADIENTS["a"] < -by_value.limit).any()


@pytest.mark.parametrize("optimizer", ["sgd", "sgd momentum=0.9 rate=inside", "adam"])
def test_the_first_step_in_miniature_moves_weights_by_a_thousandth(optimizer: str) -> None:
    recipe = small(f"{HEADS} optimizer {optimizer}\n rate 30\n")

    direction = GRADIENTS["a"] if optimizer.startswith("sgd") else np.ones(1)
    largest = max(np.abs(weight).max() for weight in WEIGHTS.values())
    moved = recipe.rate.base * np.abs(direction).max()
    assert moved == pytest.approx(1e-3 * largest, rel=1e-6 if optimizer.startswith("sgd") else 0.9)


@pytest.mark.parametrize("schedule", SCHEDULES[1:])
def test_a_schedule_in_miniature_changes_within_the_steps(schedule: str) -> None:
    recipe = small(f"{HEADS} optimizer sgd\n {schedule}\n")

    total = total_steps(recipe, EPOCH)
    rates = [rate_at(recipe.rate, step, EPOCH, total) for step in range(STEPS)]
    later = rates[EPOCH:]
    assert total > STEPS
    assert len(set(later)) >= 3 and later == sorted(later, reverse=True)
    if recipe.rate.warmup is not None:
        assert rates[0] < max(rates)
        assert 0 < recipe.rate.warmup.length.count < STEPS


def test_units_and_conventions_stay_in_miniature() -> None:
    lines = "rate 0.1 per=epoch -> warmup 500 steps start=0.25 -> exponential 0.94 every 2 epochs"
    recipe = small(f"{HEADS} optimizer sgd\n {lines}\n average 0.9999 ramp=true\n")

    assert recipe.rate.warmup == Warmup(Duration(3, "steps"), 0.25)
    assert recipe.rate.per == "epoch"
    schedule = recipe.rate.schedule
    assert schedule is not None and "every=Duration(count=1.75, unit='epochs')" in repr(schedule)
    assert recipe.average is not None and recipe.average.ramp
    assert (recipe.batch, recipe.network) == (4, "trained")


def test_without_gradients_a_recipe_keeps_its_numbers() -> None:
    nothing = {key: np.zeros_like(value) for key, value in GRADIENTS.items()}

    recipe = small(f"{HEADS} optimizer sgd\n rate 0.5\n clip norm 2\n", nothing)

    assert recipe.rate.base == 0.5
    assert recipe.clip is not None and recipe.clip.limit == 2
    assert replace(recipe, clip=None).clip is None


# ---------------------------------------------------------------- how scripts are imported


def test_libraries_around_the_training_can_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scripts, "AROUND", ("tqdm", "torchvision", "missing_library"))
    before = {*sys.modules}

    report = in_torch(
        "adam",
        "import os\n",
        "import os\nimport missing_library.part as part\nfrom missing_library import thing\n"
        "HEIGHT = thing.of.something\n",
    )

    assert report.passed, report
    assert not {name for name in sys.modules if name.startswith("missing_library")}
    assert not {name for name in {*sys.modules} - before if "trained_torch" in name}
    assert [type(finder).__name__ for finder in sys.meta_path].count("_Absent") == 0


def test_a_library_that_training_needs_cannot_be_missing() -> None:
    report = in_torch("adam", "import os\n", "import os\nimport missing_library\n")

    (divergence,) = report.divergences
    assert divergence.message.startswith("torch: ModuleNotFoundError: ")
    assert "missing_library" in divergence.message
