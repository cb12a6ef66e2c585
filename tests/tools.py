"""Every tool that generated models are handed to, tried on every spec.

`python tests/tools.py` prints a table of all of them; arguments choose specs, and `--write` puts
the table of all into docs/generated-code.md. Each spec is built for the smallest image that it
takes, and few classes. Differences are relative to the largest element.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import keras_tools
import numpy as np
import torch
import torch_tools
from numpy.typing import NDArray
from parity import channels_last, difference
from safetensors.numpy import save_file
from safetensors.torch import load_file
from torch import Tensor, nn

import incgen
from incgen.graph.nodes import Graph
from incgen.language.names import class_name

ROOT = Path(__file__).parent.parent
SPECS = ROOT / "specs"
PAGE = ROOT / "docs" / "generated-code.md"

#: Images that are compared, and their least height and width: in smaller ones windows see borders
#: only.
IMAGES, LEAST = 4, 32
CLASSES = 5

Array = NDArray[Any]


# ---------------------------------------------------------------- specs


@dataclass(frozen=True)
class Variant:
    """A spec, with its heads or without them."""

    spec: str
    heads: bool | None  # None: it has none

    @property
    def name(self) -> str:
        """Return what the table calls it."""
        return f"`{self.spec}`" + {None: "", True: ", heads", False: ""}[self.heads]

    @property
    def settings(self) -> dict[str, Any]:
        """Return the values of its parameters and constants."""
        text = self.file.read_text("utf-8")
        settings: dict[str, Any] = {} if self.heads is None else {"heads": self.heads}
        return settings | ({"classes": CLASSES} if "(classes = " in text else {})

    @property
    def file(self) -> Path:
        """Return its file."""
        return SPECS / f"{self.spec}.inc"

    def text(self, size: int) -> str:
        """Return its text, with another image size."""
        text, count = re.subn(
            r"^( +input )\d+x\d+", rf"\g<1>{size}x{size}", self.file.read_text("utf-8"), flags=re.M
        )
        assert count == 1
        return text

    def takes(self, size: int) -> bool:
        """Return whether the network exists for an image size, with joins of 2 x 2 or larger.

        Windows of smaller maps see little but their borders.
        """
        try:
            graph = incgen.compile_spec(self.file, self.settings, text=self.text(size))
        except incgen.SpecError:
            return False
        return all((node.shape.height or 2) > 1 for node in graph.nodes if node.op == "concat")


def variants() -> list[Variant]:
    """Return every shipped spec, with and without heads if it has any."""
    shipped = []
    for path in sorted(SPECS.glob("*.inc")):
        has = re.search(r"^let heads = ", path.read_text("utf-8"), re.MULTILINE)
        shipped += [Variant(path.stem, heads) for heads in ((False, True) if has else (None,))]
    return shipped


@cache
def smallest(variant: Variant) -> int:
    """Return the smallest size that a spec takes, by bisection: larger sizes then work too."""
    low, high = LEAST - 1, incgen.compile_spec(variant.file).input.height or LEAST
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if variant.takes(middle) else (middle, high)
    return high


def weights_of(graph: Graph) -> dict[str, Array]:
    """Random weights that keep the scale of maps, as trained ones do.

    Of a network in which small differences grow, half precision and integers would leave nothing.
    """
    random = np.random.default_rng(0)
    weights = {}
    for key, tensor in graph.tensors().items():
        if len(tensor.shape) > 1:
            value = random.normal(0, (2 / tensor.fan_in) ** 0.5, tensor.shape)
        elif key.endswith((".weight", ".running_var")):
            value = random.uniform(0.8, 1.25, tensor.shape)
        else:
            value = random.normal(0, 0.1, tensor.shape)
        weights[key] = value.astype("float32")
    return weights


@dataclass
class Subject:
    """A spec as it is tried: what is generated of it, weights and images.

    Attributes:
        variant: which.
        folder: for files.
    """

    variant: Variant
    folder: Path
    graph: Graph = field(init=False)
    images: Array = field(init=False)
    weights: Path = field(init=False)

    def __post_init__(self) -> None:
        self.graph = incgen.compile_spec(self.variant.file, self.variant.settings, text=self.text)
        shape, random = self.graph.input, np.random.default_rng(1)
        sizes = (IMAGES, shape.channels, shape.height, shape.width)
        # images of more and less contrast and colour, so that outputs differ
        contrast = np.linspace(0.3, 1.5, IMAGES)[:, None, None, None]
        colours = random.normal(0, 0.5, sizes[:2])[:, :, None, None]
        self.images = (random.normal(0, 1, sizes) * contrast + colours).astype("float32")
        self.weights = self.folder / f"{self.variant.spec}.safetensors"
        save_file(weights_of(self.graph), self.weights)

    @property
    def text(self) -> str:
        """Return the spec."""
        return self.variant.text(smallest(self.variant))

    def module(self, target: str) -> ModuleType:
        """Return the generated module for a target."""
        return incgen.load(self.variant.file, target, self.variant.settings, text=self.text)

    # PyTorch

    @cached_property
    def model(self) -> nn.Module:
        """Return the PyTorch model in evaluation mode."""
        model: nn.Module = getattr(self.module("torch"), class_name(self.variant.spec))()
        model.load_state_dict(load_file(self.weights))
        return model.eval()

    @property
    def x(self) -> Tensor:
        """Return the images for PyTorch."""
        return torch.from_numpy(self.images)

    @cached_property
    def wanted(self) -> Tensor:
        """Return the plain PyTorch model's output in evaluation."""
        with torch.no_grad():
            output: Tensor = self.model(self.x)
        return output

    @property
    def normalises(self) -> bool:
        """Return whether it contains a batch normalisation."""
        return any(node.op == "bn" for node in self.graph.nodes)

    # Keras

    def keras_model(self) -> Any:
        """Return a Keras model, made under the current settings."""
        module = self.module("keras")
        model = getattr(module, self.variant.spec)()
        module.load_safetensors(model, self.weights)
        return model

    @cached_property
    def built(self) -> Any:
        """Return the plain Keras model."""
        return self.keras_model()

    @property
    def y(self) -> Array:
        """Return the images for Keras."""
        return channels_last(self.images)

    @cached_property
    def expected(self) -> keras_tools.Outputs:
        """Return the plain Keras model's outputs in evaluation."""
        return keras_tools.outputs(self.built(self.y, training=False))


