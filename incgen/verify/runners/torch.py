"""Runs generated PyTorch modules."""

from __future__ import annotations

import copy
import inspect
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch
from torch import Tensor, nn

from incgen.base.diagnostics import listed
from incgen.base.modules import import_source
from incgen.language.names import class_name
from incgen.verify import inputs as random_inputs
from incgen.verify.figures import Docs
from incgen.verify.lines import arguments_of, seen_by_object
from incgen.verify.places import Places
from incgen.verify.runners import GRADIENT, Facts, Form, RunFault, Slope, Step, Trajectory, Values
from incgen.verify.surroundings import RANDOM, UNUSUAL, kept

if TYPE_CHECKING:
    from incgen.graph.nodes import Graph
    from incgen.verify.runners import Array

#: Counts the batches that a batch norm has seen: no number that a model computes with.
_COUNTER = "num_batches_tracked"


class TorchRunner:
    """A generated PyTorch module; see `Runner`."""

    def __init__(self, graph: Graph, source: str, dtype: str) -> None:
        """Keep what is to be run."""
        self.graph, self.source = graph, source
        self.dtype: torch.dtype = getattr(torch, dtype)
        self.places = Places(graph)
        self.lines: dict[str, int] = {}
        self.module: ModuleType | None = None
        self.model: nn.Module = nn.Module()
        self.docs = Docs("", {})
        self.penalised = False
        self.steps = 0

    @property
    def versions(self) -> str:
        """The framework and its version."""
        return f"PyTorch {torch.__version__.partition('+')[0]}"

    @contextmanager
    def precision(self) -> Iterator[None]:
        """New tensors are of this runner's type."""
        before = torch.get_default_dtype()
        torch.set_default_dtype(self.dtype)
        try:
            yield
        finally:
            torch.set_default_dtype(before)

    def build(self) -> None:
        """Import the source and make the module."""
        network = self.graph.program.network.name
        torch.manual_seed(UNUSUAL)
        with kept("importing it", settings):
            module = import_source(network, self.graph.program.file, "torch", self.source)
        self.module = module
        torch.manual_seed(0)
        seen: dict[int, int] = {}
        classes = [
            each
            for each in vars(module).values()
            if isinstance(each, type) and each.__module__ == module.__name__
        ]
        given: dict[int, dict[str, Any]] = {}
        with (
            seen_by_object(nn.Module, module.__file__ or "", seen),
            arguments_of(classes, given),
            kept("making the model", settings, drawn=True),
        ):
            self.model = self._fresh()
        blocks = {
            name: (type(each).__doc__ or "", given[id(each)])
            for name, each in self.model.named_modules()
            if name and id(each) in given
        }
        self.docs = Docs(module.__doc__ or "", blocks)
        self.lines = {
            name: seen[id(each)] for name, each in self.model.named_modules() if id(each) in seen
        }
        self.penalised = hasattr(self.model, "regularization_loss")

    def _fresh(self, **arguments: Any) -> nn.Module:
        model: nn.Module = self._maker()(**arguments)
        return model

    def _maker(self) -> Any:
        return getattr(self.module, class_name(self.graph.program.network.name))

    def facts(self) -> Facts:
        """The state dict, less its counters."""
        return self._facts(self.model)

    def another(self, seed: int, arguments: Mapping[str, Any]) -> Facts:
        """As `Runner`."""
        torch.manual_seed(seed)
        return self._facts(self._fresh(**arguments))

    def _facts(self, model: nn.Module) -> Facts:
        state = {k: v for k, v in model.state_dict().items() if not k.endswith(_COUNTER)}
        named = model.named_parameters()
        trained = frozenset(key for key, each in named if each.requires_grad)
        count = sum(value.numel() for value in state.values())
        tensors = {key: _array(value) for key, value in state.items()}
        arguments = tuple(inspect.signature(self._maker()).parameters)
        training = all(each.training for each in model.modules())
        return Facts(tensors, trained, count, arguments, self.docs, training)

    def preprocess(self, images: Array) -> Array:
        """As `Runner`; images on another device too, where a tensor of the CPU does not fit."""
        preprocess: Any = getattr(self.module, "preprocess")  # noqa: B009
        preprocess(torch.from_numpy(images).to("meta"))
        return _array(preprocess(torch.from_numpy(images)))

    def sized(self, height: int | None, width: int | None) -> AbstractContextManager[None]:
        """A module takes inputs of any size."""
        return nullcontext()

    def load(self, path: Path) -> None:
        """By the two calls of the README."""
        with kept("loading weights", settings):
            self.model.load_state_dict(safetensors.torch.load_file(path))

    def refusal(self, path: Path) -> str:
        """As `Runner`; PyTorch itself loads what fits before it refuses the rest."""
        try:
            self.load(path)
        except RuntimeError:
            return ""
        return "are loaded"

    def write(self, path: Path) -> bool:
        """By safetensors' own function."""
        safetensors.torch.save_file(self.model.state_dict(), path)
        return True

    # ------------------------------------------------------------ running

    def evaluate(self, x: Array, *, inputs: bool = False) -> Values:
        """The model in evaluation mode; its heads too, which it leaves out by itself."""
        self.model.eval()
        before = self._counters()
        with torch.no_grad(), kept("evaluation", settings):
            values = self._evaluated(x, inputs)
        if self._counters() != before:
            raise RunFault("it counts batches in evaluation")
        return values

    def _evaluated(self, x: Array, inputs: bool) -> Values:
        if len(self.graph.outputs) == 1:
            return self._recorded(self._tensor(x), inputs)[1]
        itself = self._recorded(self._tensor(x), inputs, heads=False)[1]
        # Only the network itself asks whether it is in training.
        self.model.training = True
        try:
            also = self._recorded(self._tensor(x), inputs)[1]
        finally:
            self.model.training = False
        return Values(
            {**also.outputs, **itself.outputs},
            {**also.places, **itself.places},
            {**also.inputs, **itself.inputs},
        )

    def called(self, x: Array) -> dict[str, Array]:
        """As `Runner`; without heads."""
        return self._main(self.model.eval(), x)

    def step(self, x: Array, seed: int, *, inputs: bool = False, backward: bool = True) -> Step:
        """As `Runner`."""
        start = self._tensor(x).requires_grad_()
        self.model.train()
        self.model.zero_grad()
        self.steps += 1
        torch.manual_seed(UNUSUAL + self.steps)  # what is random is something else in each step
        before = self._counters()
        with self._dropout(seed), kept("training", settings, drawn=True):
            outputs, values = self._recorded(start, inputs)
        if torch.initial_seed() != UNUSUAL + self.steps:
            raise RunFault("it sets the seed of PyTorch's random numbers in training")
        loss, penalty = self._loss(outputs, seed), self._penalty()
        counted = {key: count - before[key] for key, count in self._counters().items()}
        step = Step(values, float(penalty.detach()), {}, self._statistics(), counted)
        if not backward:
            return step
        try:
            torch.autograd.backward(loss + penalty)
        except RuntimeError as error:
            return replace(step, failure=error)
        wanted = {**dict(self.model.named_parameters()), "input": start}
        gradients = {
            key: _array(torch.zeros_like(each) if each.grad is None else each.grad)
            for key, each in wanted.items()
        }
        return replace(step, gradients=gradients)

    def descend(self, batches: list[Array], rate: float, momentum: float) -> Trajectory:
        """As `Runner`, by torch.optim.SGD."""
        self.model.train()
        parameters = list(self.model.parameters())
        optimizer = torch.optim.SGD(parameters, rate, momentum) if parameters else None
        losses = []
        for number, x in enumerate(batches):
            with self._dropout(number):
                outputs = self._named(self.model(self._tensor(x)))
            loss = self._penalty()
            for name, value in outputs.items():
                aim = random_inputs.aims(name, tuple(value.shape), number)
                loss = loss + (value - self._tensor(aim)).square().mean() / 2
            losses.append(float(loss.detach()))
            if optimizer is not None:
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        return Trajectory(tuple(losses), self.facts().tensors)

    def slope(self, x: Array, seed: int) -> Slope:
        """As `Runner`."""
        self.model.train()
        start = self._tensor(x).requires_grad_()
        leaves = [start, *(each for each in self.model.parameters() if each.requires_grad)]
        moves = [
            self._tensor(each)
            for each in random_inputs.directions((each.shape for each in leaves), seed)
        ]

        def loss() -> Tensor:
            with self._dropout(seed):
                return self._loss(self._named(self.model(start)), seed)

        def moved(steps: int) -> float:
            with torch.no_grad():
                for each, move in zip(leaves, moves, strict=True):
                    each.add_(steps * move)
                value = float(loss())
                for each, move in zip(leaves, moves, strict=True):
                    each.sub_(steps * move)
            return value

        found = torch.autograd.grad(loss(), leaves, allow_unused=True)
        parts = [
            float((gradient * move).sum())
            for gradient, move in zip(found, moves, strict=True)
            if gradient is not None
        ]
        return Slope.along(parts, moved)

    @contextmanager
    def noise(self, seed: int, size: float) -> Iterator[None]:
        """As `Runner`, for every innermost module."""
        random = random_inputs.generator(seed, "noise")

        def move(module: nn.Module, given: object, output: Any) -> Any:
            if not isinstance(output, Tensor):
                return None
            return output * self._tensor(random_inputs.noise(random, tuple(output.shape), size))

        with ExitStack() as stack:
            for each in self.model.modules():
                if not list(each.children()):
                    stack.callback(each.register_forward_hook(move).remove)
            yield

    def _recorded(
        self, x: Tensor, inputs: bool, *, heads: bool = True
    ) -> tuple[dict[str, Tensor], Values]:
        """The outputs of a pass, with or without heads, and what every module gave on the way."""
        places: dict[str, Array] = {}
        taken: dict[str, tuple[Array, ...]] = {}

        def keep(place: str) -> Callable[[nn.Module, Any, Any], None]:
            def hook(module: nn.Module, given: Any, output: Any) -> None:
                if isinstance(output, Tensor):
                    places[place] = _array(output)
                    if inputs:
                        taken[place] = tuple(_array(v) for v in given if isinstance(v, Tensor))

            return hook

        with ExitStack() as stack:
            for name, each in self.model.named_modules():
                place = self.places.name_of(name)
                if name and place is not None:
                    stack.callback(each.register_forward_hook(keep(place)).remove)
            before = x.detach().clone()
            outputs = self._named(self.model(x), heads=heads)
        if not torch.equal(before, x):
            raise RunFault("it changes its input")
        values = Values({name: _array(v) for name, v in outputs.items()}, places, taken)
        return outputs, values

    def _named(self, result: Any, *, heads: bool = True) -> dict[str, Tensor]:
        names = list(self.graph.outputs)
        if len(names) == 1 or not heads:
            if not isinstance(result, Tensor):
                raise RunFault(f"the output is a {type(result).__name__}, not a tensor")
            return {names[0]: result}
        if isinstance(result, Tensor):
            raise RunFault(f"the output with heads is a tensor, not {listed(names)}")
        found: dict[str, Tensor] = result._asdict()
        if list(found) != names:
            raise RunFault(f"the outputs with heads are {listed(list(found))}, not {listed(names)}")
        return found

    @contextmanager
    def _dropout(self, seed: int) -> Iterator[None]:
        """What dropout leaves out comes from the seed and the layer's path."""

        def given(path: str) -> Callable[[nn.Dropout, Any, Tensor], Tensor | None]:
            def hook(module: nn.Dropout, args: Any, output: Tensor) -> Tensor | None:
                if not module.training:
                    return None
                shape = tuple(output.shape)
                kept = random_inputs.kept(path, shape, module.p, seed)
                return args[0] * self._tensor(kept)  # type: ignore[no-any-return]

            return hook

        with ExitStack() as stack:
            for name, each in self.model.named_modules():
                # of another kind it stays as it is, which is not the same twice
                if type(each) is nn.Dropout and not each.inplace:
                    path = self.places.name_of(name) or name
                    stack.callback(each.register_forward_hook(given(path)).remove)
            yield

    def _loss(self, outputs: dict[str, Tensor], seed: int) -> Tensor:
        total = torch.zeros(())
        for name, value in outputs.items():
            factors = random_inputs.factors(name, tuple(value.shape), seed)
            total = total + (value * self._tensor(factors)).sum()
        return total

    def _penalty(self) -> Tensor:
        if not self.penalised:
            return torch.zeros(())
        found: Tensor = getattr(self.model, "regularization_loss")()  # noqa: B009
        return found

    def _statistics(self) -> dict[str, Array]:
        stored = self.model.state_dict().keys()  # a gamma of ones that is not trained is in none
        found = ((key, value) for key, value in self.model.named_buffers() if key in stored)
        return {key: _array(value) for key, value in found if not key.endswith(_COUNTER)}

    def _counters(self) -> dict[str, int]:
        """How many batches each normalisation has seen, by its path; 0 where it does not count."""
        buffers = dict(self.model.named_buffers())
        paths = [node.path for node in self.graph.nodes if node.op == "bn"]
        return {path: int(buffers.get(f"{path}.{_COUNTER}", torch.zeros(()))) for path in paths}

    def _tensor(self, value: Array) -> Tensor:
        return torch.tensor(value, dtype=self.dtype)

    # ------------------------------------------------------------ forms

    def forms(self, folder: Path, x: Array) -> Iterator[Form]:
        """As `Runner`: files of state dicts, what compiles it, layout, copies."""
        path = folder / "model"
        # Kernels take a compiler minutes; nobody runs compiled models in float64 for their speed.
        backend = "inductor" if self.dtype is torch.float32 else "aot_eager"

        def state_dict() -> dict[str, Array]:
            torch.save(self.model.state_dict(), path.with_suffix(".pth"))
            return self._other(x, torch.load(path.with_suffix(".pth"), weights_only=True))

        def script() -> dict[str, Array]:
            torch.jit.save(torch.jit.script(self.model.eval()), path.with_suffix(".pt"))
            load: Any = torch.jit.load
            return self._main(load(path.with_suffix(".pt")), x)

        def export() -> dict[str, Array]:
            program = torch.export.export(self.model.eval(), (self._tensor(x),))
            torch.export.save(program, path.with_suffix(".pt2"))
            program = torch.export.load(path.with_suffix(".pt2"))
            return self._main(program.module(), x)

        def compiled() -> dict[str, Array]:
            made = torch.compile(self.model.eval(), fullgraph=True, backend=backend)
            return self._main(made, x)

        def channels_last() -> dict[str, Array]:
            move: Any = self._twin().eval().to
            model = move(memory_format=torch.channels_last)
            with torch.no_grad():
                images: Any = self._tensor(x)
                return self._main_of(model(images.to(memory_format=torch.channels_last)))

        def from_meta() -> dict[str, Array]:
            # what is made outside of the state dict has no values there, or is on another device
            with torch.device("meta"):
                model = self._fresh().eval()
            model(torch.empty(x.shape, device="meta"))
            model.train()(torch.empty(x.shape, device="meta"))
            if self.penalised:
                getattr(model, "regularization_loss")()  # noqa: B009
            model.eval()
            model.load_state_dict(self.model.state_dict(), assign=True)
            return self._main(model, x)

        @cache
        def trained() -> dict[str, Array]:
            return self._trained(x, lambda model: model)

        @cache
        def used() -> nn.Module:
            return self._used(x)

        def copied() -> dict[str, Array]:
            return self._main(copy.deepcopy(used()).eval(), x)

        def pickled() -> dict[str, Array]:
            torch.save(used(), path.with_suffix(".pickle"))
            loaded = torch.load(path.with_suffix(".pickle"), weights_only=False)
            return self._main(loaded.eval(), x)

        yield Form("state dict", state_dict)
        yield Form("TorchScript", script)
        yield Form("torch.export", export)
        if backend == "inductor":
            yield Form("torch.compile", compiled, _no_compiler())
        else:
            yield Form(f"torch.compile, {backend}", compiled)
        yield Form("channels_last", channels_last)
        for name, change in _TRAINED.items() if self.dtype is torch.float64 else ():
            yield Form(f"{name}, training", partial(self._trained, x, change), own=trained)
        yield Form("meta device", from_meta)
        yield Form("copy.deepcopy", copied)
        yield Form("pickle", pickled)

    def _twin(self) -> nn.Module:
        """A module of its own with the same weights."""
        model = self._fresh()
        model.load_state_dict(self.model.state_dict())
        return model

    def _trained(self, x: Array, change: Callable[[nn.Module], Any]) -> dict[str, Array]:
        """What a step of training gives and leaves behind in a form of a module.

        Its dropout leaves nothing out, since what it does cannot be given to every form.
        """
        model = self._twin().train()
        for each in model.modules():
            if type(each) is nn.Dropout:
                each.p = 0.0
        images: Any = self._tensor(x)
        outputs = self._named(change(model)(images.to(memory_format=torch.channels_last)))
        self._loss(outputs, 0).backward()  # type: ignore[no-untyped-call]
        gradients = {f"{GRADIENT}{k}": v.grad for k, v in model.named_parameters()}
        statistics = {k: v for k, v in model.named_buffers() if not k.endswith(_COUNTER)}
        found = {**outputs, **gradients, **statistics}
        return {key: _array(value) for key, value in found.items() if value is not None}

    def _used(self, x: Array) -> nn.Module:
        """One that has been trained with, with the same weights again."""
        model = self._twin()
        model(self._tensor(x))
        model.load_state_dict(self.model.state_dict())
        return model

    def _other(self, x: Array, state: dict[str, Tensor]) -> dict[str, Array]:
        model = self._fresh()
        model.load_state_dict(state)
        return self._main(model.eval(), x)

    def _main(self, model: Any, x: Array) -> dict[str, Array]:
        """The one output that a model has in evaluation."""
        with torch.no_grad():
            return self._main_of(model(self._tensor(x)))

    def _main_of(self, result: Any) -> dict[str, Array]:
        return {name: _array(value) for name, value in self._named(result, heads=False).items()}

    def forget(self) -> None:
        """Nothing: modules are freed with their runner."""
        torch.compiler.reset()


