"""The files that the engines of a network need: their places, and programs among them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

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


def import_file(path: Path) -> ModuleType:
    """Import a file as a module of its own name."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
