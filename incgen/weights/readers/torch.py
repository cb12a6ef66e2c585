"""PyTorch's `.pth` and `.pt`: state dicts, also where they lie inside of something else.

Only what `torch.load(weights_only=True)` takes is read: tensors and plain containers. A pickle can
run programs, so a file that needs more is refused.
"""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from incgen.diagnostics import listed
from incgen.weights.checkpoint import Checkpoint, Stored, first_line
from incgen.weights.errors import WeightsError
from incgen.weights.readers.libraries import extra

if TYPE_CHECKING:
    import torch

    from incgen.weights.checkpoint import Array

#: Under these names training programs keep the state dict beside other things.
_WRAPPERS = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "state_dict_ema",
    "model",
    "model_ema",
    "net",
)
#: What `DataParallel` and compiled models put in front of every key.
_PREFIXES = ("module.", "_orig_mod.")
_REMEDY = (
    "load it where you trust it and save what the model holds: "
    "torch.save(model.state_dict(), 'weights.pth')"
)


def read(path: Path) -> Checkpoint:
    """Open a file.

    Raises:
        WeightsError: it is none, or it holds more than tensors.
    """
    content = _loaded(path)
    for _ in _WRAPPERS:  # no deeper than that: what is pickled can contain itself
        inner = _inside(content)
        if inner is None:
            break
        content = inner
    if not isinstance(content, Mapping) or not _has_tensors(content):
        raise WeightsError(f"it holds no state dict: {_REMEDY}")
    found = _averaged({str(key): value for key, value in content.items()})
    while prefix := next((p for p in _PREFIXES if all(key.startswith(p) for key in found)), None):
        found = {key.removeprefix(prefix): value for key, value in found.items()}
    return Checkpoint("PyTorch", {key: _stored(key, value) for key, value in found.items()})


def _inside(content: Any) -> Mapping[Any, Any] | None:
    """The state dict in what a training program keeps; None if there is none.

    Raises:
        WeightsError: there are several, of which only one can be meant.
    """
    if not isinstance(content, Mapping):
        return None
    found = [name for name in _WRAPPERS if isinstance(content.get(name), Mapping)]
    if len(found) > 1:
        which = f"torch.load(...)[{found[0]!r}]"
        raise WeightsError(f"it holds {listed(found)}: save the one that you mean, as {which}")
    return content[found[0]] if found else None


def _averaged(found: dict[str, Any]) -> dict[str, Any]:
    """Without the counter that `AveragedModel` has beside its module."""
    rest = {key: value for key, value in found.items() if key != "n_averaged"}
    return rest if rest and all(key.startswith("module.") for key in rest) else found


def _loaded(path: Path) -> Any:
    with extra("torch", "PyTorch files"):
        import torch
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            zipped = zipfile.is_zipfile(path)  # older files are one pickle: not mapped but read
            return torch.load(path, "cpu", weights_only=True, mmap=zipped or None)
    except pickle.UnpicklingError as error:
        what = "it is damaged or holds more than tensors, which could run programs"
        if "TorchScript" in str(error):
            what = "it is a TorchScript archive, not a state dict"
        raise WeightsError(f"{what}: {_REMEDY}") from error
    except (MemoryError, OSError):
        raise
    except Exception as error:  # torch raises whatever it stumbles over in a damaged file
        raise WeightsError(f"PyTorch cannot read it: {first_line(error)}") from error


def _has_tensors(content: Mapping[Any, Any]) -> bool:
    import torch

    return any(isinstance(value, torch.Tensor) for value in content.values())


def _stored(key: str, value: object) -> Stored:
    import torch

    if not isinstance(value, torch.Tensor):
        raise WeightsError(f"`{key}` is no tensor but {type(value).__name__}: {_REMEDY}")
    dtype = str(value.dtype).removeprefix("torch.")
    odd = value.is_nested or value.is_meta or value.is_quantized or value.is_complex()
    if odd or value.layout is not torch.strided:
        raise WeightsError(f"`{key}` is not a plain array of real numbers")
    return Stored(key, tuple(value.shape), dtype, lambda: _values(value))


def _values(value: torch.Tensor) -> Array:
    import torch

    if value.dtype is torch.bfloat16:  # numpy has no such type
        value = value.float()
    values: Array = value.detach().numpy()
    return values
