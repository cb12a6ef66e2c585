"""Training scripts in tests: tiny data, and scripts imported here or run in processes of their own.

A process that has imported everything already is forked for each run, since that is most of the
time of a run.
"""

from __future__ import annotations

import csv
import gzip
import importlib.util
import multiprocessing
import os
import signal
import socket
import struct
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image

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
    if not _is_keras(script):
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


#: Keeps the declarations of torchvision's operators alive.
_DECLARED: list[Any] = []


def _prepare() -> None:
    """Do without TensorFlow in TensorBoard, and without torchvision's compiled part."""
    import torch

    sys.modules.setdefault("tensorboard.compat.notf", ModuleType("notf"))
    if "torchvision" not in sys.modules:  # see `imported` in published.py
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float threshold) -> Tensor")
        _DECLARED.append(library)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("torchvision")


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


def run(
    script: Path,
    data: Path,
    output: Path,
    *options: str,
    processes: int = 1,
    devices: int = 1,
    dtype: str = "float32",
    at: tuple[int, int] | None = None,
) -> Run:
    """Run a script, and return how it ended.

    Args:
        script: The script.
        data: The folder of the data.
        output: The folder of its files.
        options: Further options.
        processes: How many processes share the batch, as torchrun starts them.
        devices: How many virtual devices share it in TensorFlow.
        dtype: The floating-point type of the model.
        at: A signal, and the step in which it comes.
    """
    said = output.with_suffix(".txt")
    arguments = [f"--data={data}", f"--output={output}", "--workers=0", *options]
    shared = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "localhost", "MASTER_PORT": _port()}
    imports = "scripts_imports_keras" if _is_keras(script) else "scripts_imports"
    started = [
        _server(imports).Process(
            target=_main,
            args=(script, arguments, said, dtype, devices, at, {**shared, "RANK": str(rank)}),
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


def _is_keras(script: Path) -> bool:
    """Return whether a script is one of Keras."""
    return script.stem.endswith("_keras")


@cache
def _server(imports: str) -> Any:
    """Return what forks a process in which a module has been imported; the first one counts."""
    context = multiprocessing.get_context("forkserver")
    paths = [str(Path(__file__).parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    context.set_forkserver_preload([imports])
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
    at: tuple[int, int] | None,
    environment: dict[str, str],
) -> None:
    """Run a script in this process."""
    terminal = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(terminal, 1)
    os.dup2(terminal, 2)
    os.environ.update(environment)
    sys.argv = [str(script), *arguments]
    multiprocessing.set_start_method("fork", force=True)  # of those that load images
    if _is_keras(script):
        set_keras(dtype, devices)
    else:
        import torch

        torch.set_default_dtype(getattr(torch, dtype))
    module = loaded(script)
    if at is not None:
        number, step = at
        rate: Callable[..., float] = module.rate

        def signalling(now: int, epoch: int, total: int) -> float:
            if now == step:
                os.kill(os.getpid(), number)
            return rate(now, epoch, total)

        module.rate = signalling
    module.main()


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


#: The signals of the tests.
KILL, TERMINATE, INTERRUPT = signal.SIGKILL, signal.SIGTERM, signal.SIGINT
