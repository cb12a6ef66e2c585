"""Measure the length and cleanliness of generated files, compared with hand-written ones."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import incgen
from figures import SPEC, Figure, at_most, run_script, zero

BAR = 1.3
WRITTEN_BY_HAND = {"torch": 154, "keras": 152, "flax": 200}  # lines of reference/*.py
RUFF = ("--isolated", "--line-length=88", "--no-cache")


def measure() -> list[Figure]:
    """Return the length and the lint errors of each generated file."""
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        incgen.build(SPEC, list(WRITTEN_BY_HAND), folder)
        for target, lines in WRITTEN_BY_HAND.items():
            path = Path(folder, f"bn_inception_{target}.py")
            figures += [length(path, lines), *cleanliness(path)]
            if target != "keras":  # which has no types
                figures.append(types(path))
    return figures


def length(path: Path, by_hand: int) -> Figure:
    """Return how many times longer a file is than the one written by hand."""
    lines = len(path.read_text(encoding="utf-8").splitlines())
    name = f"{path.name}: lines / lines by hand"
    return at_most(name, lines / by_hand, BAR, f"({lines} / {by_hand})")


def cleanliness(path: Path) -> list[Figure]:
    """Return the number of errors that ruff reports in a file."""
    check = ("check", *RUFF, "--select=E,F,I,UP,B", "--output-format=concise")
    return [
        zero(f"{path.name}: faults by ruff check", faults("ruff", *check, str(path))),
        zero(f"{path.name}: by ruff format", faults("ruff", "format", "--check", *RUFF, str(path))),
    ]


def types(path: Path) -> Figure:
    """Return the number of errors that mypy reports in a file."""
    options = ("--strict", "--config-file=", "--no-error-summary", "--cache-dir=/dev/null")
    return zero(f"{path.name}: by mypy --strict", faults("mypy", *options, str(path)))


def faults(tool: str, *arguments: str) -> int:
    """Run a tool on a file and count the errors that it reports there.

    The tool's output is passed on to stderr. A tool that fails without naming an error counts as
    one.
    """
    command = [sys.executable, "-m", tool, *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode == 0:
        return 0
    print(done.stdout + done.stderr, file=sys.stderr)
    name = Path(arguments[-1]).name
    return max(1, sum(f"{name}:" in line for line in done.stdout.splitlines()))


if __name__ == "__main__":
    run_script(__doc__, measure)
