"""Follow a page as a reader would: from top to bottom, every file, command and program.

    inc file NAME, python file NAME     saved under that name
    console                             commands; the lines behind each are its output
    python                              run, all in one program
    text output                         what the program in front has printed; `...` is any lines
    yaml                                the steps and hooks in it that run incgen are run

`python guides.py STEPS` runs in the folder of the reader; STEPS is what `test_guides.py` writes.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from incgen.cli.main import main as main_of_incgen

_INSTALLS = ("pip", "make", "git", "cd")


def main(steps: list[dict[str, str]]) -> int:
    """Run the steps; return 1, and print what is wrong, at the first that is not as it says."""
    names: dict[str, Any] = {"__name__": "__page__"}
    sys.path.insert(0, "")
    printed = ""
    for step in steps:
        try:
            match step["kind"]:
                case "file":
                    Path(step["name"]).parent.mkdir(parents=True, exist_ok=True)
                    Path(step["name"]).write_text(step["text"], "utf-8")
                case "console":
                    _console(step["text"])
                case "python":
                    with contextlib.redirect_stdout(io.StringIO()) as out:
                        exec(compile(step["text"], step["place"], "exec"), names)
                    printed = out.getvalue()
                case "output":
                    _compare("the program", step["text"].splitlines(), printed)
                case "yaml":
                    _yaml(step["text"])
        except Exception:
            traceback.print_exc()
            print(f"at {step['place']}", file=sys.stderr)
            return 1
    return 0


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each command with the lines that follow it."""
    command, lines = "", list[str]()
    for line in text.splitlines():
        if line.startswith("$ "):
            if command:
                yield command, lines
            command, lines = line[2:], []
        else:
            lines.append(line)
    if command:
        yield command, lines


def _console(text: str) -> None:
    for command, lines in commands(text):
        words = shlex.split(command, comments=True)
        if words[0] in _INSTALLS:
            continue
        run(command, lines)


def run(command: str, lines: list[str]) -> None:
    """Run a command, and compare its output with the lines if there are any."""
    status, output = _run(shlex.split(command, comments=True))
    while lines and not lines[-1]:
        lines.pop()
    if lines:
        _compare(command, lines, output)
    elif status:
        raise AssertionError(f"{command} gives\n{output}")


def _run(words: list[str]) -> tuple[int, str]:
    """Run incgen as its command does, but in this process: that saves its start."""
    assert words[0] == "incgen", words
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
        try:
            main_of_incgen(words[1:])
        except SystemExit as end:
            status = int(end.code or 0)
    return status, out.getvalue().rstrip("\n")


def _compare(what: str, lines: list[str], output: str) -> None:
    parts = [".*" if line == "..." else re.escape(line.rstrip()) for line in lines]
    pattern = r"\n".join(parts).replace(r".*\n", r"(?:.*\n)?").replace(r"\n.*", r"(?:\n.*)?")
    output = "\n".join(line.rstrip() for line in output.rstrip("\n").splitlines())
    if re.fullmatch(pattern, output, re.DOTALL) is None:
        raise AssertionError(f"{what} gives\n{output}")


def _yaml(text: str) -> None:
    """Run what a configuration of hooks or of continuous integration runs."""
    import yaml

    lines = list(_strings(yaml.safe_load(text)))
    ours = [line for line in lines if line.startswith("incgen ")]
    assert ours, lines
    for command in ours:
        words = shlex.split(command)
        words += [] if any(word.endswith(".inc") for word in words) else ["net.inc"]
        status, output = _run(words)
        assert status == 0, f"{command} gives\n{output}"


def _strings(value: object) -> Iterator[str]:
    """Yield the commands in a document: the values of `run` and `entry`."""
    if isinstance(value, dict):
        for key, child in value.items():
            if key in ("run", "entry"):
                yield child
            else:
                yield from _strings(child)
    elif isinstance(value, list):
        for child in value:
            yield from _strings(child)


if __name__ == "__main__":
    sys.exit(main(json.loads(Path(sys.argv[1]).read_text("utf-8"))))
