"""One spec, three frameworks, one set of weights, one photograph.

Builds BN-Inception for PyTorch, Keras and Flax, draws random weights for it, loads them into all
models, runs them on a real photograph, and prints how far they agree. `make demo` runs it.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parent.parent
SPEC = Path("specs/bn_inception.inc")
OUTPUT = Path("build/demo")
WEIGHTS = OUTPUT / "bn_inception.safetensors"
FLOAT64_BAR = 1e-12  # relative to the largest logit; more is a difference in meaning

DTYPES = ("float32", "float64")

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Result:
    """The results of one model for the photograph.

    Attributes:
        parameters: The number of trained parameters.
        logits: The output, (1, classes).
        seconds: The median time of one forward pass.
    """

    parameters: int
    logits: Array
    seconds: float


def main() -> int:
    """Run the demo; return 0 if all models agree to the last bits, otherwise 1."""
    os.chdir(ROOT)
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # run all on the CPU, for a fair ratio
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

    print("1. Build\n")
    targets = [word for target in ("torch", "keras", "flax") for word in ("--target", target)]
    incgen("build", SPEC, *targets, "-o", f"{OUTPUT}/")
    incgen("weights", "init", SPEC, "-o", WEIGHTS, "--seed", 0)
    for path in (SPEC, *sorted(OUTPUT.glob("bn_inception_*.py"))):
        print(f"   {path}: {len(path.read_text(encoding='utf-8').splitlines())} lines")

    print("\n2. Run on a photograph (china.jpg of scikit-learn, the middle 224 x 224 of it)\n")
    image = photograph(224)
    results = {dtype: {name: run(image, dtype) for name, run in RUNS.items()} for dtype in DTYPES}
    print_models(results["float32"])

    print("\n3. Compare, by the largest difference relative to the largest logit\n")
    differences = {dtype: difference(found) for dtype, found in results.items()}
    for dtype, value in differences.items():
        print(f"   {dtype}  {value:.1e}")
    agree = differences["float64"] <= FLOAT64_BAR
    print(f"\nThe models {'agree' if agree else 'DIFFER'} (bar: {FLOAT64_BAR:.0e} in float64).")
    return 0 if agree else 1


def incgen(*arguments: object) -> None:
    """Print an incgen command and run it; end the demo if it fails."""
    words = [str(argument) for argument in arguments]
    print("   $ incgen", *words, flush=True)
    command = Path(sysconfig.get_path("scripts"), "incgen")
    status = subprocess.run([command, *words], check=False).returncode
    if status != 0:
        raise SystemExit(status)


def photograph(size: int) -> Array:
    """Return the middle of a photograph, (1, size, size, 3), RGB in 0..255."""
    from PIL import Image
    from sklearn.datasets import load_sample_image

    image = Image.fromarray(load_sample_image("china.jpg"))
    scale = size / 0.875 / min(image.size)  # as is usual: 256 for a crop of 224
    width, height = (round(side * scale) for side in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    resized = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized.crop((left, top, left + size, top + size)))[np.newaxis]


def run_torch(image: Array, dtype: str) -> Result:
    """Run the PyTorch model on an image, (1, H, W, 3)."""
    import torch
    from safetensors.torch import load_file

    torch.set_default_dtype(getattr(torch, dtype))  # for the model and for `preprocess`
    module = import_generated("bn_inception_torch")
    model = module.BNInception().eval()
    model.load_state_dict(load_file(WEIGHTS))
    pixels = torch.from_numpy(image.transpose(0, 3, 1, 2).astype(dtype))
    inputs = module.preprocess(pixels)

    def forward() -> Array:
        with torch.inference_mode():
            logits: Array = model(inputs).numpy()
        return logits

    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Result(parameters, forward(), median_seconds(forward, dtype))


def run_keras(image: Array, dtype: str) -> Result:
    """Run the Keras model on an image, (1, H, W, 3)."""
    with stderr_on_failure():
        import keras

        keras.ops.zeros(1)  # TensorFlow looks for devices

    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)  # the policy in use outlives a change of floatx
    module = import_generated("bn_inception_keras")
    model = module.bn_inception()
    module.load_safetensors(model, WEIGHTS)
    pixels = keras.ops.convert_to_tensor(image, dtype=dtype)
    inputs = keras.ops.convert_to_numpy(module.preprocess(pixels))

    def forward() -> Array:
        logits: Array = model.predict_on_batch(inputs)
        return logits

    parameters = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    return Result(parameters, forward(), median_seconds(forward, dtype))


def run_flax(image: Array, dtype: str) -> Result:
    """Run the Flax model on an image, (1, H, W, 3)."""
    import jax
    import jax.numpy as jnp
    from flax import nnx

    jax.config.update("jax_enable_x64", dtype == "float64")
    module = import_generated("bn_inception_flax")
    model = module.BNInception(rngs=nnx.Rngs(0))
    state = nnx.state(model, (nnx.Param, nnx.BatchStat))
    nnx.update(model, jax.tree.map(lambda value: value.astype(dtype), state))
    module.load_safetensors(model, WEIGHTS)
    model.eval()
    inputs = module.preprocess(jnp.asarray(image, dtype))
    compiled = nnx.jit(lambda model, x: model(x))

    def forward() -> Array:
        return np.asarray(compiled(model, inputs))

    weights = jax.tree.leaves(nnx.state(model, nnx.Param))
    return Result(sum(weight.size for weight in weights), forward(), median_seconds(forward, dtype))


#: How the model of each framework is run.
RUNS = {"PyTorch": run_torch, "Keras": run_keras, "Flax": run_flax}


def import_generated(name: str) -> ModuleType:
    """Import a generated file afresh, which needs nothing from incgen."""
    spec = importlib.util.spec_from_file_location(name, OUTPUT / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def median_seconds(forward: Callable[[], object], dtype: str) -> float:
    """Return the median time of ten forward passes that follow another; only float32 is timed."""
    times = []
    for _ in range(10 if dtype == "float32" else 1):
        start = time.perf_counter()
        forward()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def print_models(results: Mapping[str, Result]) -> None:
    """Print the results of the models, side by side."""
    first, *_ = results.values()
    rows = [
        ("", *results),
        ("parameters", *(f"{each.parameters:,}" for each in results.values())),
        ("top 5 classes *", *map(top5, results.values())),
        ("one forward, ms", *(f"{each.seconds * 1e3:.0f}" for each in results.values())),
        ("  ratio", *(f"{each.seconds / first.seconds:.2f}" for each in results.values())),
    ]
    for head, *cells in rows:
        print(f"   {head:<18}{''.join(f'{cell:<24}' for cell in cells)}".rstrip())
    print("\n   * of random weights: they say nothing of the picture, only that all models agree")


def top5(result: Result) -> str:
    """Return the indices of the five largest logits, largest first."""
    return " ".join(str(index) for index in np.argsort(-result.logits[0])[:5])


def difference(results: Mapping[str, Result]) -> float:
    """Return the largest difference from the first output relative to its largest element."""
    first, *others = (each.logits for each in results.values())
    return float(max(np.abs(first - other).max() for other in others) / np.abs(first).max())


@contextmanager
def stderr_on_failure() -> Iterator[None]:
    """Hold back what is written to stderr, also by C++ code, unless an exception is raised.

    TensorFlow prints several lines at start-up that no setting turns off.
    """
    saved = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(saved, held.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


if __name__ == "__main__":
    sys.exit(main())
