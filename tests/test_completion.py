"""Completion in shells: what is offered for a line, and the scripts that ask for it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from incgen.cli.main import commands

SPEC = """\
numerics torch
unit conv_bn = conv bias=false -> bn
network net(classes = 10, wide = 4) {
    input 8x8 3
    stem: conv_bn 3x3 wide
    global_avg_pool
    logits: dense classes
}
recipe fast for net { epochs 1 }
"""


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.inc").write_text(SPEC)
    Path("bad.inc").write_text("network {")


def offered(line: str) -> list[str]:
    """Return what is offered for the last word of a line; files are offered as `(files)`."""
    *words, last = line.split(" ")
    items = ShellComplete(commands, {}, "incgen", "_INCGEN_COMPLETE").get_completions(words, last)
    return ["(files)" if item.type == "file" else item.value for item in items]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("s", ["show"]),
        ("weights e", ["export"]),
        ("show --num", ["--numerics"]),
        ("show incep", ["(files)", *(f"inception_{name}" for name in (
            "resnet_v1", "resnet_v2", "v1_block", "v1_slim", "v2_factorized",
            "v3", "v3_fid", "v3_tf", "v4"))]),
        ("diff net.inc xc", ["(files)", "xception"]),
        ("build net.inc --target ", ["flax", "keras", "onnx", "torch"]),
        ("build net.inc -t k", ["keras"]),
        ("build net.inc --recipe ", ["fast"]),
        ("build net.inc --set ", ["classes=", "wide="]),
        ("show net.inc --set w", ["wide="]),
        ("build net.inc --deploy --no-pass fold", ["fold-norm", "fold-scale"]),
        ("show net.inc --sort fi", ["field"]),
        ("show net.inc --columns op,st", ["op,stride"]),
        ("show net.inc --columns +li", ["+line"]),
        ("show net.inc --columns a", ["all"]),
        ("show net.inc --format m", ["markdown"]),
        ("draw net.inc --open ", ["conv_bn", "stem"]),
        ("ops adapt", ["adaptive_avg_pool"]),
        ("explain shape", ["shape-mismatch"]),
        ("new x.inc --template xc", ["xception"]),
        ("templates fl", ["flax"]),
        ("completion ", ["bash", "zsh", "fish"]),
        ("build bad.inc --recipe ", []),
        ("build nothing.inc --set ", []),
        ("draw - --open ", []),
    ],
)  # fmt: skip
def test_what_is_offered(line: str, words: list[str]) -> None:
    assert offered(line) == words


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell(shell: str) -> None:
    done = CliRunner().invoke(commands, ["completion", shell])

    assert done.exit_code == 0
    assert "_INCGEN_COMPLETE=" in done.output and f"{shell}_complete" in done.output
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"needs {shell}")
    checked = subprocess.run(
        [program, "-n"], input=done.output, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")


def run(shell: str, *arguments: str) -> str:
    """Return what a shell prints for which `incgen` is a command."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"needs {shell}")
    command = Path("bin/incgen")
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m incgen "$@"\n')
    command.chmod(0o755)
    path = f"{command.parent.resolve()}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [program, *arguments],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_bash_completes() -> None:
    """As after typing the words and the tab key."""
    script = """
        eval "$(incgen completion bash)"
        compopt() { echo "$@"; }
        COMP_WORDS=(incgen build net.inc --set wi); COMP_CWORD=4
        _incgen_completion incgen
        echo "${COMPREPLY[@]}"; COMPREPLY=()
        COMP_WORDS=(incgen build net.inc --target = k); COMP_CWORD=5
        _incgen_completion incgen
        echo "${COMPREPLY[@]}"
    """
    assert run("bash", "-c", script) == "-o nospace\nwide=\nkeras\n"


#: Typed lines, and what the tab key makes of them.
TYPED = {
    "incgen build net.inc --set wi": "incgen build net.inc --set wide=",
    "incgen build net.inc --target=k": "incgen build net.inc --target=keras",
    "incgen show net.inc --columns op,st": "incgen show net.inc --columns op,stride",
    "incgen diff ne": "incgen diff net.inc",
    "incgen weights ex": "incgen weights export",
}


def test_fish_completes() -> None:
    lines = " ".join(f"'{line}'" for line in TYPED)
    script = f"""
        incgen completion fish | source
        for line in {lines}; complete -C $line; end
    """
    completed = [line.partition("\t")[0] for line in run("fish", "-N", "-c", script).splitlines()]

    assert completed == [line.rpartition(" ")[2] for line in TYPED.values()]


def test_zsh_completes() -> None:
    """In a terminal of its own, for zsh completes nowhere else."""
    prepare = (
        'PS1=""; unsetopt beep; autoload -Uz compinit; compinit -u -D;'
        ' eval "$(incgen completion zsh)"; bindkey "^I" complete-word;'
        ' say() { print -r -- "<$BUFFER>"; BUFFER=""; zle -I }; zle -N say; bindkey "^P" say;'
        ' print REA""DY'
    )
    typed = "".join(
        f"zpty -w -n z {shlex.quote(line)}$'\\t\\x10'; zpty -r z out '*<*>*'; print -r -- $out\n"
        for line in TYPED
    )
    script = (
        f"zmodload zsh/zpty; zpty z zsh -f -i; zpty -w z {shlex.quote(prepare)}\n"
        f"zpty -r z out '*READY*'\n{typed}"
    )
    completed = re.findall("<(incgen .*?) ?>", run("zsh", "-f", "-c", script))

    assert completed == [*TYPED.values()]


def test_an_unknown_shell() -> None:
    done = CliRunner().invoke(commands, ["completion", "tcsh"])

    assert done.exit_code == 2
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in done.output
