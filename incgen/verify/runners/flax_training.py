"""Drive generated Flax training scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from incgen.verify import inputs
from incgen.verify.runners.flax import FlaxRunner
from incgen.verify.runners.flax_contents import modules_of, ours, variables_of
from incgen.verify.runners.trained import Trained
from incgen.weights.checkpoint import Array

#: What optax calls the state of an optimiser, and we.
_STATES = {"trace": "velocity", "mu": "velocity", "nu": "mean square"}


class FlaxTrained(Trained):
    """A module, its optimiser and its average."""

    runner: FlaxRunner

    def begin(self, weights: Path) -> None:
        self.runner.of_module("load_safetensors")(self.model, weights)
        for path, layer in modules_of(self.model):
            if isinstance(layer, nnx.Dropout):
                setattr(layer, "path", path)  # noqa: B010  # copies that are differentiated have it
        self.parts: dict[str, Any] = {"model": self.model}
        self.parts["optimizer"] = self.script.make_optimizer(self.model)
        if self.recipe.average is not None:
            self.parts["average"] = nnx.clone(self.model)
        self.taken: Callable[..., Any] | None = None

    def step(self, x: Array, labels: Array, number: int) -> float:
        images = self.runner.tensor(x)
        rate = self.script.rate(number, self.epoch, self.total)
        graph, state = nnx.split(self.parts)

        def taken(state: Any, masks: Any, images: Any, labels: Any, rate: Any, step: Any) -> Any:
            parts: Any = nnx.merge(graph, state)
            given = {"images": images, "labels": labels, "rate": rate, "step": step}
            with _masked(masks):
                return self.script.train_step(**parts, **given), nnx.state(parts)

        masks = self._masks(len(x), number)
        given = state, masks, images, jnp.asarray(labels), jnp.asarray(rate), jnp.asarray(number)
        if self.taken is None:  # traced and compiled once, as scripts do it
            self.taken = self.runner.programs.compiled(taken, *given, derived=True)
        loss, state = self.taken(*given)
        nnx.update(self.parts, state)
        return float(loss)

    def _masks(self, batch: int, number: int) -> dict[str, Any]:
        """Return what each dropout layer multiplies by in a step, by the path of the layer."""
        places, masks = self.runner.places, {}
        for path, layer in modules_of(self.model):
            if isinstance(layer, nnx.Dropout):
                place = places.name_of(path) or path
                shape = self.runner.graph.nodes[places.numbers[place]].shape
                kept = inputs.kept(place, (batch, *shape.sizes), layer.rate, number)
                masks[path] = self.runner.tensor(kept)
        return masks

    def state(self) -> dict[str, dict[str, Array]]:
        states: dict[str, dict[str, Array]] = {kind: {} for kind in _STATES.values()}
        keys = {id(variable): key for key, variable in variables_of(self.model).items()}
        paths = {path: keys[id(param)] for path, param in _flat(nnx.state(self.model, nnx.Param))}
        for path, value in _flat(nnx.state(self.parts["optimizer"])):
            name = next((part for part in path if part in _STATES), None)
            if name is None:
                continue
            kind, key = _STATES[name], paths[path[path.index(name) + 1 :]]
            if kind == "mean square":
                states[kind][key] = ours(np.asarray(value[...]))
            elif self.heavy:
                states[kind][key] = self._sign * ours(np.asarray(value[...]))
        average = self.parts.get("average")
        return {
            **states,
            "tensor": _arrays(variables_of(self.model)),
            "average": {} if average is None else _arrays(variables_of(average)),
        }

    @property
    def _sign(self) -> float:
        """Return the factor that makes a velocity what is subtracted.

        With the rate inside, optax adds it, also where others subtract it.
        """
        inside = getattr(self.recipe.optimizer, "rate_inside", False)
        return -1.0 if inside else 1.0


@contextmanager
def _masked(masks: Mapping[str, Any]) -> Iterator[None]:
    """Let dropout layers multiply by these masks, by their paths."""
    sound = nnx.Dropout.__call__

    def masked(layer: Any, x: Any) -> Any:
        return x * masks[layer.path]

    nnx.Dropout.__call__ = masked  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        nnx.Dropout.__call__ = sound  # type: ignore[method-assign]


def _flat(state: Any) -> list[tuple[tuple[Any, ...], Any]]:
    """Return the variables of a state by their paths."""
    return [*nnx.to_flat_state(state)]


def _arrays(variables: Mapping[str, Any]) -> dict[str, Array]:
    return {key: ours(np.asarray(variable[...])) for key, variable in variables.items()}
