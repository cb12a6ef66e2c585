"""Drive generated PyTorch training scripts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from incgen.verify.runners.torch import TorchRunner, arrays
from incgen.verify.runners.trained import Trained
from incgen.weights.checkpoint import Array

#: What optimisers, of PyTorch or the script, call their state, and we.
_STATES = {
    "momentum_buffer": "velocity",
    "exp_avg": "velocity",
    "velocity": "velocity",
    "square_avg": "mean square",
    "exp_avg_sq": "mean square",
    "square": "mean square",
}


class TorchTrained(Trained):
    """A module, its optimiser and its average."""

    runner: TorchRunner

    def begin(self, weights: Path) -> None:
        self.model.load_state_dict(safetensors.torch.load_file(weights))
        self.optimizer: Any = self.script.make_optimizer(self.model)
        averaged = self.recipe.average is not None
        self.average: Any = self.script.make_average(self.model) if averaged else None
        self.model.train()

    def step(self, x: Array, labels: Array, number: int) -> float:
        given = {"model": self.model, "optimizer": self.optimizer, "step": number}
        given |= {"images": self.runner.tensor(x), "labels": torch.tensor(labels)}
        given |= {"average": self.average} if self.average is not None else {}
        rate = self.script.rate(number, self.epoch, self.total)
        with self.runner.dropout(number, self.model):
            return float(self.script.train_step(**given, rate=rate))

    def state(self) -> dict[str, dict[str, Array]]:
        states: dict[str, dict[str, Array]] = {kind: {} for kind in _STATES.values()}
        for key, parameter in self.model.named_parameters():
            for name, value in self.optimizer.state.get(parameter, {}).items():
                kind = _STATES.get(name)
                if kind == "mean square" or (kind == "velocity" and self.heavy):
                    states[kind] |= arrays({key: value})
        tensors = self.runner.facts_of(self.model).tensors
        averages = self.average.module.state_dict() if self.average is not None else {}
        kept = {key: value for key, value in averages.items() if key in tensors}  # no counters
        return {**states, "tensor": tensors, "average": arrays(kept)}
