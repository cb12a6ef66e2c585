"""How long `incgen verify` takes for BN-Inception: all rungs, in float64 and float32."""

from __future__ import annotations

from figures import INCGEN, SPEC, Figure, at_most, report, run, seconds

BAR = 180.0


def measure() -> list[Figure]:
    """Returns the seconds that the whole process takes."""
    taken = seconds(verify)
    return [at_most("incgen verify bn_inception, all rungs, seconds", taken, BAR)]


def verify() -> None:
    """Runs the command; an error if anything diverges or is not compared."""
    run(INCGEN, "verify", str(SPEC))


if __name__ == "__main__":
    report(measure())
