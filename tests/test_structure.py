"""The shape of the code itself: who may import what, and tables that must be complete."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from incgen.language.names import class_name
from incgen.language.ops import OPS
from incgen.targets import TARGETS
from incgen.targets.flax import ops as flax_ops
from incgen.targets.keras import ops as keras_ops
from incgen.targets.shared.classes.ops import KINDS
from incgen.targets.shared.render import Printer
from incgen.targets.torch import ops as torch_ops

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "incgen").rglob("*.py"))
#: A tool for developers of incgen: random specs and broken inputs. It is not installed.
FUZZING = sorted((ROOT / "fuzzing").rglob("*.py"))


@cache
def imported(path: Path) -> set[str]:
    """Return the modules that a file imports anywhere, including inside functions."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path.name}: imports are absolute"
            modules.add(node.module)
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
    return modules


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def users_of(library: str) -> set[str]:
    return {
        name_of(path)
        for path in MODULES
        if any(name == library or name.startswith(f"{library}.") for name in imported(path))
    }


def test_only_the_parser_knows_lark() -> None:
    modules = {
        "incgen.syntax.building",
        "incgen.syntax.explaining",
        "incgen.syntax.lexing",
        "incgen.syntax.parser",
        "incgen.syntax.reducing",
    }
    assert users_of("lark") == modules


def test_only_the_templates_of_targets_know_jinja() -> None:
    assert users_of("jinja2") == {"incgen.targets.shared.templates"}


#: The modules that read or write a framework's own weights files, or run generated models.
FILES = {
    "torch": {
        "incgen.verify.runners.original",
        "incgen.verify.runners.torch",
        "incgen.verify.runners.torch_forms",
        "incgen.verify.runners.torch_training",
        "incgen.weights.readers.torch",
        "incgen.weights.exporting",
    },
    "tensorflow": {
        "incgen.verify.runners.keras",
        "incgen.verify.runners.keras_forms",
        "incgen.weights.readers.tensorflow",
    },
    "h5py": {"incgen.weights.readers.keras"},
    "keras": {"incgen.verify.runners.keras", "incgen.verify.runners.keras_forms"},
    "jax": {
        "incgen.verify.runners.flax",
        "incgen.verify.runners.flax_forms",
        "incgen.verify.runners.flax_programs",
        "incgen.verify.runners.flax_training",
    },
    "flax": {
        "incgen.verify.runners.flax",
        "incgen.verify.runners.flax_contents",
        "incgen.verify.runners.flax_forms",
        "incgen.verify.runners.flax_training",
        "incgen.weights.exporting",
        "incgen.weights.readers.flax",
    },
}
#: These run a framework and nothing else, and are only imported for that.
RUNNERS = {
    f"incgen.verify.runners.{target}{part}"
    for target in TARGETS
    for part in ("", "_forms", "_training")
}
RUNNERS |= {f"incgen.verify.runners.flax_{part}" for part in ("contents", "programs")}


@pytest.mark.parametrize("library", list(FILES))
def test_a_framework_is_only_for_its_files(library: str) -> None:
    assert users_of(library) == FILES[library]


def test_onnx_is_only_for_its_files_and_for_what_runs_them() -> None:
    users = users_of("onnx") | users_of("onnxruntime")
    homes = ("incgen.onnx.", "incgen.quantization.", "incgen.verify.runners.onnx")
    assert users and all(name.startswith(homes) for name in users)


def test_frameworks_are_imported_where_they_are_needed() -> None:
    for path in MODULES:
        if name_of(path) in RUNNERS:
            continue
        tree = ast.parse(path.read_text("utf-8"))
        first = {alias.name for n in tree.body if isinstance(n, ast.Import) for alias in n.names}
        first |= {n.module or "" for n in tree.body if isinstance(n, ast.ImportFrom)}
        assert not {name.partition(".")[0] for name in first} & set(FILES), path


def test_numpy_is_only_for_weights_and_for_what_runs_models() -> None:
    users = users_of("numpy") | users_of("safetensors")
    homes = ("incgen.weights.", "incgen.onnx.", "incgen.quantization.", "incgen.verify.")
    assert {name for name in users if not name.startswith(homes)} <= {"incgen.weights.sampling"}


