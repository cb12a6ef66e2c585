"""Run generated Keras models on the backend that KERAS_BACKEND names, in float64.

    KERAS_BACKEND=jax python tests/keras_backend.py FOLDER [--outputs]

For each spec the folder holds NAME.py, NAME.safetensors and NAME.npy, an input. NAME.npz will hold
the outputs in evaluation and, without `--outputs`, the variables after a step of training.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

os.environ["JAX_ENABLE_X64"] = "1"

import keras
import numpy as np


def run(module: Any, name: str, folder: Path, *, trains: bool = True) -> dict[str, Any]:
    """Return everything that a model computes, by name."""
    model = getattr(module, name)()
    module.load_safetensors(model, folder / f"{name}.safetensors")
    x = np.load(folder / f"{name}.npy")
    outputs = model.predict_on_batch(x)
    outputs = outputs if isinstance(outputs, dict) else {"output": outputs}
    if not trains:
        return outputs
    aims = {key: np.ones_like(value) for key, value in outputs.items()}
    model.compile(keras.optimizers.SGD(0.01), "mse")
    model.train_on_batch(x, aims if len(aims) > 1 else aims["output"])
    return outputs | {v.path: keras.ops.convert_to_numpy(v).copy() for v in model.weights}


def main() -> None:
    """Run every model of a folder."""
    folder, trains = Path(sys.argv[1]), "--outputs" not in sys.argv[2:]
    sys.path.insert(0, str(folder))
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    for path in sorted(folder.glob("*.py")):
        module = importlib.import_module(path.stem)
        np.savez(folder / f"{path.stem}.npz", **run(module, path.stem, folder, trains=trains))


if __name__ == "__main__":
    main()
