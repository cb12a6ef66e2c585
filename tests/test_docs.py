"""The documentation is tested: its specs are built, its commands run, its tables compared.

A fence that begins with `inc` is a spec. What follows says how it is tested:

    inc                     a whole spec
    inc body                statements, tried inside a network whose input is 16 x 32 x 32
    inc block USE           definitions, tried by the statement USE inside such a network
    inc file NAME           a file that later examples of the page can `use`

At the end may stand `error: CODE` or `warning: CODE`, several with commas: the example has these
faults and no other; without them an example has no fault at all. What has no error is built and run
in every framework. Examples in `body` and `block` may use `conv_bn` and `classes`; `numerics caffe`
holds in them.

In a fence `console`, lines that begin with `$ incgen` are run in a folder that has `specs/`. Where
lines follow, they are the output; a line `...` stands for any lines. Fences `python` of the README,
and of the pages on weights, on Flax, on ONNX, on use and on drawings, are run in that folder, most
of them afterwards.
The guides, such as the tutorial, are followed step by step by `test_guides.py` instead, and the
cells of the page on notebooks by `test_notebooks.py`.

Between `<!-- table: NAME -->` and `<!-- end -->` stands a table made here from incgen's own tables;
`pytest tests/test_docs.py --update-goldens` writes it anew.
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest
from guides import commands, run

from engines.page import RESULTS
from engines.page import tables as tables_of_benchmarks
from engines.results import read as read_results
from incgen import api, compiling
from incgen.base.diagnostics import Code, Diagnostic, SpecError
from incgen.graph.memory import DERIVATIVES
from incgen.graph.nodes import Graph
from incgen.language.initializers import RULES
from incgen.language.names import class_name
from incgen.language.ops import OPS
from incgen.language.presets import PRESETS
from incgen.manual import arguments, errors, ops
from incgen.recipes import forms
from incgen.recipes.forms import Field, Form
from incgen.recipes.table import SETTINGS, TRANSFORMS
from incgen.show.columns import COLUMNS
from incgen.syntax.format import format_text
from incgen.targets import TARGETS
from incgen.targets.shared.render import Printer
from incgen.weights import first
from incgen.weights.layout_file import read as read_layout

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LANGUAGE = ROOT / "docs" / "language.md"
ERRORS = ROOT / "docs" / "errors.md"
RECIPES = ROOT / "docs" / "recipes.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
WEIGHTS = ROOT / "docs" / "weights.md"
GENERATED = ROOT / "docs" / "generated-code.md"
FLAX = ROOT / "docs" / "flax.md"
DEPLOYMENT = ROOT / "docs" / "deployment.md"
ONNX = ROOT / "docs" / "onnx.md"
DRAWING = ROOT / "docs" / "drawing.md"
TO_USE = ROOT / "docs" / "from-training-to-use.md"
TABLES_OF_NETWORKS = ROOT / "docs" / "tables.md"
TRAINING = ROOT / "docs" / "training.md"
BENCHMARKS = ROOT / "docs" / "benchmarks.md"
WITH_TABLES = [
    *(LANGUAGE, ERRORS, RECIPES, ARCHITECTURE, WEIGHTS, GENERATED),
    *(TABLES_OF_NETWORKS, BENCHMARKS),
]
#: Whose programs are run too.
WITH_PROGRAMS = [WEIGHTS, FLAX, ONNX, DRAWING, DEPLOYMENT, TO_USE]
#: Followed step by step by `test_guides.py`.
GUIDES = [
    ROOT / "docs" / f"{name}.md"
    for name in ("quickstart", "tutorial", "cookbook", "porting", "numerics")
]
TEXTS = [*PAGES, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]

# ---------------------------------------------------------------- fences

_FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FAULT = re.compile(r"\b(error|warning): ([a-z0-9-]+)")


@dataclass(frozen=True)
class Fence:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    info: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"

    @property
    def trial(self) -> tuple[str, str, set[tuple[str, str]]]:
        """Return how to test a spec, with what, and the faults to expect."""
        how, _, what = _FAULT.sub("", self.info).rstrip(", ").partition(" ")
        assert how in ("", "body", "block", "file"), f"{self}: what is `{how}`?"
        return how, what, {(match[1], match[2]) for match in _FAULT.finditer(self.info)}


def fences(page: Path, language: str) -> list[Fence]:
    text = page.read_text("utf-8")
    return [
        Fence(page, text.count("\n", 0, match.start()) + 1, match[1], match[2].strip(), match[3])
        for match in _FENCE.finditer(text)
        if match[1] == language
    ]


#: The examples of errors are tried by tests/test_manual.py, for the command that shows them.
WITH_SPECS = [page for page in PAGES if page != ERRORS]
SPECS = [fence for page in WITH_SPECS for fence in fences(page, "inc")]

# ---------------------------------------------------------------- specs


def whole(fence: Fence, how: str, use: str) -> str:
    """Return the example as a spec that can be built."""
    if how == "":
        return fence.text
    above = ["numerics caffe"]
    if re.search(r"\bclasses\b", fence.text) and "(classes" not in fence.text:
        above.append("let classes = 10")
    if "conv_bn" in fence.text + use and "unit conv_bn" not in fence.text:
        above.append("unit conv_bn = conv bias=false -> bn -> relu")
    statements = fence.text if how == "body" else use
    if how == "block":
        above.append(fence.text)
    lines = [] if statements.lstrip().startswith("input ") else ["input 32x32 16"]
    return "\n".join([*above, "network example {", *lines, statements, "}", ""])


def files_of(page: Path, folder: Path, last: Fence | None = None) -> None:
    """Put the `inc file` examples of a page into a folder, or those up to one of them."""
    for fence in fences(page, "inc"):
        how, name, _ = fence.trial
        if how == "file":
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(fence.text, "utf-8")
        if fence == last:
            break


def faults(path: Path, text: str) -> list[Diagnostic]:
    """Return the errors and warnings of a spec, including those of targets."""
    diagnostics = api.check(path, text=text)
    if not any(d.severity == "error" for d in diagnostics):
        graph = compiling.compile_spec(path, text=text)
        for target in TARGETS:
            try:
                ast.parse(api.find_targets([target])[0].emit(graph))
            except SpecError as error:
                diagnostics += [d for d in error.diagnostics if d not in diagnostics]
    return diagnostics


@pytest.mark.parametrize("fence", SPECS, ids=str)
def test_an_example_is_as_the_page_says(fence: Fence, tmp_path: Path) -> None:
    how, what, expected = fence.trial
    files_of(fence.page, tmp_path, fence)
    if how == "file":
        diagnostics = api.check(tmp_path / what)
    else:
        diagnostics = faults(tmp_path / "example.inc", whole(fence, how, what))

    report = "\n".join(d.render() for d in diagnostics)
    assert {(d.severity.value, d.code.value) for d in diagnostics} == expected, report


@pytest.mark.parametrize("fence", SPECS, ids=str)
def test_an_example_is_laid_out(fence: Fence) -> None:
    text = fence.text
    if fence.trial[0] == "body":
        text = f"block example() {{\n{indent(text, '    ')}}}\n"

    assert format_text(text) == text


# ---------------------------------------------------------------- generated code


def graph_of(fence: Fence, folder: Path) -> Graph:
    """Return the network of an example; the folder has the files that it uses."""
    how, use, _ = fence.trial
    return compiling.compile_spec(folder / "example.inc", text=whole(fence, how, use))


def buildable(page: Path) -> list[Fence]:
    """Return the examples of a page that are networks without errors."""
    return [
        fence
        for fence in fences(page, "inc")
        if fence.trial[0] != "file" and not any(kind == "error" for kind, _ in fence.trial[2])
    ]


def test_the_code_of_all_examples_is_clean(tmp_path: Path) -> None:
    """Undefined and unused names, imports, layout: all files in one process of ruff each."""
    code = tmp_path / "code"
    code.mkdir()
    for page in WITH_SPECS:
        folder = tmp_path / page.stem
        files_of(page, folder)
        for fence in buildable(page):
            graph = graph_of(fence, folder)
            for target in api.find_targets(list(TARGETS)):
                name = f"{page.stem.lower()}_{fence.line}_{target.name}.py"
                (code / name.replace("-", "_")).write_text(target.emit(graph), "utf-8")

    assert len(list(code.iterdir())) >= 70
    for command in (["check", "--select", "E,F,I,UP,B"], ["format", "--diff"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", "."],
            cwd=code,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


BUILT = [page for page in WITH_SPECS if buildable(page)]


@pytest.mark.parametrize("page", BUILT, ids=lambda page: str(page.name))
def test_the_pytorch_models_of_a_page_run(page: Path, tmp_path: Path) -> None:
    import torch

    files_of(page, tmp_path)
    for fence in buildable(page):
        how, use, _ = fence.trial
        text = whole(fence, how, use)
        graph = graph_of(fence, tmp_path)
        module = api.load(tmp_path / "example.inc", "torch", text=text)
        model = getattr(module, class_name(graph.program.network.name))()
        image = torch.zeros(2, *shape_of(graph, 0))
        for mode in (False, True):
            result = model.train(mode)(image)
            outputs = result if isinstance(result, tuple) else (result,)
            shapes = [tuple(value.shape[1:]) for value in outputs]
            nodes = list(graph.outputs.values())[: None if mode else 1]
            assert shapes == [shape_of(graph, node) for node in nodes], f"{fence}"


@pytest.mark.parametrize("page", BUILT, ids=lambda page: str(page.name))
def test_the_keras_models_of_a_page_are_built(page: Path, tmp_path: Path) -> None:
    files_of(page, tmp_path)
    for fence in buildable(page):
        how, use, _ = fence.trial
        text = whole(fence, how, use)
        graph = graph_of(fence, tmp_path)
        module = api.load(tmp_path / "example.inc", "keras", text=text)
        model = getattr(module, graph.program.network.name)()
        outputs = model.output if isinstance(model.output, dict) else {"": model.output}
        shapes = [tuple(value.shape[1:]) for value in outputs.values()]
        expected = [shape_of(graph, node) for node in graph.outputs.values()]
        assert shapes == [(*shape[1:], shape[0]) for shape in expected], f"{fence}"


@pytest.mark.parametrize("page", BUILT, ids=lambda page: str(page.name))
def test_the_flax_models_of_a_page_have_the_shapes(page: Path, tmp_path: Path) -> None:
    import jax
    import jax.numpy as jnp
    from flax import nnx

    files_of(page, tmp_path)
    for fence in buildable(page):
        how, use, _ = fence.trial
        graph = graph_of(fence, tmp_path)
        module = api.load(tmp_path / "example.inc", "flax", text=whole(fence, how, use))
        network = getattr(module, class_name(graph.program.network.name))
        channels, *sizes = shape_of(graph, 0)
        for training in (False, True):

            def outputs(image: jax.Array, network: Any = network, training: bool = training) -> Any:
                model = network(rngs=nnx.Rngs(0))
                if not training:
                    model.eval()
                return model(image)

            result = jax.eval_shape(outputs, jnp.zeros((2, *sizes, channels)))
            shapes = [tuple(value.shape[1:]) for value in jax.tree.leaves(result)]
            nodes = list(graph.outputs.values())[: None if training else 1]
            expected = [shape_of(graph, node) for node in nodes]
            assert shapes == [(*shape[1:], shape[0]) for shape in expected], f"{fence}"


def shape_of(graph: Graph, node: int) -> tuple[int, ...]:
    """Return a shape without the batch, channels first."""
    shape = graph.nodes[node].shape
    sizes = (shape.channels, shape.height, shape.width)
    return tuple(size for size in sizes if size is not None)


# ---------------------------------------------------------------- commands


def run_page(page: Path, folder: Path, only: Collection[str] = ()) -> None:
    """Run the `incgen` commands of a page, or some of them, and compare what they print."""
    shutil.copytree(ROOT / "specs", folder / "specs", dirs_exist_ok=True)
    files_of(page, folder)
    for fence in fences(page, "console"):
        for command, lines in commands(fence.text):
            words = shlex.split(command, comments=True)
            assert words[0] in ("incgen", "make", "pip", "git", "cd"), f"{fence}: {command}"
            if words[0] != "incgen" or (only and command not in only):
                continue
            with contextlib.chdir(folder):
                run(command, lines)


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES[1:] if page not in (*WITH_PROGRAMS, *GUIDES)],
    ids=lambda page: page.name,
)
def test_the_commands_of_a_page(page: Path, tmp_path: Path) -> None:
    run_page(page, tmp_path)


def test_the_commands_and_programs_of_the_readme(tmp_path: Path) -> None:
    run_page(ROOT / "README.md", tmp_path)
    run_program("\n".join(f.text for f in fences(ROOT / "README.md", "python")), tmp_path)


def run_program(program: str, folder: Path) -> None:
    """Run a program of a page where its commands were run, but in this process."""
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        sys.path.insert(0, str(folder))
        try:
            exec(compile(program, "page", "exec"), {"__name__": "__page__"})
        finally:
            sys.path.remove(str(folder))
            for name in [name for name in sys.modules if name.partition(".")[0] == "generated"]:
                del sys.modules[name]  # another page has other files there


def run_program_apart(program: str, folder: Path) -> None:
    """Run a program that changes the settings of frameworks in a process of its own."""
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={**os.environ, **quiet},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )

    assert done.returncode == 0, done.stderr


#: Checks after the programs of the page on weights: all is restored; only the new layer learns.
_CHECKS_OF_WEIGHTS = [
    """