# ---------------------------------------------------------------- what is held to the plain model


class NothingToDoError(Exception):
    """The spec has nothing that the tool is for."""


class DifferentError(Exception):
    """A tool made another network of a model."""


def hold(found: Any, wanted: Any, bar: float, what: str = "") -> None:
    """Raise an error where values are not those of the plain model.

    Args:
        found: a tensor or array, several, or some by name.
        wanted: the plain model's.
        bar: what they may differ by.
        what: what they are.
    """
    if isinstance(wanted, dict):
        if set(found) != set(wanted):
            raise DifferentError(f"outputs {sorted(found)}, not {sorted(wanted)}")
        for name, value in wanted.items():
            hold(found[name], value, bar, f"{name} ")
        return
    if isinstance(wanted, tuple):
        for one, other in zip(found, wanted, strict=True):
            hold(one, other, bar, what)
        return
    if isinstance(wanted, Tensor):
        found, wanted = found.detach().float().numpy(), wanted.detach().numpy()
    if not np.isfinite(found).all():
        raise DifferentError(f"{what}not finite")
    apart = difference(wanted, found)
    if apart > bar:
        raise DifferentError(f"{what}differs by {apart:.1g}, more than {bar:g}")


def in_evaluation(subject: Subject, made: torch_tools.Made, bar: float) -> None:
    """Hold what a tool made to the plain model in evaluation, for other numbers of images too."""
    with torch.no_grad():
        hold(made(subject.x), subject.wanted, bar)
        hold(made(subject.x[1:]), subject.wanted[1:], bar, "of fewer images ")


Make = Callable[[nn.Module, Tensor], torch_tools.Made]


def in_training(subject: Subject, make: Make, bar: float) -> None:
    """Hold what a tool makes of the model in training, heads too, to the plain model."""
    made = make(torch_tools.copied(subject.model, subject.x).train(), subject.x)
    plain = torch_tools.copied(subject.model, subject.x).train()
    with torch.no_grad():
        torch.manual_seed(0)
        wanted = plain(subject.x)
        torch.manual_seed(0)
        found = made(subject.x)
    wanted = wanted if isinstance(wanted, Tensor) else tuple(wanted)
    hold(found, wanted, TRAINING * bar, "in training ")


def in_both(subject: Subject, make: Make, bar: float) -> None:
    """Hold what a tool makes to the plain model in evaluation, and in training."""
    in_evaluation(subject, make(subject.model, subject.x), bar)
    in_training(subject, make, bar)


