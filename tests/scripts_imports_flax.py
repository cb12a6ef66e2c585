"""The imports of Flax's training scripts, for the process from which runs are forked."""

import importlib

import scripts

scripts.do_without_tensorflow()
for name in (
    "flax.nnx",
    "jax.experimental.multihost_utils",
    "matplotlib.backends.backend_agg",
    "matplotlib.colors",
    "matplotlib.figure",
    "optax",
    "PIL.Image",
    "safetensors.numpy",
    "tensorboard.summary",
    "tqdm",
):
    importlib.import_module(name)
