"""Random networks: both models of a spec are built and held to every bar, and faults have a name.

    python tests/networks.py --count 1000 --seed 1 --save tests/random

searches for specs on which a bar is missed, shrinks them, and saves them.
"""

from __future__ import annotations

import argparse
import gc
import linecache
import re
import subprocess
import sys
import tempfile
import time
import traceback
import zlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import parity
import tensorflow as tf
import torch
from parity import Array, Models, images, precision
from safetensors.numpy import save_file
from safetensors.torch import load_file

import incgen
from incgen.diagnostics import Code, SpecError
from incgen.expressions import Literal, Name
from incgen.format import format_text
from incgen.fuzz import tree
from incgen.fuzz.coverage import Coverage
from incgen.fuzz.reduce import reduced
from incgen.fuzz.strategies import random_specs
from incgen.fuzz.tracking import Misfit, TooLarge, output_of
from incgen.graph import Graph
from incgen.names import class_name
from incgen.parser import parse_value
from incgen.targets import TARGETS

# Frameworks are hundreds of thousands of objects, which need not be looked through again.
gc.freeze()

#: What the tests of agreement ask for.
EVALUATION, TRAINING, GRADIENTS, STATISTICS = 1e-12, 1e-11, 1e-9, 1e-11
#: A relative change that rounding could have made, of each weight and of each input.
ROUNDING = 1e-15
#: How far above its own reaction to such a change a network may be off: two frameworks round
#: in every layer, the change is made once.
REACTION = 100
#: A reaction above which nothing of a number is left to compare.
HOPELESS = 1e-3
#: Seconds that are spent on making a failing spec small.
REDUCING = 240
#: How many specs whose numbers differ are made small: they may do so for different reasons.
REPORTED = 4


class Fault(AssertionError):
    """What is wrong with the models of a spec: the first rung that it does not climb."""

    def __init__(self, rung: str, message: str) -> None:
        """Keep the rung."""
        super().__init__(f"{rung}: {message}")
        self.rung = rung


@dataclass
class Tally:
    """What was seen in a search.

    Attributes:
        agreed: how many specs climbed every rung.
        conditioned: the rungs on which numbers were too ill-conditioned to tell.
        rejected: how many specs were no valid ones, by the first error.
        refused: how many no target can express, by the message.
        shortest: of every such error the shortest spec.
        sources: generated files that are yet to be linted.
        coverage: what the agreed ones contained.
    """

    agreed: int = 0
    conditioned: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    shortest: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    coverage: Coverage = field(default_factory=Coverage)

    def error(self, counter: Counter[str], kind: str, text: str) -> None:
        """Count an error and keep the shortest spec that has it."""
        counter[kind] += 1
        if kind not in self.shortest or len(text) < len(self.shortest[kind]):
            self.shortest[kind] = text

    def report(self) -> str:
        """The counts as text."""
        lines = [f"{self.agreed} agreed; ill-conditioned: {dict(self.conditioned)}"]
        for name, counter in (("rejected", self.rejected), ("refused", self.refused)):
            lines.append(f"{sum(counter.values())} {name}")
            lines += [f"    {count} {kind}" for kind, count in counter.most_common()]
        return "\n".join(lines)


def examine(text: str, tally: Tally, spec: tree.Spec | None = None) -> bool:
    """Check a spec and, if it is valid, its models.

    Args:
        text: the spec; a line `# arguments: n=3` in it asks for the models of these too.
        tally: what is seen goes there.
        spec: the same as a tree, if it is a random one.

    Returns:
        Whether there are models of it.

    Raises:
        Fault: a bar is missed.
    """
    try:
        faults = [d for d in incgen.check("random.inc", text=text) if d.severity.value == "error"]
    except Exception as error:
        raise Fault("check", place_of(error)) from error
    if faults:
        message = re.sub(r"\d+", "9", re.sub(r"`\w+\d`", "`...`", faults[0].message))
        refused = faults[0].code in (Code.UNSUPPORTED, Code.UNDECIDED)
        counter = tally.refused if refused else tally.rejected
        tally.error(counter, f"{faults[0].code.value}: {message}", text)
        return False
    _format_keeps_it(text)
    with precision("float64"), tempfile.TemporaryDirectory() as folder:
        try:
            _climb(text, Path(folder), tally, spec)
        finally:
            _forget()
    tally.agreed += 1
    return True


