"""Prepare what the engines run: weights, exports and conversions, each timed.

The published model gets random weights and statistics. They are imported as a user would import
its checkpoint, so that every model of a network computes the same.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import incgen
from engines.files import EXAMPLES, spec_of, weights_of
from engines.plan import (
    ENGINES,
    INT8,
    ONNX2TF,
    PNNX,
    PUBLISHED,
    Cell,
    Network,
)
from engines.results import Building, Missing
from figures import INCGEN, ROOT

#: How often what takes a second is run.
REPEATED = 3


@dataclass(frozen=True, slots=True)
class Prepared:
    """The result of preparing a network.

    Attributes:
        building: How long building takes.
        missing: What could not be prepared.
    """

    building: list[Building]
    missing: list[Missing]


def prepare(network: Network, folder: Path, processes: set[str], smallest: bool) -> Prepared:
    """Write what the processes need for a network into a folder.

    Args:
        network: The network.
        folder: The folder, which is made.
        processes: The processes that will measure.
        smallest: Whether to leave out converters, and measure once.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shape = (EXAMPLES, 3, network.size, network.size)
    np.save(folder / "images.npy", np.random.default_rng(0).standard_normal(shape, np.float32))
    building, missing = list[Building](), list[Missing]()
    exports = not smallest and bool(processes & {"onnxruntime", "openvino", "torch"})
    _stage("torch", network, folder, building, missing, "exports" if exports else "plain")
    if network.keras != network.name and processes & {"keras", "keras_torch"}:
        _stage("keras", network, folder, building, missing)
    repeated = 1 if smallest else REPEATED
    building += [_built(network, folder, form, repeated) for form in _FORMS]
    if processes & {"onnxruntime", "openvino"}:
        _stage("convolution", network, folder, building, missing)
    if not smallest:
        building.append(_floor(network))
        missing += _converted(network, folder, building)
        missing += _quantised(network, folder, building)
    return Prepared(building, missing)


#: What incgen builds: what it is called, its options, and the file.
_FORMS = (
    ("incgen build, PyTorch", ["--target=torch"], "training_torch.py"),
    ("incgen build, ONNX", ["--target=onnx"], "training.onnx"),
    ("incgen build --deploy, ONNX", ["--target=onnx", "--deploy"], "deployed.onnx"),
)


def _built(
    network: Network, folder: Path, form: tuple[str, list[str], str], times: int
) -> Building:
    what, options, name = form
    command = [INCGEN, "build", str(spec_of(network.name)), *network.settings(), *options]
    if "--target=onnx" in options:
        command += ["--weights", str(weights_of(folder, network.name))]
    runs = []
    for _ in range(times):
        Path(folder, name).unlink(missing_ok=True)
        runs.append(measured([*command, "-o", str(folder / name)]))
    return Building(network.name, what, tuple(t for t, _ in runs), max(peak for _, peak in runs))


def _floor(network: Network) -> Building:
    runs = [measured([sys.executable, "-c", "import incgen.cli.main"]) for _ in range(REPEATED)]
    return Building(network.name, "starting incgen (the floor)", tuple(t for t, _ in runs))


#: Starts a command from a small process: Linux counts the memory of the process that starts one as
#: that of the new one, until this runs a program.
_MEASURE = """
import os, sys, time
start = time.perf_counter()
silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
started = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=silent)
_, status, usage = os.wait4(started, 0)
print(time.perf_counter() - start, usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def measured(command: Sequence[str]) -> tuple[float, int]:
    """Run a command, and return its seconds and the bytes of its memory at its peak.

    Raises:
        RuntimeError: It failed.
    """
    done = subprocess.run(
        [sys.executable, "-ISc", _MEASURE, *command], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    seconds, peak = done.stdout.split()
    return float(seconds), int(peak) * (1 if sys.platform == "darwin" else 1024)


def _stage(
    name: str,
    network: Network,
    folder: Path,
    building: list[Building],
    missing: list[Missing],
    *arguments: str,
) -> None:
    """Run a stage in a process of its own, because it imports a framework."""
    command = [sys.executable, "-m", "engines.stages", name, network.name, str(folder)]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "benchmarks"),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    done = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, env=environment, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"preparing {network.name} for {name} failed:\n{done.stderr[-4000:]}")
    for what, seconds, fault in json.loads(done.stdout.splitlines()[-1]):
        if fault is None:
            building.append(Building(network.name, what, (seconds,)))
        else:
            missing.append(Missing(f"{what}, {network.name}", fault))


def _converted(network: Network, folder: Path, building: list[Building]) -> list[Missing]:
    """Convert a network by onnx2tf, if it is there; return that it is not, or failed."""
    program = found_program(ONNX2TF)
    if program is None:
        why = "it is not on PATH: install it into an environment of its own, it pins what it needs"
        return [Missing(f"{ONNX2TF}, {network.name}", why)]
    command = [program, "-i", str(folder / "training.onnx"), "-o", str(folder / ONNX2TF)]
    try:
        seconds, _ = measured([*command, "-n"])
    except (RuntimeError, OSError) as error:
        why = str(error).strip().splitlines()[-1]
        return [Missing(f"{ONNX2TF}, {network.name}", f"it failed: {why}")]
    building.append(Building(network.name, "onnx2tf, from incgen's ONNX", (seconds,)))
    return []


def found_program(name: str) -> str | None:
    """Return the path of a program beside this Python, or elsewhere; None if there is none."""
    beside = Path(sysconfig.get_path("scripts"), name)
    return str(beside) if beside.exists() else shutil.which(name)


def _quantised(network: Network, folder: Path, building: list[Building]) -> list[Missing]:
    """Quantise the deployed form; how accurate it is with random weights says nothing."""
    command = [INCGEN, "quantize", str(folder / "deployed.onnx"), "-o", str(folder / "int8.onnx")]
    counts = ["--count=8", "--compare=2", "--batch=2"]
    try:
        seconds, _ = measured([*command, "--images", str(folder / "images.npy"), *counts])
    except RuntimeError as error:
        why = str(error).strip().splitlines()[-1]
        return [Missing(f"int8, {network.name}", f"`incgen quantize` failed: {why}")]
    building.append(Building(network.name, "incgen quantize, 8 images", (seconds,)))
    return []


def present(cells: Sequence[Cell], folder: Path) -> list[Cell]:
    """Leave out cells of conversions that were not made; `prepare` said why."""
    files = {PNNX: f"{PNNX}/model_pnnx.py", ONNX2TF: ONNX2TF, INT8: "int8.onnx"}

    def made(cell: Cell) -> bool:
        exported = cell.model == PUBLISHED and ENGINES[cell.engine].exports
        name = "published.onnx" if exported else files.get(cell.model)
        return name is None or Path(folder, name).exists()

    return [cell for cell in cells if made(cell)]


def sizes(network: Network, folder: Path) -> dict[str, int]:
    """Return the multiply-adds of an example, and the bytes of the weights."""
    graph = incgen.compile_spec(spec_of(network.name), network.parameters)
    return {
        "multiply_adds": graph.multiply_adds,
        "weights": weights_of(folder, network.name).stat().st_size,
    }