from safetensors.numpy import load_file
first = load_file("first.safetensors")
kernel = first["inception_3a.pool.1.conv.weight"].transpose(2, 3, 1, 0)
assert (model.inception_3a.pool[1].conv.kernel[...] == kernel).all()
model.eval()
assert model(jnp.ones((1, 64, 64, 3))).shape == (1, 1000)
""",
    """
import incgen
incgen.import_weights("trained.msgpack", "specs/bn_inception.inc", "trained.safetensors")
trained = load_file("trained.safetensors")
assert all((trained[key] == first[key]).all() for key in first)
""",
    """
before = {name: value.clone() for name, value in model.state_dict().items()}
model(torch.rand(2, 3, 64, 64)).square().mean().backward()
optimizer.step()
changed = {name for name, value in model.state_dict().items() if not value.equal(before[name])}
assert changed == {"logits.weight", "logits.bias"}, changed
""",
    """
import numpy as np
before = model.get_weights()
model(np.random.rand(1, 224, 224, 3), training=True)
assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), before, strict=True))
assert [weight.path for weight in model.trainable_weights] == ["logits/kernel", "logits/bias"]
""",
]


@pytest.mark.slow  # the README has the commands that are most used
def test_the_commands_and_programs_of_the_page_on_weights(tmp_path: Path) -> None:
    page = WEIGHTS
    run_page(page, tmp_path)
    programs = [fence.text for fence in fences(page, "python")]
    pairs = zip(programs, _CHECKS_OF_WEIGHTS, strict=True)

    run_program_apart("\n".join(text for pair in pairs for text in pair), tmp_path)


#: What the programs of the page on Flax must have done.
_CHECKS_OF_FLAX = """
assert loss.shape == () and logits.shape == (8, 10)
loaded.eval(), load_safetensors(model, "small.safetensors"), model.eval()
assert abs(predict(loaded, x) - predict(model, x)).max() < 1e-5
assert (same == logits).all()
assert features.shape == (8, 16, 16, 16)
exported = jax.export.deserialize(bytearray(Path("small.jax").read_bytes())).call(x[:3])
assert abs(exported - logits[:3]).max() < 1e-5 * abs(logits).max()
assert predict(mixed, x).dtype == jnp.bfloat16
assert halved.dtype == jnp.bfloat16
assert abs(halved - logits).max() < 0.05 * abs(logits).max()
assert spread.sharding.spec == jax.P("batch", None)
assert abs(spread - logits).max() < 1e-5 * abs(logits).max()
"""


@pytest.mark.slow  # its models are built in every run
def test_the_commands_and_programs_of_the_page_on_flax(tmp_path: Path) -> None:
    run_page(FLAX, tmp_path)
    programs = [fence.text for fence in fences(FLAX, "python")]

    run_program_apart("\n".join([*programs, _CHECKS_OF_FLAX]), tmp_path)


def test_the_commands_and_programs_of_the_page_on_onnx(tmp_path: Path) -> None:
    run_page(ONNX, tmp_path)

    run_program("\n".join(fence.text for fence in fences(ONNX, "python")), tmp_path)


def test_the_commands_and_programs_of_the_page_on_drawings(tmp_path: Path) -> None:
    run_page(DRAWING, tmp_path)
    (program,) = fences(DRAWING, "python")
    before = (tmp_path / "bn_inception.svg").read_text("utf-8")

    run_program(program.text, tmp_path)

    after = (tmp_path / "bn_inception.svg").read_text("utf-8")
    assert 'data-key="inception_3a.concat"' in after
    assert 'data-key="inception_3a.concat"' not in before


def test_the_commands_and_programs_of_the_page_on_deployment(tmp_path: Path) -> None:
    run_page(DEPLOYMENT, tmp_path)
    programs = [fence.text for fence in fences(DEPLOYMENT, "python")]

    run_program("\n".join([*programs, "assert logits.shape == (1, 1000)"]), tmp_path)


def test_the_way_from_a_weights_file_to_int8(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page in short: nothing is trained, and TensorFlow stays out of it."""
    images, run, *others = fences(TO_USE, "python")
    (reported,) = [fence for fence in others if "incgen.quantize" in fence.text]
    weights, names = "runs/digits/last.safetensors", dict[str, Any]()
    monkeypatch.chdir(tmp_path)
    exec(images.text, names)
    files_of(TO_USE, tmp_path)
    (tmp_path / weights).parent.mkdir(parents=True)
    first.write(compiling.compile_spec(tmp_path / "digits.inc"), tmp_path / weights, 0, force=True)

    run_page(
        TO_USE,
        tmp_path,
        {
            f"incgen build digits.inc --target onnx --deploy --weights {weights} -o digits.onnx",
            "incgen quantize digits.onnx --images digits",
        },
    )

    exec(run.text, names)
    exec(reported.text, names)
    assert names["logits"].shape == (1, 10)
    assert names["report"].kept == ("conv1",)


