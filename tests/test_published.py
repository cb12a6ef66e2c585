"""BN-Inception compared with an independent implementation: Cadene's, as published on PyPI."""

from __future__ import annotations

import importlib
import sys
import types
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from parity import precision
from torch import nn

import incgen

SPEC = Path(__file__).parent.parent / "specs" / "bn_inception.inc"


def cadene() -> Any:
    """Return the published model with random weights and random statistics.

    The wheel of torchvision that it imports is built for CUDA; with a CPU build of torch its
    operators have to be declared before the import.
    """
    if "torchvision" not in sys.modules:
        library = torch.library.Library("torchvision", "DEF")
        for schema in (
            "nms(Tensor dets, Tensor scores, float threshold) -> Tensor",
            "qnms(Tensor dets, Tensor scores, float threshold) -> Tensor",
        ):
            library.define(schema)
        cadene.library = library  # type: ignore[attr-defined]  # it must stay alive
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module: types.ModuleType = importlib.import_module("pretrainedmodels.models.bninception")
    torch.manual_seed(0)
    model = module.bninception(num_classes=1000, pretrained=None)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, std=0.3)
            layer.running_mean.normal_(0, 0.3)
            layer.running_var.uniform_(0.5, 2.0)
        elif isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)  # redundant in front of a normalisation
    return model


def in_order(model: nn.Module, kind: type[nn.Module]) -> list[Any]:
    return [layer for layer in model.modules() if isinstance(layer, kind)]


def copied(ours: nn.Module, theirs: nn.Module) -> None:
    """Copy weights by order: both list the paper's layers from the stem to the classifier."""
    for kind, names in (
        (nn.Conv2d, ["weight"]),
        (nn.BatchNorm2d, ["weight", "bias", "running_mean", "running_var"]),
        (nn.Linear, ["weight", "bias"]),
    ):
        pairs = list(zip(in_order(ours, kind), in_order(theirs, kind), strict=True))
        assert pairs
        for mine, other in pairs:
            for name in names:
                getattr(mine, name).data.copy_(getattr(other, name).data)


def test_bn_inception_is_cadenes() -> None:
    with precision("float64"):
        theirs = cadene().eval()
        ours = incgen.load(SPEC, "torch").BNInception().eval()
        copied(ours, theirs)
        x = torch.from_numpy(np.random.default_rng(0).normal(0, 50, (2, 3, 224, 224)))

        with torch.no_grad():
            expected, actual = theirs(x), ours(x)

    assert actual.shape == (2, 1000)
    assert (actual - expected).abs().max() <= 1e-12 * expected.abs().max()


def test_bn_inception_has_the_counted_parameters() -> None:
    graph = incgen.compile_spec(SPEC)

    # figure 5 with the widths of its columns: 10,240,192 in convolutions, 2 for each of the
    # 10,016 normalised channels, 1,025,000 in the classifier
    assert graph.trained == 10_240_192 + 2 * 10_016 + 1_025_000 == 11_285_224
    assert graph.multiply_adds == 2_032_600_064


def test_the_trunk_is_figure_5() -> None:
    graph = incgen.compile_spec(SPEC)
    # the rows of figure 5; 4c and 4d have the 608 that their widths add up to, and the grids of
    # 3c and 4e are those behind their stride
    rows = {
        "3a": (256, 28),
        "3b": (320, 28),
        "3c": (576, 14),
        "4a": (576, 14),
        "4b": (576, 14),
        "4c": (608, 14),
        "4d": (608, 14),
        "4e": (1056, 7),
        "5a": (1024, 7),
        "5b": (1024, 7),
    }
    sizes = {
        node.path.split(".")[0][-2:]: (node.shape.channels, node.shape.height)
        for node in graph.nodes
        if node.op == "concat"
    }

    assert sizes == rows
