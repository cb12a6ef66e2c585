"""The command line of training scripts, which is plain Python in all of them."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from small import spec

from incgen.compiling import compile_recipe
from incgen.targets import TARGETS
from incgen.targets.shared import training

#: What the functions of the command line need.
NAMES = {"argparse": argparse, "Path": Path, "partial": partial}


@pytest.fixture(scope="module", params=TARGETS)
def script(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return the functions of the command line of a script, without its framework."""
    graph, recipe = compile_recipe("spec.inc", "r", text=spec())
    tree = ast.parse(training.script(graph, recipe, request.param))
    tree.body = [
        part
        for part in tree.body
        if isinstance(part, ast.FunctionDef) and part.name in ("whole", "parse_arguments")
    ]
    names = {"__doc__": "A script."} | NAMES
    exec(compile(tree, "script", "exec"), names)  # our own code
    return names


@pytest.fixture
def parse(
    script: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., argparse.Namespace]:
    """Return what parses options beside --data, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def parsed(*options: str) -> argparse.Namespace:
        monkeypatch.setattr("sys.argv", ["train.py", "--data=data", *options])
        arguments: argparse.Namespace = script["parse_arguments"]()
        return arguments

    return parsed


@pytest.mark.parametrize("option", ["save-every", "evaluate-every", "log-every", "steps"])
def test_numbers_of_steps_begin_with_1(
    option: str,
    parse: Callable[..., argparse.Namespace],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert vars(parse(f"--{option}", "1"))[option.replace("-", "_")] == 1
    for value in ("0", "-1", "1.5", "4294967296"):
        with pytest.raises(SystemExit):
            parse(f"--{option}", value)
        said = capsys.readouterr().err
        assert f"error: argument --{option}: {value} is not a whole number from 1\n" in said


@pytest.mark.parametrize("option", ["seed", "workers"])
def test_seeds_and_workers_begin_with_0(
    option: str,
    parse: Callable[..., argparse.Namespace],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert vars(parse(f"--{option}", "0"))[option] == 0
    assert vars(parse(f"--{option}", "4294967295"))[option] == 4294967295
    for value in ("-1", "many", "4294967296"):
        with pytest.raises(SystemExit):
            parse(f"--{option}", value)
        said = capsys.readouterr().err
        assert f"error: argument --{option}: {value} is not a whole number from 0\n" in said


def test_what_does_not_go_together(
    parse: Callable[..., argparse.Namespace], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("old").mkdir()
    Path("old/last.safetensors").touch()
    for name in ("checkpoint.pt", "checkpoint.npz"):
        Path("old", name).touch()
    Path("weights").mkdir()
    Path("weights/last.safetensors").touch()
    Path("begun").mkdir()
    Path("begun/log.csv").touch()
    for options, message in (
        (["--output=old"], "old has a run: add --resume, or another --output"),
        (["--fresh", "logits"], "--fresh has a meaning with --from only"),
        (["--output=old", "--resume", "--from=x"], "leave out --from"),
        (["--output=old", "--resume", "--freeze", "conv1"], "leave out --from, --freeze"),
        (["--output=old", "--resume", "--seed=0"], "leave out --from, --freeze, --seed"),
        (["--output=weights"], "weights has weights, no checkpoint: take another --output"),
        (["--output=weights", "--resume"], "no checkpoint: take another --output"),
        (["--output=new", "--resume"], "new has no checkpoint: leave out --resume"),
        (["--output=begun", "--resume"], "begun has no checkpoint: leave out --resume"),
        (["--output=begun/log.csv"], "error: --output begun/log.csv: File exists"),
        (["--output=begun/log.csv/run"], "error: --output begun/log.csv/run: Not a directory"),
    ):
        with pytest.raises(SystemExit):
            parse(*options)
        assert message in capsys.readouterr().err
    assert parse("--output=old", "--resume").resume
    assert parse("--output=begun").seed == 0  # it ended before its first checkpoint