#: What the programs of the page must have done.
_CHECKS_OF_USE = """
assert logits.shape == (1, 10) and logits.argmax() == 0
assert same > 0.98
assert (classes("digits.tflite") == np.asarray(model(x)).argmax(1)).all()
truth = np.array([int(path.parent.name) for path in paths])
assert (classes("digits_int8.tflite") == truth).mean() > 0.97
report = incgen.quantize("digits.onnx", "digits", "digits_int8.onnx", compare=600)
before, after = report.top1
assert report.comparison.images == 599 and before > 0.97 and after >= before - 0.005, report.top1
"""


@pytest.mark.slow
def test_the_commands_and_programs_of_the_page_from_training_to_use(tmp_path: Path) -> None:
    """The network is trained, which takes half a minute, and loses at most half a per cent."""
    programs = [fence.text for fence in fences(TO_USE, "python")]
    trained, page = tmp_path / "trained", tmp_path / "page"
    for folder in (trained, page):
        folder.mkdir()
        run_program_apart(programs[0], folder)
    run_page(TO_USE, trained, {"incgen build digits.inc --recipe quick"})
    (line,) = re.findall(r"^python (generated/train_.*)$", TO_USE.read_text("utf-8"), re.MULTILINE)
    words = [sys.executable, *line.split()]
    done = subprocess.run(words, cwd=trained, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shutil.copytree(trained / "runs", page / "runs")

    run_page(TO_USE, page)

    run_program_apart("\n".join([*programs, _CHECKS_OF_USE]), page)


# ---------------------------------------------------------------- tables


def test_the_program_for_tar_files(tmp_path: Path) -> None:
    fence, _ = fences(TRAINING, "python")
    for shard, members in {
        "train/000": {"a.cls": b"12", "a.jpg": b"image a", "./b.png": b"image b", "./b.cls": b"0"},
        "train/001": {"a.jpeg": b"another", "a.cls": b"0\n", "a.json": b"{}"},
        "val/000": {"x/a.jpg": b"to evaluate", "x/a.cls": b"12"},
    }.items():
        path = tmp_path / "shards" / f"{shard}.tar"
        path.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(path, "w") as tar:
            for name, content in members.items():
                (info := tarfile.TarInfo(name)).size = len(content)
                tar.addfile(info, io.BytesIO(content))

    run_program(fence.text, tmp_path)

    files = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert {str(path.relative_to(tmp_path / "data")): path.read_bytes() for path in files} == {
        "train/00012/000_a.jpg": b"image a",
        "train/00000/000_b.png": b"image b",
        "train/00000/001_a.jpeg": b"another",
        "val/00012/000_a.jpg": b"to evaluate",
    }


#: Writes TFRecord files as TF-slim does, in front of the program that reads them.
_RECORDS = """
import os
import tensorflow as tf

os.mkdir("records")
for name, label, image in (
    ("train-00000-of-00002", 12, b"a"), ("train-00001-of-00002", 1, b"b"), ("validation-0", 1, b"c")
):
    with tf.io.TFRecordWriter(f"records/{name}") as file:
        values = {
            "image/encoded": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image])),
            "image/class/label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
            "image/height": tf.train.Feature(int64_list=tf.train.Int64List(value=[1])),
        }
        features = tf.train.Features(feature=values)
        file.write(tf.train.Example(features=features).SerializeToString())
"""


def test_the_program_for_records(tmp_path: Path) -> None:
    _, fence = fences(TRAINING, "python")

    run_program_apart(_RECORDS + fence.text, tmp_path)

    files = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert {str(path.relative_to(tmp_path / "data")): path.read_bytes() for path in files} == {
        "train/00012/00000000.jpg": b"a",
        "train/00001/00000001.jpg": b"b",
        "val/00001/00000000.jpg": b"c",
    }


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)