def place_of(error: BaseException) -> str:
    """An exception and the last place of ours that it came through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "incgen" in f.filename and "tests" not in f.filename] or frames
    where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno} `{ours[-1].line}`"
    return f"{type(error).__name__} at {where}: {str(error)[:300]}"


def _forget() -> None:
    """Free what thousands of modules and models would otherwise keep."""
    keras.backend.clear_session()
    for name in [name for name in sys.modules if name.startswith("incgen_")]:
        del sys.modules[name]
    for name in [name for name in linecache.cache if name.startswith("<incgen ")]:
        del linecache.cache[name]
    gc.collect()


# ---------------------------------------------------------------- text


def _format_keeps_it(text: str) -> None:
    neat = format_text(text)
    if format_text(neat) != neat:
        raise Fault("format", "formatting twice is not formatting once")
    untidy = re.sub(r"^ +", "", text, flags=re.MULTILINE)
    if format_text(untidy) != neat:
        raise Fault("format", "the layout depends on the indentation before")
    if _facts(incgen.compile_spec("random.inc", text=neat)) != _facts(
        incgen.compile_spec("random.inc", text=text)
    ):
        raise Fault("format", "the formatted spec is another network")


def _facts(graph: Graph) -> list[object]:
    return [(n.path, n.op, repr(n.args), n.inputs, n.shape, n.tensors) for n in graph.nodes]


# ---------------------------------------------------------------- models


def _climb(text: str, folder: Path, tally: Tally, spec: tree.Spec | None) -> None:
    path = folder / "random.inc"
    path.write_text(text, "utf-8")
    number = zlib.crc32(text.encode())
    for target in TARGETS:
        tally.sources[f"n{number}_{target}.py"] = incgen.generate(path, target)
    models = _built(text, path)
    graph = models.graph
    if spec is not None:
        _same_shape(spec, graph)
    assert graph.input.height and graph.input.width
    size = graph.input.height, graph.input.width
    _without_dropout(models)
    _evaluation(models, size, tally)
    _training(models, size, tally)
    if number % 3 == 0:
        _other_size(text, path, models, (size[0] + 3, size[1] + 2), tally)
    other = arguments_of(text)
    if other:
        _other_parameters(path, folder, models, other, tally)


def _same_shape(spec: tree.Spec, graph: Graph) -> None:
    """The generator has rules of its own for shapes; they must say the same."""
    found = graph.nodes[next(iter(graph.outputs.values()))].shape
    try:
        expected = output_of(spec)
    except TooLarge:
        return
    except Misfit as error:
        raise Fault("rules", f"the generator says that it does not fit: {error}") from error
    if found != expected:
        raise Fault("rules", f"the generator expects {expected}, the graph has {found}")


def _built(text: str, path: Path) -> Models:
    try:
        models = parity.build(path, path.parent)
    except Exception as error:
        raise Fault("build", place_of(error)) from error
    _keys(models)
    return models


def _keys(models: Models) -> None:
    expected = {key: tensor.shape for key, tensor in models.graph.tensors().items()}
    state = {k: tuple(v.shape) for k, v in models.torch_model.state_dict().items()}
    found = {k: v for k, v in state.items() if "num_batches" not in k}
    if found != expected:
        raise Fault("keys", f"PyTorch has {set(found.items()) ^ set(expected.items())}")
    numbers = sum(tensor.size for tensor in models.graph.tensors().values())
    if models.keras_model.count_params() != numbers:
        raise Fault("keys", f"Keras has {models.keras_model.count_params()}, not {numbers}")


def _without_dropout(models: Models) -> None:
    """Make dropout pass everything: what it drops is random. Its rates must be the same."""
    drops = [m for m in models.torch_model.modules() if isinstance(m, torch.nn.Dropout)]
    layers = [x for x in models.keras_model.layers if isinstance(x, keras.layers.Dropout)]
    nodes = [n for n in models.graph.nodes if n.op == "dropout"]
    rates = sorted(float(node.args["rate"]) for node in nodes)
    for drop in drops:
        drop.p = 0.0
    for layer in layers:
        layer.rate = 0
    if sorted(float(x) for x in rates) != rates or len(layers) != len(nodes):
        raise Fault("dropout", f"{len(layers)} Keras layers for {len(nodes)}")


def _evaluation(models: Models, size: tuple[int, int], tally: Tally) -> None:
    x = images(models.graph, size)
    try:
        ours, theirs = models.evaluation(x)
    except Exception as error:
        raise Fault("evaluation", place_of(error)) from error
    shape = models.graph.nodes[models.graph.outputs[models.outputs[0]]].shape
    expected = (2, shape.channels, shape.height, shape.width)[: 4 if shape.is_map else 2]
    if size == (models.graph.input.height, models.graph.input.width) and ours.shape != expected:
        raise Fault("shape", f"PyTorch gives {ours.shape}, the graph {expected}")
    if ours.shape != theirs.shape:
        raise Fault("shape", f"PyTorch gives {ours.shape}, Keras {theirs.shape}")
    found = _apart(ours, theirs)
    if found > EVALUATION:
        moved = _reaction(models, x, training=False)[0]
        if _is_more(found, moved[models.outputs[0]]):
            raise Fault("evaluation", f"apart by {found:.1e}, reaction {moved}")
        tally.conditioned["evaluation"] += 1


def _is_more(found: float, reaction: float) -> bool:
    """Whether a difference is more than rounding can explain in a network that reacts so."""
    return found > REACTION * reaction and reaction < HOPELESS


def _apart(ours: Array, theirs: Array, floor: float = 1e-30) -> float:
    if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        same = (np.isfinite(ours) == np.isfinite(theirs)).all()
        ours, theirs = (
            np.nan_to_num(ours, posinf=0, neginf=0),
            np.nan_to_num(theirs, posinf=0, neginf=0),
        )
        if not same:
            return float("inf")
    return float(np.abs(ours - theirs).max() / max(np.abs(ours).max(), floor))


def _training(models: Models, size: tuple[int, int], tally: Tally) -> None:
    x = images(models.graph, size, batch=4)
    penalty = hasattr(models.torch_model, "regularization_loss")
    if bool(models.keras_model.losses) and not penalty:
        raise Fault("penalty", "only Keras has one")
    penalty = penalty and bool(models.keras_model.losses)
    try:
        step = parity.train(models, x, penalty=penalty)
    except Exception as error:
        raise Fault("training", place_of(error)) from error
    bars = (TRAINING, GRADIENTS, STATISTICS)
    parts = ("outputs", "gradients", "statistics")
    missed: dict[str, dict[str, float]] = {}
    for part, bar in zip(parts, bars, strict=True):
        ours, theirs = getattr(step, part)
        if ours.keys() != theirs.keys():
            raise Fault(part, f"{ours.keys() ^ theirs.keys()} are of one only")
        floor = _floor(ours, part)
        for key in ours:
            found = _apart(ours[key], theirs[key], floor)
            if found > bar:
                missed.setdefault(part, {})[key] = found
    if not missed:
        return
    reaction = dict(zip(parts, _reaction(models, x, training=True, penalty=penalty), strict=True))
    for part, keys in missed.items():
        for key, found in keys.items():
            if _is_more(found, reaction[part][key]):
                if part == "gradients" and not _derives(models, x):
                    raise Fault("TensorFlow", "its gradient is not that of its own function")
                raise Fault(part, f"{key} apart by {found:.1e}, reaction {reaction[part][key]:.1e}")
        tally.conditioned[part] += 1


def _derives(models: Models, x: Array) -> bool:
    """Whether TensorFlow's gradient by the input is that of the function it computes."""
    random = np.random.default_rng(3)
    y = tf.constant(parity.channels_last(x))
    step = 1e-6 * random.normal(0, 1, y.shape)

    def outputs(value: Any) -> Any:
        found = models.keras_model(value, training=True)
        return found if isinstance(found, dict) else {models.outputs[0]: found}

    shapes = {name: tuple(value.shape) for name, value in outputs(y).items()}
    factors = {name: random.normal(0, 1, shape) for name, shape in shapes.items()}

    def loss(value: Any) -> Any:
        return tf.add_n([tf.reduce_sum(v * factors[k]) for k, v in outputs(value).items()])

    with tf.GradientTape() as tape:
        tape.watch(y)
        total = loss(y)
    expected = float(tf.reduce_sum(tape.gradient(total, y) * step))
    found = float(loss(y + step) - loss(y - step)) / 2
    return abs(found - expected) <= 1e-3 * max(abs(found), abs(expected))


