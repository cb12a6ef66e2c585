"""The Python API: compiling a spec, and modules without files."""

from __future__ import annotations

import inspect
import pickle
import shutil
import subprocess
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum, StrEnum
from fractions import Fraction
from pathlib import Path

import numpy
import pytest

import incgen
from incgen import api
from incgen.base.diagnostics import Code, Diagnostic, Reporter
from incgen.graph.nodes import Graph
from incgen.targets import TARGETS
from incgen.targets.shared.analysis import Analysis

ROOT = Path(__file__).parent.parent
SPEC = """\
network net(classes = 10, kind = avg) {
    input 8x8 3
    pool kind 2x2 pad=0
    a: conv 1x1 4
    global_avg_pool
    b: dense classes
}
"""
LIBRARY = "unit conv_relu = conv -> relu\n"


@dataclass(frozen=True)
class Fake:
    """A target whose code needs no framework."""

    name: str
    aliases: tuple[str, ...] = ()
    module: str = ""

    def emit(self, graph: Graph) -> str:
        """Emit a class that knows one parameter; refuse the number 13."""
        if graph.parameters["classes"] == 13:
            fault = Diagnostic(Code.UNSUPPORTED, f"no 13 in {self.name}", None, file="net.inc")
            raise incgen.SpecError([fault])
        return (
            f'"""{self.name}."""\n\n\nclass Net:\n    classes = {graph.parameters["classes"]}\n\n'
            "    def forward(self, x: int) -> float:\n        return self.classes / x\n"
        )

    def check(self, graph: Graph, analysis: Analysis | None = None) -> None:
        """Refuse what `emit` refuses."""
        self.emit(graph)


@pytest.fixture(autouse=True)
def fakes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = set(sys.modules)
    monkeypatch.setitem(TARGETS, "fake", Fake("fake", ("fiction",)))  # type: ignore[arg-type]
    monkeypatch.setitem(TARGETS, "second", Fake("second"))  # type: ignore[arg-type]
    yield
    for name in set(sys.modules) - before:
        if name.startswith("incgen_"):
            del sys.modules[name]


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "net.inc"
    path.write_text(SPEC)
    return path


def codes(diagnostics: list[Diagnostic]) -> list[str]:
    return [d.code.value for d in diagnostics]


# ---------------------------------------------------------------- names


def test_public_names_are_sorted_and_there() -> None:
    assert incgen.__all__ == sorted(incgen.__all__)
    for name in incgen.__all__:
        assert getattr(incgen, name) is not None
        assert name in dir(incgen)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = incgen.nonsense


def test_no_public_name_is_hidden_by_a_module() -> None:
    modules = {path.stem for path in Path(api.__file__).parent.glob("*.py")}

    assert not modules & set(incgen.__all__)


def test_the_import_brings_nothing_heavy() -> None:
    code = "import sys, incgen.cli.main; print(*sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    loaded = set(done.stdout.split())
    assert not loaded & {"lark", "jinja2", "numpy", "safetensors", "torch", "keras", "incgen.api"}


def test_a_check_loads_nothing_that_only_prints() -> None:
    code = "import sys, incgen; incgen.check('bn_inception'); print(*sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert not {*done.stdout.split()} & {"jinja2", "subprocess", "numpy", "safetensors"}


# ---------------------------------------------------------------- compile and check