def _channels_last(model: nn.Module) -> Any:
    move: Any = model.to
    return move(memory_format=torch.channels_last)


#: Forms that a module is trained in, by what makes them.
_TRAINED: dict[str, Callable[[nn.Module], Any]] = {
    "TorchScript": torch.jit.script,
    "torch.compile, aot_eager": partial(torch.compile, fullgraph=True, backend="aot_eager"),
    "channels_last": _channels_last,
}


def settings() -> dict[str, Any]:
    """Return the settings of the process that PyTorch has, by the names of what sets them."""
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
            (torch.is_autocast_enabled(each), torch.get_autocast_dtype(each))
            for each in ("cpu", "cuda")
        ],
        "torch.set_warn_always": torch.is_warn_always_enabled(),
    }


def _no_compiler() -> str:
    """Why torch.compile cannot work here."""
    names = [os.environ["CXX"]] if "CXX" in os.environ else ["g++", "clang++", "c++", "cl"]
    return "" if any(map(shutil.which, names)) else "torch.compile needs a C++ compiler"


def _array(value: Tensor) -> Array:
    found: Array = value.detach().cpu().numpy().copy()
    return found


def make(graph: Graph, source: str, dtype: str) -> TorchRunner:
    """A runner of a source text."""
    return TorchRunner(graph, source, dtype)
