"""The experiments of the paper's section 4 on images of 28x28, and how each is run.

Every run is one generated script in a process of its own, on one core. What is finished is not run
again: a run leaves `log.csv` in its folder, whose last row is its last evaluation.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import incgen
from incgen.weights import first

HERE = Path(__file__).parent
#: Where Debian's package dataset-fashion-mnist puts its files.
DATA = Path("/usr/share/datasets/fashion-mnist")
#: The rates tried for Inception; the best of them is that of the comparison.
RATES = (0.005, 0.01, 0.02, 0.04)
SEEDS = (0, 1, 2)
#: The forms of figures 2 and 3, with what the paper calls them.
FORMS = {
    "inception": "Inception",
    "x1": "BN-Baseline",
    "x5": "BN-x5",
    "x30": "BN-x30",
    "x5_sigmoid": "BN-x5-Sigmoid",
    "sigmoid": "Inception with sigmoids",
}
#: The recipes that take one of the seven changes back, with what each keeps as Inception has it.
CHANGES = {
    "back_rate": "the rate",
    "back_dropout": "dropout",
    "back_l2": "the weight decay",
    "back_decay": "the decay of the rate",
    "back_lrn": "LRN",
    "back_shuffle": "batches that stay together",
    "back_distortion": "the strong distortion",
}
#: The frameworks whose curves are laid over one another.
FRAMEWORKS = {"torch": "PyTorch", "keras": "Keras", "flax": "Flax"}
#: Steps between evaluations.
_EVALUATED = {"sigmoids": 1000, "forms": 200}


@dataclass(frozen=True, slots=True)
class Run:
    """One training.

    Attributes:
        spec: The name of its spec in this folder.
        recipe: The recipe.
        target: The framework.
        seed: The seed of weights, order and distortion.
        settings: Values for constants of the spec.
        shared: Whether the initial weights are those that incgen draws, the same in all frameworks.
    """

    spec: str
    recipe: str
    target: str = "torch"
    seed: int = 0
    settings: Mapping[str, float] = field(default_factory=dict)
    shared: bool = False

    @property
    def source(self) -> Path:
        """Return its spec."""
        return HERE / f"{self.spec}.inc"

    @property
    def name(self) -> str:
        """Return the name of its folder."""
        said = [f"{name}{value:g}" for name, value in self.settings.items()]
        said += ["shared"] if self.shared else []
        return "_".join([self.spec, self.recipe, self.target, *said, str(self.seed)])


def grid() -> list[Run]:
    """Return the trainings that choose the rate of Inception."""
    return [Run("forms", "inception", settings={"base": rate}) for rate in RATES]


def figures(base: float) -> list[Run]:
    """Return the trainings of figures 1 to 3, of the seven changes, and of the frameworks."""
    rate = {"base": base}
    runs = [Run("sigmoids", recipe) for recipe in ("plain", "normalised")]
    runs += [Run("forms", form, seed=seed, settings=rate) for seed in SEEDS for form in FORMS]
    runs += [Run("forms", each, seed=seed, settings=rate) for seed in SEEDS for each in CHANGES]
    return [*runs, *frameworks(base)]


def frameworks(base: float) -> list[Run]:
    """Return the trainings of BN-x5 from the same weights in every framework."""
    rate = {"base": base}
    return [Run("forms", "x5", target, settings=rate, shared=True) for target in FRAMEWORKS]


def run_all(runs: Iterable[Run], folder: Path, data: Path, more: Sequence[str] = ()) -> None:
    """Run trainings that are not finished, as many at a time as there are cores.

    Args:
        runs: The trainings.
        folder: Where each gets a folder of its own.
        data: The folder of the IDX files.
        more: More arguments of the scripts.
    """
    waiting = [run for run in runs if not finished(folder / run.name)]
    for run in waiting:  # not at the same time: they share files
        place = folder / run.name
        incgen.build(run.source, run.target, f"{place}/", run.settings, recipe=run.recipe)
        if run.shared:
            graph, _ = incgen.compile_recipe(run.source, run.recipe, run.settings)
            first.write(graph, place / "first.safetensors", run.seed, force=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for line in pool.map(lambda run: _train(run, folder, data, more), waiting):
            print(line, flush=True)


def _train(run: Run, folder: Path, data: Path, more: Sequence[str]) -> str:
    """Train once, and say how it ended."""
    place = folder / run.name
    with (place / "output.txt").open("w") as output:
        done = subprocess.run(
            [*command(run, place, data), *more],
            env={**os.environ, "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "2"},
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode == 0:
        (place / "done").touch()
    last = (place / "output.txt").read_text().strip().splitlines()[-1:]
    return f"{run.name}: {'done' if done.returncode == 0 else f'{done.returncode}: {last}'}"


def command(run: Run, place: Path, data: Path) -> list[str]:
    """Return the command of a training; one that was interrupted goes on, with its own weights."""
    script = place / f"train_{run.spec}_{run.recipe}_{run.target}.py"
    parts: list[object] = [sys.executable, *_watched(run), script, "--data", data]
    parts += ["--output", place, "--evaluate-every", _EVALUATED[run.spec]]
    if any(place.glob("checkpoint.[np]*")):
        return [*map(str, parts), "--resume"]
    parts += ["--seed", run.seed]
    if run.shared:
        parts += ["--from", place / "first.safetensors"]
    return [str(part) for part in parts]


def _watched(run: Run) -> list[str | Path]:
    """Return the program that runs the script of figure 1, and records inputs of a sigmoid."""
    return [HERE / "percentiles.py"] if run.spec == "sigmoids" else []


def finished(place: Path) -> bool:
    """Return whether a training ran to its end."""
    return (place / "done").exists()


@dataclass(frozen=True, slots=True)
class Curve:
    """The accuracy of a training by step.

    Attributes:
        steps: The steps after which it was evaluated.
        accuracies: The part of the test images that are classified rightly.
    """

    steps: tuple[int, ...]
    accuracies: tuple[float, ...]

    @property
    def best(self) -> float:
        """Return the highest accuracy."""
        return max(self.accuracies, default=0.0)

    def until(self, step: int) -> Curve:
        """Return its evaluations up to a step."""
        count = sum(each <= step for each in self.steps)
        return Curve(self.steps[:count], self.accuracies[:count])

    def steps_to(self, accuracy: float) -> int | None:
        """Return the first evaluated step with an accuracy; None if it was never reached."""
        pairs = zip(self.steps, self.accuracies, strict=True)
        return next((step for step, found in pairs if found >= accuracy), None)


def curve_of(place: Path) -> Curve:
    """Read the evaluations in the log of a training; none if it ended early or was not run."""
    rows = list(_rows(place / "log.csv"))
    return Curve(tuple(int(row["step"]) for row in rows), tuple(float(row["top1"]) for row in rows))


def _rows(log: Path) -> Iterator[dict[str, str]]:
    if log.exists():
        with log.open(newline="") as file:
            yield from (row for row in csv.DictReader(file) if row["top1"])
