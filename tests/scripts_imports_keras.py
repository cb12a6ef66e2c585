"""The imports of Keras' training scripts, for the process from which runs are forked."""

import importlib
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

for name in (
    "keras",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "safetensors.numpy",
    "tensorboard.summary",
    "tensorflow",
):
    importlib.import_module(name)