#: By what rounding grows where the statistics are those of a few small maps.
TRAINING = 100


# ---------------------------------------------------------------- PyTorch


def fx(subject: Subject) -> None:
    """`torch.fx.symbolic_trace`."""
    in_both(subject, torch_tools.fx_traced, 1e-5)


def trace(subject: Subject) -> None:
    """`torch.jit.trace`."""
    in_both(subject, torch_tools.jit_traced, 1e-5)


def script(subject: Subject) -> None:
    """`torch.jit.script`, saved and loaded."""
    in_both(subject, torch_tools.scripted, 1e-5)


def export(subject: Subject) -> None:
    """`torch.export`, any batch.

    Only what is of evaluation is saved: PyTorch would have to be told of the heads' named tuple.
    """
    in_evaluation(subject, torch_tools.exported_file(subject.model, subject.x), 1e-5)
    in_training(subject, torch_tools.exported, 1e-5)


def compiling(subject: Subject) -> None:
    """`torch.compile(fullgraph=True)`."""
    in_both(subject, torch_tools.compiled, 1e-5)


def features(subject: Subject) -> None:
    """`create_feature_extractor`, every label of the network."""
    with torch.no_grad():
        names = [name for name, _ in subject.model.named_children()]
        heads = list(subject.graph.outputs)[1:]
        labels = [name for name in names if name not in heads]
        wanted = torch_tools.hooked(subject.model, labels, subject.x)
        hold(torch_tools.extracted(subject.model, list(wanted))(subject.x), wanted, 1e-5)


def sync(subject: Subject) -> None:
    """`convert_sync_batchnorm`, of a copy."""
    _needs_normalisation(subject)
    in_evaluation(subject, torch_tools.synced(subject.model, subject.x), 1e-5)


def update_bn(subject: Subject) -> None:
    """`update_bn` of `swa_utils`."""
    _needs_normalisation(subject)
    stats = torch_tools.averaged(subject.model, subject.x)
    hold(stats, torch_tools.statistics(subject.model, subject.x), 1e-4)


def functional_call(subject: Subject) -> None:
    """`torch.func.functional_call`."""
    in_both(subject, torch_tools.called, 1e-5)


def copies(subject: Subject) -> None:
    """`copy.deepcopy`, `pickle`."""
    in_both(subject, torch_tools.copied, 1e-6)


def half(subject: Subject) -> None:
    """`half()`."""
    in_evaluation(subject, torch_tools.lowered(subject.model, torch.half), 0.02)


def bfloat16(subject: Subject) -> None:
    """`bfloat16()`."""
    in_evaluation(subject, torch_tools.lowered(subject.model, torch.bfloat16), 0.1)


def autocast(subject: Subject) -> None:
    """`torch.autocast`, bfloat16."""
    in_evaluation(subject, torch_tools.under_autocast(subject.model, torch.bfloat16), 0.1)


def int8_fx(subject: Subject) -> None:
    """`prepare_fx`, `convert_fx`."""
    in_evaluation(subject, torch_tools.int8_fx(subject.model, subject.x), INT8)


def int8_qat(subject: Subject) -> None:
    """`prepare_qat_fx`, `convert_fx`."""
    plain, made = torch_tools.int8_qat_frozen(subject.model, subject.x)
    hold(plain, subject.wanted, 1e-5, "before it is quantised ")
    with torch.no_grad():
        hold(torch_tools.first(made(subject.x)), subject.wanted, INT8)


def int8_pt2e(subject: Subject) -> None:
    """pt2e of `torchao`."""
    with torch.no_grad():
        hold(torch_tools.int8_pt2e(subject.model, subject.x)(subject.x), subject.wanted, INT8)


def onnx(subject: Subject) -> None:
    """`torch.onnx.export`, ONNX Runtime, any batch."""
    in_evaluation(subject, torch_tools.in_onnx_runtime(subject.model, subject.x), 1e-4)


def _needs_normalisation(subject: Subject) -> None:
    if not subject.normalises:
        raise NothingToDoError


#: What eight bits may change in a network of up to some hundred layers.
INT8 = 0.2


# ---------------------------------------------------------------- Keras


def saved(subject: Subject) -> None:
    """`.keras` files."""
    again = keras_tools.loaded(subject.built)
    hold(keras_tools.outputs(again(subject.y, training=False)), subject.expected, 1e-5)