def presets() -> str:
    rows = [(f"`{family}`", f"`{name}`", *cells) for family, name, cells in arguments.presets()]
    return table(("family", "argument", *(f"`{name}`" for name in PRESETS)), rows)


def initializers() -> str:
    rows = []
    for name, rule in RULES.items():
        form = f"`{name}({', '.join(rule.arguments)})`" if rule.arguments else f"`{name}`"
        rows.append((form, rule.formula, rule.source))
    return table(("name", "values", "source, and who means something else"), rows)


def codes() -> str:
    rows = [
        (f"[`{code.value}`](errors.md#{code.value})", code.summary.replace("|", "\\|"))
        for code in Code
    ]
    return table(("code", "what is wrong"), rows)


LIMITS = (
    ("characters in a file", "syntax.parser", "MAX_TEXT"),
    ("tokens in a file, newlines included", "syntax.lexing", "MAX_TOKENS"),
    (
        "tokens in one element of a pipeline, or in a definition before its body",
        "syntax.lexing",
        "MAX_ELEMENT",
    ),
    ("characters in a name", "syntax.lexing", "MAX_NAME"),
    ("nesting of brackets, bodies or operators", "syntax.lexing", "MAX_NESTING"),
    ("a literal number", "language.arithmetic", "MAX_NUMBER"),
    ("the result of an expression", "language.arithmetic", "MAX_RESULT"),
    ("channels, the parts of a window, padding", "resolve.arguments", "MAX_COUNT"),
    ("depth of `use` between files", "syntax.loader", "MAX_USE_DEPTH"),
    ("depth of uses between definitions", "resolve.scope", "MAX_DEFINITION_DEPTH"),
    ("branches of a join", "resolve.body", "MAX_BRANCHES"),
    ("nesting of `repeat` in one definition", "resolve.body", "MAX_LOOPS"),
    ("iterations of one `repeat`", "graph.bounds", "MAX_REPEAT"),
    ("layers and other elements of a network, once expanded", "graph.bounds", "MAX_ELEMENTS"),
    ("nesting of uses and bodies, once expanded", "graph.bounds", "MAX_DEPTH"),
    ("rows or columns of a value", "graph.bounds", "MAX_SIZE"),
    ("elements of one value per example, and of all parameters", "graph.bounds", "MAX_NUMBERS"),
    ("characters in a key", "graph.bounds", "MAX_PATH"),
    ("numbers in a file written by `incgen weights init`", "weights.first", "MAX_NUMBERS"),
    ("errors after which a check stops", "base.diagnostics", "MAX_ERRORS"),
    ("reports that are printed; the rest are only counted", "base.diagnostics", "MAX_SHOWN"),
)


