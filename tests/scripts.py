"""Training scripts in tests: tiny data, and scripts imported here or run in processes of their own.

A process that has imported everything already is forked for each run, since that is most of the
time of a run.
"""

from __future__ import annotations

import csv
import gzip
import importlib.util
import json
import multiprocessing
import os
import signal
import socket
import struct
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from multiprocessing import forkserver
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

import incgen

#: Seconds after which a run hangs.
_LONG = 120

# ---------------------------------------------------------------- data


def folder_of_images(folder: Path, classes: int = 3, each: int = 10, side: int = 12) -> Path:
    """Write images of some sizes in train/ and half as many in val/; classes differ in brightness.

    Args:
        folder: Where they are written.
        classes: The number of classes.
        each: The images of a class in train/.
        side: The least side of an image, in pixels.
    """
    rng = np.random.default_rng(0)
    for split, count in (("train", each), ("val", each // 2)):
        for label in range(classes):
            place = folder / split / f"class{label}"
            place.mkdir(parents=True)
            for number in range(count):
                shape = (side + number % 3, side + number % 4, 3)
                pixels = 60 + 60 * label + rng.normal(0, 30, shape)
                Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(place / f"{number}.png")
    return folder


def write_idx(path: Path, array: np.ndarray) -> None:
    """Write bytes as an IDX file, compressed if its name says so."""
    content = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    content += array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def folder_of_idx(folder: Path, classes: int = 3, count: int = 40, side: int = 8) -> Path:
    """Write IDX files, of which those for training are compressed."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for name, size, ending in (("train", count, ".gz"), ("t10k", count // 2, "")):
        labels = np.arange(size) % classes
        images = (60 + 60 * labels[:, None, None] + rng.normal(0, 30, (size, side, side))).clip(
            0, 255
        )
        write_idx(folder / f"{name}-images-idx3-ubyte{ending}", images)
        write_idx(folder / f"{name}-labels-idx1-ubyte{ending}", labels)
    return folder


# ---------------------------------------------------------------- scripts


def built(folder: Path, text: str, target: str, recipe: str = "r") -> Path:
    """Write the model and the script of a recipe; return the path of the script."""
    folder.mkdir(parents=True, exist_ok=True)
    spec = folder / "spec.inc"
    spec.write_text(text, "utf-8")
    files = incgen.build(spec, target, f"{folder}/", recipe=recipe)
    return next(file.path for file in files if file.path.name.startswith("train_"))


def loaded(script: Path) -> Any:
    """Import a script, without running it, and the model beside it."""
    target = _target(script)
    if target == "flax":
        do_without_tensorflow()
    elif target == "torch":
        _prepare()
    before = {*sys.modules}
    spec = importlib.util.spec_from_file_location(script.stem, script)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[script.stem] = module  # classes look for their module
    sys.path.insert(0, str(script.parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(script.parent))
        for name in {*sys.modules} - before:
            own = getattr(sys.modules[name], "__file__", None)
            if own is not None and Path(own).parent == script.parent:
                del sys.modules[name]  # another script has another model of this name
    return module


def importer(folders: pytest.TempPathFactory, target: str) -> Callable[[str], Any]:
    """Return what imports the script of a spec, each once."""
    return cache(lambda text: loaded(built(folders.mktemp("part"), text, target)))


#: Keeps the declarations of torchvision's operators alive.
_DECLARED: list[Any] = []


def do_without_tensorflow() -> None:
    """Let TensorBoard do without TensorFlow."""
    sys.modules.setdefault("tensorboard.compat.notf", ModuleType("notf"))


def _prepare() -> None:
    """Do without TensorFlow in TensorBoard, and without torchvision's compiled part."""
    import torch

    do_without_tensorflow()
    if "torchvision" not in sys.modules:  # see `imported` in published.py
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float threshold) -> Tensor")
        _DECLARED.append(library)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("torchvision")


#: The targets whose scripts were run, in order.
_SERVED: list[str] = []


@dataclass(frozen=True)
class Run:
    """A script that has ended.

    Attributes:
        code: Its exit status; a signal that ended it is negative.
        said: What it wrote to the terminal.
        output: The folder of its files.
    """

    code: int
    said: str
    output: Path

    def log(self) -> list[dict[str, str]]:
        """Return the rows of its log, without how fast it was."""
        with (self.output / "log.csv").open(newline="") as file:
            rows = [*csv.DictReader(file)]
        return [{k: v for k, v in row.items() if k != "images_per_second"} for row in rows]


def weights(run: Run, name: str = "last") -> dict[str, np.ndarray]:
    """Return the weights that a script has written."""
    tensors: dict[str, np.ndarray] = load_file(run.output / f"{name}.safetensors")
    return tensors


def same(
    found: dict[str, np.ndarray], expected: dict[str, np.ndarray], within: float = 0.0
) -> None:
    """Check that weights agree."""
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=within, atol=within)


