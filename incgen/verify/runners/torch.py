"""Run generated PyTorch modules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from incgen.graph.nodes import Graph
from incgen.verify.runners.classes import ClassRunner
from incgen.verify.runners.results import Facts, RunFault, Values
from incgen.verify.surroundings import RANDOM, UNUSUAL
from incgen.weights.checkpoint import Array

#: Counts the batches that a batch norm has seen; models do not compute with it.
_COUNTER = "num_batches_tracked"


def settings() -> dict[str, Any]:
    """Return the process settings of PyTorch, by the names of their setters."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    return {
        f"{RANDOM} of PyTorch": torch.get_rng_state().numpy(),
        "torch.set_num_threads": torch.get_num_threads(),
        "torch.set_num_interop_threads": torch.get_num_interop_threads(),
        "torch.set_default_dtype": torch.get_default_dtype(),
        "torch.set_default_device": torch.get_default_device(),
        "torch.set_grad_enabled": torch.is_grad_enabled(),
        "torch.inference_mode": torch.is_inference_mode_enabled(),
        "torch.autograd.set_detect_anomaly": torch.is_anomaly_enabled(),
        "torch.use_deterministic_algorithms": (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        ),
        "torch.set_float32_matmul_precision": torch.get_float32_matmul_precision(),
        "torch.backends.cuda.matmul": (
            matmul.allow_tf32,
            matmul.allow_fp16_reduced_precision_reduction,
            matmul.allow_bf16_reduced_precision_reduction,
        ),
        "torch.backends.cudnn": (
            cudnn.enabled,
            cudnn.benchmark,
            cudnn.deterministic,
            cudnn.allow_tf32,
        ),
        "torch.backends.mkldnn": torch.backends.mkldnn.enabled,
        "torch.backends.quantized.engine": torch.backends.quantized.engine,
        "torch.autocast": [
            (torch.is_autocast_enabled(device), torch.get_autocast_dtype(device))
            for device in ("cpu", "cuda")
        ],
        "torch.set_warn_always": torch.is_warn_always_enabled(),
    }


def array(value: Tensor) -> Array:
    """Return a tensor as an array."""
    copied: Array = value.detach().cpu().numpy().copy()
    return copied


def arrays(tensors: Mapping[str, Tensor]) -> dict[str, Array]:
    """Return tensors as arrays."""
    return {key: array(value) for key, value in tensors.items()}


