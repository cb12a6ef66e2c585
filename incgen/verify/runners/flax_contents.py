"""The variables of a Flax model, with our keys and axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flax import nnx

from incgen.weights.checkpoint import Array

#: Flax's names of tensors, and ours.
_NAMES = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var"}


@dataclass
class Input:
    """An input that can be moved and differentiated by, as a variable can."""

    value: Any

    def get_value(self) -> Any:
        """Return the input (N, H, W, C)."""
        return self.value

    def set_value(self, value: Any) -> None:
        """Move it."""
        self.value = value

    @property
    def shape(self) -> tuple[int, ...]:
        """Return its shape."""
        return tuple(self.value.shape)


def modules_of(model: Any) -> list[tuple[str, Any]]:
    """Return the modules inside a model by their paths."""
    return [(".".join(map(str, path)), module) for path, module in nnx.iter_modules(model) if path]


def variables_of(model: Any) -> dict[str, Any]:
    """Return the variables of a model by key, those that a weights file has."""
    variables = {}
    for path, value in nnx.iter_graph(model):
        if isinstance(value, (nnx.Param, nnx.BatchStat)):
            *parts, name = map(str, path)
            variables[".".join((*parts, _NAMES.get(name, name)))] = value
    return dict(sorted(variables.items()))


def ours(value: Array) -> Array:
    """Return a Flax tensor with our axes: OIHW, or (out, in)."""
    return value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T
