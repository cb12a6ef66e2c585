"""Source text as `ruff format` lays it out, with the imports that it needs and no others."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path


class FormatterError(Exception):
    """Ruff, which incgen depends on, is not there; the text says what to do."""


def formatted(source: str, width: int) -> str:
    """Lay a file out: unused imports removed, the others sorted, lines broken at a width.

    The configuration of the user's own project has no part in it.

    Raises:
        FormatterError: ruff cannot be run.
        SyntaxError: the source is not Python.
    """
    sorted_ = _ruff(["check", "--quiet", "--fix-only", "--select=F401,I001"], source, width)
    return _ruff(["format", "--quiet"], sorted_, width)


def _ruff(command: list[str], source: str, width: int) -> str:
    """Run ruff from standard input to standard output."""
    words = [*command, "--isolated", "--no-cache", f"--line-length={width}", "-"]
    try:
        done = subprocess.run(
            [_program(), *words], input=source.encode("utf-8"), capture_output=True, check=False
        )
    except (ImportError, OSError) as error:
        help_ = "install it with `pip install ruff`"
        raise FormatterError(f"ruff, which lays generated code out, is missing: {help_}") from error
    if done.returncode:
        # Python says what is wrong, and where.
        compile(source, "generated", "exec", dont_inherit=True)
        raise SyntaxError(done.stderr.decode("utf-8", "replace").strip())
    return done.stdout.decode("utf-8")


@cache
def _program() -> str:
    """Return the path of ruff's program: beside Python, or where its package knows it to be."""
    beside = Path(sys.executable).with_name("ruff")
    if beside.is_file():
        return str(beside)
    from ruff import find_ruff_bin

    return str(find_ruff_bin())