def _floor(values: dict[str, Array], part: str) -> float:
    """What is far below the largest gradient of a network is rounding."""
    if part != "gradients":
        return 1e-30
    return max(1e-3 * max(float(np.abs(v).max()) for v in values.values()), 1e-30)


def _reaction(
    models: Models, x: Array, *, training: bool, penalty: bool = False
) -> list[dict[str, float]]:
    """How much PyTorch's results move if all that is rounded moves by what rounding could.

    That is the weights, the input, and what comes out of every module. Zero moves to nothing,
    so what is exact stays exact.
    """
    random = np.random.default_rng(5)

    def noise(shape: tuple[int, ...]) -> Array:
        return 1 + ROUNDING * random.choice([-1.0, 1.0], shape)

    def hook(module: torch.nn.Module, inputs: object, output: torch.Tensor) -> torch.Tensor:
        return output * torch.from_numpy(noise(tuple(output.shape)))

    def result(weights: dict[str, Array], value: Array) -> list[dict[str, Array]]:
        state = {key: torch.from_numpy(weight.copy()) for key, weight in weights.items()}
        models.torch_model.load_state_dict(state, strict=False)
        if not training:
            with torch.no_grad():
                return [{k: v.numpy() for k, v in models.torch_outputs(value).items()}]
        found = parity.torch_pass(models, value, penalty=penalty)
        return [{key: value.copy() for key, value in part.items()} for part in found]

    exact = result(models.weights, x)
    largest: list[dict[str, float]] = [dict.fromkeys(part, 0.0) for part in exact]
    leaves = [m for m in models.torch_model.modules() if not list(m.children())]
    hooks = [leaf.register_forward_hook(hook) for leaf in leaves]
    for _ in range(5):
        moved = {key: weight * noise(weight.shape) for key, weight in models.weights.items()}
        others = result(moved, x * noise(x.shape))
        for number, (part, other) in enumerate(zip(exact, others, strict=True)):
            floor = _floor(part, "gradients" if number == 1 else "")
            for key in part:
                apart = _apart(part[key], other[key], floor)
                largest[number][key] = max(largest[number][key], apart)
    for each in hooks:
        each.remove()
    return largest