def limits() -> str:
    rows = []
    for what, module, name in LIMITS:
        value = getattr(import_module(f"incgen.{module}"), name)
        exponent = value.bit_length() - 1
        power = value > 10**6 and value == 2**exponent
        digits = len(str(value)) - 1
        text = f"{value:,}"
        if power:
            text = f"2**{exponent}"
        elif value > 10**12 and value == 10**digits:
            text = f"1e{digits}"
        rows.append((what, text))
    return table(("what", "at most"), rows)


def modules(package: Path, base: Path) -> str:
    rows = []
    for path in sorted(package.rglob("*.py"), key=lambda path: (len(path.parts), path)):
        doc = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
        rows.append((f"`{path.relative_to(base).as_posix()}`", doc.split("\n")[0]))
    return table(("module", "what it is"), rows)


def checkpoints() -> str:
    rows = []
    for path in sorted((ROOT / "specs" / "layouts").rglob("*.toml")):
        layout, network = read_layout(path, path.stem), path.parent.name
        for published in layout.published:
            source, file = published.source, published.file
            packed = source.rpartition("/")[2]
            packers = {".tar.gz": "tar xzf", ".zip": "unzip"}
            commands = [packer for end, packer in packers.items() if packed.endswith(end)]
            unpack = "".join(f"`{command} {packed}`, then " for command in commands)
            settings = {**layout.settings, **published.settings}
            words = [f"--set {name}={str(value).lower()}" for name, value in settings.items()]
            spec, output = f"specs/{network}.inc", f"-o {network}.safetensors"
            command = " ".join(["incgen weights import", file, spec, *words, output])
            place = source.partition("://")[2].removesuffix(f"/{file}")
            rows.append((f"`{network}`", f"[{place}]({source})", f"{unpack}`{command}`"))
    return table(("spec", "published at", "command"), rows)


