"""Runs all benchmarks, each in a process of its own, and prints their figures as one table.

`make bench` runs it. Nothing else should run meanwhile; it takes some minutes. With `--smallest` it
only shows that all of them work, and no bar is held.
"""

from __future__ import annotations

import os
import platform
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from figures import SMALLEST, Figure, from_script, print_table

SCRIPTS = (
    "startup.py",
    "scaling.py",
    "size.py",
    "family.py",
    "weights.py",
    "verify.py",
    "models.py",
)


def main() -> int:
    """Print all figures; return 1 if one of them misses its bar."""
    folder = Path(__file__).resolve().parent
    found: list[Figure] = []
    with ThreadPoolExecutor(2 if SMALLEST else 1) as executor:  # they are processes
        for script, figures in zip(
            SCRIPTS, executor.map(from_script, map(folder.joinpath, SCRIPTS)), strict=True
        ):
            print(script, file=sys.stderr, flush=True)
            found += figures
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores\n")
    print_table(found)
    if SMALLEST:
        return 0
    return 1 if any(figure.reached is False for figure in found) else 0


if __name__ == "__main__":
    sys.exit(main())
