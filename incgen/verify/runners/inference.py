"""Runners of what can only be evaluated: there is nothing to train in it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, NoReturn

from incgen.verify.runners.base import Runner
from incgen.verify.runners.results import Values
from incgen.weights.checkpoint import Array


class InferenceRunner(Runner):
    """A model that is only evaluated; the ladder asks it for nothing else."""

    trainable = False
    method = ""
    settings: ClassVar[Callable[[], Mapping[str, Any]]] = staticmethod(dict)

    @abstractmethod
    def checked(self) -> Iterator[tuple[str, str, str]]:
        """Yield each fact of its own kind and its place, and what is wrong with it, or ""."""

    def precision(self) -> AbstractContextManager[None]:
        return nullcontext()

    def seed(self, seed: int) -> None:
        """Do nothing: nothing is drawn."""

    def arguments(self) -> tuple[str, ...]:
        return ()

    def _untrained(self) -> NoReturn:
        raise AssertionError(f"{self.target} cannot be trained")

    def sum(self, value: Any) -> Any:
        self._untrained()

    def mean(self, value: Any) -> Any:
        self._untrained()

    def tensor(self, value: Array) -> Any:
        self._untrained()

    def shape_of(self, value: Any, batch: int | None = None) -> tuple[int, ...]:
        self._untrained()

    def trained_outputs(self, x: Any) -> dict[str, Any]:
        self._untrained()

    def trained(self, x: Any, inputs: bool) -> tuple[dict[str, Any], Values]:
        self._untrained()

    def layers(self, model: Any) -> list[tuple[str, Any]]:
        self._untrained()

    def rate(self, layer: Any) -> float | None:
        self._untrained()

    def statistics(self) -> dict[str, Array]:
        self._untrained()

    def ours(self, key: str, value: Any) -> Array:
        self._untrained()

    def penalty(self) -> Any:
        self._untrained()

    def optimizer(self, rate: float, momentum: float) -> Callable[[Callable[[], Any]], float]:
        self._untrained()

    def leaves(self, x: Array) -> dict[str, Any]:
        self._untrained()

    def move(self, leaves: Sequence[Any], moves: Sequence[Any]) -> None:
        self._untrained()

    def gradients(self, loss: Callable[[], Any], leaves: Sequence[Any]) -> Sequence[Any]:
        self._untrained()
