"""The wheel, installed in an empty environment outside the checkout, builds BN-Inception."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from incgen.targets import TARGETS

ROOT = Path(__file__).parent.parent
#: The input of a build, and `fuzzing`, which it must omit; copied, because setuptools leaves
#: folders behind.
SOURCES = ["incgen", "fuzzing", "grammar", "templates", "specs", "starters"]
SOURCES += ["pyproject.toml", "README.md"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a virtual environment with the wheel and its dependencies."""
    folder = tmp_path_factory.mktemp("wheel")
    checkout = folder / "checkout"
    checkout.mkdir()
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(source, checkout / name, ignore=ignore)
        else:
            shutil.copy(source, checkout / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-qq"]
    wheel = [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(checkout)]
    subprocess.run(wheel, check=True, cwd=folder)
    venv = [sys.executable, "-m", "venv", "--without-pip", str(folder / "env")]
    subprocess.run(venv, check=True)
    constraints = ["-c", str(ROOT / "constraints.txt")]
    built = next(folder.glob("incgen-*.whl"))
    install = [*pip, "--python", str(folder / "env" / "bin" / "python"), "install"]
    subprocess.run([*install, *constraints, str(built)], check=True, cwd=folder)
    return folder


def run(folder: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    command = [str(folder / "env" / "bin" / program), *arguments]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env=environment, check=False
    )


def test_it_builds_for_every_target(installed: Path) -> None:
    shutil.copy(ROOT / "specs" / "bn_inception.inc", installed / "bn_inception.inc")
    targets = [word for target in TARGETS for word in ("--target", target)]

    built = run(installed, "incgen", "build", "bn_inception.inc", *targets)

    assert built.returncode == 0, built.stderr
    for target in TARGETS:
        text = (installed / "generated" / f"bn_inception_{target}.py").read_text("utf-8")
        golden = (ROOT / "tests" / "golden" / f"bn_inception_{target}.py").read_text("utf-8")
        assert text.endswith(golden)  # behind the checksum line


def test_it_checks_formats_and_shows_without_a_framework(installed: Path) -> None:
    shutil.copy(ROOT / "specs" / "bn_inception.inc", installed / "copy.inc")

    assert run(installed, "incgen", "check", "copy.inc").returncode == 0
    assert run(installed, "incgen", "format", "--check", "copy.inc").returncode == 0
    assert "11,285,224" in run(installed, "incgen", "show", "copy.inc").stdout
    for form in ("svg", "html"):
        assert run(installed, "incgen", "draw", "copy.inc", "-o", f"net.{form}").returncode == 0
        assert "inception_3a" in (installed / f"net.{form}").read_text("utf-8")
    assert "incgen[draw]" in run(installed, "incgen", "draw", "copy.inc", "-o", "net.png").stderr


def test_it_documents_and_starts_projects(installed: Path) -> None:
    assert "is never closed" in run(installed, "incgen", "explain", "missing-brace").stdout
    assert "nnx.relu(x)" in run(installed, "incgen", "ops", "relu").stdout
    assert run(installed, "incgen", "new", "my-net").returncode == 0
    assert (installed / "my-net" / "my_net" / "my_net_torch.py").is_file()


@pytest.mark.parametrize("arguments", [["init"], ["import", "x.pth"]], ids=lambda a: str(a[0]))
def test_it_says_which_extra_weights_need(installed: Path, arguments: list[str]) -> None:
    result = run(
        installed, "incgen", "weights", *arguments, "bn_inception.inc", "-o", "w.safetensors"
    )

    assert result.returncode == 2
    assert "incgen[weights]" in result.stderr
    assert "Traceback" not in result.stderr


def test_it_ships_grammar_templates_and_specs(installed: Path) -> None:
    script = (
        "from importlib import resources as r; "
        "print(*(r.files(p).joinpath(f).is_file() for p, f in ("
        "('incgen.grammar', 'inc.lark'), ('incgen.grammar', 'slips.toml'), "
        "('incgen.templates', 'torch/module.py.jinja'), "
        "('incgen.specs', 'bn_inception.inc'), ('incgen.specs', 'parts/inception_v1.inc'), "
        "('incgen.specs', 'layouts/bn_inception/cadene.toml'), ('incgen', 'py.typed'), "
        "('incgen.draw', 'page_files/page.js'), ('incgen.grammar', 'errors.toml'), "
        "('incgen.starters', 'project/gitignore.in'))))"
    )
    result = run(installed, "python", "-c", script)

    assert result.stdout.split() == ["True"] * 10


def test_it_holds_incgen_and_nothing_else(installed: Path) -> None:
    with ZipFile(next(installed.glob("incgen-*.whl"))) as wheel:
        tops = {Path(name).parts[0] for name in wheel.namelist()}

    assert {top for top in tops if not top.endswith(".dist-info")} == {"incgen"}
    assert run(installed, "python", "-c", "import fuzzing").returncode == 1