def compared(one: Run, two: Run) -> None:
    """Check that two runs have the same log and weights, but for rounding in float64."""
    assert (one.code, two.code) == (0, 0), one.said + two.said
    for name in ("last", "average"):
        same(weights(two, name), weights(one, name), 1e-9)
    for row, other in zip(one.log(), two.log(), strict=True):
        for column in row:
            found, expected = float(other[column] or 0), float(row[column] or 0)
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def check(*command: str, cwd: Path) -> None:
    """Check that a program, such as ruff, finds nothing."""
    result = subprocess.run(
        [sys.executable, "-m", *command], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def run(
    script: Path,
    data: Path,
    output: Path,
    *options: str,
    processes: int = 1,
    devices: int = 1,
    dtype: str = "float32",
    at: tuple[int, int | None] | None = None,
) -> Run:
    """Run a script, and return how it ended.

    Args:
        script: The script.
        data: The folder of the data.
        output: The folder of its files.
        options: Further options.
        processes: How many processes share the batch, as torchrun starts them, or for JAX; for
            TensorFlow as many machines.
        devices: How many virtual devices share it in TensorFlow or JAX.
        dtype: The floating-point type of the model.
        at: A signal, and the step in which it comes; without one, when an evaluation has begun.
    """
    said = output.with_suffix(".txt")
    arguments = [f"--data={data}", f"--output={output}", "--workers=0", *options]
    shared = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "localhost", "MASTER_PORT": _port()}
    target = _target(script)
    if target == "flax" and processes > 1:
        shared |= {"JAX_COORDINATOR_ADDRESS": f"localhost:{_port()}"}
        shared |= {"JAX_NUM_PROCESSES": str(processes)}
    workers = [f"localhost:{_port()}" for _ in range(processes)] if target == "keras" else []
    shared |= {"JAX_COMPILATION_CACHE_DIR": str(script.parent / "compiled")}
    started = [
        _server(target).Process(
            target=_main,
            args=(script, arguments, said, dtype, devices, at, {**shared, **_rank(rank, workers)}),
        )
        for rank in range(processes)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join(_LONG)
    codes = [process.exitcode for process in started]
    for process in started:
        process.kill()
    assert None not in codes, said.read_text()
    return Run(next((c for c in codes if c), 0) or 0, said.read_text("utf-8"), output)


def forked(script: Path, function: Callable[..., None], *args: Any) -> None:
    """Call a function in a process like that of a script, and wait for it."""
    process = _server(_target(script)).Process(target=function, args=args)
    process.start()
    process.join(_LONG)
    assert process.exitcode == 0


def _target(script: Path) -> str:
    """Return the target of a script."""
    return script.stem.rpartition("_")[2]


def _rank(number: int, workers: Sequence[str]) -> dict[str, str]:
    """Return what tells a process its number, of these machines of TensorFlow."""
    told = {"RANK": str(number), "JAX_PROCESS_ID": str(number)}
    if len(workers) > 1:
        task = {"type": "worker", "index": number}
        told["TF_CONFIG"] = json.dumps({"cluster": {"worker": workers}, "task": task})
    return told


def _server(target: str) -> Any:
    """Return what forks a process that has imported what scripts of a target need."""
    context = multiprocessing.get_context("forkserver")
    if _SERVED and _SERVED[-1] != target:  # what another one imports may be in the way
        forkserver._forkserver._stop()  # type: ignore[attr-defined]  # as CPython's own tests do
    _SERVED.append(target)
    paths = [str(Path(__file__).parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    imports = {"torch": "scripts_imports"}
    context.set_forkserver_preload([imports.get(target, f"scripts_imports_{target}")])
    return context


def _port() -> str:
    """Return a port that is free."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return str(free.getsockname()[1])


def _main(
    script: Path,
    arguments: Sequence[str],
    said: Path,
    dtype: str,
    devices: int,
    at: tuple[int, int | None] | None,
    environment: dict[str, str],
) -> None:
    """Run a script in this process."""
    terminal = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(terminal, 1)
    os.dup2(terminal, 2)
    os.environ.update(environment)
    sys.argv = [str(script), *arguments]
    multiprocessing.set_start_method("fork", force=True)  # of those that load images
    target = _target(script)
    if target == "keras":
        set_keras(dtype, devices)
    elif target == "flax":
        set_flax(dtype, devices)
    else:
        import torch

        torch.set_default_dtype(getattr(torch, dtype))
    module = loaded(script)
    if target == "flax" and dtype == "float64":
        module.Small = widened(module.Small)
    if at is not None:
        signalled(module, target, *at)
    module.main()


def signalled(module: Any, target: str, number: int, step: int | None) -> None:
    """Let a script send a signal to itself: in a step, or when an evaluation has begun."""
    place, name = (module, "rate") if step is not None else (module, "evaluation_order")
    if step is None and target == "keras":
        place, name = module.Images, "validation"
    function: Callable[..., Any] = getattr(place, name)

    def signalling(*args: Any) -> Any:
        if step in (None, args[0]):
            os.kill(os.getpid(), number)
        return function(*args)

    setattr(place, name, signalling)


def set_keras(dtype: str, devices: int = 1) -> None:
    """Set the floating-point type of Keras, and how many devices TensorFlow makes of the CPU."""
    import keras
    import tensorflow as tf

    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    if devices > 1:
        (cpu,) = tf.config.list_physical_devices("CPU")
        parts = [tf.config.LogicalDeviceConfiguration()] * devices
        tf.config.set_logical_device_configuration(cpu, parts)


def set_flax(dtype: str, devices: int) -> None:
    """Set the largest floating-point type of JAX, and how many devices it makes of the CPU.

    What is compiled is kept for the next run.
    """
    import jax

    jax.config.update("jax_enable_x64", dtype == "float64")
    jax.config.update("jax_num_cpu_devices", devices)
    jax.config.update("jax_compilation_cache_dir", os.environ.get("JAX_COMPILATION_CACHE_DIR"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


def widened(make: Callable[..., Any]) -> Callable[..., Any]:
    """Return what makes a Flax model in float64; Flax itself makes float32 of all weights."""
    import jax.numpy as jnp
    from flax import nnx

    def made(*, rngs: Any) -> Any:
        model = make(rngs=rngs)
        for _, variable in nnx.iter_graph(model):
            if isinstance(variable, nnx.Param | nnx.BatchStat):
                variable.set_value(variable.get_value().astype(jnp.float64))
        return model

    return made


#: The signals of the tests.
KILL, TERMINATE, INTERRUPT = signal.SIGKILL, signal.SIGTERM, signal.SIGINT
