"""Forms of generated PyTorch modules: weights files, compiled and exported programs, copies."""

from __future__ import annotations

import copy
import os
import shutil
from collections.abc import Callable, Iterator
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from incgen.verify.runners.results import GRADIENT, Form
from incgen.verify.runners.torch import TorchRunner, arrays
from incgen.weights.checkpoint import Array


def _channels_last(model: Any) -> Any:
    return model.to(memory_format=torch.channels_last)


#: Forms that a module is trained in, by how they are made.
_TRAINED: dict[str, Callable[[nn.Module], Any]] = {
    "TorchScript": torch.jit.script,
    "torch.compile, aot_eager": partial(torch.compile, fullgraph=True, backend="aot_eager"),
    "channels_last": _channels_last,
}


def forms(runner: TorchRunner, folder: Path, x: Array) -> Iterator[Form]:
    """Yield the forms of a module, for an input (N, C, H, W)."""
    made = _Forms(runner, folder / "model", x)
    yield Form("state dict", made.state_dict)
    yield Form("TorchScript", made.script)
    yield Form("torch.export", made.export)
    # Compiling kernels takes minutes, and nobody runs compiled models in float64 for speed.
    if runner.dtype == "float32":
        yield Form("torch.compile", partial(made.compiled, "inductor"), _no_compiler())
    else:
        yield Form("torch.compile, aot_eager", partial(made.compiled, "aot_eager"))
    yield Form("channels_last", made.channels_last)
    own = cache(partial(made.trained, lambda model: model))
    for name, change in _TRAINED.items() if runner.dtype == "float64" else ():
        yield Form(f"{name}, training", partial(made.trained, change), own=own)
    yield Form("meta device", made.from_meta)
    yield Form("copy.deepcopy", made.copied)
    yield Form("pickle", made.pickled)


class _Forms:
    def __init__(self, runner: TorchRunner, path: Path, x: Array) -> None:
        self.runner, self.path, self.x = runner, path, x

    @property
    def model(self) -> Any:
        """Return the module itself, in evaluation."""
        return self.runner.model.eval()

    def output(self, model: Any) -> dict[str, Array]:
        """Return the outputs of a form in evaluation."""
        return self.runner.main_output(model, self.x)

    def twin(self, state: dict[str, Any] | None = None) -> Any:
        """Return another module with the same weights, or with those of a state dict."""
        model = self.runner.fresh()
        model.load_state_dict(state or self.runner.model.state_dict())
        return model

    def state_dict(self) -> dict[str, Array]:
        file = self.path.with_suffix(".pth")
        torch.save(self.model.state_dict(), file)
        return self.output(self.twin(torch.load(file, weights_only=True)).eval())

    def script(self) -> dict[str, Array]:
        file = self.path.with_suffix(".pt")
        torch.jit.save(torch.jit.script(self.model), file)
        load: Any = torch.jit.load
        return self.output(load(file))

    def export(self) -> dict[str, Array]:
        file = self.path.with_suffix(".pt2")
        torch.export.save(torch.export.export(self.model, (self.runner.tensor(self.x),)), file)
        return self.output(torch.export.load(file).module())

    def compiled(self, backend: str) -> dict[str, Array]:
        return self.output(torch.compile(self.model, fullgraph=True, backend=backend))

    def channels_last(self) -> dict[str, Array]:
        model = _channels_last(self.twin().eval())
        with torch.no_grad():
            result = model(_channels_last(self.runner.tensor(self.x)))
        return arrays(self.runner.named(result, heads=False))

    def from_meta(self) -> dict[str, Array]:
        """Make a module on the meta device.

        Tensors created outside the state dict have no values there, or are on another device.
        """
        with torch.device("meta"):
            model = self.runner.fresh().eval()
        images = torch.empty(self.x.shape, device="meta")
        model(images)
        model.train()(images)
        if self.runner.penalised:
            model.regularization_loss()
        model.eval()
        model.load_state_dict(self.runner.model.state_dict(), assign=True)
        return self.output(model)

    def trained(self, change: Callable[[nn.Module], Any]) -> dict[str, Array]:
        """Return the results of a training step in a form of a module, and the state it leaves.

        Dropout is disabled, since its masks cannot be passed to every form.
        """
        model = self.twin().train()
        for module in model.modules():
            if type(module) is nn.Dropout:
                module.p = 0.0
        outputs = self.runner.named(change(model)(_channels_last(self.runner.tensor(self.x))))
        self.runner.loss(outputs, 0).backward()
        gradients = {
            f"{GRADIENT}{k}": v.grad for k, v in model.named_parameters() if v.grad is not None
        }
        return {**arrays(outputs), **arrays(gradients), **self.runner.buffers_of(model)}

    @cached_property
    def used(self) -> Any:
        """Return a module that has been trained, with its weights restored."""
        model = self.twin()
        model(self.runner.tensor(self.x))
        model.load_state_dict(self.runner.model.state_dict())
        return model

    def copied(self) -> dict[str, Array]:
        return self.output(copy.deepcopy(self.used).eval())

    def pickled(self) -> dict[str, Array]:
        file = self.path.with_suffix(".pickle")
        torch.save(self.used, file)
        return self.output(torch.load(file, weights_only=False).eval())


def _no_compiler() -> str:
    """Return why torch.compile cannot work here; "" if it can."""
    names = [os.environ["CXX"]] if "CXX" in os.environ else ["g++", "clang++", "c++", "cl"]
    return "" if any(map(shutil.which, names)) else "torch.compile needs a C++ compiler"
