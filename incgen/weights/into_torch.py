"""Load a weights file into a generated PyTorch model, whatever its form."""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any


def load_into(model: Any, module: ModuleType, path: str | os.PathLike[str]) -> None:
    """Load a weights file into a model, given the generated code that it comes from.

    A deployed form folds what it loads by code of its own.
    """
    own = getattr(module, "load_safetensors", None)
    if own is not None:
        own(model, path)
        return
    from safetensors.torch import load_file

    model.load_state_dict(load_file(path))
