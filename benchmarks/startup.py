"""Time `incgen build` as a whole process, compared with importing its dependencies.

The baseline is `python -c "import lark, jinja2, click"`, the least that a program using them needs.
Both are run in turn.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from figures import INCGEN, SMALLEST, SPEC, Figure, at_most, compare, run, run_script

BAR = 2.5
PAIRS = 1 if SMALLEST else 21


def measure() -> list[Figure]:
    """Return the ratio of the two, and the times it comes from."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "bn_inception_torch.py")

        def build() -> None:
            output.unlink(missing_ok=True)
            run(INCGEN, "build", str(SPEC), "--target", "torch", "-o", str(output))
            output.stat()  # check that it was written

        def imports() -> None:
            run(sys.executable, "-c", "import lark, jinja2, click")

        compared = compare(build, imports, PAIRS)
    ours, theirs = (1e3 * median for median in compared.medians)
    note = f"({ours:.0f} ms / {theirs:.0f} ms)"
    return [at_most("incgen build / its three imports, whole process", compared.ratio, BAR, note)]


if __name__ == "__main__":
    run_script(__doc__, measure)
