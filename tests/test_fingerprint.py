"""The digest in the first line of a generated file covers what it says, not its layout."""

from __future__ import annotations

import subprocess
import sys

import pytest

from incgen.base.fingerprint import fingerprint

SOURCE = '''"""A module.

Words that
fill lines.
"""

import os
from typing import Any, Final  # types


def f(a: int, b: str = "x#y") -> tuple[int, ...]:
    """Return what is given."""
    # one comment
    # of two lines
    value = (a if a > 1 else 2)
    if b:
        return (value, 1)
    return value, -2.5, b'\\x00', f"{a:>{value}} is # no comment", None, True, 1e11
'''
OTHERWISE = '''"""A module.

Words that fill
lines.
"""

from typing import (
    Any,  # types
)
from typing import Final
import os
def f(
    a: int,
    b: str = 'x#y',
) -> tuple[int, ...]:
    """
    Return what is given.
    """
    # one comment of
    # two lines
    value = a if a > 1 else 2
    if b: return value, 1
    return (value, -2.5, b"\\x00", f"{a:>{value}} is # no comment", None, True,
            100000000000.0)
'''


def test_another_layout_says_the_same() -> None:
    assert fingerprint(OTHERWISE) == fingerprint(SOURCE)


def test_another_formatter_changes_nothing() -> None:
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length=40", "-"]
    done = subprocess.run(command, input=SOURCE, capture_output=True, text=True, check=True)
    assert done.stdout != SOURCE
    assert fingerprint(done.stdout) == fingerprint(SOURCE)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("one comment", "another comment"),
        ("  # types", ""),
        ("fill lines", "fill pages"),
        ("x#y", "x#z"),
        ("a > 1", "a > 2"),
        ("-2.5", "2.5"),
        ("True", "1"),
        ("1e11", "1e12"),
        ("    return value, -2.5", "        return value, -2.5"),
        ("Final", "Final as F"),
        ("def f(", "def g("),
        ("is # no", "is # a"),
        ("import os", "import sys"),
        (" -> tuple[int, ...]", ""),
        ("(a if a > 1 else 2)", "(a, if a > 1 else 2"),
    ],
)
def test_another_word_says_something_else(before: str, after: str) -> None:
    assert before in SOURCE
    assert fingerprint(SOURCE.replace(before, after)) != fingerprint(SOURCE)


def test_the_digest_is_that_of_every_version_of_python() -> None:
    """Computed on 3.11; a version that gave another digest would call all files edited."""
    assert fingerprint(SOURCE) == "42e8c41378c4ab2c"
