"""What training scripts of Keras import, for the process that runs of them are forked from."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: F401
import matplotlib.figure  # noqa: F401
import safetensors.numpy  # noqa: F401
import tensorflow as tf  # noqa: F401
