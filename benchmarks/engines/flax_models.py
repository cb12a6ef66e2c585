"""The models that Flax runs: generated, and written by hand."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

import incgen
from engines.files import spec_of, weights_of
from engines.plan import DEPLOYED, NETWORKS, PUBLISHED, Cell, Network
from figures import REFERENCE
from incgen.language.names import class_name
from models import import_file


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
def _used(network: str, name: str, folder: Path) -> Any:
    """Return a model in evaluation, which all sizes of batches share."""
    model = model_of(NETWORKS[network], name, folder)
    model.eval()
    return model


def runner(cell: Cell, network: Network, folder: Path) -> Callable[[], Any]:
    """Return a function that runs a cell once, and returns an array."""
    model = _used(network.name, cell.model, folder)
    stored = np.load(folder / "images.npy", mmap_mode="r")[: cell.batch]
    images = jnp.asarray(stored.transpose(0, 2, 3, 1))
    return lambda: np.asarray(_FORWARD(model, images))
