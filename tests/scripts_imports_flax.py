"""What training scripts of Flax import, for the process that runs of them are forked from."""

import importlib

import scripts

scripts.do_without_tensorflow()
for name in (
    "flax.nnx",
    "jax.experimental.multihost_utils",
    "matplotlib.colors",
    "matplotlib.figure",
    "optax",
    "PIL.Image",
    "safetensors.numpy",
    "tensorboard.summary",
    "tqdm",
):
    importlib.import_module(name)