def helpers_of(target: str) -> str:
    printer = Printer(target, package="net")
    names = sorted(
        path.name.partition(".")[0] for path in (ROOT / "templates" / target).glob("helpers/*")
    )
    rows = [(f"`{name}`", printer.find_helper(name).why) for name in names]
    return table(("helper", "why the stock layer is not enough"), rows)


def ranges(field: Field) -> str:
    """Return the values of a field of a recipe, as text."""
    low, high = field.minimum > -1e19, field.maximum < 1e19
    if field.words:
        return ", ".join(f"`{word}`" for word in field.words)
    if field.kind is forms.Kind.NUMBER and low:
        begin = f"a number {'above' if field.open else 'from'} {field.minimum:g}"
        return begin + (f" to {field.maximum:g}" if high else "")
    return field.kind.value


def rows_of(name: str, form: Form, doc: str) -> list[tuple[str, ...]]:
    """Return the lines of a form of a recipe: itself, and each of its values."""
    words = [name]
    for field in form.positional:
        timed = field.kind in (forms.Kind.DURATION, forms.Kind.TIMES)
        words += [field.lead, field.kind.name if timed else field.name.upper()]
    written = " ".join(filter(None, words))
    rows = [(f"`{written}`", "", "", doc)]
    for field in form.fields:
        default = field.default
        if isinstance(default, float) and default.is_integer():
            default = int(default)
        needed = "required" if default is forms.STATED else arguments.shown(default)
        needed = "" if default is None else needed
        title = field.name.upper() if field.positional and not field.lead else f"`{field.name}=`"
        title = f"`{field.lead}`" if field.lead else title
        rows.append((f"&nbsp;&nbsp;{title}", ranges(field), needed, field.doc))
    return rows


