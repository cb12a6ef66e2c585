"""Count the seeds that give `incgen verify` a verdict on rung 1 of published gated networks.

All frameworks, both types, at 64 x 64 with 2 examples: some minutes a seed, because JAX compiles
each network anew.
"""

from __future__ import annotations

import incgen
from figures import ROOT, SMALLEST, Figure, option_parser, report
from incgen.verify import verify

NAMES = ("efficientnet_b0", "ghostnet", "mobilenet_v3_small", "regnet_y_400mf")
SEEDS = 1 if SMALLEST else 20
#: One in this many seeds may be undecided.
ONE_IN = 20


def measure(seeds: int) -> list[Figure]:
    """Return for each network how many seeds give a verdict."""
    figures = []
    for name in NAMES:
        text = (ROOT / "tests" / "gated" / f"{name}.inc").read_text("utf-8")
        graph = incgen.compile_spec(
            f"{name}.inc", text=text.replace("input 224x224", "input 64x64")
        )
        passed = sum(verify(graph, rungs=[1], seed=seed, batch=2).passed for seed in range(seeds))
        least = seeds - seeds // ONE_IN
        figure = f"{name}, seeds decided of {seeds}"
        figures.append(Figure(figure, str(passed), f"at least {least}", passed >= least))
    return figures


if __name__ == "__main__":
    parser = option_parser(__doc__)
    parser.add_argument("seeds", nargs="?", type=int, default=SEEDS, help=f"how many ({SEEDS})")
    report(measure(parser.parse_args().seeds))