def _other_size(text: str, path: Path, models: Models, size: tuple[int, int], tally: Tally) -> None:
    """The same models at another size, if the spec has none that is fixed."""
    other = re.sub(r"input \S+x\S+", f"input {size[0]}x{size[1]}", text, count=1)
    if re.search(r"\b(height|width)\b|input \{", text):
        return
    try:
        graph = incgen.compile_spec("random.inc", text=other)
    except SpecError:
        return
    if graph.tensors() != models.graph.tensors():
        return
    # A dense layer on a map has to know its size, also where several sizes end in the same one.
    maps = any(
        node.op in ("dense", "flatten") and graph.nodes[node.inputs[0]].shape.is_map
        for node in graph.nodes
    )
    try:
        flexible = parity.build(path, path.parent, size=size if maps else (None, None))
    except Exception as error:
        raise Fault("any size", place_of(error)) from error
    _without_dropout(flexible)
    _evaluation(flexible, size, tally)
    ours, _ = flexible.evaluation(images(graph, size))
    shape = graph.nodes[graph.outputs[models.outputs[0]]].shape
    expected = (2, shape.channels, shape.height, shape.width)[: 4 if shape.is_map else 2]
    if ours.shape != expected:
        raise Fault("any size", f"PyTorch gives {ours.shape}, the graph {expected}")