def test_a_graph_follows_its_parameters(spec: Path) -> None:
    assert incgen.compile_spec(spec).trained == 16 + 50
    assert incgen.compile_spec(str(spec), {"classes": 2, "kind": "max"}).trained == 16 + 10


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"clases": 1}, r"no parameter and no constant `clases`: did you mean `classes`\?"),
        ({"x": 1}, r"no constant `x`: there are `classes` and `kind`"),
        ({"kind": "avgg"}, r"`kind` cannot be set to that: no word `avgg`: did you mean `avg`\?"),
        ({"classes": "three"}, r"it takes a number, 10 by default, not `three`"),
        ({"kind": "biggest"}, r"or a word such as `max`, not `biggest`"),
        ({"kind": '"); import os  # '}, r"a value is a number, `true`, `false` or a word"),
        ({"classes": [1]}, r"not an object of type `list`"),
        ({"classes": None}, r"not an object of type `NoneType`"),
        ({"classes": 3j}, r"not an object of type `complex`"),
        ({"classes": numpy.array([1, 2])}, r"not an object of type `ndarray`"),
        ({"classes": float("nan")}, r"NaN is not a number"),
        ({"classes": numpy.float32("inf")}, r"numbers go up to 2\*\*53"),
        ({"classes": Fraction(10**400)}, r"numbers go up to 2\*\*53"),
        ({3: 1}, r"the name of a parameter is a string, not int"),
        ({"classes": 10**400}, r"numbers go up to 2\*\*53"),
    ],
)
def test_parameters_that_cannot_be(spec: Path, parameters: dict, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(incgen.RequestError, match=message):
        incgen.compile_spec(spec, parameters)


class Whole(IntEnum):
    """Members print as `Whole.THREE`."""

    THREE = 3


class Word(StrEnum):
    """Members print as `<Word.MAX: 'max'>`."""

    MAX = "max"


def hostile(base: type) -> type:
    """Return a subclass of a plain type whose objects print, and convert, as code."""
    text = lambda *_: "__import__('os')"  # noqa: E731
    methods = ("__repr__", "__str__", "__format__", "__int__", "__float__", "__index__", "item")
    return type("Hostile", (base,), {**dict.fromkeys(methods, text), "ndim": 1})


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        *((number, 3) for number in (numpy.int64(3), numpy.uint8(3), numpy.array(3))),
        *((number, 3) for number in (Whole.THREE, hostile(int)(3))),
        *((number, 0.25) for number in (numpy.float64(0.25), numpy.float32(0.25))),
        *((number, 0.25) for number in (Fraction(1, 4), Decimal("0.25"), hostile(float)(0.25))),
        (numpy.longdouble(0.25), 0.25),
        (numpy.bool_(True), True),
        *((word, "max") for word in (numpy.str_("max"), Word.MAX, hostile(str)("max"))),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_from_outside_become_plain(value: object, plain: object) -> None:
    """In the graph and in the generated source, which shows them as plain values."""
    used = {int: "conv 1x1 k", float: "dropout k", bool: "conv 1x1 2 bias=k", str: "pool k 1x1"}
    body = used[type(plain)]
    default = "avg" if isinstance(plain, str) else "true" if isinstance(plain, bool) else "1"
    default = "0.5" if isinstance(plain, float) else default
    text = f"numerics torch\nnetwork net(k = {default}) {{\n    input 8x8 3\n    a: {body}\n}}\n"
    given = {hostile(str)("k"): value}

    parameter = incgen.compile_spec("net.inc", given, text=text).parameters["k"]

    assert type(parameter) is type(plain)
    assert parameter == plain
    for target in ("torch", "keras"):
        source = incgen.generate("net.inc", target, given, text=text)
        assert source == incgen.generate("net.inc", target, {"k": plain}, text=text)


def test_constants_from_outside_become_plain() -> None:
    text = "numerics torch\nlet c = 1\nnetwork net {\n    input 8x8 3\n    a: conv 1x1 c\n}\n"

    source = incgen.generate("net.inc", parameters={"c": hostile(int)(3)}, text=text)

    assert source == incgen.generate("net.inc", parameters={"c": 3}, text=text)
    assert "Parameters  12" in source


def test_a_parameter_out_of_range_is_a_fault_of_the_spec(spec: Path) -> None:
    with pytest.raises(incgen.SpecError, match=r"net\.inc:6:14: error\[number-range\]"):
        incgen.compile_spec(spec, {"classes": 0})


CONSTANTS = """
numerics torch
let gamma = true
let heads = gamma
default bn scale=gamma

network net(classes = 3, wide = 2) {
    input 8x8 3
    a: conv 3x3 4 bias=false -> bn
    if heads {
        aux side { fc: dense classes }
    } else {
        b: conv 1x1 wide bias=false
    }
    fc: dense classes bias=false
}
"""


def test_constants_of_the_spec_can_be_set() -> None:
    # 3 * 9 * 4 kernels, 4 gammas and betas, a head and a dense layer on 4 x 8 x 8
    said = incgen.compile_spec("net.inc", text=CONSTANTS)
    assert said.trained == 108 + 8 + 3 * 257 + 3 * 256
    assert list(said.outputs) == ["fc", "side"]

    # `heads` follows from `gamma`; 4 * 2 kernels, then 2 x 8 x 8 into the dense layer
    other = incgen.compile_spec("net.inc", {"gamma": False, "classes": 2}, text=CONSTANTS)
    assert other.trained == 108 + 4 + 8 + 2 * 128
    assert list(other.outputs) == ["fc"]
    source = incgen.generate("net.inc", "torch", {"gamma": False}, text=CONSTANTS)
    assert "from net.inc with gamma=false; edit the spec" in source
    assert "def __init__(self, classes: int = 3, wide: int = 2)" in source
    # what nothing uses that is built is not an argument
    source = incgen.generate("net.inc", "keras", text=CONSTANTS)
    assert "def net(classes=3, input_shape=(8, 8, 3)" in source


def test_constants_of_used_files_stay_theirs(tmp_path: Path) -> None:
    (tmp_path / "shared.inc").write_text("let wide = 4\nblock part() { a: conv 1x1 wide }\n")
    (tmp_path / "net.inc").write_text(
        'use part from "shared.inc"\nnetwork net {\n    input 8x8 3\n    p: part\n}\n'
    )

    with pytest.raises(incgen.RequestError, match="no parameter and no constant `wide`"):
        incgen.compile_spec(tmp_path / "net.inc", {"wide": 8})


def test_a_spec_can_come_as_text() -> None:
    graph = incgen.compile_spec("some/name.inc", text=SPEC)

    assert graph.program.file == "name.inc"


def test_warnings_go_to_the_report() -> None:
    report = Reporter()

    incgen.compile_spec("net.inc", text=SPEC.replace("a: conv", "conv"), report=report)

    assert codes(report.diagnostics) == ["unnamed"]


def test_a_file_without_a_network_can_be_checked_and_not_built() -> None:
    assert incgen.check("library.inc", text=LIBRARY) == []
    with pytest.raises(incgen.SpecError, match=r"library\.inc: error\[no-network\]"):
        incgen.compile_spec("library.inc", text=LIBRARY)


def test_two_networks_are_a_fault() -> None:
    faults = incgen.check("two.inc", text=SPEC + SPEC.replace("net(", "other("))

    assert codes(faults) == ["no-network"]
    assert faults[0].headline.startswith("two.inc:8:9: ")
    assert faults[0].notes[0].message == "the first, `net`, is here"


def test_check_gives_faults_and_warnings() -> None:
    warning, fault = SPEC.replace("a: conv", "conv"), SPEC.replace("dense", "dens")

    assert codes(incgen.check("net.inc", text=warning)) == ["unnamed"]
    assert codes(incgen.check("net.inc", text=fault)) == ["unknown-op"]
    assert codes(incgen.check("nowhere/net.inc")) == ["unreadable"]


# ---------------------------------------------------------------- build


def test_build_writes_one_file_for_each_target(spec: Path) -> None:
    files = incgen.build(spec, ["fake", "second", "fiction"])

    assert [file.path for file in files] == [
        Path("generated/net_fake.py"),
        Path("generated/net_second.py"),
    ]
    assert all(file.changed for file in files)
    assert [Path(file).read_text() for file in files] == [file.text for file in files]
    assert not any(file.changed for file in incgen.build(spec, ["fake", "second"]))


def test_build_can_only_look(spec: Path) -> None:
    (file,) = incgen.build(spec, "fake", "out.py", check=True)
    assert (file.changed, Path("out.py").exists()) == (True, False)
    incgen.build(spec, "fake", "out.py")

    (file,) = incgen.build(spec, "fake", "out.py", {"classes": 3}, check=True)

    assert "-    classes = 10\n+    classes = 3\n" in file.diff()
    assert "classes = 10" in Path("out.py").read_text()


def test_build_refuses_and_can_be_forced(spec: Path) -> None:
    Path("out.py").write_text("mine\n")

    with pytest.raises(incgen.OutputError, match="not generated by incgen"):
        incgen.build(spec, "fake", "out.py")

    assert incgen.build(spec, "fake", "out.py", force=True)[0].before == "mine\n"


def test_nothing_is_written_if_a_target_cannot(spec: Path) -> None:
    with pytest.raises(incgen.SpecError) as caught:
        incgen.build(spec, ["fake", "second"], None, {"classes": 13})

    assert codes(list(caught.value.diagnostics)) == ["unsupported"] * 2
    assert not Path("generated").exists()


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("fakee", r"there is no target `fakee`: did you mean `fake`\?"),
        ("qqq", r"no target `qqq`: .* `fake`, `flax`, `keras`, `onnx`, `second` and `torch`"),
        ([], r"no target is given"),
    ],
)
def test_an_unknown_target(spec: Path, target: str | list[str], message: str) -> None:
    with pytest.raises(incgen.RequestError, match=message):
        incgen.build(spec, target)


