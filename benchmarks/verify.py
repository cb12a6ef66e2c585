"""Time `incgen verify` for BN-Inception: all rungs, in float64 and float32."""

from __future__ import annotations

from figures import INCGEN, SMALL_SPEC, SMALLEST, SPEC, Figure, at_most, run, run_script, seconds

BAR = 180.0


def measure() -> list[Figure]:
    """Return the seconds that the whole process takes."""
    what = f"{SMALL_SPEC.stem}, one rung" if SMALLEST else f"{SPEC.stem}, all rungs"
    return [at_most(f"incgen verify {what}, seconds", seconds(verify), BAR)]


def verify() -> None:
    """Run the command; raise an error if anything diverges or is not compared."""
    if SMALLEST:
        run(INCGEN, "verify", str(SMALL_SPEC), "--rung", "0", "--float64")
    else:
        run(INCGEN, "verify", str(SPEC))


if __name__ == "__main__":
    run_script(__doc__, measure)
