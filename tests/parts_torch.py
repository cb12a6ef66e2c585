"""The parts of training scripts of PyTorch, as test_train_parts.py drives them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import small
import torch
from small import Array
from torch import Tensor, nn

#: How far pixels may be from those of Pillow.
APART = 1e-3


@contextmanager
def float64() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def optimised(module: Any) -> list[float]:
    model = nn.Linear(1, 2, bias=False)
    nn.init.ones_(model.weight)
    optimizer = module.make_optimizer(model)
    for rate, gradients in zip(small.RATES, small.GRADIENTS, strict=True):
        model.weight.grad = torch.tensor(gradients)[:, None]
        step(optimizer, rate)
    return model.weight.flatten().tolist()


def decayed(module: Any, rate: float) -> tuple[dict[str, Array], dict[str, Array]]:
    model = module.Small()
    before = {key: w.detach().numpy().copy() for key, w in model.named_parameters()}
    for w in model.parameters():
        w.grad = torch.zeros_like(w)
    step(module.make_optimizer(model), rate)
    return before, {key: w.detach().numpy() for key, w in model.named_parameters()}


def step(optimizer: Any, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()


def clipped(module: Any, gradients: Sequence[Sequence[float]]) -> list[float]:
    weights = [nn.Parameter(torch.zeros(len(gradient))) for gradient in gradients]
    for w, gradient in zip(weights, gradients, strict=True):
        w.grad = torch.tensor(gradient)
    module.clip(weights)
    return [value for w in weights for value in (w.grad if w.grad is not None else w).tolist()]


def loss_of(
    module: Any, images: Array, labels: Sequence[int]
) -> tuple[float, list[Array], list[Array]]:
    torch.manual_seed(0)
    model = module.Small()
    outputs = model(torch.tensor(images).permute(0, 3, 1, 2))
    loss = module.loss_of(model, outputs, torch.tensor(labels))
    every = outputs if isinstance(outputs, tuple) else (outputs,)
    weights = [w.detach().numpy() for w in model.parameters()]
    return float(loss.detach()), [output.detach().numpy() for output in every], weights


def half_loss(module: Any, logits: Sequence[float], label: int) -> tuple[float, Array]:
    rounded = torch.tensor([logits], dtype=torch.bfloat16)
    loss = module.loss_of(module.Small(), rounded, torch.tensor([label]))
    return float(loss), rounded.double().numpy()


def box(module: Any, size: Sequence[int], numbers: list[float]) -> list[int]:
    return [*module.crop_box(*size, numbers)]


def transformed(module: Any, image: Array, numbers: list[float]) -> Array:
    return np.asarray(module.transform(tensor(image), numbers).permute(1, 2, 0).numpy())


def prepared(module: Any, image: Array) -> Array:
    return np.moveaxis(module.prepare(tensor(image)).numpy(), -3, -1)


def tensor(image: Array) -> Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)


class Answers(nn.Module):
    """A network whose logits are its input."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the input."""
        return x


def scores(module: Any, logits: Array, labels: Array) -> list[float]:
    """Sum the scores of what fills up no batch: there is no such thing here."""
    logits, labels = torch.tensor(logits[labels >= 0]), torch.tensor(labels[labels >= 0])
    batches = [(logits[n : n + 3].reshape(-1, 7), labels[n : n + 3]) for n in (0, 3, 6)]
    means = module.evaluate(Answers(), batches, len(labels), torch.float32)
    return [len(labels) * means[name] for name in ("top1", "top5", "val_loss")]


def be_process(patch: pytest.MonkeyPatch, module: Any, rank: int, count: int) -> None:
    patch.setattr(module, "RANK", rank)
    patch.setattr(module, "PROCESSES", count)