def xla(subject: Subject) -> None:
    """`tf.function(jit_compile=True)`."""
    hold(keras_tools.by_xla(subject.built, subject.y), subject.expected, 1e-4)


def tflite(subject: Subject) -> None:
    """TFLite."""
    hold(keras_tools.in_tflite(subject.built, subject.y), subject.expected, 1e-4)


def tflite_int8(subject: Subject) -> None:
    """TFLite, static int8."""
    outputs = keras_tools.in_tflite(subject.built, subject.y, subject.y)
    hold(outputs, subject.expected, INT8)


def mixed_float16(subject: Subject) -> None:
    """`mixed_float16`."""
    with keras_tools.policy("mixed_float16"):
        model = subject.keras_model()
    hold(keras_tools.outputs(model(subject.y, training=False)), subject.expected, 0.02)


def first_channels(subject: Subject) -> None:
    """`channels_first` in `keras.json`."""
    with keras_tools.channels_first():
        outputs = keras_tools.outputs(subject.keras_model()(subject.y, training=False))
    hold(outputs, subject.expected, 1e-5)


def on_torch(subject: Subject) -> None:
    """`KERAS_BACKEND=torch`."""
    _on_backend(subject, "torch")


def on_jax(subject: Subject) -> None:
    """`KERAS_BACKEND=jax`."""
    _on_backend(subject, "jax")


def _on_backend(subject: Subject, backend: str) -> None:
    name = subject.variant.spec
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        text = incgen.generate(
            subject.variant.file, "keras", subject.variant.settings, text=subject.text
        )
        (place / f"{name}.py").write_text(text, "utf-8")
        (place / f"{name}.safetensors").write_bytes(subject.weights.read_bytes())
        np.save(place / f"{name}.npy", subject.y)
        keras_tools.on_backend(backend, place, "--outputs")
        with np.load(place / f"{name}.npz") as arrays:
            hold(dict(arrays), subject.expected, 1e-4)


Tool = Callable[[Subject], None]

TOOLS: dict[str, tuple[Tool, ...]] = {
    "PyTorch": (
        fx,
        trace,
        script,
        export,
        compiling,
        features,
        copies,
        functional_call,
        update_bn,
        sync,
        half,
        bfloat16,
        autocast,
        int8_fx,
        int8_qat,
        int8_pt2e,
        onnx,
    ),
    "Keras": (
        saved,
        xla,
        tflite,
        tflite_int8,
        mixed_float16,
        first_channels,
        on_torch,
        on_jax,
    ),
}


# ---------------------------------------------------------------- the table


#: Where a tool cannot do something and says so, by what it says: the words for it.
REFUSALS = {
    "SyncBatchNorm averages the unbiased variance": (
        "`SyncBatchNorm` averages the unbiased variance only: a `bn` with `variance=biased` raises "
        "a `TypeError` that says so."
    ),
    "cannot assign '[^']*' as parameter 'weight'": (
        "The tool puts the gamma into a layer of PyTorch's whose gamma is a parameter, and that of "
        "a `bn` with `scale=false` is a constant: PyTorch raises a `TypeError`. `convert_fx` does "
        "so where no stock convolution precedes it, with which it would be fused: after a "
        "`Conv2dSame`."
    ),
}


@dataclass(frozen=True)
class Outcome:
    """The outcome of a tool on a spec.

    Attributes:
        word: `works`, `refused`, `fails` or, where there is nothing for it, `-`.
        reason: of a refusal or fault.
    """

    word: str
    reason: str = ""


