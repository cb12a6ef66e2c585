"""The models that PyTorch runs: published, generated, converted, and the plain convolution."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

import incgen
from engines.files import import_file, spec_of, weights_of
from engines.plan import (
    CHANNELS,
    CONVOLUTION,
    DEPLOYED,
    NETWORKS,
    PNNX,
    PUBLISHED,
    SIDE,
    STEP,
    Cell,
    Network,
)
from incgen.language.names import class_name

#: So small that training moves no weight; the arithmetic is that of any rate.
RATE = 1e-9


def published(network: Network) -> nn.Module:
    """Return the published module of a network, as its README makes it."""
    torch.manual_seed(0)
    packages = _pretrainedmodels()  # it makes torchvision importable beside any torch
    if network.name == "bn_inception":
        module: nn.Module = packages.bninception(pretrained=None)
    else:
        from torchvision.models import inception_v3

        module = inception_v3(aux_logits=False, transform_input=False, init_weights=False)
    return module.eval()


def _pretrainedmodels() -> ModuleType:
    """Import pretrainedmodels, whose torchvision may be built for another kind of torch.

    The wheels of torchvision are built for CUDA. With a CPU build of torch its import fails because
    two of its operators are missing, so they are declared first. No classification model uses them.
    """
    declared: Any = torch.library  # has no types
    if torch.version.cuda is None and not _LIBRARIES:
        library = declared.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _LIBRARIES.append(library)
    return importlib.import_module("pretrainedmodels")


_LIBRARIES: list[Any] = []  # declarations disappear with their library


def randomised(module: nn.Module) -> nn.Module:
    """Give every batch normalisation statistics that change what passes through."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            assert part.running_mean is not None and part.running_var is not None
            nn.init.normal_(part.running_mean, std=0.1)
            nn.init.uniform_(part.running_var, 0.5, 2.0)
    return module


def model_of(network: Network, name: str, folder: Path) -> nn.Module:
    """Return a model with the weights of the published one."""
    if name == CONVOLUTION:
        return nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False).eval()
    if name == PUBLISHED:
        model = published(network)
        model.load_state_dict(torch.load(folder / "published.pt"))
        return model
    if name == PNNX:
        return _converted(folder / PNNX)
    from safetensors.torch import load_model

    deploy = name == DEPLOYED
    code = incgen.load(spec_of(network.name), "torch", network.parameters, deploy=deploy)
    module: nn.Module = getattr(code, class_name(network.name))().eval()
    weights = weights_of(folder, network.name)
    if deploy:
        code.load_safetensors(module, str(weights))
    else:
        load_model(module, str(weights))
    return module


def _converted(folder: Path) -> nn.Module:
    """Return what pnnx wrote; it reads its weights from the current folder."""
    code = import_file(folder / "model_pnnx.py")
    before = Path.cwd()
    os.chdir(folder)
    try:
        module: nn.Module = code.Model().eval()
    finally:
        os.chdir(before)
    return module


@cache
def _used(network: str, name: str, engine: str, work: str, folder: Path) -> nn.Module:
    """Return the model of an engine, which all sizes of batches share."""
    module: Any = model_of(NETWORKS[network], name, folder)  # `to` has no such type
    if engine == "torch-channels-last":
        module = module.to(memory_format=torch.channels_last)
    used: nn.Module = module.train() if work == STEP else module.requires_grad_(False)
    return used


def runner(cell: Cell, network: Network, folder: Path) -> Callable[[], Any]:
    """Return a function that runs a cell once, and returns an array for inference."""
    module = _used(network.name, cell.model, cell.engine, cell.work, folder)
    images = _images(cell, folder)
    if cell.engine == "torch-channels-last":
        images = images.contiguous(memory_format=torch.channels_last)
    if cell.work == STEP:
        return _step(module, images)
    called: Any = torch.compile(module, dynamic=False) if cell.engine == "torch-compile" else module

    def run() -> np.ndarray:
        with torch.inference_mode():
            output: np.ndarray = called(images).numpy()
        return output

    return run


def _images(cell: Cell, folder: Path) -> torch.Tensor:
    if cell.model == CONVOLUTION:
        return torch.randn(cell.batch, CHANNELS, SIDE, SIDE)
    stored = np.load(folder / "images.npy", mmap_mode="r")
    return torch.from_numpy(stored[: cell.batch].copy())


def _step(module: nn.Module, images: torch.Tensor) -> Callable[[], Any]:
    """Return a function that makes a step of training."""
    optimizer = torch.optim.SGD(module.parameters(), lr=RATE, momentum=0.9)
    labels = torch.randint(1000, (len(images),))

    def run() -> None:
        optimizer.zero_grad()
        loss: Any = nn.functional.cross_entropy(module(images), labels)
        loss.backward()
        optimizer.step()

    return run
