"""The places of the files that the engines of a network need."""

from __future__ import annotations

from pathlib import Path

from figures import ROOT

#: Examples that every model computes.
EXAMPLES = 32
#: Outputs are compared for so many of them.
COMPARED = 2


def spec_of(name: str) -> Path:
    """Return the file of a shipped spec."""
    return ROOT / "specs" / f"{name}.inc"


def weights_of(folder: Path, spec: str) -> Path:
    """Return the path of the weights of a spec."""
    return folder / f"{spec}.safetensors"


def expected_of(folder: Path, spec: str) -> Path:
    """Return the path of the outputs of the published model that a spec describes."""
    return folder / f"expected_{spec}.npy"