def test_pygls_is_only_for_the_language_server() -> None:
    users = users_of("pygls") | users_of("lsprotocol")
    assert all(name.startswith("incgen.lsp.") for name in users)


def test_ipython_is_only_for_cells() -> None:
    assert users_of("IPython") == {"incgen.notebooks.cells"}


def test_click_is_only_for_the_command_line() -> None:
    assert all(name.startswith("incgen.cli.") for name in users_of("click"))


def test_nothing_that_is_installed_needs_what_finds_faults_in_it() -> None:
    assert MODULES and FUZZING
    for path in MODULES:
        names = {name.partition(".")[0] for name in imported(path)}
        assert not names & {"fuzzing", "hypothesis"}, path


def test_fuzzing_imports_public_names() -> None:
    for path in FUZZING:
        for name in imported(path):
            private = [part for part in name.split(".") if re.match(r"_(?!_)", part)]
            assert not private, f"{path.name}: {name}"


def module_graph() -> dict[str, set[str]]:
    """Return which of our modules each one imports at the top, including for types."""
    names = {name_of(path) for path in MODULES + FUZZING}
    graph: dict[str, set[str]] = {}
    for path in MODULES + FUZZING:
        tree = ast.parse(path.read_text("utf-8"))
        imports: set[str] = set()
        for_types = [stmt for node in tree.body if isinstance(node, ast.If) for stmt in node.body]
        for node in [*tree.body, *for_types]:
            if isinstance(node, ast.ImportFrom) and node.module:
                whole = {f"{node.module}.{alias.name}" for alias in node.names} & names
                imports |= whole or ({node.module} & names)
        graph[name_of(path)] = imports - {name_of(path)}
    # The package itself re-exports names of other modules lazily.
    graph["incgen"] = set()
    return graph


def test_imports_run_in_one_direction() -> None:
    graph, done, open_ = module_graph(), set[str](), list[str]()

    def visit(name: str) -> None:
        assert name not in open_, f"a circle: {' -> '.join([*open_, name])}"
        if name in done:
            return
        open_.append(name)
        for other in sorted(graph[name]):
            visit(other)
        open_.pop()
        done.add(name)

    for name in graph:
        visit(name)
    assert len(done) == len(MODULES + FUZZING)


def test_the_command_line_has_no_circle_of_late_imports_either() -> None:
    paths = [path for path in MODULES if path.parent.name == "cli"]
    graph = {name_of(path): imported(path) - {name_of(path)} for path in paths}
    while free := [name for name, others in graph.items() if not others & set(graph)]:
        graph = {name: others for name, others in graph.items() if name not in free}

    assert set(graph) <= {"incgen.cli"}, "these import each other"


def test_targets_do_not_import_each_other() -> None:
    graph = module_graph()
    for name, others in graph.items():
        for target in TARGETS:
            if name.startswith(f"incgen.targets.{target}"):
                rivals = [t for t in TARGETS if t != target]
                for rival in rivals:
                    assert not [o for o in others if o.startswith(f"incgen.targets.{rival}")], name


#: From the ground up: a module imports from its own room and from those in front of it.
ROOMS = (
    *("base", "language", "syntax", "resolve", "graph", "show", "draw", "recipes", "deploy"),
    *("targets", "road", "weights", "onnx", "quantization", "verify", "manual", "starting"),
)
#: Modules outside the rooms: the pipeline, and what writes its output.
ROAD = {"incgen.api", "incgen.compiling", "incgen.inference", "incgen.output"}


def room_of(name: str) -> int:
    room = name.split(".")[1] if name.count(".") else ""
    if name in ROAD:
        return ROOMS.index("road")
    return ROOMS.index(room) if room in ROOMS else len(ROOMS)


def test_a_room_knows_only_those_below_it() -> None:
    names = {name_of(path) for path in MODULES}
    for path in MODULES:
        name = name_of(path)
        for other in imported(path) & names - {"incgen"}:
            assert room_of(other) <= room_of(name), f"{name} imports {other}"


#: Ops whose facts a target computes; the macros of the others take their arguments as they are.
EMITTERS = {
    "torch": torch_ops.EMITTERS,
    "keras": keras_ops.EMITTERS,
    "flax": flax_ops.EMITTERS,
}
#: The modules of targets, whose framework code is in templates.
EMITTING = [path for path in MODULES if "targets" in path.parent.parent.parts]