def test_generate_gives_the_source(spec: Path) -> None:
    source = incgen.generate(spec, "fiction", {"classes": 4})

    assert source.startswith('"""fake."""\n')
    assert "classes = 4\n" in source


# ---------------------------------------------------------------- modules


def test_a_loaded_module_works_like_an_imported_one(spec: Path) -> None:
    module = incgen.load(spec, "fake")
    net = module.Net()

    assert net.forward(4) == 2.5
    assert sys.modules[module.__name__] is module
    assert incgen.load(spec, "fiction") is module
    assert type(pickle.loads(pickle.dumps(net))) is module.Net
    assert inspect.getsource(module.Net.forward) == (
        "    def forward(self, x: int) -> float:\n        return self.classes / x\n"
    )
    assert inspect.getsource(module.Net).startswith("class Net:\n")
    assert inspect.getsource(module) == incgen.generate(spec, "fake")


def test_a_traceback_shows_the_generated_lines(spec: Path) -> None:
    net = incgen.load(spec, "fake").Net()

    with pytest.raises(ZeroDivisionError) as caught:
        net.forward(0)

    shown = "".join(traceback.format_exception(caught.value))
    assert 'File "<incgen net.inc fake>", line 8, in forward\n    return self.classes / x' in shown


def test_other_parameters_give_another_module(spec: Path) -> None:
    ten, three = incgen.load(spec, "fake"), incgen.load(spec, "fake", {"classes": 3})

    assert (ten.Net.classes, three.Net.classes) == (10, 3)
    assert three.__file__ == "<incgen net.inc fake 2>"
    assert "classes = 10" in inspect.getsource(ten.Net)
    assert "classes = 3" in inspect.getsource(three.Net)


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("import no_such_framework\n", ImportError, r"needs no_such_framework: pip install"),
        ("1 / 0\n", ZeroDivisionError, "division"),
    ],
)
def test_a_module_that_fails_is_not_kept(
    spec: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    error: type[Exception],
    message: str,
) -> None:
    monkeypatch.setattr(Fake, "emit", lambda *_: source)

    for _ in range(2):
        with pytest.raises(error, match=message):
            incgen.load(spec, "fake")

    assert not [name for name in sys.modules if name.startswith("incgen_net_fake")]