class TorchRunner(ClassRunner):
    """A generated module."""

    target, method, settings = "torch", "forward", staticmethod(settings)
    kind, word = Tensor, "a tensor"
    base, stock = nn.Module, (nn.Module,)
    in_training, array = ("training", True), staticmethod(array)
    versions = f"PyTorch {torch.__version__.partition('+')[0]}"

    def __init__(self, graph: Graph, source: str, dtype: str) -> None:
        super().__init__(graph, source, dtype)
        self.type: torch.dtype = getattr(torch, dtype)
        self.steps = 0

    @contextmanager
    def precision(self) -> Iterator[None]:
        before = torch.get_default_dtype()
        torch.set_default_dtype(self.type)
        try:
            yield
        finally:
            torch.set_default_dtype(before)

    def seed(self, seed: int) -> None:
        torch.manual_seed(seed)

    def modules(self, model: nn.Module) -> list[tuple[str, Any]]:
        return [(name, module) for name, module in model.named_modules() if name]

    def facts_of(self, model: nn.Module) -> Facts:
        state = {k: v for k, v in model.state_dict().items() if not k.endswith(_COUNTER)}
        trained = frozenset(key for key, param in model.named_parameters() if param.requires_grad)
        count = sum(value.numel() for value in state.values())
        training = all(module.training for module in model.modules())
        return Facts(arrays(state), trained, count, self.arguments(), self.docs, training)

    def preprocess(self, images: Array) -> Array:
        preprocess = self.of_module("preprocess")
        # also on another device, where a CPU tensor does not work
        preprocess(torch.from_numpy(images).to("meta"))
        return array(preprocess(torch.from_numpy(images)))

    # ------------------------------------------------------------ files of weights

    def load(self, path: Path) -> None:
        with self.kept("loading weights"):
            if self.graph.deployment is None:
                self.model.load_state_dict(safetensors.torch.load_file(path))
            else:
                self.of_module("load_safetensors")(self.model, path)

    def refusal(self, path: Path, before: Mapping[str, Array]) -> str:
        try:
            self.load(path)
        except RuntimeError:  # PyTorch loads what fits before it rejects the rest
            return ""
        return "are loaded"

    def write(self, path: Path) -> bool:
        safetensors.torch.save_file(self.model.state_dict(), path)
        return True

    # ------------------------------------------------------------ running

    def values(self, x: Array, inputs: bool, *, heads: bool) -> Values:
        with torch.no_grad():
            return self.recorded(self.tensor(x), inputs, heads=heads)[1]

    def called(self, x: Array) -> dict[str, Array]:
        return self.main_output(self.model.eval(), x)

    def main_output(self, model: Any, x: Array) -> dict[str, Array]:
        """Return the single output of a model in evaluation."""
        with torch.no_grad():
            return arrays(self.named(model(self.tensor(x)), heads=False))

    def trained(self, x: Any, inputs: bool) -> tuple[dict[str, Any], Values]:
        self.model.train()
        self.steps += 1
        torch.manual_seed(UNUSUAL + self.steps)  # random values differ in each step
        result = self.recorded(x, inputs)
        if torch.initial_seed() != UNUSUAL + self.steps:
            raise RunFault("it sets the seed of PyTorch's random numbers in training")
        return result

    def recorded(
        self, x: Tensor, inputs: bool, *, heads: bool = True
    ) -> tuple[dict[str, Tensor], Values]:
        before = x.detach().clone()
        result = super().recorded(x, inputs, heads=heads)
        if not torch.equal(before, x):
            raise RunFault("it changes its input")
        return result

    def layers(self, model: nn.Module) -> list[tuple[str, Any]]:
        return [
            (name, module) for name, module in model.named_modules() if not list(module.children())
        ]

    def rate(self, layer: Any) -> float | None:
        return layer.p if type(layer) is nn.Dropout and not layer.inplace else None

    def statistics(self) -> dict[str, Array]:
        stored = self.model.state_dict().keys()  # a gamma of ones that is not trained has no key
        return {k: v for k, v in self.buffers_of(self.model).items() if k in stored}

    def buffers_of(self, model: nn.Module) -> dict[str, Array]:
        """Return the statistics of a module by key, without its counters."""
        return arrays({k: v for k, v in model.named_buffers() if not k.endswith(_COUNTER)})

    def counters(self) -> dict[str, int]:
        buffers = dict(self.model.named_buffers())
        paths = [node.path for node in self.graph.nodes if node.op == "bn"]
        return {path: int(buffers.get(f"{path}.{_COUNTER}", torch.zeros(()))) for path in paths}

    # ------------------------------------------------------------ what PyTorch does its own way

    def number(self, value: Tensor) -> float:
        return float(value.detach())

    def sum(self, value: Tensor) -> Tensor:
        return value.sum()

    def mean(self, value: Tensor) -> Tensor:
        return value.mean()

    def tensor(self, value: Array) -> Tensor:
        return torch.tensor(value, dtype=self.type)

    def shape_of(self, value: Tensor, batch: int | None = None) -> tuple[int, ...]:
        return tuple(value.shape)

    def ours(self, key: str, value: Tensor) -> Array:
        return array(value)

    def trained_outputs(self, x: Tensor) -> dict[str, Tensor]:
        return self.named(self.model.train()(x))

    @property
    def penalised(self) -> bool:
        """Return whether the network has a weight decay."""
        return hasattr(self.model, "regularization_loss")

    def penalty(self) -> Tensor:
        penalty: Tensor = self.model.regularization_loss() if self.penalised else torch.zeros(())
        return penalty

    def optimizer(self, rate: float, momentum: float) -> Callable[[Callable[[], Any]], float]:
        parameters = list(self.model.parameters())
        optimizer = torch.optim.SGD(parameters, rate, momentum) if parameters else None

        def update(loss: Callable[[], Any]) -> float:
            total = loss()
            if optimizer is not None:
                optimizer.zero_grad()
                total.backward()
                optimizer.step()
            return self.number(total)

        return update

    def leaves(self, x: Array) -> dict[str, Any]:
        trained = {k: param for k, param in self.model.named_parameters() if param.requires_grad}
        return {"input": self.tensor(x).requires_grad_(), **trained}

    def move(self, leaves: Sequence[Any], moves: Sequence[Any]) -> None:
        with torch.no_grad():
            for leaf, move in zip(leaves, moves, strict=True):
                leaf.add_(move)

    def gradients(self, loss: Callable[[], Any], leaves: Sequence[Any]) -> Sequence[Any]:
        return torch.autograd.grad(loss(), list(leaves), materialize_grads=True)

    def forget(self) -> None:
        torch.compiler.reset()
