"""Format source text with ruff, and remove the imports that it does not need."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

#: A browser has no processes, so there is nothing that could run ruff.
PROCESSES = sys.platform != "emscripten"


class FormatterError(Exception):
    """Ruff, which incgen depends on, is missing; the message says what to do."""


def formatted(source: str, width: int, beside: Sequence[str] = ()) -> str:
    """Format a file: remove unused imports, sort the others, break lines at a width.

    The configuration of the user's own project is ignored. In a browser, where ruff cannot run,
    the text stays as it is: the same program, with more imports and longer lines.

    Args:
        source: The text of the file.
        width: The columns of a line.
        beside: Modules that stand beside the file, whose imports come last.

    Raises:
        FormatterError: Ruff cannot be run.
        SyntaxError: The source is not Python.
    """
    if not PROCESSES:
        compile(source, "generated", "exec", dont_inherit=True)
        return source
    options = ["--quiet", "--isolated", "--no-cache", f"--line-length={width}", "-"]
    check = ["check", "--fix-only", "--select=F401,I001"]
    # One feeds the other, so that both start at once.
    # Names are on one line again if they fit there without those that are removed.
    own = f"split-on-trailing-comma = false, known-first-party = {json.dumps([*beside])}"
    with (
        _ruff([*check, "--config", f"lint.isort = {{ {own} }}", *options], None) as pruning,
        _ruff(["format", *options], pruning.stdout) as layout,
    ):
        assert pruning.stdout is not None
        pruning.stdout.close()  # the other one reads it
        pruning.stdout = None
        _, faults = pruning.communicate(source.encode("utf-8"))
        text, more_faults = layout.communicate()
    if pruning.returncode or layout.returncode:
        # Python's own message has the place.
        compile(source, "generated", "exec", dont_inherit=True)
        raise SyntaxError((faults or more_faults).decode("utf-8", "replace").strip())
    return text.decode("utf-8")


def laid_out(source: str) -> str:
    """Format Python code whose imports stay as they are, within the usual width.

    Raises:
        FormatterError: Ruff cannot be run.
    """
    if not PROCESSES:
        return source
    with _ruff(["format", "--quiet", "--isolated", "--no-cache", "-"], None) as layout:
        return layout.communicate(source.encode("utf-8"))[0].decode("utf-8")


def _ruff(command: list[str], given: IO[bytes] | None) -> subprocess.Popen[bytes]:
    """Start ruff on the output of another process, or on what will be written to it."""
    import subprocess  # only what is written is laid out

    pipe = subprocess.PIPE
    try:
        return subprocess.Popen(
            [_program(), *command], stdin=given or pipe, stdout=pipe, stderr=pipe
        )
    except (ImportError, OSError) as error:
        help_ = "install it with `pip install ruff`"
        raise FormatterError(f"ruff, which lays generated code out, is missing: {help_}") from error


@cache
def _program() -> str:
    """Return the path of ruff: beside Python, or where its package finds it."""
    beside = Path(sys.executable).with_name("ruff")
    if beside.is_file():
        return str(beside)
    from ruff import find_ruff_bin

    return str(find_ruff_bin())
