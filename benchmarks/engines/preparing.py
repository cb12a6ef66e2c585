"""Prepare what the engines run: weights, exports and conversions, each timed.

The published module gets random weights and statistics. They are imported as a user would import
its checkpoint, so that every model of a network computes the same.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import incgen
from engines.plan import (
    CHANNELS,
    ENGINES,
    INT8,
    ONNX2TF,
    PNNX,
    PUBLISHED,
    SIDE,
    Cell,
    Network,
)
from engines.results import Building, Missing
from figures import INCGEN, ROOT

#: How often what takes a second is run.
REPEATED = 3
#: Examples that every model computes.
EXAMPLES = 32
#: Outputs are compared for so many of them.
COMPARED = 2


@dataclass(frozen=True, slots=True)
class Prepared:
    """What preparing a network found.

    Attributes:
        building: How long building takes.
        missing: What could not be prepared.
    """

    building: list[Building]
    missing: list[Missing]


def spec_of(name: str) -> Path:
    """Return the file of a shipped spec."""
    return ROOT / "specs" / f"{name}.inc"


def weights_of(folder: Path, spec: str) -> Path:
    """Return the path of the weights of a spec."""
    return folder / f"{spec}.safetensors"


def expected_of(folder: Path, spec: str) -> Path:
    """Return the path of the outputs of the published model that a spec describes."""
    return folder / f"expected_{spec}.npy"


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
    building += _stage("torch", network, folder, "exports" if exports else "plain")
    if network.keras != network.name and processes & {"keras", "keras_torch"}:
        _stage("keras", network, folder)
    repeated = 1 if smallest else REPEATED
    building += [_built(network, folder, form, repeated) for form in _FORMS]
    if processes & {"onnxruntime", "openvino"}:
        _stage("convolution", network, folder)
    if not smallest:
        building.append(_floor(network))
        missing += _converted(network, folder, building)
        missing += _quantised(network, folder)
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


def measured(command: Sequence[str]) -> tuple[float, int]:
    """Run a command, and return its seconds and the bytes of its memory at its peak.

    Raises:
        RuntimeError: It failed.
    """
    start = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stderr is not None
        said = run.stderr.read()
        _, status, usage = os.wait4(run.pid, 0)
        run.returncode = os.waitstatus_to_exitcode(status)
    if run.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{said}")
    unit = 1 if sys.platform == "darwin" else 1024
    return time.perf_counter() - start, usage.ru_maxrss * unit


def _stage(name: str, network: Network, folder: Path, *arguments: str) -> list[Building]:
    """Run a function of this module in a process of its own, because it imports a framework."""
    command = [sys.executable, "-m", "engines.preparing", name, network.name, str(folder)]
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
    rows = json.loads(done.stdout.splitlines()[-1])
    return [Building(network.name, what, (seconds,)) for what, seconds in rows]


def _converted(network: Network, folder: Path, building: list[Building]) -> list[Missing]:
    """Convert a network by what is installed; return what is not, or failed."""
    missing = []
    if not Path(folder, PNNX).exists():
        missing.append(
            Missing(f"{PNNX}, {network.name}", "it is not installed: `pip install pnnx`")
        )
    program = found_program(ONNX2TF)
    if program is None:
        why = "it is not on PATH: install it into an environment of its own, it pins what it needs"
        return [*missing, Missing(f"{ONNX2TF}, {network.name}", why)]
    command = [program, "-i", str(folder / "training.onnx"), "-o", str(folder / ONNX2TF)]
    try:
        seconds, _ = measured([*command, "-n"])
    except (RuntimeError, OSError) as error:
        why = str(error).strip().splitlines()[-1]
        return [*missing, Missing(f"{ONNX2TF}, {network.name}", f"it failed: {why}")]
    building.append(Building(network.name, "onnx2tf, from incgen's ONNX", (seconds,)))
    return missing


def found_program(name: str) -> str | None:
    """Return the path of a program beside this Python, or elsewhere; None if there is none."""
    beside = Path(sysconfig.get_path("scripts"), name)
    return str(beside) if beside.exists() else shutil.which(name)


def _quantised(network: Network, folder: Path) -> list[Missing]:
    said = subprocess.run([INCGEN, "--help"], capture_output=True, text=True, check=True).stdout
    if "quantize" not in said:
        return [Missing(f"int8, {network.name}", "incgen has no command `quantize` yet")]
    raise NotImplementedError(folder)


def present(cells: Sequence[Cell], folder: Path) -> list[Cell]:
    """Leave out cells of conversions that were not made; `prepare` said why."""
    files = {PNNX: PNNX, ONNX2TF: ONNX2TF, INT8: "int8.onnx"}

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


# ---------------------------------------------------------------- in processes of their own


def torch_stage(network: Network, folder: Path, what: str) -> list[tuple[str, float]]:
    """Write weights and outputs of the published module, and what is made from it."""
    import torch

    import incgen
    from engines.torch_models import published, randomised

    module = randomised(published(network))
    torch.save(module.state_dict(), folder / "published.pt")
    images = torch.from_numpy(np.load(folder / "images.npy", mmap_mode="r")[:COMPARED].copy())
    with torch.inference_mode():
        np.save(expected_of(folder, network.name), module(images).numpy())
    incgen.import_weights(
        folder / "published.pt",
        spec_of(network.name),
        weights_of(folder, network.name),
        network.parameters,
        force=True,
    )
    if what == "plain":
        return []
    found = [("torch.onnx.export, published module", _exported(module, images, folder))]
    try:
        import pnnx
    except ImportError:
        return found
    start = time.perf_counter()
    Path(folder, PNNX).mkdir(exist_ok=True)
    pnnx.export(module, str(folder / PNNX / "model.pt"), images[:1], images, fp16=False)
    return [*found, ("pnnx.export, published module", time.perf_counter() - start)]


def _exported(module: Any, images: Any, folder: Path) -> float:
    """Export the published module as PyTorch's documentation says, with any number of examples."""
    import torch

    start = time.perf_counter()
    shapes = ({0: torch.export.Dim("batch")},)
    exported: Any = torch.onnx.export(module, (images,), dynamo=True, dynamic_shapes=shapes)
    exported.save(folder / "published.onnx")
    return time.perf_counter() - start


