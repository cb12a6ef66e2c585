"""Run a model through the tools of Keras and TensorFlow, which give its outputs by name.

Each function takes a model, or what makes one, and images (N, H, W, C).
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

Array = NDArray[Any]
Outputs = dict[str, Array]

_PROGRAM = Path(__file__).parent / "keras_backend.py"


def outputs(result: Any) -> Outputs:
    """Return the outputs of a model by name; a single one is called `output`."""
    result = result if isinstance(result, dict) else {"output": result}
    return {name: np.asarray(value, "float32") for name, value in result.items()}


def loaded(model: Any) -> Any:
    """Save a model to `.keras`, and load it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return keras.saving.load_model(path)


def by_xla(model: Any, x: Array) -> Outputs:
    """Run a model that XLA compiled."""
    compiled = tf.function(lambda y: model(y, training=False), jit_compile=True)
    return outputs(compiled(x))


def in_tflite(model: Any, x: Array, calibration: Array | None = None) -> Outputs:
    """Run TensorFlow Lite's form of a model, one image at a time.

    Args:
        model: The model.
        x: The images.
        calibration: Images to quantise it to 8-bit integers with, if it should be.
    """
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        # it lists what it saves, asks for a range of the input, and warns that its interpreter will
        # move to another package
        warnings.simplefilter("ignore", UserWarning)
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        if calibration is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ([image[None]] for image in calibration)
        resolver = tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        interpreter = tf.lite.Interpreter(
            model_content=converter.convert(), experimental_op_resolver_type=resolver
        )
    runner = interpreter.get_signature_runner()
    (given,) = runner.get_input_details()
    results = [runner(**{given: image[None]}) for image in x]
    joined = {name: np.concatenate([result[name] for result in results]) for name in results[0]}
    # it renames a single output
    return joined if isinstance(model.output, dict) else {"output": next(iter(joined.values()))}


@contextmanager
def policy(name: str) -> Iterator[None]:
    """Make models whose layers compute under a policy."""
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy("float32")


@contextmanager
def channels_first() -> Iterator[None]:
    """Make models as if `keras.json` said that channels come first."""
    keras.config.set_image_data_format("channels_first")
    try:
        yield
    finally:
        keras.config.set_image_data_format("channels_last")


def on_backend(backend: str, folder: Path, *options: str) -> None:
    """Run the models of a folder on another backend; `keras_backend.py` says what it contains.

    There `keras.json` says that channels come first.
    """
    settings = {"image_data_format": "channels_first", "floatx": "float32", "epsilon": 1e-7}
    (folder / "keras.json").write_text(json.dumps(settings))
    environment = {**os.environ, "KERAS_HOME": str(folder), "KERAS_BACKEND": backend}
    program = [sys.executable, _PROGRAM, folder, *options]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
