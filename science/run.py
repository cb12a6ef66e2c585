"""Run the experiments, and write their results: `make science`.

    python science/run.py [--data DIR] [--output DIR] [--only NAME ...]

The data are the IDX files of Fashion-MNIST (Debian: `apt-get install dataset-fashion-mnist`), or of
another set of 28x28 images with 10 classes. What is finished is not run again.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from science import report  # noqa: E402  # after the path is known
from science.experiments import DATA, figures, grid, run_all  # noqa: E402

#: The results that the page in the docs shows.
RESULTS = ROOT / "science" / "results.json"
PLOTS = ROOT / "docs" / "science"


def main() -> None:
    """Run what is not finished, collect, and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="%(default)s")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "science")
    parser.add_argument("--only", nargs="+", default=[], help="run those whose names begin so")
    args = parser.parse_args()
    if not any(args.data.glob("train-images-*")):
        sys.exit(
            f"{args.data} has no train-images-idx3-ubyte: apt-get install dataset-fashion-mnist"
        )
    only = tuple(args.only) or ("",)
    first = [run for run in grid() if run.name.startswith(only)]
    run_all(first, args.output, args.data)
    base = report.best_rate(report.curves_in(report.gather(grid(), args.output, RESULTS)))
    runs = [run for run in figures(base) if run.name.startswith(only)]
    run_all(runs, args.output, args.data)
    report.collect([*grid(), *figures(base)], args.output, RESULTS)
    report.plot(RESULTS, PLOTS)
    curves, _, base = report.read(RESULTS)
    tables = (report.table_of_rates(curves), report.table_of_forms(curves, base))
    print("\n\n".join([*tables, report.table_of_changes(curves, base)]))


if __name__ == "__main__":
    main()
