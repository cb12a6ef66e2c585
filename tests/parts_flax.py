"""The parts of training scripts of Flax, as test_train_parts.py drives them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small
from flax import nnx
from small import Array

#: How far pixels may be from those of Pillow.
APART = 1e-4


class Weights(nnx.Module):
    """Some weights."""

    def __init__(self, *values: Sequence[Any]) -> None:
        for number, value in enumerate(values):
            setattr(self, f"w{number}", nnx.Param(jnp.array(value)))


@contextmanager
def float64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def optimised(module: Any) -> list[float]:
    model = Weights([[1.0, 1.0]])
    optimizer = module.make_optimizer(model)
    for rate, gradients in zip(small.RATES, small.GRADIENTS, strict=True):
        step(optimizer, model, rate, [[gradients]])
    values: list[float] = model.w0[0].tolist()
    return values


def decayed(module: Any, rate: float) -> tuple[dict[str, Array], dict[str, Array]]:
    model = Weights([[1.0, 2.0]], [3.0, 4.0])
    before = {name: np.asarray(getattr(model, name)[...]) for name in ("w0", "w1")}
    step(module.make_optimizer(model), model, rate, [[[0, 0]], [0, 0]])
    return before, {name: np.asarray(getattr(model, name)[...]) for name in before}


def step(optimizer: Any, model: Any, rate: float, gradients: Sequence[Any]) -> None:
    leaves, tree = jax.tree.flatten(nnx.state(model, nnx.Param))
    arrays = [jnp.array(g, w.dtype) for g, w in zip(gradients, leaves, strict=True)]
    optimizer.opt_state.hyperparams["rate"].set_value(jnp.array(rate))
    optimizer.update(model, jax.tree.unflatten(tree, arrays))


def clipped(module: Any, gradients: Sequence[Sequence[float]]) -> list[float]:
    model = Weights(*([0.0 for _ in gradient] for gradient in gradients))
    step(module.make_optimizer(model), model, -1.0, gradients)
    return [*model.w0[...].tolist(), *model.w1[...].tolist()]


def loss_of(
    module: Any, images: Array, labels: Sequence[int]
) -> tuple[float, list[Array], list[Array]]:
    model, x = made(module, dtype="float64"), jnp.array(images)
    graph, state = nnx.split(model)
    outputs = jax.jit(lambda x: nnx.clone(model)(x))(x)
    loss = jax.jit(lambda state, *args: module.loss_of(nnx.merge(graph, state), *args))
    every = outputs if isinstance(outputs, tuple) else (outputs,)
    weights = [*tensors(module, model).values()]
    return float(loss(state, x, jnp.array(labels))), [*map(np.asarray, every)], weights


def half_loss(module: Any, logits: Sequence[float], label: int) -> tuple[float, Array]:
    rounded = jnp.array([logits], jnp.bfloat16)
    loss = module.cross_entropy(rounded, jnp.array([label]))
    return float(loss), np.asarray(rounded, "float64")


def box(module: Any, size: Sequence[int], numbers: list[float]) -> list[int]:
    return [*module.crop_box(*size, numbers)]


def transformed(module: Any, image: Array, numbers: list[float]) -> Array:
    return np.asarray(module.transform(image, numbers))


def prepared(module: Any, image: Array) -> Array:
    return np.asarray(module.prepare(image))


def made(module: Any, seed: int = 0, dtype: str = "float32") -> Any:
    """Make a model with random weights, without compiling how it draws its own."""
    make, rng = module.Small, np.random.default_rng(seed)
    model = nnx.eval_shape(lambda: make(rngs=nnx.Rngs(0)))
    for _, variable in nnx.iter_graph(model):
        if isinstance(variable, nnx.Param | nnx.BatchStat):
            variable.set_value(jnp.array(rng.uniform(0.1, 0.5, variable.shape), dtype))
        elif isinstance(variable, nnx.RngCount):
            variable.set_value(jnp.zeros((), "uint32"))
        elif isinstance(variable, nnx.RngKey):
            variable.set_value(jax.random.key(seed))
    return model


def tensors(module: Any, model: Any) -> dict[str, Array]:
    arrays: dict[str, Array] = module.tensors_of(model)
    return arrays


def trained(module: Any, model: Any) -> set[str]:
    return {key for key, w in module.by_key(model).items() if module.trained((), w)}


def is_frozen(model: Any, block: str) -> bool:
    return bool(getattr(model, block).bn.use_running_average)


def scores(module: Any, logits: Array, labels: Array) -> list[float]:
    loss, top1, top5 = module.grade(lambda x: x, jnp.array(logits), jnp.array(labels)).tolist()
    return [top1, top5, loss]


def be_process(patch: pytest.MonkeyPatch, module: Any, rank: int, count: int) -> None:
    patch.setattr(jax, "process_index", lambda: rank)
    patch.setattr(jax, "process_count", lambda: count)
