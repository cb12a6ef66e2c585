"""Run generated Flax modules."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from incgen.graph.nodes import Graph
from incgen.verify.runners.axes import channels_first, channels_last
from incgen.verify.runners.classes import ClassRunner
from incgen.verify.runners.flax_contents import Input, modules_of, ours, variables_of
from incgen.verify.runners.flax_programs import Programs, settings
from incgen.verify.runners.results import Facts, RunFault, Values
from incgen.weights.checkpoint import Array


class FlaxRunner(ClassRunner):
    """A generated module."""

    target, method, settings = "flax", "__call__", staticmethod(settings)
    kind, word = jax.Array, "an array"
    base, stock = nnx.Module, (nnx.Conv, nnx.Linear, nnx.BatchNorm, nnx.Dropout)
    has_channels_last, in_training = True, ("deterministic", False)
    versions = f"Flax {flax.__version__} on JAX {jax.__version__}"

    def __init__(self, graph: Graph, source: str, dtype: str) -> None:
        super().__init__(graph, source, dtype)
        self.made: Any = None  # the model whose constructor ran last
        self.programs = Programs()
        self.promised: list[tuple[Array, Any]] = []

    @contextmanager
    def precision(self) -> Iterator[None]:
        processor = jax.devices("cpu")[0]  # a graphics card would round more
        with jax.enable_x64(self.dtype == "float64"), jax.default_device(processor):
            yield

    def seed(self, seed: int) -> None:
        self.start = seed

    def fresh(self, **arguments: Any) -> Any:
        made: list[Any] = []

        def state(seed: Any) -> Any:
            self.made = self._maker()(**arguments, rngs=nnx.Rngs(jax.random.key(seed)))
            graph, state = nnx.split(self.made)
            made.append(graph)
            return state

        with jax.enable_x64(False):  # Flax makes parameters in float32 in any case
            arrays = self.programs.run(state, np.uint32(self.start))
        model = nnx.merge(made[0], arrays)
        for variable in variables_of(model).values():
            variable.set_value(jnp.asarray(np.asarray(variable[...]), self.dtype))
        return model

    def arguments(self) -> tuple[str, ...]:
        # The metaclass of Flax hides the parameters of the constructor from `signature`.
        maker = self._maker()  # a `partial` where other arguments are the defaults
        names = inspect.signature(getattr(maker, "func", maker).__init__).parameters
        return tuple(names)[1:-1]  # without `self` and `rngs`

    def constructed(self) -> Any:
        return self.made

    def modules(self, model: Any) -> list[tuple[str, Any]]:
        return modules_of(model)

    def facts_of(self, model: Any) -> Facts:
        variables = variables_of(model)
        tensors = {key: ours(np.asarray(variable[...])) for key, variable in variables.items()}
        trained = frozenset(
            k for k, variable in variables.items() if isinstance(variable, nnx.Param)
        )
        count = sum(value.size for value in tensors.values())
        training = not any(
            getattr(module, name, False)
            for _, module in nnx.iter_modules(model)
            for name in ("deterministic", "use_running_average")
        )
        return Facts(tensors, trained, count, self.arguments(), self.docs, training)

    def preprocess(self, images: Array) -> Array:
        preprocess = self.of_module("preprocess")
        result = np.asarray(preprocess(channels_last(images)))
        again = np.asarray(jax.jit(preprocess)(channels_last(images)))
        if not np.allclose(result, again, rtol=1e-5, atol=1e-5):
            raise RunFault("preprocess gives something else under jit")
        return channels_first(result)

    # ------------------------------------------------------------ running

    def values(self, x: Array, inputs: bool, *, heads: bool) -> Values:
        seen: list[Values] = []
        run = partial(self.recorded, self.tensor(x), inputs, heads=heads)
        self._passed(lambda: seen.append(run()[1]))
        return seen[0]

    def called(self, x: Array) -> dict[str, Array]:
        self.model.eval()
        outputs: dict[str, Array] = {}
        self._passed(lambda: outputs.update(self.main_output(self.model, x)))
        return outputs

    def main_output(self, model: Any, x: Array) -> dict[str, Array]:
        """Return the single output of a model in evaluation."""
        return self.arrays(self.named(model(self.tensor(x)), heads=False))

    def trained(self, x: Any, inputs: bool) -> tuple[dict[str, Any], Values]:
        self.model.train()
        return self.recorded(x.value, inputs)

    @contextmanager
    def calling(
        self,
        layers: Iterable[tuple[str, Any]],
        change: Callable[[str, Any, Callable[..., Any]], Callable[..., Any]],
    ) -> Iterator[None]:
        """Replace what layers call: of their classes, where Python looks a call up."""
        changed = {path: type(layer) for path, layer in layers}
        # Gradients are those of a copy of the model, with the same paths.
        paths: dict[int, dict[int, str]] = {}

        def path_of(module: Any) -> str | None:
            known = paths.get(id(self.model))
            if known is None:
                known = paths[id(self.model)] = {id(m): path for path, m in modules_of(self.model)}
            return known.get(id(module))

        def replaced(cls: type) -> Callable[..., Any]:
            original = cls.__call__

            def call(module: Any, *given: Any, **named: Any) -> Any:
                path = path_of(module)
                if path is None or changed.get(path) is not cls:
                    return original(module, *given, **named)
                return change(path, module, partial(original, module))(*given, **named)

            return call

        with ExitStack() as stack:
            for cls in set(changed.values()):
                if "__call__" in cls.__dict__:
                    stack.callback(setattr, cls, "__call__", cls.__dict__["__call__"])
                else:  # inherited
                    stack.callback(delattr, cls, "__call__")
                cls.__call__ = replaced(cls)
            yield

    def layers(self, model: Any) -> list[tuple[str, Any]]:
        modules = modules_of(model)
        outer = {name.rpartition(".")[0] for name, _ in modules}
        return [(name, module) for name, module in modules if name not in outer]

    def rate(self, layer: Any) -> float | None:
        plain = type(layer) is nnx.Dropout and not layer.broadcast_dims
        return float(layer.rate) if plain else None

    def trains(self, layer: Any, given: bool) -> bool:
        return not layer.deterministic

    def statistics(self) -> dict[str, Array]:
        variables = variables_of(self.model).items()
        return {
            key: self.array(variable[...])
            for key, variable in variables
            if isinstance(variable, nnx.BatchStat)
        }

    # ------------------------------------------------------------ what JAX does its own way

    def sum(self, value: Any) -> Any:
        return jnp.sum(value)

    def mean(self, value: Any) -> Any:
        return jnp.mean(value)

    def tensor(self, value: Array) -> Any:
        return jnp.asarray(channels_last(value), self.dtype)

    def constant(self, value: Array) -> Any:
        return np.asarray(value, self.dtype)

    def shape_of(self, value: Any, batch: int | None = None) -> tuple[int, ...]:
        shape = tuple(value.shape)
        return (shape[0], shape[3], shape[1], shape[2]) if len(shape) == 4 else shape

    def ours(self, key: str, value: Any) -> Array:
        return channels_first(value) if key == "input" else ours(value)

    def number(self, value: Any) -> Any:
        return self.array(value)

    def trained_outputs(self, x: Any) -> dict[str, Any]:
        self.model.train()
        return self.named(self.model(x.value if isinstance(x, Input) else x))

    def penalty(self) -> Any:
        own = getattr(self.model, "regularization_loss", None)
        return own() if own else jnp.zeros(())

    def run(self, loss: Callable[[], Any]) -> float:
        return float(self._passed(loss)[0])

    def optimizer(self, rate: float, momentum: float) -> Callable[[Callable[[], Any]], float]:
        optimizer = optax.sgd(rate, momentum)
        state = optimizer.init([variable[...] for variable in self._trained().values()])

        def update(loss: Callable[[], Any]) -> float:
            nonlocal state
            total, (_, gradients) = self._passed(loss, derived=True)
            moves, state = self.programs.run(optimizer.update, gradients, state)
            self.move([*self._trained().values()], moves)
            return float(total)

        return update

    def _trained(self) -> dict[str, Any]:
        variables = variables_of(self.model).items()
        return {key: variable for key, variable in variables if isinstance(variable, nnx.Param)}

    def leaves(self, x: Array) -> dict[str, Any]:
        return {"input": Input(self.tensor(x)), **self._trained()}

    def move(self, leaves: Sequence[Any], moves: Sequence[Any]) -> None:
        for leaf, move in zip(leaves, moves, strict=True):
            leaf.set_value(jnp.asarray(np.asarray(leaf.get_value()) + np.asarray(move)))

    def gradients(self, loss: Callable[[], Any], leaves: Sequence[Any]) -> Sequence[Any]:
        try:
            at_input, at_weights = self._passed(loss, leaves[0], derived=True)[1]
        except Exception:
            self.run(loss)  # what it notes of the pass has values then
            raise
        return [np.asarray(gradient) for gradient in (at_input, *at_weights)]

    # ------------------------------------------------------------ compiled passes

    def _passed(
        self, run: Callable[[], Any], start: Input | None = None, *, derived: bool = False
    ) -> tuple[Any, tuple[Any, list[Any]]]:
        """Return the result of a pass, and its gradients for the input and for all weights.

        The pass runs a copy of the model, as JAX demands, whose statistics the model takes over.
        """
        model, value = self.model, start.value if start else jnp.zeros(())
        weights = [variable[...] for variable in self._trained().values()]
        self.promised = []

        def passed(value: Any, weights: Any) -> tuple[Any, Any]:
            self.model = nnx.clone(model)
            for variable, weight in zip(self._trained().values(), weights, strict=True):
                variable.set_value(weight)
            if start is not None:
                start.value = value
            result = run()
            rest = nnx.state(self.model, nnx.Not(nnx.Param))
            return result, (rest, [traced for _, traced in self.promised])

        try:
            if derived:
                step = jax.value_and_grad(passed, (0, 1), has_aux=True)
                (result, (rest, kept)), gradients = self.programs.run(
                    step, value, weights, derived=True
                )
            else:
                result, (rest, kept) = self.programs.run(passed, value, weights)
                gradients = None, []
        finally:
            self.model = model
            if start is not None:
                start.value = value
        nnx.update(model, rest)
        for (array, _), actual in zip(self.promised, kept, strict=True):
            array[...] = channels_first(np.asarray(actual))
        return result, gradients

    def array(self, value: Any) -> Array:
        """Return a value as an array; what is being traced gets its numbers after the pass."""
        if not isinstance(value, jax.core.Tracer):
            return channels_first(np.asarray(value))
        promise = channels_first(np.empty(value.shape, value.dtype))
        self.promised.append((promise, value))
        return promise

    def forget(self) -> None:
        self.programs.forget()
