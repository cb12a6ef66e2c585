"""Measure how the time per layer grows with the number of layers.

Checks and builds networks of 100, 1,000 and 10,000 convolutions, both as a `repeat` and written out
line by line, all in this process. The cost is linear if a layer of a large network takes no longer
than one of a small network. Fixed costs (starting Lark, loading templates) make the layers of a
small network more expensive; that is shown, but does not count.
"""

from __future__ import annotations

import contextlib
import io
import statistics
import tempfile
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

from figures import SMALLEST, Figure, at_most, run_script, seconds

BAR = 2.0
#: The numbers of layers, with how often each is measured.
SIZES = {10: 1, 20: 1} if SMALLEST else {100: 9, 1_000: 5, 10_000: 3}
HEAD = "numerics torch\n\nnetwork deep() {\n    input 8x8 8\n"


def repeated(layers: int) -> str:
    """Return a spec with this many convolutions, in a `repeat`."""
    return f"{HEAD}    body: repeat {layers} {{ conv: conv 3x3 8 }}\n}}\n"


def written_out(layers: int) -> str:
    """Return a spec with this many convolutions, one per line."""
    lines = "".join(f"    conv{number}: conv 3x3 8\n" for number in range(layers))
    return f"{HEAD}{lines}}}\n"


FORMS: dict[str, Callable[[int], str]] = {"repeat": repeated, "lines": written_out}
COMMANDS = {
    "check": ("check",),
    "build torch": ("build", "--target", "torch"),
    "build keras": ("build", "--target", "keras"),
    "build flax": ("build", "--target", "flax"),
}


def measure() -> list[Figure]:
    """Return the growth of the time per layer, for each form and command."""
    with tempfile.TemporaryDirectory() as folder:
        incgen(*COMMANDS["build torch"], write(folder, repeated(1)), "-o", f"{folder}/")
        return [growth(folder, form, name) for form in FORMS for name in COMMANDS]


def growth(folder: str, form: str, name: str) -> Figure:
    """Measure one command on one form of spec at all sizes."""
    costs = [cost(folder, FORMS[form](layers), name, layers) for layers in SIZES]
    grown = max(later / earlier for earlier, later in combinations(costs, 2))
    note = "(" + ", ".join(f"{1e6 * seconds:.0f}" for seconds in costs) + " us a layer)"
    low, high = min(SIZES), max(SIZES)
    return at_most(f"{name}, {form}: growth from {low:,} to {high:,} layers", grown, BAR, note)


def cost(folder: str, spec: str, name: str, layers: int) -> float:
    """Return the median time per layer, in seconds."""
    path = write(folder, spec)
    output = Path(folder, "deep.py")

    def run() -> None:
        arguments = () if name == "check" else ("-o", str(output))
        incgen(*COMMANDS[name], path, *arguments)

    times = []
    for _ in range(SIZES[layers]):
        output.unlink(missing_ok=True)
        times.append(seconds(run))
    return statistics.median(times) / layers


def write(folder: str, spec: str) -> str:
    """Write a spec and return its path."""
    path = Path(folder, "deep.inc")
    path.write_text(spec, encoding="utf-8")
    return str(path)


def incgen(*arguments: str) -> None:
    """Run an incgen command in this process; raise an error if it fails."""
    from incgen.cli.main import main

    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            main(list(arguments))
    except SystemExit as end:
        if end.code not in (0, None):
            raise RuntimeError(f"incgen {' '.join(arguments)}:\n{said.getvalue()}") from None


if __name__ == "__main__":
    run_script(__doc__, measure)
