"""PyTorch's `.pth` and `.pt`: tensors by key, from the top of the file down.

What training programs wrap around a state dict becomes part of its keys: `state_dict.conv1.weight`.
`finding.py` determines which tensors belong to a network.

Only what `torch.load(weights_only=True)` accepts is read: tensors and plain containers. A pickle
can run programs, so a file that needs more is rejected.
"""

from __future__ import annotations

import argparse
import pickle
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from incgen.base.diagnostics import clipped, listed
from incgen.weights.checkpoint import Array, Checkpoint, Stored, first_line
from incgen.weights.errors import WeightsError
from incgen.weights.readers.libraries import extra

if TYPE_CHECKING:
    import torch

#: Segments that wrappers insert into keys: torch.compile, FSDP and activation checkpointing. No
#: module of a network has such a name.
_WRAPPERS = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
#: The depth of nested containers that are searched.
_DEEPEST = 12
#: How many keys a message shows.
_SHOWN = 8
_REMEDY = (
    "load it where you trust it and save what the model holds: "
    "torch.save(model.state_dict(), 'weights.pth')"
)
_SCRIPTED = (
    "it is a TorchScript archive, which is a program: load it where you trust it and save what it "
    "holds: torch.save(torch.jit.load({name!r}).state_dict(), 'weights.pth')"
)
_UNSUPPORTED = re.compile(r"Unsupported (?:global: GLOBAL|class) (\S+)")


def read(path: Path) -> Checkpoint:
    """Open a file."""
    content = _loaded(path)
    values: dict[str, torch.Tensor] = {}
    parts: Counter[str] = Counter()
    for place, key, tensor in _tensors(content, "", set()):
        values[f"{place}.{key}" if place else key] = tensor
        parts[place] += 1
    if not values:
        raise WeightsError(f"it holds no tensors, only {_held(content)}: {_REMEDY}")
    plain = {key: _unwrapped(key) for key in values}
    if len(set(plain.values())) < len(plain):
        plain = {key: key for key in values}
    tensors = {plain[key]: _stored(key, value) for key, value in values.items()}
    return Checkpoint("PyTorch", tensors, parts=parts)


def _tensors(content: Any, place: str, seen: set[int]) -> Iterator[tuple[str, str, torch.Tensor]]:
    """Yield all tensors: the path of the container of each, and its key there.

    A container that occurs twice in a file, or contains itself, is searched once. The state of an
    optimizer is not part of a model.
    """
    import torch

    if not isinstance(content, Mapping | list | tuple) or id(content) in seen:
        return
    if isinstance(content, Mapping) and {"state", "param_groups"} <= content.keys():
        return
    seen.add(id(content))
    items = content.items() if isinstance(content, Mapping) else enumerate(content)
    for key, value in items:
        if isinstance(value, torch.Tensor):
            yield place, str(key), value
        elif place.count(".") < _DEEPEST:
            yield from _tensors(value, f"{place}.{key}" if place else str(key), seen)


def _unwrapped(key: str) -> str:
    for wrapper in _WRAPPERS:
        key = key.replace(wrapper, "")
    return key


def _held(content: Any) -> str:
    """Describe what a file has instead of tensors."""
    if not isinstance(content, Mapping):
        return f"an object of the type `{clipped(type(content).__name__)}`"
    keys = [clipped(str(key)) for key in content]
    if len(keys) <= _SHOWN:
        return listed(keys) or "an empty dictionary"
    shown = ", ".join(f"`{key}`" for key in keys[:_SHOWN])
    return f"{shown} and {len(keys) - _SHOWN} more"


def _loaded(path: Path) -> Any:
    with extra("torch", "PyTorch files"):
        import torch
    zipped = zipfile.is_zipfile(path)  # older files are a single pickle, read rather than mapped
    if zipped and _is_scripted(path):
        raise WeightsError(_SCRIPTED.format(name=path.name))
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(_harmless()):
            warnings.simplefilter("ignore")
            return torch.load(path, "cpu", weights_only=True, mmap=zipped or None)
    except pickle.UnpicklingError as error:
        raise WeightsError(f"{_refusal(error)}: {_REMEDY}") from error
    except (MemoryError, OSError):
        raise
    except Exception as error:  # torch raises all kinds of errors for a damaged file
        raise WeightsError(f"PyTorch cannot read it: {first_line(error)}") from error


def _is_scripted(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _harmless() -> list[Any]:
    """Return types stored by training programs that are only data: arguments, NumPy numbers."""
    with extra("weights", "weights"):
        import numpy as np
    dtypes = (type(np.dtype(name)) for name in ("f2", "f4", "f8", "i4", "i8", "?"))
    # the constructor of a NumPy number, by its names before and since NumPy 2
    scalar = np.float64(0).__reduce__()[0]
    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    return [argparse.Namespace, np.dtype, *dtypes, *((scalar, name) for name in names)]


def _refusal(error: Exception) -> str:
    what = "it is damaged or holds more than tensors, which could run programs"
    match = _UNSUPPORTED.search(str(error))
    return f"{what} (`{clipped(match[1])}`)" if match else what


def _stored(key: str, value: torch.Tensor) -> Stored:
    import torch

    dtype = str(value.dtype).removeprefix("torch.")
    odd = value.is_nested or value.is_meta or value.is_quantized or value.is_complex()
    if odd or value.layout is not torch.strided:

        def refuse() -> Array:
            what = "has no values" if value.is_meta else "is not a plain array of real numbers"
            raise WeightsError(f"`{key}` {what}")

        return Stored(key, () if value.is_nested else tuple(value.shape), dtype, refuse)
    return Stored(key, tuple(value.shape), dtype, lambda: _values(value))


def _values(value: torch.Tensor) -> Array:
    import torch

    if value.dtype is torch.bfloat16:  # numpy has no such type
        value = value.float()
    values: Array = value.detach().numpy()
    return values