def settings() -> str:
    rows = []
    for setting in SETTINGS.values():
        if "" in setting.forms:
            rows += rows_of(setting.name, setting.forms[""], setting.doc)
        else:
            rows.append((f"`{setting.name}`", "", "", setting.doc))
            for form in setting.forms.values():
                rows += rows_of(f"{setting.name} {form.name}", form, form.doc)
        for form in setting.parts.values():
            rows += rows_of(f"-> {form.name}", form, form.doc)
    return table(("setting", "value", "default", "meaning"), rows)


def transforms() -> str:
    places: dict[str, tuple[Form, list[str]]] = {}
    for where, table_ in TRANSFORMS.items():
        for name, form in table_.items():
            places.setdefault(name, (form, []))[1].append(f"`{where}`")
    rows = []
    for name, (form, where) in places.items():
        rows += rows_of(name, form, f"{form.doc} In {' and '.join(where)}")
    return table(("transform", "value", "default", "meaning"), rows)


def columns() -> str:
    rows = [(f"`{column.name}`", column.about) for column in COLUMNS.values()]
    return table(("column", "what it says"), rows)


def kept() -> str:
    """Return the ops whose derivatives are computed from a value, in the order of the reference."""
    rows = []
    for by in ("input", "output"):
        names = (f"`{op}`" for op, computed_from in DERIVATIVES.items() if computed_from == by)
        rows.append((f"its {by}", ", ".join(names)))
    return table(("kept is", "for"), rows)


def benchmarks() -> dict[str, Callable[[], str]]:
    """Return what makes each table of benchmarks from the results that are kept."""
    tables = tables_of_benchmarks(read_results(RESULTS))
    return {name: partial(str, text) for name, text in tables.items()}