def _other_parameters(
    path: Path, folder: Path, models: Models, other: dict[str, Any], tally: Tally
) -> None:
    """The models of the same files with other arguments."""
    if any(d.severity.value == "error" for d in incgen.check(path, other)):
        return
    graph = incgen.compile_spec(path, other)
    if not {*other} <= {formal.name for formal in graph.program.network.parameters}:
        _other_constants(path, other, tally)
        return
    name = graph.program.network.name
    weights = parity.random_weights(graph, 0)
    save_file(weights, folder / "other.safetensors")
    try:
        torch_model = getattr(models.torch_module, class_name(name))(**other)
        state = {k: tuple(v.shape) for k, v in torch_model.state_dict().items()}
        expected = {key: tensor.shape for key, tensor in graph.tensors().items()}
        found = {k: v for k, v in state.items() if "num_batches" not in k}
        if found != expected:
            raise Fault("arguments", f"{set(found.items()) ^ set(expected.items())}")
        torch_model.load_state_dict(load_file(folder / "other.safetensors"))
        keras_model = getattr(models.keras_module, name)(**other)
        models.keras_module.load_safetensors(keras_model, folder / "other.safetensors")
    except Fault:
        raise
    except Exception as error:
        raise Fault("arguments", f"{other} {place_of(error)}") from error
    changed = Models(
        graph, models.torch_module, models.keras_module, torch_model, keras_model, weights
    )
    assert graph.input.height and graph.input.width
    _without_dropout(changed)
    try:
        _evaluation(changed, (graph.input.height, graph.input.width), tally)
    except Fault as fault:
        raise Fault("arguments", f"{other} {fault}") from None


def _other_constants(path: Path, other: dict[str, Any], tally: Tally) -> None:
    """The models that are generated with other constants."""
    try:
        changed = parity.build(path, path.parent, parameters=other)
    except Exception as error:
        raise Fault("constants", f"{other} {place_of(error)}") from error
    _keys(changed)
    _without_dropout(changed)
    assert changed.graph.input.height and changed.graph.input.width
    _evaluation(changed, (changed.graph.input.height, changed.graph.input.width), tally)


# ---------------------------------------------------------------- generated text