def outcome(tool: Tool, subject: Subject) -> Outcome:
    """Try a tool."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tool(subject)
    except NothingToDoError:
        return Outcome("-")
    except DifferentError as error:
        return Outcome("fails", str(error))
    except Exception as error:  # whatever a tool raises
        text = f"{type(error).__name__}: {error}"
        for pattern, words in REFUSALS.items():
            if re.search(pattern, text):
                return Outcome("refused", words)
        return Outcome("fails", text)
    return Outcome("works")


@dataclass(frozen=True)
class Task:
    """The tools of a framework, to be tried on a spec by one process."""

    variant: Variant
    framework: str


def tried(task: Task) -> dict[str, Outcome]:
    """Return the outcome of each tool, by name."""
    torch.set_num_threads(1)
    outcomes = {}
    with tempfile.TemporaryDirectory() as folder:
        subject = Subject(task.variant, Path(folder))
        for tool in TOOLS[task.framework]:
            start = time.monotonic()
            outcomes[name_of(tool)] = came = outcome(tool, subject)
            seconds = f"{time.monotonic() - start:.0f} s"
            words = f"{task.variant.name}, {tool.__name__}: {came.word} {came.reason}"
            print(f"{words.strip()}, {seconds}", file=sys.stderr, flush=True)
    keras.backend.clear_session()
    return outcomes


def name_of(tool: Tool) -> str:
    """Return what the table calls a tool: the first line of its docstring."""
    assert tool.__doc__
    return tool.__doc__.split("\n")[0].removesuffix(".")


NAMES = [name_of(tool) for tools in TOOLS.values() for tool in tools]
Outcomes = dict[Variant, dict[str, Outcome]]


def columns(results: Outcomes) -> list[tuple[list[Variant], dict[str, Outcome]]]:
    """Return the specs on which every tool had the same outcome, and that outcome."""
    groups: list[tuple[list[Variant], dict[str, Outcome]]] = []
    for variant, outcomes in results.items():
        for members, common in groups:
            if common == outcomes:
                members.append(variant)
                break
        else:
            groups.append(([variant], outcomes))
    return groups


def heading(members: Sequence[Variant]) -> str:
    """Return the names of some specs; with and without heads counts as one."""
    names = []
    for spec in dict.fromkeys(member.spec for member in members):
        there = {member.heads for member in members if member.spec == spec}
        words = {(True,): " with heads", (False,): " without heads"}.get(tuple(there), "")
        names.append(f"`{spec}`{words}")
    return "<br>".join(names)


def table(results: Outcomes) -> str:
    """Return the table, with the reasons below it."""
    groups = columns(results)
    reasons: list[str] = []
    lines = [
        f"| tool | {' | '.join(heading(members) for members, _ in groups)} |",
        f"|{'---|' * (1 + len(groups))}",
    ]
    for name in NAMES:
        cells = []
        for _, outcomes in groups:
            came = outcomes[name]
            if came.reason and came.reason not in reasons:
                reasons.append(came.reason)
            number = f" ({reasons.index(came.reason) + 1})" if came.reason else ""
            cells.append(came.word + number)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    notes = [f"{number}. {reason}" for number, reason in enumerate(reasons, 1)]
    return "\n".join([*lines, "", *notes] if notes else lines)


def collected(chosen: Iterable[Variant]) -> Outcomes:
    """Return the outcomes of all tools on some specs, tried on all processors."""
    sys.path.insert(0, str(ROOT))  # fuzzing/ is not installed
    from fuzzing.processes import spread

    tasks = [Task(variant, framework) for variant in chosen for framework in TOOLS]
    parts: dict[Task, dict[str, Outcome]] = {}
    for task, came in spread(tried, tasks, os.cpu_count() or 1):
        died = Outcome("fails", "the process of one of them ended")
        names = [name_of(tool) for tool in TOOLS[task.framework]]
        parts[task] = dict.fromkeys(names, died) if came is None else came
    results: Outcomes = {}
    for task in tasks:
        results.setdefault(task.variant, {}).update(parts[task])
    return results


#: Where the table stands in the page.
PLACE = re.compile(r"(<!-- tools on every spec -->\n)(.*?)(\n<!-- end -->)", re.DOTALL)


def write(text: str) -> None:
    """Replace the page's table."""
    page = PAGE.read_text("utf-8")
    fresh, count = PLACE.subn(lambda place: place[1] + text + place[3], page)
    assert count == 1
    PAGE.write_text(fresh, "utf-8")


def main() -> int:
    """Print the table of the specs that are named, or of all; 1 if a tool fails."""
    named = set(sys.argv[1:]) - {"--write"}
    if named and "--write" in sys.argv:
        print("--write takes no specs: the page has all of them", file=sys.stderr)
        return 2
    chosen = [variant for variant in variants() if not named or variant.spec in named]
    if unknown := named - {variant.spec for variant in chosen}:
        print(f"there is no spec {', '.join(sorted(unknown))} in {SPECS.name}/", file=sys.stderr)
        return 2
    start = time.monotonic()
    results = collected(chosen)
    print(table(results))
    if "--write" in sys.argv:
        write(table(results))
    print(f"{time.monotonic() - start:.0f} s", file=sys.stderr)
    return int(any(came.word == "fails" for row in results.values() for came in row.values()))


if __name__ == "__main__":
    sys.exit(main())
