"""Runs all benchmarks, each in a process of its own, and prints their figures as one table.

`make bench` runs it. Nothing else should run meanwhile; it takes some minutes.
"""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

from figures import from_script, print_table

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
    """Prints all figures; 1 if one of them missed its bar."""
    folder = Path(__file__).resolve().parent
    found = []
    for script in SCRIPTS:
        print(f"{script} ...", file=sys.stderr, flush=True)
        found += from_script(folder / script)
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores\n")
    print_table(found)
    return 1 if any(figure.reached is False for figure in found) else 0


if __name__ == "__main__":
    sys.exit(main())
