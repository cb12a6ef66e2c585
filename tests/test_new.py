"""`incgen new`: templates of specs, and projects whose own tests pass."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from incgen import api, compiling
from incgen.cli.main import main
from incgen.starting import projects, specs
from incgen.syntax import shipped
from incgen.syntax.format import format_text
from incgen.targets import TARGETS

ROOT = Path(__file__).parent.parent


def run(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> tuple[int | str | None, str, str]:
    """Run `incgen new`; return its exit code and what it prints."""
    with pytest.raises(SystemExit) as ended:
        main(["new", *arguments])
    printed = capsys.readouterr()
    return ended.value.code, printed.out, printed.err


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


# ---------------------------------------------------------------- specs


@pytest.mark.parametrize("name", specs.templates())
def test_a_template_is_a_spec_without_faults_for_every_target(name: str) -> None:
    path = specs.templates()[name]
    text = path.read_text("utf-8")

    assert api.check(path) == []
    assert format_text(text) == text
    assert compiling.compile_spec(path).program.network.name == name
    assert text.startswith("## ")


def test_a_spec_is_the_template_under_its_name(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, _, said = run(["specs/my-net.inc", "--template", "trained"], capsys)

    assert (code, said) == (0, "wrote specs/my-net.inc\n")
    text = (tmp_path / "specs" / "my-net.inc").read_text("utf-8")
    template = specs.templates()["trained"].read_text("utf-8")
    assert "\nrecipe quick for my_net {\n" in text
    assert "\nnetwork my_net(classes = 10) {\n" in text
    assert text == template.replace(" trained", " my_net")
    assert api.check(tmp_path / "specs" / "my-net.inc") == []


def test_a_spec_without_a_template_is_the_first_of_the_list(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(["net.inc"], capsys)[0] == 0

    small = specs.templates()["small"].read_text("utf-8")
    assert (tmp_path / "net.inc").read_text("utf-8") == small.replace(" small(", " net(")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name == "bn_inception_paper" else pytest.mark.slow)
        for name in shipped.names()
    ],
)
def test_a_copy_of_a_shipped_network_is_that_network_anywhere(name: str) -> None:
    copy = compiling.compile_spec("elsewhere/mine.inc", text=specs.spec_from(name, "mine"))
    original = compiling.compile_spec(name)

    assert copy.program.network.name == "mine"
    assert [(node.path, node.op, node.shape, node.tensors) for node in copy.nodes] == [
        (node.path, node.op, node.shape, node.tensors) for node in original.nodes
    ]


def test_the_list_says_what_each_template_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")

    code, listed, _ = run(["--list"], capsys)

    assert code == 0
    mine, _, copies = listed.partition("\nCopies of networks that come with incgen:\n")
    assert mine.startswith(
        "small                    A small convolutional network for images of 32x32.\n"
    )
    names = [line.split()[0] for line in mine.splitlines() if line[:1].strip()]
    assert names == list(specs.templates())
    copied = [line.split()[0] for line in copies.splitlines() if line[:1].strip()]
    assert copied == shipped.names()


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ([], "give the name of a project, or of a spec such as `net.inc`"),
        (["3d.inc"], "`3d` cannot name a network: a name begins with a letter, and has"),
        (["a b.inc"], "`a b` cannot name a network: a name begins with a letter, and has"),
        (["n" * 61], "digits and `_`, 60 at most"),
        (["class.inc"], "`class` cannot name a network: `class` is a Python keyword"),
        (["tensor.inc"], "`tensor` would become `Tensor`, which generated code uses itself"),
        (["dense.inc"], "`dense` cannot name a network of the template `small`: "),
        (["conv_bn.inc"], "`conv_bn` is defined twice"),
        (["a.inc", "--template", "residul"], "there is no template `residul`: did you mean `resid"),
        (["a.inc", "--template", "q"], "there is no template `q`: `incgen new --list` lists them"),
        (["a.inc", "--target", "torch"], "--target is for projects: `incgen build` takes it"),
        (["my_net", "--target", "caffe"], "there is no target `caffe`"),
        (["json"], "whose package would be mistaken for another `json`: try `json_net`"),
        (["tests"], "whose package would be mistaken for another `tests`"),
        (["incgen"], "whose package would be mistaken for another `incgen`"),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason_and_nothing_written(
    arguments: list[str], fault: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, _, said = run(arguments, capsys)

    assert code == 2
    assert fault in said
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "net.inc").write_text("mine", "utf-8")
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "notes.txt").write_text("mine", "utf-8")
    (tmp_path / "file").write_text("mine", "utf-8")
    (tmp_path / "link.inc").symlink_to("nowhere.inc")
    (tmp_path / "link").symlink_to("nowhere")

    for name in ("net.inc", "net", "file", "link.inc", "link"):
        code, _, said = run([name], capsys)
        assert (code, said) == (2, f"Error: `{name}` exists: choose another name, or remove it\n")

    assert (tmp_path / "net.inc").read_text("utf-8") == "mine"
    assert [path.name for path in (tmp_path / "net").iterdir()] == ["notes.txt"]


# ---------------------------------------------------------------- projects


def test_a_project_has_what_a_project_needs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "my-net").mkdir()  # an empty folder is as good as none

    code, _, said = run(["my-net", "-t", "torch", "-t", "jax"], capsys)

    assert code == 0
    files = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file())
    assert files == [
        "my-net/.github/workflows/tests.yml",
        "my-net/.gitignore",
        "my-net/.pre-commit-config.yaml",
        "my-net/README.md",
        "my-net/my_net/__init__.py",
        "my-net/my_net/my_net_flax.py",
        "my-net/my_net/my_net_torch.py",
        "my-net/pyproject.toml",
        "my-net/specs/my_net.inc",
        "my-net/tests/test_my_net.py",
    ]
    assert said.splitlines()[-1] == "Next: cd my-net; pip install -e '.[dev]'; pytest"
    for name in files:
        text = (tmp_path / name).read_text("utf-8")
        assert not re.search(r"<[a-z]+>", text), name
        assert text.endswith("\n")
    readme = (tmp_path / "my-net" / "README.md").read_text("utf-8")
    assert "from my_net.my_net_torch import MyNet\n" in readme
    assert "incgen build specs/my_net.inc --target torch --target flax -o my_net/\n" in readme
    project = tomllib.loads((tmp_path / "my-net" / "pyproject.toml").read_text("utf-8"))
    assert project["project"]["name"] == "my-net"
    assert project["project"]["dependencies"] == ["torch", "flax", "jax", "safetensors"]
    extras = project["project"]["optional-dependencies"]["dev"]
    assert extras == ["incgen[torch,flax,verify]", "pre-commit", "pytest"]
    assert project["tool"]["setuptools"]["packages"] == ["my_net"]


def test_its_commands_find_nothing_to_do(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the hooks and of CI leave a new project as it is, and those of the README work."""
    run(["net"], capsys)
    monkeypatch.chdir(tmp_path / "net")

    hooks = yaml.safe_load(Path(".pre-commit-config.yaml").read_text("utf-8"))["repos"][0]["hooks"]
    steps = yaml.safe_load(Path(".github/workflows/tests.yml").read_text("utf-8"))
    lines = [step["run"] for step in steps["jobs"]["test"]["steps"] if "run" in step]
    commands = [hook["entry"] for hook in hooks if not hook.get("pass_filenames", True)]
    commands += [f"{hook['entry']} specs/net.inc" for hook in hooks if "files" in hook]
    commands += [line.replace("*", "net") for line in lines if line.startswith("incgen")]
    commands += re.findall(r"^\$ (incgen [^#\n]+)", Path("README.md").read_text("utf-8"), re.M)
    assert len(commands) == 8
    for command in commands:
        with pytest.raises(SystemExit) as ended:
            main(command.split()[1:])
        assert ended.value.code == 0, command
    assert lines[-1] == "pytest"
    said = capsys.readouterr().err
    assert "formatted" not in said
    assert "wrote net.html\n" in said
    assert "unchanged net/net_torch.py\n" in said


