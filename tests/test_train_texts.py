"""The text of training scripts: in the form that a person keeps, without what a recipe lacks."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import scripts
import small
from scripts import check
from small import spec

from incgen.targets import TARGETS

GOLDEN = Path(__file__).parent / "golden" / "training"
#: Words that the least script does without, beside those of every target, and the end of its lines.
LEAST = {
    "torch": (("average", "SyncBatchNorm"), 690),
    "keras": (("Average", "Dropout"), 740),
    "flax": (("average", "shard_map"), 720),
}
targets = pytest.mark.parametrize("target", TARGETS)


@pytest.fixture(scope="module")
def forms_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return what makes a folder with the scripts of all forms of a target."""

    @cache
    def made(target: str) -> Path:
        folder = tmp_path_factory.mktemp(target)
        for name, text in small.forms(target).items():
            named = text.replace("recipe r for", f"recipe {name} for")
            scripts.built(folder / name, named, target, name)
        return folder

    return made


@targets
def test_golden(target: str, update_goldens: bool, tmp_path: Path) -> None:
    source = scripts.built(tmp_path, spec(), target).read_text("utf-8").partition("\n")[2]
    golden = GOLDEN / f"train_small_r_{target}.py"
    if update_goldens:
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(source, "utf-8")
    assert source == golden.read_text("utf-8"), "to accept it: pytest --update-goldens"


@targets
def test_ruff_finds_nothing(target: str, forms_of: Callable[[str], Path]) -> None:
    folder, beside = forms_of(target), ("--config", 'src = ["*"]')  # the model is beside its script
    check("ruff", "check", "--isolated", *beside, "--select", "E,F,I,UP,B", ".", cwd=folder)
    check("ruff", "format", "--isolated", "--diff", ".", cwd=folder)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["torch", "flax"])
def test_mypy_finds_nothing(target: str, forms_of: Callable[[str], Path], tmp_path: Path) -> None:
    files = []
    for folder in forms_of(target).iterdir():
        for path in folder.glob("*.py"):  # each form has a model of the same name
            ours, theirs = f"small_{target}", f"{folder.name}_{target}"
            files.append(path.name.replace(ours, theirs))
            text = path.read_text("utf-8").replace(ours, theirs)
            (tmp_path / files[-1]).write_text(text, "utf-8")
    cache = f"--cache-dir={tmp_path}/cache"
    check("mypy", "--strict", "--config-file=", cache, *files, cwd=tmp_path)


@targets
def test_only_what_a_recipe_needs_is_written(target: str, forms_of: Callable[[str], Path]) -> None:
    file = forms_of(target) / "least" / f"train_small_least_{target}.py"
    least, (words, lines) = file.read_text("utf-8"), LEAST[target]
    for word in (*words, "clip", "draw", "crop_box", "HEADS", "SMOOTHING", "L2"):
        assert word not in least, word
    assert len(least.splitlines()) < lines