def test_a_real_model_can_be_scripted_copied_and_pickled() -> None:
    torch = pytest.importorskip("torch")
    module = incgen.load("net.inc", "torch", text=f"numerics torch\n{SPEC}")
    net = module.Net().eval()
    image = torch.ones(2, 3, 8, 8)

    copy = pickle.loads(pickle.dumps(net))

    assert torch.equal(copy(image), net(image))
    assert torch.equal(torch.jit.script(net)(image), net(image))


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", "numerics caffe\nlet wide = 4\n"])
def test_a_file_that_defines_nothing_has_a_fault(text: str) -> None:
    (fault,) = incgen.check("nothing.inc", text=text)

    assert (fault.severity.value, fault.code) == ("error", Code.NO_NETWORK)
    assert fault.span is not None and fault.help


def test_the_code_of_a_checkout_goes_with_its_own_files(tmp_path: Path) -> None:
    """Whatever is installed: another checkout's templates would be silently wrong."""
    for folder in ("incgen", "grammar", "templates", "specs"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    file = tmp_path / "templates" / "torch" / "macros" / "modules.jinja"
    file.write_text(file.read_text("utf-8").replace("class {{ node.name }}", "class Other"))

    command = [sys.executable, "-m", "incgen", "build", "bn_inception", "--target", "torch"]
    done = subprocess.run(
        [*command, "-o", "-"], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert "class Other(nn.Module):" in done.stdout