def test_its_hooks_are_those_that_incgen_offers(capsys: pytest.CaptureFixture[str]) -> None:
    run(["net"], capsys)

    offered = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    hooks = yaml.safe_load(Path("net/.pre-commit-config.yaml").read_text("utf-8"))["repos"][0]
    assert [hook["id"] for hook in hooks["hooks"]] == [hook["id"] for hook in offered]
    for hook, one in zip(hooks["hooks"], offered, strict=True):
        assert hook["entry"].startswith(one["entry"])


def test_what_a_project_depends_on_is_what_the_extras_of_incgen_have() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for target in TARGETS:
        wanted = extras["optional-dependencies"][target]
        names = {re.split(r"[<>=]", requirement)[0] for requirement in wanted}
        assert set(projects.NEEDS[target]) <= names


def imported(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_its_tests_see_a_change_of_the_spec(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run(["net"], capsys)
    tests: Any = imported(tmp_path / "net" / "tests" / "test_net.py")

    assert (tests.TARGETS, tests.RUNGS) == (["torch"], [0, 1, 2, 4])
    tests.test_the_generated_file_is_up_to_date("torch")

    spec = tmp_path / "net" / "specs" / "net.inc"
    spec.write_text(spec.read_text("utf-8").replace("conv_bn 3x3  ", "conv_bn 5x5  "))
    with pytest.raises(AssertionError, match=r"net_torch\.py is not what .*net\.inc gives"):
        tests.test_the_generated_file_is_up_to_date("torch")


@pytest.mark.slow  # tests/test_verify.py has a quick one
def test_its_own_tests_pass_in_every_framework(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run(["net", *(w for t in TARGETS for w in ("-t", t))], capsys)
    (tmp_path / "net" / "conftest.py").touch()  # pytest finds its configuration here

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "ignore"],
        cwd=tmp_path / "net",
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout


def test_its_code_is_clean(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run(["a_network_with_a_name_that_is_as_long_as_nobody_would_write_it"], capsys)

    for command in (["check", "--select", "E,F,I,UP,B"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", "."],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