def keras_stage(network: Network, folder: Path) -> list[tuple[str, float]]:
    """Write weights and outputs of what Keras publishes."""
    import incgen
    from engines.keras_models import applications

    model = applications(network)
    numbers = np.random.default_rng(1)
    for layer in model.layers:
        for weight in layer.weights:
            if "moving_mean" in weight.path:
                weight.assign(numbers.normal(0, 0.1, weight.shape))
            elif "moving_variance" in weight.path:
                weight.assign(numbers.uniform(0.5, 2, weight.shape))
    model.save_weights(folder / "published.weights.h5")
    images = np.load(folder / "images.npy", mmap_mode="r")[:COMPARED].transpose(0, 2, 3, 1)
    np.save(
        expected_of(folder, network.keras), model.predict(np.ascontiguousarray(images), verbose=0)
    )
    incgen.import_weights(
        folder / "published.weights.h5",
        spec_of(network.keras),
        weights_of(folder, network.keras),
        network.parameters,
        force=True,
    )
    return []


def convolution_stage(network: Network, folder: Path) -> list[tuple[str, float]]:
    """Write the plain convolution as a file of ONNX."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    kernel = np.random.default_rng(2).standard_normal((CHANNELS, CHANNELS, 3, 3), np.float32)
    shape: list[str | int | None] = ["batch", CHANNELS, SIDE, SIDE]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ("input", "logits")]
    node = helper.make_node("Conv", ["input", "kernel"], ["logits"], pads=[1, 1, 1, 1])
    graph = helper.make_graph(
        [node], "plain", ends[:1], ends[1:], [numpy_helper.from_array(kernel, "kernel")]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, folder / "convolution.onnx")
    return []


def main() -> None:
    """Run the stage that the command line names, and print what it timed as JSON."""
    from engines.plan import NETWORKS

    stages: dict[str, Callable[..., object]] = {
        "torch": torch_stage,
        "keras": keras_stage,
        "convolution": convolution_stage,
    }
    name, network, folder, *rest = sys.argv[1:]
    print(json.dumps(stages[name](NETWORKS[network], Path(folder), *rest)))


if __name__ == "__main__":
    main()
