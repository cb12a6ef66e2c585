"""The models that Flax runs: generated, and written by hand."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

import incgen
from engines.files import import_file, spec_of, weights_of
from engines.plan import DEPLOYED, NETWORKS, PUBLISHED, STEP, Cell, Network
from figures import REFERENCE
from incgen.language.names import class_name


def model_of(network: Network, name: str, folder: Path) -> Any:
    """Return a model with the weights of the published one; initial weights are not drawn."""
    deploy = name == DEPLOYED
    code = incgen.load(spec_of(network.name), "flax", network.parameters, deploy=deploy)
    model = nnx.eval_shape(lambda: getattr(code, class_name(network.name))(rngs=nnx.Rngs(0)))
    code.load_safetensors(model, str(weights_of(folder, network.name)))
    nnx.reseed(model, default=0)  # dropout has no random numbers yet, and `jit` takes all or none
    if name != PUBLISHED:
        return model
    by_hand = import_file(REFERENCE / f"{network.name}_flax.py").BNInception
    other = nnx.eval_shape(lambda: by_hand(rngs=nnx.Rngs(0)))
    ours, theirs = (nnx.to_flat_state(nnx.state(module)) for module in (model, other))
    for (_, value), (_, variable) in zip(ours, theirs, strict=True):  # in the same order
        variable.set_value(value[...])
    return other


_FORWARD = nnx.jit(lambda model, images: model(images))


@cache
def _used(network: str, name: str, work: str, folder: Path) -> Any:
    """Return a model that all sizes of batches share."""
    model = model_of(NETWORKS[network], name, folder)
    if work == STEP:
        model.train()
    else:
        model.eval()
    return model


def runner(cell: Cell, network: Network, folder: Path) -> Callable[[], Any]:
    """Return a function that runs a cell once, and returns an array for inference."""
    model = _used(network.name, cell.model, cell.work, folder)
    stored = np.load(folder / "images.npy", mmap_mode="r")[: cell.batch]
    images = jnp.asarray(stored.transpose(0, 2, 3, 1))
    if cell.work == STEP:
        return _step(model, images)
    return lambda: np.asarray(_FORWARD(model, images))


def _step(model: Any, images: Any) -> Callable[[], Any]:
    """Return a function that makes a step of training, compiled as one program."""

    @nnx.jit
    def step(model: Any, optimizer: Any, images: Any, labels: Any) -> Any:
        def loss(model: Any) -> Any:
            losses = optax.softmax_cross_entropy_with_integer_labels(model(images), labels)
            return losses.mean()

        value, gradients = nnx.value_and_grad(loss)(model)
        optimizer.update(model, gradients)
        return value

    # the rate is so small that training moves no weight; the arithmetic is that of any rate
    optimizer = nnx.Optimizer(model, optax.sgd(1e-9, momentum=0.9), wrt=nnx.Param)
    labels = jnp.asarray(np.random.default_rng(3).integers(1000, size=len(images)))
    return lambda: np.asarray(step(model, optimizer, images, labels))