FRAMEWORK_NAME = re.compile(r"\b(nn|F|torch|layers|ops|keras|nnx|jnp|jax)\.")


@pytest.mark.parametrize("target", list(TARGETS))
def test_every_op_is_written_in_every_target(target: str) -> None:
    assert set(EMITTERS[target]) <= set(OPS)
    written = {**EMITTERS[target], **KINDS}  # an op of a kind is another op for each
    assert [op for op in OPS if op not in written and not Printer(target).has(op)] == []


@pytest.mark.parametrize("path", EMITTING, ids=name_of)
def test_names_of_frameworks_stand_in_templates(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            assert not re.search(r"\b(nn|F|torch|layers|ops|keras|nnx|jnp|jax)\.", node.value), (
                node.value
            )


@pytest.mark.parametrize("path", EMITTING, ids=name_of)
def test_nothing_reads_code_but_as_a_tree(path: Path) -> None:
    """Regular expressions are for templates and prose."""
    if path.stem not in ("folders", "templates", "text", "preamble"):
        assert "re" not in imported(path)


@pytest.mark.parametrize("target", list(TARGETS))
def test_every_helper_is_used(target: str) -> None:
    folder, printer = ROOT / "templates" / target, Printer(target, package="net")
    sources = [*folder.glob("macros/*.jinja"), folder / "module.py.jinja", folder / "tables.json"]
    sources += (ROOT / "templates" / "shared").glob("*.jinja")  # parts of modules
    asked = set(re.findall(r'"(\w+)"', "".join(path.read_text("utf-8") for path in sources)))
    names = sorted(path.name.partition(".")[0] for path in folder.glob("helpers/*"))
    needed = {need for name in names for need in printer.find_helper(name).needs}
    assert names and set(names) <= asked | needed | {*OPS, *map(class_name, OPS)}


def test_an_unknown_helper_fails() -> None:
    with pytest.raises(LookupError, match="Missing"):
        Printer("torch").helper("Missing")


@pytest.mark.parametrize("path", MODULES + FUZZING, ids=name_of)
def test_modules_say_what_they_are(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), "a module opens with a docstring"


#: Functions that no split would make clearer: a flat `match` with a row for each case.
FLAT = set[str]()


def test_modules_are_short() -> None:
    long = {name_of(p) for p in MODULES + FUZZING if p.read_text("utf-8").count("\n") > 400}
    assert not long


def lines_of(function: ast.FunctionDef) -> int:
    """Count the lines of a function, without those of its docstring."""
    count = (function.end_lineno or 0) - function.lineno + 1
    if ast.get_docstring(function):
        docstring = function.body[0]
        count -= (docstring.end_lineno or 0) - docstring.lineno + 1
    return count


def test_functions_are_short() -> None:
    long = {
        f"{name_of(path)}.{node.name}"
        for path in MODULES + FUZZING
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef) and lines_of(node) > 40
    }
    assert long == FLAT


#: Words that begin a description rather than an instruction; ruff only knows verbs.
DESCRIBING = re.compile(r"(?:The|An?|What|Whether|How|Where|Why|Who|Every|All|One|It|Its)\b|[`\d]")
#: Words that begin a question, which is not a title of a module or class.
ASKING = re.compile(r"(?:What|Whether|How|Where|Which|When|Why|Who)\b")
PLACES = ("benchmarks", "editors", "examples", "fuzzing", "incgen", "science", "tests", "website")
#: Everything written by hand except the table of tools, which are named by their docstrings.
WRITTEN = [
    path
    for place in PLACES
    for path in sorted((ROOT / place).rglob("*.py"))
    if not {"golden", "reference", "tools.py"} & set(path.parts)
]


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_of_functions_are_in_the_imperative_and_others_are_titles(path: Path) -> None:
    """A test says in its name what it shows; its docstring may say why that is so."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("test_"):
            assert not DESCRIBING.match(ast.get_docstring(node) or ""), f"{path}:{node.lineno}"
        elif isinstance(node, ast.Module | ast.ClassDef):
            assert not ASKING.match(ast.get_docstring(node) or ""), f"{path}:{node.body[0].lineno}"
