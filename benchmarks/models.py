"""How fast the generated models run, against published and hand-written ones.

PyTorch against `bninception` of Cadene's pretrainedmodels, Keras against
`reference/bn_inception_keras.py`; one forward pass in evaluation mode, at batch 1 and 32, both
models in turn, with the same weights. "Not slower" is a statement about noisy numbers: two
instances of one class, measured like this on a quiet machine, came out at ratios of 0.98 to 1.03.
So it holds up to 1.03, and the 95 % interval of the ratio is printed beside it.

`--only torch` and `--only keras` measure one framework; without it each is measured in a process
of its own, because two frameworks in one process fight for the cores.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import incgen
from figures import REFERENCE, SMALLEST, SPEC, Figure, compare, from_script, report

PAIRS = {1: 1} if SMALLEST else {1: 60, 32: 9}  # batch: how many pairs of forward passes are timed
NOISE = 0.03  # of a ratio
AGREEMENT = 1e-4  # in float32, relative to the largest logit: checks that both models are the same


def measure_torch() -> list[Figure]:
    """Return the times of the generated PyTorch model against Cadene's."""
    import torch

    torch.manual_seed(0)
    published = import_pretrainedmodels().bninception(pretrained=None).eval()
    generated = incgen.load(SPEC, target="torch").BNInception().eval()
    randomise_statistics(published)
    copy_in_order(published, generated)

    def forward(model: torch.nn.Module, images: torch.Tensor) -> Callable[[], Any]:
        def run() -> Any:
            with torch.inference_mode():
                return model(images).numpy()

        return run

    found = []
    for batch, pairs in PAIRS.items():
        images = torch.randn(batch, 3, 224, 224)
        runs = forward(generated, images), forward(published, images)
        found.append(not_slower("PyTorch, generated / Cadene", batch, *runs, pairs))
    return found


def measure_keras() -> list[Figure]:
    """Return the times of the generated Keras model against the hand-written one."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    by_hand = import_file(REFERENCE / "bn_inception_keras.py").bn_inception(name="by_hand")
    generated = incgen.load(SPEC, target="keras").bn_inception()
    copy_by_name(by_hand, generated)

    def forward(model: Any, images: Any) -> Callable[[], Any]:
        compiled = tf.function(lambda inputs: model(inputs, training=False))
        return lambda: compiled(images).numpy()

    found = []
    for batch, pairs in PAIRS.items():
        images = tf.random.normal((batch, 224, 224, 3))
        runs = forward(generated, images), forward(by_hand, images)
        found.append(not_slower("Keras, generated / by hand", batch, *runs, pairs))
    return found


def not_slower(
    name: str, batch: int, ours: Callable[[], Any], theirs: Callable[[], Any], pairs: int
) -> Figure:
    """Time two models that must give the same output, and return how ours compares."""
    check_same(ours(), theirs())
    compared = compare(ours, theirs, pairs)
    low, high = compared.interval
    first, second = (1e3 * median for median in compared.medians)
    times = f"{first:.0f} ms / {second:.0f} ms, 95 %: {low:.2f} to {high:.2f}"
    value = f"{compared.ratio:.2f}  ({times})"
    reached = compared.ratio <= 1 + NOISE
    return Figure(f"{name}, batch {batch}", value, f"at most 1 (+ {NOISE})", reached)


def check_same(ours: Any, theirs: Any) -> None:
    """Raise an error if two outputs differ: the times would compare different networks."""
    difference = float(np.abs(ours - theirs).max() / np.abs(theirs).max())
    if not difference <= AGREEMENT:
        raise RuntimeError(f"the models differ: {difference:.1e} of the largest logit")


def import_pretrainedmodels() -> ModuleType:
    """Import pretrainedmodels, whose torchvision may be built for another kind of torch.

    The wheels of torchvision are built for CUDA. With a CPU build of torch its import fails because
    two of its operators are missing, so they are declared first. No classification model uses them.
    """
    import torch

    declared: Any = torch.library  # has no types
    if torch.version.cuda is None:
        library = declared.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        LIBRARIES.append(library)
    return importlib.import_module("pretrainedmodels")


LIBRARIES: list[Any] = []  # declarations disappear with their library


def randomise_statistics(model: Any) -> None:
    """Give every batch normalisation statistics that change what passes through."""
    import torch

    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            torch.nn.init.normal_(module.running_mean, std=0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)


def copy_in_order(published: Any, generated: Any) -> None:
    """Copy Cadene's weights into the generated model.

    Both hold the same layers in the same order, convolutions followed by their normalisation;
    Cadene's convolutions have a bias, which the generated ones leave to the normalisation, so it is
    set to zero.
    """
    import torch

    for module in published.modules():
        if isinstance(module, torch.nn.Conv2d):
            assert module.bias is not None
            torch.nn.init.zeros_(module.bias)
    source, target = (layers_with_weights(model) for model in (published, generated))
    for theirs, ours in zip(source, target, strict=True):
        ours.load_state_dict(without_bias_of_conv(theirs))


def layers_with_weights(model: Any) -> list[Any]:
    """Return the layers of a PyTorch model that have weights of their own, in order."""
    return [module for module in model.modules() if list(module.parameters(recurse=False))]


def without_bias_of_conv(layer: Any) -> Mapping[str, Any]:
    """Return the weights of a layer, for a convolution without its bias."""
    import torch

    weights: Mapping[str, Any] = layer.state_dict()
    if isinstance(layer, torch.nn.Conv2d):
        return {name: weight for name, weight in weights.items() if name != "bias"}
    return weights


def copy_by_name(by_hand: Any, generated: Any) -> None:
    """Copy the weights between two Keras models whose layers have the same names."""
    for layer in by_hand.layers:
        if layer.weights:
            generated.get_layer(layer.name).set_weights(layer.get_weights())


def import_file(path: Path) -> ModuleType:
    """Import a file as a module of its own name."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Measure the frameworks named on the command line, or all of them in separate processes."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    measures = {"torch": measure_torch, "keras": measure_keras}
    if "--only" in sys.argv:
        report(measures[sys.argv[sys.argv.index("--only") + 1]]())
    else:
        report([figure for name in measures for figure in from_script(__file__, "--only", name)])


if __name__ == "__main__":
    main()