def lint(tally: Tally) -> None:
    """Hold all generated files to ruff's rules and layout; forgets them.

    Raises:
        Fault: ruff has something to say.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, source in tally.sources.items():
            Path(folder, name).write_text(source, "utf-8")
        tally.sources.clear()
        for command in (
            ("check", "--isolated", "--select", "E,F,I,UP,B", "--output-format", "concise"),
            ("format", "--isolated", "--diff"),
        ):
            found = subprocess.run(
                [sys.executable, "-m", "ruff", *command, "."],
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
            )
            if found.returncode:
                raise Fault("lint", found.stdout + found.stderr)


# ---------------------------------------------------------------- searches


def examined_text(spec: tree.Spec) -> str:
    """A random spec with a line that says which other arguments its models are to be tried with."""
    known = [*(formal.name for formal in spec.network.formals), *(n for n, _ in spec.constants)]
    other = [f"{name}={value}" for name, value in spec.other if name in known]
    return f"# arguments: {' '.join(other)}\n{spec.text}" if other else spec.text


def arguments_of(text: str) -> dict[str, Any]:
    """The values that such a line says."""
    line = re.search(r"^# arguments: (.*)", text, re.MULTILINE)
    given = dict(each.split("=") for each in line[1].split()) if line else {}
    return {name: _setting(value) for name, value in given.items()}


def _setting(text: str) -> Any:
    match parse_value(text):
        case Literal(value) | Name(value):
            return value
        case _:
            raise ValueError(text)


def examine_spec(spec: tree.Spec, tally: Tally) -> None:
    """Check a random spec and its models.

    Raises:
        Fault: a bar is missed.
    """
    if examine(examined_text(spec), tally, spec):
        tally.coverage.add(spec)


@dataclass
class Search:
    """A search for faults; those of a kind that is known are only counted.

    Attributes:
        tally: what was seen.
        known: how often each kind was found.
        seen: how many specs were tried.
    """

    save: Path | None
    shrink: bool
    tally: Tally = field(default_factory=Tally)
    known: Counter[str] = field(default_factory=Counter)
    seen: int = 0

    def run(self, count: int, number: int) -> None:
        """Try some specs; the same number gives the same ones."""
        batch = 0
        while self.seen < count:
            batch += 1
            self._batch(min(50, count - self.seen), number * 100_003 + batch)
            self._lint()
            done = (
                f"{self.seen} specs, {self.tally.agreed} agreed, {sum(self.known.values())} faults"
            )
            print(f"{time.strftime('%H:%M:%S')} {done}", flush=True)

    def _batch(self, count: int, number: int) -> None:
        for spec in random_specs(count, number):
            self.seen += 1
            try:
                examine_spec(spec, self.tally)
            except Fault as fault:
                kind = self.kind(fault)
                self.known[kind] += 1
                if self.known[kind] <= (REPORTED if "apart by" in kind else 1):
                    self._found(spec, fault, number)

    @staticmethod
    def kind(fault: Fault) -> str:
        """What makes two faults the same: the rung and the message without numbers and names."""
        text = re.sub(r"`[^`]*`|\{[^}]*\}", "`...`", str(fault).split("\n")[0][:160])
        text = re.sub(r"\S* apart by.*", "apart by", text)
        return re.sub(r"[\d.]+(e[-+]\d+)?|[a-z_]+\d[\w.]*", "9", text)

    def _found(self, spec: tree.Spec, fault: Fault, number: int) -> None:
        """Make the spec of a fault small, print it and save it."""
        kind, message = self.kind(fault), [str(fault)]
        end = time.monotonic() + REDUCING

        def fails(other: tree.Spec) -> bool:
            if time.monotonic() > end:
                return False
            try:
                examine_spec(other, Tally())
            except Fault as found:
                if self.kind(found) != kind:
                    return False
                message.append(str(found))
                return True
            return False

        small = reduced(spec, fails) if self.shrink else spec
        text = examined_text(small)
        print(f"\n==== seed {number}: {message[-1]}\n{text}", flush=True)
        if self.save:
            self.save.mkdir(parents=True, exist_ok=True)
            name = f"{fault.rung.replace(' ', '_')}_{zlib.crc32(text.encode())}.inc"
            (self.save / name).write_text(text, "utf-8")

    def _lint(self) -> None:
        sources = dict(self.tally.sources)
        try:
            lint(self.tally)
        except Fault as fault:
            self.known[self.kind(fault)] += 1
            print(f"\n==== {str(fault)[:3000]}", flush=True)
            if self.save:
                for name, source in sources.items():
                    if name in str(fault):
                        (self.save / f"lint_{name}").write_text(source, "utf-8")


def main() -> None:
    """Run a search as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", type=Path)
    parser.add_argument("--no-shrink", action="store_true")
    parser.add_argument("--coverage", action="store_true")
    arguments = parser.parse_args()
    search = Search(arguments.save, not arguments.no_shrink)
    search.run(arguments.count, arguments.seed)
    print(search.tally.report())
    for kind in search.tally.refused:
        print(f"\n---- {kind}\n{search.tally.shortest[kind]}")
    if arguments.coverage:
        print(search.tally.coverage.table())


if __name__ == "__main__":
    main()
