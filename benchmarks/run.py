"""Run all benchmarks, each in a separate process, and print their figures as one table.

`make bench` runs this. Run nothing else meanwhile; it takes half an hour. With `--smallest` it
only shows that all of them work, and ignores the bars.
"""

from __future__ import annotations

import os
import platform
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from figures import SMALLEST, Figure, from_script, option_parser, print_table

SCRIPTS = (
    "startup.py",
    "editor.py",
    "scaling.py",
    "family.py",
    "weights.py",
    "verify.py",
    "training.py",
    "inference.py",
)


def main() -> int:
    """Print all figures; return 1 if one of them misses its bar."""
    option_parser(__doc__).parse_args()
    folder = Path(__file__).resolve().parent
    measured: list[Figure] = []
    with ThreadPoolExecutor(2 if SMALLEST else 1) as executor:  # they run as processes
        for script, figures in zip(
            SCRIPTS, executor.map(from_script, map(folder.joinpath, SCRIPTS)), strict=True
        ):
            print(script, file=sys.stderr, flush=True)
            measured += figures
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores\n")
    print_table(measured)
    if SMALLEST:
        return 0
    return 1 if any(figure.reached is False for figure in measured) else 0


if __name__ == "__main__":
    sys.exit(main())