TABLES: dict[str, Callable[[], str]] = {
    "columns": columns,
    "kept": kept,
    **benchmarks(),
    "settings": settings,
    "transforms": transforms,
    **{f"helpers of {target}": partial(helpers_of, target) for target in TARGETS},
    "checkpoints": checkpoints,
    "modules": lambda: modules(ROOT / "incgen", ROOT / "incgen"),
    "modules of fuzzing": lambda: modules(ROOT / "fuzzing", ROOT),
    "presets": presets,
    "initialisers": initializers,
    "codes": codes,
    "explanations": errors.markdown,
    "limits": limits,
    "ops without arguments": ops.simple_ops,
    **{f"op {op.name}": partial(ops.markdown, op) for op in OPS.values()},
}
_TABLE = re.compile(r"(<!-- table: ([^\n]+?) -->\n)(.*?)(\n?<!-- end -->)", re.DOTALL)


@pytest.mark.parametrize("page", WITH_TABLES, ids=lambda page: page.name)
def test_the_tables_are_incgens_own(page: Path, update_goldens: bool) -> None:
    text = page.read_text("utf-8")
    fresh = _TABLE.sub(lambda match: f"{match[1]}{TABLES[match[2]]()}\n<!-- end -->", text)
    if update_goldens:
        page.write_text(fresh, "utf-8")
        text = fresh

    assert text == fresh, "write them anew with `pytest tests/test_docs.py --update-goldens`"


def test_no_table_is_missing() -> None:
    texts = "".join(page.read_text("utf-8") for page in WITH_TABLES)
    there = {match[2] for match in _TABLE.finditer(texts)}
    needed = {name for name in TABLES if not name.startswith("op ")}
    needed |= {f"op {op.name}" for op in OPS.values() if op.arguments}

    assert there == needed


def test_every_op_has_its_place_and_its_formula() -> None:
    text = LANGUAGE.read_text("utf-8")
    sections = text[text.index("\n## Ops\n") :]

    for op in OPS.values():
        head = re.search(rf"^### .*`{op.name}`.*\n", sections, re.MULTILINE)
        row = re.search(rf"^\| `{op.name}\b[^|]*` \| [^|]+ \|", sections, re.MULTILINE)
        assert head or row, f"docs/language.md does not explain `{op.name}`"


_KEYS = re.compile(r"^\| `([^`]+)` \| ((?:`[\w.]+` ?)+)\|", re.MULTILINE)
_KEYS_PREAMBLE = """\
numerics caffe
let n = 2
unit conv_bn = conv bias=false -> bn -> relu
block part(c) { left: conv 3x3 c
right: relu }
"""


def keys() -> list[tuple[str, str]]:
    text = LANGUAGE.read_text("utf-8")
    section = text[text.index("\n## Keys\n") : text.index("\n## Expressions\n")]
    return [(match[1], match[2].replace("`", "").strip()) for match in _KEYS.finditer(section)]


@pytest.mark.parametrize(("written", "expected"), keys())
def test_keys_are_as_the_page_says(written: str, expected: str) -> None:
    body = written.replace("; ", "\n")
    text = f"{_KEYS_PREAMBLE}network example {{\ninput 8x8 3\n{body}\n}}\n"
    graph = compiling.compile_spec("example.inc", text=text)

    layers = [node.path for node in graph.nodes if node.op in OPS]
    assert " ".join(layers) == expected


def test_the_table_of_keys_is_found() -> None:
    assert len(keys()) >= 15


# ---------------------------------------------------------------- links and words


def test_the_architecture_names_modules_that_exist() -> None:
    for name in re.findall(r"`((?:\w+/)*\w+\.py)`", ARCHITECTURE.read_text("utf-8")):
        assert any((ROOT / place / name).exists() for place in ("incgen", ".")), (
            f"there is no {name}"
        )


def test_the_changelog_counts_the_ops() -> None:
    assert f"{len(OPS)} ops" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def anchor(heading: str) -> str:
    """Return the anchor that GitHub generates for a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: str(page.name))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("https://", "http://")):
            continue
        name, _, fragment = target.partition("#")
        other = (page.parent / name).resolve() if name else page
        assert other.exists(), f"{page.name}: {target}"
        if fragment:
            headings = re.findall(r"^#+ (.*)$", other.read_text("utf-8"), re.MULTILINE)
            assert fragment in map(anchor, headings), f"{page.name}: {target}"
