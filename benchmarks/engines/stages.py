"""Prepare with a framework: weights and outputs of published models, and their exports.

Each stage runs in a process of its own, and prints what it tried as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

import incgen
from engines.files import COMPARED, expected_of, spec_of, weights_of
from engines.plan import CHANNELS, PNNX, SIDE, Network

#: What was tried, the seconds that it took, and why it failed if it did.
Attempt: TypeAlias = tuple[str, float, str | None]


def torch_stage(network: Network, folder: Path, what: str) -> list[Attempt]:
    """Write weights and outputs of the published module, and what is made from it."""
    import torch

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
    return [
        attempted("torch.onnx.export, published module", lambda: _export(module, images, folder)),
        attempted("pnnx.export, published module", lambda: _trace(module, images, folder / PNNX)),
    ]


def attempted(what: str, action: Callable[[], None]) -> Attempt:
    """Do something; return the seconds that it took, or why it failed."""
    begun = time.perf_counter()
    try:
        action()
    except ModuleNotFoundError as error:
        return what, 0.0, f"it is not installed: `pip install {error.name}`"
    except Exception as error:
        first = str(error).strip().splitlines() or ["no message"]
        return what, 0.0, f"it failed: {type(error).__name__}: {first[0]}"
    return what, time.perf_counter() - begun, None


def _export(module: Any, images: Any, folder: Path) -> None:
    """Export the published module as PyTorch's documentation says, with any number of examples."""
    import torch

    shapes = ({0: torch.export.Dim("batch")},)
    exported: Any = torch.onnx.export(module, (images,), dynamo=True, dynamic_shapes=shapes)
    exported.save(folder / "published.onnx")


def _trace(module: Any, images: Any, folder: Path) -> None:
    """Write the published module as pnnx does, with any number of examples."""
    import pnnx

    folder.mkdir()
    pnnx.export(module, str(folder / "model.pt"), images[:1], images, fp16=False)


def keras_stage(network: Network, folder: Path) -> list[Attempt]:
    """Write weights and outputs of what Keras publishes."""
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


def convolution_stage(network: Network, folder: Path) -> list[Attempt]:
    """Write the plain convolution as an ONNX file."""
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
