"""The imports of Keras' training scripts, for the process from which runs are forked."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: F401
import matplotlib.figure  # noqa: F401
import safetensors.numpy  # noqa: F401
import tensorflow as tf  # noqa: F401
